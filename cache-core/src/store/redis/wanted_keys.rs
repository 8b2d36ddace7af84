//! The keys that several reads ask for together, each once.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

/// Reads of more keys than this are batches already.
pub(super) const MAX_KEYS: usize = 8;

/// Which of the wanted keys are whose.
pub(super) type Places = SmallVec<[usize; MAX_KEYS]>;

/// The keys of a batch, each once.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    text: String,
    /// Of each key the hash, and where it ends in `text`.
    keys: Vec<(u64, usize)>,
    members: usize,
}

impl Wanted {
    /// Where these keys are among those wanted, and how many members there are now.
    pub(super) fn add(&mut self, keys: &[&str]) -> (Places, usize) {
        let places = keys.iter().map(|key| self.place(key)).collect();
        self.members += 1;
        (places, self.members)
    }

    fn place(&mut self, key: &str) -> usize {
        let hash = xxh3_64(key.as_bytes());
        let known = self.keys.iter().enumerate().filter(|(_, (known, _))| *known == hash);
        for (place, _) in known {
            if self.get(place) == Some(key) {
                return place;
            }
        }
        self.text.push_str(key);
        self.keys.push((hash, self.text.len()));
        self.keys.len() - 1
    }

    fn get(&self, place: usize) -> Option<&str> {
        let start = match place.checked_sub(1) {
            Some(before) => self.keys.get(before)?.1,
            None => 0,
        };
        self.text.get(start..self.keys.get(place)?.1)
    }

    /// The keys, each once.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        (0..self.keys.len()).filter_map(|place| self.get(place))
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn members(&self) -> usize {
        self.members
    }
}
