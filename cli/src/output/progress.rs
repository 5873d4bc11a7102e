//! A line on standard error for work that takes long, so that a terminal is not silent.

use std::io::{IsTerminal as _, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Verbosity, print_error, verbosity};

/// How long a command may be silent.
const SILENCE: Duration = Duration::from_secs(2);

/// Reports that work continues, until it is dropped.
#[derive(Debug)]
pub struct Progress {
    reporter: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts to report `what` after two seconds, on a terminal or with `--verbose`.
    pub fn of(what: &str) -> Self {
        let is_shown = match verbosity() {
            Verbosity::Quiet => false,
            Verbosity::Normal => stderr().is_terminal(),
            Verbosity::Verbose => true,
        };
        Self {
            reporter: is_shown.then(|| report(what.to_owned())),
        }
    }
}

fn report(what: String) -> (Sender<()>, JoinHandle<()>) {
    let (end, ended) = mpsc::channel();
    let started = Instant::now();
    let reporter = thread::spawn(move || {
        while ended.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
            print_error(&format!("{what}: {} s", started.elapsed().as_secs()));
        }
    });
    (end, reporter)
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, reporter)) = self.reporter.take() {
            drop(end);
            // It fails only if it has panicked, which is no failure of the command.
            let _ = reporter.join();
        }
    }
}
