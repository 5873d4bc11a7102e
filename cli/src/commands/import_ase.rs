//! `import-ase`: a plugin configuration and Envoy's clusters from the files of an ASE.
//!
//! Nothing that the filter lacks is left out silently: each such setting is reported with what takes its place.

mod api;
mod cluster;
mod conf;
mod lists;
mod remarks;
mod source;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use self::cluster::{Cluster, SYSTEM_CA};
use self::lists::Lists;
use self::remarks::Remarks;
use self::source::{Content, SourceFile};
use crate::args::{Common, ImportAseArgs};
use crate::config_file::mask::masked;
use crate::config_file::{manual_list, validate};
use crate::entry::Entry;
use crate::error::{Failure, Result};
use crate::output::Report;

/// The plugin configuration.
const CONFIGURATION: &str = "portcullis.json";

/// Envoy's clusters.
const CLUSTERS: &str = "clusters.yaml";

/// Runs the command.
pub fn run(common: &Common, args: &ImportAseArgs) -> Result<Report> {
    let files = source::read(&args.directory)?;
    let has_conf = |file: &SourceFile| {
        matches!(
            file.content,
            Content::Ase(_) | Content::Abs(_) | Content::Api(_)
        )
    };
    if !files.iter().any(has_conf) {
        return Err(Failure::refused(format!(
            "{} has no ase.conf, no abs.conf and no API JSON file; name ASE's directory, or the one of its configuration",
            args.directory.display()
        )));
    }
    let sideband = args.sideband.as_deref().map(sideband).transpose()?;
    let mut imported = Imported::read(&files, sideband)?;
    let text = format!("{:#}\n", Value::Object(imported.configuration.clone()));
    let config = validate(text.as_bytes()).map_err(|errors| {
        Failure::invalid_configuration(
            &args.directory.display().to_string(),
            Some("was not imported"),
            &errors,
        )
    })?;
    imported
        .notes
        .extend(config.warnings.iter().map(ToString::to_string));
    let results = [
        (CONFIGURATION, text),
        (CLUSTERS, cluster::yaml(&imported.clusters)),
    ];
    // Nothing is written if one of them can't be.
    for (name, _) in results.iter().filter(|_| !common.dry_run && !args.force) {
        let path = args.to.join(name);
        if path.exists() {
            return Err(Failure::refused(format!(
                "{} exists; --force replaces it, --to DIR names another directory",
                path.display()
            )));
        }
    }
    for (name, text) in results.iter().filter(|_| !common.dry_run) {
        write(&args.to, name, text)?;
    }
    Ok(imported.report(common, args))
}

/// Writes a result. Only its owner may read it: it can hold tokens.
fn write(directory: &Path, name: &str, text: &str) -> Result<()> {
    let path = directory.join(name);
    let written = fs::create_dir_all(directory).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)
    });
    written
        .map(drop)
        .map_err(|error| Failure::refused(format!("{} can't be written: {error}", path.display())))
}

/// The cluster of an ASE that receives traffic information.
fn sideband(url: &str) -> Result<Cluster> {
    let schemes = [("http://", false), ("https://", true)];
    let found = schemes
        .iter()
        .find_map(|(scheme, has_tls)| Some((url.strip_prefix(scheme)?, *has_tls)));
    let endpoint = found.and_then(|(rest, has_tls)| {
        Some((cluster::endpoint(rest.trim_end_matches('/')).ok()?, has_tls))
    });
    let Some((endpoint, has_tls)) = endpoint else {
        return Err(Failure::usage(format!(
            "--sideband: \"{url}\" is not an address; allowed is http:// or https://, a host and a port, such as \
             https://ase.example.com:8443"
        )));
    };
    Ok(Cluster {
        name: "ase",
        endpoints: vec![endpoint],
        ca: has_tls.then(|| SYSTEM_CA.to_owned()),
    })
}

/// What the files of an ASE become.
#[derive(Default)]
struct Imported {
    configuration: Map<String, Value>,
    clusters: Vec<Cluster>,
    lists: Lists,
    files: Vec<String>,
    remarks: Remarks,
    notes: Vec<String>,
}

impl Imported {
    fn read(files: &[SourceFile], sideband: Option<Cluster>) -> Result<Self> {
        let mut new = Self::default();
        let ase = files.iter().find_map(|file| match &file.content {
            Content::Ase(pairs) => Some(pairs.as_slice()),
            _ => None,
        });
        let mode = conf::mode(ase.unwrap_or_default());
        let mut apis = Vec::new();
        let (mut n_ase, mut n_abs) = (0_u8, 0_u8);
        let first = |count: &mut u8, file: &SourceFile| {
            *count = count.saturating_add(1);
            match *count {
                1 => Ok(()),
                _ => Err(Failure::refused(format!(
                    "{}: a second file of this name; name the directory of one ASE",
                    file.name
                ))),
            }
        };
        for file in files {
            match &file.content {
                Content::Ase(pairs) => {
                    first(&mut n_ase, file)?;
                    let (configuration, remarks) = (&mut new.configuration, &mut new.remarks);
                    conf::read_ase(
                        &file.name,
                        pairs,
                        sideband.is_some(),
                        configuration,
                        remarks,
                    )?;
                }
                Content::Abs(pairs) => {
                    first(&mut n_abs, file)?;
                    new.clusters
                        .extend(conf::read_abs(&file.name, pairs, &mut new.remarks)?);
                }
                Content::Api(metadata) => {
                    apis.push(api::read(&file.name, metadata, mode, &mut new.remarks)?)
                }
                Content::List(text) => new.lists.read(&file.name, text, &mut new.remarks),
                Content::Other(reason) => {
                    new.remarks.add(&file.name, "not read", reason);
                    continue;
                }
            }
            new.files.push(file.name.clone());
        }
        new.name_abs(sideband)?;
        if !apis.is_empty() {
            new.configuration
                .insert("apis".to_owned(), Value::Array(apis));
        }
        for (key, entries) in [
            ("allow_list", &new.lists.allow),
            ("deny_list", &new.lists.deny),
        ] {
            if !entries.is_empty() {
                new.configuration.insert(key.to_owned(), list_of(entries)?);
            }
        }
        Ok(new)
    }

    /// Names ABS's cluster, and ASE's if one receives traffic.
    fn name_abs(&mut self, sideband: Option<Cluster>) -> Result<()> {
        if let Some(cluster) = self.clusters.first() {
            let (host, port) = cluster
                .endpoints
                .first()
                .ok_or_else(|| Failure::refused("abs_endpoint names no ABS"))?;
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            let abs = json!({"cluster": cluster.name, "authority": format!("{host}:{port}")});
            self.configuration.insert("abs".to_owned(), abs);
        } else if self.configuration.get("enable_abs_attack") == Some(&Value::Bool(true)) {
            self.configuration
                .insert("enable_abs_attack".to_owned(), json!(false));
            self.notes.push(
                "enable_abs_attack is off: no abs.conf names an ABS that can be called".to_owned(),
            );
        }
        if let Some(cluster) = sideband {
            let traffic = json!({"format": "sideband", "cluster": cluster.name});
            self.configuration.insert("traffic".to_owned(), traffic);
            self.clusters.push(cluster);
        }
        Ok(())
    }

    fn report(self, common: &Common, args: &ImportAseArgs) -> Report {
        let path = |name: &str| args.to.join(name).display().to_string();
        let written = if common.dry_run {
            "would be written (dry run)"
        } else {
            "written"
        };
        let n_apis = self
            .configuration
            .get("apis")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let (n_allow, n_deny) = (self.lists.allow.len(), self.lists.deny.len());
        let names: Vec<_> = self.clusters.iter().map(|cluster| cluster.name).collect();
        let mut lines = vec![
            format!(
                "read from {}: {}",
                args.directory.display(),
                self.files.join(", ")
            ),
            format!(
                "{} {written}: the plugin configuration; APIs: {n_apis}, entries of the whitelist: {n_allow}, of the blacklist: \
                 {n_deny}",
                path(CONFIGURATION)
            ),
            format!(
                "{} {written}: Envoy's clusters: {}",
                path(CLUSTERS),
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            ),
        ];
        let shown = masked(&self.configuration);
        let clusters = cluster::yaml(&self.clusters);
        if common.dry_run {
            lines.push(format!("{:#}", Value::Object(shown.clone())));
            lines.push(clusters.trim_end().to_owned());
        }
        if n_apis > 0 {
            lines.push(
                "requests that no API matches: ASE returns 503; here Envoy's routes decide, and an API with all defaults applies"
                    .to_owned(),
            );
        }
        let remarks: Vec<_> = self.remarks.lines().collect();
        if !remarks.is_empty() {
            lines.push("not taken over as it is:".to_owned());
            lines.extend(remarks.iter().map(|line| format!("  {line}")));
        }
        let json = json!({
            "read": self.files,
            "written": [path(CONFIGURATION), path(CLUSTERS)],
            "dry_run": common.dry_run,
            "configuration": shown,
            "clusters": clusters,
            "not_taken_over": self.remarks.to_json(),
        });
        Report {
            notes: self.notes,
            ..Report::new(lines.join("\n"), json)
        }
    }
}

/// Entries as a manual list. API keys by name need a name for each.
fn list_of(entries: &[Entry]) -> Result<Value> {
    let mut list = Map::new();
    manual_list::add(&mut list, entries)?;
    Ok(Value::Object(list))
}
