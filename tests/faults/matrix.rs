//! The table of faults: reads `matrix.md`, and holds it to the README and to the tests.

use crate::harness::process::repository;
use std::collections::BTreeSet;
use std::fs;

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub fault: String,
    /// What becomes of requests.
    pub requests: Requests,
    /// What becomes of the list in force.
    pub list: List,
    /// The metrics that rise, without `portcullis.`.
    pub metrics: Vec<String>,
    /// One warning or error of the filter for each of these texts, and no other.
    pub log: Vec<String>,
    /// The row of the README's table that it belongs to.
    pub readme: String,
}

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// No clean one fails, and no listed one passes.
    Served,
    /// As `Served`, but for those that the crashed VM was judging.
    CrashFails,
    /// As the text of the row says; the test looks for itself.
    Told,
}

/// What becomes of the list in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// There was none, and there is none.
    NoneYet,
    /// It goes on.
    Stays,
    /// Another is in force.
    New,
}

/// The row of this name.
pub fn row(fault: &str) -> Row {
    rows()
        .into_iter()
        .find(|row| row.fault == fault)
        .unwrap_or_else(|| panic!("tests/faults/matrix.md has no row `{fault}`"))
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(repository().join("tests/faults/matrix.md")).unwrap();
    table(&text, "fault")
        .iter()
        .map(|cells| Row::read(cells))
        .collect()
}

impl Row {
    fn read(cells: &[String]) -> Self {
        let [fault, _what, requests, list, metrics, log, readme] = cells else {
            panic!("a row of matrix.md should have seven cells: {cells:?}");
        };
        Self {
            fault: quoted(fault).concat(),
            requests: match requests.as_str() {
                "served" => Requests::Served,
                "the crash fails its own" => Requests::CrashFails,
                _ => Requests::Told,
            },
            list: match list.as_str() {
                "none yet" => List::NoneYet,
                "stays" => List::Stays,
                "new" => List::New,
                other => panic!("matrix.md: {fault}: the list can't be `{other}`"),
            },
            metrics: quoted(metrics),
            log: counted(log),
            readme: readme.clone(),
        }
    }
}

/// The cells of each row below the heading that starts with this cell.
fn table(text: &str, first: &str) -> Vec<Vec<String>> {
    let heading = format!("| {first} |");
    text.split(&heading)
        .skip(1)
        .flat_map(|part| {
            part.lines()
                .skip(2)
                .take_while(|line| line.starts_with('|'))
                .map(|line| {
                    let cells = line.trim().trim_matches('|').split('|');
                    cells.map(|cell| cell.trim().to_owned()).collect()
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What stands between backquotes, as often as the number behind it says.
fn counted(cell: &str) -> Vec<String> {
    let times = |after: &str| {
        after
            .trim()
            .strip_prefix("x ")?
            .trim_end_matches(',')
            .parse()
            .ok()
    };
    let parts: Vec<_> = cell.split('`').skip(1).collect();
    parts
        .chunks(2)
        .flat_map(|part| {
            vec![part[0].to_owned(); part.get(1).and_then(|after| times(after)).unwrap_or(1)]
        })
        .collect()
}

/// What stands between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_row_belongs_to_a_row_of_the_readme_and_every_row_of_the_readme_is_shown_by_one() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, failures) = readme.split_once("## When something fails").unwrap();
    let told: BTreeSet<_> = table(failures, "what fails")
        .into_iter()
        .map(|cells| cells[0].clone())
        .collect();
    let shown: BTreeSet<_> = rows().into_iter().map(|row| row.readme).collect();
    assert!(
        told.len() > 5 && told == shown,
        "README.md: {told:#?}\nmatrix.md: {shown:#?}"
    );
}

#[test]
fn every_row_is_struck_by_a_test() {
    let tests: String = fs::read_dir(repository().join("tests/faults"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let names: Vec<_> = rows().into_iter().map(|row| row.fault).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    for name in &names {
        assert!(
            tests.contains(&format!("\"{name}\"")),
            "no test strikes `{name}`"
        );
    }
}
