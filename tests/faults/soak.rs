//! The long run: traffic on every worker while the list changes every second, the configuration every three seconds, and
//! ABS fails at random. No request fails, no listed one passes, and memory does not grow.
//!
//! Runs a minute or `PORTCULLIS_SOAK_SECONDS`; `make soak` runs ten minutes.

use crate::background_traffic::BackgroundTraffic;
use crate::every_second;
use crate::harness::client::{Connection, Request};
use crate::harness::envoy::METRIC_PREFIX;
use crate::harness::{Harness, scenario};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Time between changes of the list.
const LIST_CHANGES: Duration = Duration::from_secs(1);
/// Time between changes of the configuration.
const CONFIGURATION_CHANGES: Duration = Duration::from_secs(3);
/// Time between throws of the dice for ABS's next fault.
const FAULTS: Duration = Duration::from_millis(700);
/// Number of list changes that an entry stays listed.
const ENTRY_STAYS: u64 = 20;
/// The run may take up to this many times as long on a slow machine. In a longer run, leaked memory grows more from third
/// to third, and memory that is still warming up grows less.
const LONGER: u32 = 4;
/// Allowed growth of memory from the middle third of the run to the last.
const GROWTH_PERCENT: f64 = 2.0;

fn length() -> Duration {
    let seconds = std::env::var("PORTCULLIS_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(60, |text| {
        text.parse()
            .expect("PORTCULLIS_SOAK_SECONDS should be a number")
    });
    Duration::from_secs(seconds)
}

#[test]
fn nothing_fails_passes_or_grows_while_everything_changes() {
    let setup = every_second().plugin(json!({
        "abs": {"timeout": "1s"},
        "guard": {"max_denied_percent": 95}
    }));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let mut run = Run::start(harness).await;
        let began = Instant::now();
        let mut span = length();
        loop {
            while began.elapsed() < span {
                run.step(harness, began.elapsed()).await;
            }
            match run.shows_enough(harness, began.elapsed()).await {
                Ok(()) => break,
                Err(what) if span < length() * LONGER => println!("running twice as long: {what}"),
                Err(what) => panic!("{what}"),
            }
            span *= 2;
        }
        harness.abs.clear_faults().await;
        background.stop(&[]).await;
    });
}

/// The state of the run.
struct Run {
    dice: Dice,
    /// One connection to each worker, for requests with listed tokens.
    workers: Vec<Connection>,
    request: Request,
    /// The tokens on ABS's list, oldest first.
    listed: VecDeque<Entry>,
    n_listed: u64,
    n_active: u64,
    n_requests: u64,
    n_configurations: u64,
    faults: BTreeMap<String, u64>,
    memory: Vec<(Duration, u64)>,
    due: Due,
}

/// When each kind of change is due.
#[derive(Default)]
struct Due {
    list: Duration,
    configuration: Duration,
    fault: Duration,
    memory: Duration,
}

struct Entry {
    number: u64,
    /// For each worker, whether it has denied the token. If so, it must keep denying it.
    denied_by: Vec<bool>,
}

impl Run {
    async fn start(harness: &Harness) -> Self {
        let request = harness.get("/").from(crate::background_traffic::CLEAN);
        Self {
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            workers: harness.connections_to_all_workers(&request).await,
            request,
            listed: VecDeque::new(),
            n_listed: 0,
            n_active: 0,
            n_requests: 0,
            n_configurations: 0,
            faults: BTreeMap::new(),
            memory: Vec::new(),
            due: Due::default(),
        }
    }

    /// Makes the changes that are due, then sends each listed token to each worker.
    async fn step(&mut self, harness: &mut Harness, now: Duration) {
        if now >= self.due.list {
            self.due.list = now + LIST_CHANGES;
            self.change_list(harness).await;
        }
        if now >= self.due.configuration {
            self.due.configuration = now + CONFIGURATION_CHANGES;
            self.change_configuration(harness).await;
        }
        if now >= self.due.fault {
            self.due.fault = now + FAULTS;
            self.throw(harness).await;
        }
        if now >= self.due.memory {
            self.due.memory = now + Duration::from_secs(1);
            let bytes = harness.envoy.process().resident_kib();
            self.memory.push((now, bytes));
        }
        self.request_all().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    async fn change_list(&mut self, harness: &Harness) {
        let number = self.n_listed;
        self.n_listed += 1;
        let mut add = json!({"oauth_tokens": [token(number)]});
        // From time to time the list grows a lot, then shrinks again.
        if number % 10 == 5 {
            add["ips"] = self.crowd();
        }
        harness.abs.list(add).await;
        self.listed.push_back(Entry {
            number,
            denied_by: vec![false; self.workers.len()],
        });
        if number > 0 && number.is_multiple_of(10) {
            harness.abs.unlist(json!({"ips": self.crowd()})).await;
        }
        if self.listed.len() as u64 > ENTRY_STAYS
            && let Some(oldest) = self.listed.pop_front()
        {
            harness
                .abs
                .unlist(json!({"oauth_tokens": [token(oldest.number)]}))
                .await;
        }
    }

    /// Several thousand addresses.
    fn crowd(&self) -> Value {
        (0..5_000)
            .map(|i| format!("10.1.{}.{}", i / 256, i % 256))
            .collect()
    }

    async fn change_configuration(&mut self, harness: &mut Harness) {
        self.n_configurations += 1;
        let n = self.n_configurations;
        let change = match n % 4 {
            0 => json!({"deny_list": {"ips": [format!("192.0.2.{}", n % 250)]}}),
            1 => json!({"allow_list": {"usernames": [format!("user-{n}")]}}),
            2 => json!({"attack_list_memory": format!("{}MB", 64 + n % 64)}),
            _ => json!({"deny_response": {"headers": {"x-change": n.to_string()}}}),
        };
        harness.envoy.reconfigure(change).await;
    }

    /// ABS fails about half of the time.
    async fn throw(&mut self, harness: &Harness) {
        let fault = match self.dice.throw(14) {
            0 => json!({"status": 500, "times": 1}),
            1 => json!({"status": 503, "retry_after": 1, "times": 1}),
            2 => json!({"truncate_at": 40, "times": 1}),
            3 => json!({"body": "not json", "times": 1}),
            4 => json!({"reset": true, "times": 1}),
            5 => json!({"delay_ms": 3_000, "times": 1}),
            6 => json!({"hang_after_headers": true, "times": 1}),
            _ => return harness.abs.clear_faults().await,
        };
        *self.faults.entry(fault.to_string()).or_default() += 1;
        harness.abs.fault(fault).await;
    }

    async fn request_all(&mut self) {
        let Self {
            workers,
            listed,
            request,
            ..
        } = self;
        for entry in listed {
            let request = request.clone().bearer(&token(entry.number));
            for (worker, denied_by) in workers.iter_mut().zip(&mut entry.denied_by) {
                let reply = worker.send(&request).await.unwrap();
                self.n_requests += 1;
                assert!(
                    reply.is_denied() || (reply.is_allowed() && !*denied_by),
                    "token {}, denied before: {denied_by}, got {reply:?}",
                    entry.number
                );
                self.n_active += u64::from(reply.is_denied() && !*denied_by);
                *denied_by |= reply.is_denied();
            }
        }
    }

    /// Prints the results so far; an error if they are too few or memory grew.
    async fn shows_enough(&self, harness: &Harness, span: Duration) -> Result<(), String> {
        let mean = |from: u32, to: u32| {
            let thirds = |n| span * n / 3;
            let part: Vec<_> = self
                .memory
                .iter()
                .filter(|(at, _)| (thirds(from)..thirds(to)).contains(at))
                .map(|(_, kilobytes)| *kilobytes as f64)
                .collect();
            part.iter().sum::<f64>() / part.len() as f64
        };
        let (middle, last) = (mean(1, 2), mean(2, 3));
        let growth = (last / middle - 1.0) * 100.0;
        let fetches = harness
            .envoy
            .stats(&format!("{METRIC_PREFIX}fetch.result="))
            .await;
        println!(
            "{} s: {} lists, {} configurations, {} requests with listed tokens, {} tokens active on a worker; \
             faults {:?}; fetches {:?}; \
             resident memory {:.0} KB in the first third, {middle:.0} in the middle, {last:.0} in the last: {growth:+.2} %",
            span.as_secs(),
            self.n_listed,
            self.n_configurations,
            self.n_requests,
            self.n_active,
            self.faults,
            fetches,
            mean(0, 1),
        );
        // Most entries became active on every worker while they were listed.
        let chances = self.n_listed * self.workers.len() as u64;
        if self.n_active * 3 <= chances * 2 {
            let n_active = self.n_active;
            return Err(format!("only {n_active} of {chances} became active"));
        }
        let failed: u64 = fetches
            .iter()
            .filter(|(name, _)| !name.ends_with("=ok") && !name.ends_with("=not_modified"))
            .map(|(_, count)| count)
            .sum();
        if failed <= length().as_secs() / 10 {
            return Err(format!("ABS failed only {failed} times"));
        }
        // NaN, and so an error, if the machine was suspended for a whole third.
        if growth <= GROWTH_PERCENT {
            Ok(())
        } else {
            Err(format!("memory grew by {growth:.2} %: {:?}", self.memory))
        }
    }
}

fn token(number: u64) -> String {
    format!("soak-{number}")
}

/// Pseudorandom numbers, the same in each run (xorshift).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
