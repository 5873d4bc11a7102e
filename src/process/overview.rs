//! What a process says about its state, to Envoy's start and to its admin interface. Changes nothing, and shows no secret.

use core::fmt::Write;

use super::Process;
use crate::host::System;
use crate::identifier::IdentifierKind;

impl Process {
    /// Whether there is a filter configuration, and every list of every configuration has arrived.
    pub fn has_first_lists(&self) -> bool {
        let state = self.state();
        let mut lists = state.lists.iter();
        !state.plugins.is_empty() && lists.all(|list| list.refresh.state().is_some())
    }

    /// The response to a GET of the admin interface: status and body. `path` includes the query.
    pub fn admin_page(&self, _system: &dyn System, _path: &str) -> (u32, String) {
        let state = self.state();
        let mut page = String::new();
        for list in &state.lists {
            let name = list.refresh.feed_name();
            // Writing to a string does not fail.
            let _ = match list.refresh.state() {
                Some(state) => {
                    let kinds = IdentifierKind::ALL.into_iter();
                    let counts = kinds.map(|kind| (kind, *state.counts.get(kind)));
                    let counts = counts.filter(|(_, count)| *count > 0);
                    let counts: Vec<_> = counts
                        .map(|(kind, count)| format!("{} {count}", kind.as_str()))
                        .collect();
                    writeln!(
                        page,
                        "{name}: generation {}, {} bytes, entries: {}",
                        state.generation,
                        state.bytes,
                        counts.join(", ")
                    )
                }
                None => writeln!(page, "{name}: no list yet"),
            };
        }
        if page.is_empty() {
            page.push_str("no feed is configured\n");
        }
        (200, page)
    }
}
