//! A connection, and what is known of it: whether it leads anywhere, and to the server that is meant,
//! and whether its answers are those to its questions.
//!
//! Answers on a connection come in the order of the questions, and nothing else says to which one an
//! answer belongs. Should one ever be lost or come twice (a client or a proxy that miscounts), every
//! later one would be taken for the answer to another question. Values can't be confused, since each
//! names its key; but an older answer about the same key would pass. So now and then a question goes
//! along that has an answer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bb8_redis::redis::{Value, aio::MultiplexedConnection, cmd};

use super::dial::Driver;
use super::fault::{Fate, fate};
use super::identity::Identity;
use crate::clock::{Millis, Steady, as_millis, spread};
use crate::error::{Error, ErrorKind};

/// A connection on which so many operations in a row had no answer leads nowhere.
const SILENCE: u32 = 3;
/// An error that a new connection might not have ends one that is older than this, more or less: so
/// that a server that says so each time is not connected to each time, nor by all at once.
const RENEW_AFTER: Duration = Duration::from_secs(1);
/// How often it is asked, at most, whether answers are those to their questions.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// A connection and what is known of it.
pub(super) struct Connection {
    pub(super) multiplexed: MultiplexedConnection,
    pub(super) state: Arc<State>,
}

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct State {
    identity: Arc<Identity>,
    /// That of the server.
    incarnation: u64,
    broken: AtomicBool,
    /// Operations in a row that had no answer.
    silent: AtomicU32,
    /// Begins when it was made.
    age: Steady,
    /// From which age on it may be renewed.
    renew_after: Millis,
    /// At which age the next question goes along.
    check_at: AtomicU64,
    driver: Driver,
}

impl Connection {
    /// To send commands on.
    pub(super) fn commands(&mut self) -> &mut MultiplexedConnection {
        &mut self.multiplexed
    }
}

impl State {
    pub(super) fn new(identity: Arc<Identity>, incarnation: u64, driver: Driver) -> Self {
        Self {
            identity,
            incarnation,
            broken: AtomicBool::new(false),
            silent: AtomicU32::new(0),
            age: Steady::start(),
            renew_after: as_millis(spread(RENEW_AFTER)),
            check_at: AtomicU64::new(as_millis(CHECK_EVERY)),
            driver,
        }
    }

    /// Takes note of how an operation on the connection ended.
    pub(super) fn report(&self, error: Option<&Error>) {
        let Some(error) = error else { return self.has_answered() };
        if error.kind() == ErrorKind::Timeout {
            if self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENCE {
                self.give_up();
            }
            return;
        }
        self.has_answered();
        match fate(error) {
            Fate::GivenUp => self.give_up(),
            Fate::Renewed if self.age.now() >= self.renew_after => self.give_up(),
            Fate::Renewed | Fate::Kept => {}
        }
    }

    fn has_answered(&self) {
        if self.silent.load(Ordering::Relaxed) != 0 {
            self.silent.store(0, Ordering::Relaxed);
        }
    }

    fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
        // Of one that led to another server nobody has to be told.
        if self.is_of_the_present() {
            self.identity.note_loss();
        }
    }

    /// False once another server was met in the place of this one: what this one says counts no
    /// more.
    pub(super) fn is_of_the_present(&self) -> bool {
        self.incarnation == self.identity.incarnation()
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.driver.has_ended() && self.is_of_the_present()
    }

    /// Whether the question that has an answer of its own is to go along with the next operation.
    pub(super) fn is_check_due(&self) -> bool {
        let (now, due) = (self.age.now(), self.check_at.load(Ordering::Relaxed));
        let next = now.saturating_add(as_millis(CHECK_EVERY));
        let ordering = Ordering::Relaxed;
        now >= due && self.check_at.compare_exchange(due, next, ordering, ordering).is_ok()
    }

    /// Asks it. If the answer is another one, nothing counts that came on this connection, or is yet
    /// to come: as if there were another server.
    pub(super) async fn check(self: Arc<Self>, mut connection: MultiplexedConnection) {
        let question = fastrand::u64(..).to_string();
        let mut ping = cmd("PING");
        ping.arg(&question);
        let is_in_step = match connection.send_packed_command(&ping).await {
            Ok(Value::BulkString(answer)) => answer == question.as_bytes(),
            // Refused (not permitted, or nothing is for now), which says nothing; as does an end.
            Ok(Value::ServerError(_)) | Err(_) => true,
            Ok(_) => false,
        };
        if !is_in_step {
            self.give_up();
            self.identity.doubt();
            tracing::error!(
                target: "cache_core",
                "answers of Redis are not those to the questions; connecting anew"
            );
        }
    }
}
