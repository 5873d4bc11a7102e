//! The certificate of the server and its key, read again when the files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::super::seen::{Seen, see};
use crate::args::AccessArgs;
use crate::config_file::{bounded, regular};
use crate::error::{Failure, Result};

/// The largest file.
const LARGEST: u64 = 1 << 20;

/// The certificate and its key.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    seen: Mutex<[Option<Seen>; 2]>,
    active: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files of the command line; none if it names none.
    ///
    /// # Errors
    ///
    /// The files can't be read, or do not belong together.
    pub fn new(args: &AccessArgs) -> Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (&args.tls_certificate, &args.tls_key) else {
            return Ok(None);
        };
        let seen = [see(certificate), see(key)];
        let active = read(certificate, key).map_err(Failure::usage)?;
        Ok(Some(Self {
            certificate: certificate.clone(),
            key: key.clone(),
            seen: Mutex::new(seen),
            active: RwLock::new(active),
        }))
    }

    /// Reads the files again if one changed. If they can't be used, the active certificate stays.
    pub fn refresh(&self) {
        let found = [see(&self.certificate), see(&self.key)];
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == found {
            return;
        }
        *seen = found;
        match read(&self.certificate, &self.key) {
            Ok(new) => {
                *self.active.write().unwrap_or_else(PoisonError::into_inner) = new;
                log_line!("portcullis serve: the certificate was read again");
            }
            Err(error) => {
                log_line!("portcullis serve: the certificate of before stays active: {error}");
            }
        }
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.clone().into()
    }
}

fn read(certificate: &Path, key: &Path) -> std::result::Result<Arc<ServerConfig>, String> {
    let name = certificate.display();
    let chain = read_file(certificate)?;
    let chain = CertificateDer::pem_slice_iter(&chain).collect();
    let chain: std::result::Result<Vec<_>, _> = chain;
    let chain = chain.map_err(|error| format!("{name}: no certificate in PEM: {error}"))?;
    if chain.is_empty() {
        return Err(format!(
            "{name}: no certificate in PEM; begin with the server's own"
        ));
    }
    let key_file = key.display();
    let key = PrivateKeyDer::from_pem_slice(&read_file(key)?)
        .map_err(|error| format!("{key_file}: no private key in PEM: {error}"))?;
    let versions = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions();
    let mut config = versions
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("{name} and {key_file} do not belong together: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_file(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let opened = regular::open(path).map_err(|error| error.to_string());
    opened
        .and_then(|file| bounded::read(file, LARGEST))
        .map_err(|reason| format!("{} can't be read: {reason}", path.display()))
}
