//! Processes are killed and frozen.

use std::time::Duration;

use super::Field;

const LONGEST: Duration = Duration::from_millis(1_500);

/// SIGKILL; the same port answers again after a while.
pub(super) async fn kill(field: &mut Field) {
    field.redis.kill();
    field.endure(LONGEST).await;
    field.redis.restart();
}

/// SIGSTOP and SIGCONT: connections stay, and what was sent is answered in the end.
pub(super) async fn freeze(field: &mut Field) {
    field.redis.stop();
    field.endure(LONGEST).await;
    field.redis.resume();
}

/// The same for a worker, in whatever it is just doing.
pub(super) async fn freeze_worker(field: &mut Field) {
    let all = field.crew.workers().len();
    let victim = field.random.usize(..all);
    field.crew.workers()[victim].freeze();
    let lasts = Duration::from_millis(field.random.u64(100..=1_500));
    tokio::time::sleep(lasts).await;
    field.crew.workers()[victim].resume();
    field.rest().await;
}
