//! `portcullis`, the command line tool: ASE's commands for an Envoy that runs the filter.
//!
//! Each command changes or reads the file that holds the filter, ABS's API, or Envoy's admin interface.
//!
//! | file | owns |
//! |---|---|
//! | `args.rs` | every command and flag, with its help |
//! | `flags.rs` | enable_... and disable_... |
//! | `lists.rs`, `list_shape.rs`, `entry.rs` | the manual lists; how a list is written; one entry |
//! | `listener.rs` | what the listener around the filter must do for it |
//! | `status.rs`, `envoy_admin.rs`, `access_log.rs` | what the file says, and what a running Envoy reports |
//! | `attack_list.rs`, `abs.rs`, `http.rs` | ABS's list; ABS's API |
//! | `explain.rs` | what becomes of a request, and why |
//! | `check_config.rs` | whether a configuration is valid |
//! | `shell.rs` | completions and the man page |
//! | `change.rs`, `difference.rs` | one change of the configuration: read, edit, validate, write or show; what differs |
//! | `filter_file.rs`, `place.rs` | where in a file the filter's configuration stands |
//! | `document.rs`, `json_edit.rs`, `yaml_edit.rs` | a text, and the least change of it |
//! | `tree.rs`, `yaml.rs` | a value as it is written; YAML as Envoy and Kubernetes read it |
//! | `file.rs` | lock, temporary file, fsync, rename |
//! | `output.rs`, `error.rs` | what is printed, and the exit code |
//!
//! What a configuration means is the library's business: the commands validate and judge with the filter's own code.

#![forbid(unsafe_code)]

mod abs;
mod access_log;
mod args;
mod attack_list;
mod change;
mod check_config;
mod difference;
mod document;
mod entry;
mod envoy_admin;
mod error;
mod explain;
mod file;
mod filter_file;
mod flags;
mod http;
mod json_edit;
mod list_shape;
mod listener;
mod lists;
mod output;
mod place;
mod shell;
mod status;
mod tree;
mod yaml;
mod yaml_edit;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Arguments, Command};
use self::error::Failure;
use self::output::Report;

/// Reads the command line, runs the command, prints what it says. 0: done, 1: refused, 2: usage.
fn main() -> ExitCode {
    let arguments = Arguments::parse_from(as_typed_for_ase(std::env::args_os()));
    let common = &arguments.common;
    if common.user.is_some() || common.password.is_some() {
        output::print_note(
            "-u and -p are not used: who may do what is decided by the permissions of the file",
        );
    }
    let result = dispatch(&arguments);
    output::print(&result, common.output)
}

/// The command line, in which a command after ASE's `-p` is no password: there it may stand without one, to be asked for
/// it.
fn as_typed_for_ase(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let commands = Arguments::command();
    let is_command = |word: &OsString| commands.get_subcommands().any(|one| word == one.get_name());
    let mut words: Vec<OsString> = words.collect();
    // The first command is the one that is meant.
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

fn dispatch(arguments: &Arguments) -> Result<Report, Failure> {
    let common = &arguments.common;
    match &arguments.command {
        Command::EnableFirewall => flags::set(common, flags::Flag::Firewall, true),
        Command::DisableFirewall => flags::set(common, flags::Flag::Firewall, false),
        Command::EnableAbs => flags::set(common, flags::Flag::Abs, true),
        Command::DisableAbs => flags::set(common, flags::Flag::Abs, false),
        Command::EnableAbsAttack => flags::set(common, flags::Flag::AbsAttack, true),
        Command::DisableAbsAttack => flags::set(common, flags::Flag::AbsAttack, false),
        Command::Status(args) => status::run(common, args),
        Command::AddWhitelist(words) => lists::add(common, lists::List::Allow, words),
        Command::DeleteWhitelist(words) => lists::delete(common, lists::List::Allow, words),
        Command::ViewWhitelist => lists::view_allow_list(common),
        Command::ClearWhitelist => lists::clear(common, lists::List::Allow),
        Command::AddBlacklist(words) => lists::add(common, lists::List::Deny, words),
        Command::DeleteBlacklist(words) => lists::delete(common, lists::List::Deny, words),
        Command::ViewBlacklist(args) => lists::view_deny_list(common, args),
        Command::ClearBlacklist => lists::clear(common, lists::List::Deny),
        Command::AttackList(args) => attack_list::run(common, args),
        Command::Explain(args) => explain::run(common, args),
        Command::CheckConfig(args) => check_config::run(common, args),
        Command::Completions { shell } => Ok(shell::completions(*shell)),
        Command::Man => shell::man_page(),
    }
}
