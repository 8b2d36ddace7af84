//! Which server to connect to: always the same, or the one that Sentinels name.

use std::sync::Arc;

use bb8_redis::redis::ConnectionAddr;
use bb8_redis::redis::aio::MultiplexedConnection;

use super::identity::Identity;
use super::options::RedisOptions;
use super::sentinel::{Sentinels, refuse_replica};
use crate::error::{Error, ErrorKind};

/// Which server to connect to.
#[derive(Debug)]
pub(super) enum Target {
    Server(ConnectionAddr),
    Primary(Arc<Sentinels>),
}

impl Target {
    pub(super) fn new(options: &RedisOptions, identity: &Arc<Identity>) -> Result<Self, Error> {
        match &options.sentinels {
            None => Ok(Self::Server(options.connection.addr().clone())),
            Some(sentinels) => {
                let tls = options.tls.as_ref();
                let identity = Arc::clone(identity);
                Ok(Self::Primary(Arc::new(Sentinels::new(sentinels, tls, identity)?)))
            }
        }
    }

    /// Where it is right now.
    pub(super) async fn address(&self) -> Result<ConnectionAddr, Error> {
        match self {
            Self::Server(address) => Ok(address.clone()),
            Self::Primary(sentinels) => sentinels.primary().await,
        }
    }

    /// Whether who answers is what was looked for: a replica, or one that has just become one, is
    /// not the primary, whatever Sentinels say.
    pub(super) async fn confirm(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), Error> {
        match self {
            Self::Server(_) => Ok(()),
            Self::Primary(_) => refuse_replica(connection).await,
        }
    }

    /// An error if another server has taken the place of the one at this address since.
    pub(super) fn check(&self, address: &ConnectionAddr) -> Result<(), Error> {
        match self {
            Self::Primary(sentinels) if !sentinels.is_primary(address) => {
                Err(Error::new(ErrorKind::Unavailable, "there is another primary by now"))
            }
            Self::Server(_) | Self::Primary(_) => Ok(()),
        }
    }

    /// Asks nobody any more.
    pub(super) fn close(&self) {
        match self {
            Self::Server(_) => {}
            Self::Primary(sentinels) => sentinels.close(),
        }
    }
}
