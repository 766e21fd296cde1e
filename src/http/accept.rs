//! The accept loop: connections in, requests to the router, and an orderly end.
//!
//! Must not know any route. Our own loop rather than `axum::serve`, which offers no time-outs for a head or an idle
//! connection and no cap on connections (hyper installs no timer there).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

pub use super::connection::Patience;
use super::connection::{Patient, Watch};

/// The head of a request; Okta's is below 1 KiB. hyper answers 431 beyond it.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// After an accept failed for want of file descriptors: time for some connection to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound listener and what its connections are held to.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    patience: Patience,
    places: Arc<Semaphore>,
    connections: Gauge,
}

impl Listener {
    /// Binds an address. `connections` counts the open ones, of which there are never more than `max_connections`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        patience: Patience,
        max_connections: usize,
        connections: Gauge,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, patience, places: Arc::new(Semaphore::new(max_connections)), connections })
    }

    /// The address, with the port the system chose.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then lets every connection finish the request it is at.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        while let Some((stream, place)) = stop.run_until_cancelled(self.accept()).await {
            let connection = Connection { patience: self.patience, router: router.clone() };
            let (gauge, stop) = (self.connections.clone(), stop.clone());
            tasks.spawn(async move {
                gauge.inc();
                connection.serve(stream, stop).await;
                gauge.dec();
                drop(place);
            });
        }
        drop(self.listener);
        tasks.close();
        tasks.wait().await;
    }

    async fn accept(&self) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // Answers are one small write: waiting for more to send only delays them.
                    let _ = stream.set_nodelay(true);
                    return (stream, place);
                }
                Err(e) => {
                    tracing::warn!(error = %e.kind(), "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

#[derive(Debug)]
struct Connection {
    patience: Patience,
    router: Router,
}

impl Connection {
    /// HTTP/1.1 only: a hook is a single POST, HTTP/2 would add nothing but its floods.
    async fn serve(self, stream: TcpStream, stop: CancellationToken) {
        let watch = Watch::new(self.patience);
        let service = service_fn(|request: hyper::Request<Incoming>| self.answer(request, watch.clone()));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD_BYTES).header_read_timeout(None).half_close(true);
        let connection = builder.serve_connection(TokioIo::new(Patient::new(stream, watch.clone())), service);
        let mut connection = std::pin::pin!(connection);
        // What a peer does wrong on the wire is its own affair: hyper has answered it where an answer was possible.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        watch: Watch,
    ) -> Result<Response, std::convert::Infallible> {
        let begun = watch.begin();
        tracing::debug!(malformed = begun.sound.err().map(|m| m.0), "request");
        let mut response = match begun.sound {
            Ok(()) => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(begun.received);
                self.router.clone().oneshot(request).await?
            }
            Err(_) => super::malformed(),
        };
        if !watch.end() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}
