//! Identifiers found on lists to a verdict, in the order of the contract.
//!
//! Owns the order and nothing else: what was found is up to `lookup`.

use core::fmt;

use crate::config::{Api, Mode};
use crate::identifier::IdentifierKind;

/// Whose list denied a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// ABS's attack list, or the rule for having none yet.
    Abs,
    /// The deny list of the plugin configuration.
    Manual,
}

impl Source {
    /// The name in metrics, response code details and filter state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Abs => "abs",
            Source::Manual => "manual",
        }
    }
}

/// What a request was denied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier of this kind is listed.
    Listed(IdentifierKind),
    /// No list has come yet, and `before_first_list` is "deny".
    NoList,
}

impl Kind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Kind; 6] = [
        Kind::Listed(IdentifierKind::Ip),
        Kind::Listed(IdentifierKind::Cookie),
        Kind::Listed(IdentifierKind::OauthToken),
        Kind::Listed(IdentifierKind::ApiKey),
        Kind::Listed(IdentifierKind::Username),
        Kind::NoList,
    ];

    /// The name in metrics, response code details and filter state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Listed(kind) => kind.as_str(),
            Kind::NoList => "no_list",
        }
    }
}

/// Why a request is denied, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose list.
    pub source: Source,
    /// What for.
    pub kind: Kind,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.source.as_str(), self.kind.as_str())
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It passes, whatever the other lists say.
    AllowListed,
    /// It gets the deny response.
    Deny(Reason),
    /// It passes, but is counted and marked: shadow mode.
    WouldDeny(Reason),
}

impl Verdict {
    /// The severer of two verdicts on one request; the first where they are equally severe.
    pub fn or_severer(self, other: Verdict) -> Verdict {
        let severity = |verdict| match verdict {
            Verdict::Allow => 0,
            Verdict::AllowListed => 1,
            Verdict::WouldDeny(_) => 2,
            Verdict::Deny(_) => 3,
        };
        if severity(other) > severity(self) {
            other
        } else {
            self
        }
    }

    /// Whether an entry of ABS's list denies the request, or would. That there is no list yet is no such entry.
    pub fn is_of_abs(self) -> bool {
        match self {
            Verdict::Deny(reason) | Verdict::WouldDeny(reason) => {
                reason.source == Source::Abs && reason.kind != Kind::NoList
            }
            Verdict::Allow | Verdict::AllowListed => false,
        }
    }
}

/// On which lists a request's identifiers were found. Of several kinds on one list the first counts, in the order of
/// [`IdentifierKind::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// On the allow list.
    pub allow_list: bool,
    /// On the deny list.
    pub deny_list: Option<IdentifierKind>,
    /// On ABS's list.
    pub attack_list: Option<Kind>,
}

impl Hits {
    /// Whether no list names the request.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes that the deny list names an identifier of this kind.
    pub fn note_deny_list(&mut self, kind: IdentifierKind) {
        self.deny_list = Some(self.deny_list.map_or(kind, |known| known.min(kind)));
    }

    /// Notes that ABS's list names an identifier of this kind.
    pub fn note_attack_list(&mut self, kind: IdentifierKind) {
        self.attack_list = match self.attack_list {
            Some(Kind::Listed(known)) => Some(Kind::Listed(known.min(kind))),
            _ => Some(Kind::Listed(kind)),
        };
    }
}

/// The API's part in the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiPolicy {
    /// False: ABS's list never blocks here.
    pub enable_blocking: bool,
    /// Whether a deny is carried out.
    pub mode: Mode,
}

impl ApiPolicy {
    /// That of `api`.
    pub fn of(api: &Api) -> Self {
        Self {
            enable_blocking: api.enable_blocking,
            mode: api.mode,
        }
    }
}

/// Judges a request of an Envoy whose firewall is on: allow list, deny list, the API's `enable_blocking`, ABS's list.
pub fn judge(hits: &Hits, api: ApiPolicy) -> Verdict {
    if hits.allow_list {
        return Verdict::AllowListed;
    }
    let manual = hits.deny_list.map(|kind| Reason {
        source: Source::Manual,
        kind: Kind::Listed(kind),
    });
    let abs = hits
        .attack_list
        .filter(|_| api.enable_blocking)
        .map(|kind| Reason {
            source: Source::Abs,
            kind,
        });
    match (manual.or(abs), api.mode) {
        (None, _) => Verdict::Allow,
        (Some(reason), Mode::Enforce) => Verdict::Deny(reason),
        (Some(reason), Mode::Shadow) => Verdict::WouldDeny(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_missing_first_list_is_no_entry_of_it() {
        let reason = |source, kind| Reason { source, kind };
        for (source, kind, expected) in [
            (Source::Abs, Kind::Listed(IdentifierKind::Ip), true),
            (Source::Abs, Kind::NoList, false),
            (Source::Manual, Kind::Listed(IdentifierKind::Ip), false),
        ] {
            assert_eq!(Verdict::Deny(reason(source, kind)).is_of_abs(), expected);
            assert_eq!(
                Verdict::WouldDeny(reason(source, kind)).is_of_abs(),
                expected
            );
        }
    }

    #[test]
    fn the_order_is_that_of_the_contract() {
        use IdentifierKind::{Cookie, Ip};
        let manual_ip = Reason {
            source: Source::Manual,
            kind: Kind::Listed(Ip),
        };
        let abs_cookie = Reason {
            source: Source::Abs,
            kind: Kind::Listed(Cookie),
        };
        let abs = Some(Kind::Listed(Cookie));
        // (allow list, deny list, ABS's list, enable_blocking, shadow) -> verdict
        let table = [
            ((false, None, None, true, false), Verdict::Allow),
            ((true, Some(Ip), abs, true, false), Verdict::AllowListed),
            ((true, Some(Ip), abs, true, true), Verdict::AllowListed),
            (
                (false, Some(Ip), abs, true, false),
                Verdict::Deny(manual_ip),
            ),
            (
                (false, Some(Ip), abs, false, false),
                Verdict::Deny(manual_ip),
            ),
            (
                (false, Some(Ip), None, false, true),
                Verdict::WouldDeny(manual_ip),
            ),
            ((false, None, abs, false, false), Verdict::Allow),
            ((false, None, abs, true, false), Verdict::Deny(abs_cookie)),
            (
                (false, None, abs, true, true),
                Verdict::WouldDeny(abs_cookie),
            ),
        ];
        for ((allow_list, deny_list, attack_list, enable_blocking, shadow), expected) in table {
            let hits = Hits {
                allow_list,
                deny_list,
                attack_list,
            };
            let mode = if shadow { Mode::Shadow } else { Mode::Enforce };
            let api = ApiPolicy {
                enable_blocking,
                mode,
            };
            assert_eq!(judge(&hits, api), expected, "{hits:?} {api:?}");
        }
    }

    #[test]
    fn of_several_kinds_the_first_counts() {
        let mut hits = Hits::default();
        hits.note_attack_list(IdentifierKind::Username);
        hits.note_attack_list(IdentifierKind::Cookie);
        hits.note_attack_list(IdentifierKind::ApiKey);
        hits.note_deny_list(IdentifierKind::ApiKey);
        hits.note_deny_list(IdentifierKind::OauthToken);
        assert_eq!(hits.attack_list, Some(Kind::Listed(IdentifierKind::Cookie)));
        assert_eq!(hits.deny_list, Some(IdentifierKind::OauthToken));
    }
}
