//! The bootstrap extension: the configuration of the process. Envoy waits for the first lists before it serves, files are
//! watched, and Envoy's admin interface has a page of this filter. What a list or a page is, the core knows.

use core::time::Duration;
use std::sync::Arc;

use portcullis::config::ProcessConfig;
use portcullis::host::System;
use portcullis::process::Process;

use crate::abi::{self, BootstrapHandle, Timer};
use crate::configuration::NAME;
use crate::host::ProcessHost;
use crate::{failures, list_files, logger};

/// How often the first lists are looked for.
const WAIT_MS: u64 = 20;
/// How often changes of files are looked for.
const WATCH_MS: u64 = 250;

/// The path in Envoy's admin interface.
const ADMIN_PATH: &str = "/portcullis";
const ADMIN_HELP: &str = "lists of Portcullis, and whether a client is blocked";

/// The extension. It is on the main thread only.
pub struct Bootstrap {
    process: Arc<Process>,
    timer: Option<Timer>,
    /// Envoy waits for the first lists, until this time at most.
    waits_until: Option<Duration>,
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
        let config = match ProcessConfig::parse(json) {
            Ok(config) => config,
            Err(errors) => {
                for error in errors {
                    log::error!("extension_config refused: {error}");
                }
                return None;
            }
        };
        failures::set_policy(config.native_failure);
        list_files::set(&config.list_files);
        let validates = abi::is_validation_mode();
        if !validates && !envoy.register_admin_handler(ADMIN_PATH, ADMIN_HELP) {
            log::warn!(
                "Envoy has no admin interface, or another handler of {ADMIN_PATH}: there is no page of lists"
            );
        }
        let wait = config.wait_for_first_list.filter(|_| !validates);
        let waits_until = wait.map(|most| ProcessHost.monotonic_now().saturating_add(most));
        if waits_until.is_none() {
            envoy.signal_init_complete();
        }
        let needs_timer = !validates && (waits_until.is_some() || list_files::exist());
        let extension = Self {
            process,
            timer: needs_timer.then(|| envoy.timer()),
            waits_until,
        };
        extension.rearm();
        Some(extension)
    }

    /// The timer fired.
    pub fn timer_fired(&mut self, envoy: BootstrapHandle<'_>) {
        for cluster in list_files::changed() {
            self.process.source_changed(&cluster);
        }
        if let Some(until) = self.waits_until {
            let has_lists = self.process.has_first_lists();
            let is_late = ProcessHost.monotonic_now() >= until;
            if is_late && !has_lists {
                log::warn!(
                    "wait_for_first_list: not every list has arrived in time: Envoy serves without; before_first_list decides"
                );
            }
            if is_late || has_lists {
                self.waits_until = None;
                envoy.signal_init_complete();
            }
        }
        self.rearm();
    }

    /// Sets the timer again while there is something to look for.
    fn rearm(&self) {
        let Some(timer) = &self.timer else {
            return;
        };
        if self.waits_until.is_some() {
            timer.enable(WAIT_MS);
        } else if list_files::exist() {
            timer.enable(WATCH_MS);
        }
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
