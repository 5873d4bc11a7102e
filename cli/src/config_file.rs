//! A text that holds the filter: which of its filters is meant, its configuration, and the text with another one.
//!
//! The library defines what a configuration means.

pub mod atomic_file;
pub mod bounded;
pub mod diff;
pub mod edit;
pub mod listener;
pub mod locate;
pub mod manual_list;
pub mod mask;
pub mod native;
pub mod place;
pub mod regular;
pub mod select;

use portcullis::config::{Config, ConfigError, ConfigWarning, Notice};
use serde_json::{Map, Value};

use self::place::Place;
use self::select::Selection;
use crate::args::Common;
use crate::document::Document;
use crate::document::path::ValuePath;
use crate::error::{Failure, Result};

/// A file that holds the filter, as it was read.
#[derive(Debug)]
pub struct ConfigFile {
    /// The file as the user named it, or what messages call the place.
    pub file: String,
    /// The filter's names, the most specific one first; none for a plain plugin configuration.
    pub names: Vec<String>,
    /// The filter's configuration, unchecked.
    pub configuration: Map<String, Value>,
    /// The same as the filter gets it, duplicate keys included.
    pub raw: Vec<u8>,
    /// What the listeners of the file do not do for the filter.
    pub listener_warnings: Vec<String>,
    /// The errors in what else configures the native module.
    pub native_errors: Vec<ConfigError>,
    text: String,
    path: Vec<ValuePath>,
}

impl ConfigFile {
    /// Reads the text that holds the filter.
    pub fn read(common: &Common) -> Result<Self> {
        Self::read_from(&Place::of(common), common)
    }

    /// Reads it at another place than that of `--config`.
    pub fn read_from(place: &Place, common: &Common) -> Result<Self> {
        Self::parse(place, place.read()?, Selection::of(common, place))
    }

    /// Finds the filter in the text of a place.
    pub fn parse(place: &Place, text: String, selection: Selection<'_>) -> Result<Self> {
        let file = place.name();
        let refused = |error| Failure::refused(format!("{file}: {error}"));
        if text.trim().is_empty() {
            return Err(Failure::refused(format!(
                "{file} is empty; give with --config the file that holds the filter's \"configuration\""
            )));
        }
        let document = Document::parse(&text).map_err(refused)?;
        let location = selection.choose(&file, document.values())?;
        let listener_warnings = listener::warnings(document.values(), &location.names);
        let native_errors = native::errors(document.values());
        let (value, raw) = read(document, &location.path).map_err(refused)?;
        let configuration = match value {
            Some(Value::Object(object)) => object,
            // A manifest may omit an empty configuration.
            None | Some(Value::Null) => Map::new(),
            Some(other) => {
                let found = type_name(&other);
                return Err(refused(format!(
                    "the configuration is {found}; it must be a JSON object"
                )));
            }
        };
        let raw = raw.unwrap_or_else(|| Value::Object(configuration.clone()).to_string());
        Ok(Self {
            listener_warnings,
            native_errors,
            names: location.names,
            path: location.path,
            configuration,
            raw: raw.into_bytes(),
            text,
            file,
        })
    }

    /// The filter of Envoy that encloses the configuration: a `Wasm` or `DynamicModuleFilter` message with its `@type`.
    pub fn typed_config(&self) -> Result<Value> {
        let found = locate::typed_config(&self.text, &self.path);
        found.ok_or_else(|| {
            Failure::refused(format!(
                "{}: no Wasm or native filter of Envoy encloses the configuration; a file that is served to nodes needs \
                 \"typed_config\" with \"@type\" type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm and its \
                 \"vm_config\", as in envoy/filter.json, or of a native filter, as in envoy/native.json",
                self.file
            ))
        })
    }

    /// The configuration as the filter reads it.
    pub fn validate(&self) -> std::result::Result<Config, Vec<ConfigError>> {
        validate(&self.raw)
    }

    /// The same for a command that needs a valid one.
    pub fn config(&self) -> Result<Config> {
        self.validate()
            .map_err(|errors| Failure::invalid_configuration(&self.file, None, &errors))
    }

    /// The file's text with another configuration; everything else stays as written.
    pub fn text_with(&self, configuration: &Map<String, Value>) -> Result<String> {
        let new = Value::Object(configuration.clone());
        write(&self.text, &self.path, new)
            .map_err(|error| Failure::refused(format!("{}: {error}", self.file)))
    }
}

/// A configuration as the filter reads it. The environment variables that it names are those of the VM and not of this
/// process: they may be set there.
pub fn validate(configuration: &[u8]) -> std::result::Result<Config, Vec<ConfigError>> {
    let mut config = Config::parse(configuration, &|_| None)?;
    let is_of_variable =
        |warning: &ConfigWarning| matches!(warning.notice, Notice::UnusableVariable { .. });
    config.warnings.retain(|warning| !is_of_variable(warning));
    Ok(config)
}

/// A value, and its text where it has one of its own.
type ValueAndText = (Option<Value>, Option<String>);

/// Reads the value at a path.
fn read(document: Document<'_>, path: &[ValuePath]) -> std::result::Result<ValueAndText, String> {
    let Some((first, rest)) = path.split_first() else {
        return Ok((None, None));
    };
    document.refuse_duplicates(rest.is_empty().then_some(first.steps.as_slice()))?;
    match (rest, first.get(document.values())) {
        ([], _) => {
            let raw = document.raw(first);
            Ok((document.into_value(first), raw))
        }
        // The text of a StringValue reaches the filter unchanged.
        ([path], Some(Value::String(inner))) if path.steps.is_empty() => read_json(inner),
        (rest, Some(Value::String(inner))) => read(Document::parse(inner)?, rest),
        (_, other) => Ok((other.cloned(), None)),
    }
}

/// Reads a configuration that the filter gets as text: JSON, or an empty text for a configuration without keys.
fn read_json(text: &str) -> std::result::Result<ValueAndText, String> {
    let raw = Some(text.to_owned());
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Ok((None, raw));
    }
    let document = Document::parse_json(text)
        .map_err(|error| format!("{error}, in the StringValue, whose text must be JSON"))?;
    Ok((document.values().first().cloned(), raw))
}

/// The text with another value at a path.
fn write(text: &str, path: &[ValuePath], new: Value) -> std::result::Result<String, String> {
    if text.trim_ascii().is_empty() {
        return Ok(format!("{new:#}"));
    }
    let document = Document::parse(text)?;
    match path {
        [] => Ok(text.to_owned()),
        [target] => document.replace(target, new),
        [outer, rest @ ..] => {
            let inner = outer.get(document.values()).and_then(Value::as_str);
            let inner = write(inner.unwrap_or_default(), rest, new)?;
            document.replace(outer, Value::String(inner))
        }
    }
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
