//! `status`: whether clients are blocked, the switches, and what each running Envoy reports.

mod ase;
mod attack_list;
mod blocking;
mod configuration;
mod crashes;
mod feeds;
mod fetches;
mod fleet;
mod limits;
mod next_fetch;
mod page;
mod running;
mod traffic;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis::config::Config;
use serde_json::{Value, json};

use self::blocking::{Blocking, State};
use self::limits::Limited;
use self::page::Page;
use self::running::Running;
use crate::args::{Common, DEFAULT_CONFIG, StatusArgs};
use crate::clients::access_log::Denied;
use crate::clients::envoy_admin::{self, RunningEnvoy};
use crate::clients::fleet::Fleet;
use crate::config_file::ConfigFile;
use crate::config_file::locate::DEFAULT_NAME;
use crate::error::{Failure, Result};
use crate::output::Report;

/// The exit code if there is a warning, with `--exit-code`.
const WARNED: u8 = 3;

/// What is shown, and what an exit code says of it.
struct Shown {
    text: String,
    json: Value,
    exit_code: u8,
}

/// Runs the command.
pub fn run(common: &Common, args: &StatusArgs) -> Result<Report> {
    if args.envoy.len() > 1 && args.access_log.is_some() {
        return Err(Failure::usage(
            "--access-log is the file of one Envoy; give it with one --envoy",
        ));
    }
    let server = Fleet::of(&common.remote)?;
    let file = File::read(common, args, server.as_ref())?;
    let show_fleet = |page: &mut Page| -> Result<()> {
        if let Some(server) = &server {
            fleet::show(page, &server.get("/v1/status")?);
        }
        Ok(())
    };
    let shown = match args.envoy.as_slice() {
        [] => {
            let mut page = Page::new(args.ase);
            of_file(&mut page, &file)?;
            show_fleet(&mut page)?;
            shared_address(&mut page, args, None);
            shown(page, &file, None)
        }
        [url] => {
            let mut page = of_envoy(args, &file, url)?;
            show_fleet(&mut page)?;
            shown(page, &file, None)
        }
        urls => {
            let mut all: Vec<_> = urls
                .iter()
                .map(|url| match of_envoy(args, &file, url) {
                    Ok(page) => shown(page, &file, Some(url)),
                    Err(failure) => Shown {
                        text: format!("Portcullis at {url}\nerror: {}", failure.message),
                        json: json!({"envoy_url": url, "error": failure.message}),
                        exit_code: failure.exit_code,
                    },
                })
                .collect();
            if server.is_some() {
                let mut page = Page::new(false);
                show_fleet(&mut page)?;
                all.push(shown(page, &file, Some(&file.name)));
            }
            together(all)
        }
    };
    let mut report = Report::new(shown.text, shown.json);
    if args.exit_code || shown.exit_code != WARNED {
        report.exit_code = shown.exit_code;
    }
    Ok(report)
}

/// What the file or the server of a fleet has.
struct File {
    /// How messages call it.
    name: String,
    content: Content,
    /// The names of the filter.
    names: Vec<String>,
}

enum Content {
    /// A configuration that the filter accepts.
    Valid(Box<(ConfigFile, Config)>),
    /// None, and none was asked for.
    Absent,
    /// The server of a fleet has no filter.
    NoFilter,
    /// One that can't be used, and why.
    Broken(String),
}

impl File {
    /// Reads it. With the address of an Envoy, a file that can't be used is no error.
    fn read(common: &Common, args: &StatusArgs, server: Option<&Fleet>) -> Result<Self> {
        let mut file = Self {
            name: common.remote.server.clone().unwrap_or_default(),
            content: Content::NoFilter,
            names: vec![common.name.as_deref().unwrap_or(DEFAULT_NAME).to_owned()],
        };
        if let Some(server) = server
            && common.name.is_none()
            && server.filter_names()?.is_empty()
        {
            return Ok(file);
        }
        let read = ConfigFile::read(common).and_then(|read| {
            let config = read.config()?;
            Ok((read, config))
        });
        let is_default = common.config == Path::new(DEFAULT_CONFIG) && server.is_none();
        match read {
            Ok((read, config)) => {
                file.name.clone_from(&read.file);
                file.names.clone_from(&read.names);
                file.content = Content::Valid(Box::new((read, config)));
            }
            Err(failure) if args.envoy.is_empty() => return Err(failure),
            Err(_) if is_default && !common.config.exists() => file.content = Content::Absent,
            Err(failure) => file.content = Content::Broken(failure.message),
        }
        Ok(file)
    }

    fn valid(&self) -> Option<&(ConfigFile, Config)> {
        match &self.content {
            Content::Valid(valid) => Some(valid),
            _ => None,
        }
    }
}

/// The page without an Envoy.
fn of_file(page: &mut Page, file: &File) -> Result<()> {
    let Some((config_file, config)) = file.valid() else {
        page.text("filters", "none: the server has no filter");
        return Ok(());
    };
    let by_file = Blocking::of(config, None, &Limited::default());
    let text = format!(
        "unknown (--envoy URL asks the running Envoy); by the configuration {}",
        by_file.text()
    );
    let json = json!({
        "state": State::Unknown.as_str(),
        "by_configuration": by_file.state.as_str(),
        "reasons": by_file.reasons,
    });
    page.line("blocking", &text, json);
    page.text("file", &config_file.file);
    ase::show(page, config, None);
    feeds::show(page, config, None);
    Ok(())
}

/// The page about one Envoy.
fn of_envoy(args: &StatusArgs, file: &File, url: &str) -> Result<Page> {
    let mut envoy = envoy_admin::read(url)?;
    let running = Running::of(&envoy, &file.names);
    let limited = match running.first() {
        Some(config) => limits::exceeded(config, &mut envoy)?,
        None => Limited::default(),
    };
    let envoy = &envoy;
    let mut page = Page::new(args.ase);
    let blocking = running.blocking(envoy, &file.names, &limited);
    page.line(
        "blocking",
        &blocking.text(),
        json!({"state": blocking.state.as_str(), "reasons": blocking.reasons}),
    );
    // What runs counts. Where it is hidden, the file shows at least the intent.
    let config = running.first().or(file.valid().map(|(_, config)| config));
    if let Some(config) = config {
        fetches::show_failing(&mut page, config, envoy);
    }
    running_envoy(&mut page, file, config, envoy);
    limits::warn(&mut page, &limited);
    shared_address(&mut page, args, Some(envoy));
    Ok(page)
}

/// What the running Envoy reports.
fn running_envoy(page: &mut Page, file: &File, config: Option<&Config>, envoy: &RunningEnvoy) {
    let name = match &file.content {
        Content::Absent => "none",
        Content::NoFilter => "none: the server has no filter",
        Content::Valid(_) | Content::Broken(_) => &file.name,
    };
    page.text("file", name);
    page.value("envoy url", json!(envoy.url));
    let state = match envoy.state.as_str() {
        "LIVE" => "started",
        other => {
            page.warnings.push(format!(
                "the running Envoy is not started: it reports {other}"
            ));
            other
        }
    };
    page.line(
        "envoy",
        &format!("{}, {state}", envoy.version),
        json!(envoy.version),
    );
    let ports = envoy.ports();
    let texts = [("http", &ports.plain), ("https", &ports.tls)];
    let texts = texts.iter().filter(|(_, ports)| !ports.is_empty());
    let texts: Vec<_> = texts
        .map(|(scheme, ports)| format!("{scheme} {}", ase::numbers(ports)))
        .collect();
    let text = match texts.as_slice() {
        [] => "none".to_owned(),
        texts => texts.join(", "),
    };
    page.text("ports", &text);
    if let Content::Broken(problem) = &file.content {
        page.warnings
            .push(format!("{problem}; this is what the running Envoy uses"));
    }
    let config_file = file.valid().map(|(config_file, _)| config_file);
    configuration::show(page, config_file, &file.names, envoy);
    if let Some(config) = config {
        ase::show(page, config, Some(envoy));
        let notices = config.warnings.iter().map(ToString::to_string);
        page.warnings.extend(notices);
    }
    let mut listeners: BTreeSet<_> = envoy.listener_warnings(&file.names).into_iter().collect();
    let of_file = config_file.map(|config_file| config_file.listener_warnings.iter().cloned());
    listeners.extend(of_file.into_iter().flatten());
    page.warnings.extend(listeners);
    if running_in_none(envoy, &file.names) {
        page.warnings.push(
            "no HTTP connection manager of an active listener has the filter: nothing is blocked by it; see the newest \
             configuration of the listeners"
                .to_owned(),
        );
    }
    if let Some(config) = config {
        let runs_for = envoy.runs_for(&file.names);
        attack_list::show(page, config, envoy, runs_for);
        feeds::show(page, config, Some((envoy, runs_for)));
        traffic::show(page, config, envoy);
    }
    let [done, failed, put_off] = envoy.vm_reloads(&file.names);
    page.counts(
        "vm reloads",
        &[("done", done), ("failed", failed), ("put off", put_off)],
    );
    crashes::warn(page, envoy, &file.names);
    if let Some(panics) = envoy.panics() {
        page.number("panics", panics);
    }
}

/// Whether Envoy has a configuration of the filter that no request meets.
fn running_in_none(envoy: &RunningEnvoy, names: &[String]) -> bool {
    !envoy.configurations(names).is_empty() && envoy.exemptions(names).are_of_all()
}

/// Warns of the sign of a misconfigured client address.
fn shared_address(page: &mut Page, args: &StatusArgs, envoy: Option<&RunningEnvoy>) {
    let files: BTreeSet<PathBuf> = match (&args.access_log, envoy) {
        (Some(path), _) => BTreeSet::from([path.clone()]),
        (None, Some(envoy)) => {
            let files = envoy.access_logs().1.into_iter();
            // Standard output, for example, is not a file that can be read.
            files.filter(|path| path.is_file()).collect()
        }
        (None, None) => BTreeSet::new(),
    };
    let mut denied = Denied::default();
    for path in files {
        if let Err(error) = denied.read(&path) {
            page.warnings.push(format!(
                "the access log {} can't be read: {error}",
                path.display()
            ));
        }
    }
    if let Some((address, count, total)) = denied.shared_private_address() {
        page.warnings.push(format!(
            "{count} of the last {total} denied requests come from the private address {address}: Envoy seems to use \
             the address of a proxy in front of it as the client's; see use_remote_address and xff_num_trusted_hops"
        ));
    }
}

/// A page as it is shown. `subject`: what it is about, if there are several.
fn shown(page: Page, file: &File, subject: Option<&str>) -> Shown {
    let name = match &file.content {
        Content::Absent => None,
        _ => Some(file.name.as_str()),
    };
    Shown {
        text: page.to_text(subject),
        exit_code: if page.warnings.is_empty() { 0 } else { WARNED },
        json: Value::Object(page.into_json(name)),
    }
}

/// Several pages as one result. An Envoy that can't be read is worse than one with a warning.
fn together(all: Vec<Shown>) -> Shown {
    let badness = |code: &u8| match *code {
        0 => 0,
        WARNED => 1,
        _ => 2,
    };
    let codes = all.iter().map(|one| one.exit_code);
    let exit_code = codes.max_by_key(badness).unwrap_or(0);
    let texts: Vec<_> = all.iter().map(|one| one.text.as_str()).collect();
    let text = texts.join("\n\n");
    let envoys: Vec<_> = all.into_iter().map(|one| one.json).collect();
    Shown {
        text,
        json: json!({ "envoys": envoys }),
        exit_code,
    }
}
