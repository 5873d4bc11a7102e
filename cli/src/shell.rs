//! Shell completions and the man page, made from the description of the commands.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use super::args::Arguments;
use super::error::Failure;
use super::output::Report;

/// A completion script.
pub fn completions(shell: Shell) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut script);
    let script = String::from_utf8_lossy(&script).trim_end().to_owned();
    let json = json!({"shell": shell.to_string(), "script": script});
    Report::new(script, json)
}

/// The man page: the commands as a whole, then each of them.
pub fn man_page() -> Result<Report, Failure> {
    let mut page = Vec::new();
    // Built, so that each command knows the flags that all take.
    let mut command = Arguments::command();
    command.build();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(Failure::ManPage)?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let man = clap_mangen::Man::new(subcommand.clone());
        let title = format!(".SH \"COMMAND {}\"\n", subcommand.get_name());
        page.extend(title.into_bytes());
        man.render_synopsis_section(&mut page)
            .and_then(|()| man.render_description_section(&mut page))
            .and_then(|()| man.render_options_section(&mut page))
            .map_err(Failure::ManPage)?;
    }
    let page = String::from_utf8_lossy(&page).trim_end().to_owned();
    let json = json!({ "man": page });
    Ok(Report::new(page, json))
}
