//! A certificate and its key: two PEM files, read and checked.
//!
//! Must not know who uses them or when they are read. Faults name the key of the setting, never what a file holds.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};
use tokio_rustls::rustls::{Error, InconsistentKeys, client};
use url::Url;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use zeroize::Zeroizing;

use crate::settings::Findings;

/// Certificates are renewed a month before their end, those of ten days at about half time. One this close to its
/// end was forgotten, or its renewal does not work.
pub const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// `server.tls`: the certificate Okta sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file: our certificate, then those of the authorities between it and the root.
    pub cert_file: PathBuf,
    /// PEM file: its private key, without a passphrase.
    pub key_file: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("server.tls.{key}: {rule}")]
pub struct CertificateFault {
    /// `cert_file` or `key_file`.
    pub(super) key: &'static str,
    /// The rule it breaks.
    pub(super) rule: String,
}

/// What stands in a file, wiped when it is dropped: it may be a key.
type Bytes = Zeroizing<Vec<u8>>;

/// The bytes of both files.
pub(super) struct Files {
    certificates: Bytes,
    key: Bytes,
}

/// A certificate that fits its key.
pub(super) struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    /// The last instant at which it is good. That of the first certificate alone: chains in good use have ended in
    /// a root that had expired (Let's Encrypt's did, in 2021).
    pub(super) expires: Timestamp,
}

impl Files {
    pub(super) fn read(settings: &TlsSettings) -> Result<Self, CertificateFault> {
        let [certificates, key] = Self::both(settings);
        Ok(Self { certificates: certificates?, key: key? })
    }

    fn both(settings: &TlsSettings) -> [Result<Bytes, CertificateFault>; 2] {
        [("cert_file", &settings.cert_file), ("key_file", &settings.key_file)].map(|(key, path)| {
            if path.as_os_str().is_empty() {
                return Err(fault(key, "is required"));
            }
            let bytes = std::fs::read(path).map_err(|e| fault(key, &format!("cannot be read: {}", e.kind())))?;
            Ok(Zeroizing::new(bytes))
        })
    }

    /// What tells these bytes from others.
    pub(super) fn digest(&self) -> Vec<u8> {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        context.update(&(self.certificates.len() as u64).to_be_bytes());
        context.update(&self.certificates);
        context.update(&self.key);
        context.finish().as_ref().to_vec()
    }

    pub(super) fn identity(&self, crypto: &CryptoProvider) -> Result<Identity, CertificateFault> {
        Identity::new(chain(&self.certificates)?, private_key(&self.key, crypto)?)
    }
}

impl TlsSettings {
    /// Reads both files as the server would; `at` is the key path of this table.
    pub fn check(&self, at: &str, public_url: Option<&Url>, findings: &mut Findings) {
        let crypto = super::crypto();
        let [certificates, key] = Files::both(self);
        let chain = certificates.and_then(|bytes| chain(&bytes));
        let key = key.and_then(|bytes| private_key(&bytes, &crypto));
        let mut note = |fault: CertificateFault| findings.fault(format!("{at}.{}", fault.key), fault.rule);
        let (chain, key) = (chain.map_err(&mut note), key.map_err(&mut note));
        let (Ok(chain), Ok(key)) = (chain, key) else { return };
        let Ok(identity) = Identity::new(chain, key).map_err(note) else { return };
        let cert_file = format!("{at}.cert_file");
        let left = identity.expires.duration_since(Timestamp::now());
        if left.is_negative() {
            findings.warn(&cert_file, format!("has expired, on {}: Okta cannot connect", identity.expires));
        } else if left < SOON {
            findings.warn(&cert_file, format!("expires on {}, in less than 14 days", identity.expires));
        }
        if identity.stands_alone() {
            let rule = "holds one certificate, not signed by itself: Okta needs those of the authorities between too";
            findings.warn(&cert_file, rule);
        }
        if let Some(host) = public_url.and_then(Url::host_str)
            && !identity.is_for(host)
        {
            findings.warn(&cert_file, format!("is not for {host}, the host of server.public_url"));
        }
    }
}

impl Identity {
    fn new(chain: Chain, key: Arc<dyn SigningKey>) -> Result<Self, CertificateFault> {
        let certified = CertifiedKey::new(chain.certificates, key);
        match certified.keys_match() {
            // Unknown: the kind of key does not tell its public half.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(fault("key_file", "does not match the first certificate of server.tls.cert_file"));
            }
            Err(_) => return Err(fault("cert_file", "holds a certificate that cannot be read")),
        }
        Ok(Self { certified: Arc::new(certified), expires: chain.expires })
    }

    fn is_for(&self, host: &str) -> bool {
        let (Ok(name), Ok(leaf)) = (ServerName::try_from(host), self.certified.end_entity_cert()) else { return false };
        ParsedCertificate::try_from(leaf).is_ok_and(|leaf| client::verify_server_name(&leaf, &name).is_ok())
    }

    fn stands_alone(&self) -> bool {
        let [leaf] = self.certified.cert.as_slice() else { return false };
        Certificate::from_der(leaf)
            .is_ok_and(|leaf| leaf.tbs_certificate().issuer() != leaf.tbs_certificate().subject())
    }
}

/// The certificates of a file, and the end of the first.
struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    expires: Timestamp,
}

fn chain(pem: &[u8]) -> Result<Chain, CertificateFault> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| fault("cert_file", "is no PEM"))?;
    let leaf = certificates.first().ok_or_else(|| fault("cert_file", "holds no PEM certificate"))?;
    let expires = expires(leaf).ok_or_else(|| fault("cert_file", "holds a certificate that cannot be read"))?;
    Ok(Chain { certificates, expires })
}

fn private_key(pem: &[u8], crypto: &CryptoProvider) -> Result<Arc<dyn SigningKey>, CertificateFault> {
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| fault("key_file", "holds no PEM private key, or one with a passphrase"))?;
    let key = crypto.key_provider.load_private_key(key);
    key.map_err(|_| fault("key_file", "holds a private key that cannot be used for TLS"))
}

fn fault(key: &'static str, rule: &str) -> CertificateFault {
    CertificateFault { key, rule: rule.to_owned() }
}

fn expires(leaf: &CertificateDer<'_>) -> Option<Timestamp> {
    let leaf = Certificate::from_der(leaf).ok()?;
    let seconds = leaf.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
    // The end of the year 9999 stands for "never" (RFC 5280 §4.1.2.5) and lies a day beyond what a Timestamp can say.
    Some(i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::MAX))
}
