//! What the page shows, as plain data, so that templates are tested by themselves: of the rest of the server, only a node as it
//! is known.

use std::time::Duration;

use super::super::nodes::Node;
use super::headline::Headline;

/// Everything on the page.
#[derive(Debug, Default)]
pub struct View {
    /// The time since 1970.
    pub now: Duration,
    /// Whether the viewer may change something: an operator, not a reader.
    pub may_change: bool,
    /// Whether the viewer logged in, and so can log out.
    pub has_session: bool,
    /// What the last form did.
    pub notice: Option<Notice>,
    /// Whether the fleet is protected.
    pub headline: Headline,
    /// The filters.
    pub filters: Vec<Filter>,
    /// The feeds that the server relays; `None` if it relays none.
    pub feeds: Option<Vec<Feed>>,
    /// The nodes.
    pub nodes: Nodes,
    /// Denied requests of the last hour.
    pub denied: Denied,
    /// The last changes, the newest first.
    pub changes: Vec<Change>,
    /// The form that edits a list, as it was sent, and what is wrong with it.
    pub entry_form: Option<EntryForm>,
    /// The form that explains a request, as it was sent, and its result.
    pub explain: ExplainForm,
}

/// What a form did, or why it did not.
#[derive(Debug)]
pub struct Notice {
    /// For people.
    pub text: String,
    /// Whether it failed.
    pub is_error: bool,
}

/// One filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name.
    pub name: String,
    /// The file.
    pub file: String,
    /// Why the file is not served as it is now; empty if it is.
    pub problems: Vec<String>,
    /// The configuration that is served; `None` if there was never a valid one.
    pub served: Option<Served>,
}

/// The configuration that is served.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The version.
    pub version: String,
    /// The entity tag of the file's text.
    pub etag: String,
    /// `enable_firewall`.
    pub firewall: bool,
    /// `enable_abs`.
    pub abs: bool,
    /// `enable_abs_attack`.
    pub abs_attack: bool,
    /// The APIs and feeds that only count: `API shop`, `feed drop`.
    pub shadow: Vec<String>,
    /// The names of the enabled feeds besides ABS's.
    pub feeds: Vec<String>,
    /// The allow list.
    pub allow: List,
    /// The deny list.
    pub deny: List,
}

/// A manual list.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The number of its entries.
    pub count: usize,
    /// The first ones.
    pub entries: Vec<Entry>,
}

/// An entry of a manual list. Its value is shortened if it is a secret.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Its place in the list.
    pub index: usize,
    /// The kind, as in the commands.
    pub kind: &'static str,
    /// The name of a cookie or of an API key's header.
    pub name: Option<String>,
    /// The value, as it may be shown.
    pub value: String,
}

/// A relayed feed.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// The name.
    pub name: String,
    /// The number of entries of each kind.
    pub entries: Vec<(String, u64)>,
    /// The age of the list; `None` if there is none.
    pub age: Option<Duration>,
    /// Whether the list is older than the feed allows.
    pub is_stale: bool,
    /// The result of the last fetch.
    pub last_result: String,
    /// Whether the last fetch failed.
    pub is_failing: bool,
    /// The time until the next fetch.
    pub next_fetch: Option<Duration>,
    /// Why the list can't be kept on disk.
    pub problem: Option<String>,
}

/// The nodes: the numbers are those of all, the list is bounded.
#[derive(Debug, Default)]
pub struct Nodes {
    /// The number of all nodes.
    pub count: usize,
    /// The number of nodes that have the served configuration.
    pub current: usize,
    /// The number of nodes that got a new configuration just now.
    pub updating: usize,
    /// The number of nodes that do not have the served configuration.
    pub behind: usize,
    /// The number of nodes that send no requests any more.
    pub silent: usize,
    /// The number of nodes that fetch only lists from this server.
    pub unknown: usize,
    /// Those that need attention first, then by id. Their texts are what they say of themselves.
    pub shown: Vec<Node>,
}

/// Denied requests of the last hour, a number for each minute and series.
#[derive(Clone, Debug, Default)]
pub struct Denied {
    /// The series: feed and kind, such as `drop ip`.
    pub series: Vec<String>,
    /// The minutes, the oldest first.
    pub minutes: Vec<Minute>,
}

/// The denied requests of one minute.
#[derive(Clone, Debug, Default)]
pub struct Minute {
    /// The start, since 1970.
    pub start: Duration,
    /// A number for each series.
    pub counts: Vec<u64>,
}

/// A change.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Since 1970.
    pub at: Duration,
    /// Who made it.
    pub who: String,
    /// What changed.
    pub what: String,
    /// Whether it was made.
    pub accepted: bool,
}

/// The form that edits a list, as it was sent. A secret is not sent back.
#[derive(Clone, Debug, Default)]
pub struct EntryForm {
    /// The filter.
    pub filter: String,
    /// `allow_list` or `deny_list`.
    pub list: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The value, unless it is a secret.
    pub value: String,
    /// What is wrong with the name.
    pub name_error: Option<String>,
    /// What is wrong with the value.
    pub value_error: Option<String>,
}

/// The form that explains a request, as it was sent. Headers are not sent back: they can contain secrets.
#[derive(Clone, Debug, Default)]
pub struct ExplainForm {
    /// The filter.
    pub filter: String,
    /// The client's address.
    pub address: String,
    /// The URL.
    pub url: String,
    /// What is wrong with the address.
    pub address_error: Option<String>,
    /// What is wrong with the headers.
    pub headers_error: Option<String>,
    /// What is wrong with the URL.
    pub url_error: Option<String>,
    /// What is wrong with something else.
    pub error: Option<String>,
    /// The result.
    pub result: Option<Explained>,
}

impl ExplainForm {
    /// Whether something is wrong with it.
    pub fn has_errors(&self) -> bool {
        self.address_error.is_some()
            || self.headers_error.is_some()
            || self.url_error.is_some()
            || self.error.is_some()
    }
}

/// What the filter does with a request, and why.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// `Blocked`, `Allowed`, or in between.
    pub verdict: String,
    /// Whether the request gets the deny response.
    pub is_blocked: bool,
    /// Why.
    pub reason: String,
    /// The API, and its mode.
    pub api: String,
    /// The identifiers of the request, and the lists that name each.
    pub identifiers: Vec<(String, String)>,
    /// What limits the result: lists that are not known.
    pub notes: Vec<String>,
}
