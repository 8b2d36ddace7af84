//! Which drills there are.

use std::time::Duration;

use cache_tests::Mode;

use crate::trouble::{CLASSES, Network, Server, Start};

/// One kind of trouble, and how long it lasts.
#[derive(Clone)]
pub(crate) struct Drill {
    pub(crate) name: String,
    /// It is there before the service starts.
    pub(crate) at_start: bool,
    /// Redis says nothing, so that only time tells.
    pub(crate) silent: bool,
    /// By what it shows that the trouble was there.
    pub(crate) shows: Shows,
    /// In the long form.
    pub(crate) lasts: Duration,
    pub(crate) start: Start,
}

/// By what it shows that there was trouble: a drill in which nothing happens proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Redis is given up.
    Away,
    /// What is to be written is not.
    NoWrites,
    /// Commands are refused.
    Refusals,
}

const TEN: Duration = Duration::from_secs(10);
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const FIVE: Duration = Duration::from_secs(5);

/// All of them. What needs more servers than one (a failover by Sentinel, a Cluster that is resharded
/// or loses a node) is a [`Trouble`](crate::trouble::Trouble) as these are.
pub(crate) fn all() -> Vec<Drill> {
    let two_seconds = Mode::Delay(Duration::from_secs(2));
    let mut drills = vec![
        Drill::new("killed", Shows::Away, TEN, Server::Killed.start()),
        Drill::new("stopped", Shows::Away, TEN, Server::Stopped.start()).silent(),
        Drill::new("slow", Shows::Away, HALF_A_MINUTE, Network(two_seconds).start()).silent(),
        Drill::new("blackholed", Shows::Away, TEN, Network(Mode::Blackhole).start()).silent(),
        Drill::new("down_at_start", Shows::Away, FIVE, Server::Killed.start()).at_start(),
        Drill::new("blackholed_at_start", Shows::Away, TEN, Network(Mode::Blackhole).start())
            .silent()
            .at_start(),
        Drill::new("full", Shows::NoWrites, TEN, Server::Full.start()),
        Drill::new("wrong_password", Shows::Away, FIVE, Server::Locked.start()).at_start(),
        Drill::new("password_changed", Shows::Away, FIVE, Server::LockedLater.start()),
    ];
    drills.extend(CLASSES.map(|class| {
        let name = class.name.to_lowercase().replace(' ', "_");
        Drill::new(&name, Shows::Refusals, FIVE, class.start())
    }));
    drills
}

impl Drill {
    fn new(name: &str, shows: Shows, lasts: Duration, start: Start) -> Self {
        let (at_start, silent) = (false, false);
        Self { name: name.to_owned(), at_start, silent, shows, lasts, start }
    }

    /// Its name, for readers.
    pub(crate) fn title(&self) -> String {
        self.name.replace('_', " ")
    }

    fn silent(self) -> Self {
        Self { silent: true, ..self }
    }

    fn at_start(self) -> Self {
        Self { at_start: true, ..self }
    }
}
