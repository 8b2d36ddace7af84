//! Work on large values that would hold up the reactor: compression and encryption. (Serialization
//! is not among it: what is only borrowed can't go to another thread.)

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::clock::Deadline;

/// Work on at least so many bytes goes to a thread of its own: what is less takes no longer than
/// the way there and back is worth.
pub(crate) const HEAVY: usize = 64 * 1024;

/// Runs work on other threads: as many as there are processors.
#[derive(Debug)]
pub(crate) struct Offload(Arc<Semaphore>);

impl Default for Offload {
    fn default() -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(threads)))
    }
}

impl Offload {
    /// Does work on about so many bytes: here if they are few, if all threads are taken, or if there
    /// is no runtime. `None` if it has not ended before the deadline.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        deadline: Option<Deadline>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if bytes < HEAVY {
            return Some(work());
        }
        let place = Arc::clone(&self.0).try_acquire_owned();
        let (Ok(place), Ok(runtime)) = (place, Handle::try_current()) else { return Some(work()) };
        let task = runtime.spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        // The runtime's threads may all be taken by others.
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.instant(), task).await.ok()?.ok(),
            None => task.await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{ThreadId, current};

    use super::*;

    async fn thread(offload: &Offload, bytes: usize) -> ThreadId {
        offload.run(bytes, None, || current().id()).await.unwrap()
    }

    #[tokio::test]
    async fn little_is_done_here_and_much_elsewhere_as_long_as_there_is_room() {
        let (offload, here) = (Offload(Arc::new(Semaphore::new(1))), current().id());
        assert_eq!(thread(&offload, HEAVY - 1).await, here);
        assert_ne!(thread(&offload, HEAVY).await, here);
        assert_eq!(offload.0.available_permits(), 1);
        let taken = offload.0.try_acquire().unwrap();
        assert_eq!(thread(&offload, HEAVY).await, here);
        drop(taken);
    }

    #[test]
    fn without_a_runtime_all_is_done_here() {
        let mut work = std::pin::pin!(async { thread(&Offload::default(), HEAVY).await });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let done = work.as_mut().poll(&mut context);
        assert_eq!(done, std::task::Poll::Ready(current().id()));
    }

    #[tokio::test]
    async fn nobody_waits_past_the_deadline() {
        let offload = Offload::default();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let deadline = Some(Deadline::after(std::time::Duration::from_millis(20)));
        let work = move || ended.recv().is_ok();
        assert_eq!(offload.run(HEAVY, deadline, work).await, None);
        drop(end);
    }
}
