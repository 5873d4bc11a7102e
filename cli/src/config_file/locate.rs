//! Where in a file, or in what Envoy dumps, the configurations of Wasm and native filters are.
//!
//! Knows the shapes of Envoy (a `PluginConfig` with its `configuration`, a `DynamicModuleFilter` with its `filter_config`,
//! whatever encloses them), of Istio's WasmPlugin and TrafficExtension, of Envoy Gateway's EnvoyExtensionPolicy, of a
//! ConfigMap that holds any of them as text, and of a list of such objects. Reads and edits no file.

use serde_json::{Map, Value};

use crate::document::Document;
use crate::document::path::{Step, ValuePath, keys};

/// The namespace of a Kubernetes object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// The type of a Wasm filter.
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The type of a native filter.
pub const NATIVE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";

/// The key of a Wasm filter's configuration.
const CONFIGURATION: &str = "configuration";

/// The key of a native filter's configuration.
const FILTER_CONFIG: &str = "filter_config";

/// The filter's default name.
pub const DEFAULT_NAME: &str = "portcullis";

/// Where the configuration of one filter is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The names of the filter: the names of its PluginConfig, of its filter, its root id or filter name.
    pub names: Vec<String>,
    /// The namespace of the Kubernetes object that holds it; none outside of manifests.
    pub namespace: Option<String>,
    /// The path to the configuration. All but the last lead to strings that hold a text themselves, outermost first.
    pub path: Vec<ValuePath>,
    /// How it is written there.
    pub form: Form,
}

/// How a configuration is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As an object, or nothing where a manifest omits it.
    #[default]
    Object,
    /// The filter has none under this key.
    Absent(&'static str),
    /// As another message than a Struct or a StringValue.
    Unsupported(String),
}

impl Location {
    /// Whether the filter has this name.
    pub fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether the filter has one of these names, or the default one.
    pub fn is_ours(&self, names: &[String]) -> bool {
        self.is_called(DEFAULT_NAME) || names.iter().any(|name| self.is_called(name))
    }
}

/// Finds the configuration of every Wasm and native filter in the values of a text.
pub fn find(values: &[Value]) -> Vec<Location> {
    let mut found = Vec::new();
    Walk::over(values, &Outside::default(), &mut found);
    found
}

/// The configuration at a location; an empty one where nothing is there.
pub fn resolve(values: &[Value], location: &Location) -> Option<Value> {
    fn at(values: &[Value], path: &[ValuePath]) -> Option<Value> {
        let (first, rest) = path.split_first()?;
        let value = first.get(values)?;
        match (rest, value) {
            ([], value) => Some(value.clone()),
            (rest, Value::String(text)) if !text.trim_ascii().is_empty() => {
                at(Document::parse(text).ok()?.values(), rest)
            }
            _ => None,
        }
    }
    let empty = || Some(Value::Object(Map::new()));
    match &location.form {
        Form::Object => at(values, &location.path).or_else(empty),
        Form::Absent(_) => empty(),
        Form::Unsupported(_) => None,
    }
}

/// The Wasm or native filter that encloses the configuration at `path` in `text`, as `typed_config` holds it.
pub fn typed_config(text: &str, path: &[ValuePath]) -> Option<Value> {
    let document = Document::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    // A configuration in a StringValue has an empty path of its own.
    if let Some(Value::String(inner)) = first.get(document.values())
        && rest.iter().any(|path| !path.steps.is_empty())
    {
        return typed_config(inner, rest);
    }
    let enclosing = |message: &str, below: &[&str]| {
        let steps = first.steps.strip_suffix(keys(below).as_slice())?.to_vec();
        let path = ValuePath {
            steps,
            ..first.clone()
        };
        let found = path.get(document.values())?;
        (self::text(found, "@type") == Some(message)).then(|| found.clone())
    };
    enclosing(WASM, &["config", CONFIGURATION, "value"])
        .or_else(|| enclosing(NATIVE, &[FILTER_CONFIG, "value"]))
}

/// Whether this is a file of Envoy or Kubernetes, and so not a plain plugin configuration.
pub fn is_wrapper(value: &Value) -> bool {
    const MARKS: [&str; 17] = [
        "@type",
        "admin",
        "apiVersion",
        "clusters",
        "configuration",
        "dynamic_module_config",
        "dynamic_resources",
        "filter_chains",
        "http_filters",
        "kind",
        "layered_runtime",
        "listeners",
        "node",
        "resources",
        "static_resources",
        "typed_config",
        "vm_config",
    ];
    MARKS.iter().any(|mark| value.get(mark).is_some())
}

/// What encloses a value.
#[derive(Clone, Default)]
struct Outside {
    /// Strings that hold the text, outermost first.
    texts: Vec<ValuePath>,
    names: Vec<String>,
    namespace: Option<String>,
}

struct Walk<'a> {
    outside: Outside,
    /// The value being visited.
    at: ValuePath,
    found: &'a mut Vec<Location>,
}

impl Walk<'_> {
    /// Visits each document of a text.
    fn over(documents: &[Value], outside: &Outside, found: &mut Vec<Location>) {
        for (document, value) in documents.iter().enumerate() {
            let mut walk = Walk {
                outside: outside.clone(),
                at: ValuePath {
                    document,
                    steps: Vec::new(),
                },
                found,
            };
            walk.visit(value);
        }
    }

    fn visit(&mut self, value: &Value) {
        match value {
            Value::Object(object) => {
                let namespace = self.outside.namespace.clone();
                if namespace.is_none() {
                    self.outside.namespace = namespace_of(value);
                }
                if !self.visit_manifest(value) {
                    self.visit_object(value, object);
                }
                self.outside.namespace = namespace;
            }
            Value::Array(values) => {
                for (index, inner) in values.iter().enumerate() {
                    self.step(Step::Index(index), |walk| walk.visit(inner));
                }
            }
            _ => {}
        }
    }

    fn visit_object(&mut self, value: &Value, object: &Map<String, Value>) {
        let depth = self.outside.names.len();
        // Only what encloses a configuration names it; a listener or a cluster does not.
        if let Some(name) = text(value, "name")
            && (object.contains_key("typed_config") || is_plugin(value))
        {
            self.outside.names.push(name.to_owned());
        }
        if is_plugin(value) {
            self.visit_filter(value, ["root_id", "rootId"], [CONFIGURATION; 2]);
        } else if is_native(value) {
            let names = ["filter_name", "filterName"];
            self.visit_filter(value, names, [FILTER_CONFIG, "filterConfig"]);
        }
        for (key, inner) in object {
            // What Envoy dumps of a configuration that it refused is not active.
            if ![
                "configuration",
                "error_state",
                FILTER_CONFIG,
                "filterConfig",
            ]
            .contains(&key.as_str())
            {
                self.step(Step::Key(key.clone()), |walk| walk.visit(inner));
            }
        }
        self.outside.names.truncate(depth);
    }

    /// A Kubernetes object that holds configurations; `false` for anything else.
    fn visit_manifest(&mut self, value: &Value) -> bool {
        let names = || {
            let plugin_name = value.pointer("/spec/pluginName").and_then(Value::as_str);
            let name = value.pointer("/metadata/name").and_then(Value::as_str);
            owned([plugin_name, name])
        };
        match text(value, "kind") {
            Some("WasmPlugin") => {
                self.add(names(), keys(&["spec", "pluginConfig"]), Form::Object);
            }
            Some("TrafficExtension") if value.pointer("/spec/wasm").is_some() => {
                let steps = keys(&["spec", "wasm", "pluginConfig"]);
                self.add(names(), steps, Form::Object);
            }
            Some("EnvoyExtensionPolicy") => {
                for (kind, id) in [("wasm", "rootID"), ("dynamicModule", "filterName")] {
                    let filters = value
                        .get("spec")
                        .and_then(|spec| spec.get(kind)?.as_array());
                    for (index, filter) in filters.into_iter().flatten().enumerate() {
                        // The policy's own name is that of all its filters.
                        let names = owned([text(filter, "name"), text(filter, id)]);
                        let mut steps = keys(&["spec", kind]);
                        steps.extend([Step::Index(index), Step::Key("config".to_owned())]);
                        self.add(names, steps, Form::Object);
                    }
                }
            }
            Some("ConfigMap") => {
                let data = value.get("data").and_then(Value::as_object);
                for (key, inner) in data.into_iter().flatten() {
                    let document = inner.as_str().and_then(|text| Document::parse(text).ok());
                    if let Some(document) = document {
                        let outside = Outside {
                            texts: self.path_to(&keys(&["data", key])),
                            ..self.outside.clone()
                        };
                        Walk::over(document.values(), &outside, self.found);
                    }
                }
            }
            _ => return false,
        }
        true
    }

    /// Envoy's `PluginConfig` or `DynamicModuleFilter`, with both spellings of the keys of its id and its configuration.
    fn visit_filter(&mut self, filter: &Value, ids: [&str; 2], configurations: [&'static str; 2]) {
        let mut names = self.outside.names.clone();
        names.extend(owned(ids.map(|id| text(filter, id))));
        names.dedup();
        let found = configurations
            .into_iter()
            .find_map(|key| Some((key, filter.get(key).filter(|value| !value.is_null())?)));
        let Some((key, configuration)) = found else {
            self.add(names, Vec::new(), Form::Absent(configurations[0]));
            return;
        };
        let message = text(configuration, "@type").unwrap_or_default();
        let steps = keys(&[key, "value"]);
        match message.rsplit('/').next().unwrap_or_default() {
            "google.protobuf.Struct" => self.add(names, steps, Form::Object),
            "google.protobuf.StringValue" => {
                self.add(names, steps, Form::Object);
                // The configuration is the whole text.
                if let Some(location) = self.found.last_mut() {
                    location.path.push(ValuePath::default());
                }
            }
            "" => self.add(names, steps, Form::Unsupported("no @type".to_owned())),
            other => self.add(names, steps, Form::Unsupported(other.to_owned())),
        }
    }

    fn step(&mut self, step: Step, visit: impl FnOnce(&mut Self)) {
        self.at.steps.push(step);
        visit(self);
        self.at.steps.pop();
    }

    /// Adds a configuration that is `steps` below the value being visited.
    fn add(&mut self, names: Vec<String>, steps: Vec<Step>, form: Form) {
        let path = self.path_to(&steps);
        self.found.push(Location {
            names,
            namespace: self.outside.namespace.clone(),
            path,
            form,
        });
    }

    fn path_to(&self, steps: &[Step]) -> Vec<ValuePath> {
        let mut last = self.at.clone();
        last.steps.extend_from_slice(steps);
        self.outside.texts.iter().cloned().chain([last]).collect()
    }
}

/// The namespace of a Kubernetes object; none for anything else, and for a list of objects, of which each has its own.
fn namespace_of(value: &Value) -> Option<String> {
    let kind = text(value, "kind")?;
    if kind.ends_with("List") && value.get("items").is_some() {
        return None;
    }
    let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str);
    Some(namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned())
}

/// Whether this is a `PluginConfig`: nothing else has a `vm_config`, or a root id beside a configuration.
fn is_plugin(value: &Value) -> bool {
    let has = |key: &str| value.get(key).is_some();
    has("vm_config")
        || has("vmConfig")
        || (has("configuration") && (has("root_id") || has("rootId")))
}

/// Whether this is a `DynamicModuleFilter` of HTTP: its configuration of a route, and filters of connections, have other types.
fn is_native(value: &Value) -> bool {
    let has = |key: &str| value.get(key).is_some();
    let is_filter =
        has("filter_config") || has("filterConfig") || has("filter_name") || has("filterName");
    match text(value, "@type") {
        Some(message) => message == NATIVE,
        None => is_filter && (has("dynamic_module_config") || has("dynamicModuleConfig")),
    }
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

/// The names that are there, each once.
fn owned(names: [Option<&str>; 2]) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().flatten().map(str::to_owned).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
