//! Certificates on disk, and clients that trust them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion, crypto};

use super::okta::{self, SECRET};
use super::server::TestServer;

/// A sandbox that answers at once.
pub const SANDBOX: &str = "allow_sandbox = true\n[orgs.main]\n[providers.sandbox]\nkind = 'sandbox'\ndelay = '5ms'\n";

/// A request that needs nothing.
pub const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Long enough for a few looks at the files on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The name the certificates are for.
pub const NAME: &str = "otp.example.com";

/// A certificate authority, and a directory in which a certificate of its and the key lie.
pub struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    pub directory: TempDir,
}

impl Pki {
    /// An authority whose first certificate is good for years.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority");
        let pki = Self { authority, directory: tempfile::tempdir().expect("directory") };
        pki.renew();
        pki
    }

    /// `[server]` settings that use the files.
    pub fn settings(&self) -> String {
        format!("tls = {{ cert_file = '{}', key_file = '{}' }}", self.path("crt").display(), self.path("key").display())
    }

    pub fn path(&self, extension: &str) -> PathBuf {
        self.directory.path().join("tls").with_extension(extension)
    }

    /// Replaces certificate and key by new ones; gives the new certificate.
    pub fn renew(&self) -> CertificateDer<'static> {
        self.renew_until(SignedDuration::from_hours(24 * 365))
    }

    /// As `renew`, good for so long from now, give or take a day; less than nothing has expired.
    pub fn renew_until(&self, left: SignedDuration) -> CertificateDer<'static> {
        let (certificate, key) = self.issue(left);
        self.write("crt", &certificate.pem());
        self.write("key", &key.serialize_pem());
        certificate.der().clone()
    }

    /// A certificate and its key, on no disk.
    pub fn issue(&self, left: SignedDuration) -> (rcgen::Certificate, KeyPair) {
        let end = Timestamp::now() + left;
        let end = TimeZone::UTC.to_datetime(end);
        let day = |n: i8| u8::try_from(n).expect("positive");
        let mut params = CertificateParams::new(vec![NAME.to_owned(), "localhost".to_owned()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(end.year().into(), day(end.month()), day(end.day()));
        let key = KeyPair::generate().expect("key");
        (params.signed_by(&key, &self.authority).expect("certificate"), key)
    }

    /// Writes a file as certbot does: beside it, then over it.
    pub fn write(&self, extension: &str, text: &str) {
        let (path, beside) = (self.path(extension), self.path("new"));
        std::fs::write(&beside, text).expect("written");
        std::fs::rename(beside, path).expect("renamed");
    }

    /// A file with the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.write("ca", &self.authority.pem());
        self.path("ca")
    }

    /// A client that trusts the authority.
    pub fn client(&self) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("root");
        Client { roots, versions: ALL_VERSIONS.to_vec(), alpn: Vec::new() }
    }
}

/// A TLS client with everything as wanted. Each connection is a full handshake.
#[derive(Clone)]
pub struct Client {
    roots: RootCertStore,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    pub alpn: Vec<&'static str>,
}

impl Client {
    pub fn versions(self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self { versions: versions.to_vec(), ..self }
    }

    pub fn alpn(self, alpn: &[&'static str]) -> Self {
        Self { alpn: alpn.to_vec(), ..self }
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(&self.versions).expect("versions");
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = self.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        handshake(&self.config(), address).await
    }

    /// Connects, sends, and reads all there is; gives the certificate shown and the answer.
    pub async fn exchange(
        &self,
        address: SocketAddr,
        bytes: &[u8],
    ) -> std::io::Result<(CertificateDer<'static>, String)> {
        let mut stream = self.connect(address).await?;
        stream.write_all(bytes).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let shown = stream.get_ref().1.peer_certificates().expect("certificates")[0].clone();
        Ok((shown.into_owned(), answer))
    }
}

/// One handshake with a configuration that is kept, and with it the sessions.
pub async fn handshake(config: &Arc<ClientConfig>, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).expect("name");
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// A sandbox with the certificate of `pki`.
pub async fn serve(pki: &Pki) -> TestServer {
    serve_with(pki, "").await
}

/// As `serve`, with further lines of `[server]`.
pub async fn serve_with(pki: &Pki, server: &str) -> TestServer {
    TestServer::start(&format!("{SANDBOX}\n[server]\n{}\n{server}", pki.settings())).await
}

/// A good hook, the last of its connection.
pub fn hook() -> Vec<u8> {
    let body = okta::another_sms().to_string();
    let lines = format!("host: {NAME}\r\nauthorization: {SECRET}\r\ncontent-length: {}", body.len());
    format!("POST /okta/telephony HTTP/1.1\r\n{lines}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}
