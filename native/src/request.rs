//! One stream of a configuration: its hooks on a worker.

use core::cell::Cell;

use portcullis::config::{NativeFailure, Route};
use portcullis::host::System;
use portcullis::judge::Disposition;
use portcullis::process::StreamState;

use crate::abi::{StreamHandle, number};
use crate::configuration::Configuration;
use crate::failures;
use crate::host::StreamHost;
use crate::panics::guarded;

/// `%RESPONSE_CODE_DETAILS%` of a request that a panic ended.
const PANIC_DETAILS: &str = "portcullis_panic";

/// `%RESPONSE_CODE_DETAILS%` of a request that is not judged after several panics.
const FAILURE_DETAILS: &str = "portcullis_native_failure";

/// A stream. Its configuration lives longer: Envoy sees to that.
pub struct Request<'c> {
    configuration: &'c Configuration,
    state: StreamState,
}

impl<'c> Request<'c> {
    /// A stream of this configuration.
    pub fn new(configuration: &'c Configuration) -> Self {
        Self {
            configuration,
            state: StreamState::default(),
        }
    }

    /// The headers of the request arrived. Returns what Envoy does with the request: a panic costs it a 503.
    /// `route`: what the request's route changes.
    pub fn headers(&self, envoy: StreamHandle<'_>, route: &Route) -> u32 {
        if self.configuration.failures.has_failed() {
            return match failures::policy() {
                NativeFailure::Allow => number::CONTINUE,
                NativeFailure::Deny => {
                    envoy.send_response(503, &[], b"", FAILURE_DETAILS);
                    number::STOP
                }
            };
        }
        let host = self.host(envoy);
        let judged = guarded(|| {
            #[cfg(any(test, feature = "trap"))]
            crate::trap::on_request(&host, self.configuration.filter.id());
            let filter = &self.configuration.filter;
            filter.request(&host, route, &self.state)
        });
        match judged {
            Some(Disposition::Continue) => number::CONTINUE,
            Some(Disposition::Stop) => number::STOP,
            None => {
                self.configuration.count_panic(&envoy);
                let id = self.configuration.filter.id();
                self.configuration.failures.add(id, host.monotonic_now());
                if !host.replied.get() {
                    envoy.send_response(503, &[], b"", PANIC_DETAILS);
                }
                number::STOP
            }
        }
    }

    /// The stream ended.
    pub fn ended(&self, envoy: StreamHandle<'_>) {
        let host = self.host(envoy);
        let filter = &self.configuration.filter;
        if guarded(|| filter.stream_ended(&host, &self.state)).is_none() {
            self.configuration.count_panic(&envoy);
        }
    }

    fn host<'h>(&'h self, envoy: StreamHandle<'h>) -> StreamHost<'h> {
        StreamHost {
            envoy,
            metrics: &self.configuration.metrics,
            replied: Cell::new(false),
        }
    }
}
