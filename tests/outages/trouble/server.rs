//! A server that is killed, stopped, full, or locked.

use std::sync::{Arc, Mutex, PoisonError};

use cache_core::RedisOptions;
use cache_core::store::BoxFuture;
use cache_tests::RedisServer;
use cache_tests::resp::Connection;

use super::{Start, Trouble, aside};

/// What happens to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// Killed, and started anew: empty.
    Killed,
    /// Stopped: connections stay open, nothing is answered.
    Stopped,
    /// Full, and told to evict nothing.
    Full,
    /// Another password than the service has, from the start.
    Locked,
    /// The password is changed, and everybody is sent away.
    LockedLater,
}

#[derive(Debug)]
struct Ill {
    what: Server,
    redis: Arc<RedisServer>,
    /// Stays logged in.
    keeper: Option<Arc<Mutex<Connection>>>,
}

const OURS: &str = "that-of-the-service";
const ANOTHER: &str = "another-one";

impl Server {
    pub(crate) fn start(self) -> Start {
        Arc::new(move || {
            Box::pin(async move {
                let ill = aside(move || self.ill()).await;
                Box::new(ill) as Box<dyn Trouble>
            })
        })
    }

    fn ill(self) -> Ill {
        let builder = RedisServer::builder();
        let redis = match self {
            Self::Locked | Self::LockedLater => builder.password(OURS).start(),
            _ => builder.start(),
        };
        let keeper = redis.connect().expect("it runs");
        let keeper = Some(Arc::new(Mutex::new(keeper)));
        Ill { what: self, redis: Arc::new(redis), keeper }
    }
}

impl Ill {
    fn tell(&self, commands: &'static [&'static [&'static str]]) -> BoxFuture<'_, ()> {
        let keeper = self.keeper.clone().expect("a connection");
        Box::pin(aside(move || {
            let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            for command in commands {
                let args: Vec<&[u8]> = command.iter().map(|arg| arg.as_bytes()).collect();
                let reply = keeper.command(&args).expect("an answer");
                assert!(!reply.is_error(), "{command:?}: {}", reply.text());
            }
        }))
    }

    fn with(&self, work: impl FnOnce(&RedisServer) + Send + 'static) -> BoxFuture<'_, ()> {
        let redis = Arc::clone(&self.redis);
        Box::pin(aside(move || work(&redis)))
    }
}

impl Trouble for Ill {
    fn options(&self) -> RedisOptions {
        RedisOptions::url(&self.redis.url()).expect("valid")
    }

    fn begin(&mut self) -> BoxFuture<'_, ()> {
        match self.what {
            Server::Killed => self.with(RedisServer::kill),
            Server::Stopped => self.with(RedisServer::stop),
            Server::Full => self.tell(&[
                &["CONFIG", "SET", "maxmemory-policy", "noeviction"],
                &["CONFIG", "SET", "maxmemory", "1"],
            ]),
            Server::Locked | Server::LockedLater => self.tell(&[
                &["CONFIG", "SET", "requirepass", ANOTHER],
                &["CLIENT", "KILL", "TYPE", "normal"],
            ]),
        }
    }

    fn end(&mut self) -> BoxFuture<'_, ()> {
        match self.what {
            Server::Killed => self.with(RedisServer::restart),
            Server::Stopped => self.with(RedisServer::resume),
            Server::Full => self.tell(&[&["CONFIG", "SET", "maxmemory", "0"]]),
            Server::Locked | Server::LockedLater => {
                self.tell(&[&["CONFIG", "SET", "requirepass", OURS]])
            }
        }
    }
}
