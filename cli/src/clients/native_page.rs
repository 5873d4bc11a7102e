//! The page that the native module adds to Envoy's admin interface: why the last fetch of a list failed. Metrics have no text.

use ureq::http::Method;

use super::http::Server;

/// The page.
#[derive(Debug)]
pub struct NativePage(String);

impl NativePage {
    /// Reads it; `None` where Envoy has no such page, as with the wasm module.
    pub fn read(server: &Server) -> Option<Self> {
        let response = server.send(Method::GET, "/portcullis", &[], Vec::new());
        let response = response.ok().filter(|response| response.status == 200)?;
        let text = String::from_utf8(response.body).ok()?;
        text.starts_with("Portcullis ").then_some(Self(text))
    }

    /// Why the last fetch of the feed with this name failed; `None` if it did not.
    pub fn failure(&self, feed: &str) -> Option<&str> {
        let start = format!("  feed {feed} (");
        let mut lines = self.0.lines().filter(|line| line.starts_with(&start));
        lines.find_map(|line| {
            let (_, failure) = line.split_once("; FAILING: ")?;
            let (failure, _) = failure.rsplit_once("; next fetch in ")?;
            Some(failure)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_that_of_the_feed() {
        let page = NativePage(
            "Portcullis 0.2.0\n\nfilter 1: enable_firewall true\n  feed abs (enforce): no list yet; FAILING: no response; \
             see abs.cluster; next fetch in 2 s\n  feed drop (shadow): ip 1; list 3, 40 bytes; next fetch in 9 s\n"
                .to_owned(),
        );
        assert_eq!(page.failure("abs"), Some("no response; see abs.cluster"));
        assert_eq!(page.failure("drop"), None);
        assert_eq!(page.failure("ab"), None);
    }
}
