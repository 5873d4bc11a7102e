//! Calls the function of each command. A file has one command or a group of them.

mod attack_list;
mod check_config;
pub mod explain;
mod feeds;
mod import_ase;
mod init;
pub mod manual_lists;
mod nodes;
mod schema;
mod settings;
mod shadow;
mod shell;
mod status;
pub mod switches;

use self::manual_lists::List;
use self::switches::Switch;
use crate::args::{AllowCommand, Arguments, Command, DenyCommand};
use crate::error::Result;
use crate::output::Report;

/// Runs the command that the command line names.
pub fn run(arguments: &Arguments) -> Result<Report> {
    let common = &arguments.common;
    match &arguments.command {
        Command::EnableFirewall => switches::set(common, Switch::Firewall, true),
        Command::DisableFirewall => switches::set(common, Switch::Firewall, false),
        Command::EnableAbs => switches::set(common, Switch::Abs, true),
        Command::DisableAbs => switches::set(common, Switch::Abs, false),
        Command::EnableAbsAttack => switches::set(common, Switch::AbsAttack, true),
        Command::DisableAbsAttack => switches::set(common, Switch::AbsAttack, false),
        Command::Status(args) => status::run(common, args),
        Command::AddWhitelist(words) | Command::Allow(AllowCommand::Add(words)) => {
            manual_lists::add(common, List::Allow, words)
        }
        Command::DeleteWhitelist(words) | Command::Allow(AllowCommand::Delete(words)) => {
            manual_lists::delete(common, List::Allow, words)
        }
        Command::ViewWhitelist | Command::Allow(AllowCommand::View) => {
            manual_lists::view_allow_list(common)
        }
        Command::ClearWhitelist | Command::Allow(AllowCommand::Clear) => {
            manual_lists::clear(common, List::Allow)
        }
        Command::AddBlacklist(words) | Command::Deny(DenyCommand::Add(words)) => {
            manual_lists::add(common, List::Deny, words)
        }
        Command::DeleteBlacklist(words) | Command::Deny(DenyCommand::Delete(words)) => {
            manual_lists::delete(common, List::Deny, words)
        }
        Command::ViewBlacklist(args) | Command::Deny(DenyCommand::View(args)) => {
            manual_lists::view_deny_list(common, args)
        }
        Command::ClearBlacklist | Command::Deny(DenyCommand::Clear) => {
            manual_lists::clear(common, List::Deny)
        }
        Command::AttackList(args) => attack_list::run(common, args),
        Command::Shadow(args) => shadow::run(common, args),
        Command::Set(args) => settings::set(common, args),
        Command::Get(args) => settings::get(common, args),
        Command::Feeds(command) => feeds::run(common, command),
        Command::Explain(args) => explain::run(common, args),
        Command::ImportAse(args) => import_ase::run(common, args),
        Command::Init(args) => init::run(common, args),
        Command::CheckConfig(args) => check_config::run(common, args),
        Command::Nodes(args) => nodes::run(common, args),
        Command::Serve(args) => crate::serve::run(args),
        Command::Schema => schema::run(),
        Command::Completions { shell } => Ok(shell::completions(*shell)),
        Command::Man => shell::man_page(),
    }
}
