//! ABS's attack list JSON, read as a stream into an [`EntrySink`]; the one file that knows its shape.

use ipnet::IpNet;

/// Takes the entries of an attack list, one by one, as they are read. Nothing is kept as a string on the way.
pub trait EntrySink {
    /// An address, or a range of them (a prefix shorter than the address; host bits are zero; IPv4-mapped IPv6
    /// is folded to IPv4). `false` ends the reading: the sink can take no more.
    fn ip(&mut self, range: IpNet) -> bool;
    /// A cookie's name and value (without enclosing double quotes).
    fn cookie(&mut self, name: &str, value: &str) -> bool;
    /// A bearer token.
    fn oauth_token(&mut self, token: &str) -> bool;
    /// An API key's value.
    fn api_key(&mut self, value: &str) -> bool;
    /// A user name.
    fn username(&mut self, name: &str) -> bool;
    /// An entry that can't be used.
    fn skipped(&mut self);
}
