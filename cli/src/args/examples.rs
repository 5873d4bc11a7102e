//! The examples at the end of each command's help. The tests run each through the parser.

use std::fmt::Write as _;

use clap::Command;

/// Examples of a command, without the name of the program.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "enable_firewall",
        &[
            "enable_firewall",
            "--config wasm-plugin.yaml enable_firewall",
        ],
    ),
    (
        "disable_firewall",
        &[
            "disable_firewall",
            "--server https://fleet.example.com:9902 disable_firewall",
        ],
    ),
    ("enable_abs", &["enable_abs"]),
    ("disable_abs", &["disable_abs"]),
    (
        "enable_abs_attack",
        &["enable_abs_attack", "enable_abs_attack --dry-run"],
    ),
    ("disable_abs_attack", &["disable_abs_attack"]),
    (
        "status",
        &[
            "status",
            "status --envoy http://127.0.0.1:9901",
            "status --envoy http://10.0.0.1:9901 --envoy http://10.0.0.2:9901 --exit-code",
            "status -o json",
        ],
    ),
    (
        "add_whitelist",
        &[
            "add_whitelist ip 10.10.10.10",
            "add_whitelist ip 198.51.100.0/24 2001:db8::/48",
            "add_whitelist username bob",
        ],
    ),
    (
        "delete_whitelist",
        &[
            "delete_whitelist ip 10.10.10.10",
            "delete_whitelist ip --from addresses.txt",
        ],
    ),
    (
        "view_whitelist",
        &["view_whitelist", "view_whitelist -o json"],
    ),
    ("clear_whitelist", &["clear_whitelist --dry-run"]),
    (
        "add_blacklist",
        &[
            "add_blacklist ip 192.0.2.7 198.51.100.0/24",
            "add_blacklist cookie JSESSIONID 4f1c0e d3b073",
            "add_blacklist api_key x-api-key d3b07384",
            "add_blacklist ip --from addresses.txt",
        ],
    ),
    (
        "delete_blacklist",
        &[
            "delete_blacklist ip 192.0.2.7",
            "delete_blacklist token --from tokens.txt",
        ],
    ),
    (
        "view_blacklist",
        &[
            "view_blacklist manual",
            "view_blacklist all --abs https://abs.example.com:8080",
            "view_blacklist drop",
        ],
    ),
    ("clear_blacklist", &["clear_blacklist"]),
    (
        "allow",
        &[
            "allow add ip 10.10.10.10",
            "allow delete ip 10.10.10.10",
            "allow view",
        ],
    ),
    (
        "deny",
        &[
            "deny add ip 192.0.2.7",
            "deny delete ip 192.0.2.7",
            "deny view manual",
            "deny clear",
        ],
    ),
    (
        "attack_list",
        &[
            "attack_list --abs https://abs.example.com:8080",
            "attack_list --type ip --contains 192.0.2.7",
            "attack_list --limit 50 --offset 100",
            "attack_list --import-deny",
            "attack_list --remove ip 192.0.2.1",
        ],
    ),
    ("shadow", &["shadow on", "shadow off --api shop"]),
    (
        "set",
        &[
            "set abs_attack_request_minutes 5",
            "set guard.max_denied_percent 20",
            "set apis[shop].mode shadow",
        ],
    ),
    (
        "get",
        &[
            "get",
            "get abs_attack_request_minutes",
            "get feeds[lapi].interval -o json",
        ],
    ),
    (
        "feeds",
        &[
            "feeds list",
            "feeds read lapi --url https://lapi.example.com:8080",
        ],
    ),
    (
        "explain",
        &[
            "explain --ip 192.0.2.7 --url /shop",
            "explain --cookie JSESSIONID=4f1c0e --list attacklist.json",
            "explain --ip 192.0.2.7 --feed drop=drop.txt",
        ],
    ),
    (
        "init",
        &[
            "init --bootstrap /etc/envoy/envoy.yaml --module /etc/envoy/portcullis/portcullis.wasm",
            "init --bootstrap envoy.yaml --module portcullis.wasm --dry-run",
        ],
    ),
    (
        "import-ase",
        &[
            "import-ase /opt/pingidentity/ase --dry-run",
            "import-ase /opt/pingidentity/ase --to portcullis",
        ],
    ),
    (
        "check_config",
        &[
            "check_config",
            "check_config gateway.yaml sidecar.yaml",
            "check_config -o json filter.json",
        ],
    ),
    (
        "nodes",
        &["--server https://fleet.example.com:9902 nodes --state behind"],
    ),
    (
        "serve",
        &["serve --filters filters --listen 127.0.0.1:9902"],
    ),
    ("schema", &["schema"]),
    ("completions", &["completions bash"]),
    ("man", &["man"]),
];

/// Adds the examples of a command to its help.
pub fn add(command: Command, name: &str) -> Command {
    let Some((_, examples)) = EXAMPLES.iter().find(|(known, _)| *known == name) else {
        return command;
    };
    let mut text = "Examples:".to_owned();
    for example in *examples {
        // A shell would expand brackets.
        let words = example.split(' ').map(|word| match word.contains('[') {
            true => format!("'{word}'"),
            false => word.to_owned(),
        });
        let _ = write!(
            text,
            "\n  portcullis {}",
            words.collect::<Vec<_>>().join(" ")
        );
    }
    command.after_help(text)
}

#[cfg(test)]
mod tests {
    use super::EXAMPLES;
    use crate::args::command;

    #[test]
    fn every_command_has_examples_that_the_parser_accepts() {
        for subcommand in command().get_subcommands() {
            let name = subcommand.get_name();
            let examples = EXAMPLES.iter().find(|(known, _)| *known == name);
            let (_, examples) = examples.unwrap_or_else(|| panic!("{name} has no examples"));
            for example in *examples {
                let words = ["portcullis"].into_iter().chain(example.split(' '));
                let parsed = command().try_get_matches_from(words);
                let parsed = parsed.unwrap_or_else(|error| panic!("{example}: {error}"));
                assert_eq!(parsed.subcommand_name(), Some(name), "{example}");
            }
        }
    }

    #[test]
    fn every_command_has_a_spelling_with_dashes() {
        let command = command();
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            let mut aliases = subcommand.get_all_aliases();
            let has_dashed = aliases.any(|alias| alias == name.replace('_', "-"));
            assert!(!name.contains('_') || has_dashed, "{name}");
        }
    }
}
