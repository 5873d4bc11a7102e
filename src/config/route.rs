//! What one route of the proxy changes for its requests. Only hosts with a configuration per route have it.

use std::sync::Arc;

use super::api::{Api, Mode};
use super::error::ConfigError;
use super::read_root;
use super::value;

pub(super) const ROUTE_KEYS: &[&str] = &["enable_blocking", "mode", "feeds"];

/// The rules of a route: what it does not set is that of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Whether feeds' lists are enforced.
    pub enable_blocking: Option<bool>,
    /// Whether denies are enforced.
    pub mode: Option<Mode>,
    /// The feeds that count, by name.
    pub feeds: Option<Vec<Arc<str>>>,
}

impl Route {
    /// The rules of a route that sets none.
    pub const NONE: Self = Self {
        enable_blocking: None,
        mode: None,
        feeds: None,
    };

    /// Reads them, as [`super::Config::parse`] does. The names of feeds are those of the filter's configuration, which is
    /// not known here: a name that it does not have counts no feed.
    ///
    /// # Errors
    ///
    /// All errors, each with its path.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<ConfigError>> {
        let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
        let read = read_root(bytes, ROUTE_KEYS, |root| Self {
            enable_blocking: root
                .has("enable_blocking")
                .then(|| root.boolean("enable_blocking", true)),
            mode: root.choice("mode", modes, "\"enforce\" or \"shadow\""),
            feeds: root.texts(
                "feeds",
                "a list of names of feeds, \"abs\" for that of ABS",
                |name| value::identifier_text(name).map(Arc::from),
            ),
        });
        read.map(|(route, _)| route)
    }

    /// Whether feeds' lists are enforced for requests of `api`.
    pub fn enables_blocking(&self, api: &Api) -> bool {
        self.enable_blocking.unwrap_or(api.enable_blocking)
    }

    /// The mode for requests of `api`.
    pub fn mode(&self, api: &Api) -> Mode {
        self.mode.unwrap_or(api.mode)
    }

    /// Whether the feed with this name counts for requests of `api`.
    pub fn counts_feed(&self, api: &Api, name: &str) -> bool {
        match &self.feeds {
            Some(names) => names.iter().any(|known| **known == *name),
            None => api.counts_feed(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_route_sets_what_it_names() {
        assert_eq!(Route::parse(b"{}"), Ok(Route::NONE));
        let route = Route::parse(br#"{"mode": "shadow", "feeds": ["drop"]}"#).unwrap();
        let api = Api::default();
        assert_eq!(route.mode(&api), Mode::Shadow);
        assert!(route.enables_blocking(&api));
        assert!(route.counts_feed(&api, "drop") && !route.counts_feed(&api, "abs"));
        let off = Route::parse(br#"{"enable_blocking": false}"#).unwrap();
        assert!(!off.enables_blocking(&api) && off.counts_feed(&api, "abs"));
    }

    #[test]
    fn mistakes_name_their_place() {
        for (json, path) in [
            (r#"{"mode": "off"}"#, "mode"),
            (r#"{"enable_blocking": 1}"#, "enable_blocking"),
            (r#"{"feeds": "drop", "feed": 1}"#, "feed"),
        ] {
            let errors = Route::parse(json.as_bytes()).unwrap_err();
            assert_eq!(errors[0].path, path, "{json}");
        }
    }
}
