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

use self::args::Arguments;

/// Exit codes: 0 done, 1 refused, 2 wrong usage.
fn main() -> ExitCode {
    if std::env::args_os().len() <= 1 {
        // To clap, a variable such as PORTCULLIS_CONFIG is an argument.
        eprint!("{}", args::command().render_help());
        return ExitCode::from(2);
    }
    let matches = args::command().get_matches_from(with_empty_password(std::env::args_os()));
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
