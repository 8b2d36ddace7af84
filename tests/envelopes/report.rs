//! What came of it.

use std::fmt::Write;

use crate::mutation::Mutation;
use crate::world::{Kind, LIMIT, MEMORY};

/// Of one kind of entries.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) misses: u64,
    /// The value as it was written.
    pub(crate) same: u64,
    /// Another one, its checksum made right, in an entry that is not encrypted.
    pub(crate) forged: u64,
    /// Another one.
    pub(crate) wrong: u64,
    /// The most that a read had allocated at once.
    most_memory: u64,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self {
            misses: self.misses + other.misses,
            same: self.same + other.same,
            forged: self.forged + other.forged,
            wrong: self.wrong + other.wrong,
            most_memory: self.most_memory.max(other.most_memory),
        }
    }

    fn all(self) -> u64 {
        self.misses + self.same + self.forged + self.wrong
    }
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    kinds: [Count; Kind::ALL.len()],
    mutations: [Count; Mutation::ALL.len()],
}

impl Counts {
    /// A read after a change: whether the value was the same, if there was one.
    pub(crate) fn note(
        &mut self,
        kind: Kind,
        mutation: Mutation,
        checksum_is_right: bool,
        same: Option<bool>,
        memory: u64,
    ) {
        let mut count = Count { most_memory: memory, ..Count::default() };
        match same {
            None => count.misses = 1,
            Some(true) => count.same = 1,
            Some(false) if checksum_is_right && !kind.is_encrypted() => count.forged = 1,
            Some(false) => count.wrong = 1,
        }
        let of_kind = &mut self.kinds[kind as usize];
        *of_kind = of_kind.plus(count);
        let of_mutation = &mut self.mutations[mutation as usize];
        *of_mutation = of_mutation.plus(count);
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        let ours = self.kinds.iter_mut().chain(&mut self.mutations);
        for (one, other) in ours.zip(other.kinds.iter().chain(&other.mutations)) {
            *one = one.plus(*other);
        }
        self
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Count> {
        self.kinds.iter()
    }

    pub(crate) fn check(&self) {
        for (kind, count) in Kind::ALL.iter().zip(&self.kinds) {
            assert_eq!(count.wrong, 0, "{kind:?}: wrong values");
            let memory = count.most_memory;
            assert!(memory <= MEMORY, "{kind:?}: {memory} bytes at once");
        }
    }

    /// `resident`: how much memory the process had at most, what C allocates included.
    pub(crate) fn page(&self, command: &str, resident: Option<&str>) -> String {
        let total = self.kinds.iter().copied().fold(Count::default(), Count::plus);
        let mut page = format!(
            "# Changed envelopes\n\n`{command}`: {} changes, {} wrong values, no panic; a read had \
             {} KiB allocated at once at most (the limit of a value: {} KiB; what is allowed here: \
             {} KiB; the bombs are 4 MiB).\n\n\
             \"Forged\" are values that were changed, in entries that are not encrypted, with the \
             checksum made right again: a checksum is no signature.\n",
            total.all(),
            total.wrong,
            total.most_memory.div_ceil(1024),
            LIMIT / 1024,
            MEMORY / 1024,
        );
        if let Some(resident) = resident {
            let _ = write!(page, "\nThe process had {resident} of memory at most, all threads.\n");
        }
        let kinds = Kind::ALL.iter().map(|kind| kind.name().to_owned()).zip(&self.kinds);
        let mutations = Mutation::ALL.iter().map(|mutation| format!("{mutation:?}"));
        table(&mut page, "entry", kinds);
        table(&mut page, "change", mutations.zip(&self.mutations));
        page
    }
}

fn table<'c>(page: &mut String, what: &str, rows: impl Iterator<Item = (String, &'c Count)>) {
    let head = "changes | misses | same value | forged | wrong | most memory (bytes)";
    let _ = writeln!(page, "\n| {what} | {head} |\n|---|--:|--:|--:|--:|--:|--:|");
    for (name, count) in rows {
        let Count { misses, same, forged, wrong, most_memory } = *count;
        let all = count.all();
        let _ = writeln!(
            page,
            "| {name} | {all} | {misses} | {same} | {forged} | {wrong} | {most_memory} |"
        );
    }
}
