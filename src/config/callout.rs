//! The sections `abs` and `traffic`: how ABS is reached, with which credentials, and what is sent to it.

use core::time::Duration;

use super::error::{Errors, Problem};
use super::field::{read_choice, read_duration, read_names, read_size, refused_number};
use super::raw::Section;
use super::value::{self, DurationRange};
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

pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

pub(super) fn read_abs(
    root: &Section<'_>,
    needed: bool,
    environment: Environment<'_>,
    errors: &mut Errors,
) -> Option<Abs> {
    const CLUSTER: &str = "the name of the Envoy cluster of ABS, such as \"abs\"";
    const AUTHORITY: &str = "a host name, with a port or without, such as \"abs.example.com:8080\"";
    const KEY: &str = "a key of visible ASCII characters without \":\"";
    let section = root.section("abs", ABS_KEYS, errors);
    let text = |key, allowed, errors: &mut Errors| {
        let parse = |text: &str| value::visible_ascii(text, None, allowed).map(Some);
        section.parsed(key, None, allowed, parse, errors)
    };
    let cluster: Option<String> = text("cluster", CLUSTER, errors);
    let authority = text("authority", AUTHORITY, errors);
    let timeout = read_duration(
        &section,
        "timeout",
        Duration::from_secs(30),
        &TIMEOUT,
        errors,
    );
    let attack_window = read_duration(
        &section,
        "attack_window",
        Duration::from_secs(30 * 86_400),
        &ATTACK_WINDOW,
        errors,
    );
    if needed && !section.has("cluster") && !section.is_broken() {
        let needed = "enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off";
        section.report("cluster", Problem::Missing { needed }, errors);
    }
    let environment = if needed || cluster.is_some() {
        environment
    } else {
        &|_: &str| None
    };
    let mut credential = |key, variable_key, default_variable| {
        let credential = Credential {
            key,
            variable_key,
            default_variable,
            refused: Some(':'),
            allowed: KEY,
        };
        credential.read(&section, environment, errors)
    };
    let access_key = credential("access_key", "access_key_env", "ABS_ACCESS_KEY");
    let secret_key = credential("secret_key", "secret_key_env", "ABS_SECRET_KEY");
    cluster.map(|cluster| Abs {
        authority: authority.unwrap_or_else(|| cluster.clone()),
        cluster,
        access_key,
        secret_key,
        timeout,
        attack_window,
    })
}

/// A secret that stands in the configuration itself or in an environment variable that it names.
struct Credential {
    key: &'static str,
    variable_key: &'static str,
    default_variable: &'static str,
    refused: Option<char>,
    allowed: &'static str,
}

impl Credential {
    fn read(
        &self,
        section: &Section<'_>,
        environment: Environment<'_>,
        errors: &mut Errors,
    ) -> Option<Secret> {
        let variable = section.parsed(
            self.variable_key,
            self.default_variable,
            VARIABLE,
            |text| {
                if value::is_variable_name(text) {
                    Ok(text)
                } else {
                    // Not shown: it may be the secret itself, in the wrong place.
                    let found = "a string that can't name a variable (not shown)";
                    Err(Problem::refused(found, VARIABLE))
                }
            },
            errors,
        );
        let secret = |text: &str| {
            value::visible_ascii(text, self.refused, self.allowed)
                .map(|text| Some(Secret::new(text)))
        };
        if section.has(self.key) {
            return section.parsed(self.key, None, self.allowed, secret, errors);
        }
        let text = environment(variable).filter(|text| !text.is_empty())?;
        match secret(&text) {
            Ok(secret) => secret,
            Err(mut problem) => {
                if let Problem::Refused { found, .. } = &mut problem {
                    found.push_str(" in the environment variable ");
                    found.push_str(variable);
                }
                section.report(self.variable_key, problem, errors);
                None
            }
        }
    }
}

const VARIABLE: &str = "the name of an environment variable (letters, digits and underscores), such as \"ABS_ACCESS_KEY\"";

pub(super) fn read_traffic(
    root: &Section<'_>,
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
    let ase_token = Credential {
        key: "ase_token",
        variable_key: "ase_token_env",
        default_variable: "ASE_TOKEN",
        refused: None,
        allowed: "a token of visible ASCII characters",
    };
    Traffic {
        format: read_choice(
            &section,
            "format",
            [
                ("batch", TrafficFormat::Batch),
                ("sideband", TrafficFormat::Sideband),
            ],
            "\"batch\" or \"sideband\"",
            errors,
        ),
        path: section.parsed(
            "path",
            "/portcullis/v1/traffic".to_owned(),
            "a path, such as \"/portcullis/v1/traffic\"",
            value::call_path,
            errors,
        ),
        gzip: section.boolean("gzip", false, errors),
        queue_memory,
        batch_bytes,
        flush_interval: read_duration(
            &section,
            "flush_interval",
            Duration::from_secs(2),
            &FLUSH_INTERVAL,
            errors,
        ),
        sample,
        ase_token: ase_token.read(&section, environment, errors),
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
