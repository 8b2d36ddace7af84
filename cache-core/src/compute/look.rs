//! One look at what there is: a value, somebody who computes it, or nobody, so that the caller does.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::ComputeError;
use super::run::Call;
use super::wait::{Looks, longest};
use crate::audit;
use crate::fill::Fill;
use crate::flight::{Follower, Joined, Leader};
use crate::l1::{Shared, Slot};
use crate::middleware::Read;
use crate::typed::Found;

/// What a look came to.
pub(super) enum Looked<V, E> {
    /// What there was has changed meanwhile.
    Again,
    /// A value that is fresh.
    Found(V, Arc<Slot>),
    /// A computation has failed so lately that another is not begun.
    Failed(Option<Arc<Slot>>, ComputeError<E>),
    /// The caller computes; in a box, so that those who wait are small.
    Led(Box<(Fill, Option<Arc<Slot>>, Leader<Shared>)>),
    /// Somebody else does.
    Joined(Follower<Shared>, Option<Arc<Slot>>),
}

/// What the looks of one call have come to so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The read has been counted.
    counted: bool,
    /// The key has been made again.
    made_again: bool,
    looks: Looks,
}

impl Call<'_> {
    pub(super) async fn look<V: DeserializeOwned, E: Send + Sync + 'static>(
        &mut self,
        seen: &mut Seen,
    ) -> Looked<V, E> {
        let deadline = self.allowance.begin();
        let found = self.inner.find(&self.key, deadline).await;
        self.allowance.end();
        let (fill, former) = match found {
            Found::Value(value, slot, hit) => {
                if seen.counted {
                    self.audit(audit::Outcome::Read(hit));
                } else {
                    self.note(hit);
                }
                return Looked::Found(value, slot);
            }
            Found::Nothing(fill, former) => (fill, former),
        };
        self.fence = former.as_ref().map(|_| Box::new(fill.fence.again()));
        if self.made_again(seen) {
            return Looked::Again;
        }
        let fill = self.expecting(fill);
        if let Some(error) = self.inner.failures.get::<E>(&fill) {
            self.note_miss(seen);
            return Looked::Failed(former, ComputeError::Compute(error));
        }
        let flights = &self.inner.flights;
        let joined = flights.join_within(self.key.hash, &fill, longest(&self.options));
        let is_there = || self.inner.peek(&self.key).is_some_and(|slot| self.is_fresh(&slot));
        if matches!(joined, Joined::Leader(_)) && seen.looks.may_be_there(&fill, is_there) {
            // A flight landed between the lookup and the join.
            return Looked::Again;
        }
        self.note_miss(seen);
        match joined {
            Joined::Leader(leader) => {
                let fill = self.begun(fill).await;
                if self.made_again(seen) {
                    return Looked::Again;
                }
                Looked::Led(Box::new((fill, former, leader)))
            }
            Joined::Follower(mut follower) => {
                // Whoever waits lets go of what is its own while there is time: when the value is
                // there, a thousand do at once.
                if let Some(key) = follower.key(&self.key) {
                    self.key = key;
                }
                Looked::Joined(follower, former)
            }
        }
    }

    fn note_miss(&self, seen: &mut Seen) {
        if !seen.counted {
            self.note(Read::Miss);
            seen.counted = true;
        }
    }

    /// Makes the key again, once, if others have declared more, or bumped the version.
    fn made_again(&mut self, seen: &mut Seen) -> bool {
        let again = !seen.made_again && !self.key.is_up_to_date();
        if again {
            seen.made_again = true;
            self.key = self.inner.made_again(&self.key);
        }
        again
    }
}
