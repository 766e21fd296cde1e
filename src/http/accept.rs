//! The accept loop: connections in, requests to the router, and an orderly end.
//!
//! Must not know any route. Our own loop rather than `axum::serve`, which offers no time-outs for a head or an idle
//! connection and no cap on connections (hyper installs no timer there).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::body;
pub use super::connection::Patience;
use super::connection::{Patient, Watch};
use super::crowd::{Crowd, Guest};
use super::proxies::Proxies;
use super::swap::Swap;
use super::tls::Tls;
use crate::metrics::{ConnectionMetrics, RefusedLabels};
use crate::seldom::Seldom;

/// Connections that may wait to be accepted. At the usual 128, a burst of sign-ins has some of them try again after a
/// second, of Okta's three; Linux cuts this to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// The head of a request; Okta's is below 1 KiB. hyper answers 431 beyond it.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// After an accept failed for want of file descriptors: time for some connection to close. Callers wait in the
/// kernel's queue meanwhile, which is better than the door shut in their face: Okta has seconds, a descriptor is
/// mostly free again within one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// After the stop, for whoever is connected and has said nothing yet: what is on its way arrives, or nothing will.
const LAST_CALL: Duration = Duration::from_millis(250);

/// How long whoever was connecting at that moment has to be connected.
const LAST_COMERS: Duration = Duration::from_millis(10);

/// How often the same trouble is told of; the metrics count every case.
const REMIND: Duration = Duration::from_secs(60);

/// What a listener holds its connections to.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long one may keep us waiting.
    pub patience: Patience,
    /// How many there may be; one more waits in the kernel's queue.
    pub max_connections: usize,
    /// How many of one address; one more is closed at once. Zero: no limit.
    pub max_per_address: usize,
    /// Whose word is taken on where a request comes from.
    pub proxies: Proxies,
    /// Whether they are encrypted.
    pub tls: Option<Tls>,
    /// Where they are counted.
    pub metrics: ConnectionMetrics,
}

/// How the end comes to a listener, in two steps.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// It is near: every answer says that its connection closes.
    pub announced: CancellationToken,
    /// Nobody new is let in. Not before it is announced.
    pub stop: CancellationToken,
}

/// A bound listener and what its connections are held to.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    terms: Terms,
    places: Arc<Semaphore>,
    crowd: Crowd,
    /// What trouble was told of.
    told: Seldom<Trouble>,
}

/// What an operator hears of once in a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Failed,
    Refused,
}

/// A connection that was let in, and what it takes up while it lives.
struct Admitted {
    stream: TcpStream,
    peer: IpAddr,
    _place: Option<OwnedSemaphorePermit>,
    _guest: Guest,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, terms: Terms) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As `TcpListener::bind` does it: a restart need not wait for the connections of the one before.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let places = Arc::new(Semaphore::new(terms.max_connections.min(Semaphore::MAX_PERMITS)));
        let crowd = Crowd::new(terms.max_per_address, terms.proxies.clone());
        Ok(Self { listener, terms, places, crowd, told: Seldom::new(REMIND) })
    }

    /// The address, with the port the system chose.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `ending` says stop, then whoever is connected by then, and lets every connection finish the request
    /// it is at.
    pub async fn serve(self, routes: Swap, ending: Ending) {
        let tasks = TaskTracker::new();
        let terms = self.terms.clone();
        let serve = |admitted: Admitted| {
            let connection = Connection {
                terms: terms.clone(),
                routes: routes.clone(),
                ending: ending.clone(),
                peer: admitted.peer,
            };
            tasks.spawn(async move {
                let Admitted { stream, _place, _guest, .. } = admitted;
                let open = connection.terms.metrics.open.clone();
                open.inc();
                connection.serve(stream).await;
                open.dec();
            });
        };
        while let Some(admitted) = ending.stop.run_until_cancelled(self.accept()).await {
            serve(admitted);
        }
        let until = Instant::now() + LAST_CALL;
        let last_call = || {
            while Instant::now() < until
                && let Some(admitted) = self.accept_waiting()
            {
                serve(admitted);
            }
        };
        last_call();
        sleep(LAST_COMERS).await;
        // Once more, and no pause behind it: whoever connects then is reset.
        last_call();
        drop(self.listener);
        tasks.close();
        tasks.wait().await;
    }

    /// Lets in one who is connected already, and would be reset along with the listener; none when nobody is. It needs no
    /// place, which might become free too late.
    fn accept_waiting(&self) -> Option<Admitted> {
        loop {
            // Asked of the system itself: tokio knows of a connection only once it has been told.
            let (socket, peer) = SockRef::from(&self.listener).accept().ok()?;
            socket.set_nonblocking(true).ok()?;
            let stream = TcpStream::from_std(socket.into()).ok()?;
            if let Some(admitted) = self.admit(stream, peer.as_socket()?.ip(), None) {
                return Some(admitted);
            }
        }
    }

    async fn accept(&self) -> Admitted {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
            let (stream, peer) = match self.listener.accept().await {
                Ok((stream, peer)) => (stream, peer.ip()),
                Err(e) => {
                    self.failed(&e).await;
                    continue;
                }
            };
            if let Some(admitted) = self.admit(stream, peer, Some(place)) {
                return admitted;
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: IpAddr, place: Option<OwnedSemaphorePermit>) -> Option<Admitted> {
        let guest = self.guest(peer)?;
        // Answers are one small write: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        Some(Admitted { stream, peer, _place: place, _guest: guest })
    }

    fn guest(&self, peer: IpAddr) -> Option<Guest> {
        let guest = self.crowd.admit(peer);
        if guest.is_none() {
            tracing::debug!(%peer, "too many connections of one address");
            self.terms.metrics.refused.get_or_create(&RefusedLabels { reason: "address" }).inc();
            if self.told.is_due(Trouble::Refused) {
                tracing::warn!(
                    "one address has server.max_connections_per_address connections and gets no more; \
                     if it is a proxy, name it in server.trusted_proxies"
                );
            }
        }
        guest
    }

    async fn failed(&self, error: &io::Error) {
        self.terms.metrics.accept_failures.inc();
        if self.told.is_due(Trouble::Failed) {
            tracing::warn!(%error, "connections cannot be accepted; more file descriptors may be needed");
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

#[derive(Debug)]
struct Connection {
    terms: Terms,
    routes: Swap,
    ending: Ending,
    peer: IpAddr,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let Some(tls) = &self.terms.tls else { return self.talk(stream).await };
        // Boxed: TLS takes several times as much, and connections without it would keep room for it. Not cut short by a
        // stop: its own time-out is a short one.
        if let Some(stream) = Box::pin(tls.handshake(stream, &self.terms.metrics)).await {
            Box::pin(self.talk(stream)).await;
        }
    }

    /// HTTP/1.1 only: a hook is a single POST, HTTP/2 would add nothing but its floods.
    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let watch = Watch::new(self.terms.patience);
        let service = service_fn(|request: hyper::Request<Incoming>| self.answer(request, watch.clone()));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD_BYTES).header_read_timeout(None).half_close(true);
        let connection = builder.serve_connection(TokioIo::new(Patient::new(stream, watch.clone())), service);
        let mut connection = std::pin::pin!(connection);
        let last_call = async {
            self.ending.stop.cancelled().await;
            sleep(LAST_CALL).await;
        };
        // What a peer does wrong on the wire is its own affair: hyper has answered it where an answer was possible.
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = last_call => {}
        }
        // Of a request that has begun the answer closes the connection. hyper would cut off half a head.
        if watch.is_quiet() {
            connection.as_mut().graceful_shutdown();
        }
        let _ = connection.await;
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        watch: Watch,
    ) -> Result<Response, std::convert::Infallible> {
        let begun = watch.begin();
        let client = self.terms.proxies.client(self.peer, request.headers());
        tracing::debug!(client = %client.0, malformed = begun.sound.err().map(|m| m.0), "request");
        let (head, body) = request.into_parts();
        let body = body::drained(body, &head.headers);
        let mut request = hyper::Request::from_parts(head, body);
        let mut response = match begun.sound {
            Ok(()) => {
                request.extensions_mut().insert(begun.received);
                request.extensions_mut().insert(client);
                self.routes.current().oneshot(request).await?
            }
            Err(_) => super::malformed(),
        };
        // A client that reuses a connection which is about to close loses a request.
        if !watch.end() || self.ending.announced.is_cancelled() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_over_its_cap_is_counted_and_the_others_get_in() {
        let terms = Terms {
            patience: Patience { head: Duration::from_secs(5), idle: Duration::from_secs(5) },
            max_connections: 10,
            max_per_address: 2,
            proxies: Proxies::default(),
            tls: None,
            metrics: ConnectionMetrics::default(),
        };
        let refused = terms.metrics.refused.get_or_create(&RefusedLabels { reason: "address" }).clone();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), terms).await.expect("binds");
        let guest = |peer: &str| listener.guest(peer.parse().expect("address"));
        let guests = [guest("203.0.113.9"), guest("203.0.113.9")];
        assert!(guests.iter().all(Option::is_some) && guest("203.0.113.9").is_none());
        assert!(guest("203.0.113.10").is_some() && guest("127.0.0.1").is_some());
        assert_eq!(refused.get(), 1);
        drop(guests);
        assert!(guest("203.0.113.9").is_some());
    }
}
