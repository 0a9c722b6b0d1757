//! Whom we trust: certificates of authorities from a file. It must never trust anybody else, nor skip a check.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::set::SinksError;

/// The cryptography in use.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file.
///
/// # Errors
/// If it cannot be read, or holds none.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, SinksError> {
    let refused = |cause: String| SinksError::Authorities {
        path: path.to_owned(),
        cause,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| refused(cause.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    Ok(certificates)
}

/// How to speak TLS to somebody whom one of these authorities vouches for.
///
/// # Errors
/// If the file cannot be read, or holds no certificate that can be used.
pub(super) fn client(path: &Path) -> Result<Arc<ClientConfig>, SinksError> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(authorities(path)?);
    if taken == 0 {
        return Err(SinksError::Authorities {
            path: path.to_owned(),
            cause: "none of its certificates can be used".to_owned(),
        });
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|cause| SinksError::Authorities {
            path: path.to_owned(),
            cause: cause.to_string(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
