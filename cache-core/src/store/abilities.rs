//! What a store may refuse, and what the cache does instead.

use std::fmt;

use serde::Serialize;

/// Something that the cache uses where it may, and can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ability {
    /// To run scripts (`EVALSHA`): what is checked and what is written are one step.
    Scripts,
    /// `WATCH`, `MULTI` and `EXEC`, which take the place of scripts. Named only where those are
    /// refused, too.
    Transactions,
    /// `CLIENT TRACKING`, over RESP3: Redis tells what changes.
    Tracking,
    /// `PUBLISH`, which takes the place of tracking. Named only where that is refused, too.
    Publishing,
    /// `TIME`: nodes whose clocks differ agree on how old an entry is.
    ServerTime,
    /// `INFO`: whether the server is the one of before, with all that it had confirmed.
    Identity,
    /// `PEXPIRE … GT` (from Redis 7 on): lives are lengthened, and never shortened, in one step.
    Lengthening,
}

/// An [`Ability`] that the store refuses, and what takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MissingAbility {
    /// What it refuses.
    pub ability: Ability,
    /// What is done instead, and what that costs.
    pub instead: &'static str,
}

impl Ability {
    /// Its name in logs and in health, such as `server_time`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scripts => "scripts",
            Self::Transactions => "transactions",
            Self::Tracking => "tracking",
            Self::Publishing => "publishing",
            Self::ServerTime => "server_time",
            Self::Identity => "identity",
            Self::Lengthening => "lengthening",
        }
    }

    /// That it is missing; for a [`Store`](super::Store) written outside this crate.
    pub fn missing(self, instead: &'static str) -> MissingAbility {
        MissingAbility { ability: self, instead }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MissingAbility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.ability, self.instead)
    }
}
