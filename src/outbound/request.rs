//! One call to a vendor, before it is made.
//!
//! Must not know the vendor, nor show what it carries.

use std::fmt;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use crate::secret::Secret;

/// One call to a vendor: built without being sent, so that `preview` can show it.
#[derive(Clone)]
pub struct Request {
    /// `POST` for what changes something there, `GET` for a look.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers; those that carry a credential are marked sensitive.
    pub headers: HeaderMap,
    /// The exact bytes.
    pub body: Bytes,
    /// What in the body is a credential, if something is.
    pub hidden: Option<Secret>,
}

impl Request {
    /// A `POST` with an `Authorization` that `Debug` does not show. `authorization` is cloned, not rebuilt, for every call.
    pub fn post(url: Url, authorization: &HeaderValue, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = headers(Some(authorization));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { method: Method::POST, url, headers, body: body.into(), hidden: None }
    }

    /// A `GET`, which changes nothing there, with an `Authorization` that `Debug` does not show.
    pub fn get(url: Url, authorization: &HeaderValue) -> Self {
        Self { method: Method::GET, url, headers: headers(Some(authorization)), body: Bytes::new(), hidden: None }
    }

    /// The body for people, without a credential.
    pub fn shown_body(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        self.hidden.as_ref().map_or_else(|| body.to_string(), |hidden| body.replace(hidden.expose(), "***"))
    }
}

/// The headers of every call.
pub(super) fn headers(authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(3);
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers
}

impl fmt::Debug for Request {
    /// Neither the body, which holds code and number, nor the address, which may.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {} bytes)", self.url.host_str().unwrap_or_default(), self.body.len())
    }
}
