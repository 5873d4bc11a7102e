//! Which of the Wasm and native filters in a text is meant.

use serde_json::Value;

use super::locate::{self, DEFAULT_NAME, Form, Location};
use super::place::Place;
use crate::args::Common;
use crate::document::path::ValuePath;
use crate::error::{Failure, Result};

/// What the user selects a filter by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// The namespace of the Kubernetes object that holds it.
    pub namespace: Option<&'a str>,
}

impl<'a> Selection<'a> {
    /// The selection of the options in the text of a place. At a server, the name has selected the text.
    pub fn of(common: &'a Common, place: &Place) -> Self {
        match place {
            Place::Server(..) => Self::default(),
            Place::File(_) | Place::StandardInput => Self {
                name: common.name.as_deref(),
                namespace: common.namespace.as_deref(),
            },
        }
    }

    /// The one filter that is meant. `file` is for errors.
    pub fn choose(self, file: &str, values: &[Value]) -> Result<Location> {
        let found = locate::find(values);
        if let ([], [value], None) = (found.as_slice(), values, self.name)
            && !locate::is_wrapper(value)
        {
            self.refuse_namespace(file, &[])?;
            return Ok(Location {
                path: vec![ValuePath::default()],
                ..Location::default()
            });
        }
        if found.is_empty() {
            if let Some(other) = values.iter().find_map(discovered) {
                return Err(Failure::refused(format!(
                    "{file} takes the filter from the file {other}: use --config {other}"
                )));
            }
            return Err(Failure::refused(format!(
                "{file} holds no Wasm or native filter; give with --config the file that holds the filter's \"configuration\" \
                 (an ECDS, LDS or bootstrap file of Envoy, a WasmPlugin, TrafficExtension, EnvoyExtensionPolicy or \
                 ConfigMap manifest)"
            )));
        }
        self.refuse_namespace(file, &found)?;
        usable(file, self.one_of(file, &found)?)
    }

    /// Refuses a namespace where no object has one.
    fn refuse_namespace(self, file: &str, found: &[Location]) -> Result<()> {
        match self.namespace {
            Some(_) if found.iter().all(|one| one.namespace.is_none()) => {
                Err(Failure::refused(format!(
                    "--namespace selects among Kubernetes objects, and {file} holds none; omit --namespace"
                )))
            }
            _ => Ok(()),
        }
    }

    fn one_of<'l>(self, file: &str, found: &'l [Location]) -> Result<&'l Location> {
        let is_in_namespace = |one: &&Location| match self.namespace {
            None => true,
            namespace => one.namespace.as_deref() == namespace,
        };
        let here: Vec<_> = found.iter().filter(is_in_namespace).collect();
        let wanted = self.name.unwrap_or(DEFAULT_NAME);
        let called: Vec<_> = here.iter().filter(|one| one.is_called(wanted)).collect();
        match (self.name, here.as_slice(), called.as_slice()) {
            (None, [only], _) => Ok(only),
            (_, _, [one]) => Ok(one),
            (None, [_, _, ..], _) => Err(Failure::refused(format!(
                "{file} holds several Wasm or native filters{} ({}); choose one with --name{}",
                self.of_namespace(),
                shown(here),
                self.or_namespace(found)
            ))),
            (_, _, [_, _, ..]) => Err(Failure::refused(format!(
                "{file} holds {} Wasm or native filters named \"{wanted}\"{}; it holds: {}{}",
                called.len(),
                self.of_namespace(),
                shown(found),
                match self.or_namespace(found) {
                    "" => "",
                    _ => "; choose one with --namespace",
                }
            ))),
            (name, ..) => {
                let named = name.map_or(String::new(), |name| format!(" named \"{name}\""));
                Err(Failure::refused(format!(
                    "{file} holds no Wasm or native filter{named}{}; it holds: {}",
                    self.of_namespace(),
                    shown(found)
                )))
            }
        }
    }

    fn of_namespace(self) -> String {
        let namespace = self.namespace;
        namespace.map_or(String::new(), |name| {
            format!(" in the namespace \"{name}\"")
        })
    }

    /// The other option that helps to choose.
    fn or_namespace(self, found: &[Location]) -> &'static str {
        let mut namespaces: Vec<_> = found.iter().map(|one| &one.namespace).collect();
        namespaces.dedup();
        match (self.namespace, namespaces.len()) {
            (None, 2..) => " or --namespace",
            _ => "",
        }
    }
}

/// Names filters, each with its namespace if it has one.
fn shown<'l>(locations: impl IntoIterator<Item = &'l Location>) -> String {
    let locations = locations.into_iter().map(|location| {
        let names = match location.names.is_empty() {
            true => "unnamed".to_owned(),
            false => location.names.join("/"),
        };
        match &location.namespace {
            Some(namespace) => format!("{names} in {namespace}"),
            None => names,
        }
    });
    locations.collect::<Vec<_>>().join(", ")
}

/// A filter whose configuration can be read.
fn usable(file: &str, location: &Location) -> Result<Location> {
    let name = location.names.first().map_or("", String::as_str);
    match &location.form {
        Form::Object => Ok(location.clone()),
        Form::Absent(key) => Err(Failure::refused(format!(
            "{file}: the filter \"{name}\" has no configuration; add to it \"{key}\": \
             {{\"@type\": \"type.googleapis.com/google.protobuf.Struct\", \"value\": {{}}}}"
        ))),
        Form::Unsupported(found) => Err(Failure::refused(format!(
            "{file}: the configuration of the filter \"{name}\" is of the type {found}; allowed are \
             google.protobuf.Struct and google.protobuf.StringValue"
        ))),
    }
}

/// The file from which an Envoy file takes the filter with our name.
fn discovered(value: &Value) -> Option<&str> {
    let inner: Vec<&Value> = match value {
        Value::Object(object) => object.values().collect(),
        Value::Array(values) => values.iter().collect(),
        _ => return None,
    };
    let is_ours = value.get("name").and_then(Value::as_str) == Some(DEFAULT_NAME);
    let path = value.pointer("/config_discovery/config_source/path_config_source/path");
    path.filter(|_| is_ours)
        .and_then(Value::as_str)
        .or_else(|| inner.into_iter().find_map(discovered))
}
