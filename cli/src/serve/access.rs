//! Tokens and roles: who may do what.
//!
//! A request without the right token learns nothing. A role without a token is open: `Access::new` allows that only on
//! loopback.
//!
//! | module | owns |
//! |---|---|
//! | `tokens` | the tokens, from files or the environment |
//! | `session` | the cookie of a login |
//! | `guesses` | the limit on wrong tokens |
//! | `origin` | requests that another site makes a browser send |
//! | `login` | the routes `/login` and `/logout` |
//! | `response_headers` | what a browser may do with a response |

mod guesses;
pub mod login;
mod origin;
pub mod response_headers;
mod session;
mod tokens;

use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use self::guesses::{Guesses, Noted};
use self::tokens::{Sources, Token, Tokens};
use super::Server;
use super::changes::Changes;
use super::problem::Problem;
use super::seen::Seen;
use crate::args::AccessArgs;
use crate::clients::feed::unix_now;
use crate::error::{Failure, Result};

/// The header for a token besides `Authorization: Bearer`, which a feed may need for itself. Envoy's credential injector
/// writes it without a prefix (envoy/fleet.yaml).
const TOKEN: HeaderName = HeaderName::from_static("x-portcullis-token");

/// The header by which an operator gives a name, for the audit log only.
const OPERATOR_NAME: HeaderName = HeaderName::from_static("x-portcullis-operator");

/// The longest name of an operator.
const LONGEST_NAME: usize = 64;

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
    /// Who it is, for the audit log: the role, the name that the caller gives itself, the address.
    pub name: String,
    /// Whether the request has the cookie of a login.
    pub has_session: bool,
}

/// Why a request is refused.
#[derive(Debug)]
pub enum Refusal {
    /// No token, or a wrong one. The response is the same for every path.
    NoToken,
    /// The token of another role.
    OtherRole,
    /// Too many wrong tokens from this address; for how long it is refused.
    TooManyTokens(Duration),
    /// Another site made the browser send it.
    ForeignOrigin,
    /// The server is open, and the name of the host is not its own.
    ForeignHost,
}

/// What a request presents.
enum Presented {
    Nothing,
    /// A token or a cookie that is not valid; its hash.
    Wrong(Token),
    /// A valid token.
    Valid(Role),
    /// A valid cookie, which a browser sends by itself.
    Session(Role),
}

/// The tokens of the roles.
pub struct Access {
    sources: Sources,
    seen: Mutex<Vec<Option<Seen>>>,
    tokens: RwLock<Tokens>,
    guesses: Guesses,
    tls: bool,
}

impl Access {
    /// Reads the tokens from files or from the environment.
    ///
    /// # Errors
    ///
    /// A token can't be used, or the address needs more protection.
    pub fn new(args: &AccessArgs, listen: SocketAddr) -> Result<Self> {
        let sources = Sources::new(args, |name| {
            std::env::var_os(name).map(OsStringExt::into_vec)
        });
        let seen = sources.seen();
        let tokens = sources.read().map_err(Failure::usage)?;
        let tls = args.tls_certificate.is_some();
        let mut needed = Vec::new();
        if !listen.ip().to_canonical().is_loopback() {
            for missing in sources.missing(&tokens) {
                needed.push(format!("a token for each role: {missing}"));
            }
            if !tls && !args.without_tls {
                needed.push(
                    "TLS: --tls-certificate FILE and --tls-key FILE, or --without-tls if a proxy in front of the server \
                     encrypts"
                        .to_owned(),
                );
            }
        }
        if !needed.is_empty() {
            return Err(Failure::usage(format!(
                "other machines can reach {listen}, so the server does not start without\n  {}\nor listen on this machine \
                 only: --listen 127.0.0.1:{}",
                needed.join("\n  "),
                listen.port()
            )));
        }
        if tokens.operator.is_none() && (tokens.reader.is_some() || tokens.node.is_some()) {
            log_line!(
                "portcullis serve: there is no operator token, so everyone on this machine may change the configuration; \
                 set --operator-token-file FILE or PORTCULLIS_OPERATOR_TOKEN"
            );
        }
        Ok(Self {
            sources,
            seen: Mutex::new(seen),
            tokens: RwLock::new(tokens),
            guesses: Guesses::default(),
            tls,
        })
    }

    /// Reads the tokens again if a file changed. If one can't be used, all stay as they are.
    pub fn refresh(&self) {
        let found = self.sources.seen();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == found {
            return;
        }
        *seen = found;
        match self.sources.read() {
            Ok(tokens) => {
                *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
                log_line!("portcullis serve: the tokens were read again");
            }
            Err(error) => {
                log_line!("portcullis serve: the tokens of before stay active: {error}");
            }
        }
    }

    fn tokens(&self) -> Tokens {
        *self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides whether a request passes, and as which of `roles`, the most powerful first. The last one is whom the route is
    /// for: if that role is open, so is the route.
    fn admit(
        &self,
        request: &Request,
        address: IpAddr,
        roles: &[Role],
        changes: &Changes,
    ) -> std::result::Result<Role, Refusal> {
        let headers = request.headers();
        let tokens = self.tokens();
        let presented = present(headers, &tokens, unix_now());
        let is_open = |role: Role| tokens.of(role).is_none();
        let held = match presented {
            Presented::Valid(role) | Presented::Session(role) => Some(role),
            Presented::Nothing | Presented::Wrong(_) => None,
        };
        let has =
            |role: &&Role| is_open(**role) || held == Some(Role::Operator) || held == Some(**role);
        let role = roles.iter().find(has).copied();
        if held.is_none() && roles.last().is_some_and(|role| is_open(*role)) {
            if !origin::is_local(request.uri(), headers) {
                return Err(Refusal::ForeignHost);
            }
        } else {
            match &presented {
                Presented::Nothing => return Err(Refusal::NoToken),
                // Only wrong tokens are refused: behind a proxy all clients have one address.
                Presented::Wrong(token) => {
                    if let Some(rest) = self.guesses.refused_for(address, Instant::now()) {
                        return Err(Refusal::TooManyTokens(rest));
                    }
                    self.note_wrong(address, token, changes);
                    return Err(Refusal::NoToken);
                }
                Presented::Valid(_) | Presented::Session(_) => {}
            }
        }
        let by_cookie = matches!(presented, Presented::Session(_));
        if !origin::is_own(request.method(), headers, by_cookie) {
            return Err(Refusal::ForeignOrigin);
        }
        role.ok_or(Refusal::OtherRole)
    }

    /// Counts a wrong token, and logs it once for each burst of them.
    fn note_wrong(&self, address: IpAddr, token: &Token, changes: &Changes) {
        let [a, b, c, d, e, f, g, h, ..] = *token.as_bytes();
        let hash = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        match self.guesses.note(address, hash, Instant::now()) {
            Noted::First => log_line!("portcullis serve: {address} sent a wrong token"),
            Noted::Refused => {
                let what = "many different wrong tokens: refused for a minute each time";
                changes.record(&address.to_string(), what, false);
            }
            Noted::Repeated => {}
        }
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = |status, message: &str| Problem::new(status, message).into_response();
        match self {
            Self::NoToken => {
                let refused = problem(StatusCode::UNAUTHORIZED, "a valid token is needed");
                ([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response()
            }
            Self::OtherRole => problem(
                StatusCode::FORBIDDEN,
                "the token is that of another role; use the operator token",
            ),
            Self::TooManyTokens(rest) => {
                let refused = problem(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many wrong tokens from this address; try again later",
                );
                let seconds = rest.as_secs().saturating_add(1).to_string();
                ([(header::RETRY_AFTER, seconds)], refused).into_response()
            }
            Self::ForeignOrigin => problem(
                StatusCode::FORBIDDEN,
                "a page of another site sent this request; send it from this server's own page, or by the API with a token",
            ),
            Self::ForeignHost => problem(
                StatusCode::FORBIDDEN,
                "without tokens the server responds only to an IP address, to localhost, and to names without a dot in \
                 Host; use one of those, or set a token",
            ),
        }
    }
}

/// Lets a request pass that has one of `roles`, the most powerful first.
pub async fn require(
    State((server, roles)): State<(Arc<Server>, &'static [Role])>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = address.ip();
    let role = match server
        .access
        .admit(&request, address, roles, &server.changes)
    {
        Ok(role) => role,
        Err(Refusal::NoToken) if is_page(&request) => return login::see_other("/login", None),
        Err(refusal) => return refusal.into_response(),
    };
    let name = name(role, address, request.headers());
    let has_session = session::values(request.headers()).next().is_some();
    request.extensions_mut().insert(Caller {
        role,
        name,
        has_session,
    });
    next.run(request).await
}

/// What the headers present: a token, or else a cookie.
fn present(headers: &HeaderMap, tokens: &Tokens, now: Duration) -> Presented {
    let roles = [Role::Operator, Role::Reader, Role::Node];
    if let Some(token) = token(headers) {
        let token = Token::of(token);
        let is = |role: &&Role| tokens.of(**role).is_some_and(|known| known.is(&token));
        return match roles.iter().find(is) {
            Some(role) => Presented::Valid(*role),
            None => Presented::Wrong(token),
        };
    }
    let mut presented = Presented::Nothing;
    for value in session::values(headers) {
        let is = |role: &&Role| {
            let token = tokens.of(**role);
            token.is_some_and(|token| session::is_valid(value, token, now))
        };
        // A node has no page.
        match roles.iter().take(2).find(is) {
            Some(role) => return Presented::Session(*role),
            None => presented = Presented::Wrong(Token::of(value.as_bytes())),
        }
    }
    presented
}

/// The token in the headers.
fn token(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(token) = headers.get(TOKEN) {
        return Some(token.as_bytes()).filter(|token| !token.is_empty());
    }
    let authorization = headers.get(header::AUTHORIZATION)?.as_bytes();
    match authorization.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => Some(token),
        _ => Some(authorization),
    }
}

/// Whether a browser shows the response as a page.
fn is_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let at_root = request.method() == Method::GET && request.uri().path() == "/";
    at_root || accept.is_some_and(|types| types.contains("text/html"))
}

/// The caller for the audit log. The name that an operator gives is one word, so it can't look like an address.
fn name(role: Role, address: IpAddr, headers: &HeaderMap) -> String {
    let role = format!("{role:?}").to_lowercase();
    let given = headers.get(OPERATOR_NAME).map(|name| {
        let visible = name
            .as_bytes()
            .iter()
            .filter(|byte| byte.is_ascii_graphic());
        let name = visible.take(LONGEST_NAME).map(|byte| char::from(*byte));
        name.collect::<String>()
    });
    match given.filter(|name| !name.is_empty()) {
        Some(given) => format!("{role} {given} at {address}"),
        None => format!("{role} at {address}"),
    }
}
