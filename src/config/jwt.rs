//! The object `apis[].jwt`: where JSON web tokens are, and the meaning of their claims. `request` reads the tokens.

use super::error::Problem;
use super::section::Section;
use super::value;

pub(super) const JWT_KEYS: &[&str] = &["location", "username", "clientid"];

/// The object `jwt` of ASE's API JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Where the token is.
    pub location: JwtLocation,
    /// The claim with the user name, in addition to [`super::Api::username`].
    pub username: Option<String>,
    /// The claim with the client's name, which is reported to ABS.
    pub client_id: Option<String>,
}

/// Where a JSON web token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtLocation {
    /// In the Authorization header, where tokens are always read.
    Authorization,
    /// In a header, its name in lower case.
    Header(String),
    /// In a query parameter.
    Query(String),
}

/// Reads `jwt`, an object of ASE's API JSON. An empty string is absent, as in the vendor's samples.
pub(super) fn read_jwt(section: &Section<'_>) -> Option<Jwt> {
    if !section.has("jwt") {
        return None;
    }
    let jwt = section.section("jwt", JWT_KEYS);
    let location = jwt.text("location", LOCATION, parse_location);
    let claim = |key| {
        let parse = |text: &str| match text {
            "" => Ok(None),
            _ => value::identifier_text(text).map(Some),
        };
        jwt.text(key, "the name of a claim, such as \"username\"", parse)
            .flatten()
    };
    Some(Jwt {
        location: location.unwrap_or(JwtLocation::Authorization),
        username: claim("username"),
        client_id: claim("clientid"),
    })
}

const LOCATION: &str = "\"h:authorization:bearer\", \"h:\" and a header's name, or \"qs:\" and a parameter's name, such as \"h:x-jwt\"";

/// Reads the location of a JSON web token as in ASE's API JSON: `h:<header>`, `h:authorization:bearer`, `qs:<parameter>`.
/// Empty means the Authorization header.
fn parse_location(text: &str) -> Result<JwtLocation, Problem> {
    if text.is_empty() {
        return Ok(JwtLocation::Authorization);
    }
    let is_authorization = |name: &str| {
        ["authorization", "authorization:bearer"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    let (place, name) = text.split_once(':').unwrap_or_default();
    let name = name.trim();
    match place.to_ascii_lowercase().as_str() {
        "h" if is_authorization(name) => Ok(JwtLocation::Authorization),
        "h" => value::header_name(name).map(JwtLocation::Header),
        "qs" => value::identifier_text(name).map(JwtLocation::Query),
        _ => Err(Problem::invalid_text(text, LOCATION)),
    }
}
