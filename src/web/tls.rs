//! Certificate and key for HTTPS, read once at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Why HTTPS can't be served. One line, with the key to look at.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("http.tls_certificate: {path} can't be used: {why} (give a PEM file with the certificate and its chain)")]
    Certificate { path: PathBuf, why: String },
    #[error("http.tls_key: {path} can't be used: {why} (give a PEM file with the certificate's private key)")]
    Key { path: PathBuf, why: String },
    #[error("http.tls_certificate and http.tls_key can't be used together: {0}")]
    Pair(rustls::Error),
}

/// Reads both files.
///
/// # Errors
/// A file can't be read, holds something else, or the two do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let of_certificate = |why: String| TlsError::Certificate { path: certificate.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| of_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(of_certificate("there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::Key { path: key.to_owned(), why: error.to_string() })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
