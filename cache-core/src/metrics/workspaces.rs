//! Reads by workspace, of so many workspaces. Pure.

use std::collections::BTreeMap;

use super::label_value;
use crate::stats::{NamespaceStats, Stats};

/// How often it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// Which workspaces are handed over by name, and what was.
#[derive(Debug, Default)]
pub(super) struct ByWorkspace {
    most: usize,
    named: BTreeMap<String, Named>,
}

#[derive(Debug, Default)]
struct Named {
    /// What was counted before the cache forgot it to make place for another.
    before: Reads,
    since: Reads,
}

/// A name that is longer is counted among the others.
const LONGEST: usize = 128;

impl ByWorkspace {
    pub(super) fn new(most: usize) -> Self {
        Self { most, named: BTreeMap::new() }
    }

    /// The reads of each that is named, and of all others under `*`. No figure ever falls, and their
    /// sum is that of all workspaces.
    pub(super) fn update(&mut self, stats: &Stats) -> Vec<(String, Reads)> {
        if self.most == 0 {
            return Vec::new();
        }
        let mut others = Reads::of(&stats.other_workspaces);
        let mut counted: Vec<(String, Reads)> = Vec::with_capacity(stats.workspaces.len());
        for (name, figures) in &stats.workspaces {
            let reads = Reads::of(figures);
            others = others.plus(reads);
            counted.push((label_value(name), reads));
        }
        counted.sort_by_key(|(_, reads)| std::cmp::Reverse(reads.sum()));
        for (name, reads) in counted {
            let has_room = self.named.len() < self.most && name.len() <= LONGEST;
            if let Some(named) = self.named.get_mut(&name) {
                named.learn(reads);
            } else if has_room {
                self.named.insert(name, Named { before: Reads::default(), since: reads });
            }
        }
        let mut told: Vec<_> =
            self.named.iter().map(|(name, named)| (name.clone(), named.all())).collect();
        for (_, reads) in &told {
            others = others.minus(*reads);
        }
        told.push(("*".to_owned(), others));
        told
    }
}

impl Named {
    fn learn(&mut self, reads: Reads) {
        if reads.hits < self.since.hits || reads.misses < self.since.misses {
            self.before = self.all();
        }
        self.since = reads;
    }

    fn all(&self) -> Reads {
        self.before.plus(self.since)
    }
}

impl Reads {
    fn of(figures: &NamespaceStats) -> Self {
        Self { hits: figures.hits, misses: figures.misses }
    }

    fn sum(self) -> u64 {
        self.hits + self.misses
    }

    fn plus(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, misses: self.misses + other.misses }
    }

    fn minus(self, other: Self) -> Self {
        let hits = self.hits.saturating_sub(other.hits);
        Self { hits, misses: self.misses.saturating_sub(other.misses) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(hits: u64, misses: u64) -> NamespaceStats {
        NamespaceStats { hits, misses, ..NamespaceStats::default() }
    }

    fn stats(workspaces: &[(&str, u64)], others: u64) -> Stats {
        Stats {
            workspaces: workspaces
                .iter()
                .map(|(n, hits)| ((*n).into(), figures(*hits, 1)))
                .collect(),
            other_workspaces: figures(others, 0),
            ..Stats::default()
        }
    }

    fn told(by: &mut ByWorkspace, stats: &Stats) -> Vec<(String, u64)> {
        by.update(stats).into_iter().map(|(name, reads)| (name, reads.hits)).collect()
    }

    fn is(name: &str, hits: u64) -> (String, u64) {
        (name.to_owned(), hits)
    }

    #[test]
    fn those_that_are_read_most_are_named_and_the_rest_is_together() {
        let mut by = ByWorkspace::new(2);
        let first = stats(&[("a", 1), ("b", 7), ("c", 5), ("*", 2)], 10);
        assert_eq!(told(&mut by, &first), [is("b", 7), is("c", 5), is("*", 13)]);
        let second = stats(&[("a", 99), ("b", 8), ("c", 5), ("*", 2)], 10);
        assert_eq!(told(&mut by, &second), [is("b", 8), is("c", 5), is("*", 111)]);
    }

    #[test]
    fn one_that_was_forgotten_meanwhile_goes_on_and_nothing_is_counted_twice() {
        let mut by = ByWorkspace::new(2);
        assert_eq!(told(&mut by, &stats(&[("a", 9)], 0)), [is("a", 9), is("*", 0)]);
        // It made place for another, after two more hits, and came back.
        assert_eq!(told(&mut by, &stats(&[], 11)), [is("a", 9), is("*", 2)]);
        assert_eq!(told(&mut by, &stats(&[("a", 3)], 11)), [is("a", 12), is("*", 2)]);
    }

    #[test]
    fn nothing_unless_it_is_switched_on_and_no_name_is_long() {
        assert_eq!(told(&mut ByWorkspace::default(), &stats(&[("a", 9)], 0)), []);
        let long = "x".repeat(LONGEST + 1);
        let mut by = ByWorkspace::new(2);
        assert_eq!(
            told(&mut by, &stats(&[(&long, 9), ("é", 1)], 0)),
            [is("%C3%A9", 1), is("*", 9)]
        );
    }
}
