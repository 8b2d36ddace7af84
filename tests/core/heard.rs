//! What a store tells of changes, written down.

use std::sync::Mutex;

use cache_core::store::ChangeSink;
use cache_core::{CoherenceMode, Stopwatch};

#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().clear();
    }

    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl ChangeSink for Heard {
    fn began(&self, mode: CoherenceMode, _: Option<String>) {
        self.note(format!("{mode:?}"));
    }

    fn changed(&self, key: &[u8]) {
        self.note(String::from_utf8_lossy(key).into_owned());
    }

    fn all_changed(&self) {
        self.note("everything".to_owned());
    }

    fn heard_all_before(&self, _: Stopwatch) {
        self.note("proven".to_owned());
    }

    fn lost(&self, fault: String) {
        self.note(fault);
    }
}
