//! The running test binary as one more process: for tests that need several of them.
//!
//! The entry is an ignored test that does nothing unless the variable that carries its orders is
//! set. It ends when its standard input does, so that it never outlives those who started it.
//!
//! ```no_run
//! use cache_tests::Twin;
//!
//! let twin = Twin::start("entry", &[("ORDERS", "count to ten")]);
//! twin.freeze();
//! twin.resume();
//! twin.finish(std::time::Duration::from_secs(10));
//! ```

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;

/// What a twin's lines of progress begin with; a number follows.
pub const PROGRESS: &str = "progress ";

/// A running twin; killed when dropped.
#[derive(Debug)]
pub struct Twin {
    process: Mutex<Process>,
    input: Option<ChildStdin>,
    progress: Arc<AtomicU64>,
    errors: File,
}

impl Twin {
    /// Starts this binary again, to run the ignored test `entry` alone, with these variables.
    #[track_caller]
    pub fn start(entry: &str, variables: &[(&str, &str)]) -> Self {
        let errors = tempfile::tempfile().expect("a file for what it says");
        let mut command = Command::new(env::current_exe().expect("this binary has a path"));
        command
            .args([entry, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().expect("a file for what it says"));
        let mut process = Process::spawn(&mut command);
        let input = process.child().stdin.take();
        let output = process.child().stdout.take().expect("piped");
        let progress = Arc::new(AtomicU64::new(0));
        let latest = Arc::clone(&progress);
        thread::spawn(move || follow(output, &latest));
        Self { process: Mutex::new(process), input, progress, errors }
    }

    /// The number in its last line of progress.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Acquire)
    }

    /// SIGSTOP; returns once it has stopped.
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// SIGCONT, after [`freeze`](Self::freeze).
    pub fn resume(&self) {
        self.process().signal(Signal::CONT);
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        self.process().ended().is_none()
    }

    /// Closes its standard input and waits for its end; panics with what it said if that is late,
    /// or no success.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) {
        drop(self.input.take());
        let status = self.process().wait(limit);
        let well = status.is_some_and(|status| status.success());
        assert!(well, "a twin ended with {status:?}:\n{}", self.said());
    }

    /// What it wrote to standard error.
    fn said(&self) -> String {
        use std::io::{Seek, SeekFrom};
        let (mut errors, mut text) = (&self.errors, String::new());
        let read = errors.seek(SeekFrom::Start(0)).and_then(|_| errors.read_to_string(&mut text));
        read.map_or_else(|error| error.to_string(), |_| text)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn follow(output: impl Read, latest: &AtomicU64) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        // libtest writes the test's name before what the test itself writes.
        let number = line.rsplit_once(PROGRESS).and_then(|(_, number)| number.parse().ok());
        if let Some(number) = number {
            latest.store(number, Ordering::Release);
        }
    }
}
