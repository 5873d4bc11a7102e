//! Every console block of the documents is run, and must print what it shows.

use std::fs;

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
    blocks.retain(|block| block.contains("$ portcullis "));
    blocks
}

#[test]
fn the_documents_show_what_the_commands_print() {
    for document in ["README.md", "docs/cli.md"] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let blocks = console_blocks(&text);
        assert!(
            blocks.len() >= 3,
            "{document} has {} console blocks",
            blocks.len()
        );
        // One after the other on one file, as a reader would.
        let workspace = Workspace::new();
        for block in blocks {
            let replayed = workspace.replay(&block);
            assert_same_session(document, &block, &replayed);
        }
    }
}

#[test]
fn every_command_of_ase_has_its_row() {
    let text = fs::read_to_string(repository().join("README.md")).unwrap();
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
