//! Denied clients in Envoy's access log: one JSON object a line, with `client` and `verdict`, as in envoy/envoy.yaml.
//!
//! Metrics never contain an address, so only the access log can show that all denied requests come from one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

/// The size of the part that is read, at the end of a log.
const READ_BYTES: u64 = 16 << 20;

/// With fewer denied requests, their addresses are not significant.
const LEAST_DENIED: u64 = 20;

/// Denied requests, by client address.
#[derive(Debug, Default)]
pub struct Denied {
    total: u64,
    by_client: HashMap<IpAddr, u64>,
}

impl Denied {
    /// Counts the end of a log.
    pub fn read(&mut self, path: &Path) -> io::Result<()> {
        // Checked before it is opened: opening a pipe without a writer blocks.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(READ_BYTES);
        file.seek(SeekFrom::Start(start))?;
        for line in BufReader::new(file.take(READ_BYTES)).split(b'\n') {
            self.count(&line?);
        }
        Ok(())
    }

    fn count(&mut self, line: &[u8]) {
        // Other lines, and a first line that was cut, are ignored.
        let line = serde_json::from_slice(line).unwrap_or(Value::Null);
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        if !text("verdict").starts_with("denied ") {
            return;
        }
        self.total = self.total.saturating_add(1);
        if let Ok(address) = text("client").parse() {
            let count = self.by_client.entry(address).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The private address that most denied requests come from, their number, and the number of all: the sign that Envoy
    /// uses the address of a proxy in front of it.
    pub fn shared_private_address(&self) -> Option<(IpAddr, u64, u64)> {
        let (address, count) = self.by_client.iter().max_by_key(|(_, count)| **count)?;
        let most = count.saturating_mul(2) > self.total && self.total >= LEAST_DENIED;
        (most && is_private(*address)).then_some((*address, *count, self.total))
    }
}

/// Whether an address belongs to a private network, so that no client on the Internet has it.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Client, verdict, how often.
    type Lines<'a> = &'a [(&'a str, &'a str, u32)];

    fn denied(lines: Lines<'_>) -> Denied {
        let mut denied = Denied::default();
        for (client, verdict, times) in lines {
            let line = serde_json::json!({"client": client, "verdict": verdict}).to_string();
            (0..*times).for_each(|_| denied.count(line.as_bytes()));
        }
        denied.count(b"not JSON");
        denied.count(b"{\"client\": null, \"verdict\": null}");
        denied
    }

    #[test]
    fn a_private_address_with_most_denied_requests_is_found() {
        let (private, public) = ("10.0.0.5", "198.51.100.1");
        let found = Some((private.parse().unwrap(), 15, 20));
        let table: [(Lines<'_>, _); 5] = [
            (
                &[
                    (private, "denied abs ip", 15),
                    (public, "denied manual ip", 5),
                ],
                found,
            ),
            (
                &[
                    (private, "denied abs ip", 10),
                    (public, "denied abs ip", 10),
                ],
                None,
            ),
            (&[(public, "denied abs ip", 20)], None),
            (&[(private, "denied abs ip", 19)], None),
            (&[(private, "would_deny abs ip", 50)], None),
        ];
        for (lines, expected) in table {
            assert_eq!(
                denied(lines).shared_private_address(),
                expected,
                "{lines:?}"
            );
        }
    }
}
