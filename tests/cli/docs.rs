//! Runs every console block of the documents: the output must be the one shown.

use std::collections::BTreeSet;
use std::fs;

use portcullis::config::KNOWN_KEYS;
use portcullis::identifier::PerKind;
use portcullis::metrics::Metric;

use crate::support::{Workspace, assert_same_session, repository};

/// The console blocks of a Markdown text that run the tool.
fn console_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in markdown.lines() {
        match (&mut block, line) {
            (None, "```console") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks.retain(|block| {
        ["$ portcullis ", "| portcullis "]
            .iter()
            .any(|run| block.contains(run))
    });
    blocks
}

#[test]
fn the_documents_show_what_the_commands_print() {
    for document in ["docs/ase.md", "docs/cli.md"] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let blocks = console_blocks(&text);
        assert!(
            blocks.len() >= 3,
            "{document} has {} console blocks",
            blocks.len()
        );
        // One after another on one file, as a reader would.
        let mut workspace = Workspace::new();
        workspace.add_programs(&repository().join("tests/cli/bin"));
        let object = "tests/cli/fixtures/kubectl/wasmplugin.yaml";
        let object = fs::read_to_string(repository().join(object)).unwrap();
        workspace.write("cluster.yaml", &object);
        for block in blocks {
            let replayed = workspace.replay(&block);
            assert_same_session(document, &block, &replayed);
        }
    }
}

#[test]
fn every_command_of_ase_has_its_row() {
    let text = fs::read_to_string(repository().join("docs/ase.md")).unwrap();
    let commands = [
        "enable_firewall",
        "disable_firewall",
        "enable_abs",
        "disable_abs",
        "enable_abs_attack",
        "disable_abs_attack",
        "status",
        "add_whitelist",
        "delete_whitelist",
        "view_whitelist",
        "clear_whitelist",
        "add_blacklist",
        "delete_blacklist",
        "view_blacklist",
        "clear_blacklist",
    ];
    let first_cells: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();
    for command in commands {
        let names = |cell: &&str| cell.split(['`', ' ', ',']).any(|word| word == command);
        assert!(first_cells.iter().any(names), "no row for {command}");
    }
}

/// The files that contain the names in docs/questions.md that are not metrics, keys, commands or alerts.
const SOURCES: [&str; 8] = [
    "docs/operating.md",
    "docs/configuration.md",
    "envoy/README.md",
    "envoy/envoy.yaml",
    "envoy/filter.json",
    "examples/istio-sidecar/README.md",
    "examples/istio-sidecar/gateway.yaml",
    "examples/kubernetes-sidecar/README.md",
];

/// The texts between backticks.
fn code_spans(markdown: &str) -> BTreeSet<&str> {
    markdown.split('`').skip(1).step_by(2).collect()
}

/// Every key, by its path and by its name.
fn known_keys() -> BTreeSet<String> {
    let sections = KNOWN_KEYS.iter();
    let keys = sections.flat_map(|(section, keys)| keys.iter().map(move |key| (*section, *key)));
    keys.flat_map(|(section, key)| [key.to_owned(), format!("{section}.{key}")])
        .collect()
}

/// What is wrong with a name in docs/questions.md, if anything.
fn fault(span: &str, workspace: &Workspace) -> Option<String> {
    if let Some(arguments) = span.strip_prefix("portcullis ") {
        let command = arguments.split(' ').next().unwrap();
        let help = workspace.run(&[command, "--help"]);
        let help_text = String::from_utf8_lossy(&help.stdout).into_owned();
        let unknown = arguments.split(' ').find(|word| {
            word.starts_with("--") && !help_text.split_whitespace().any(|w| w == *word)
        });
        return match (help.status.success(), unknown) {
            (false, _) => Some(format!("{span}: no such command")),
            (true, unknown) => unknown.map(|flag| format!("{span}: no flag {flag}")),
        };
    }
    if span.starts_with("portcullis.") {
        let labelled = [format!("{span}."), format!("{span}.kind="), span.to_owned()];
        let known = metric_names().any(|name| {
            name == span
                || labelled
                    .iter()
                    .any(|start| name.starts_with(start.as_str()))
        });
        return (!known).then(|| format!("{span}: no such metric"));
    }
    if span.starts_with("portcullis_denied_") && !span.contains('<') {
        let known = metric_names().any(|name| {
            let (reason, denied) = (name.rsplit_once("source="), name.contains(".denied."));
            let details = reason.map(|(_, reason)| reason.replace(".kind=", "_"));
            denied && details.is_some_and(|details| span == format!("portcullis_denied_{details}"))
        });
        return (!known).then(|| format!("{span}: no such detail"));
    }
    if span.starts_with("Portcullis") {
        let rules = fs::read_to_string(repository().join("examples/observability/rules.yml"));
        let known = rules.unwrap().contains(&format!("- alert: {span}\n"));
        return (!known).then(|| format!("{span}: no such alert"));
    }
    if known_keys().contains(span) || repository().join(span).is_file() {
        return None;
    }
    let contains = |file: &str| {
        let text = fs::read_to_string(repository().join(file)).unwrap();
        text.contains(span)
    };
    let found = SOURCES.iter().any(|file| contains(file));
    (!found).then(|| format!("{span}: no other file contains it"))
}

#[test]
fn the_questions_mention_only_existing_names() {
    let questions = fs::read_to_string(repository().join("docs/questions.md")).unwrap();
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains("](docs/questions.md)"));
    let workspace = Workspace::new();
    let spans = code_spans(&questions);
    assert!(spans.len() > 40, "only {} names", spans.len());
    let faults: Vec<_> = spans
        .iter()
        .filter_map(|span| fault(span, &workspace))
        .collect();
    assert_eq!(faults, Vec::<String>::new());
    // The search finds a wrong name.
    for wrong in [
        "portcullis no_such_command",
        "portcullis explain --no-such-flag",
        "portcullis.no_such_metric",
        "portcullis.fetch.result=lost",
        "PortcullisNoSuchAlert",
        "guard.no_such_key",
        "portcullis_denied_manual_no_list",
    ] {
        assert!(fault(wrong, &workspace).is_some(), "{wrong}");
    }
}

#[test]
fn the_commands_that_documents_mention_exist() {
    let workspace = Workspace::new();
    for document in ["README.md", "docs/install.md", "docs/operating.md"] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let mut commands = code_spans(&text);
        commands.retain(|span| span.starts_with("portcullis "));
        assert!(!commands.is_empty(), "{document}");
        for command in commands {
            assert_eq!(fault(command, &workspace), None, "{document}");
        }
    }
}

/// The metrics of every configuration, those of ABS's feed, and those of another feed.
fn metric_names() -> impl Iterator<Item = String> {
    let feeds = ["abs", "drop"].into_iter();
    let feeds = feeds.flat_map(|name| Metric::of_feed(&name.into(), PerKind::WITH_LIST_KEY));
    Metric::common()
        .into_iter()
        .chain(feeds)
        .map(|metric| metric.name())
}
