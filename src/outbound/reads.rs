//! What is only asked of others (`GET`), which changes nothing there: an issuer's keys, Okta's API, a look at a host.
//!
//! Must not send anything. No message hangs on what is lost here, so nobody has to know what was written, and reqwest
//! can do it.

use http::HeaderMap;
use http::header::HeaderValue;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Proxy};
use rustls::ClientConfig;
use tokio::net::lookup_host;
use url::Url;

use super::evidence::{Unresolved, unconnected};
use super::{Answer, OUR_NAME, Outbound, ProxyUrl, Settings, SetupFault, headers, read};
use crate::otp::SendError;

/// Trusts, and goes through, whom the client for sends does.
pub(super) fn client(settings: &Settings, tls: ClientConfig) -> Result<Client, SetupFault> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(settings.connect_timeout)
        .dns_resolver(Resolver)
        .redirect(Policy::none())
        .referer(false)
        .user_agent(OUR_NAME);
    let builder = match &settings.proxy {
        Some(ProxyUrl(url)) => builder.proxy(Proxy::all(url.clone()).map_err(|_| SetupFault::Proxy)?),
        None => builder.no_proxy(),
    };
    builder.build().map_err(|e| SetupFault::Client(e.to_string()))
}

/// The system's, as reqwest's own is; it says of itself when a name leads nowhere.
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is reqwest's affair.
            let found = lookup_host((name.as_str(), 0)).await.map_err(Unresolved::from)?;
            let found: Addrs = Box::new(found.collect::<Vec<_>>().into_iter());
            Ok(found)
        })
    }
}

impl Outbound {
    /// Asks for something. No time-out of its own beyond connecting.
    ///
    /// # Errors
    /// When no readable answer came: `Unconfirmed` if one came that is too large, else `Unavailable`. Whatever is lost
    /// here, no message is.
    pub async fn read(&self, url: Url, authorization: Option<&HeaderValue>) -> Result<Answer, SendError> {
        self.read_whole(url, authorization).await.map(|(answer, _)| answer)
    }

    /// As `read`, with all headers of the answer, for who knows what else stands in them.
    ///
    /// # Errors
    /// As `read`.
    pub async fn read_whole(
        &self,
        url: Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<(Answer, HeaderMap), SendError> {
        let asked = async {
            let response = self.reader.get(url).headers(headers(authorization)).send().await?;
            read(http::Response::<reqwest::Body>::from(response)).await
        };
        asked.await.map_err(|e| unconnected(&e))?
    }
}
