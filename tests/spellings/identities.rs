//! The identities of the test: their values, the lists that contain them, and a canonical request for each.

use crate::raw::RawRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Tokens and sessions that `servers/sign.py` signed.
static TOKENS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("tokens.json")).unwrap());

/// A listed client, by its listed identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A cookie with a value that needs no encoding.
    Cookie,
    /// The same, at an API next to one with blocking off.
    Shop,
    /// A cookie with bytes that some programs encode.
    EncodedCookie,
    /// A cookie that is listed in its encoded form.
    ListedEncodedCookie,
    /// A cookie with a dot in its name.
    DottedCookie,
    /// Tomcat's session.
    JSessionId,
    /// Flask's signed session.
    FlaskSession,
    /// A cookie that itsdangerous signed without a timestamp.
    SignedCookie,
    /// Starlette's signed session.
    StarletteSession,
    /// A bearer token without structure.
    Token,
    /// A JWT signed with a shared secret.
    JwtHs256,
    /// A JWT signed with RSA.
    JwtRs256,
    /// A JWT signed with ECDSA.
    JwtEs256,
    /// An API key.
    ApiKey,
    /// An API key with bytes that a query encodes.
    EncodedApiKey,
    /// A user name in ASCII.
    User,
    /// A user name with a letter outside ASCII.
    AccentedUser,
}

use Identity::*;

impl Identity {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Cookie,
        Shop,
        EncodedCookie,
        ListedEncodedCookie,
        DottedCookie,
        JSessionId,
        FlaskSession,
        SignedCookie,
        StarletteSession,
        Token,
        JwtHs256,
        JwtRs256,
        JwtEs256,
        ApiKey,
        EncodedApiKey,
        User,
        AccentedUser,
    ];

    /// The listed value.
    pub fn value(self) -> &'static str {
        match self {
            Cookie | Shop => "Kx7.listed-Cookie_A1",
            EncodedCookie => "bGlzdGVk+Y29va2ll/Zg==",
            ListedEncodedCookie => "ZW5j%2BZGVk%2Fdg%3D%3D",
            DottedCookie => "Dx3-listed-dotted",
            JSessionId => "A1B2C3D4E5F60718293A4B5C6D7E8F90",
            FlaskSession => signed("listed", "flask"),
            SignedCookie => signed("listed", "serializer"),
            StarletteSession => signed("listed", "starlette"),
            Token => "2YotnFZFEjr1zCsicMWpAA-listed_1",
            JwtHs256 => signed("listed", "hs256"),
            JwtRs256 => signed("listed", "rs256"),
            JwtEs256 => signed("listed", "es256"),
            ApiKey => "k3y-Listed.Key_9",
            EncodedApiKey => "bGlz+dGVk/a2V5==",
            User => "mallory.b",
            AccentedUser => "zo\u{eb}-listed",
        }
    }

    /// The name of the cookie.
    pub fn cookie_name(self) -> &'static str {
        match self {
            Cookie | Shop => "S",
            EncodedCookie => "T",
            ListedEncodedCookie => "E",
            DottedCookie => "app.sid",
            JSessionId => "JSESSIONID",
            FlaskSession => "session",
            SignedCookie => "signed",
            StarletteSession => "starlette_session",
            _ => panic!("{self:?} is not a cookie"),
        }
    }

    /// Requests in canonical form. A server recognises the identity if it reads it from these.
    pub fn canonical(self) -> Vec<RawRequest> {
        let value = self.value();
        match self {
            Shop => vec![shop("/shop/cart")],
            Token | JwtHs256 | JwtRs256 | JwtEs256 => vec![
                RawRequest::header("authorization", format!("Bearer {value}")),
                RawRequest::header("authorization", format!("Token {value}")),
                RawRequest::path(format!("/?access_token={value}")),
                RawRequest::header("cookie", format!("token={value}")),
            ],
            ApiKey | EncodedApiKey => vec![
                RawRequest::header("x-api-key", value),
                RawRequest::header("authorization", format!("Bearer {value}")),
                RawRequest::path(format!("/?api_key={}", percent_encoded(value))),
            ],
            User | AccentedUser => vec![
                basic(&STANDARD.encode(format!("{value}:a password"))),
                RawRequest::header(
                    "authorization",
                    format!(
                        "Digest username=\"{value}\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\""
                    ),
                ),
            ],
            _ => vec![RawRequest::header(
                "cookie",
                format!("{}={value}", self.cookie_name()),
            )],
        }
    }

    /// The prefixes of the readings that show this identity.
    pub fn readings(self) -> &'static [&'static str] {
        match self {
            Cookie => &["cookie.S"],
            Shop => &["path"],
            EncodedCookie => &["cookie.T"],
            ListedEncodedCookie => &["cookie.E"],
            DottedCookie => &["cookie.app"],
            JSessionId => &["cookie.JSESSIONID", "session.requested"],
            FlaskSession => &["session.flask"],
            SignedCookie => &["session.serializer"],
            StarletteSession => &["session.starlette"],
            Token => &["auth.", "token.", "cookie.token"],
            JwtHs256 | JwtRs256 | JwtEs256 => &["jwt."],
            ApiKey | EncodedApiKey => &["key.", "auth."],
            User | AccentedUser => &["basic", "digest"],
        }
    }
}

/// A request of a listed client for this target.
pub fn shop(target: &str) -> RawRequest {
    RawRequest::path(target).and("cookie", format!("S={}", Cookie.value()))
}

/// `authorization: Basic …`
pub fn basic(encoded: &str) -> RawRequest {
    RawRequest::header("authorization", format!("Basic {encoded}"))
}

/// A token or session that was signed for `who`.
pub fn signed(who: &str, what: &str) -> &'static str {
    TOKENS[who][what].as_str().unwrap()
}

/// Every byte except letters and digits as `%XX`.
pub fn percent_encoded(value: impl AsRef<[u8]>) -> String {
    let encode = |&byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.as_ref().iter().map(encode).collect()
}

/// All identities in ABS's format.
pub fn listed() -> Value {
    let mut list = json!({"cookies": {}, "oauth_tokens": [], "api_keys": [], "usernames": []});
    for identity in Identity::ALL {
        let kind = match identity {
            Token | JwtHs256 | JwtRs256 | JwtEs256 => "oauth_tokens",
            ApiKey | EncodedApiKey => "api_keys",
            User | AccentedUser => "usernames",
            _ => {
                list["cookies"][identity.cookie_name()] = json!([identity.value()]);
                continue;
            }
        };
        list[kind]
            .as_array_mut()
            .unwrap()
            .push(json!(identity.value()));
    }
    // For rules about the claims of tokens.
    for name in ["mallory", "1001"] {
        list["usernames"].as_array_mut().unwrap().push(json!(name));
    }
    list
}
