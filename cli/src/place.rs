//! Where in a file, or in what Envoy dumps, the configurations of Wasm filters stand.
//!
//! Knows the shapes of Envoy (a `PluginConfig` with its `configuration`, in whatever it is wrapped), of Istio's
//! WasmPlugin and TrafficExtension, of Envoy Gateway's EnvoyExtensionPolicy, and of a ConfigMap that holds any of them
//! as text. Reads and changes no file.

use serde_json::{Map, Value};

use super::document::{Document, Step, get};

/// The name that the filter goes by where nothing else is said.
pub const DEFAULT_NAME: &str = "portcullis";

/// A place in one text: which YAML document (0 for JSON), and the way from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which document of the text.
    pub document: usize,
    /// The way to the value.
    pub path: Vec<Step>,
}

/// Where one Wasm filter's configuration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the filter goes by: its own name, its filter's, its root id.
    pub names: Vec<String>,
    /// Strings that hold a text themselves, from the outermost in.
    pub hops: Vec<Spot>,
    /// The configuration in the innermost text.
    pub target: Spot,
    /// How it stands there.
    pub form: Form,
}

/// How a configuration stands at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As an object, or nothing where the manifest leaves it out.
    Object,
    /// The Wasm filter has none.
    Absent,
    /// As another message than a Struct or a StringValue.
    Unsupported(String),
}

/// Finds every Wasm filter's configuration in the values of a text.
pub fn find(values: &[Value]) -> Vec<Place> {
    let mut found = Vec::new();
    for (document, value) in values.iter().enumerate() {
        let mut walk = Walk {
            hops: Vec::new(),
            document,
            path: Vec::new(),
            names: Vec::new(),
            found: &mut found,
        };
        walk.visit(value);
    }
    found
}

/// The configuration at a place; an empty one where the place holds nothing.
pub fn resolve(values: &[Value], place: &Place) -> Option<Value> {
    fn at(values: &[Value], hops: &[Spot], target: &Spot) -> Option<Value> {
        let value = |spot: &Spot| get(values.get(spot.document)?, &spot.path);
        match hops.split_first() {
            Some((hop, rest)) => {
                let text = value(hop)?
                    .as_str()
                    .filter(|text| !text.trim_ascii().is_empty())?;
                at(Document::parse(text).ok()?.values(), rest, target)
            }
            None => value(target).cloned(),
        }
    }
    match &place.form {
        Form::Object => at(values, &place.hops, &place.target).or(Some(Value::Object(Map::new()))),
        Form::Absent => Some(Value::Object(Map::new())),
        Form::Unsupported(_) => None,
    }
}

/// Whether this is some file of Envoy or Kubernetes, and so no plain plugin configuration.
pub fn is_wrapper(value: &Value) -> bool {
    const MARKS: [&str; 16] = [
        "@type",
        "admin",
        "apiVersion",
        "clusters",
        "configuration",
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

struct Walk<'a> {
    hops: Vec<Spot>,
    document: usize,
    path: Vec<Step>,
    /// Names of what encloses the value.
    names: Vec<String>,
    found: &'a mut Vec<Place>,
}

impl Walk<'_> {
    fn visit(&mut self, value: &Value) {
        match value {
            Value::Object(_) if self.visit_manifest(value) => {}
            Value::Object(object) => {
                let depth = self.names.len();
                // Only what wraps a configuration lends it its name; a listener or a cluster does not.
                if let Some(name) = text(value, &["name"])
                    && (object.contains_key("typed_config") || is_plugin(value))
                {
                    self.names.push(name.to_owned());
                }
                if is_plugin(value) {
                    self.visit_plugin(value);
                }
                for (key, inner) in object {
                    // What Envoy dumps of a configuration that it refused is not in force.
                    if key != "configuration" && key != "error_state" {
                        self.at(Step::Key(key.clone()), |walk| walk.visit(inner));
                    }
                }
                self.names.truncate(depth);
            }
            Value::Array(values) => {
                for (index, inner) in values.iter().enumerate() {
                    self.at(Step::Index(index), |walk| walk.visit(inner));
                }
            }
            _ => {}
        }
    }

    /// A Kubernetes object that holds configurations; `false` for anything else.
    fn visit_manifest(&mut self, value: &Value) -> bool {
        let names = || {
            [
                text(value, &["spec", "pluginName"]),
                text(value, &["metadata", "name"]),
            ]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect::<Vec<_>>()
        };
        match text(value, &["kind"]) {
            Some("WasmPlugin") => self.add_object(names(), &["spec", "pluginConfig"]),
            Some("TrafficExtension") if value.pointer("/spec/wasm").is_some() => {
                self.add_object(names(), &["spec", "wasm", "pluginConfig"]);
            }
            Some("EnvoyExtensionPolicy") => {
                let plugins = value.pointer("/spec/wasm").and_then(Value::as_array);
                for (index, plugin) in plugins.into_iter().flatten().enumerate() {
                    // The policy's own name is that of all its plugins.
                    let mut names: Vec<_> = [text(plugin, &["name"]), text(plugin, &["rootID"])]
                        .into_iter()
                        .flatten()
                        .map(str::to_owned)
                        .collect();
                    names.dedup();
                    let path = ["spec", "wasm"].map(|key| Step::Key(key.to_owned()));
                    let mut path = path.to_vec();
                    path.push(Step::Index(index));
                    path.push(Step::Key("config".to_owned()));
                    self.add(names, path, Form::Object);
                }
            }
            Some("ConfigMap") => {
                let data = value.get("data").and_then(Value::as_object);
                for (key, inner) in data.into_iter().flatten() {
                    let path = [Step::Key("data".to_owned()), Step::Key(key.clone())];
                    self.visit_text(&path, inner);
                }
            }
            _ => return false,
        }
        true
    }

    /// Envoy's `PluginConfig`.
    fn visit_plugin(&mut self, plugin: &Value) {
        let mut names = self.names.clone();
        names.extend(
            ["root_id", "rootId"]
                .iter()
                .filter_map(|key| text(plugin, &[key]).map(str::to_owned)),
        );
        names.dedup();
        let configuration = plugin.get("configuration");
        let Some(configuration) = configuration.filter(|value| !value.is_null()) else {
            self.add(names, Vec::new(), Form::Absent);
            return;
        };
        let message = text(configuration, &["@type"]).unwrap_or_default();
        let path = ["configuration", "value"].map(|key| Step::Key(key.to_owned()));
        match message.rsplit('/').next().unwrap_or_default() {
            "google.protobuf.Struct" => self.add(names, path.to_vec(), Form::Object),
            "google.protobuf.StringValue" => {
                let mut hops = self.hops.clone();
                hops.push(self.spot(&path));
                self.found.push(Place {
                    names,
                    hops,
                    target: Spot {
                        document: 0,
                        path: Vec::new(),
                    },
                    form: Form::Object,
                });
            }
            "" => self.add(names, Vec::new(), Form::Unsupported("no @type".to_owned())),
            other => self.add(names, Vec::new(), Form::Unsupported(other.to_owned())),
        }
    }

    /// A string that may hold a text with configurations.
    fn visit_text(&mut self, path: &[Step], value: &Value) {
        let Some(document) = value.as_str().and_then(|text| Document::parse(text).ok()) else {
            return;
        };
        let mut hops = self.hops.clone();
        hops.push(self.spot(path));
        for (index, value) in document.values().iter().enumerate() {
            let mut walk = Walk {
                hops: hops.clone(),
                document: index,
                path: Vec::new(),
                names: self.names.clone(),
                found: self.found,
            };
            walk.visit(value);
        }
    }

    fn at(&mut self, step: Step, visit: impl FnOnce(&mut Self)) {
        self.path.push(step);
        visit(self);
        self.path.pop();
    }

    fn add_object(&mut self, names: Vec<String>, keys: &[&str]) {
        let path = keys
            .iter()
            .map(|key| Step::Key((*key).to_owned()))
            .collect();
        self.add(names, path, Form::Object);
    }

    fn add(&mut self, names: Vec<String>, path: Vec<Step>, form: Form) {
        self.found.push(Place {
            names,
            hops: self.hops.clone(),
            target: self.spot(&path),
            form,
        });
    }

    fn spot(&self, path: &[Step]) -> Spot {
        Spot {
            document: self.document,
            path: self.path.iter().chain(path).cloned().collect(),
        }
    }
}

/// Whether this is a `PluginConfig`: nothing else has a `vm_config`, or a root id beside a configuration.
fn is_plugin(value: &Value) -> bool {
    let has = |key: &str| value.get(key).is_some();
    has("vm_config")
        || has("vmConfig")
        || (has("configuration") && (has("root_id") || has("rootId")))
}

fn text<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v str> {
    let path: Vec<_> = keys
        .iter()
        .map(|key| Step::Key((*key).to_owned()))
        .collect();
    get(value, &path)?.as_str()
}

#[cfg(test)]
mod tests;
