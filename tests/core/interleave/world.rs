//! The world of one run: nodes that share a store, a database, and a journal of what is known.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cache_core::store::MemoryStore;
use cache_core::{Cache, Clock, Key, Template, hours};
use tokio::task::JoinSet;

use super::acts::{Act, Ending, Filling, fill_page};
use super::backing::{Backing, Broken, StagedStore};
use super::stage::Stage;
use super::step::Touches;
use crate::setup::START;

/// Where the nodes keep entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In their own memory; there is one node.
    Memory,
    /// In the store only.
    Store,
    /// In their own memory, over the store.
    Tiered,
}

/// What is run in every order.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) place: Place,
    pub(crate) acts: Vec<Act>,
    /// Whether the nodes know the generations of all scopes beforehand.
    pub(crate) primed: bool,
    /// Whether the store fails once, at any step.
    pub(crate) fails: bool,
    pub(crate) broken: Broken,
}

impl Scenario {
    pub(crate) fn new(place: Place, acts: impl Into<Vec<Act>>) -> Self {
        let acts = acts.into();
        Self { place, acts, primed: false, fails: false, broken: Broken::Nothing }
    }

    pub(crate) fn primed(self) -> Self {
        Self { primed: true, ..self }
    }

    pub(crate) fn failing(self) -> Self {
        Self { fails: true, ..self }
    }

    pub(crate) fn with(self, broken: Broken) -> Self {
        Self { broken, ..self }
    }

    fn nodes(&self) -> usize {
        self.acts.iter().map(|act| act.node() + 1).max().unwrap_or(0)
    }
}

/// One run's world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) stage: Arc<Stage>,
    pub(crate) clock: Clock,
    backing: Option<Arc<Backing>>,
    pub(crate) nodes: Vec<Cache>,
    /// What the database says: a version that writers count up.
    pub(crate) version: AtomicU64,
    /// The oldest version that each node may still answer with.
    pub(crate) floors: Vec<AtomicU64>,
    /// What is being set; zero: nothing is.
    pub(crate) setting: AtomicU64,
    /// What was being set when an invalidation began. A set is a write of its own, in the order in
    /// which the store takes it: it may come after the invalidation.
    pub(crate) overlapping: AtomicU64,
    pub(crate) wrong: Mutex<Option<String>>,
}

pub(crate) const NAMESPACE: &str = "users";

/// The key that all is about.
pub(crate) fn key() -> Key {
    Key::workspace("ws1").segment("campaigns").segment("1")
}

/// Another, in the same scopes.
pub(crate) fn neighbour() -> Key {
    Key::workspace("ws1").segment("campaigns").segment("2")
}

impl World {
    /// The world before the tasks begin.
    pub(crate) async fn new(scenario: &Scenario) -> Arc<Self> {
        let clock = Clock::manual(START);
        let backing = (scenario.place != Place::Memory)
            .then(|| Arc::new(Backing::new(MemoryStore::new(clock.clone()), scenario.broken)));
        let mut world = Self {
            scenario: scenario.clone(),
            stage: Arc::default(),
            clock,
            backing,
            nodes: Vec::new(),
            version: AtomicU64::new(1),
            floors: (0..scenario.nodes()).map(|_| AtomicU64::new(1)).collect(),
            setting: AtomicU64::new(0),
            overlapping: AtomicU64::new(0),
            wrong: Mutex::default(),
        };
        world.nodes = (0..scenario.nodes()).map(|node| world.node(node)).collect();
        world.prepare().await;
        world.stage.set_stopping(true);
        Arc::new(world)
    }

    /// A node that knows nothing yet.
    pub(crate) fn node(&self, node: usize) -> Cache {
        // Small, because each run has new ones.
        let builder = Cache::builder().prefix("p").clock(self.clock.clone());
        let builder = builder.operation_budget(hours(1)).l1_bytes(16 * 1024).max_value_size(4096);
        let builder = match &self.backing {
            None => builder.memory(),
            Some(backing) => {
                let (stage, backing) = (Arc::clone(&self.stage), Arc::clone(backing));
                let store = StagedStore { node, stage, backing };
                // It tells nothing, so there is no need of the table of what it would tell.
                builder
                    .store(Arc::new(store))
                    .coherence(false)
                    .l1(self.scenario.place == Place::Tiered)
            }
        };
        let cache = builder.build().expect("valid");
        let template = Template::parse("{workspace_id}:campaigns:*").expect("valid");
        cache.namespace(NAMESPACE).declare(&template).expect("declared");
        cache
    }

    async fn prepare(&self) {
        if self.scenario.primed {
            for node in &self.nodes {
                fill_page(node, neighbour(), async || 1).await;
                let _: Option<u64> = node.get(NAMESPACE, neighbour()).await.expect("a store");
            }
        }
        let fillings = || self.scenario.acts.iter().filter_map(Act::filling);
        if fillings().any(|(filling, _)| filling.is_about_an_entry()) {
            let writer = match self.backing {
                Some(_) => self.node(0),
                None => self.nodes[0].clone(),
            };
            fill_page(&writer, key(), async || 1).await;
        }
        for (filling, node) in fillings() {
            if filling.is_about_an_entry() && filling != Filling::Promote {
                let there: Option<u64> =
                    self.nodes[node].get(NAMESPACE, key()).await.expect("a store");
                assert_eq!(there, Some(1));
            }
        }
    }

    /// Starts the tasks; all of them stop at once.
    pub(crate) fn begin(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (number, act) in self.scenario.acts.iter().enumerate() {
            let (world, act) = (Arc::clone(self), *act);
            tasks.spawn(async move {
                world.stage.enter(&format!("{act:?}#{number}"));
                act.run(&world).await;
            });
        }
        tasks
    }

    /// Asks the database.
    pub(crate) async fn ask_database(&self, node: usize) -> u64 {
        self.stage.stop("ask the database", Touches::default().reading("database"), false).await;
        let version = self.version.load(Ordering::SeqCst);
        self.stage.stop("told by the database", Touches::node(node), false).await;
        version
    }

    /// An invalidation has answered: this node, or all of them, must not be behind any more.
    pub(crate) fn answered(&self, node: usize, version: u64, everywhere: bool) {
        for (n, floor) in self.floors.iter().enumerate() {
            if n == node || everywhere {
                floor.fetch_max(version, Ordering::SeqCst);
            }
        }
    }

    /// The oldest version that a read that begins now may see.
    pub(crate) fn floor(&self, node: usize) -> u64 {
        self.floors[node].load(Ordering::SeqCst)
    }

    /// A read that began when `floor` was the oldest version it could see, has seen this.
    pub(crate) fn saw(&self, node: usize, what: &str, seen: Option<u64>, floor: u64) {
        if let Some(seen) = self.is_too_old(seen, floor) {
            let mut wrong = self.wrong.lock().expect("no panic in here");
            wrong.get_or_insert(format!("{what} on node {node} saw {seen}, not {floor}"));
        }
    }

    /// What a read has seen, if it must not have.
    pub(crate) fn is_too_old(&self, seen: Option<u64>, floor: u64) -> Option<u64> {
        let overlapping = self.overlapping.load(Ordering::SeqCst);
        seen.filter(|seen| *seen < floor && *seen != overlapping)
    }

    /// Whether a node may be behind until what it has in memory is asked for again.
    pub(crate) fn has_memory_of_its_own(&self) -> bool {
        self.scenario.place == Place::Tiered
    }

    /// The endings of this run.
    pub(crate) fn endings(&self) -> Vec<(Ending, usize)> {
        self.scenario.acts.iter().filter_map(Act::ending).collect()
    }
}
