//! One body from the origin, many who read it.
//!
//! Nobody owns the pumping: whoever is polled and has read all there is polls the origin, keeps
//! what comes for the others, and wakes them. So the first client gets each byte when the origin
//! gives it, no task is needed, slow readers hold nobody back, and a reader that leaves changes
//! nothing. When the last reader leaves before the end, a [`Keeper`] that still wants the body
//! reads on in the background.
//!
//! As long as the keeper wants it, the whole body is held, once; beyond the keeper's limit only a
//! window is, and a follower that falls behind it is cut off.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use cache_core::Background;
use http_body::{Body, Frame, SizeHint};

use super::wakers::Wakers;
use super::{BodyError, BoxError, Trailers};

/// The origin's body, whatever its type.
pub(crate) type Source = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// Wants to keep a body that ends well.
pub(crate) trait Keeper: Send {
    /// More bytes than this are not kept.
    fn limit(&self) -> usize;

    /// The body has ended, and its length was as announced.
    fn keep(self: Box<Self>, body: &mut dyn Iterator<Item = &Bytes>);

    /// The body is not to be kept, for this reason. New readers will not come.
    fn give_up(self: Box<Self>, why: GiveUp);
}

/// Why a body is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    TooLarge,
    Failed,
    LengthMismatch,
    Trailers,
    Abandoned,
}

/// A body that several read.
pub(crate) struct SharedBody {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    expected: Option<u64>,
    /// How many bytes are held for readers of a body that is not kept.
    window: usize,
    background: Background,
}

struct State {
    /// `None` while somebody polls it, and once it has ended.
    source: Option<Source>,
    keeper: Option<Box<dyn Keeper>>,
    chunks: VecDeque<Bytes>,
    /// How many chunks were dropped before the first of `chunks`.
    dropped: usize,
    /// Bytes in `chunks`, and bytes that have come in all.
    held: usize,
    received: u64,
    end: Option<End>,
    readers: Vec<Position>,
    next_reader: u64,
    /// Whether a task was started to read on when all readers had left.
    reading_on: bool,
}

#[derive(Clone, Debug)]
enum End {
    Clean(Option<Trailers>),
    /// For those who follow; the first reader is told what the origin told.
    Short,
    Failed(BodyError),
}

/// Where a reader is.
#[derive(Debug)]
struct Position {
    reader: u64,
    chunk: usize,
    /// The client whose request fetched the body is never cut off.
    leads: bool,
    cut: bool,
}

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

impl SharedBody {
    /// A body with its first reader. `expected` is its announced length.
    pub(crate) fn new(
        source: Source,
        expected: Option<u64>,
        keeper: Box<dyn Keeper>,
        background: Background,
    ) -> (Arc<Self>, Reader) {
        let window = keeper.limit();
        let body = Arc::new(Self {
            state: Mutex::new(State {
                source: Some(source),
                keeper: Some(keeper),
                chunks: VecDeque::new(),
                dropped: 0,
                held: 0,
                received: 0,
                end: None,
                readers: Vec::new(),
                next_reader: 0,
                reading_on: false,
            }),
            wakers: Arc::default(),
            expected,
            window,
            background,
        });
        let mut state = body.state();
        let reader = body.reader(&mut state, true);
        // Servers do not poll a body that has ended already.
        if state.source.as_ref().is_some_and(Body::is_end_stream) {
            state.source = None;
            body.take_in(&mut state, None);
        }
        drop(state);
        (body, reader)
    }

    /// One more reader, from the beginning; `None` if the beginning has gone, or the body failed.
    pub(crate) fn attach(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.state();
        let usable = match &state.end {
            None => state.keeper.is_some(),
            Some(End::Clean(_)) => true,
            Some(End::Short | End::Failed(_)) => false,
        };
        (usable && state.dropped == 0).then(|| self.reader(&mut state, false))
    }

    fn reader(self: &Arc<Self>, state: &mut State, leads: bool) -> Reader {
        let number = state.next_reader;
        state.next_reader += 1;
        state.readers.push(Position { reader: number, chunk: 0, leads, cut: false });
        Reader { body: Arc::clone(self), number, read: 0, leads, done: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of the origin's body happens outside of the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the origin's body gave.
    fn take_in(&self, state: &mut State, polled: Option<Result<Frame<Bytes>, BoxError>>) {
        match polled {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    state.received += data.len() as u64;
                    if !data.is_empty() {
                        state.held += data.len();
                        state.chunks.push_back(data);
                    }
                    let limit = state.keeper.as_ref().map_or(usize::MAX, |keeper| keeper.limit());
                    if state.held > limit {
                        state.give_up(GiveUp::TooLarge);
                    }
                    state.drop_read();
                }
                Err(frame) => {
                    state.give_up(GiveUp::Trailers);
                    state.end = Some(End::Clean(frame.into_trailers().ok()));
                }
            },
            Some(Err(error)) => {
                state.give_up(GiveUp::Failed);
                state.end = Some(End::Failed(BodyError::origin(error)));
            }
            None if self.expected.is_some_and(|expected| expected != state.received) => {
                state.give_up(GiveUp::LengthMismatch);
                state.end = Some(End::Short);
            }
            None => {
                if let Some(keeper) = state.keeper.take() {
                    keeper.keep(&mut state.chunks.iter());
                }
                state.end = Some(End::Clean(None));
            }
        }
    }

    /// Polls the origin, for a reader that has read all there is. False if nothing came.
    fn poll_source(self: &Arc<Self>, mut source: Source, reader: u64) -> bool {
        let guard = PanicGuard { body: self, armed: true };
        let waker = Waker::from(Arc::clone(&self.wakers));
        let mut context = Context::from_waker(&waker);
        let mut progress = false;
        loop {
            let polled = source.as_mut().poll_frame(&mut context);
            let mut state = self.state();
            let Poll::Ready(polled) = polled else {
                state.source = Some(source);
                break;
            };
            progress = true;
            self.take_in(&mut state, polled);
            if state.end.is_some() {
                break;
            }
            if !self.may_have_ended(&state, &source) {
                state.source = Some(source);
                break;
            }
        }
        guard.disarm();
        if progress {
            self.wakers.wake_others(reader);
        }
        progress
    }

    /// Whether all announced bytes have come, so that the end may be there already: then it is
    /// looked for at once, since a client that has them all may ask again without waiting for it.
    fn may_have_ended(&self, state: &State, source: &Source) -> bool {
        source.is_end_stream() || self.expected == Some(state.received)
    }
}

impl State {
    fn give_up(&mut self, why: GiveUp) {
        if let Some(keeper) = self.keeper.take() {
            keeper.give_up(why);
        }
    }

    /// Drops chunks that all have read, unless they are to be kept.
    fn drop_read(&mut self) {
        if self.keeper.is_some() {
            return;
        }
        let here = self.readers.iter().filter(|position| !position.cut);
        let read_by_all = here.map(|position| position.chunk).min().unwrap_or(usize::MAX);
        while self.dropped < read_by_all
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.held -= chunk.len();
            self.dropped += 1;
        }
    }

    /// Makes room in the window: false if the client that fetches the body has to read first.
    fn make_room(&mut self, window: usize) -> bool {
        if self.keeper.is_some() {
            return true;
        }
        self.drop_read();
        while self.held > window {
            let slowest = self.readers.iter_mut().filter(|p| !p.cut).min_by_key(|p| p.chunk);
            match slowest {
                Some(position) if !position.leads => position.cut = true,
                Some(_) => return false,
                None => return true,
            }
            self.drop_read();
        }
        true
    }
}

impl Reader {
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
        if let Some(chunk) = state.chunks.get(position.chunk.saturating_sub(state.dropped)) {
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
            End::Short if self.leads => None,
            End::Short => Some(Err(BodyError::cut("the body was not as long as announced"))),
            End::Failed(error) => Some(Err(error)),
        })
    }

    /// Reads on for the keeper, and leaves when it does not want the body any more: a body that
    /// never ends must not be read for nobody, and clients who came late read at their own pace.
    async fn read_for_keeper(mut self) {
        while self.body.state().keeper.is_some()
            && let Some(Ok(_)) = std::future::poll_fn(|context| self.poll_frame(context)).await
        {
        }
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

/// If the origin's body panics while it is polled, it has failed.
struct PanicGuard<'b> {
    body: &'b Arc<SharedBody>,
    armed: bool,
}

impl PanicGuard<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            let mut state = self.body.state();
            state.give_up(GiveUp::Failed);
            state.end = Some(End::Failed(BodyError::cut("the response body panicked")));
            drop(state);
            Wake::wake_by_ref(&self.body.wakers);
        }
    }
}

impl fmt::Debug for SharedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBody").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("read", &self.read).finish_non_exhaustive()
    }
}
