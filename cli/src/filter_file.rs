//! A file that holds the filter: which of its Wasm filters is ours, its configuration, and the text with another one.
//!
//! Reads and writes through `file`; what a configuration means is the library's business.

use std::path::Path;

use portcullis::config::{Config, ConfigError};
use serde_json::{Map, Value};

use super::document::{Document, DocumentError, get, set};
use super::listener;
use super::place::{DEFAULT_NAME, Form, Place, Spot, find, is_wrapper};

/// Why a file does not give the filter's configuration.
#[derive(Debug, thiserror::Error)]
pub enum FilterFileError {
    /// Neither JSON nor YAML, or not to be changed in place.
    #[error("{file}: {error}")]
    Document {
        /// The file.
        file: String,
        /// What is wrong with it.
        error: DocumentError,
    },
    /// Nothing in it.
    #[error(
        "{file} is empty; give with --config the file in which the filter's \"configuration\" stands"
    )]
    Empty {
        /// The file.
        file: String,
    },
    /// No Wasm filter.
    #[error(
        "{file} holds no Wasm filter; give with --config the file in which the filter's \"configuration\" stands \
         (an ECDS, LDS or bootstrap file of Envoy, a WasmPlugin, EnvoyExtensionPolicy or ConfigMap manifest)"
    )]
    NoFilter {
        /// The file.
        file: String,
    },
    /// Several, and none is known to be meant.
    #[error("{file} holds several Wasm filters ({}); say with --name which one is meant", .names.join(", "))]
    SeveralFilters {
        /// The file.
        file: String,
        /// Their names.
        names: Vec<String>,
    },
    /// None, or several, of the name.
    #[error("{file} holds {found} Wasm filters that go by \"{name}\"; it holds: {}", .names.join(", "))]
    NotOneOfName {
        /// The file.
        file: String,
        /// The name asked for.
        name: String,
        /// How many go by it.
        found: usize,
        /// The names of all.
        names: Vec<String>,
    },
    /// The Wasm filter has no `configuration`.
    #[error(
        "{file}: the Wasm filter \"{name}\" has no configuration; add to it \"configuration\": \
         {{\"@type\": \"type.googleapis.com/google.protobuf.Struct\", \"value\": {{}}}}"
    )]
    NoConfiguration {
        /// The file.
        file: String,
        /// The filter.
        name: String,
    },
    /// The `configuration` is of another type.
    #[error(
        "{file}: the configuration of the Wasm filter \"{name}\" is of the type {found}; allowed are \
         google.protobuf.Struct and google.protobuf.StringValue"
    )]
    OtherType {
        /// The file.
        file: String,
        /// The filter.
        name: String,
        /// The type that was found.
        found: String,
    },
    /// The configuration is no object.
    #[error("{file}: the configuration is {found}; it must be a JSON object")]
    NotAnObject {
        /// The file.
        file: String,
        /// What it is.
        found: &'static str,
    },
}

/// A file that holds the filter, as it was read.
#[derive(Debug)]
pub struct FilterFile {
    file: String,
    text: String,
    place: Place,
    configuration: Map<String, Value>,
    /// The configuration as it is written, where that can be told: keys that stand twice are still there.
    raw: Vec<u8>,
    listener_warnings: Vec<String>,
}

impl FilterFile {
    /// Finds the filter in a text. `name` says which, where there are several.
    pub fn parse(path: &Path, text: String, name: Option<&str>) -> Result<Self, FilterFileError> {
        let file = path.display().to_string();
        let in_document = |error| FilterFileError::Document {
            file: file.clone(),
            error,
        };
        if text.trim().is_empty() {
            return Err(FilterFileError::Empty { file });
        }
        let document = Document::parse(&text).map_err(in_document)?;
        let place = choose(&file, document.values(), name)?;
        let (configuration, raw) = read(&text, &place.hops, &place.target).map_err(in_document)?;
        let configuration = match configuration {
            // A manifest may leave an empty configuration out.
            Some(Value::Object(object)) => object,
            None | Some(Value::Null) => Map::new(),
            Some(other) => {
                return Err(FilterFileError::NotAnObject {
                    file,
                    found: type_name(&other),
                });
            }
        };
        let raw = raw.unwrap_or_else(|| Value::Object(configuration.clone()).to_string());
        let listener_warnings = listener::warnings(document.values(), &place.names);
        Ok(Self {
            file,
            place,
            configuration,
            listener_warnings,
            raw: raw.into_bytes(),
            text,
        })
    }

    /// The file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What the filter goes by.
    pub fn names(&self) -> &[String] {
        &self.place.names
    }

    /// The filter's configuration, unchecked.
    pub fn configuration(&self) -> &Map<String, Value> {
        &self.configuration
    }

    /// The filter's configuration as the filter gets it.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What the listeners of the file, where it has any, leave undone for the filter.
    pub fn listener_warnings(&self) -> &[String] {
        &self.listener_warnings
    }

    /// What the filter makes of the configuration.
    pub fn validate(&self) -> Result<Config, Vec<ConfigError>> {
        validate(&self.raw)
    }

    /// The file's text with another configuration; all else stays as it is written.
    pub fn text_with(&self, configuration: &Map<String, Value>) -> Result<String, FilterFileError> {
        let new = Value::Object(configuration.clone());
        write(&self.text, &self.place.hops, &self.place.target, new).map_err(|error| {
            FilterFileError::Document {
                file: self.file.clone(),
                error,
            }
        })
    }
}

/// What the filter makes of a configuration. The variables that it names are those of the VM and not of this process:
/// they may well be set there.
pub fn validate(configuration: &[u8]) -> Result<Config, Vec<ConfigError>> {
    Config::parse(configuration, &|_| None)
}

fn choose(file: &str, values: &[Value], name: Option<&str>) -> Result<Place, FilterFileError> {
    let mut places = find(values);
    if let ([], [value]) = (places.as_slice(), values)
        && name.is_none()
        && !is_wrapper(value)
    {
        return Ok(Place {
            names: Vec::new(),
            hops: Vec::new(),
            target: Spot {
                document: 0,
                path: Vec::new(),
            },
            form: Form::Object,
        });
    }
    let file = file.to_owned();
    let names = || -> Vec<_> {
        places
            .iter()
            .map(|place| place.names.join("/"))
            .map(|name| {
                if name.is_empty() {
                    "unnamed".to_owned()
                } else {
                    name
                }
            })
            .collect()
    };
    let goes_by = |place: &Place, name: &str| place.names.iter().any(|known| known == name);
    let wanted = name.unwrap_or(DEFAULT_NAME);
    let count = places.iter().filter(|place| goes_by(place, wanted)).count();
    let chosen = match (name, places.len(), count) {
        (None, 0, _) => return Err(FilterFileError::NoFilter { file }),
        (None, 1, _) => 0,
        (_, _, 1) => places
            .iter()
            .position(|place| goes_by(place, wanted))
            .unwrap_or_default(),
        (None, _, _) => {
            return Err(FilterFileError::SeveralFilters {
                file,
                names: names(),
            });
        }
        (Some(name), _, found) => {
            return Err(FilterFileError::NotOneOfName {
                file,
                name: name.to_owned(),
                found,
                names: names(),
            });
        }
    };
    let place = places.swap_remove(chosen);
    let name = place.names.first().cloned().unwrap_or_default();
    match place.form {
        Form::Object => Ok(place),
        Form::Absent => Err(FilterFileError::NoConfiguration { file, name }),
        Form::Unsupported(found) => Err(FilterFileError::OtherType { file, name, found }),
    }
}

/// The value at a place, and its text where that can be told.
fn read(
    text: &str,
    hops: &[Spot],
    target: &Spot,
) -> Result<(Option<Value>, Option<String>), DocumentError> {
    let document = Document::parse(text)?;
    document.refuse_duplicates(hops.is_empty().then_some(target.path.as_slice()))?;
    let at = |spot: &Spot| {
        let value = document.values().get(spot.document)?;
        get(value, &spot.path)
    };
    match hops.split_first() {
        Some((hop, rest)) => match at(hop).and_then(Value::as_str) {
            // A StringValue, which reaches the filter as it is.
            Some(inner) if rest.is_empty() && target.path.is_empty() => read_json(inner),
            Some(inner) => read(inner, rest, target),
            None => Ok((at(hop).cloned(), None)),
        },
        None => Ok((
            at(target).cloned(),
            document.raw(target.document, &target.path),
        )),
    }
}

/// A configuration that the filter gets as a text: JSON, or nothing for one without keys.
fn read_json(text: &str) -> Result<(Option<Value>, Option<String>), DocumentError> {
    let raw = Some(text.to_owned());
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Ok((None, raw));
    }
    let document = Document::parse_json(text).map_err(|error| match error {
        DocumentError::Json(reason) => DocumentError::Json(format!(
            "{reason}, in the StringValue, whose text must be JSON"
        )),
        other => other,
    })?;
    Ok((document.values().first().cloned(), raw))
}

/// The text with another value at a place.
fn write(text: &str, hops: &[Spot], target: &Spot, new: Value) -> Result<String, DocumentError> {
    if text.trim_ascii().is_empty() {
        return Ok(format!("{new:#}"));
    }
    let document = Document::parse(text)?;
    let (spot, new) = match hops.split_first() {
        Some((hop, rest)) => {
            let inner = document
                .values()
                .get(hop.document)
                .and_then(|value| get(value, &hop.path))
                .and_then(Value::as_str)
                .ok_or(DocumentError::Layout)?;
            (hop, Value::String(write(inner, rest, target, new)?))
        }
        None => (target, new),
    };
    let mut value = document
        .values()
        .get(spot.document)
        .cloned()
        .ok_or(DocumentError::Layout)?;
    if !set(&mut value, &spot.path, new) {
        return Err(DocumentError::Layout);
    }
    document.replace(spot.document, &value)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
