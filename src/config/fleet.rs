//! The section `fleet`: what list servers learn about this node. `sync::node_report` writes it.

use super::section::Section;

pub(super) const FLEET_KEYS: &[&str] = &["report"];

/// Reads `fleet.report`.
pub(super) fn read_report(root: &Section<'_>) -> bool {
    root.section("fleet", FLEET_KEYS).boolean("report", false)
}
