//! The relay: each list is fetched once for all nodes, kept on disk, and served in a form that the filter reads.
//!
//! One thread for each feed fetches by the filter's own calls, parsers and guards. A list keeps its format: a node reads it
//! with the same feed, of which only the cluster, the path and the credentials differ.
//!
//! | file | owns |
//! |---|---|
//! | `relay/settings.rs` | the file of `--relay` |
//! | `relay/upstream.rs` | one fetch |
//! | `relay/decisions.rs` | a delta of CrowdSec's decisions |
//! | `relay/entries.rs` | the entries of a list in memory |
//! | `relay/form.rs` | the forms of lists, and their entity tags |
//! | `relay/worker.rs` | when to fetch what, and what becomes of it |
//! | `relay/relayed.rs` | the list that is served |
//! | `relay/stored.rs` | the list on disk |
//! | `relay/status.rs` | what is known of a feed |
//! | `relay/http.rs` | the routes |
//! | `relay/usage.rs` | usage metrics of CrowdSec: collected from nodes, sent to the local API |
//! | `relay/unzipped.rs` | a list for clients that do not accept gzip |

mod decisions;
mod entries;
mod form;
mod http;
mod relayed;
mod settings;
mod status;
mod stored;
#[cfg(test)]
mod tests;
mod unzipped;
mod upstream;
mod usage;
mod worker;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use flate2::read::GzDecoder;
use portcullis::config::Feed;

use self::form::Form;
pub use self::http::{attack_list, feed};
use self::relayed::{Relayed, Stop};
use self::settings::Settings;
pub use self::status::FeedStatus;
use self::stored::Stored;
use self::usage::Collected;
pub use self::usage::usage_metrics;
use self::worker::Worker;
use super::state_file;
use crate::clients::feed::unix_now;
use crate::error::{Failure, Result};

/// All relayed feeds. Their threads end when it is dropped.
#[derive(Debug)]
pub struct Relay {
    settings: Option<Settings>,
    state: PathBuf,
    feeds: Vec<(String, Arc<Relayed>)>,
    stop: Arc<Stop>,
}

impl Relay {
    /// Reads the file of `--relay`; without one, nothing is relayed.
    ///
    /// # Errors
    ///
    /// The file is not valid: all errors, each with its path.
    pub fn open(path: Option<&Path>, state: &Path) -> Result<Self> {
        let settings = path.map(Settings::read).transpose()?;
        let feeds = settings.as_ref().map(|settings| {
            let feeds = settings.feeds();
            let relayed = feeds.iter().map(|feed| {
                let status = FeedStatus {
                    name: feed.name.to_string(),
                    format: Form::of(feed).name(),
                    upstream: shown_upstream(settings, feed),
                    max_age: feed.max_age,
                    ..FeedStatus::default()
                };
                let usage = feed.reporting().map(|_| Collected::new(unix_now()));
                let relayed = Relayed::new(Form::of(feed), status, usage);
                (feed.name.to_string(), Arc::new(relayed))
            });
            relayed.collect()
        });
        Ok(Self {
            settings,
            state: state.to_owned(),
            feeds: feeds.unwrap_or_default(),
            stop: Arc::default(),
        })
    }

    /// Starts a thread for each feed. The lists on disk are served when this returns.
    ///
    /// # Errors
    ///
    /// The system refused a thread.
    pub fn start(&self) -> Result<()> {
        let Some(settings) = &self.settings else {
            return Ok(());
        };
        state_file::clean(&stored::directory(&self.state));
        let (is_ready, ready) = std::sync::mpsc::channel();
        for (index, (name, relayed)) in self.feeds.iter().enumerate() {
            let (settings, relayed, stop) = (settings.clone(), relayed.clone(), self.stop.clone());
            let (state, is_ready) = (self.state.clone(), is_ready.clone());
            let run = move || {
                // A feed belongs to the thread that reads it.
                if let Some(feed) = settings.feeds().into_iter().nth(index)
                    && let Some(upstream) = settings.upstream(&feed)
                    && let Ok(server) = settings.server(&feed)
                {
                    let stored = Stored::new(&state, &feed, upstream);
                    let worker = Worker::new(feed, server, relayed, stored, stop);
                    drop(is_ready);
                    worker.run();
                }
            };
            let thread = thread::Builder::new().name(format!("feed {name}"));
            thread.spawn(run).map_err(|error| {
                Failure::refused(format!("the feed {name} can't be relayed: {error}"))
            })?;
        }
        drop(is_ready);
        // Ends when each thread has read its list.
        let _: std::result::Result<(), _> = ready.recv();
        Ok(())
    }

    /// The status of each feed, in the order of the configuration.
    pub fn status(&self) -> Vec<FeedStatus> {
        let feeds = self.feeds.iter();
        feeds.map(|(_, relayed)| relayed.status().clone()).collect()
    }

    /// The list of a feed as a node gets it, without compression; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The list can't be written.
    pub fn body(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        let list = self.find(name).ok().and_then(|relayed| {
            let list = relayed.list()?;
            Some((relayed, list))
        });
        let Some((relayed, list)) = list else {
            return Ok(None);
        };
        let body = list.fresh(&relayed.form)?;
        let mut plain = Vec::with_capacity(usize::try_from(body.plain_bytes).unwrap_or(0));
        GzDecoder::new(&*body.gzip).read_to_end(&mut plain)?;
        Ok(Some(plain))
    }

    /// Where usage metrics of nodes are collected: for the first feed that reports them.
    fn usage(&self) -> Option<&Collected> {
        self.feeds
            .iter()
            .find_map(|(_, relayed)| relayed.usage.as_ref())
    }

    /// Whether there is a file of `--relay`.
    pub const fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    /// The feed with this name.
    fn find(&self, name: &str) -> std::result::Result<Arc<Relayed>, String> {
        let mut feeds = self.feeds.iter();
        let found = feeds.find(|(known, _)| known == name);
        found.map(|(_, relayed)| relayed.clone()).ok_or_else(|| {
            let names: Vec<&str> = self.feeds.iter().map(|(name, _)| name.as_str()).collect();
            let names = match names.is_empty() {
                true => "none; start the server with --relay FILE".to_owned(),
                false => names.join(", "),
            };
            let name: String = name.chars().take(100).collect();
            format!("there is no relayed feed {name:?}; there is: {names}")
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// The address of a list without its query, which can hold a key.
fn shown_upstream(settings: &Settings, feed: &Feed) -> String {
    let url = settings.upstream(feed).map_or("", |upstream| &upstream.url);
    let path = match feed.path.as_str() {
        "" => "/v4/abs/attacklist",
        path => path,
    };
    let path = path.split('?').next().unwrap_or_default();
    format!("{url}{path}")
}
