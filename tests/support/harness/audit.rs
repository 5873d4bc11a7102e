//! The search for secrets after every scenario: what no log line, metric or reply may hold.
//!
//! Owns the planted secrets and where they are looked for, with the one exception: Envoy's `/config_dump` shows the
//! configuration that the operator wrote, and with it the manual lists. It never shows the credentials of ABS, which
//! come by the names of environment variables, nor anything that only ABS's list or a client named.

use super::client::Reply;
use std::sync::{Arc, Mutex};

/// Every reply that a client of this scenario got.
#[derive(Clone, Debug, Default)]
pub struct Replies(Arc<Mutex<Vec<String>>>);

impl Replies {
    /// Keeps a reply for the search. The body is kept only where Envoy made it: the sample API sends back what it got.
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
    /// A new secret value, to be sent by a client or listed by ABS. `label` helps to read a failed test.
    pub fn plant(&self, label: &str) -> String {
        self.add(label, false)
    }

    /// A new secret value for a manual list: `/config_dump` may show it.
    pub fn plant_in_configuration(&self, label: &str) -> String {
        self.add(label, true)
    }

    /// A value made elsewhere, such as a token with a user name in it.
    pub fn plant_value(&self, value: &str) {
        self.0.lock().unwrap().push(Secret {
            value: value.to_owned(),
            configured: false,
        });
    }

    /// Fails the test if a secret stands in one of the texts.
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
                    "{place} holds the secret {}: {}",
                    secret.value,
                    line.unwrap_or_default()
                );
            }
            assert!(
                secret.configured || !config_dump.contains(&secret.value),
                "/config_dump holds the secret {}",
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
