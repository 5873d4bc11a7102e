//! Where the text that holds the filter is: reads it, and replaces it by an edited one.
//!
//! Knows nothing of what the text means.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::{atomic_file, bounded};
use crate::args::{Common, RemoteArgs};
use crate::clients::fleet::Fleet;
use crate::error::{Failure, Result};
use crate::output::{Report, print_detail};

/// The file name that means standard input.
const STANDARD_INPUT: &str = "-";

/// What to do if there is no file.
const HINT: &str = "--config FILE names the file that holds the filter";

/// How often an edit at a server is tried if other changes come between.
const MOST_TRIES: u32 = 5;

/// Where the text that holds the filter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, which an edit replaces.
    File(PathBuf),
    /// Standard input. An edit passes the text on to standard output.
    StandardInput,
    /// The server of a fleet, and the name of the filter there. An edit replaces the text if it is still the same.
    Server(RemoteArgs, Option<String>),
}

impl Place {
    /// The place that the options name.
    pub fn of(common: &Common) -> Self {
        match common.remote.server {
            Some(_) => Place::Server(common.remote.clone(), common.name.clone()),
            None => Self::named(&common.config),
        }
    }

    /// The place with this file name.
    pub fn named(path: &Path) -> Self {
        match path.as_os_str() == STANDARD_INPUT {
            true => Place::StandardInput,
            false => Place::File(path.to_owned()),
        }
    }

    /// How messages call it.
    pub fn name(&self) -> String {
        match self {
            Place::File(path) => path.display().to_string(),
            Place::StandardInput => "standard input".to_owned(),
            Place::Server(remote, name) => {
                let url = remote.server.as_deref().unwrap_or_default();
                match name {
                    Some(name) => format!("the filter {name} of {url}"),
                    None => format!("the filter of {url}"),
                }
            }
        }
    }

    /// What did not happen if an edit is refused, after the name.
    pub const fn refusal(&self) -> &'static str {
        match self {
            Place::File(_) | Place::Server(..) => "was not changed",
            Place::StandardInput => "was not passed on",
        }
    }

    /// Reads the text.
    pub fn read(&self) -> Result<String> {
        print_detail(|| format!("reading {}", self.name()));
        match self {
            Place::File(path) => atomic_file::read(path, HINT),
            Place::StandardInput => read_standard_input(),
            Place::Server(remote, name) => {
                let (fleet, name) = find(remote, name.as_deref())?;
                Ok(fleet.read(&name)?.0)
            }
        }
    }

    /// Replaces the text: `change` gets it and returns the new one, if it is to change, and the report. If `change` fails,
    /// nothing is replaced. At a server, it is repeated with the new text if another change comes between.
    pub fn update(
        &self,
        mut change: impl FnMut(String) -> Result<(Option<String>, Report)>,
    ) -> Result<Report> {
        print_detail(|| format!("changing {}", self.name()));
        match self {
            Place::File(path) => atomic_file::update(path, HINT, change),
            Place::StandardInput => {
                let text = read_standard_input()?;
                let (new, report) = change(text.clone())?;
                Ok(report.beside(new.unwrap_or(text)))
            }
            Place::Server(remote, name) => {
                let (fleet, name) = find(remote, name.as_deref())?;
                for _ in 0..MOST_TRIES {
                    let (text, etag) = fleet.read(&name)?;
                    let (new, report) = change(text)?;
                    let is_done = match new {
                        Some(new) => fleet.replace(&name, &etag, &new)?,
                        None => true,
                    };
                    if is_done {
                        return Ok(report);
                    }
                }
                Err(Failure::refused(format!(
                    "{} was not changed: others changed it each of the {MOST_TRIES} times that this was tried; try again",
                    self.name()
                )))
            }
        }
    }

    /// The same without replacing anything: `change` only reports.
    pub fn try_update(
        &self,
        change: impl FnOnce(String) -> Result<(Option<String>, Report)>,
    ) -> Result<Report> {
        let (_, report) = change(self.read()?)?;
        Ok(match self {
            Place::File(_) | Place::Server(..) => report,
            // The next command in the pipe gets nothing to apply.
            Place::StandardInput => report.beside(String::new()),
        })
    }
}

/// The server, and the name of the filter there.
fn find(remote: &RemoteArgs, name: Option<&str>) -> Result<(Fleet, String)> {
    let fleet = Fleet::new(remote.server.as_deref().unwrap_or_default(), remote)?;
    let name = fleet.filter_name(name)?;
    Ok((fleet, name))
}

fn read_standard_input() -> Result<String> {
    let input = io::stdin().lock();
    if input.is_terminal() {
        return Err(Failure::usage(
            "standard input is a terminal; pipe the configuration into the command, such as \
             kubectl get wasmplugin NAME -o yaml | portcullis --config - status",
        ));
    }
    let text = bounded::read(input, bounded::LARGEST_CONFIGURATION)
        .and_then(bounded::text)
        .map_err(|reason| Failure::refused(format!("standard input can't be read: {reason}")))?;
    if text.trim().is_empty() {
        return Err(Failure::refused(
            "standard input is empty; the command before the pipe printed nothing",
        ));
    }
    Ok(text)
}
