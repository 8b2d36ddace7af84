//! A lease in the store: who holds it computes for all processes that share the store.
//!
//! It is a key of its own, `{prefix}:gen:l:{entry}:{state}`: no entry, so nothing lists or sweeps
//! it, and gone by itself soon after its holder. `state` stands for what the holder's computation is
//! based on (generations, the key's state), so that who asks after an invalidation or a deletion
//! takes another lease, and waits for nobody who began before. Under it lies a text of 16 bytes: what
//! it is, and the random **token** of its holder.
//!
//! - **Taken** by `SET NX PX`.
//! - **Renewed** at a third of its time, by compare-and-set with the token; so a holder notices that
//!   it has lost it.
//! - **Released** by compare-and-set: to what says that nothing was stored, or to nothing (a lease
//!   that lives for a millisecond).
//!
//! Holding it proves nothing: a holder may be stopped for longer than its lease lives. It need not:
//! a value is committed by compare-and-set against the state in which its fill began, so the first
//! of two wins, and the later one can't put its value over a newer one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Deadline, as_millis};
use crate::codec::WriteId;
use crate::error::{Error, ErrorKind};
use crate::state::Inner;
use crate::store::{Put, Store, WriteBatch};

/// How long a lease lives without a sign of life of its holder: so long the others wait for a
/// process that was killed while it computed for all ([`once_per_fleet`](crate::Options::once_per_fleet)).
pub const FLEET_LEASE: Duration = Duration::from_secs(2);

/// How long it is known that a holder has stored nothing: longer than any waiter pauses.
const NOTHING_FOR: Duration = Duration::from_secs(1);

/// How often it is tried to take one that is gone each time it is looked at.
const ATTEMPTS: usize = 4;

/// Before each token. What an entry begins with is different.
const KIND: &str = "lease:1:";
/// In the place of a token: it has ended.
const FREE: &str = "-free---";
/// In the place of a token: it has ended, and nothing was stored.
const NOTHING: &str = "-nothing";

/// Held while computing; released when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    inner: Arc<Inner>,
    name: String,
    token: String,
    /// It is, or may be, another's.
    lost: bool,
    end: &'static str,
}

/// What came of the attempt to take a lease.
#[derive(Debug)]
pub(crate) enum Taken {
    Ours(Lease),
    /// The token of whoever has it.
    Theirs(WriteId),
    /// Somebody had it until a moment ago, and stored nothing; or it comes and goes.
    Nothing,
}

impl Lease {
    /// Takes the lease of this name, unless somebody has it.
    pub(crate) async fn take(
        inner: &Arc<Inner>,
        store: &dyn Store,
        name: &str,
        deadline: Deadline,
    ) -> Result<Taken, Error> {
        let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
        let mut lease =
            Self { inner: Arc::clone(inner), name: name.to_owned(), token, lost: false, end: FREE };
        // If this is left, or has no answer in time, the lease may have been taken: it is released.
        let entries = [(name, lease.text())];
        let mut found = WriteId::default();
        for _ in 0..ATTEMPTS {
            let there = store.create(&entries, as_millis(FLEET_LEASE), deadline).await?;
            found = token_of(there.into_iter().next().flatten().as_ref());
            // Nothing: whoever had it let go of it while it was looked at.
            if !found.is_empty() {
                break;
            }
        }
        if found[..] == *lease.token.as_bytes() {
            return Ok(Taken::Ours(lease));
        }
        if found[..] == *FREE.as_bytes() {
            // As good as gone.
            let text = lease.text();
            if lease.swap(store, FREE, text, FLEET_LEASE, deadline).await? {
                return Ok(Taken::Ours(lease));
            }
        }
        lease.lost = true;
        // There is nobody to wait for where it is nobody's.
        let nobody = found.is_empty() || found[..] == *NOTHING.as_bytes();
        Ok(if nobody { Taken::Nothing } else { Taken::Theirs(found) })
    }

    /// Keeps the lease alive while something is computed.
    pub(crate) async fn hold<T>(&mut self, computing: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            computed = computing => computed,
            never = self.keep() => match never {},
        }
    }

    async fn keep(&mut self) -> std::convert::Infallible {
        while !self.lost {
            tokio::time::sleep(FLEET_LEASE / 3).await;
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => {
                    self.lost = true;
                    tracing::debug!("another may compute what is computed here: the lease is lost");
                }
                // It is tried again, and at worst another computes, too.
                Err(error) => tracing::debug!(%error, "a lease was not renewed"),
            }
        }
        std::future::pending().await
    }

    /// False if it is not ours any more.
    async fn renew(&self) -> Result<bool, Error> {
        let Some(store) = self.inner.available_store() else {
            return Err(Error::new(ErrorKind::Unavailable, "the store is away"));
        };
        let deadline = self.inner.deadline();
        self.swap(&**store, &self.token, self.text(), FLEET_LEASE, deadline).await
    }

    /// What is computed will be found nowhere: those who wait need not look, nor wait for each other.
    pub(crate) fn nothing_stored(&mut self) {
        self.end = NOTHING;
    }

    /// Releases it, now that what was computed is in the store (or what has overtaken it), or is not.
    pub(crate) async fn written(mut self, is_there: bool) {
        self.end = if is_there { FREE } else { NOTHING };
        if !self.lost {
            log(self.release().await);
            self.lost = true;
        }
    }

    fn text(&self) -> String {
        [KIND, &self.token].concat()
    }

    /// Puts a text in place of the one with this token.
    async fn swap(
        &self,
        store: &dyn Store,
        token: &str,
        text: String,
        keep_for: Duration,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let expect = Some(Bytes::copy_from_slice(token.as_bytes()));
        let (key, keep_for) = (self.name.clone(), Some(as_millis(keep_for)));
        let put = Put { key, value: text.into(), keep_for, expect, guard: None };
        let batch = WriteBatch { puts: &[put], ..WriteBatch::default() };
        Ok(store.write(batch, deadline).await?.stored.first() == Some(&true))
    }

    async fn release(&self) -> Result<(), Error> {
        let Some(store) = self.inner.available_store() else { return Ok(()) };
        let deadline = self.inner.deadline();
        let keep_for = if self.end == NOTHING { NOTHING_FOR } else { Duration::from_millis(1) };
        let text = [KIND, self.end].concat();
        self.swap(&**store, &self.token, text, keep_for, deadline).await.map(drop)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.lost {
            return;
        }
        let released = Self {
            inner: Arc::clone(&self.inner),
            name: std::mem::take(&mut self.name),
            token: std::mem::take(&mut self.token),
            // Its own end releases nothing.
            lost: true,
            ..*self
        };
        // With no place for it the lease expires.
        self.inner.background.try_spawn(async move {
            log(released.release().await);
        });
    }
}

fn log(released: Result<(), Error>) {
    if let Err(error) = released {
        tracing::debug!(%error, "a lease is left to expire");
    }
}

/// The token in what lies under the name of a lease; nothing: it is free.
fn token_of(text: Option<&Bytes>) -> WriteId {
    crate::codec::write_id(text)
}
