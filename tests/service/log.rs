//! The log as an application writes it: `tracing-subscriber`, with the filter of `RUST_LOG`.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::dispatcher::{DefaultGuard, Dispatch};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged in this thread, until it is dropped.
pub(crate) struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl Log {
    /// With `filter` as it stands in `RUST_LOG`.
    pub(crate) fn begin(filter: &str) -> Self {
        Self::begin_with_spans(filter, FmtSpan::NONE)
    }

    /// As [`begin`](Self::begin), and a line for these moments of each span.
    pub(crate) fn begin_with_spans(filter: &str, spans: FmtSpan) -> Self {
        keep_two();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let writer = Writer(Arc::clone(&written));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(move || writer.clone())
            .with_span_events(spans)
            .with_ansi(false)
            .without_time()
            .finish();
        let guard = tracing::dispatcher::set_default(&Dispatch::new(subscriber));
        tracing::callsite::rebuild_interest_cache();
        Self { written, _guard: guard }
    }

    /// The lines since this was asked last.
    pub(crate) fn lines(&self) -> Vec<String> {
        let written = std::mem::take(&mut *self.written.lock().expect("no panic"));
        String::from_utf8(written)
            .expect("text")
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

/// While there is but one subscriber in a process, `tracing` asks whichever thread comes first
/// whether anybody listens, and keeps the answer.
fn keep_two() {
    static TWO: OnceLock<[Dispatch; 2]> = OnceLock::new();
    let silent = || {
        let filter = EnvFilter::new("off");
        Dispatch::new(tracing_subscriber::fmt().with_env_filter(filter).finish())
    };
    TWO.get_or_init(|| [silent(), silent()]);
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
