//! What there is of TLS without the feature `tls`: nothing.

use std::error::Error as StdError;

use bb8_redis::redis::ConnectionAddr;
use tokio::net::TcpStream;

use crate::error::Error;

/// There is none.
#[derive(Debug, Clone)]
pub(super) enum TlsOptions {}

/// There is none.
#[derive(Debug, Clone)]
pub(super) enum Tls {}

impl TlsOptions {
    /// What `rediss://` asks for.
    pub(super) fn asked_for() -> Result<Self, Error> {
        Err(Error::config("rediss:// asks for TLS, but the feature `tls` is off"))
    }

    pub(super) fn connector(&self) -> Result<Tls, Error> {
        match *self {}
    }
}

impl Tls {
    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn handshake(
        &self,
        _: &str,
        _: TcpStream,
    ) -> Result<std::pin::Pin<Box<TcpStream>>, Error> {
        match *self {}
    }

    pub(super) fn explain(
        &self,
        _: &(dyn StdError + 'static),
        _: &ConnectionAddr,
    ) -> Option<String> {
        match *self {}
    }

    pub(super) fn has_client_certificate(&self) -> bool {
        match *self {}
    }
}
