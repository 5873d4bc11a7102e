//! Envoy's clusters for ABS and ASE, as an Envoy file that holds nothing else.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::json;

/// The system's certificate authorities.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name, which the configuration uses.
    pub name: &'static str,
    /// Hosts and ports.
    pub endpoints: Vec<(String, u16)>,
    /// The file with the certificate authorities; `None` for no TLS.
    pub ca: Option<String>,
}

/// `host:port`, with an IPv6 address in brackets.
pub fn endpoint(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("\"{text}\" is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(wrong)?;
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_name = |host: &str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    match address {
        Some(address) if address.parse::<IpAddr>().is_ok() => Ok((address.to_owned(), port)),
        None if is_name(host) => Ok((host.to_owned(), port)),
        _ => Err(wrong()),
    }
}

/// The Envoy file.
pub fn yaml(clusters: &[Cluster]) -> String {
    let mut text =
        "# Clusters for the filter: add them to static_resources.clusters of Envoy's bootstrap.\n\
                    static_resources:\n  clusters:"
            .to_owned();
    text.push_str(if clusters.is_empty() { " []\n" } else { "\n" });
    for cluster in clusters {
        cluster.write(&mut text);
    }
    text
}

impl Cluster {
    fn write(&self, text: &mut String) {
        let is_address = |host: &str| host.parse::<IpAddr>().is_ok();
        let kind = match self.endpoints.iter().all(|(host, _)| is_address(host)) {
            true => "STATIC",
            false => "STRICT_DNS",
        };
        let name = self.name;
        let _ = write!(
            text,
            "    - name: {name}\n      connect_timeout: 2s\n      type: {kind}\n      load_assignment:\n        \
             cluster_name: {name}\n        endpoints:\n          - lb_endpoints:\n"
        );
        for (host, port) in &self.endpoints {
            // A JSON string is a YAML string, whatever it contains.
            let host = json!(host);
            let _ = write!(
                text,
                "              - endpoint:\n                  address:\n                    socket_address: {{ address: \
                 {host}, port_value: {port} }}\n"
            );
        }
        let Some(ca) = &self.ca else { return };
        let names = self.endpoints.iter().map(|(host, _)| host);
        text.push_str(
            "      transport_socket:\n        name: envoy.transport_sockets.tls\n        typed_config:\n          \
             \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n",
        );
        if let Some(name) = names.clone().find(|name| !is_address(name)) {
            let _ = writeln!(text, "          sni: {}", json!(name));
        }
        let _ = write!(
            text,
            "          common_tls_context:\n            validation_context:\n              trusted_ca: {{ filename: {} }}\n              \
             match_typed_subject_alt_names:\n",
            json!(ca)
        );
        let mut known = std::collections::BTreeSet::new();
        for name in names.filter(|name| known.insert(name.as_str())) {
            let kind = if is_address(name) {
                "IP_ADDRESS"
            } else {
                "DNS"
            };
            let _ = writeln!(
                text,
                "                - {{ san_type: {kind}, matcher: {{ exact: {} }} }}",
                json!(name)
            );
        }
    }
}
