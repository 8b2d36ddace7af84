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
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Background, Stopwatch};
use http_body::{Body, Frame};

use super::reader::Reader;
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

/// Why nobody can read a body from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The beginning has gone, or the body failed.
    Gone,
    /// Nothing has come for too long.
    Stalled,
}

/// A body that several read.
pub(crate) struct SharedBody {
    pub(super) state: Mutex<State>,
    pub(super) wakers: Arc<Wakers>,
    pub(super) expected: Option<u64>,
    /// How many bytes are held for readers of a body that is not kept.
    pub(super) window: usize,
    /// A body that does not move for longer has stalled.
    pub(super) patience: Duration,
    pub(super) background: Background,
}

pub(super) struct State {
    /// `None` while somebody polls it, and once it has ended.
    pub(super) source: Option<Source>,
    pub(super) keeper: Option<Box<dyn Keeper>>,
    pub(super) chunks: VecDeque<Bytes>,
    /// How many chunks were dropped before the first of `chunks`.
    pub(super) dropped: usize,
    /// Bytes in `chunks`, and bytes that have come in all.
    pub(super) held: usize,
    pub(super) received: u64,
    /// Since something came last.
    moved: Stopwatch,
    pub(super) end: Option<End>,
    pub(super) readers: Vec<Position>,
    pub(super) next_reader: u64,
    /// Whether a task was started to read on when all readers had left.
    pub(super) reading_on: bool,
}

#[derive(Clone, Debug)]
pub(super) enum End {
    Clean(Option<Trailers>),
    /// After more or fewer bytes than announced, an error to those who follow; the first reader is
    /// told what the origin told.
    Wrong(Option<Trailers>),
    Failed(BodyError),
}

/// Where a reader is.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) reader: u64,
    pub(super) chunk: usize,
    /// The client whose request fetched the body is never cut off.
    pub(super) leads: bool,
    pub(super) cut: bool,
}

impl SharedBody {
    /// A body with its first reader. `expected` is its announced length; if it does not move for
    /// longer than `patience`, nobody joins it, and nobody reads it in the background.
    pub(crate) fn new(
        source: Source,
        expected: Option<u64>,
        keeper: Box<dyn Keeper>,
        patience: Duration,
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
                moved: Stopwatch::start(),
                end: None,
                readers: Vec::new(),
                next_reader: 0,
                reading_on: false,
            }),
            wakers: Arc::default(),
            expected,
            window,
            patience,
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

    /// One more reader, from the beginning.
    pub(crate) fn attach(self: &Arc<Self>) -> Result<Reader, NoPlace> {
        let mut state = self.state();
        let usable = match &state.end {
            None => state.keeper.is_some(),
            Some(End::Clean(_)) => true,
            Some(End::Wrong(_) | End::Failed(_)) => false,
        };
        if !usable || state.dropped > 0 {
            return Err(NoPlace::Gone);
        }
        if state.end.is_none() && state.moved.elapsed() > self.patience {
            return Err(NoPlace::Stalled);
        }
        Ok(self.reader(&mut state, false))
    }

    pub(super) fn reader(self: &Arc<Self>, state: &mut State, leads: bool) -> Reader {
        let number = state.next_reader;
        state.next_reader += 1;
        state.readers.push(Position { reader: number, chunk: 0, leads, cut: false });
        Reader::new(Arc::clone(self), number, leads)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of the origin's body happens outside of the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the origin's body gave.
    fn take_in(&self, state: &mut State, polled: Option<Result<Frame<Bytes>, BoxError>>) {
        state.moved = Stopwatch::start();
        let mismatch = self.expected.is_some_and(|expected| expected != state.received);
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
                    let why = if mismatch { GiveUp::LengthMismatch } else { GiveUp::Trailers };
                    state.give_up(why);
                    let trailers = frame.into_trailers().ok();
                    state.end =
                        Some(if mismatch { End::Wrong(trailers) } else { End::Clean(trailers) });
                }
            },
            Some(Err(error)) => {
                state.give_up(GiveUp::Failed);
                state.end = Some(End::Failed(BodyError::origin(error)));
            }
            None if mismatch => {
                state.give_up(GiveUp::LengthMismatch);
                state.end = Some(End::Wrong(None));
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
    pub(super) fn poll_source(self: &Arc<Self>, mut source: Source, reader: u64) -> bool {
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
    pub(super) fn give_up(&mut self, why: GiveUp) {
        if let Some(keeper) = self.keeper.take() {
            keeper.give_up(why);
        }
    }

    /// Drops chunks that all have read, unless they are to be kept.
    pub(super) fn drop_read(&mut self) {
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
    pub(super) fn make_room(&mut self, window: usize) -> bool {
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
