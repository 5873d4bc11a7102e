//! Certificates for ABS over TLS.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::path::PathBuf;
use tempfile::TempDir;

/// A self-signed certificate and its key, in files.
pub struct Certificate {
    files: TempDir,
}

impl Certificate {
    /// A valid certificate for this name.
    pub fn new(name: &str) -> Self {
        Self::valid_until(name, 2096)
    }

    /// A certificate for this name that expires at the start of `year`.
    pub fn valid_until(name: &str, year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(2019, 1, 1);
        parameters.not_after = date_time_ymd(year, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        let certificate = (certificate.pem(), key.serialize_pem());
        let files = TempDir::new().unwrap();
        std::fs::write(files.path().join("cert.pem"), certificate.0).unwrap();
        std::fs::write(files.path().join("key.pem"), certificate.1).unwrap();
        Self { files }
    }

    /// The certificate's file; it is its own authority.
    pub fn path(&self) -> PathBuf {
        self.files.path().join("cert.pem")
    }

    /// The simulator's arguments to use it.
    pub fn arguments(&self) -> [String; 4] {
        let key = self.files.path().join("key.pem");
        [
            "--tls-cert".to_owned(),
            self.path().display().to_string(),
            "--tls-key".to_owned(),
            key.display().to_string(),
        ]
    }
}
