//! Traffic of a clean and of a listed client on every worker, during a fault.

use crate::harness::Harness;
use crate::harness::client::Reply;
use crate::harness::traffic::Traffic;
use crate::matrix::{Requests, row};
use serde_json::{Value, json};

/// A client that is on no list.
pub const CLEAN: &str = "127.0.0.8";
/// A client that ABS lists.
pub const LISTED: &str = "127.0.0.7";

/// A token on the same list.
pub const LISTED_TOKEN: &str = "listed";

/// Requests that each kind of traffic may lose when a VM crashes: it has one connection to that worker.
const LOST_AT_A_CRASH: usize = 1;

/// The list that names [`LISTED`].
pub fn list() -> Value {
    json!({"ips": [LISTED], "oauth_tokens": [LISTED_TOKEN]})
}

/// Both kinds of traffic. [`BackgroundTraffic::stop`] checks the responses.
#[must_use]
pub struct BackgroundTraffic {
    clean: Traffic,
    listed: Option<Traffic>,
}

impl BackgroundTraffic {
    /// Clean traffic only.
    pub async fn clean(harness: &Harness) -> Self {
        let request = harness.get("/").from(CLEAN);
        Self {
            clean: harness
                .traffic_on_every_worker(&request, Reply::is_allowed)
                .await,
            listed: None,
        }
    }

    /// Lists [`LISTED`] in the simulator, waits until it is denied, and starts both kinds.
    pub async fn with_list(harness: &Harness) -> Self {
        harness.abs.list(list()).await;
        Self::once_listed(harness).await
    }

    /// Waits until [`LISTED`] is denied, and starts both kinds.
    pub async fn once_listed(harness: &Harness) -> Self {
        let request = harness.get("/").from(LISTED);
        harness.becomes_denied(&request).await;
        Self {
            listed: Some(
                harness
                    .traffic_on_every_worker(&request, Reply::is_denied)
                    .await,
            ),
            ..Self::clean(harness).await
        }
    }

    /// Ends the listed client's traffic before its list changes; fails the test if a request passed.
    pub async fn stop_listed(&mut self) {
        if let Some(listed) = self.listed.take() {
            listed.stop().await.assert_clean();
        }
    }

    /// Ends all traffic. Fails the test unless the API responded to every clean request and every listed one was denied,
    /// except for what the rows of these faults allow.
    pub async fn stop(mut self, faults: &[&str]) {
        let crashes = faults
            .iter()
            .filter(|fault| row(fault).requests == Requests::CrashFails);
        let most = crashes.count() * LOST_AT_A_CRASH;
        if let Some(listed) = self.listed.take() {
            listed.stop().await.assert_lost(most);
        }
        self.clean.stop().await.assert_lost(most);
    }
}
