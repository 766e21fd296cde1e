//! TLS for the public listener: handshakes, bounded in time.
//!
//! Must not know what is said inside. TLS 1.2 and 1.3 with rustls' own choice of suites, all of them with forward
//! secrecy and authenticated encryption; HTTP/1.1 alone; no early data, which could be replayed.

mod certificate;
mod reload;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::ResolvesServerCert;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{Error, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::metrics::{ConnectionMetrics, ResultLabels};
pub use certificate::{CertificateFault, SOON, TlsSettings};
pub use reload::Certificates;

/// TLS on one listener. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    handshake_timeout: Duration,
}

/// TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct SetupFault(#[from] Error);

impl Tls {
    /// Handshakes with whatever certificate is in use at the time, in no more than this time.
    ///
    /// # Errors
    /// When rustls cannot be set up, say for want of random bytes for session tickets.
    pub fn new(certificates: &Certificates, handshake_timeout: Duration) -> Result<Self, SetupFault> {
        let config = server_config(certificates.resolver())?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), handshake_timeout })
    }

    /// One handshake. None when it failed or took too long: rustls has told the peer what there is to tell.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        metrics: &ConnectionMetrics,
    ) -> Option<TlsStream<TcpStream>> {
        let (stream, result) = match tokio::time::timeout(self.handshake_timeout, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => (Some(stream), "completed"),
            Ok(Err(e)) => {
                // Scanners fail all day long: no more than a debug line and a number.
                tracing::debug!(error = %e, "TLS handshake failed");
                (None, "failed")
            }
            Err(_) => (None, "timeout"),
        };
        metrics.handshakes.get_or_create(&ResultLabels { result }).inc();
        stream
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("handshake_timeout", &self.handshake_timeout).finish_non_exhaustive()
    }
}

fn crypto() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(crypto()));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12])?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    // A client that speaks HTTP/2 alone is refused in the handshake; one that says nothing gets HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Of what both can do, our first choice: the strongest.
    config.ignore_client_order = true;
    // Tickets that the client keeps: a session resumes however many others came since, and costs us no memory.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}
