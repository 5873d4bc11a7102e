//! The search for secrets after every scenario: no log line, metric or reply may contain one.
//!
//! Owns the planted secrets and the places to search, with one exception: Envoy's `/config_dump` shows the operator's
//! configuration and so the manual lists. It never shows the credentials of ABS, which are configured by the names of
//! environment variables, nor values from ABS's list or from a client.

use super::client::Reply;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Every reply to a client of this scenario.
#[derive(Clone, Default)]
pub struct Replies(Arc<Mutex<Vec<String>>>);

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each request has them, and a failed test shows its request.
        f.write_str("..")
    }
}

impl Replies {
    /// Keeps a reply for the search. Keeps the body only if Envoy made it, because the sample API echoes the request.
    pub fn keep(&self, reply: &Reply) {
        let body = if reply.is_from_api() { "" } else { &reply.body };
        self.0
            .lock()
            .unwrap()
            .push(format!("{} {:?} {body}", reply.status, reply.headers));
    }
}

/// The secrets of one scenario.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Vec<Secret>>);

#[derive(Clone, Debug)]
struct Secret {
    value: String,
    configured: bool,
}

impl Secrets {
    /// A new secret for a client or ABS's list. `label` identifies it in a failed test.
    pub fn plant(&self, label: &str) -> String {
        self.add(label, false)
    }

    /// A new secret for a manual list: `/config_dump` may show it.
    pub fn plant_in_configuration(&self, label: &str) -> String {
        self.add(label, true)
    }

    /// Another secret value, such as a token with a user name in it.
    pub fn plant_value(&self, value: &str) {
        self.0.lock().unwrap().push(Secret {
            value: value.to_owned(),
            configured: false,
        });
    }

    /// Fails the test if one of the texts contains a secret.
    pub fn assert_absent(&self, places: &[(&str, String)], config_dump: &str, replies: &Replies) {
        let replies = replies.0.lock().unwrap().join("\n");
        for secret in self.0.lock().unwrap().iter() {
            for (place, text) in places
                .iter()
                .map(|(place, text)| (*place, text.as_str()))
                .chain([("a reply", replies.as_str())])
            {
                let line = text.lines().find(|line| line.contains(&secret.value));
                assert!(
                    line.is_none(),
                    "{place} contains the secret {}: {}",
                    secret.value,
                    line.unwrap_or_default()
                );
            }
            assert!(
                secret.configured || !config_dump.contains(&secret.value),
                "/config_dump contains the secret {}",
                secret.value
            );
        }
    }

    fn add(&self, label: &str, configured: bool) -> String {
        let mut secrets = self.0.lock().unwrap();
        let value = format!("planted-{label}-{}-{}", std::process::id(), secrets.len());
        secrets.push(Secret {
            value: value.clone(),
            configured,
        });
        value
    }
}
