//! One stream of a configuration: its hooks on a worker.

use core::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use core_::judge::Disposition;

use crate::abi::{StreamHandle, number};
use crate::configuration::Configuration;
use crate::host::StreamHost;
use crate::process_stub::StreamState;

/// `%RESPONSE_CODE_DETAILS%` of a request that a panic ended.
const PANIC_DETAILS: &str = "portcullis_panic";

/// A stream. Its configuration lives longer: Envoy sees to that.
pub struct Request<'c> {
    configuration: &'c Configuration,
    state: StreamState,
}

impl<'c> Request<'c> {
    /// A stream of this configuration.
    pub fn new(configuration: &'c Configuration) -> Self {
        let state = StreamState::default();
        Self {
            configuration,
            state,
        }
    }

    /// The headers of the request arrived. Returns what Envoy does with the request: a panic costs it a 503.
    pub fn headers(&mut self, envoy: StreamHandle<'_>) -> u32 {
        let configuration = self.configuration;
        let host = StreamHost {
            envoy,
            metrics: &configuration.metrics,
            replied: Cell::new(false),
        };
        let state = AssertUnwindSafe(&mut self.state);
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let AssertUnwindSafe(state) = state;
            configuration.filter.request(&host, state)
        }));
        match judged {
            Ok(Disposition::Continue) => number::CONTINUE,
            Ok(Disposition::Stop) => number::STOP,
            Err(panic) => {
                // Dropping it could panic again.
                core::mem::forget(panic);
                self.state = StreamState::default();
                configuration.count_panic(&envoy);
                if !host.replied.get() {
                    envoy.send_response(503, &[], b"", PANIC_DETAILS);
                }
                number::STOP
            }
        }
    }

    /// The stream ended.
    pub fn ended(&mut self, envoy: StreamHandle<'_>) {
        let configuration = self.configuration;
        let host = StreamHost {
            envoy,
            metrics: &configuration.metrics,
            replied: Cell::new(false),
        };
        let state = &mut self.state;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            configuration.filter.stream_ended(&host, state)
        }));
        if let Err(panic) = ended {
            core::mem::forget(panic);
            configuration.count_panic(&envoy);
        }
    }
}
