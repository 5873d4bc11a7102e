//! The bootstrap extension: Envoy waits for the first lists before it serves, and its admin interface has a page of this
//! filter. What a list or a page is, the core knows.

use core::time::Duration;
use std::sync::Arc;

use portcullis::config::ProcessConfig;
use portcullis::host::System;
use portcullis::process::Process;

use crate::abi::{self, BootstrapHandle, Timer};
use crate::configuration::NAME;
use crate::host::ProcessHost;
use crate::logger;

/// How often the first lists are looked for.
const POLL_MS: u64 = 20;

/// The path in Envoy's admin interface.
const ADMIN_PATH: &str = "/portcullis";
const ADMIN_HELP: &str = "lists of Portcullis, and whether a client is blocked";

/// The extension. It is on the main thread only.
pub struct Bootstrap {
    process: Arc<Process>,
    waiting: Option<Waiting>,
}

/// Envoy waits.
struct Waiting {
    timer: Timer,
    until: Duration,
}

impl Bootstrap {
    /// A new configuration of the extension. If it is refused, the log says why.
    pub fn new(
        envoy: BootstrapHandle<'_>,
        process: Arc<Process>,
        name: &[u8],
        json: &[u8],
    ) -> Option<Self> {
        logger::follow_envoy();
        if name != NAME.as_bytes() {
            let name = String::from_utf8_lossy(name);
            log::error!(
                "extension_name: \"{name}\" is not an extension of this module; its only one is \"{NAME}\""
            );
            return None;
        }
        let startup = match ProcessConfig::parse(json) {
            Ok(startup) => startup,
            Err(errors) => {
                for error in errors {
                    log::error!("extension_config refused: {error}");
                }
                return None;
            }
        };
        let validates = abi::is_validation_mode();
        if !validates && !envoy.register_admin_handler(ADMIN_PATH, ADMIN_HELP) {
            log::warn!(
                "Envoy has no admin interface, or another handler of {ADMIN_PATH}: there is no page of lists"
            );
        }
        let waiting = startup
            .wait_for_first_list
            .filter(|_| !validates)
            .map(|most| {
                let timer = envoy.timer();
                timer.enable(POLL_MS);
                let until = ProcessHost.monotonic_now().saturating_add(most);
                Waiting { timer, until }
            });
        if waiting.is_none() {
            envoy.signal_init_complete();
        }
        Some(Self { process, waiting })
    }

    /// The timer fired.
    pub fn timer_fired(&mut self, envoy: BootstrapHandle<'_>) {
        let Some(waiting) = &self.waiting else {
            return;
        };
        let is_late = ProcessHost.monotonic_now() >= waiting.until;
        let has_lists = self.process.has_first_lists();
        if !is_late && !has_lists {
            waiting.timer.enable(POLL_MS);
            return;
        }
        if !has_lists {
            log::warn!(
                "wait_for_first_list: not every list has arrived in time: Envoy serves without; before_first_list decides"
            );
        }
        self.waiting = None;
        envoy.signal_init_complete();
    }

    /// A request of the admin interface: its status; the body is set.
    pub fn admin_request(&self, envoy: BootstrapHandle<'_>, method: &[u8], path: &[u8]) -> u32 {
        if method != b"GET" {
            envoy.set_admin_response("The page changes nothing: use GET.\n");
            return 405;
        }
        let path = String::from_utf8_lossy(path);
        let (status, body) = self.process.admin_page(&ProcessHost, &path);
        envoy.set_admin_response(&body);
        status
    }
}
