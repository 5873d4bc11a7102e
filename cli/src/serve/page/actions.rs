//! What the forms do: they edit a filter's file by the same functions as the commands. Renders nothing.

use portcullis::identifier::IdentifierKind;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::Server;
use super::super::access::Caller;
use super::super::management::edit::{Request, apply};
use super::super::problem::Problem;
use super::view::EntryForm;
use crate::commands::manual_lists::List;
use crate::commands::switches::Switch;
use crate::entry::Entry;
use crate::error::{Failure, Result};

/// The form of a switch.
#[derive(Debug, Deserialize)]
pub struct SwitchForm {
    /// The filter.
    pub filter: String,
    /// Which switch.
    pub switch: Switch,
    /// The new state.
    pub on: bool,
}

/// The form that removes the entry at a place.
#[derive(Debug, Deserialize)]
pub struct RemoveForm {
    /// The filter.
    pub filter: String,
    /// The list.
    pub list: List,
    /// The place of the entry.
    pub index: usize,
    /// The entity tag of the file in which it has this place.
    pub etag: String,
}

/// The form that adds or removes an entry.
#[derive(Debug, Deserialize)]
pub struct EntryRequest {
    /// The filter.
    pub filter: String,
    /// The list.
    pub list: List,
    /// The kind, as in the commands.
    pub kind: String,
    /// The name of a cookie or of an API key's header.
    #[serde(default)]
    pub name: String,
    /// The value.
    #[serde(default)]
    pub value: String,
    /// Add or remove.
    pub action: Action,
}

/// What happens to an entry.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is added.
    Add,
    /// It is removed.
    Remove,
}

/// Whether a form changed the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It did.
    Yes,
    /// The file was already as wanted.
    No,
}

/// Sets a switch.
pub fn switch(
    server: &Server,
    caller: &Caller,
    form: &SwitchForm,
) -> std::result::Result<Changed, Problem> {
    edit(server, caller, &form.filter, None, |configuration| {
        Ok(form.switch.set(configuration, form.on))
    })
}

/// Removes the entry at a place.
pub fn remove(
    server: &Server,
    caller: &Caller,
    form: &RemoveForm,
) -> std::result::Result<Changed, Problem> {
    let list = form.list;
    let etag = Some(form.etag.as_str());
    edit(server, caller, &form.filter, etag, |configuration| {
        let entry = list.entries(configuration).into_iter().nth(form.index);
        let entry = entry.ok_or_else(|| Failure::refused("the list has no entry at this place"))?;
        list.delete(configuration, &entry, false)
    })
}

/// Adds or removes an entry.
pub fn entry(
    server: &Server,
    caller: &Caller,
    form: &EntryRequest,
    entry: &Entry,
) -> std::result::Result<Changed, Problem> {
    let list = form.list;
    edit(
        server,
        caller,
        &form.filter,
        None,
        |configuration| match form.action {
            Action::Add => list.add(configuration, entry, false),
            Action::Remove => list.delete(configuration, entry, false),
        },
    )
}

/// The entry of a form, or the form with what is wrong at its fields.
pub fn entry_of(form: &EntryRequest) -> std::result::Result<Entry, Box<EntryForm>> {
    let kind = IdentifierKind::WITH_LIST_KEY
        .into_iter()
        .find(|kind| crate::entry::kind_name(*kind) == form.kind);
    let wrong = |name_error: Option<&str>, value_error: Option<String>| {
        Box::new(EntryForm {
            filter: form.filter.clone(),
            list: form.list.key().to_owned(),
            kind: form.kind.clone(),
            name: form.name.clone(),
            // Any other value can be a secret.
            value: match kind {
                Some(IdentifierKind::Ip) => form.value.clone(),
                _ => String::new(),
            },
            name_error: name_error.map(str::to_owned),
            value_error,
        })
    };
    let Some(kind) = kind else {
        let error = format!("\"{}\" is not a kind of identifier", form.kind);
        return Err(wrong(None, Some(error)));
    };
    let (name, value) = (form.name.trim(), form.value.trim());
    let no_value = value
        .is_empty()
        .then(|| "A value is needed: an empty one identifies no client.".to_owned());
    let name_error = match kind {
        IdentifierKind::Cookie if name.is_empty() => Some("A cookie needs its name."),
        IdentifierKind::Cookie | IdentifierKind::ApiKey => None,
        _ if name.is_empty() => None,
        _ => Some("Only cookies and API keys have a name; leave it empty."),
    };
    if no_value.is_some() || name_error.is_some() {
        return Err(wrong(name_error, no_value));
    }
    let mut words = vec![value.to_owned()];
    if !name.is_empty() {
        words.insert(0, name.to_owned());
    }
    Entry::from_words(kind, &words).map_err(|failure| wrong(None, Some(failure.message)))
}

/// The same form with an error of the filter's loader or of the list at the value.
pub fn refused(form: &EntryRequest, problem: &Problem) -> EntryForm {
    let value = match form.kind == crate::entry::kind_name(IdentifierKind::Ip) {
        true => form.value.clone(),
        false => String::new(),
    };
    EntryForm {
        filter: form.filter.clone(),
        list: form.list.key().to_owned(),
        kind: form.kind.clone(),
        name: form.name.clone(),
        value,
        name_error: None,
        value_error: Some(message(problem)),
    }
}

/// The message of a problem, with the errors of the configuration.
pub fn message(problem: &Problem) -> String {
    let mut message = problem.message().to_owned();
    let errors = problem.json.get("errors").and_then(Value::as_array);
    for error in errors.into_iter().flatten() {
        let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default();
        message.push_str(&format!("; {}: {}", text("path"), text("message")));
    }
    message
}

/// Edits the configuration of a filter. With `if_match` only if its file has this entity tag.
fn edit(
    server: &Server,
    caller: &Caller,
    name: &str,
    if_match: Option<&str>,
    edit: impl Fn(&mut Map<String, Value>) -> Result<String>,
) -> std::result::Result<Changed, Problem> {
    let request = Request {
        name: name.to_owned(),
        if_match: if_match.map(str::to_owned),
        dry_run: false,
        caller: caller.clone(),
    };
    let done = apply(server, &request, edit)?;
    Ok(match done.is_changed() {
        true => Changed::Yes,
        false => Changed::No,
    })
}
