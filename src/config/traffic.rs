//! The section `traffic`: what is sent to ABS, and how. Makes no call.

use core::time::Duration;

use super::credential::{Credential, Environment, Secret};
use super::error::Problem;
use super::section::Section;
use super::value::{self, DurationRange};

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

const FLUSH_INTERVAL: DurationRange = DurationRange {
    least: Duration::from_millis(10),
    most: Duration::from_secs(3_600),
    allowed: "a duration from \"10ms\" to \"1h\", such as \"2s\" (whole number; units ms, s, m, h, d)",
};

const ASE_TOKEN: Credential = Credential {
    key: "ase_token",
    variable_key: "ase_token_env",
    default_variable: "ASE_TOKEN",
    parse: value::visible_ascii,
};

/// The default of `headers`: no header with a secret that identifies a client.
const DEFAULT_HEADERS: &[&str] = &[
    "host",
    "user-agent",
    "content-type",
    "content-length",
    "accept",
    "referer",
    "x-forwarded-for",
];

/// What is sent to ABS, and how (`enable_abs`).
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// What one call carries. Required with `enable_abs`; without it, it has no meaning.
    pub format: TrafficFormat,
    /// The Envoy cluster that records are sent to; `None` for `abs.cluster`.
    pub cluster: Option<String>,
    /// `:authority` of the calls; `None` for the cluster's name, or for `abs.authority` if the cluster is `abs.cluster`.
    pub authority: Option<String>,
    /// Path of the calls of [`TrafficFormat::Batch`].
    pub path: String,
    /// Batches are compressed with gzip.
    pub gzip: bool,
    /// Limit on the queued records of each VM, in bytes.
    pub queue_memory: u64,
    /// Size at which a batch is sent, in bytes before compression; at most [`Traffic::queue_memory`].
    pub batch_bytes: u64,
    /// Age at which a batch is sent, however small.
    pub flush_interval: Duration,
    /// Fraction of the requests that is reported, 0 to 1.
    pub sample: f64,
    /// The `ASE-Token` of [`TrafficFormat::Sideband`], if the filter sends it.
    pub ase_token: Option<Secret>,
    /// The headers that may be sent, in lower case; `host` includes `:authority`.
    pub headers: Vec<String>,
}

/// What one call to ABS carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficFormat {
    /// Many records, one JSON object per line.
    Batch,
    /// One request or one response, for ASE's sideband interface.
    Sideband,
}

pub(super) fn read_traffic(
    root: &Section<'_>,
    is_enabled: bool,
    environment: Environment<'_>,
) -> Traffic {
    let section = root.section("traffic", TRAFFIC_KEYS);
    let n_errors = section.report().n_errors();
    let queue_memory = section.size("queue_memory").unwrap_or(4 << 20);
    let batch_bytes = section.size("batch_bytes").unwrap_or(256 << 10);
    if section.report().n_errors() == n_errors && batch_bytes > queue_memory {
        let allowed = "at most queue_memory: lower batch_bytes, or raise queue_memory";
        let problem = Problem::invalid("a batch larger than the queue", allowed);
        section.reject("batch_bytes", problem);
    }
    let sample = section.number(
        "sample",
        "a number from 0 (no request) to 1 (every request), such as 0.1",
        |number| (0.0..=1.0).contains(&number),
    );
    // There is no default: neither ABS nor ASE accepts batches, and the sideband interface usually has its own address.
    if is_enabled && !section.has("format") && !section.is_broken() {
        let needed = "enable_abs needs it: \"sideband\" sends to ASE's sideband interface (name ASE's cluster in \
             traffic.cluster), \"batch\" sends to a receiver of your own at traffic.path; or turn enable_abs off";
        section.reject("format", Problem::Missing { needed });
    }
    let format = section.choice(
        "format",
        [
            ("batch", TrafficFormat::Batch),
            ("sideband", TrafficFormat::Sideband),
        ],
        "\"sideband\" (for ASE) or \"batch\" (for a receiver of your own)",
    );
    let cluster = section.text(
        "cluster",
        "the name of the Envoy cluster that receives traffic information, such as \"ase\"",
        value::visible_ascii,
    );
    let authority = section.text(
        "authority",
        "a host name, with or without a port, such as \"ase.example.com:8443\"",
        value::visible_ascii,
    );
    let path = section.text(
        "path",
        "a path, such as \"/portcullis/v1/traffic\"",
        value::call_path,
    );
    let flush_interval = section.duration("flush_interval", &FLUSH_INTERVAL);
    let ase_token = ASE_TOKEN.read(&section, is_enabled.then_some(environment));
    let headers = section.texts(
        "headers",
        "a list of header names, such as [\"host\", \"user-agent\"]; [] for none",
        value::header_name,
    );
    Traffic {
        format: format.unwrap_or(TrafficFormat::Batch),
        cluster,
        authority,
        path: path.unwrap_or_else(|| "/portcullis/v1/traffic".to_owned()),
        gzip: section.boolean("gzip", false),
        queue_memory,
        batch_bytes,
        flush_interval: flush_interval.unwrap_or(Duration::from_secs(2)),
        sample: sample.unwrap_or(1.0),
        ase_token,
        headers: headers
            .unwrap_or_else(|| DEFAULT_HEADERS.iter().map(ToString::to_string).collect()),
    }
}
