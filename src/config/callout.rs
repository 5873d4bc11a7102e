//! The sections `abs` and `traffic`: how ABS is reached, with which credentials, and what is sent to it.

use core::time::Duration;

use super::error::{Errors, Problem};
use super::field::{is_second, read_duration, read_names, read_size, read_text, refused_number};
use super::raw::Section;
use super::value::{self, DurationRange};
use super::warning::Notice;
use super::{Abs, Secret, Traffic, TrafficFormat};

pub(super) const ABS_KEYS: &[&str] = &[
    "cluster",
    "authority",
    "access_key",
    "secret_key",
    "access_key_env",
    "secret_key_env",
    "timeout",
    "attack_window",
];

pub(super) const TRAFFIC_KEYS: &[&str] = &[
    "format",
    "cluster",
    "authority",
    "path",
    "gzip",
    "queue_memory",
    "batch_bytes",
    "flush_interval",
    "sample",
    "ase_token",
    "ase_token_env",
    "headers",
];

const TIMEOUT: DurationRange = DurationRange {
    least: Duration::from_millis(1),
    most: Duration::from_secs(3_600),
    allowed: "a duration from \"1ms\" to \"1h\", such as \"30s\" (whole number; units ms, s, m, h, d)",
};

/// ABS's dates have no seconds, so a window under a minute would be empty.
const ATTACK_WINDOW: DurationRange = DurationRange {
    least: Duration::from_secs(60),
    most: Duration::from_secs(3_650 * 86_400),
    allowed: "a duration from \"1m\" to \"3650d\", such as \"30d\" (whole number; units ms, s, m, h, d)",
};

const FLUSH_INTERVAL: DurationRange = DurationRange {
    least: Duration::from_millis(10),
    most: Duration::from_secs(3_600),
    allowed: "a duration from \"10ms\" to \"1h\", such as \"2s\" (whole number; units ms, s, m, h, d)",
};

/// There is no default: neither ABS nor ASE takes a batch, and ASE's sideband usually listens at an address of its own.
const FORMAT_NEEDED: &str = "enable_abs needs it: \"sideband\" sends to ASE's sideband interface (name ASE's cluster in \
     traffic.cluster), \"batch\" sends to a receiver of your own at traffic.path; or turn enable_abs off";

pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

pub(super) fn read_abs(
    root: &Section<'_>,
    needed: bool,
    environment: Environment<'_>,
    errors: &mut Errors,
) -> Option<Abs> {
    let section = root.section("abs", ABS_KEYS, errors);
    let cluster = read_text(
        &section,
        "cluster",
        "the name of the Envoy cluster of ABS, such as \"abs\"",
        value::visible_ascii,
        errors,
    );
    let authority = read_text(
        &section,
        "authority",
        "a host name, with a port or without, such as \"abs.example.com:8080\"",
        value::visible_ascii,
        errors,
    );
    let timeout = read_duration(&section, "timeout", &TIMEOUT, errors);
    let attack_window = read_duration(&section, "attack_window", &ATTACK_WINDOW, errors);
    if needed && !section.has("cluster") && !section.is_broken() {
        let needed = "enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off";
        section.report("cluster", Problem::Missing { needed }, errors);
    }
    let environment = only_if(needed || cluster.is_some(), environment);
    let access_key = ACCESS_KEY.read(&section, environment, errors);
    let secret_key = SECRET_KEY.read(&section, environment, errors);
    cluster.map(|cluster| Abs {
        authority: authority.unwrap_or_else(|| cluster.clone()),
        cluster,
        access_key,
        secret_key,
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
        attack_window: attack_window.unwrap_or(Duration::from_secs(30 * 86_400)),
    })
}

/// What is not used is not asked of the environment: a variable meant for something else is no error then.
fn only_if(needed: bool, environment: Environment<'_>) -> Environment<'_> {
    if needed { environment } else { &|_| None }
}

/// A secret that stands in the configuration itself or in an environment variable that it names.
struct Credential {
    key: &'static str,
    variable_key: &'static str,
    default_variable: &'static str,
    parse: fn(&str) -> Result<String, Problem>,
}

const ACCESS_KEY: Credential = Credential {
    key: "access_key",
    variable_key: "access_key_env",
    default_variable: "ABS_ACCESS_KEY",
    parse: value::abs_key,
};
const SECRET_KEY: Credential = Credential {
    key: "secret_key",
    variable_key: "secret_key_env",
    default_variable: "ABS_SECRET_KEY",
    parse: value::abs_key,
};
const ASE_TOKEN: Credential = Credential {
    key: "ase_token",
    variable_key: "ase_token_env",
    default_variable: "ASE_TOKEN",
    parse: value::visible_ascii,
};

impl Credential {
    fn read(
        &self,
        section: &Section<'_>,
        environment: Environment<'_>,
        errors: &mut Errors,
    ) -> Option<Secret> {
        let allowed = "the name of an environment variable, such as \"ABS_ACCESS_KEY\"";
        let parse = value::variable_name;
        let variable = read_text(section, self.variable_key, allowed, parse, errors);
        if section.has(self.key) {
            let allowed = "a string; or leave it out and set the environment variable";
            return read_text(section, self.key, allowed, self.parse, errors).map(Secret::new);
        }
        let variable = variable.as_deref().unwrap_or(self.default_variable);
        let text = environment(variable).filter(|text| !text.is_empty())?;
        let path = section.path(self.variable_key);
        let variable = variable.to_owned();
        let inner = crate::identifier::listed::trimmed(&text);
        match (self.parse)(inner) {
            Ok(key) => {
                if inner.len() != text.len() {
                    errors.warn(path, Notice::TrimmedVariable { variable });
                }
                Some(Secret::new(key))
            }
            // The environment is not the configuration: without the key the list is not fetched, which the log and
            // the metrics say, and all else works.
            Err(Problem::Refused { found, allowed }) => {
                let notice = Notice::UnusableVariable {
                    variable,
                    found,
                    allowed,
                };
                errors.warn(path, notice);
                None
            }
            Err(problem) => {
                errors.add(path, problem);
                None
            }
        }
    }
}

pub(super) fn read_traffic(
    root: &Section<'_>,
    needed: bool,
    environment: Environment<'_>,
    errors: &mut Errors,
) -> Traffic {
    const SAMPLE: &str = "a number from 0 (no request) to 1 (every request), such as 0.1";
    let section = root.section("traffic", TRAFFIC_KEYS, errors);
    let errors_before = errors.len();
    let queue_memory = read_size(&section, "queue_memory", 4 << 20, errors);
    let batch_bytes = read_size(&section, "batch_bytes", 256 << 10, errors);
    if errors.len() == errors_before && batch_bytes > queue_memory {
        let (found, allowed) = (
            "a batch larger than the queue",
            "at most queue_memory: lower batch_bytes, or raise queue_memory",
        );
        section.report("batch_bytes", Problem::refused(found, allowed), errors);
    }
    let sample = section.number("sample", SAMPLE, errors).unwrap_or(1.0);
    if !(0.0..=1.0).contains(&sample) {
        section.report("sample", refused_number(sample, SAMPLE), errors);
    }
    let environment = only_if(needed, environment);
    if needed && !section.has("format") && !section.is_broken() {
        let needed = FORMAT_NEEDED;
        section.report("format", Problem::Missing { needed }, errors);
    }
    let is_sideband = is_second(
        &section,
        "format",
        ["batch", "sideband"],
        "\"sideband\" (for ASE) or \"batch\" (for a receiver of your own)",
        errors,
    );
    let cluster = read_text(
        &section,
        "cluster",
        "the name of the Envoy cluster that takes traffic information, such as \"ase\"",
        value::visible_ascii,
        errors,
    );
    let authority = read_text(
        &section,
        "authority",
        "a host name, with a port or without, such as \"ase.example.com:8443\"",
        value::visible_ascii,
        errors,
    );
    let path = read_text(
        &section,
        "path",
        "a path, such as \"/portcullis/v1/traffic\"",
        value::call_path,
        errors,
    );
    Traffic {
        format: if is_sideband {
            TrafficFormat::Sideband
        } else {
            TrafficFormat::Batch
        },
        cluster,
        authority,
        path: path.unwrap_or_else(|| "/portcullis/v1/traffic".to_owned()),
        gzip: section.boolean("gzip", false, errors),
        queue_memory,
        batch_bytes,
        flush_interval: read_duration(&section, "flush_interval", &FLUSH_INTERVAL, errors)
            .unwrap_or(Duration::from_secs(2)),
        sample,
        ase_token: ASE_TOKEN.read(&section, environment, errors),
        headers: read_names(
            &section,
            "headers",
            "a list of header names, such as [\"host\", \"user-agent\"]; [] for none",
            value::header_name,
            errors,
        )
        .unwrap_or_else(|| {
            TRAFFIC_HEADERS
                .iter()
                .map(|&name| name.to_owned())
                .collect()
        }),
    }
}

/// What leaves by default: nothing that identifies a client by a secret.
const TRAFFIC_HEADERS: &[&str] = &[
    "host",
    "user-agent",
    "content-type",
    "content-length",
    "accept",
    "referer",
    "x-forwarded-for",
];
