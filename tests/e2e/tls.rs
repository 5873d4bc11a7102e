//! The TLS variant of ABS's cluster in `envoy/envoy.yaml`.

use crate::harness::certificate::Certificate;
use crate::harness::{Setup, scenario};

#[test]
fn the_tls_variant_of_the_shipped_file_fetches_the_list() {
    let certificate = Certificate::new("abs.example.com");
    scenario(over_tls(&certificate, &certificate), async |harness| {
        harness.metric_reaches("fetch.result=ok", 1).await;
    });
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let ours = Certificate::new("abs.example.com");
    let theirs = Certificate::new("abs.example.com");
    scenario(over_tls(&theirs, &ours), async |harness| {
        harness.metric_reaches("fetch.result=status", 1).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 0);
    });
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let other = Certificate::new("other.example.com");
    scenario(over_tls(&other, &other), async |harness| {
        harness.metric_reaches("fetch.result=status", 1).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 0);
    });
}

/// An ABS with this certificate, and an Envoy that trusts `authority`.
fn over_tls(certificate: &Certificate, authority: &Certificate) -> Setup {
    Setup::new()
        .abs_arguments(&certificate.arguments().each_ref().map(String::as_str))
        .abs_over_tls(authority.path())
}
