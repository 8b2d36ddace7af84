//! The answers of the proxy itself: why a request got none from the upstream.

use bytes::Bytes;
use cache_tower::OriginUnreachable;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

/// Every reason there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// `CONNECT` asks for a tunnel.
    Tunnel,
    /// The request is to go no further (`Max-Forwards: 0`).
    LastRecipient,
    /// No `Host`, more than one, or one that names no host.
    BadHost,
    /// The target of the request is none, or too long with the base path.
    BadTarget,
    /// The body of the request broke off or was malformed.
    UploadFailed,
    /// The body of the request is in a transfer coding that isn't known here.
    CodedUpload,
    /// There is no connection to the upstream to be had.
    Unreachable,
    /// The upstream didn't take a connection in time.
    ConnectTimeout,
    /// The upstream didn't begin to answer in time.
    ResponseTimeout,
    /// The upstream closed the connection, or what it said isn't HTTP.
    BadResponse,
    /// The body of the response is in a transfer coding that nobody asked for.
    CodedResponse,
    /// The upstream changes to another protocol, although nobody asked.
    UnexpectedUpgrade,
}

impl Failure {
    /// The status; the type of error by RFC 9209 §2.3; what users may read.
    const fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Tunnel => (
                StatusCode::NOT_IMPLEMENTED,
                "cache-tower; error=http_request_denied",
                "This proxy makes no tunnels.\n",
            ),
            // RFC 9110 §9.3.7, §9.3.8: OPTIONS asks nothing of this proxy, and TRACE is not done.
            Self::LastRecipient => (
                StatusCode::NOT_IMPLEMENTED,
                "cache-tower; error=http_request_denied",
                "This proxy answers no TRACE and no OPTIONS by itself.\n",
            ),
            Self::BadHost => (
                StatusCode::BAD_REQUEST,
                "cache-tower; error=http_request_error",
                "The request must name one valid host.\n",
            ),
            Self::BadTarget => (
                StatusCode::BAD_REQUEST,
                "cache-tower; error=http_request_error",
                "The target of the request is not valid.\n",
            ),
            Self::UploadFailed => (
                StatusCode::BAD_REQUEST,
                "cache-tower; error=http_request_error",
                "The body of the request can't be read.\n",
            ),
            // RFC 9112 §6.1
            Self::CodedUpload => (
                StatusCode::NOT_IMPLEMENTED,
                "cache-tower; error=http_request_denied",
                "The transfer coding of the request is not known here.\n",
            ),
            Self::Unreachable => (
                StatusCode::BAD_GATEWAY,
                "cache-tower; error=destination_unavailable",
                "The upstream server can't be reached.\n",
            ),
            Self::ConnectTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "cache-tower; error=connection_timeout",
                "The upstream server takes too long to accept a connection.\n",
            ),
            Self::ResponseTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "cache-tower; error=http_response_timeout",
                "The upstream server takes too long to answer.\n",
            ),
            Self::BadResponse => (
                StatusCode::BAD_GATEWAY,
                "cache-tower; error=http_protocol_error",
                "The upstream server gave no valid response.\n",
            ),
            Self::CodedResponse => (
                StatusCode::BAD_GATEWAY,
                "cache-tower; error=http_response_transfer_coding",
                "The upstream server gave a response in an unknown transfer coding.\n",
            ),
            Self::UnexpectedUpgrade => (
                StatusCode::BAD_GATEWAY,
                "cache-tower; error=http_upgrade_failed",
                "The upstream server changed to another protocol unasked.\n",
            ),
        }
    }

    /// Whether there is no response of the upstream server, for reasons of its own.
    fn is_of_the_upstream(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::ConnectTimeout | Self::ResponseTimeout | Self::BadResponse
        )
    }

    /// The response to give: plain text that no cache keeps.
    pub(crate) fn response(self) -> Response<Full<Bytes>> {
        const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
        let (status, proxy_status, text) = self.describe();
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PROXY_STATUS, HeaderValue::from_static(proxy_status));
        if self.is_of_the_upstream() {
            // Whoever has something stored may answer with that.
            response.extensions_mut().insert(OriginUnreachable);
        }
        response
    }
}
