//! A place at a shared body.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::BodyError;
use super::shared::{End, GiveUp, SharedBody, State};

/// What a reader is given: a frame, an error, or the end.
type Next = Option<Result<Frame<Bytes>, BodyError>>;

/// A place at a [`SharedBody`].
pub(crate) struct Reader {
    body: Arc<SharedBody>,
    number: u64,
    read: u64,
    leads: bool,
    done: bool,
}

impl Reader {
    pub(super) fn new(body: Arc<SharedBody>, number: u64, leads: bool) -> Self {
        Self { body, number, read: 0, leads, done: false }
    }

    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if self.done {
            return Poll::Ready(None);
        }
        let body = Arc::clone(&self.body);
        loop {
            let mut state = body.state();
            if let Some(answer) = self.answer(&mut state) {
                return Poll::Ready(answer);
            }
            // Before the origin is polled, so that no wake-up is lost.
            body.wakers.register(self.number, context.waker());
            if !state.make_room(body.window) {
                return Poll::Pending;
            }
            if self.is_cut(&state) {
                // It made room by its own place.
                continue;
            }
            let Some(source) = state.source.take() else { return Poll::Pending };
            drop(state);
            if !body.poll_source(source, self.number) {
                return Poll::Pending;
            }
        }
    }

    /// What is there for this reader without asking the origin.
    fn answer(&mut self, state: &mut State) -> Option<Next> {
        let position = state.readers.iter_mut().find(|p| p.reader == self.number)?;
        if position.cut {
            self.done = true;
            return Some(Some(Err(BodyError::cut("this reader fell too far behind"))));
        }
        let next = state.chunks.get(position.chunk.saturating_sub(state.dropped));
        // Whoever has all announced bytes takes the body for whole. So a follower is not given the
        // last of them before it is known that no more will come.
        let clean = self.leads || matches!(state.end, Some(End::Clean(_)));
        let completes = |chunk: &&Bytes| {
            self.body.expected.is_some_and(|all| self.read + chunk.len() as u64 >= all)
        };
        if let Some(chunk) = next.filter(|chunk| clean || !completes(chunk)) {
            let chunk = chunk.clone();
            position.chunk += 1;
            self.read += chunk.len() as u64;
            let leads = position.leads;
            state.drop_read();
            if leads && state.keeper.is_none() {
                // The others may have waited for this one.
                self.body.wakers.wake_others(self.number);
            }
            return Some(Some(Ok(Frame::data(chunk))));
        }
        let end = state.end.clone()?;
        self.done = true;
        Some(match end {
            End::Clean(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            End::Wrong(trailers) if self.leads => trailers.map(|t| Ok(Frame::trailers(t))),
            End::Wrong(_) => Some(Err(BodyError::cut("the body was not as long as announced"))),
            End::Failed(error) => Some(Err(error)),
        })
    }

    /// Reads on for the keeper, and leaves when it does not want the body any more: a body that
    /// never ends must not be read for nobody, and clients who came late read at their own pace.
    ///
    /// One that has stalled is not waited for: its origin may be gone without a word, and as long
    /// as it is waited for, it is what others would join.
    async fn read_for_keeper(mut self) {
        let patience = self.body.patience;
        while self.body.state().keeper.is_some() {
            let next = std::future::poll_fn(|context| self.poll_frame(context));
            let Ok(Some(Ok(_))) = tokio::time::timeout(patience, next).await else { return };
        }
    }

    fn is_cut(&self, state: &State) -> bool {
        state.readers.iter().any(|position| position.reader == self.number && position.cut)
    }

    pub(crate) fn is_end(&self) -> bool {
        if self.done {
            return true;
        }
        let state = self.body.state();
        let read_all = state
            .readers
            .iter()
            .find(|position| position.reader == self.number)
            .is_some_and(|p| !p.cut && p.chunk >= state.dropped + state.chunks.len());
        read_all && matches!(state.end, Some(End::Clean(None)))
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.body.expected.and_then(|expected| expected.checked_sub(self.read)) {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.body.state();
        state.readers.retain(|position| position.reader != self.number);
        if state.readers.is_empty() && state.end.is_none() {
            if state.keeper.is_some() && !state.reading_on {
                state.reading_on = true;
                let last = self.body.reader(&mut state, true);
                drop(state);
                // If there is no place for the task, `last` is dropped, and comes by below.
                self.body.background.try_spawn(last.read_for_keeper());
                return;
            }
            state.give_up(GiveUp::Abandoned);
            state.end = Some(End::Failed(BodyError::cut("nobody read the body to its end")));
            // The origin is told by the drop of its body that nobody wants the rest.
            let source = state.source.take();
            drop(state);
            drop(source);
            return;
        }
        state.drop_read();
        drop(state);
        // Somebody else has to poll the origin now.
        self.body.wakers.wake_others(self.number);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("read", &self.read).finish_non_exhaustive()
    }
}
