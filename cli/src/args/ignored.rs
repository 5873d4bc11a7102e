//! Options that a command does not use: hidden in its help, and refused where they are given. The tables name options by
//! the field that has them.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command as Parser};

use super::{Arguments, BlacklistPart, Command, DenyCommand};
use crate::error::{Failure, Result};

/// The options that name the server of a fleet.
const SERVER: [&str; 3] = ["server", "token_file", "server_ca"];

/// The options that name a filter, in a file or at a server.
const FILTER: [&str; 6] = [
    "config",
    "name",
    "namespace",
    "server",
    "token_file",
    "server_ca",
];

/// The options that say how ABS is called.
const ABS: [&str; 7] = [
    "abs_url",
    "access_key_env",
    "secret_key_env",
    "window",
    "timeout",
    "ca",
    "insecure",
];

/// Of the options of every command, those that these commands do not use whatever else is given.
fn unused(command: &str) -> Vec<&'static str> {
    match command {
        "view_whitelist" | "view_blacklist" | "allow view" | "deny view" | "get" | "explain"
        | "feeds read" => vec!["dry_run"],
        "status" | "check_config" | "feeds" | "feeds list" => vec!["dry_run", "show_secrets"],
        "nodes" => vec!["config", "name", "namespace", "dry_run", "show_secrets"],
        "init" | "import-ase" => [&FILTER[..], &["show_secrets"]].concat(),
        "serve" => [&FILTER[..], &["dry_run", "show_secrets"]].concat(),
        "completions" | "man" | "schema" => [
            &FILTER[..],
            &["dry_run", "show_secrets", "quiet", "verbose"],
        ]
        .concat(),
        _ => Vec::new(),
    }
}

/// The command line with these options hidden.
pub fn hide(root: Parser) -> Parser {
    let options: Vec<_> = root
        .get_arguments()
        .filter(|option| option.is_global_set())
        .cloned()
        .collect();
    root.mut_subcommands(|command| hide_below(command, "", &options))
}

fn hide_below(command: Parser, above: &str, options: &[clap::Arg]) -> Parser {
    let name = format!("{above}{}", command.get_name());
    let unused = unused(&name);
    let hidden = options
        .iter()
        .filter(|option| unused.contains(&option.get_id().as_str()));
    // An option that a command has is not added to it again with those of every command.
    let command = command.args(hidden.map(|option| option.clone().hide(true)));
    command.mut_subcommands(|below| hide_below(below, &format!("{name} "), options))
}

/// Refuses an option on the command line that has no effect there.
pub fn refuse(matches: &ArgMatches, arguments: &Arguments) -> Result<()> {
    let mut names = Vec::new();
    let mut at = matches;
    while let Some((name, below)) = at.subcommand() {
        names.push(name);
        at = below;
    }
    let name = names.join(" ");
    let is_given = |option: &&&str| {
        at.try_contains_id(option).is_ok()
            && at.value_source(option) == Some(ValueSource::CommandLine)
    };
    let options = unused(&name);
    if let Some(option) = options.iter().find(is_given) {
        let option = spelling(option);
        return Err(Failure::usage(format!(
            "{name} does not use {option}; omit it"
        )));
    }
    for (options, condition) in without_effect(arguments) {
        if let Some(option) = options.iter().find(is_given) {
            let option = spelling(option);
            return Err(Failure::usage(format!(
                "{name} does not use {option} {condition}; omit it"
            )));
        }
    }
    Ok(())
}

/// The options without effect beside what else is given, each group with that condition.
fn without_effect(arguments: &Arguments) -> Vec<(Vec<&'static str>, &'static str)> {
    match &arguments.command {
        Command::AttackList(args) if args.remove => vec![
            (FILTER.to_vec(), "with --remove"),
            (vec!["status", "window"], "with --remove"),
        ],
        Command::AttackList(args) if !args.import_deny => {
            let options = [&FILTER[..], &["dry_run"]].concat();
            vec![(options, "without --import-deny or --remove")]
        }
        Command::CheckConfig(args) if !args.files.is_empty() => {
            let options = [&["config"], &SERVER[..]].concat();
            vec![(options, "beside the name of a file")]
        }
        Command::Explain(args) if args.list.is_some() => {
            vec![(ABS.to_vec(), "beside --list")]
        }
        Command::Explain(args) if args.abs.abs_url.is_none() => {
            vec![(ABS.to_vec(), "without --abs")]
        }
        Command::ViewBlacklist(args) | Command::Deny(DenyCommand::View(args)) => match &args.part {
            BlacklistPart::Manual => {
                vec![([&ABS[..], &["url"]].concat(), "for the manual entries")]
            }
            BlacklistPart::AbsDetected => {
                vec![([&FILTER[..], &["url"]].concat(), "for the list of ABS")]
            }
            BlacklistPart::All if args.abs.abs_url.is_none() => {
                vec![([&ABS[..], &["url"]].concat(), "without --abs")]
            }
            BlacklistPart::All => vec![(vec!["url"], "without the name of a feed")],
            BlacklistPart::Feed(_) => {
                let options = ["abs_url", "access_key_env", "secret_key_env", "window"];
                vec![(options.to_vec(), "for the list of a feed")]
            }
        },
        _ => Vec::new(),
    }
}

/// The option as it is written.
fn spelling(option: &str) -> String {
    match option {
        "abs_url" => "--abs".to_owned(),
        option => format!("--{}", option.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::args::command;

    /// Why a command line is refused.
    fn refusal(line: &str) -> Option<String> {
        let words = ["portcullis"].into_iter().chain(line.split(' '));
        let matches = command().get_matches_from(words);
        let arguments = Arguments::from_arg_matches(&matches).unwrap();
        refuse(&matches, &arguments)
            .err()
            .map(|failure| failure.message)
    }

    #[test]
    fn an_option_without_effect_is_refused() {
        let abs = "--abs http://127.0.0.1:1";
        let with_abs = |line: &str| format!("{line} {abs}");
        let table = [
            (
                "status --dry-run".to_owned(),
                "status does not use --dry-run; omit it",
            ),
            (
                "--dry-run status".to_owned(),
                "status does not use --dry-run; omit it",
            ),
            (
                "allow view --dry-run".to_owned(),
                "allow view does not use --dry-run; omit it",
            ),
            (
                "nodes --config x.json --server http://127.0.0.1:1".to_owned(),
                "nodes does not use --config; omit it",
            ),
            (
                "man --config x.json".to_owned(),
                "man does not use --config; omit it",
            ),
            (
                "import-ase x --server http://127.0.0.1:1".to_owned(),
                "import-ase does not use --server; omit it",
            ),
            (
                with_abs("attack_list --config x.json"),
                "attack_list does not use --config without --import-deny or --remove; omit it",
            ),
            (
                with_abs("attack_list --remove ip 192.0.2.1 --window 1d"),
                "attack_list does not use --window with --remove; omit it",
            ),
            (
                "check_config a.json --config b.json".to_owned(),
                "check_config does not use --config beside the name of a file; omit it",
            ),
            (
                with_abs("view_blacklist manual"),
                "view_blacklist does not use --abs for the manual entries; omit it",
            ),
            (
                with_abs("deny view drop"),
                "deny view does not use --abs for the list of a feed; omit it",
            ),
            (
                with_abs("explain --list list.json"),
                "explain does not use --abs beside --list; omit it",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(refusal(&line).as_deref(), Some(expected), "{line}");
        }
        for line in [
            "status --envoy http://127.0.0.1:9901 --config x.json",
            "enable_firewall --dry-run --show-secrets",
            "get --config x.json",
            "check_config a.json --name waf",
            "import-ase x --dry-run",
            "view_blacklist drop --url http://127.0.0.1:1 --timeout 1s",
        ] {
            assert_eq!(refusal(line), None, "{line}");
        }
        assert_eq!(
            refusal(&with_abs("attack_list --import-deny --dry-run")),
            None
        );
        assert_eq!(refusal(&with_abs("view_blacklist all --window 1d")), None);
    }

    #[test]
    fn the_help_of_a_command_shows_only_what_it_uses() {
        let mut command = command();
        command.build();
        let shown = |path: &[&str]| -> Vec<String> {
            let mut at = &command;
            for name in path {
                at = at.find_subcommand(name).unwrap();
            }
            let options = at.get_arguments().filter(|option| !option.is_hide_set());
            options
                .filter_map(|option| option.get_long().map(str::to_owned))
                .collect()
        };
        let has = |path: &[&str], option: &str| shown(path).iter().any(|shown| shown == option);
        assert!(has(&["enable_firewall"], "dry-run"));
        assert!(!has(&["status"], "dry-run") && has(&["status"], "config"));
        assert!(!has(&["deny", "view"], "dry-run") && has(&["deny", "add"], "dry-run"));
        assert!(!has(&["man"], "config") && has(&["man"], "output"));
    }
}
