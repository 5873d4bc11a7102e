//! What the forms do: they edit a filter's file by the same functions as the commands. Renders nothing.

use std::sync::Arc;

use axum::http::StatusCode;
use portcullis::identifier::IdentifierKind;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::Server;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::view::EntryForm;
use crate::config_file::place::Place;
use crate::config_file::select::Selection;
use crate::config_file::{ConfigFile, manual_list};
use crate::entry::Entry;
use crate::error::{Failure, Result};

/// The form of a switch.
#[derive(Debug, Deserialize)]
pub struct SwitchForm {
    /// The filter.
    pub filter: String,
    /// Which switch.
    pub switch: Switch,
    /// What it shall be.
    pub on: bool,
}

/// One of the three switches.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// All blocking.
    Firewall,
    /// Traffic information to ABS.
    Abs,
    /// Blocking on ABS's list.
    AbsAttack,
}

impl Switch {
    /// The name in forms.
    pub const fn name(self) -> &'static str {
        match self {
            Switch::Firewall => "firewall",
            Switch::Abs => "abs",
            Switch::AbsAttack => "abs_attack",
        }
    }
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

/// A manual list.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Clients that always pass.
    AllowList,
    /// Clients that are always blocked.
    DenyList,
}

impl List {
    /// The key in the configuration.
    pub const fn key(self) -> &'static str {
        match self {
            List::AllowList => "allow_list",
            List::DenyList => "deny_list",
        }
    }
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
    let key = format!("enable_{}", form.switch.name());
    edit(server, caller, &form.filter, None, |configuration| {
        configuration.insert(key, Value::Bool(form.on));
        Ok(())
    })
}

/// Removes the entry at a place.
pub fn remove(
    server: &Server,
    caller: &Caller,
    form: &RemoveForm,
) -> std::result::Result<Changed, Problem> {
    let etag = Some(form.etag.as_str());
    edit(server, caller, &form.filter, etag, |configuration| {
        let list = list_of(configuration, form.list)?;
        let entries = manual_list::entries(list);
        let entry = entries.get(form.index);
        let entry = entry.ok_or_else(|| Failure::refused("the list has no entry at this place"))?;
        manual_list::remove(list, entry);
        Ok(())
    })
}

/// Adds or removes an entry.
pub fn entry(
    server: &Server,
    caller: &Caller,
    form: &EntryRequest,
    entry: &Entry,
) -> std::result::Result<Changed, Problem> {
    edit(server, caller, &form.filter, None, |configuration| {
        let list = list_of(configuration, form.list)?;
        match form.action {
            Action::Add => {
                manual_list::add(list, std::slice::from_ref(entry))?;
            }
            Action::Remove if manual_list::remove(list, entry) => {}
            Action::Remove => return Err(Failure::refused("the list does not have this entry")),
        }
        Ok(())
    })
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
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<()>,
) -> std::result::Result<Changed, Problem> {
    // The newest content of the file counts, not that of the last check.
    server.filters.refresh(&server.changes);
    let not_found = |message| Problem::new(StatusCode::NOT_FOUND, message);
    let filter = server.filters.get(name).map_err(not_found)?;
    if filter.problem.is_some() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "the file {} is not valid as it is; correct it first",
                filter.file.display()
            ),
        ));
    }
    let served: Arc<_> = server.filters.served(name).map_err(not_found)?;
    let etag = served.etag();
    if if_match.is_some_and(|wanted| wanted != etag) {
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            format!(
                "the file of the filter \"{name}\" was changed meanwhile; the page shows it as it is now: repeat the change \
                 if it is still needed"
            ),
        ));
    }
    let parsed = ConfigFile::parse(
        &Place::File(filter.file),
        served.text.clone(),
        Selection::default(),
    )?;
    let mut new = parsed.configuration.clone();
    edit(&mut new)?;
    if new == parsed.configuration {
        return Ok(Changed::No);
    }
    let text = parsed.text_with(&new)?;
    let (filters, changes) = (&server.filters, &server.changes);
    filters.replace(name, &etag, &text, &caller.name, changes)?;
    Ok(Changed::Yes)
}

fn list_of(configuration: &mut Map<String, Value>, list: List) -> Result<&mut Map<String, Value>> {
    let place = configuration.entry(list.key()).or_insert(json!({}));
    if place.is_null() {
        *place = json!({});
    }
    place
        .as_object_mut()
        .ok_or_else(|| manual_list::not_a_list(list.key()))
}
