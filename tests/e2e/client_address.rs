//! Which address is the client's: the filter uses Envoy's decision.

use crate::harness::{Setup, eventually, scenario};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

#[test]
fn a_client_can_not_change_its_address_by_x_forwarded_for() {
    scenario(Setup::new(), async |harness| {
        harness.block("127.0.0.7").await;

        for forged in ["127.0.0.8", "127.0.0.8, 127.0.0.9", "not an address", ""] {
            let hiding = harness
                .get("/")
                .from("127.0.0.7")
                .header("x-forwarded-for", forged)
                .header("x-real-ip", forged)
                .header("forwarded", format!("for={forged}"));
            harness.assert_denied(&hiding).await;
        }
        let accusing = harness
            .get("/")
            .from("127.0.0.8")
            .header("x-forwarded-for", "127.0.0.7");
        harness.assert_allowed(&accusing).await;
    });
}

#[test]
fn x_forwarded_for_counts_up_to_the_trusted_hops() {
    scenario(Setup::new().trusted_hops(1), async |harness| {
        harness
            .abs
            .list(json!({"ips": ["198.51.100.7", "127.0.0.7"]}))
            .await;

        let listed = harness.get("/").header("x-forwarded-for", "198.51.100.7");
        harness.becomes_denied(&listed).await;
        // Entries further left are not trusted.
        harness
            .assert_denied(
                &harness
                    .get("/")
                    .header("x-forwarded-for", "203.0.113.1, 198.51.100.7"),
            )
            .await;
        harness
            .assert_allowed(
                &harness
                    .get("/")
                    .header("x-forwarded-for", "198.51.100.7, 203.0.113.1"),
            )
            .await;
        // The proxy's own address is not the client's.
        harness
            .assert_allowed(
                &harness
                    .get("/")
                    .from("127.0.0.7")
                    .header("x-forwarded-for", "203.0.113.1"),
            )
            .await;
    });
}

#[test]
fn x_forwarded_for_counts_through_two_trusted_proxies() {
    scenario(Setup::new().trusted_hops(2), async |harness| {
        harness.abs.list(json!({"ips": ["198.51.100.7"]})).await;

        harness
            .becomes_denied(
                &harness
                    .get("/")
                    .header("x-forwarded-for", "192.0.2.1, 198.51.100.7, 203.0.113.1"),
            )
            .await;
        harness
            .assert_allowed(
                &harness
                    .get("/")
                    .header("x-forwarded-for", "198.51.100.7, 192.0.2.1, 203.0.113.1"),
            )
            .await;
    });
}

#[test]
fn the_address_in_a_proxy_protocol_header_counts() {
    let setup = Setup::new().bootstrap(|text| {
        let chains = "      filter_chains:\n";
        assert_eq!(text.matches(chains).count(), 1);
        let filter = "      listener_filters:
        - name: envoy.filters.listener.proxy_protocol
          typed_config:
            \"@type\": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol
";
        text.replace(chains, &format!("{filter}{chains}"))
    });
    scenario(setup, async |harness| {
        harness
            .abs
            .list(json!({"ips": ["198.51.100.7", "2001:db8::7", "127.0.0.1"]}))
            .await;
        harness
            .metric_becomes("attack_list.entries.kind=ip", 3)
            .await;
        let status = |family: &str, client: &str, server: &str| {
            let header = format!("PROXY {family} {client} {server} 40000 443\r\n");
            status_after(harness.envoy.listener, &header)
        };
        eventually("the listed client is denied", async || {
            (status("TCP4", "198.51.100.7", "192.0.2.1") == 403).then_some(())
        })
        .await;
        eventually("the listed IPv6 client is denied", async || {
            (status("TCP6", "2001:db8::7", "2001:db8::1") == 403).then_some(())
        })
        .await;
        // Neighbours pass, and the load balancer's own address, which is listed, is not the client's.
        assert_eq!(status("TCP4", "198.51.100.8", "192.0.2.1"), 200);
        assert_eq!(status("TCP6", "2001:db8::8", "2001:db8::1"), 200);
    });
}

/// The status of the reply to `preface` and a plain GET.
fn status_after(to: SocketAddr, preface: &str) -> u16 {
    let mut stream = TcpStream::connect(to).unwrap();
    let request = format!("{preface}GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let status = reply.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {reply:?}"))
}

#[test]
fn the_address_in_the_header_of_a_cdn_counts_if_envoy_is_configured_for_it() {
    let setup = Setup::new().bootstrap(|text| {
        let ours = "                use_remote_address: true
                xff_num_trusted_hops: 0
";
        let extension = "                original_ip_detection_extensions:
                  - name: envoy.http.original_ip_detection.custom_header
                    typed_config:
                      \"@type\": type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig
                      header_name: cdn-connecting-ip
                      reject_with_status: { code: Forbidden }
";
        assert_eq!(text.matches(ours).count(), 1);
        text.replace(ours, extension)
    });
    scenario(setup, async |harness| {
        harness
            .abs
            .list(json!({"ips": ["198.51.100.7", "127.0.0.1"]}))
            .await;
        let client = |address: &str| harness.get("/").header("cdn-connecting-ip", address);
        harness.becomes_denied(&client("198.51.100.7")).await;
        // The CDN's own address is not the client's, and X-Forwarded-For is ignored.
        harness.assert_allowed(&client("198.51.100.8")).await;
        let forged = client("198.51.100.7").header("x-forwarded-for", "198.51.100.8");
        harness.assert_denied(&forged).await;
    });
}
