//! `portcullis`, the command line tool: ASE's commands for an Envoy that runs the filter.
//!
//! Each command changes or reads the file that holds the filter (or standard input), a list server, or Envoy's admin
//! interface.
//!
//! | module | owns |
//! |---|---|
//! | `args` | every command and flag, with its help |
//! | `commands` | what each command does, one file a command or group |
//! | `config_file` | the text that holds the filter: where it is, which configuration in it is meant, edits |
//! | `document` | a JSON or YAML text: its values, and edits in place |
//! | `clients` | ABS's API, the list servers of feeds, Envoy's admin interface and access log, the server of a fleet |
//! | `serve` | the server of a fleet: configuration, lists, nodes, management API and page |
//! | `entry`, `feed_list` | one entry of a list; the list of a feed |
//! | `output`, `error` | what is printed, and the exit code |
//!
//! The library defines what a configuration means: the commands validate and judge with the filter's own code.

#![forbid(unsafe_code)]

mod args;
mod clients;
mod commands;
mod config_file;
mod document;
mod entry;
mod error;
mod feed_list;
mod output;
mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches as _;
use clap::error::{ContextKind, ContextValue};

use self::args::Arguments;

/// Exit codes: 0 done, 1 refused, 2 wrong usage.
fn main() -> ExitCode {
    if std::env::args_os().len() <= 1 {
        // To clap, a variable such as PORTCULLIS_CONFIG is an argument.
        eprint!("{}", args::command().render_help());
        return ExitCode::from(2);
    }
    let matches = args::command()
        .try_get_matches_from(with_empty_password(std::env::args_os()))
        .unwrap_or_else(|error| with_few_suggestions(error).exit());
    let mut arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let settled = args::refuse_ignored(&matches, &arguments)
        .and_then(|()| args::settle(&matches, &mut arguments.common));
    let common = &arguments.common;
    output::set_verbosity(common.quiet, common.verbose);
    if common.user.is_some() || common.password.is_some() {
        output::print_note(
            "-u and -p are not used: the permissions of the file decide who may do what",
        );
    }
    let result = settled.and_then(|()| commands::run(&arguments));
    output::print(&result, common.output)
}

/// An error about a mistyped command with its best suggestions first, each in one spelling.
fn with_few_suggestions(mut error: clap::Error) -> clap::Error {
    /// How many are shown.
    const MOST: usize = 2;
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::SuggestedSubcommand) {
        // clap has the best one last.
        let commands = args::command();
        let is_name = |name: &&String| {
            commands
                .find_subcommand(name)
                .is_some_and(|it| it.get_name() == *name)
        };
        let best: Vec<_> = names
            .iter()
            .rev()
            .filter(is_name)
            .take(MOST)
            .cloned()
            .collect();
        let value = match best.as_slice() {
            [] => return error,
            [one] => ContextValue::String(one.clone()),
            _ => ContextValue::Strings(best),
        };
        error.insert(ContextKind::SuggestedSubcommand, value);
    }
    error
}

/// The command line, with a command after ASE's `-p` not taken for the password: ASE prompts for one if it is omitted.
fn with_empty_password(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let commands = args::command();
    let is_command = |word: &OsString| {
        let names = |one: &clap::Command| {
            word == one.get_name() || one.get_all_aliases().any(|alias| word == alias)
        };
        commands.get_subcommands().any(names)
    };
    let mut words: Vec<OsString> = words.collect();
    // The first command counts.
    let before = words
        .iter()
        .position(is_command)
        .and_then(|at| at.checked_sub(1));
    if let Some(word) = before.and_then(|at| words.get_mut(at))
        && word == "-p"
    {
        *word = "-p=".into();
    }
    words
}
