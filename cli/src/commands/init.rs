//! `init`: adds the filter to a bootstrap of Envoy, and writes the file with the filter that Envoy reloads.
//!
//! The bootstrap is edited in place, and only by the filter and the `node` that Envoy requires for it; a filter file that
//! exists is kept.

mod insert;

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::args::{Common, InitArgs};
use crate::config_file::locate::{self, DEFAULT_NAME};
use crate::config_file::{atomic_file, listener};
use crate::document::Document;
use crate::document::path::{Step, ValuePath, keys};
use crate::error::{Failure, Result};
use crate::output::Report;

/// The type of the filter in Envoy's files.
const WASM_FILTER: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The variables of Envoy's environment that the filter reads by default.
const VARIABLES: [&str; 3] = ["ABS_ACCESS_KEY", "ABS_SECRET_KEY", "ASE_TOKEN"];

/// What is missing without `stats_tags`.
const NO_LABELS: &str = "the bootstrap has no stats_tags for the filter, so that Prometheus gets \
    portcullis_denied_source_manual_kind_ip instead of portcullis_denied{source=\"manual\",kind=\"ip\"}, which alerts and \
    dashboard need: copy stats_config from envoy/envoy.yaml";

/// What a wasm module starts with.
const WASM_MAGIC: &[u8] = b"\0asm";

/// Runs the command.
pub fn run(common: &Common, args: &InitArgs) -> Result<Report> {
    let module = absolute(&args.module)?;
    check_module(&module)?;
    let filter = match &args.filter {
        Some(filter) => absolute(filter)?,
        None => module.with_file_name("filter.json"),
    };
    let hint = "--bootstrap names Envoy's own file, the one of `envoy -c`";
    let name = args.bootstrap.display().to_string();
    let work = |text: String| {
        let names_filter = text.contains(&*filter.to_string_lossy());
        let added = Added::to(&name, text, &filter)?;
        // A filter that is there already may have another file, or none.
        let is_used = names_filter || added.text.is_some();
        let keeps_filter = filter.symlink_metadata().is_ok();
        if keeps_filter {
            check_filter(&filter)?;
        } else if is_used && !common.dry_run {
            write(&filter, &filter_file(&module))?;
        }
        let report = added.report(
            common.dry_run,
            &name,
            &filter,
            is_used.then_some(keeps_filter),
        );
        Ok((added.text, report))
    };
    match common.dry_run {
        true => Ok(work(atomic_file::read(&args.bootstrap, hint)?)?.1),
        false => atomic_file::update(&args.bootstrap, hint, work),
    }
}

/// Envoy's working directory is another one, so paths in its files are absolute.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))
}

/// Fails unless the file is a wasm module.
fn check_module(path: &Path) -> Result<()> {
    let mut start = [0; WASM_MAGIC.len()];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .map_err(|error| Failure::refused(format!("{} can't be read: {error}", path.display())))?;
    if start == WASM_MAGIC {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "{} is not a wasm module; --module names portcullis.wasm. docs/native.md has the set-up of libportcullis.so",
        path.display()
    )))
}

/// Fails unless the file, which is kept, has the filter.
fn check_filter(path: &Path) -> Result<()> {
    let hint = "--filter names the file for the filter";
    let text = atomic_file::read(path, hint)?;
    let has_filter = Document::parse(&text).is_ok_and(|document| {
        let locations = locate::find(document.values());
        locations.iter().any(|location| location.is_ours(&[]))
    });
    match has_filter {
        true => Ok(()),
        false => Err(Failure::refused(format!(
            "{} exists, and has no filter \"{DEFAULT_NAME}\"; --filter names another file",
            path.display()
        ))),
    }
}

/// The filter file: nothing is blocked until a list is added.
fn filter_file(module: &Path) -> String {
    let file = json!({
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": DEFAULT_NAME,
            "typed_config": {
                "@type": WASM_FILTER,
                "config": {
                    "name": DEFAULT_NAME,
                    "root_id": DEFAULT_NAME,
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        "vm_id": DEFAULT_NAME,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": module}},
                        // Envoy ignores those that it does not have.
                        "environment_variables": {"host_env_keys": VARIABLES},
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.Struct",
                        "value": {"enable_firewall": true, "allow_list": {}, "deny_list": {}},
                    },
                },
            },
        }],
    });
    format!("{file:#}\n")
}

/// Writes the filter file. Envoy may run as another user, so everybody may read it.
fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let written = fs::create_dir_all(directory).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)
    });
    written
        .map(drop)
        .map_err(|error| Failure::refused(format!("{} can't be written: {error}", path.display())))
}

/// What became of a bootstrap.
struct Added {
    /// The new text; `None` if every manager has the filter.
    text: Option<String>,
    /// The names of the HTTP connection managers that have the filter now.
    managers: Vec<String>,
    /// Whether the bootstrap had no `node`.
    adds_node: bool,
    /// What the listeners and the bootstrap should set.
    warnings: Vec<String>,
}

impl Added {
    /// Adds the filter before the last filter, the router, of each HTTP connection manager that does not have it.
    fn to(name: &str, old: String, filter: &Path) -> Result<Self> {
        let refused = |reason: String| Failure::refused(format!("{name} is unchanged: {reason}"));
        let document = Document::parse(&old).map_err(refused)?;
        let is_object = |it: &Value| it.get("kind").is_some();
        if document.values().iter().any(is_object) {
            return Err(refused(
                "it holds Kubernetes objects; examples/ has manifests for Istio, Envoy Gateway and sidecars".to_owned(),
            ));
        }
        let found = find(document.values());
        if found.is_empty() {
            return Err(refused(
                "it has no HTTP connection manager with http_filters; name the file with the listeners".to_owned(),
            ));
        }
        let mut text = old.clone();
        for (path, manager) in &found {
            let filters = path.get(document.values()).and_then(Value::as_array);
            let mut filters = filters.cloned().unwrap_or_default();
            let names = [DEFAULT_NAME.to_owned()];
            if filters.iter().any(|it| listener::is_filter(it, &names)) {
                continue;
            }
            let router = filters.pop().ok_or_else(|| {
                let manager = manager_name(manager);
                refused(format!(
                    "http_filters of {manager} is empty, and needs a router"
                ))
            })?;
            let name = name_of(&router).to_owned();
            filters.extend([discovered(filter), router]);
            text = insert::set(&text, path, filters.into(), &block(filter), |line| {
                insert::names_element(line, &name)
            })
            .map_err(|reason| {
                let block = block(filter).join("\n");
                refused(format!(
                    "{reason}. Add this to http_filters, before the router:\n{block}"
                ))
            })?;
        }
        let adds_node = text != old && needs_node(document.values());
        if adds_node {
            let path = ValuePath {
                document: 0,
                steps: keys(&["node"]),
            };
            let node = json!({"id": DEFAULT_NAME, "cluster": DEFAULT_NAME});
            let line = format!("node: {{ id: {DEFAULT_NAME}, cluster: {DEFAULT_NAME} }}");
            text =
                insert::set(&text, &path, node, &[line], insert::is_top_level).map_err(refused)?;
        }
        let values = Document::parse(&text).map_err(refused)?;
        let mut warnings = listener::warnings(values.values(), &[]);
        warnings.extend(has_no_labels(values.values()).then(|| NO_LABELS.to_owned()));
        Ok(Self {
            managers: found.iter().map(|(_, it)| manager_name(it)).collect(),
            adds_node,
            warnings,
            text: (text != old).then_some(text),
        })
    }

    /// `keeps_filter`: whether the file of the filter exists; `None` if the bootstrap does not use it.
    fn report(
        &self,
        dry_run: bool,
        name: &str,
        filter: &Path,
        keeps_filter: Option<bool>,
    ) -> Report {
        let file = filter.display();
        let is = if dry_run { "would be" } else { "is" };
        let mut lines = vec![match &self.text {
            None => format!("{name}: every HTTP connection manager has the filter"),
            Some(_) => format!(
                "{name}: the filter {is} added before the router of {}",
                self.managers.join(", ")
            ),
        }];
        if self.adds_node {
            lines.push(format!(
                "{name}: `node` {is} added, which Envoy requires for a filter from a file; --service-node and \
                 --service-cluster take precedence"
            ));
        }
        lines.extend(keeps_filter.map(|keeps_filter| match keeps_filter {
            true => format!("{file} exists, and is kept"),
            false => format!("{file} {is} written; it blocks nobody until a list is added"),
        }));
        if self.text.is_some() {
            lines.push("Envoy reads its bootstrap when it starts: restart it".to_owned());
        }
        if let (true, Some(text)) = (dry_run, &self.text) {
            lines.push(text.trim_end().to_owned());
        }
        let json = json!({
            "bootstrap": name,
            "filter": filter,
            "managers": self.managers,
            "changed": self.text.is_some() && !dry_run,
            "dry_run": dry_run,
        });
        Report {
            notes: self.warnings.clone(),
            is_message: !dry_run,
            ..Report::new(lines.join("\n"), json)
        }
    }
}

/// The element of `http_filters`: Envoy reads the filter from a file, and again when a file is renamed into its directory.
fn discovered(filter: &Path) -> Value {
    let directory = filter.parent().unwrap_or(Path::new("/"));
    json!({
        "name": DEFAULT_NAME,
        "config_discovery": {
            "type_urls": [WASM_FILTER],
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": filter, "watched_directory": {"path": directory}},
            },
        },
    })
}

/// The same as lines of YAML.
fn block(filter: &Path) -> Vec<String> {
    let directory = filter.parent().unwrap_or(Path::new("/"));
    // JSON's strings are YAML's.
    let (file, directory) = (json!(filter), json!(directory));
    [
        format!("- name: {DEFAULT_NAME}"),
        "  config_discovery:".to_owned(),
        format!("    type_urls: [{WASM_FILTER}]"),
        "    config_source:".to_owned(),
        "      resource_api_version: V3".to_owned(),
        "      path_config_source:".to_owned(),
        format!("        path: {file}"),
        format!("        watched_directory: {{ path: {directory} }}"),
    ]
    .into()
}

/// Whether the file is a bootstrap without a `node`.
fn needs_node(documents: &[Value]) -> bool {
    let is_bootstrap = |it: &Value| it.get("static_resources").is_some();
    documents
        .first()
        .is_some_and(|it| is_bootstrap(it) && it.get("node").is_none())
}

/// Whether the file is a bootstrap in which no tag makes labels of the filter's metrics.
fn has_no_labels(documents: &[Value]) -> bool {
    documents.first().is_some_and(|it| {
        let tags = it.pointer("/stats_config/stats_tags");
        it.get("static_resources").is_some()
            && !tags.is_some_and(|tags| tags.to_string().contains(DEFAULT_NAME))
    })
}

fn name_of(filter: &Value) -> &str {
    let name = filter.get("name").and_then(Value::as_str);
    name.unwrap_or_default()
}

fn manager_name(manager: &Value) -> String {
    let name = manager.get("stat_prefix").and_then(Value::as_str);
    name.unwrap_or("a listener").to_owned()
}

/// The lists of filters, each with its HTTP connection manager.
fn find(documents: &[Value]) -> Vec<(ValuePath, &Value)> {
    let mut found = Vec::new();
    for (document, value) in documents.iter().enumerate() {
        visit(value, &mut Vec::new(), document, &mut found);
    }
    found
}

fn visit<'v>(
    value: &'v Value,
    steps: &mut Vec<Step>,
    document: usize,
    found: &mut Vec<(ValuePath, &'v Value)>,
) {
    let inner: Vec<(Step, &Value)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (Step::Key(key.clone()), value))
            .collect(),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .map(|(index, value)| (Step::Index(index), value))
            .collect(),
        _ => return,
    };
    // An upstream's codec filters have the same key, and no stat_prefix.
    let is_manager = value.get("stat_prefix").is_some();
    for (step, value_of_step) in inner {
        let is_list = is_manager && step == Step::Key("http_filters".to_owned());
        steps.push(step);
        match is_list {
            true => {
                let steps = steps.clone();
                found.push((ValuePath { document, steps }, value));
            }
            false => visit(value_of_step, steps, document, found),
        }
        steps.pop();
    }
}
