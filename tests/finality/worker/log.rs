//! What a worker saw, line by line, into its file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::history::Event;

/// A file of events; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Log(Arc<Mutex<BufWriter<File>>>);

impl Log {
    pub(super) fn create(path: &str) -> Self {
        let file = File::create(path).expect("the folder of the logs is there");
        Self(Arc::new(Mutex::new(BufWriter::new(file))))
    }

    pub(super) fn note(&self, event: Event) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{event}").expect("the log has room");
    }

    pub(super) fn close(&self) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().expect("the log has room");
    }
}
