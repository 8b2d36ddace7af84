//! Which drills there are.

use std::time::Duration;

use cache_tests::Mode;

use crate::trouble::{CLASSES, Cluster, Network, Server, Start, failover};

/// One kind of trouble, and how long it lasts.
#[derive(Clone)]
pub(crate) struct Drill {
    pub(crate) name: String,
    /// It is there before the service starts.
    pub(crate) at_start: bool,
    /// Redis says nothing, so that only time tells.
    pub(crate) silent: bool,
    /// Redis is several servers: what it is like in good health is measured for itself.
    pub(crate) several: bool,
    pub(crate) ends: Ends,
    /// By what it shows that the trouble was there.
    pub(crate) shows: Shows,
    /// In the long form, at least.
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
    /// Redis is another, and all instances have noticed.
    Another,
}

/// What makes trouble go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The drill does.
    WhenTold,
    /// Nobody: Redis comes to its end with it.
    ByItself,
    /// Nobody: a replica takes over. What it says is not believed at once.
    Replaced,
}

/// For how much there is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Short,
    Long,
}

const TEN: Duration = Duration::from_secs(10);
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const FIVE: Duration = Duration::from_secs(5);
/// Than Redis takes for it.
const NO_LONGER: Duration = Duration::ZERO;

/// All of them.
pub(crate) fn all(form: Form) -> Vec<Drill> {
    let slots = if form == Form::Long { 1000 } else { 50 };
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
        Drill::new("sentinel_failover", Shows::Another, NO_LONGER, failover())
            .several(Ends::Replaced),
        Drill::new("resharded", Shows::Refusals, NO_LONGER, Cluster::Resharded(slots).start())
            .several(Ends::ByItself),
        Drill::new("primary_lost", Shows::Another, NO_LONGER, Cluster::Bereft.start())
            .several(Ends::Replaced),
    ];
    drills.extend(CLASSES.map(|class| {
        let name = class.name.to_lowercase().replace(' ', "_");
        Drill::new(&name, Shows::Refusals, FIVE, class.start())
    }));
    drills
}

impl Drill {
    fn new(name: &str, shows: Shows, lasts: Duration, start: Start) -> Self {
        let (at_start, silent, several) = (false, false, false);
        let (name, ends) = (name.to_owned(), Ends::WhenTold);
        Self { name, at_start, silent, several, ends, shows, lasts, start }
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

    fn several(self, ends: Ends) -> Self {
        Self { several: true, ends, ..self }
    }
}
