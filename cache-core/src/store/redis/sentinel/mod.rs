//! Redis behind Sentinel: the primary is who most Sentinels, of those with the newest news, say it is.
//!
//! - `options`: where the Sentinels are;
//! - `ask`: one of them is asked.
//!
//! All are asked at once, at each connect, and twice a second as long as the store is used; each also
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
use super::fault::protocol_error;
use super::identity::Identity;
use super::tls::TlsOptions;
use crate::background::Sole;
use crate::clock::spread;
use crate::error::{Error, ErrorKind};
use crate::log_limit::LogLimit;

pub(super) use ask::refuse_replica;
pub use options::SentinelOptions;

/// How long one Sentinel may take.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long others are waited for once one has answered.
const GRACE: Duration = Duration::from_millis(100);
/// How often they are asked while nobody connects.
const POLL: Duration = Duration::from_millis(500);

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
    /// The greatest that was told with it.
    epoch: u64,
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
        self.ask_round().await?.ok_or_else(protocol_error)
    }

    /// Asks all, and takes note of what they say; where the primary is, as far as is known then.
    async fn ask_round(self: &Arc<Self>) -> Result<Option<ConnectionAddr>, Error> {
        let round = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
        let answers = self.ask_all().await?;
        Ok(self.settle(round, &answers))
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

    /// What those say that answer: one at least.
    async fn ask_all(self: &Arc<Self>) -> Result<Vec<Answer>, Error> {
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
        if answers.is_empty() {
            let why = failure.map_or_else(|| "none answers".to_owned(), |error| error.to_string());
            let text = format!("no Sentinel says where the primary is: {why}");
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        Ok(answers)
    }

    /// Takes note of what a round was answered; where the primary is, as far as is known then.
    fn settle(&self, round: u64, answers: &[Answer]) -> Option<ConnectionAddr> {
        let mut known = self.known();
        let Found { primary: found, epoch, said_by } = newest(answers, known.primary.as_ref())?;
        if round < known.round {
            return Some(known.primary.clone().unwrap_or(found));
        }
        known.round = round;
        // Those who knew better may be away just now. (Not if most of all there are say so: epochs
        // begin anew where Sentinels are set up anew.)
        let is_older = epoch != 0 && epoch < known.epoch && said_by * 2 <= self.asked.len();
        if is_older && known.primary.is_some() {
            return known.primary.clone();
        }
        if epoch != 0 {
            known.epoch = epoch;
        }
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
        Some(found)
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
        tokio::select! {
            () = tokio::time::sleep(spread(POLL)) => {}
            () = told.notified() => {}
        }
        let Some(sentinels) = sentinels.upgrade() else { return };
        if sentinels.closed.load(Ordering::Relaxed) || !sentinels.watching.go_on(number) {
            return;
        }
        // If none answers, it is not known to be another.
        let _ = sentinels.ask_round().await;
    }
}

/// What a round has found.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    primary: ConnectionAddr,
    epoch: u64,
    /// By how many.
    said_by: usize,
}

/// What the Sentinels with the newest news say; where they differ, what most of them do; where as
/// many say the one as the other, what is known already.
fn newest(answers: &[Answer], known: Option<&ConnectionAddr>) -> Option<Found> {
    let epoch = answers.iter().map(|answer| answer.epoch).max()?;
    let newest = || answers.iter().filter(|answer| answer.epoch == epoch);
    let votes = |primary: &ConnectionAddr| newest().filter(|a| a.primary == *primary).count();
    let weight = |answer: &&Answer| (votes(&answer.primary), known == Some(&answer.primary));
    let primary = newest().max_by_key(weight)?.primary.clone();
    Some(Found { epoch, said_by: votes(&primary), primary })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> ConnectionAddr {
        ConnectionAddr::Tcp("h".into(), port)
    }

    fn says(port: u16, epoch: u64) -> Answer {
        Answer { primary: at(port), epoch }
    }

    fn sentinels() -> Arc<Sentinels> {
        let hosts = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
        let options = SentinelOptions::new("m", hosts).unwrap();
        Arc::new(Sentinels::new(&options, None, Arc::default()).unwrap())
    }

    #[test]
    fn the_newest_news_win_then_the_most_votes_then_what_is_known() {
        let newest = |answers: &[Answer], known: u16| {
            super::newest(answers, Some(&at(known))).map(|found| (found.primary, found.said_by))
        };
        assert_eq!(newest(&[], 1), None);
        assert_eq!(newest(&[says(1, 0)], 2), Some((at(1), 1)));
        // A minority that was cut off still names the former one.
        assert_eq!(newest(&[says(1, 4), says(2, 5), says(1, 4)], 1), Some((at(2), 1)));
        assert_eq!(newest(&[says(1, 5), says(2, 5), says(2, 5)], 1), Some((at(2), 2)));
        // One that may not tell the epoch counts only among its like.
        assert_eq!(newest(&[says(1, 0), says(1, 0), says(2, 3)], 1), Some((at(2), 1)));
        for known in [1, 2] {
            assert_eq!(newest(&[says(1, 5), says(2, 5)], known), Some((at(known), 1)));
        }
    }

    #[test]
    fn another_primary_is_another_server_and_an_old_answer_is_not_taken() {
        let sentinels = sentinels();
        let incarnation = || sentinels.identity.incarnation();
        let settle = |round, port| sentinels.settle(round, &[says(port, 0)]);
        assert!(!sentinels.is_primary(&at(1)));
        assert_eq!(settle(2, 1), Some(at(1)));
        assert_eq!(incarnation(), 0, "the first is no other");
        assert_eq!(settle(3, 1), Some(at(1)));
        assert_eq!(incarnation(), 0);
        assert_eq!(settle(5, 2), Some(at(2)));
        assert_eq!(incarnation(), 1);
        assert!(sentinels.is_primary(&at(2)) && !sentinels.is_primary(&at(1)));
        assert_eq!(settle(4, 1), Some(at(2)), "asked earlier, answered later");
        assert_eq!(incarnation(), 1);
    }

    /// Pinned: while those who knew better were away, one that was late brought the former back.
    #[test]
    fn an_older_epoch_counts_only_if_most_of_all_sentinels_say_so() {
        let sentinels = sentinels();
        let settle = |round, answers: &[Answer]| sentinels.settle(round, answers);
        assert_eq!(settle(1, &[says(2, 5), says(1, 4)]), Some(at(2)));
        assert_eq!(settle(2, &[says(1, 4)]), Some(at(2)));
        assert_eq!(settle(3, &[says(2, 4)]), Some(at(2)), "nor does it lower what is known");
        assert_eq!(settle(4, &[says(1, 4)]), Some(at(2)));
        assert_eq!(sentinels.identity.incarnation(), 0);
        assert_eq!(settle(5, &[says(1, 1), says(1, 1)]), Some(at(1)), "set up anew");
        assert_eq!(settle(6, &[says(2, 2)]), Some(at(2)));
    }

    #[tokio::test]
    async fn without_a_sentinel_there_is_no_telling() {
        let sentinels = sentinels();
        sentinels.settle(0, &[says(1, 1)]);
        let error = sentinels.primary().await.unwrap_err();
        assert!(error.is_outage() && error.to_string().contains("127.0.0.1:"), "{error}");
    }
}
