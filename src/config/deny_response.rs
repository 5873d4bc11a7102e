//! The section `deny_response`: the response to a denied request. `judge` sends it.

use super::error::Problem;
use super::section::Section;
use super::value;

pub(super) const DENY_RESPONSE_KEYS: &[&str] = &["status", "body", "headers"];

/// The response to a denied request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyResponse {
    /// HTTP status.
    pub status: u32,
    /// Body.
    pub body: String,
    /// Added headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

pub(super) fn read_deny_response(root: &Section<'_>) -> DenyResponse {
    let section = root.section("deny_response", DENY_RESPONSE_KEYS);
    // A client would read the body of a 204, 205 or 304 as the start of the next response.
    let status = section.number(
        "status",
        "a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        |status| {
            status.fract() == 0.0
                && (200.0..=599.0).contains(&status)
                && ![204.0, 205.0, 304.0].contains(&status)
        },
    );
    let body = section.verbatim_text("body", "a string; \"\" for no body");
    DenyResponse {
        status: status.map_or(403, |status| status as u32),
        body: body.unwrap_or("Error: Unauthorized").to_owned(),
        headers: read_headers(&section),
    }
}

fn read_headers(section: &Section<'_>) -> Vec<(String, String)> {
    let typed = section.map(
        "headers",
        "an object from header name to value, such as {\"cache-control\": \"no-store\"}",
    );
    let mut headers: Vec<(String, String)> = Vec::new();
    for (typed_name, _) in typed.entries() {
        let Some(name) = typed.accepted(typed_name, value::header_name(typed_name)) else {
            continue;
        };
        let allowed = "a string, the header's value";
        let value = typed.text(typed_name, allowed, value::header_value);
        if matches!(name.as_str(), "content-length" | "transfer-encoding") {
            let allowed = "any other header: Envoy sets this one from the body";
            typed.reject(typed_name, Problem::invalid_text(&name, allowed));
        } else if headers.iter().any(|(other, _)| *other == name) {
            typed.reject(typed_name, Problem::DuplicateKey);
        } else if let Some(value) = value {
            headers.push((name, value));
        }
    }
    headers
}
