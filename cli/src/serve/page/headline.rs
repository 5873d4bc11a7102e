//! The headline of the page: is the fleet protected, and what is wrong. Reads the view only.

use super::text::{age, count};
use super::view::{Feed, Filter, Nodes};

/// Whether the fleet is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All lists are enforced everywhere, and are fresh.
    #[default]
    Protected,
    /// Lists are enforced, but not all, not everywhere, or not the newest.
    Attention,
    /// At least one filter blocks nobody.
    Unprotected,
}

/// The level, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Headline {
    /// The worst of the findings.
    pub level: Level,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it means for the fleet.
    pub level: Level,
    /// For people.
    pub text: String,
    /// The part of the page that shows more.
    pub section: &'static str,
}

impl Headline {
    /// The sentence at the top.
    pub const fn sentence(&self) -> &'static str {
        match self.level {
            Level::Protected => "The fleet is protected",
            Level::Attention => "The fleet needs attention",
            Level::Unprotected => "The fleet is not protected",
        }
    }
}

/// Judges what the page shows.
pub fn judge(filters: &[Filter], feeds: Option<&[Feed]>, nodes: &Nodes) -> Headline {
    let mut findings = Vec::new();
    let mut find = |level, section, text| {
        findings.push(Finding {
            level,
            text,
            section,
        });
    };
    if filters.is_empty() {
        let text = "There is no filter: put a file into the directory of --filters.";
        find(Level::Unprotected, "filters", text.to_owned());
    }
    for filter in filters {
        of_filter(filter, &mut find);
    }
    for feed in feeds.unwrap_or_default() {
        of_feed(feed, &mut find);
    }
    if nodes.behind > 0 {
        let (behind, all) = (count(nodes.behind, "node"), nodes.count);
        find(
            Level::Attention,
            "nodes",
            format!("{behind} of {all} without the served configuration."),
        );
    }
    if nodes.silent > 0 {
        let (silent, all) = (count(nodes.silent, "node"), nodes.count);
        find(
            Level::Attention,
            "nodes",
            format!("{silent} of {all} silent."),
        );
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let level = findings.first().map_or(Level::Protected, |one| one.level);
    Headline { level, findings }
}

fn of_filter(filter: &Filter, find: &mut impl FnMut(Level, &'static str, String)) {
    let name = &filter.name;
    let Some(served) = &filter.served else {
        find(
            Level::Unprotected,
            "filters",
            format!("{name}: there was never a valid file, so nothing is served."),
        );
        return;
    };
    if !filter.problems.is_empty() {
        find(
            Level::Attention,
            "filters",
            format!(
                "{name}: {} is not valid; the last valid version is served.",
                filter.file
            ),
        );
    }
    if !served.firewall {
        find(
            Level::Unprotected,
            "filters",
            format!("{name}: the firewall is off, so nobody is blocked."),
        );
    }
    if !served.abs_attack {
        // Without another list, nothing but the firewall's name is left.
        let has_list = !served.feeds.is_empty() || served.deny.count > 0;
        let (level, rest) = match has_list {
            true => (Level::Attention, "clients on ABS's list are not blocked"),
            false => (Level::Unprotected, "there is no list to block on"),
        };
        find(
            level,
            "filters",
            format!("{name}: ABS attack is off: {rest}."),
        );
    }
    if !served.shadow.is_empty() {
        let shadow = served.shadow.join(", ");
        find(
            Level::Attention,
            "filters",
            format!("{name}: shadow mode, only counted, not blocked: {shadow}."),
        );
    }
}

fn of_feed(feed: &Feed, find: &mut impl FnMut(Level, &'static str, String)) {
    let name = &feed.name;
    if let Some(problem) = &feed.problem {
        find(
            Level::Attention,
            "feeds",
            format!("Feed {name}: its list can't be kept for a restart: {problem}."),
        );
    }
    let problem = match (feed.age, feed.is_stale, feed.is_failing) {
        (None, _, true) => format!("Feed {name}: there is no list; {}.", feed.last_result),
        (None, ..) => format!("Feed {name}: there is no list yet."),
        (Some(old), true, _) => {
            let old = age(old);
            format!(
                "Feed {name}: its list is stale ({old} old); {}.",
                feed.last_result
            )
        }
        (Some(_), false, true) => {
            format!("Feed {name}: the last fetch failed: {}.", feed.last_result)
        }
        (Some(_), false, false) => return,
    };
    find(Level::Attention, "feeds", problem);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::view::{List, Served};
    use super::*;

    fn filter(change: impl FnOnce(&mut Served)) -> Filter {
        let mut served = Served {
            firewall: true,
            abs_attack: true,
            ..Served::default()
        };
        change(&mut served);
        Filter {
            name: "edge".to_owned(),
            file: "/filters/edge.json".to_owned(),
            served: Some(served),
            ..Filter::default()
        }
    }

    fn judged(filter: Filter) -> (Level, String) {
        let headline = judge(&[filter], None, &Nodes::default());
        let texts: Vec<_> = headline.findings.iter().map(|one| &*one.text).collect();
        (headline.level, texts.join("\n"))
    }

    #[test]
    fn all_on_is_protected() {
        assert_eq!(judged(filter(|_| {})), (Level::Protected, String::new()));
    }

    #[test]
    fn each_switch_and_file_has_its_finding() {
        let (level, text) = judged(filter(|served| served.firewall = false));
        assert_eq!(level, Level::Unprotected);
        assert!(text.contains("edge: the firewall is off"), "{text}");
        assert_eq!(
            judged(filter(|served| served.abs_attack = false)).0,
            Level::Unprotected
        );
        let (level, text) = judged(filter(|served| {
            served.abs_attack = false;
            served.deny = List {
                count: 1,
                ..List::default()
            };
        }));
        assert_eq!(level, Level::Attention);
        assert!(text.contains("ABS attack is off"), "{text}");
        let (level, text) = judged(filter(|served| served.shadow = vec!["API shop".to_owned()]));
        assert_eq!(level, Level::Attention);
        assert!(text.contains("API shop"), "{text}");
        let mut invalid = filter(|_| {});
        invalid
            .problems
            .push("enable_abs: not a boolean".to_owned());
        let (level, text) = judged(invalid.clone());
        assert_eq!(level, Level::Attention);
        assert!(text.contains("/filters/edge.json is not valid"), "{text}");
        invalid.served = None;
        assert_eq!(judged(invalid).0, Level::Unprotected);
        assert_eq!(
            judge(&[], None, &Nodes::default()).level,
            Level::Unprotected
        );
    }

    #[test]
    fn feeds_and_nodes_have_theirs() {
        let feed = Feed {
            name: "drop".to_owned(),
            age: Some(Duration::from_secs(7200)),
            is_stale: true,
            last_result: "status 503".to_owned(),
            ..Feed::default()
        };
        let nodes = Nodes {
            count: 3,
            behind: 1,
            silent: 2,
            ..Nodes::default()
        };
        let headline = judge(&[filter(|_| {})], Some(&[feed]), &nodes);
        let texts: Vec<_> = headline.findings.iter().map(|one| &*one.text).collect();
        assert_eq!(
            texts,
            [
                "Feed drop: its list is stale (2 h old); status 503.",
                "1 node of 3 without the served configuration.",
                "2 nodes of 3 silent.",
            ]
        );
        assert_eq!(headline.level, Level::Attention);
    }

    #[test]
    fn the_worst_is_first() {
        let worst = filter(|served| {
            served.shadow = vec!["API shop".to_owned()];
            served.firewall = false;
        });
        let headline = judge(&[worst], None, &Nodes::default());
        assert_eq!(headline.findings[0].level, Level::Unprotected);
    }
}
