//! Asking for the map: all nodes at once, one round at a time, and what most of them say counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bb8_redis::redis::{Value, aio::MultiplexedConnection, cmd};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use super::topology::{Node, Topology};
use super::view::{AskedAt, View};
use crate::background::Sole;
use crate::clock::{Deadline, Stopwatch};
use crate::error::{Error, ErrorKind};
use crate::store::redis::commands::send;
use crate::store::redis::fault::protocol_error;

/// A node that takes longer than this to tell is not waited for.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Those that have not answered so long after the first are left out.
const GRACE: Duration = Duration::from_millis(20);
/// Between two rounds, however many ask for one.
const BETWEEN: Duration = Duration::from_millis(20);
/// As long as nothing is known, nobody waits for a round that takes longer; and so long after one
/// that came to nothing, nobody waits for another.
const HOPE: Duration = Duration::from_millis(100);
/// A map that was asked for in this time is not doubted.
const TRUSTED_FOR: Duration = Duration::from_millis(100);

/// The one round that is under way, and what came of the last one.
#[derive(Debug)]
pub(super) struct Asking {
    running: Sole,
    /// How many have ended.
    rounds: watch::Sender<u64>,
    last: Mutex<Last>,
    /// Redis before 7 knows no shards.
    without_shards: AtomicBool,
}

#[derive(Debug, Default)]
struct Last {
    began: Option<Stopwatch>,
    ended: Option<Stopwatch>,
    failure: Option<Error>,
    agreed: Option<Agreed>,
}

/// That all nodes of a map were asked, and none knew of others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    pub(super) asked: Stopwatch,
    pub(super) version: u64,
}

impl Default for Asking {
    fn default() -> Self {
        let (running, rounds) = (Sole::default(), watch::Sender::new(0));
        Self { running, rounds, last: Mutex::default(), without_shards: AtomicBool::new(false) }
    }
}

impl Asking {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last time that all agreed.
    pub(super) fn agreed(&self) -> Option<Agreed> {
        self.last().agreed
    }

    /// Tells of rounds that end from now on.
    pub(super) fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// Why it is no use to wait for a first map.
    pub(super) fn hopeless(&self) -> Option<Error> {
        let last = self.last();
        if last.began.is_some_and(|began| began.elapsed() > HOPE) {
            return Some(last.error());
        }
        let recent = last.ended.is_some_and(|ended| ended.elapsed() < HOPE);
        (recent && last.failure.is_some()).then(|| last.error())
    }

    /// How long to wait before the next round.
    fn pause(&self) -> Duration {
        let ended = self.last().ended;
        ended.map_or(Duration::ZERO, |ended| BETWEEN.saturating_sub(ended.elapsed()))
    }
}

impl Last {
    fn error(&self) -> Error {
        match &self.failure {
            Some(error) => error.again(),
            None => Error::new(ErrorKind::Unavailable, "no node of the cluster has answered yet"),
        }
    }
}

impl Shared {
    /// The map; if none is known yet, the cluster is asked for it.
    pub(super) async fn topology(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Result<Arc<Topology>, Error> {
        if let Some(topology) = self.known() {
            return Ok(topology);
        }
        if let Some(error) = self.asking.hopeless() {
            self.doubt();
            return Err(error);
        }
        self.learn(deadline).await?;
        self.known().ok_or_else(|| self.asking.last().error())
    }

    /// Asks the cluster for its map, and waits for it. Who comes while that is under way waits for
    /// the same answer.
    pub(super) async fn learn(self: &Arc<Self>, deadline: Deadline) -> Result<(), Error> {
        self.check_open()?;
        let mut rounds = self.asking.rounds.subscribe();
        self.start_round();
        match tokio::time::timeout_at(deadline.instant(), rounds.changed()).await {
            Ok(Ok(())) => {
                let last = self.asking.last();
                if last.failure.is_some() { Err(last.error()) } else { Ok(()) }
            }
            _ => Err(Error::new(ErrorKind::Timeout, "the cluster did not tell its map in time")),
        }
    }

    /// The map may be out of date: it is asked for in the background, unless that was done just now.
    pub(super) fn doubt(self: &Arc<Self>) {
        self.doubt_after(TRUSTED_FOR);
    }

    /// As [`doubt`](Self::doubt), of one that was asked for longer ago than this.
    pub(super) fn doubt_after(self: &Arc<Self>, trusted_for: Duration) {
        let ended = self.asking.last().ended;
        if ended.is_none_or(|ended| ended.elapsed() >= trusted_for) && self.check_open().is_ok() {
            self.start_round();
        }
    }

    fn start_round(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if let Some(number) = self.asking.running.begin() {
            let round = Round { shared: Arc::clone(self), number };
            runtime.spawn(round.run());
        }
    }

    /// Asks nodes, all at the same moment. Without patience the first answer is all.
    async fn ask(
        self: &Arc<Self>,
        nodes: Vec<Arc<Node>>,
        patient: bool,
    ) -> Vec<Result<View, Error>> {
        let mut asked = JoinSet::new();
        for node in nodes {
            let shared = Arc::clone(self);
            asked.spawn(async move { shared.ask_one(&node).await });
        }
        let mut answers = Vec::new();
        let mut grace = None::<Deadline>;
        while !asked.is_empty() {
            let next = asked.join_next();
            let answer = match grace {
                Some(grace) => tokio::time::timeout_at(grace.instant(), next).await.ok().flatten(),
                None => next.await,
            };
            // None: they are late. One whose task has ended with the runtime has said nothing.
            let Some(answer) = answer else { break };
            let Ok(answer) = answer else { continue };
            if answer.is_ok() && grace.is_none() {
                grace = Some(Deadline::after(GRACE));
            }
            let enough = answer.is_ok() && !patient;
            answers.push(answer);
            if enough {
                break;
            }
        }
        answers
    }

    async fn ask_one(&self, node: &Node) -> Result<View, Error> {
        let asked = AskedAt { host: &node.address.host, tls: self.options.is_tls() };
        let without_shards = &self.asking.without_shards;
        let ask = async |mut connection: MultiplexedConnection| {
            if !without_shards.load(Ordering::Relaxed) {
                match tell(&mut connection, "SHARDS").await {
                    Err(error) if error.kind() == ErrorKind::Denied => {}
                    answer => return View::of_shards(&answer?, asked).ok_or_else(protocol_error),
                }
            }
            let answer = tell(&mut connection, "SLOTS").await;
            // Of a server that is none of a cluster neither can be had.
            let slots = answer.map_err(|error| match error.kind() {
                ErrorKind::Denied => Error::new(ErrorKind::Denied, NO_MAP),
                _ => error,
            })?;
            without_shards.store(true, Ordering::Relaxed);
            View::of_slots(&slots, asked).ok_or_else(protocol_error)
        };
        let answer = node.store.run(Deadline::after(ANSWER_WITHIN), ask).await;
        answer.map_err(|error| super::of_node(&node.address, &error))
    }
}

const NO_MAP: &str = "is no node of a cluster, or this user may ask for no map \
    (+cluster|shards or +cluster|slots)";

async fn tell(connection: &mut MultiplexedConnection, what: &str) -> Result<Value, Error> {
    send(connection, cmd("CLUSTER").arg(what)).await
}

/// One round. However it ends, those who wait for it are told.
struct Round {
    shared: Arc<Shared>,
    number: u64,
}

impl Round {
    async fn run(self) {
        let shared = &self.shared;
        let pause = shared.asking.pause();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let asked = Stopwatch::start();
        shared.asking.last().began = Some(asked);
        let outcome = self.ask().await;
        let mut last = shared.asking.last();
        (last.began, last.ended) = (None, Some(Stopwatch::start()));
        match outcome {
            Ok((version, agreed)) => {
                last.failure = None;
                if agreed {
                    last.agreed = Some(Agreed { asked, version });
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the cluster has told no map");
                last.failure = Some(error);
            }
        }
    }

    /// The version of the map, and whether all nodes agree about who they are.
    async fn ask(&self) -> Result<(u64, bool), Error> {
        let shared = &self.shared;
        let known = shared.known();
        let nodes: Vec<Arc<Node>> = match &known {
            Some(known) => known.members.iter().map(|member| Arc::clone(&member.node)).collect(),
            None => shared.seeds()?,
        };
        let asked = nodes.len();
        let mut answers = shared.ask(nodes, known.is_some()).await;
        if known.is_some() && answers.iter().all(Result::is_err) {
            answers = shared.ask(shared.seeds()?, true).await;
        }
        let (views, errors): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        let views: Vec<View> = views.into_iter().flatten().collect();
        let Some(view) = of_most(&views, known.as_deref()) else {
            let error = errors.into_iter().find_map(Result::err);
            let none = || Error::new(ErrorKind::Timeout, "no node of the cluster has answered");
            return Err(error.unwrap_or_else(none));
        };
        let topology = shared.take_in(view)?;
        let agreed = views.len() == asked && views.iter().all(|v| topology.has_primaries_of(v));
        Ok((topology.version, agreed))
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.shared.asking.last().began = None;
        self.shared.asking.running.end(self.number);
        self.shared.asking.rounds.send_modify(|rounds| *rounds += 1);
    }
}

/// What most of them say; if there is none such, what is known already, if any says so.
fn of_most<'v>(views: &'v [View], known: Option<&Topology>) -> Option<&'v View> {
    let mut said = HashMap::<usize, usize>::new();
    for view in views {
        if let Some(first) = views.iter().position(|other| other.primaries == view.primaries) {
            *said.entry(first).or_default() += 1;
        }
    }
    let is_known = |index: &usize| {
        let view = views.get(*index);
        known.zip(view).is_some_and(|(known, view)| known.has_primaries_of(view))
    };
    let weight =
        |(index, said): &(&usize, &usize)| (**said, is_known(index), views.len() - **index);
    let most = said.iter().max_by_key(weight);
    most.and_then(|(index, _)| views.get(*index))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::view::{Address, Primary};
    use super::*;

    fn view(id: &str) -> View {
        let address = Address { host: id.to_owned(), port: 1 };
        let primary = Primary { id: id.to_owned(), address, slots: vec![(0, 9)] };
        View { primaries: vec![primary], replicas: BTreeMap::new() }
    }

    #[test]
    fn what_most_say_counts_and_the_first_of_equals() {
        let (a, b) = (view("a"), view("b"));
        assert_eq!(of_most(&[], None), None);
        assert_eq!(of_most(std::slice::from_ref(&a), None), Some(&a));
        assert_eq!(of_most(&[a.clone(), b.clone(), b.clone()], None), Some(&b));
        assert_eq!(of_most(&[b.clone(), a], None), Some(&b));
    }
}
