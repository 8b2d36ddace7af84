//! Redis behind Sentinel: the primary is who most Sentinels, of those with the newest news, say it is.
//!
//! - `options`: where the Sentinels are;
//! - `ask`: one of them is asked.
//!
//! All are asked at once, at each connect, and once a second as long as the store is used; each also
//! tells by itself of a failover. When they name another server, no connection to the former one is
//! used any more: it may still believe that it is the primary.

mod ask;
mod options;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bb8_redis::redis::ConnectionAddr;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::ask::{Answer, Sentinel};
use super::dial::Dialer;
use super::identity::Identity;
use super::tls::TlsOptions;
use crate::background::Sole;
use crate::error::{Error, ErrorKind};
use crate::log_limit::LogLimit;

pub(super) use ask::refuse_replica;
pub use options::SentinelOptions;

/// How long one Sentinel may take.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long others are waited for once one has answered.
const GRACE: Duration = Duration::from_millis(100);
/// How often they are asked while nobody connects.
const POLL: Duration = Duration::from_secs(1);

/// The Sentinels of one primary.
#[derive(Debug)]
pub(super) struct Sentinels {
    master: String,
    asked: Vec<Sentinel>,
    dialer: Dialer,
    timeout: Duration,
    /// Told when the primary is another.
    identity: Arc<Identity>,
    known: Mutex<Known>,
    rounds: AtomicU64,
    /// A Sentinel has told of a failover.
    told: Arc<Notify>,
    watching: Sole,
    closed: AtomicBool,
    notices: LogLimit,
}

#[derive(Debug, Default)]
struct Known {
    /// The number of the round of questions that found it.
    round: u64,
    primary: Option<ConnectionAddr>,
}

impl Sentinels {
    pub(super) fn new(
        options: &SentinelOptions,
        tls: Option<&TlsOptions>,
        identity: Arc<Identity>,
    ) -> Result<Self, Error> {
        let dialer = Dialer::new(&options.login, tls.filter(|_| options.tls), options.timeout)?;
        Ok(Self {
            master: options.master.clone(),
            asked: options.hosts.iter().map(|(host, port)| Sentinel::new(host, *port)).collect(),
            dialer,
            timeout: options.timeout,
            identity,
            known: Mutex::default(),
            rounds: AtomicU64::new(0),
            told: Arc::default(),
            watching: Sole::default(),
            closed: AtomicBool::new(false),
            notices: LogLimit::new(),
        })
    }

    /// Where the primary is right now. (Without a Sentinel that answers there is no telling: the
    /// last known one may have been replaced.)
    pub(super) async fn primary(self: &Arc<Self>) -> Result<ConnectionAddr, Error> {
        self.ensure_watch();
        let round = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
        let found = self.ask_all().await?;
        Ok(self.settle(round, found))
    }

    /// Whether the primary is at this address, as far as is known.
    pub(super) fn is_primary(&self, address: &ConnectionAddr) -> bool {
        self.known().primary.as_ref() == Some(address)
    }

    /// Asks nobody any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.asked.iter().for_each(Sentinel::let_go);
    }

    async fn ask_all(self: &Arc<Self>) -> Result<ConnectionAddr, Error> {
        let mut asking = JoinSet::new();
        for number in 0..self.asked.len() {
            let me = Arc::clone(self);
            asking.spawn(async move {
                let sentinel = me.asked.get(number)?;
                Some(sentinel.ask(&me.master, &me.dialer, me.timeout, &me.told).await)
            });
        }
        let (mut answers, mut failure) = (Vec::new(), None);
        loop {
            // Each ends in time by itself; those that are slow are not waited for.
            let limit = if answers.is_empty() { self.timeout * 2 } else { GRACE };
            let Ok(answer) = tokio::time::timeout(limit, asking.join_next()).await else { break };
            match answer {
                None => break,
                Some(Ok(Some(Ok(answer)))) => answers.push(answer),
                Some(Ok(Some(Err(error)))) => failure = Some(error),
                Some(Ok(None) | Err(_)) => {}
            }
        }
        newest(&answers).ok_or_else(|| {
            let why = failure.map_or_else(|| "none answers".to_owned(), |error| error.to_string());
            let text = format!("no Sentinel says where the primary is: {why}");
            Error::new(ErrorKind::Unavailable, text)
        })
    }

    /// Takes note of what a round has found; what the latest one has found.
    fn settle(&self, round: u64, found: ConnectionAddr) -> ConnectionAddr {
        let mut known = self.known();
        if round < known.round {
            return known.primary.clone().unwrap_or(found);
        }
        known.round = round;
        if known.primary.as_ref() != Some(&found) {
            let before = known.primary.replace(found.clone());
            if before.is_some() {
                // Under the lock: whoever asks whether an address is the primary's is told no from
                // now on, and whatever was connected before is of the past.
                self.identity.replaced();
                if let Some(left_out) = self.notices.take() {
                    tracing::info!(
                        target: "cache_core",
                        primary = %found,
                        left_out,
                        "Redis has failed over: there is another primary"
                    );
                }
            }
        }
        found
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the one task that asks while nobody connects, unless it runs.
    fn ensure_watch(self: &Arc<Self>) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if let Some(number) = self.watching.begin() {
            runtime.spawn(watch(Arc::downgrade(self), number));
        }
    }
}

async fn watch(sentinels: Weak<Sentinels>, number: u64) {
    loop {
        let Some(told) = sentinels.upgrade().map(|sentinels| Arc::clone(&sentinels.told)) else {
            return;
        };
        // Spread out, so that many instances do not ask at the same moment.
        let wait = POLL.mul_f64(0.75 + fastrand::f64() / 2.0);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = told.notified() => {}
        }
        let Some(sentinels) = sentinels.upgrade() else { return };
        if sentinels.closed.load(Ordering::Relaxed) || !sentinels.watching.go_on(number) {
            return;
        }
        let round = sentinels.rounds.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(found) = sentinels.ask_all().await {
            sentinels.settle(round, found);
        }
    }
}

/// What the Sentinels with the newest news say; where they differ, what most of them do.
fn newest(answers: &[Answer]) -> Option<ConnectionAddr> {
    let epoch = answers.iter().map(|answer| answer.epoch).max()?;
    let newest = || answers.iter().filter(|answer| answer.epoch == epoch);
    let votes = |primary: &ConnectionAddr| newest().filter(|a| a.primary == *primary).count();
    newest().max_by_key(|answer| votes(&answer.primary)).map(|answer| answer.primary.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> ConnectionAddr {
        ConnectionAddr::Tcp("h".into(), port)
    }

    fn sentinels() -> Arc<Sentinels> {
        let options = SentinelOptions::new("m", ["127.0.0.1:1"]).unwrap();
        Arc::new(Sentinels::new(&options, None, Arc::default()).unwrap())
    }

    #[test]
    fn the_newest_news_win_then_the_most_votes() {
        let says = |port, epoch| Answer { primary: at(port), epoch };
        assert_eq!(newest(&[]), None);
        assert_eq!(newest(&[says(1, 0)]), Some(at(1)));
        // A minority that was cut off still names the former one.
        assert_eq!(newest(&[says(1, 4), says(2, 5), says(1, 4)]), Some(at(2)));
        assert_eq!(newest(&[says(1, 5), says(2, 5), says(2, 5)]), Some(at(2)));
        // One that may not tell the epoch counts only among its like.
        assert_eq!(newest(&[says(1, 0), says(1, 0), says(2, 3)]), Some(at(2)));
    }

    #[test]
    fn another_primary_is_another_server_and_an_old_answer_is_not_taken() {
        let sentinels = sentinels();
        let incarnation = || sentinels.identity.incarnation();
        assert!(!sentinels.is_primary(&at(1)));
        assert_eq!(sentinels.settle(2, at(1)), at(1));
        assert_eq!(incarnation(), 0, "the first is no other");
        assert_eq!(sentinels.settle(3, at(1)), at(1));
        assert_eq!(incarnation(), 0);
        assert_eq!(sentinels.settle(5, at(2)), at(2));
        assert_eq!(incarnation(), 1);
        assert!(sentinels.is_primary(&at(2)) && !sentinels.is_primary(&at(1)));
        assert_eq!(sentinels.settle(4, at(1)), at(2), "asked earlier, answered later");
        assert_eq!(incarnation(), 1);
    }

    #[tokio::test]
    async fn without_a_sentinel_there_is_no_telling() {
        let sentinels = sentinels();
        sentinels.settle(0, at(1));
        let error = sentinels.primary().await.unwrap_err();
        assert!(error.is_outage() && error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
