//! Running several futures in one task, a few at a time.

use std::future::poll_fn;
use std::mem::take;
use std::pin::Pin;
use std::task::Poll;

/// Runs futures, at most so many at once, and each only when there is room for it; what they come to,
/// those first that end first. A panic in one of them ends all.
pub(super) async fn at_most<F: Future>(
    at_once: usize,
    mut waiting: impl Iterator<Item = F> + Send,
) -> Vec<F::Output> {
    let (mut running, mut done): (Vec<Pin<Box<F>>>, Vec<F::Output>) = (Vec::new(), Vec::new());
    poll_fn(move |context| {
        loop {
            while running.len() < at_once.max(1) {
                let Some(future) = waiting.next() else { break };
                running.push(Box::pin(future));
            }
            if running.is_empty() {
                return Poll::Ready(take(&mut done));
            }
            let before = running.len();
            running.retain_mut(|future| match future.as_mut().poll(context) {
                Poll::Ready(outcome) => {
                    done.push(outcome);
                    false
                }
                Poll::Pending => true,
            });
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_at_once_and_no_more() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let task = async |n: u64| {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10 - n)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            n
        };
        let mut done = at_most(3, (0..10).map(task)).await;
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!(done[0], 2, "the first to end");
        done.sort_unstable();
        assert!(done.into_iter().eq(0..10));
        assert!(at_most(0, (0..2).map(task)).await.len() == 2, "one at least");
    }
}
