//! Counting: every request once, however it ends; whoever listens is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use cache_core::{EntryKey, Read, Slot};
use http::{Response, StatusCode};

use crate::config::Shared;
use crate::report::status::Decision;
use crate::report::told::Params;
use crate::report::trace::Source;
use crate::stored::CACHE_STATUS;

/// Counts one request: with its response, or else (an error of the service inside, a panic, a
/// client that leaves) when it is dropped. So hits, misses and bypasses add up to the requests.
pub(crate) struct Tally {
    shared: Arc<Shared>,
    /// What it is without a response; `None`: it is no request of a client.
    unanswered: Option<Decision>,
    counted: AtomicBool,
    taken_over: Arc<AtomicBool>,
    /// One of the keys that were looked up: it names the workspace.
    key: OnceLock<Arc<EntryKey>>,
}

impl Tally {
    pub(crate) fn new(shared: &Arc<Shared>, unanswered: Decision) -> Self {
        Self {
            shared: Arc::clone(shared),
            unanswered: Some(unanswered),
            counted: AtomicBool::new(false),
            taken_over: Arc::default(),
            key: OnceLock::new(),
        }
    }

    /// Of a request whose client has been answered already: counts nothing.
    pub(crate) fn silent(shared: &Arc<Shared>) -> Self {
        let mut tally = Self::new(shared, Decision::Unanswered);
        tally.unanswered = None;
        tally
    }

    /// It is about this key, or another of the same workspace.
    pub(crate) fn of(&self, key: &Arc<EntryKey>) {
        self.key.get_or_init(|| Arc::clone(key));
    }

    /// Counts a read of the key.
    pub(crate) fn read(&self, read: Read) {
        match self.key.get() {
            Some(key) => self.shared.values.count_of(read, key),
            None => self.shared.values.count(read),
        }
    }

    /// Whether the client has been answered already.
    pub(crate) fn is_silent(&self) -> bool {
        self.unanswered.is_none()
    }

    /// To be set when an inner cache takes the request over: then it is not counted here.
    pub(crate) fn taken_over(&self) -> &Arc<AtomicBool> {
        &self.taken_over
    }

    /// Counts a decision, and writes it into the response, unless an inner cache has done both.
    pub(crate) fn tell<B>(&self, decision: Decision, response: &mut Response<B>) {
        self.tell_with(decision, Params::default(), response);
    }

    /// As [`tell`](Self::tell), with parameters.
    pub(crate) fn tell_with<B>(
        &self,
        decision: Decision,
        params: Params<'_>,
        response: &mut Response<B>,
    ) {
        if self.taken_over.load(Ordering::Acquire) {
            return;
        }
        self.count(decision, decision.origin_s(params, response.status()), self.source(None));
        let value = decision.render(&self.shared.name, params, response.status());
        let _ = response.headers_mut().try_append(CACHE_STATUS, value);
    }

    /// As [`tell_with`](Self::tell_with), of a response that was stored, and says that it is a hit.
    pub(crate) fn correct<B>(
        &self,
        decision: Decision,
        params: Params<'_>,
        response: &mut Response<B>,
    ) {
        let source = self.source(Some(Read::StoreHit));
        self.correct_from(source, decision, params, response);
    }

    /// As [`correct`](Self::correct), of what was found there.
    pub(crate) fn correct_from<B>(
        &self,
        source: Source<'_>,
        decision: Decision,
        params: Params<'_>,
        response: &mut Response<B>,
    ) {
        self.count(decision, decision.origin_s(params, response.status()), source);
        self.shared.rewrite(decision, params, response);
    }

    /// Another one counts the request from here on.
    pub(crate) fn hand_over(self) {
        self.counted.store(true, Ordering::Relaxed);
    }

    /// Counts a response that was stored, and says so itself.
    pub(crate) fn hit(&self, read: Read) {
        self.counted.store(true, Ordering::Relaxed);
        self.read(read);
        self.shared.tell_of_hit(self.source(Some(read)));
    }

    fn source(&self, read: Option<Read>) -> Source<'_> {
        Source { read, slot: None, key: self.key.get().map(|key| &**key) }
    }

    fn count(&self, decision: Decision, origin_s: Option<StatusCode>, source: Source<'_>) {
        self.counted.store(true, Ordering::Relaxed);
        if self.is_silent() {
            return;
        }
        self.shared.counters.count(decision);
        if decision.is_miss() {
            self.read(Read::Miss);
        }
        self.shared.trace(decision, origin_s, source);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(unanswered) = self.unanswered
            && !self.counted.load(Ordering::Relaxed)
            && !self.taken_over.load(Ordering::Acquire)
        {
            self.count(unanswered, None, self.source(None));
        }
    }
}

impl Shared {
    /// Counts a hit of this entry.
    pub(crate) fn count_hit(&self, read: Read, found: &Slot) {
        self.values.count_hit(read, found);
        self.tell_of_hit(Source::found(read, found));
    }

    fn tell_of_hit(&self, source: Source<'_>) {
        self.counters.count(Decision::Hit);
        self.trace(Decision::Hit, None, source);
    }
}
