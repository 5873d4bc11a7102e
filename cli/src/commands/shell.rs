//! Shell completions and the man page, made from the description of the commands.

use clap::Command;
use clap_complete::Shell;
use serde_json::json;

use crate::args::command;
use crate::error::{Failure, Result};
use crate::output::Report;

/// A completion script.
pub fn completions(shell: Shell) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "portcullis", &mut script);
    let script = String::from_utf8_lossy(&script).trim_end().to_owned();
    let json = json!({"shell": shell.to_string(), "script": script});
    Report::new(script, json)
}

/// The man page: an overview, then each command.
pub fn man_page() -> Result<Report> {
    let failed = |error| Failure::refused(format!("the man page can't be rendered: {error}"));
    let mut page = Vec::new();
    // Gives each command the global flags.
    let mut command = command();
    command.build();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(failed)?;
    for (name, subcommand) in with_subcommands(&command, "") {
        let man = clap_mangen::Man::new(subcommand.clone());
        page.extend(format!(".SH \"COMMAND {name}\"\n").into_bytes());
        man.render_synopsis_section(&mut page)
            .and_then(|()| man.render_description_section(&mut page))
            .and_then(|()| man.render_options_section(&mut page))
            .map_err(failed)?;
    }
    let page = String::from_utf8_lossy(&page).trim_end().to_owned();
    let json = json!({ "man": page });
    Ok(Report::new(page, json))
}

/// The commands below `command`, each with its name and followed by those below it.
fn with_subcommands<'c>(command: &'c Command, prefix: &str) -> Vec<(String, &'c Command)> {
    let below = command.get_subcommands();
    let below = below.filter(|command| command.get_name() != "help");
    below
        .flat_map(|command| {
            let name = format!("{prefix}{}", command.get_name());
            let below = with_subcommands(command, &format!("{name} "));
            [(name, command)].into_iter().chain(below)
        })
        .collect()
}
