//! Access control: ABS's credentials and the token of the sideband.

use axum::http::HeaderMap;

use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::state::{Settings, Simulator, increment};
use crate::store::Visibility;

/// What the user of the request may see; counts a refusal.
///
/// # Errors
///
/// The user is unknown.
pub fn authorised(
    simulator: &Simulator,
    endpoint: Endpoint,
    headers: &HeaderMap,
) -> Result<Visibility, ApiError> {
    user(&simulator.settings, headers).inspect_err(|_| {
        let counters = &mut simulator.state().counters;
        increment(match endpoint {
            Endpoint::Traffic => &mut counters.traffic_unauthorized,
            _ => &mut counters.attacklist_unauthorized,
        });
    })
}

/// Whether the user of the request may change or send something; counts a refusal.
///
/// # Errors
///
/// The user is unknown or restricted.
pub fn authorised_to_write(
    simulator: &Simulator,
    endpoint: Endpoint,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    match authorised(simulator, endpoint, headers)? {
        Visibility::Full => Ok(()),
        Visibility::Restricted => Err(ApiError::ReadOnly),
    }
}

/// Checks the token of the sideband, if one is configured.
///
/// # Errors
///
/// The token is absent or wrong.
pub fn check_ase_token(settings: &Settings, headers: &HeaderMap) -> Result<(), ApiError> {
    match &settings.ase_token {
        Some(token) if text_of(headers, "ase-token") != Some(token) => Err(ApiError::AseToken),
        _ => Ok(()),
    }
}

/// The value of a header with text.
pub fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn user(settings: &Settings, headers: &HeaderMap) -> Result<Visibility, ApiError> {
    let has = |name, value: &str| text_of(headers, name) == Some(value);
    if has("x-abs-ak", &settings.access_key) && has("x-abs-sk", &settings.secret_key) {
        return Ok(Visibility::Full);
    }
    if has("x-abs-ak-ru", &settings.restricted_access_key)
        && has("x-abs-sk-ru", &settings.restricted_secret_key)
    {
        return Ok(Visibility::Restricted);
    }
    Err(ApiError::Unauthorized)
}
