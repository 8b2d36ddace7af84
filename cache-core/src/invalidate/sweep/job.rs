//! A sweep in the background, and the handle to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::position::{SweepPosition, SweepProgress, SweepState};
use super::request::DeletePattern;
use crate::error::{Error, ErrorKind};

/// A sweep that runs in the background. Dropping the handle lets it run on.
#[derive(Debug)]
pub struct SweepJob {
    reports: watch::Receiver<Report>,
    cancelled: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Report {
    progress: SweepProgress,
    fault: Option<(ErrorKind, String)>,
}

impl SweepJob {
    pub(super) fn start(sweep: DeletePattern) -> Result<Self, Error> {
        let progress = SweepProgress { state: SweepState::Running, position: sweep.position() };
        let (reporter, reports) = watch::channel(Report { progress, fault: None });
        let cancelled = Arc::new(AtomicBool::new(false));
        let background = sweep.values().cache.inner.background.clone();
        let stop = Arc::clone(&cancelled);
        let started = background.try_spawn(async move {
            let go_on = |position| {
                reporter.send_modify(|report| report.progress.position = position);
                !stop.load(Ordering::Relaxed)
            };
            let ended = sweep.run(&go_on).await;
            reporter.send_modify(|report| report.end(ended));
        });
        if !started {
            return Err(Error::new(ErrorKind::Unavailable, "the background takes no task"));
        }
        Ok(Self { reports, cancelled })
    }

    /// How it is getting on.
    pub fn progress(&self) -> SweepProgress {
        let progress = self.reports.borrow().progress;
        let gone = self.reports.has_changed().is_err();
        match progress.state {
            // With the runtime it ran on.
            SweepState::Running if gone => SweepProgress { state: SweepState::Failed, ..progress },
            _ => progress,
        }
    }

    /// Stops it after the step under way; then [`wait`](Self::wait) answers.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Waits until it has come to its end, or was cancelled.
    ///
    /// # Errors
    /// If it failed. [`progress`](Self::progress) says where it can be resumed.
    pub async fn wait(&self) -> Result<SweepProgress, Error> {
        let mut reports = self.reports.clone();
        let ended = reports.wait_for(|report| report.progress.state != SweepState::Running).await;
        let Ok(report) = ended else {
            return Err(Error::new(ErrorKind::Closed, "the runtime of the sweep has ended"));
        };
        match &report.fault {
            Some((kind, message)) => Err(Error::new(*kind, message.clone())),
            None => Ok(report.progress),
        }
    }
}

impl Report {
    fn end(&mut self, ended: Result<(SweepPosition, bool), Error>) {
        self.progress.state = match ended {
            Ok((position, done)) => {
                self.progress.position = position;
                if done { SweepState::Done } else { SweepState::Cancelled }
            }
            Err(error) => {
                self.fault = Some((error.kind(), error.to_string()));
                SweepState::Failed
            }
        };
    }
}
