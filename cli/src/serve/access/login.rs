//! Login and logout of the page: a token for a cookie.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Form, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::tokens::Token;
use super::{Refusal, Role, origin, session};
use crate::clients::feed::unix_now;
use crate::serve::{Server, page};

/// The largest body of a login.
pub const LARGEST_BODY: usize = 8 * 1024;

/// The form.
#[derive(Deserialize)]
pub struct Login {
    token: String,
}

/// Handles `POST /login`.
pub async fn login(
    State(server): State<Arc<Server>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Response {
    let access = &server.access;
    if !origin::is_own(&Method::POST, &headers, false) {
        return Refusal::ForeignOrigin.into_response();
    }
    let address = address.ip();
    // A token that was pasted with the end of its line.
    let token = Token::of(login.token.trim_end().as_bytes());
    let tokens = access.tokens();
    let roles = [Role::Operator, Role::Reader];
    let configured = || roles.iter().filter_map(|role| tokens.of(*role));
    if let Some(known) = configured().find(|known| known.is(&token)) {
        let cookie = session::cookie(known, unix_now(), access.tls);
        return see_other("/", Some(cookie));
    }
    if configured().next().is_none() {
        return see_other("/", None);
    }
    if let Some(rest) = access.guesses.refused_for(address, Instant::now()) {
        return Refusal::TooManyTokens(rest).into_response();
    }
    access.note_wrong(address, &token, &server.changes);
    page::login_failed()
}

/// Handles `POST /logout`. The cookie is deleted in the browser; a copy of it is valid until it expires or the token
/// changes.
pub async fn logout(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    if !origin::is_own(&Method::POST, &headers, true) {
        return Refusal::ForeignOrigin.into_response();
    }
    see_other("/login", Some(session::removed(server.access.tls)))
}

/// A redirect that a browser follows by GET.
pub fn see_other(path: &'static str, cookie: Option<String>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| cookie.try_into().ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
