//! The fault matrix: what each fault does to requests, to the list, to metrics and to the log.
//!
//! Owns the shape of a row, the order of the sections and the rendering to `matrix.md`. Each test module
//! has its rows in `ROWS`, next to the tests that show them.

use crate::harness::process::repository;
use crate::{bodies, envoys, feeds, guard, panics, responses, traps, unreachable};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

/// A fault and all of its effects.
#[derive(Debug)]
pub struct Row {
    /// The name that the tests use.
    pub fault: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// The effect on requests.
    pub requests: Requests,
    /// The effect on the active list.
    pub list: List,
    /// The metrics that rise, without `portcullis.`.
    pub metrics: &'static [&'static str],
    /// Texts of the filter's warnings and errors, and in how many lines each is. There are no other lines.
    pub log: &'static [(&'static str, usize)],
    /// The row of docs/operating.md that describes it.
    pub documented: &'static str,
    /// The test that shows it.
    pub test: &'static str,
}

/// The number of lines that each of the four workers' VMs writes once. A native module writes one.
pub const EACH_WORKER: usize = 4;

/// The effect on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// No clean request fails and no listed one passes.
    Served,
    /// As `Served`, except for requests that the crashed VM was judging.
    CrashFails,
    /// As described; the test checks it.
    Other(&'static str),
}

/// The effect on the active list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// There was none, and there is none.
    NoneYet,
    /// The same one.
    Stays,
    /// Another one.
    New,
}

/// The first cells of the table of failures in docs/operating.md.
pub mod documented {
    pub const UNREACHABLE_AT_START: &str = "ABS is unreachable when Envoy starts";
    pub const UNREACHABLE: &str = "ABS is unreachable or slow, or sends an invalid response";
    pub const UNREACHABLE_FOR_LONG: &str = "ABS is unreachable for long";
    pub const CLOCK: &str = "ABS's clock is wrong";
    pub const KEYS: &str = "the keys are wrong";
    pub const UNUSABLE_LIST: &str = "ABS's list has no usable entry, or a kind in another shape";
    pub const OVER_ENVOYS_LIMIT: &str = "the list is larger than Envoy's limit";
    pub const UNUSABLE_ENTRY: &str = "an entry is unusable";
    pub const GUARD: &str =
        "the list is larger than `attack_list_memory`, or breaks a rule of `guard`";
    pub const DENIED_SHARE: &str = "ABS's list denies more than `guard.max_denied_percent`";
    pub const CONFIGURATION: &str = "the configuration is wrong";
    pub const SEVERAL_FILTERS: &str = "several filters in one Envoy";
    pub const RESTART: &str = "Envoy restarts";
    pub const RECORDS: &str = "ABS refuses traffic records";
    pub const WORKER_VM: &str = "the VM of a worker crashes";
    pub const PANIC: &str = "the native module panics";
    pub const FETCHING_VM: &str = "the VM that fetches crashes";
}

impl Row {
    /// Most faults: ABS fails, requests are served by the active list.
    pub const BASE: Self = Self {
        fault: "",
        what: "",
        requests: Requests::Served,
        list: List::Stays,
        metrics: &[],
        log: &[],
        documented: documented::UNREACHABLE,
        test: "",
    };

    fn render(&self) -> String {
        let Self {
            fault,
            what,
            documented,
            test,
            ..
        } = self;
        let requests = match self.requests {
            Requests::Served => "served",
            Requests::CrashFails => "served except by the crashed VM",
            Requests::Other(text) => text,
        };
        let list = match self.list {
            List::NoneYet => "none yet",
            List::Stays => "stays",
            List::New => "new",
        };
        let metrics: Vec<_> = self
            .metrics
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let log = self.log.iter().map(|(text, times)| match times {
            1 => format!("`{text}`"),
            _ => format!("`{text}` x {times}"),
        });
        let log: Vec<_> = log.collect();
        let log = if log.is_empty() {
            "—".to_owned()
        } else {
            log.join(", ")
        };
        let metrics = metrics.join(", ");
        format!(
            "| `{fault}` | {what} | {requests} | {list} | {metrics} | {log} | {documented} | `{test}` |"
        )
    }
}

/// The whole table.
const SECTIONS: [(&str, &[&[Row]]); 6] = [
    ("ABS is unreachable", &[unreachable::ROWS]),
    ("What ABS responds", &[responses::ROWS, bodies::ROWS]),
    ("What the list contains", &[guard::ROWS]),
    ("A feed of another format", &[feeds::ROWS]),
    ("Envoy and the filter", &[envoys::ROWS, traps::ROWS]),
    ("The native module", &[panics::ROWS]),
];

const INTRODUCTION: &str = "\
# The fault matrix

What each fault does to requests, to the list, to metrics and to the log. Written by `tests/faults/matrix.rs`: \
`PORTCULLIS_BLESS=1 cargo test --test faults matrix` after a change of a row.

Each fault is injected into a real Envoy with four workers, under background traffic of a clean and of a listed client \
on every worker. It must have exactly these effects.

- **fault**: the name that the test uses.
- **requests**: `served` means that no clean request fails and, once there is a list, no listed one passes.
- **list**: `none yet`, `stays` (the same generation stays active) or `new` (another one is active).
- **metrics** that rise, without `portcullis.`; no other kind of failed fetch is counted.
- **log**: each text is in one warning or error of the filter (`x 4`: in four); there are no other lines, however often \
the fault occurs.
- **documented as**: the row of the table in docs/operating.md that describes it.
- **shown by**: the test, in `tests/faults`.

The faults of `portcullis serve` are in [its own matrix](../serve/matrix.md).
";

const HEADING: &str = "\
| fault | what goes wrong | requests | list | metrics | log | documented as | shown by |
|---|---|---|---|---|---|---|---|
";

/// The row of this fault.
pub fn row(fault: &str) -> &'static Row {
    rows()
        .find(|row| row.fault == fault)
        .unwrap_or_else(|| panic!("no module of tests/faults has a row `{fault}`"))
}

fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS
        .iter()
        .flat_map(|(_, parts)| parts.iter().copied().flatten())
}

fn render() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (title, parts) in SECTIONS {
        write!(text, "\n## {title}\n\n{HEADING}").unwrap();
        for row in parts.iter().copied().flatten() {
            writeln!(text, "{}", row.render()).unwrap();
        }
    }
    text
}

#[test]
fn matrix_md_is_what_the_rows_render_to() {
    let path = repository().join("tests/faults/matrix.md");
    let rendered = render();
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        fs::write(&path, &rendered).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    let change = committed
        .lines()
        .zip(rendered.lines())
        .find(|(committed, rendered)| committed != rendered);
    assert!(
        committed == rendered,
        "tests/faults/matrix.md is not what the rows render to; first difference: {change:#?}\n\
         to write it: PORTCULLIS_BLESS=1 cargo test --test faults matrix"
    );
}

#[test]
fn every_row_has_a_row_of_the_documentation_and_the_other_way_around() {
    let operating = fs::read_to_string(repository().join("docs/operating.md")).unwrap();
    let (_, section) = operating.split_once("## When something fails").unwrap();
    let (_, table) = section.split_once("|---|---|---|\n").unwrap();
    let documented: BTreeSet<_> = table
        .lines()
        .map_while(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();
    let shown: BTreeSet<_> = rows().map(|row| row.documented).collect();
    assert!(documented.len() > 5, "docs/operating.md: {documented:#?}");
    assert_eq!(
        documented, shown,
        "docs/operating.md on the left, the rows on the right"
    );
}

/// The test must be there, and use the row.
#[test]
fn every_row_names_the_test_that_shows_it() {
    let mut faults = BTreeSet::new();
    for Row { fault, test, .. } in rows() {
        assert!(faults.insert(fault), "two rows of `{fault}`");
        let (module, name) = test.split_once("::").unwrap();
        let path = repository().join(format!("tests/faults/{module}.rs"));
        let source = fs::read_to_string(path).unwrap();
        let Some((_, rest)) = source.split_once(&format!("#[test]\nfn {name}() {{\n")) else {
            panic!("`{fault}`: there is no test {test}");
        };
        let (body, _) = rest.split_once("\n}\n").unwrap();
        assert!(
            body.contains(&format!("\"{fault}\"")),
            "{test} does not use `{fault}`"
        );
    }
}
