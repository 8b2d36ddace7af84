//! What the user of this server may do, as far as that is known.
//!
//! - `ask`: the questions with which a connection begins, and what their answers say.
//!
//! Each new connection asks anew, so that another server, or other rights, are known soon. What is
//! refused later is learnt by that, and tried again now and then. None of it is needed: each ability
//! has something that takes its place, and one line of the log says what is missing whenever that is
//! something else than before.

mod ask;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bb8_redis::redis::Value;

use crate::store::{Ability, MissingAbility};

pub(super) use ask::questions;

/// What this user may do.
#[derive(Debug, Default)]
pub(super) struct Rights {
    pub(super) scripts: Right,
    pub(super) transactions: Right,
    /// Whether `PEXPIRE` does not know `GT`.
    no_lengthening: AtomicBool,
    known: Mutex<Known>,
}

/// What nothing but the log and health depends on.
#[derive(Debug, Default)]
struct Known {
    refused: Refused,
    /// What the log was last told.
    told: Vec<MissingAbility>,
}

/// What was refused when a connection asked; nothing until then.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each says something else")]
struct Refused {
    tracking: bool,
    publishing: bool,
    time: Option<Time>,
    identity: bool,
}

/// The clock that counts where `TIME` is refused.
#[derive(Debug, Clone, Copy)]
enum Time {
    /// The server's, as the id of a new stream entry tells it.
    ByStream,
    /// This machine's.
    Own,
}

/// Whether something is allowed, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Right {
    /// Zero: yes. Above: how often it was done without since it was refused.
    without: AtomicU32,
}

/// How often something is done without a right before that is tried again.
const TRY_AGAIN_AFTER: u32 = 1024;

impl Right {
    pub(super) fn is_granted(&self) -> bool {
        self.without.load(Ordering::Relaxed) == 0
    }

    /// Whether to try it; to be asked once for each time that it could be done.
    pub(super) fn is_worth_trying(&self) -> bool {
        let without = self.without.load(Ordering::Relaxed);
        if without == 0 || without >= TRY_AGAIN_AFTER {
            return true;
        }
        self.without.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// True if that is new.
    pub(super) fn set(&self, granted: bool) -> bool {
        let before = self.without.load(Ordering::Relaxed);
        if granted && before == 0 {
            // As always, and on the way of every write.
            return false;
        }
        self.without.store(u32::from(!granted), Ordering::Relaxed);
        granted != (before == 0)
    }
}

impl Rights {
    /// It was tried, and this came of it.
    pub(super) fn learn_scripts(&self, granted: bool) {
        if self.scripts.set(granted) {
            self.tell();
        }
    }

    /// As [`learn_scripts`](Self::learn_scripts).
    pub(super) fn learn_transactions(&self, granted: bool) {
        if self.transactions.set(granted) {
            self.tell();
        }
    }

    /// Whether a life can be lengthened in one step.
    pub(super) fn can_lengthen(&self) -> bool {
        !self.no_lengthening.load(Ordering::Relaxed)
    }

    /// What is refused, and what takes its place.
    pub(super) fn missing(&self) -> Vec<MissingAbility> {
        self.missing_of(&self.known().refused)
    }

    fn missing_of(&self, refused: &Refused) -> Vec<MissingAbility> {
        let mut missing = Vec::new();
        let mut add = |ability: Ability, instead| missing.push(ability.missing(instead));
        let transactions = self.transactions.is_granted();
        if !self.scripts.is_granted() {
            add(Ability::Scripts, if transactions { IN_TRANSACTIONS } else { CHECKED });
            if !transactions {
                add(Ability::Transactions, ONE_BY_ONE);
            }
        }
        if refused.tracking {
            add(Ability::Tracking, if refused.publishing { SHORT_LIVES } else { PUBLISHED });
            if refused.publishing {
                add(Ability::Publishing, SHORT_LIVES);
            }
        }
        match refused.time {
            Some(Time::ByStream) => add(Ability::ServerTime, BY_STREAM),
            Some(Time::Own) => add(Ability::ServerTime, OWN_CLOCK),
            None => {}
        }
        if refused.identity {
            add(Ability::Identity, EACH_LOSS);
        }
        if !self.can_lengthen() {
            add(Ability::Lengthening, IN_TWO_STEPS);
        }
        missing
    }

    /// One line, if what is missing is something else than before.
    fn tell(&self) {
        let mut known = self.known();
        let missing = self.missing_of(&known.refused);
        if missing == known.told {
            return;
        }
        if missing.is_empty() {
            tracing::info!(target: "cache_core", "Redis refuses nothing any more");
        } else {
            let list: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let missing = list.join("; ");
            tracing::warn!(target: "cache_core", missing, "Redis refuses what can be done without");
        }
        known.told = missing;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const IN_TRANSACTIONS: &str = "WATCH and MULTI on connections of their own, in two round trips";
const CHECKED: &str = "what is there is read, then written over; what another writes between the \
     two is put back a round trip later, and readers may see the older value until then; soft \
     invalidations are hard";
const ONE_BY_ONE: &str = "rate limits are counted command by command";
const PUBLISHED: &str = "changes are published, and entries in memory have short lives";
const SHORT_LIVES: &str = "entries in memory have short lives";
const BY_STREAM: &str = "the server's time is taken from the id of a stream entry, once for each \
     connection";
const OWN_CLOCK: &str = "this machine's clock, so machines whose clocks differ do not agree on how \
     old an entry is; the TTLs in Redis hold all the same";
const EACH_LOSS: &str = "each loss of a connection counts as a change of the server: what was \
     removed is removed once more, and for 1.5 seconds nothing is read";
const IN_TWO_STEPS: &str = "a life is read, then lengthened";

/// Whether this user may not do that, or the server does not know how.
pub(super) fn is_refused(reply: &Value) -> bool {
    let Value::ServerError(error) = reply else { return false };
    match error.code() {
        "NOPERM" => true,
        "ERR" => error.details().is_some_and(|words| {
            let words = words.to_ascii_lowercase();
            ["unknown command", "unknown subcommand", "unknown option", "syntax error"]
                .iter()
                .any(|known| words.contains(known))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    #[test]
    fn what_is_refused_is_tried_again_now_and_then() {
        let right = Right::default();
        assert!(right.is_worth_trying() && right.is_granted() && !right.set(true));
        assert!(right.set(false) && !right.set(false));
        let tries = (0..TRY_AGAIN_AFTER).filter(|_| right.is_worth_trying()).count();
        assert_eq!(tries, 1);
        assert!(!right.set(false));
        assert!(!right.is_worth_trying() && !right.is_granted());
        assert!(right.set(true) && right.is_worth_trying() && right.is_granted());
    }

    #[test]
    fn a_refusal_in_the_words_of_several_versions() {
        for (reply, refused) in [
            (
                "-NOPERM this user has no permissions to run the 'eval' command or its subcommand",
                true,
            ),
            ("-NOPERM User app has no permissions to run the 'time' command", true),
            ("-ERR unknown command `EVALSHA`, with args beginning with: ", true),
            ("-ERR unknown command 'EVALSHA', with args beginning with: ", true),
            (
                "-ERR Unknown subcommand or wrong number of arguments for 'TRACKING'. Try CLIENT HELP",
                true,
            ),
            ("-ERR syntax error", true),
            ("-NOSCRIPT No matching script. Please use EVAL.", false),
            ("-ERR EXEC without MULTI", false),
            ("-OOM command not allowed when used memory > 'maxmemory'.", false),
            ("+OK", false),
        ] {
            let reply = parse_redis_value(format!("{reply}\r\n").as_bytes()).unwrap();
            assert_eq!(is_refused(&reply), refused, "{reply:?}");
        }
    }

    #[test]
    fn each_that_is_missing_is_named_with_what_takes_its_place() {
        let rights = Rights::default();
        assert_eq!(rights.missing(), []);
        rights.learn_scripts(false);
        assert_eq!(rights.missing(), [Ability::Scripts.missing(IN_TRANSACTIONS)]);
        rights.learn_transactions(false);
        let both = [Ability::Scripts.missing(CHECKED), Ability::Transactions.missing(ONE_BY_ONE)];
        assert_eq!(rights.missing(), both);
        rights.learn_scripts(true);
        assert_eq!(rights.missing(), [], "nobody needs transactions then");
        rights.known().refused = Refused { tracking: true, ..Refused::default() };
        assert_eq!(rights.missing(), [Ability::Tracking.missing(PUBLISHED)]);
    }
}
