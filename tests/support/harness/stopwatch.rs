//! Measures time without the delays of a busy machine.
//!
//! A thread of the tests sleeps for short periods. When it wakes late, the machine had no time for its threads, and
//! Envoy's waited as well, so that time does not count. On an idle machine it is close to zero.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the thread sleeps.
const NAP: Duration = Duration::from_millis(5);

/// Lateness of an idle machine.
const IDLE: Duration = Duration::from_millis(1);

/// Microseconds that the thread woke late, in total.
static LATE: LazyLock<&'static AtomicU64> = LazyLock::new(|| {
    static SUM: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        loop {
            let before = Instant::now();
            std::thread::sleep(NAP);
            let late = before.elapsed().saturating_sub(NAP + IDLE);
            SUM.fetch_add(u64::try_from(late.as_micros()).unwrap(), Ordering::Relaxed);
        }
    });
    &SUM
});

/// Time since its start.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
    late: u64,
}

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        Self {
            late: LATE.load(Ordering::Relaxed),
            started: Instant::now(),
        }
    }

    /// The time since the start in which the machine ran its threads.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.late())
    }

    /// The time since the start in which it did not.
    pub fn late(&self) -> Duration {
        Duration::from_micros(LATE.load(Ordering::Relaxed) - self.late)
    }
}
