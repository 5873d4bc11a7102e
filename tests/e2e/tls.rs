//! The TLS variant of ABS's cluster in `envoy/envoy.yaml`.

use crate::harness::{Setup, scenario};
use rcgen::{CertificateParams, KeyPair};

#[test]
fn the_list_is_fetched_over_tls_by_the_variant_in_the_shipped_file() {
    let certificate = Certificate::of("abs.example.com");
    scenario(certificate.setup(&certificate), async |harness| {
        harness.metric_reaches("fetch.result=ok", 1).await;
    });
}

#[test]
fn an_abs_with_a_certificate_of_another_authority_is_not_believed() {
    let ours = Certificate::of("abs.example.com");
    let theirs = Certificate::of("abs.example.com");
    scenario(theirs.setup(&ours), async |harness| {
        harness.metric_reaches("fetch.result=status", 1).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 0);
    });
}

#[test]
fn an_abs_with_a_certificate_for_another_name_is_not_believed() {
    let other = Certificate::of("other.example.com");
    scenario(other.setup(&other), async |harness| {
        harness.metric_reaches("fetch.result=status", 1).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 0);
    });
}

/// A self-signed certificate and its key in files.
struct Certificate {
    files: tempfile::TempDir,
}

impl Certificate {
    fn of(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let files = tempfile::TempDir::new().unwrap();
        std::fs::write(files.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(files.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { files }
    }

    /// An ABS that shows this certificate, to an Envoy that trusts `authority`.
    fn setup(&self, authority: &Self) -> Setup {
        let file = |name| self.files.path().join(name).display().to_string();
        Setup::new()
            .abs_arguments(&[
                "--tls-cert",
                &file("cert.pem"),
                "--tls-key",
                &file("key.pem"),
            ])
            .abs_over_tls(authority.files.path().join("cert.pem"))
    }
}
