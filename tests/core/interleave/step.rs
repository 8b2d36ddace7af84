//! What a step touches, and so which steps can change places.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Things that steps have in common, told apart by their hashes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touches {
    reads: Vec<u64>,
    writes: Vec<u64>,
    /// Looks at all keys of the store, whatever they are called.
    scans: bool,
    /// Changes keys of the store.
    stores: bool,
}

impl Touches {
    /// The memory of a node. Steps on one node are taken to depend on each other, always.
    pub(crate) fn node(node: usize) -> Self {
        Self::default().writing(("node", node))
    }

    /// All keys of the store.
    pub(crate) fn reading_all_keys(self) -> Self {
        Self { scans: true, ..self }
    }

    pub(crate) fn reading(mut self, thing: impl Hash) -> Self {
        self.reads.push(hash(&thing));
        self
    }

    pub(crate) fn writing(mut self, thing: impl Hash) -> Self {
        self.writes.push(hash(&thing));
        self
    }

    pub(crate) fn reading_key(self, key: &str) -> Self {
        self.reading(("key", key))
    }

    pub(crate) fn writing_key(self, key: &str) -> Self {
        Self { stores: true, ..self.writing(("key", key)) }
    }

    fn disturbs(&self, other: &Self) -> bool {
        (self.stores && other.scans)
            || self.writes.iter().any(|w| other.writes.contains(w) || other.reads.contains(w))
    }
}

/// What the store does when a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Turn {
    /// What it was asked for.
    Go,
    /// Nothing; the caller sees a timeout.
    Lose,
    /// What it was asked for; the caller sees a timeout all the same.
    LoseTheAnswer,
}

/// A step that can be taken next.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Who takes it.
    pub(crate) actor: u64,
    /// The same in every run in which the actor has come the same way.
    pub(crate) name: u64,
    pub(crate) who: Arc<str>,
    pub(crate) what: &'static str,
    pub(crate) turn: Turn,
    pub(crate) touches: Touches,
    /// Whether the store can fail here.
    pub(crate) can_fail: bool,
}

impl Step {
    /// Whether it makes no difference which of the two comes first, and neither keeps the other
    /// from being taken.
    pub(crate) fn commutes_with(&self, other: &Self) -> bool {
        self.actor != other.actor
            && !self.touches.disturbs(&other.touches)
            && !other.touches.disturbs(&self.touches)
    }

    /// The same step, with another outcome. There is one fault in a run: so faults are in each
    /// other's way.
    pub(crate) fn failing(&self, turn: Turn) -> Self {
        let touches = self.touches.clone().writing("the fault");
        Self { turn, touches, name: hash(&(self.name, turn)), ..self.clone() }
    }

    /// For people, and for schedules that are written down.
    pub(crate) fn title(&self) -> String {
        let fault = match self.turn {
            Turn::Go => "",
            Turn::Lose => " (lost)",
            Turn::LoseTheAnswer => " (answer lost)",
        };
        format!("{}: {}{fault}", self.who, self.what)
    }
}

/// Always the same for the same thing.
pub(crate) fn hash(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}
