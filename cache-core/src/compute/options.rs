//! How values are kept and computed: settings of a cache, a namespace or a call. Pure.

use std::time::Duration;

use crate::clock::{Millis, as_millis};
use crate::entry::EntryTimes;
use crate::ttl::{NEVER, Ttl};

/// How values are kept and computed. What a call says goes before what its namespace says, and that
/// before what the cache says ([`Builder::options`](crate::Builder::options)).
///
/// ```
/// use cache_core::{Cache, Namespace, Options, minutes, seconds};
///
/// const REPORTS: Namespace = Namespace::new("reports")
///     .ttl(minutes(10))
///     .options(Options::new().grace(minutes(5)).jitter(10));
///
/// let cache = Cache::builder()
///     .namespace(REPORTS)
///     .options(Options::new().timeout(seconds(20)))
///     .build()?;
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Options {
    pub(crate) ttl: Option<Ttl>,
    pub(crate) jitter: Option<u8>,
    pub(crate) grace: Option<Duration>,
    pub(crate) early_refresh: Option<u8>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) negative_ttl: Option<Duration>,
    pub(crate) error_ttl: Option<Duration>,
    pub(crate) sliding: Option<Duration>,
    pub(crate) fleet: Option<bool>,
    /// How old a value becomes that is kept warm.
    pub(crate) refresh_after: Option<Duration>,
}

impl Options {
    /// Nothing is said.
    pub const fn new() -> Self {
        Self {
            ttl: None,
            jitter: None,
            grace: None,
            early_refresh: None,
            timeout: None,
            soft_timeout: None,
            negative_ttl: None,
            error_ttl: None,
            sliding: None,
            fleet: None,
            refresh_after: None,
        }
    }

    /// How long a value is fresh.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(Ttl::After(ttl));
        self
    }

    /// A value is fresh until it is deleted, invalidated or evicted.
    pub const fn never_expires(mut self) -> Self {
        self.ttl = Some(Ttl::Never);
        self
    }

    /// By how many percent (100 at most) the time of each value is shortened at random, so that
    /// values that were made at once are not all gone at once. Default: 0.
    pub const fn jitter(mut self, percent: u8) -> Self {
        self.jitter = Some(if percent > 100 { 100 } else { percent });
        self
    }

    /// For how long past its freshness a value is kept, to be used when it can't be computed anew:
    /// the function fails, or takes longer than [`timeout`](Self::timeout) or
    /// [`soft_timeout`](Self::soft_timeout); unless it is deleted here meanwhile. Default: not at all.
    ///
    /// While the store is away, only what is in this process' memory can stand in, and only for as
    /// long as memory may answer without asking: for [`COHERENCE_BOUND`](crate::COHERENCE_BOUND)
    /// after the value was read or computed here, or after it was last proven that no change was
    /// missed (see [`coherence`](crate::coherence)), whichever is later. Where an `l1_ttl` is set
    /// ([`Namespace::l1_ttl`](crate::Namespace::l1_ttl),
    /// [`Builder::l1_ttl`](crate::Builder::l1_ttl)), it is that long after the value was read or
    /// computed here; of one above 60 s, without a proof, only 60 s. That is so however long the
    /// grace is. Where nothing is kept in memory beside the store, nothing stands in.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// When so many percent of its time have passed, a value is computed anew by one of those who
    /// ask for it, while the others are given the one that is still fresh. 100 or more: never, which
    /// is the default. An attempt that comes to nothing is followed by another a second later (an
    /// eighth of the value's time, if that is shorter).
    pub const fn early_refresh(mut self, percent: u8) -> Self {
        self.early_refresh = Some(percent);
        self
    }

    /// How long the function may take. Then a value within its grace is used, else the answer is
    /// [`TimedOut`](crate::ComputeError::TimedOut). Default: no limit for one's own function.
    ///
    /// Somebody else's that has lasted for this long, and for 10 s, is not waited for any more: who
    /// asks then computes anew, one for all.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long the function may take before a value within its grace is used, if there is one. It
    /// goes on in the background where [it may](crate::GetOrCompute::in_background); elsewhere, so in
    /// batches and functions with `#[cached]`, it ends then: let it have more time than it usually
    /// takes. Default: no limit.
    pub const fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.soft_timeout = Some(timeout);
        self
    }

    /// How long a value is fresh that says that there is nothing (`None`, `()`: what is serialized
    /// as nil). Zero: it is not stored. Default: as long as any other.
    pub const fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = Some(ttl);
        self
    }

    /// For how long, after the function has failed, those who ask in this process are given its
    /// error (or a value within its grace) without calling it. Where nothing can tell whether something
    /// was invalidated since (the store is away or full), for [`UNCONFIRMED_FLIGHT`] at most. Default:
    /// not at all.
    ///
    /// [`UNCONFIRMED_FLIGHT`]: crate::UNCONFIRMED_FLIGHT
    pub const fn error_ttl(mut self, ttl: Duration) -> Self {
        self.error_ttl = Some(ttl);
        self
    }

    /// Each use makes a value fresh for its whole time again (its TTL, without jitter), until this
    /// long after it was made. It is written again when half of its time has passed. A value that
    /// was given a shorter time of its own ([`negative_ttl`](Self::negative_ttl),
    /// [`Computed::ttl`](crate::Computed::ttl)) keeps that. Default: use changes nothing.
    pub const fn sliding(mut self, at_most: Duration) -> Self {
        self.sliding = Some(at_most);
        self
    }

    /// Whether one computes for all processes that share the store, rather than one in each.
    /// Default: no.
    ///
    /// The one that computes holds a lease in the store (one key more, for as long as it computes; two
    /// more round trips). The others wait until the value is there, or the lease is free: told by the
    /// store where it [tells of changes](crate::coherence), else asking from time to time (from 4 ms
    /// on, less and less often, each 250 ms in the end).
    ///
    /// - The holder fails, panics or is cancelled: another computes. Errors are not shared among
    ///   processes: each has its own, one after the other.
    /// - It is killed, or stands still: another computes, [`FLEET_LEASE`](crate::FLEET_LEASE) after
    ///   its last sign of life. Of two that compute after all, the first to end stores its value; the
    ///   other's is given to its own callers only.
    /// - It stores nothing (its function says so, the value is too large, the store takes no writes):
    ///   those who wait compute at once, each process for itself.
    /// - It has begun before an invalidation, or a deletion, that the caller comes after: nobody waits
    ///   for it; one computes for all who come after.
    /// - A value is due for an [early refresh](Self::early_refresh): one computes it anew, nobody waits.
    /// - Others wait for 10 s at most, and no longer than [`timeout`](Self::timeout) and
    ///   [`soft_timeout`](Self::soft_timeout) say; then they compute.
    /// - The store is away, full, or refuses: one computes in each process, after one operation
    ///   budget at most.
    ///
    /// Calls that [skip the cache](crate::GetOrCompute::skip_read) take no part. All calls of a key
    /// should be of one form (`get_or_compute`, or `get_or_compute_with`) and name the same tags: others
    /// are based on other things, and so are computed beside them.
    pub const fn once_per_fleet(mut self, on: bool) -> Self {
        self.fleet = Some(on);
        self
    }

    /// What these say, and where they say nothing, what the others do.
    pub(crate) const fn or(self, others: Self) -> Self {
        Self {
            ttl: first(self.ttl, others.ttl),
            jitter: first(self.jitter, others.jitter),
            grace: first(self.grace, others.grace),
            early_refresh: first(self.early_refresh, others.early_refresh),
            timeout: first(self.timeout, others.timeout),
            soft_timeout: first(self.soft_timeout, others.soft_timeout),
            negative_ttl: first(self.negative_ttl, others.negative_ttl),
            error_ttl: first(self.error_ttl, others.error_ttl),
            sliding: first(self.sliding, others.sliding),
            fleet: first(self.fleet, others.fleet),
            refresh_after: first(self.refresh_after, others.refresh_after),
        }
    }

    /// The times of a value that is written at `now`; `random` is below 1.
    pub(crate) fn times(&self, now: Millis, ttl: Ttl, random: f64) -> EntryTimes {
        let ttl = match ttl {
            Ttl::After(ttl) => {
                let most = ttl / 100 * u32::from(self.jitter.unwrap_or(0));
                Ttl::After(ttl.saturating_sub(most.mul_f64(random)))
            }
            Ttl::Never => Ttl::Never,
        };
        let times = EntryTimes::new(now, ttl);
        let grace = as_millis(self.grace.unwrap_or_default());
        EntryTimes { stale_until: times.fresh_until.saturating_add(grace), ..times }
    }

    /// Whether so much of the time of a value has passed that one should compute it anew.
    pub(crate) fn is_due(&self, times: &EntryTimes, now: Millis) -> bool {
        self.due_at(times).is_some_and(|due| due <= now)
    }

    /// When one should compute a value anew; `None`: not before its end.
    pub(crate) fn due_at(&self, times: &EntryTimes) -> Option<Millis> {
        let by_age = self.refresh_after.map(|age| times.created.saturating_add(as_millis(age)));
        let share = self.early_refresh.filter(|percent| *percent < 100);
        let by_share = share.filter(|_| times.fresh_until != NEVER).map(|percent| {
            let whole = u128::from(times.fresh_until.saturating_sub(times.created));
            let last = whole * u128::from(100 - percent) / 100;
            times.fresh_until.saturating_sub(u64::try_from(last).unwrap_or(u64::MAX))
        });
        match (by_age, by_share) {
            (Some(age), Some(share)) => Some(age.min(share)),
            (age, share) => age.or(share),
        }
    }

    /// A value is due up to a tenth earlier; `random` is below 1. So those that were computed at
    /// once are not computed at once again.
    pub(crate) fn earlier(mut self, random: f64) -> Self {
        let part = 1.0 - random / 10.0;
        self.refresh_after = self.refresh_after.map(|age| age.mul_f64(part));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "100 at most")]
        let shorten = |percent| (f64::from(percent) * part) as u8;
        self.early_refresh = self.early_refresh.map(shorten);
        self
    }

    /// The shortest time that jitter leaves. What has less was given a time of its own.
    fn least(&self, ttl: Duration) -> Millis {
        as_millis(ttl.saturating_sub(ttl / 100 * u32::from(self.jitter.unwrap_or(0))))
    }

    /// Until when a value would be fresh that is used at `now`, if that is worth writing down.
    pub(crate) fn slid(&self, times: &EntryTimes, ttl: Ttl, now: Millis) -> Option<EntryTimes> {
        let (Some(at_most), Ttl::After(ttl)) = (self.sliding, ttl) else { return None };
        let left = times.fresh_for(now)?;
        let whole = times.fresh_until.saturating_sub(times.created);
        if left > as_millis(ttl) / 2 || whole < self.least(ttl) {
            return None;
        }
        let end = times.created.saturating_add(as_millis(at_most));
        let fresh_until = now.saturating_add(as_millis(ttl)).min(end);
        let grace = times.stale_until.saturating_sub(times.fresh_until);
        let stale_until = fresh_until.saturating_add(grace);
        (fresh_until > times.fresh_until).then_some(EntryTimes {
            fresh_until,
            stale_until,
            ..*times
        })
    }
}

/// [`Option::or`], for constants.
const fn first<T: Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
    if one.is_some() { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ttl::{minutes, seconds};

    #[test]
    fn a_call_goes_before_its_namespace() {
        let namespace = Options::new().ttl(minutes(1)).grace(minutes(2)).jitter(200);
        let call = Options::new().ttl(minutes(3));
        let both = call.or(namespace);
        assert_eq!((both.ttl, both.grace), (Some(Ttl::After(minutes(3))), Some(minutes(2))));
        assert_eq!(both.jitter, Some(100));
    }

    /// In each of its parts.
    #[test]
    fn what_one_says_goes_before_what_the_other_does() {
        let all = |n: u8, on| {
            let time = |more| minutes(u64::from(n) + more);
            let options = Options::new().ttl(time(0)).jitter(n).grace(time(1)).early_refresh(n + 1);
            let options = options.timeout(time(2)).soft_timeout(time(3)).negative_ttl(time(4));
            let options = options.error_ttl(time(5)).sliding(time(6)).once_per_fleet(on);
            Options { refresh_after: Some(time(7)), ..options }
        };
        let (one, other, none) = (all(1, true), all(20, false), Options::new());
        for (both, expected) in [
            (one.or(other), one),
            (other.or(one), other),
            (none.or(one), one),
            (one.or(none), one),
            (none.or(none), none),
        ] {
            assert_eq!(both, expected);
        }
    }

    #[test]
    fn jitter_shortens_and_never_lengthens() {
        let options = Options::new().jitter(10).grace(seconds(5));
        let until = |random| options.times(1_000, Ttl::After(seconds(100)), random);
        assert_eq!((until(0.0).fresh_until, until(0.0).stale_until), (101_000, 106_000));
        assert_eq!((until(0.5).fresh_until, until(0.5).stale_until), (96_000, 101_000));
        assert!(until(0.999).fresh_until > 91_000);
        assert_eq!(options.times(1_000, Ttl::Never, 0.5).stale_until, u64::MAX);
    }

    /// Pinned: the longest time there is, shortened by all of it, was a panic.
    #[test]
    fn the_longest_time_can_be_shortened() {
        for jitter in [0, 1, 99, 100] {
            let options = Options::new().jitter(jitter);
            for random in [0.0, 0.5, 1.0 - f64::EPSILON] {
                let times = options.times(1_000, Ttl::After(Duration::MAX), random);
                assert!(times.fresh_until >= 1_000);
            }
        }
    }

    /// Pinned: a value that says that there is nothing lived as long as any other once it was used.
    #[test]
    fn what_was_given_a_shorter_time_keeps_it() {
        let options = Options::new().sliding(minutes(30)).jitter(10);
        let (ttl, short) = (Ttl::After(minutes(10)), Ttl::After(seconds(10)));
        assert_eq!(options.slid(&options.times(0, short, 0.0), ttl, 9_000), None);
        assert!(options.slid(&options.times(0, ttl, 0.999), ttl, 400_000).is_some());
    }

    #[test]
    fn an_early_refresh_is_due_when_its_share_has_passed() {
        let options = Options::new().early_refresh(80);
        let times = options.times(0, Ttl::After(seconds(100)), 0.0);
        assert!(!options.is_due(&times, 79_999) && options.is_due(&times, 80_000));
        assert!(!Options::new().is_due(&times, 99_999));
        assert!(!Options::new().early_refresh(100).is_due(&times, 99_999));
        assert!(!options.is_due(&options.times(0, Ttl::Never, 0.0), 99_999));
    }

    #[test]
    fn what_is_kept_warm_is_due_by_its_age_or_before_its_end() {
        let options =
            Options { refresh_after: Some(seconds(30)), ..Options::new().early_refresh(80) };
        let due = |ttl| options.due_at(&options.times(1_000, ttl, 0.0)).unwrap();
        assert_eq!((due(Ttl::After(seconds(100))), due(Ttl::Never)), (31_000, 31_000));
        assert_eq!(due(Ttl::After(seconds(10))), 9_000);
        let earlier = options.earlier(0.5);
        assert_eq!(earlier.early_refresh, Some(76));
        assert_eq!(earlier.refresh_after, Some(std::time::Duration::from_millis(28_500)));
        assert_eq!(options.earlier(0.0), options);
    }

    #[test]
    fn each_use_slides_the_end_but_not_past_the_last() {
        let (options, ttl) = (Options::new().sliding(seconds(100)), Ttl::After(seconds(40)));
        let times = options.times(0, ttl, 0.0);
        assert_eq!(options.slid(&times, ttl, 19_999), None, "not worth writing");
        let first = options.slid(&times, ttl, 30_000).unwrap();
        assert_eq!((first.created, first.fresh_until), (0, 70_000));
        let second = options.slid(&first, ttl, 65_000).unwrap();
        assert_eq!((second.fresh_until, second.stale_until), (100_000, 100_000));
        assert_eq!(options.slid(&second, ttl, 99_000), None);
        assert_eq!(Options::new().slid(&times, ttl, 30_000), None);
        assert_eq!(options.slid(&times, Ttl::Never, 30_000), None);
    }
}
