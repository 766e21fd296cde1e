//! How connections are opened: name, TCP, a proxy if there is one, TLS; all of it within one time-out.
//!
//! Must not know what is sent over them.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use http::Uri;
use http::header::HeaderValue;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::Verifier;
use tokio::time::timeout;
use tower::ServiceExt as _;
use tower::util::{BoxCloneSyncService, MapErr};
use url::Url;

use super::evidence::Unresolved;
use super::{ProxyUrl, Settings, SetupFault};
use crate::settings::authorities;

/// An idle connection is asked for a sign of life after this, and as often again, three times at most.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// When a peer has acknowledged nothing for so long, the connection is given up.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) type Fault = Box<dyn Error + Send + Sync>;

/// Without TLS; it says of itself when a name leads nowhere.
type Tcp = HttpConnector<MapErr<GaiResolver, fn(io::Error) -> Unresolved>>;

/// Opens connections.
pub(super) type Connector = BoxCloneSyncService<Uri, Stream, Fault>;

/// Whatever a connection to a vendor is opened with.
#[derive(Clone)]
struct Connectors {
    direct: HttpsConnector<Tcp>,
    proxy: Option<Proxy>,
    limit: Duration,
}

#[derive(Clone)]
struct Proxy {
    /// Its address, and what it is told so that it lets us through.
    at: Intercept,
    /// To the proxy itself.
    door: HttpsConnector<Tcp>,
    /// Through it, to a vendor behind TLS.
    tunnel: HttpsConnector<Tunnel<HttpsConnector<Tcp>>>,
}

/// What opens connections, and the credential that a proxy wants to see in requests it passes on unencrypted.
///
/// # Errors
/// When there are no certificate authorities to trust, or a file or an address cannot be used.
pub(super) fn connector(
    settings: &Settings,
    tls: &ClientConfig,
) -> Result<(Connector, Option<HeaderValue>), SetupFault> {
    let direct = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
    let direct = direct.enable_all_versions().wrap_connector(tcp());
    let proxy = settings.proxy.as_ref().map(|ProxyUrl(url)| proxy(url, tls)).transpose()?;
    let credential = proxy.as_ref().and_then(|proxy| proxy.at.basic_auth().cloned());
    let connectors = Connectors { direct, proxy, limit: settings.connect_timeout };
    let open = tower::service_fn(move |address: Uri| {
        let connectors = connectors.clone();
        async move {
            let opened = timeout(connectors.limit, connectors.open(address)).await;
            opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        }
    });
    Ok((BoxCloneSyncService::new(open), credential))
}

fn tcp() -> Tcp {
    let mut tcp = HttpConnector::new_with_resolver(MapErr::new(GaiResolver::new(), Unresolved::from as _));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(3));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(SILENCE));
    tcp
}

/// Whose certificates are trusted: those of the system's authorities, and of a file beside them.
pub(super) fn tls(settings: &Settings) -> Result<ClientConfig, SetupFault> {
    let further = settings.ca_file.as_deref().map(authorities).transpose().map_err(SetupFault::CaFile)?;
    let told = |e: rustls::Error| SetupFault::Client(e.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(further.unwrap_or_default(), Arc::clone(&provider)).map_err(told)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(told)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// A proxy by its address; none when that cannot be used.
pub(super) fn proxy_at(url: &Url) -> Option<Intercept> {
    let anywhere = Uri::from_static("https://vendor.invalid/");
    let proxy = || Matcher::builder().all(url.as_str()).build().intercept(&anywhere);
    matches!(url.scheme(), "http" | "https").then(proxy).flatten()
}

fn proxy(url: &Url, tls: &ClientConfig) -> Result<Proxy, SetupFault> {
    let at = proxy_at(url).ok_or(SetupFault::Proxy)?;
    // A proxy passes bytes on: which HTTP they are is between us and the vendor.
    let door = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
    let door = door.enable_http1().wrap_connector(tcp());
    let mut tunnel = Tunnel::new(at.uri().clone(), door.clone());
    if let Some(credential) = at.basic_auth() {
        tunnel = tunnel.with_auth(credential.clone());
    }
    let outer = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
    Ok(Proxy { at, door, tunnel: outer.enable_all_versions().wrap_connector(tunnel) })
}

impl Connectors {
    async fn open(self, address: Uri) -> Result<Stream, Fault> {
        match self.proxy {
            None => Ok(Stream::new(self.direct.oneshot(address).await?)),
            Some(proxy) if address.scheme() == Some(&Scheme::HTTPS) => {
                Ok(Stream::new(proxy.tunnel.oneshot(address).await?))
            }
            Some(proxy) => {
                let stream = Stream::new(proxy.door.oneshot(proxy.at.uri().clone()).await?);
                Ok(Stream { is_forwarded: true, ..stream })
            }
        }
    }
}

/// An open connection, however it was opened.
pub(super) struct Stream {
    io: Box<dyn Io>,
    /// Requests name the whole address then, as a proxy needs it that passes them on.
    is_forwarded: bool,
}

trait Io: Read + Write + Connection + Send + Unpin {}

impl<T: Read + Write + Connection + Send + Unpin> Io for T {}

impl Stream {
    fn new(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), is_forwarded: false }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_forwarded)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}
