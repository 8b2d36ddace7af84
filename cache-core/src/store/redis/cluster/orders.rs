//! Orders, which are about one key each, sent to whoever serves the key, and sent again where it has moved.
//!
//! Those for one node go out as one pipeline, and all nodes are asked at the same moment. What each
//! is answered with comes back in the order of the commands. No command is about two keys: what is
//! in two slots may be in two places, and while a slot moves, so may be what is in one.
//!
//! | answer | what is done |
//! |---|---|
//! | `MOVED` to a primary that is known | noted in the map; again, there |
//! | `MOVED` to one that is not | the map is asked for; again |
//! | `ASK` | again, there, behind `ASKING`; the map stays as it is |
//! | `TRYAGAIN` | again, a little later |
//! | `NOSCRIPT` | the scripts are loaded; again |
//! | `CLUSTERDOWN`, `LOADING`, `MASTERDOWN`, `READONLY`, no answer | the map is asked for in the background; an error |
//! | any other | it is the answer |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::{Value, aio::MultiplexedConnection, pipe};
use futures_util::future::join_all;
use smallvec::SmallVec;

use super::order::{Next, Order, is_of_trouble, next};
use super::slot::slot_of;
use super::topology::Node;
use super::view::Address;
use super::{ClusterStore, of_node};
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};
use crate::store::redis::commands::send_all;
use crate::store::redis::lanes::Lane;
use crate::store::redis::script;

/// Redirections of one command that are followed before it is given up. A slot that moves while it
/// is asked for costs two or three.
const ATTEMPTS: u32 = 12;
/// Before the third attempt, and twice as long before each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(16);

/// Where an order goes.
#[derive(Debug, Clone)]
enum Route {
    ByMap,
    /// Its slot is on the way there.
    Ask(Address),
}

/// What goes to one node.
struct Parcel {
    node: Arc<Node>,
    /// Which orders, and whether behind `ASKING`.
    orders: Vec<(usize, bool)>,
}

impl ClusterStore {
    /// Sends each order to where its key is; the answers, in their order. An error that Redis
    /// answers to an order is its answer.
    ///
    /// # Errors
    /// When an order could not be sent, or has no answer: then any of them may have been carried out.
    pub(super) async fn carry_out(
        &self,
        orders: &[Order<'_>],
        deadline: Deadline,
    ) -> Result<Vec<Value>, Error> {
        let (answers, _) = self.carry_out_some(orders, deadline, false).await?;
        Ok(answers)
    }

    /// As [`carry_out`](Self::carry_out), but those of a node that is away have its error, and the
    /// others their answers.
    pub(super) async fn carry_out_each(
        &self,
        orders: &[Order<'_>],
        deadline: Deadline,
    ) -> Result<Vec<Result<Value, Error>>, Error> {
        let (answers, mut errors) = self.carry_out_some(orders, deadline, true).await?;
        let answers = answers.into_iter().enumerate();
        Ok(answers.map(|(n, answer)| errors.remove(&n).map_or(Ok(answer), Err)).collect())
    }

    /// The answers, and the errors of those that have none: with `each`, or else any of them fails all.
    async fn carry_out_some(
        &self,
        orders: &[Order<'_>],
        deadline: Deadline,
        each: bool,
    ) -> Result<(Vec<Value>, HashMap<usize, Error>), Error> {
        let mut errors = HashMap::new();
        if orders.is_empty() {
            return Ok((Vec::new(), errors));
        }
        let slots: SmallVec<[u16; 16]> = orders.iter().map(|order| slot_of(order.key())).collect();
        let mut answers = vec![Value::Nil; orders.len()];
        let mut left: Vec<(usize, Route)> = (0..orders.len()).map(|n| (n, Route::ByMap)).collect();
        let shared = &self.shared;
        let first = shared.topology(deadline).await?.incarnation();
        for attempt in 0..ATTEMPTS {
            if let Some(doublings) = attempt.checked_sub(2) {
                let pause = FIRST_PAUSE.saturating_mul(1 << doublings.min(8)).min(LAST_PAUSE);
                let until = deadline.min(Deadline::after(pause));
                tokio::time::sleep_until(until.instant()).await;
            }
            let parcels = self.parcels(&left, &slots, deadline).await?;
            let sent = parcels.iter().map(|parcel| self.send(parcel, orders, deadline));
            let mut failed = None;
            let mut again = Vec::new();
            for (parcel, result) in parcels.iter().zip(join_all(sent).await) {
                match result {
                    Ok(replies) => {
                        for ((index, asking), reply) in parcel.orders.iter().zip(replies) {
                            again.push((&parcel.node, *index, *asking, reply));
                        }
                    }
                    Err(error) if each => {
                        shared.doubt();
                        for (index, _) in &parcel.orders {
                            errors.insert(*index, of_node(&parcel.node.address, &error));
                        }
                    }
                    Err(error) => {
                        failed = Some(worse(failed, of_node(&parcel.node.address, &error)));
                    }
                }
            }
            if let Some(error) = failed {
                shared.doubt();
                return Err(error);
            }
            left = self.take_in(again, orders, (&slots, &mut answers), deadline).await?;
            if left.is_empty() {
                return match shared.known() {
                    Some(known) if known.incarnation() == first => Ok((answers, errors)),
                    _ => Err(Error::new(ErrorKind::Unavailable, TAKEN_OVER)),
                };
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "a slot of the cluster was not found in time"))
    }

    /// Takes in the answers, and what they tell of the map; what has to be sent again.
    async fn take_in(
        &self,
        replies: Vec<(&Arc<Node>, usize, bool, Value)>,
        orders: &[Order<'_>],
        (slots, answers): (&[u16], &mut [Value]),
        deadline: Deadline,
    ) -> Result<Vec<(usize, Route)>, Error> {
        let (mut left, mut without_scripts) = (Vec::new(), Vec::<&Arc<Node>>::new());
        let mut unknown = false;
        for (node, index, asking, reply) in replies {
            let same = || if asking { Route::Ask(node.address.clone()) } else { Route::ByMap };
            let loads_itself = matches!(orders.get(index), Some(Order::Count(..)));
            match next(&reply, &node.address) {
                Next::LoadScripts if !loads_itself => {
                    if !without_scripts.iter().any(|known| Arc::ptr_eq(known, node)) {
                        without_scripts.push(node);
                    }
                    left.push((index, same()));
                }
                Next::Done | Next::LoadScripts => {
                    if is_of_trouble(&reply) {
                        self.shared.doubt();
                    }
                    if let Some(answer) = answers.get_mut(index) {
                        *answer = reply;
                    }
                }
                Next::Moved(to) => {
                    let slot = slots.get(index).copied().unwrap_or_default();
                    let topology = self.shared.topology(deadline).await?;
                    unknown |= !topology.move_slot(slot, &to);
                    left.push((index, Route::ByMap));
                }
                Next::Ask(to) => left.push((index, Route::Ask(to))),
                Next::Again => left.push((index, same())),
            }
        }
        for node in without_scripts {
            let load = async |mut connection| script::load(&mut connection).await;
            node.store.run(deadline, load).await.map_err(|e| of_node(&node.address, &e))?;
        }
        if unknown {
            // A server that is met before the map tells of it might be counted as no other one.
            self.shared.learn(deadline).await?;
        } else if left.iter().any(|(_, route)| matches!(route, Route::ByMap)) {
            self.shared.doubt();
        }
        Ok(left)
    }

    async fn parcels(
        &self,
        left: &[(usize, Route)],
        slots: &[u16],
        deadline: Deadline,
    ) -> Result<Vec<Parcel>, Error> {
        let topology = self.shared.topology(deadline).await?;
        let mut parcels = Vec::<Parcel>::with_capacity(topology.members.len().min(left.len()));
        for (index, route) in left {
            let node = match route {
                Route::Ask(to) => self.shared.node(to)?,
                Route::ByMap => {
                    let owner = slots.get(*index).and_then(|slot| topology.owner(*slot));
                    let Some(owner) = owner else {
                        self.shared.doubt();
                        let why = "no node of the cluster serves the slot";
                        return Err(Error::new(ErrorKind::Unavailable, why));
                    };
                    Arc::clone(&owner.node)
                }
            };
            let order = (*index, matches!(route, Route::Ask(_)));
            match parcels.iter_mut().find(|parcel| Arc::ptr_eq(&parcel.node, &node)) {
                Some(parcel) => parcel.orders.push(order),
                None => parcels.push(Parcel { node, orders: vec![order] }),
            }
        }
        Ok(parcels)
    }

    /// One pipeline; the answer to each order.
    async fn send(
        &self,
        parcel: &Parcel,
        orders: &[Order<'_>],
        deadline: Deadline,
    ) -> Result<Vec<Value>, Error> {
        let (store, sent) = (&parcel.node.store, || {
            parcel.orders.iter().filter_map(|(index, asking)| Some((orders.get(*index)?, *asking)))
        });
        let lanes = &store.inner.lanes;
        let is_large = |order: &Order<'_>| match *order {
            Order::Put(put) => lanes.of_values(std::slice::from_ref(put)) == Lane::Large,
            Order::Get(key) => lanes.of_keys(&[key]) == Lane::Large,
            _ => false,
        };
        // All are looked at, so that all are remembered.
        let large = sent().filter(|(order, _)| is_large(order)).count();
        let lane = if large > 0 { Lane::Large } else { Lane::Small };
        let operation = async |mut connection: MultiplexedConnection| {
            let mut commands = pipe();
            let mut places = Vec::with_capacity(parcel.orders.len());
            for (order, asking) in sent() {
                if asking {
                    commands.cmd("ASKING");
                }
                places.push(commands.len());
                commands.add_command(order.command());
            }
            let changed = sent().filter(|(order, _)| order.changes()).map(|(order, _)| order.key());
            store.inner.announcer.announce(&mut commands, &changed);
            let mut replies = send_all(&mut connection, &commands).await?;
            let reply = |place: usize| replies.get_mut(place).map(std::mem::take);
            Ok(places.into_iter().filter_map(reply).collect::<Vec<Value>>())
        };
        let replies = store.run_in(lane, deadline, operation).await?;
        for ((order, _), reply) in sent().zip(&replies) {
            if let (Order::Get(key), Value::BulkString(value)) = (order, reply) {
                lanes.note(key, value.len());
            }
        }
        Ok(replies)
    }
}

const TAKEN_OVER: &str = "another server has taken the place of one";

/// Of several errors the one that says most: what has to be told again later must not look refused.
pub(super) fn worse(earlier: Option<Error>, error: Error) -> Error {
    match earlier {
        Some(earlier) if earlier.is_outage() || !error.is_outage() => earlier,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_before_a_refusal() {
        let error = |kind| Error::new(kind, "");
        let denied = || error(ErrorKind::Denied);
        assert_eq!(worse(None, denied()).kind(), ErrorKind::Denied);
        let away = worse(Some(denied()), error(ErrorKind::Timeout));
        assert_eq!(worse(Some(away), denied()).kind(), ErrorKind::Timeout);
    }
}
