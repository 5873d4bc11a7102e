//! Bounds on time that hold the filter to them, and not the machine.
//!
//! A thread of the tests asks again and again to be woken a moment later. As long as it is woken late, this machine has
//! no time for its threads, and Envoy's wait as well: that time does not count. On a machine with time to spare it is
//! nothing, so a bound is what it says.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the thread asks for.
const NAP: Duration = Duration::from_millis(5);

/// As late as a machine with nothing else to do may be.
const IDLE: Duration = Duration::from_millis(1);

/// By how many microseconds the thread was late, all in all.
static LATE: LazyLock<&'static AtomicU64> = LazyLock::new(|| {
    static SUM: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        loop {
            let asked = Instant::now();
            std::thread::sleep(NAP);
            let late = asked.elapsed().saturating_sub(NAP + IDLE);
            SUM.fetch_add(u64::try_from(late.as_micros()).unwrap(), Ordering::Relaxed);
        }
    });
    &SUM
});

/// Time from its start on.
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

    /// The time since then in which this machine had time for its threads.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.late())
    }

    /// The time since then in which it had not.
    pub fn late(&self) -> Duration {
        Duration::from_micros(LATE.load(Ordering::Relaxed) - self.late)
    }
}
