//! Hearing of changes on all primaries at once.
//!
//! Each primary tells of its own keys only. So it is proven that nothing was missed before a moment
//! when all of them have proven it, *and* all of them, asked at that moment or later, knew of no
//! other primary: one that is not listened to might have taken slots over, or be about to get some.
//! When the primaries are others than before, all begins anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Shared;
use super::topology::Topology;
use super::view::Address;
use crate::clock::{Deadline, Stopwatch, spread};
use crate::coherence::CoherenceMode;
use crate::store::ChangeSink;
use crate::store::redis::watch::{self as one, FIRST_RETRY, LAST_RETRY, PATIENCE};

/// How often all are asked whom they know.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Tells the sink what changes under the prefix, until the store is closed or gone.
pub(super) async fn watch(cluster: Weak<Shared>, prefix: String, sink: Arc<dyn ChangeSink>) {
    let mut retry = FIRST_RETRY;
    loop {
        let Some(shared) = cluster.upgrade() else { return };
        let topology = shared.topology(Deadline::after(PATIENCE)).await;
        if shared.check_open().is_err() {
            return;
        }
        drop(shared);
        let wait = match topology {
            Ok(topology) => {
                listen(&cluster, &topology, &prefix, &sink).await;
                sink.lost("the nodes of the cluster are others than before".to_owned());
                retry = FIRST_RETRY;
                continue;
            }
            Err(error) => {
                sink.lost(error.to_string());
                let wait = retry;
                retry = retry.saturating_mul(2).min(LAST_RETRY);
                wait
            }
        };
        // Spread out, so that many instances do not come back at the same moment.
        tokio::time::sleep(spread(wait)).await;
    }
}

/// Until the primaries are others than these, or the store is gone.
async fn listen(
    cluster: &Weak<Shared>,
    topology: &Topology,
    prefix: &str,
    sink: &Arc<dyn ChangeSink>,
) {
    let all = Arc::new(All::new(Arc::clone(sink), topology.members.len()));
    // They end with this.
    let mut listening = JoinSet::new();
    for (number, member) in topology.members.iter().enumerate() {
        let address = member.node.address.clone();
        let part = Arc::new(Part { all: Arc::clone(&all), number, address });
        let store = Arc::downgrade(&member.node.store.inner);
        listening.spawn(one::watch(store, prefix.to_owned(), part));
    }
    loop {
        let Some(shared) = cluster.upgrade() else { return };
        let asked = shared.learn(Deadline::after(PATIENCE)).await;
        let Some(known) = shared.known() else { return };
        if shared.check_open().is_err() || !known.has_members_of(topology) {
            return;
        }
        match (asked, shared.asking.agreed()) {
            // Not of a map before this one.
            (Ok(()), Some(agreed)) if agreed.version >= topology.version => {
                all.knew_of_no_others(agreed.asked);
            }
            (Err(error), _) => tracing::debug!(%error, "what the nodes know is not known"),
            (Ok(()), _) => {}
        }
        let mut rounds = shared.asking.rounds();
        drop(shared);
        // What others have asked for may have brought another map.
        let next = tokio::time::sleep(ASK_EVERY);
        tokio::pin!(next);
        loop {
            tokio::select! {
                () = &mut next => break,
                ended = rounds.changed() => {
                    let Some(shared) = cluster.upgrade() else { return };
                    let same = |known: Arc<Topology>| known.has_members_of(topology);
                    if ended.is_err() || !shared.known().is_some_and(same) {
                        return;
                    }
                }
            }
        }
    }
}

/// What all primaries have told.
#[derive(Debug)]
struct All {
    sink: Arc<dyn ChangeSink>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    parts: Vec<Listening>,
    /// When they knew of no others.
    alone: Option<Stopwatch>,
}

/// What one has told.
#[derive(Debug, Clone, Default)]
struct Listening {
    /// In which way, and why in no better one.
    mode: Option<(CoherenceMode, Option<String>)>,
    heard: Option<Stopwatch>,
}

/// Takes in what one primary tells.
#[derive(Debug)]
struct Part {
    all: Arc<All>,
    number: usize,
    address: Address,
}

impl All {
    fn new(sink: Arc<dyn ChangeSink>, parts: usize) -> Self {
        let told = Told { parts: vec![Listening::default(); parts], alone: None };
        Self { sink, told: Mutex::new(told) }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knew_of_no_others(&self, asked: Stopwatch) {
        let mut told = self.told();
        told.alone = Some(asked);
        self.prove(&told);
    }

    /// What is proven is what the last of them has proven.
    fn prove(&self, told: &Told) {
        let heard = told.parts.iter().map(|part| part.heard).chain([told.alone]);
        let heard: Option<Vec<Stopwatch>> = heard.collect();
        if let Some(oldest) = heard.and_then(|all| all.into_iter().max_by_key(|at| at.elapsed())) {
            self.sink.heard_all_before(oldest);
        }
    }
}

impl Told {
    /// The worst of all ways, once all have begun.
    fn mode(&self) -> Option<(CoherenceMode, Option<String>)> {
        let modes: Option<Vec<_>> = self.parts.iter().map(|part| part.mode.clone()).collect();
        modes?.into_iter().max_by_key(|(mode, _)| match mode {
            CoherenceMode::Ttl => 2,
            CoherenceMode::PubSub => 1,
            CoherenceMode::Tracking | CoherenceMode::Memory => 0,
        })
    }
}

impl Part {
    fn note(&self, told: &mut Told, listening: Listening) {
        if let Some(part) = told.parts.get_mut(self.number) {
            *part = listening;
        }
    }
}

impl ChangeSink for Part {
    fn began(&self, mode: CoherenceMode, fault: Option<String>) {
        let mut told = self.all.told();
        let fault = fault.map(|fault| format!("{}: {fault}", self.address));
        self.note(&mut told, Listening { mode: Some((mode, fault)), heard: None });
        // What was told by the others goes on; but what was read before may have missed something
        // that this one would have told.
        if let Some((mode, fault)) = told.mode() {
            self.all.sink.began(mode, fault);
        }
    }

    fn changed(&self, key: &[u8]) {
        self.all.sink.changed(key);
    }

    fn all_changed(&self) {
        self.all.sink.all_changed();
    }

    fn heard_all_before(&self, asked: Stopwatch) {
        let mut told = self.all.told();
        if let Some(part) = told.parts.get_mut(self.number) {
            part.heard = Some(asked);
        }
        self.all.prove(&told);
    }

    fn lost(&self, fault: String) {
        let mut told = self.all.told();
        self.note(&mut told, Listening::default());
        self.all.sink.lost(format!("{}: {fault}", self.address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Heard {
        fn note(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl ChangeSink for Heard {
        fn began(&self, mode: CoherenceMode, fault: Option<String>) {
            self.note(format!("{mode:?} {}", fault.unwrap_or_default()));
        }

        fn changed(&self, key: &[u8]) {
            self.note(String::from_utf8_lossy(key));
        }

        fn all_changed(&self) {
            self.note("all");
        }

        fn heard_all_before(&self, asked: Stopwatch) {
            self.note(format!("{} s ago", asked.elapsed().as_secs()));
        }

        fn lost(&self, fault: String) {
            self.note(format!("lost {fault}"));
        }
    }

    fn two() -> (Arc<Heard>, Arc<All>, [Part; 2]) {
        let heard = Arc::<Heard>::default();
        let all = Arc::new(All::new(heard.clone(), 2));
        let address = |number| Address { host: "n".to_owned(), port: number };
        let part = |number: u16| Part {
            all: Arc::clone(&all),
            number: number.into(),
            address: address(number),
        };
        let parts = [part(0), part(1)];
        (heard, all, parts)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_proven_until_all_have_proven_it_and_know_of_no_other() {
        let (heard, all, [a, b]) = two();
        a.began(CoherenceMode::Tracking, None);
        assert!(heard.take().is_empty(), "one of two listens");
        b.began(CoherenceMode::Tracking, None);
        assert_eq!(heard.take(), ["Tracking "]);
        a.heard_all_before(Stopwatch::start());
        tokio::time::advance(Duration::from_secs(1)).await;
        b.heard_all_before(Stopwatch::start());
        assert!(heard.take().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        all.knew_of_no_others(Stopwatch::start());
        assert_eq!(heard.take(), ["2 s ago"], "as the first of the three has it");
        a.heard_all_before(Stopwatch::start());
        assert_eq!(heard.take(), ["1 s ago"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_lost_proves_nothing_and_begins_anew_for_all() {
        let (heard, all, [a, b]) = two();
        for part in [&a, &b] {
            part.began(CoherenceMode::Tracking, None);
            part.heard_all_before(Stopwatch::start());
        }
        all.knew_of_no_others(Stopwatch::start());
        heard.take();
        b.lost("cut".to_owned());
        a.heard_all_before(Stopwatch::start());
        a.changed(b"k");
        assert_eq!(heard.take(), ["lost n:1: cut", "k"]);
        b.began(CoherenceMode::Tracking, None);
        assert_eq!(heard.take(), ["Tracking "]);
        a.heard_all_before(Stopwatch::start());
        assert!(heard.take().is_empty());
        b.heard_all_before(Stopwatch::start());
        assert_eq!(heard.take(), ["0 s ago"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_worst_way_is_that_of_all() {
        let (heard, _all, [a, b]) = two();
        a.began(CoherenceMode::PubSub, Some("refused".to_owned()));
        b.began(CoherenceMode::Tracking, None);
        assert_eq!(heard.take(), ["PubSub n:0: refused"]);
        b.began(CoherenceMode::Ttl, None);
        assert_eq!(heard.take(), ["Ttl "]);
    }
}
