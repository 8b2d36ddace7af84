//! The handle on what is counted under one name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::check::Check;
use super::quota::{Algorithm, MAX_UNITS, Quota};
use super::table::Table;
use crate::cache::Cache;
use crate::clock::as_millis;
use crate::key::{Key, escape, fold};
use crate::state::Inner;

/// Counts how often things are done, and says when it is too often; cheap to clone.
///
/// Those of one name and one cache, or of caches with the same prefix and store, count together.
/// The module [`rate`](crate::rate) says how, and where.
#[derive(Clone)]
pub struct RateLimiter {
    pub(super) inner: Arc<Inner>,
    pub(super) table: Arc<Table>,
    /// Escaped.
    name: Arc<str>,
    algorithm: Algorithm,
    burst: Option<u64>,
    pub(super) when_unavailable: Unavailable,
}

/// What a limiter says when the store can't be asked: it is away, too slow, or refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unavailable {
    /// What this process counts for itself from then on.
    #[default]
    CountLocally,
    /// That it is allowed: fail open.
    Allow,
    /// That it is not: fail closed.
    Deny,
}

impl Cache {
    /// A rate limiter; those of one name count together.
    ///
    /// ```
    /// use cache_core::{Cache, seconds};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let logins = Cache::builder().build()?.rate_limiter("logins");
    /// let verdict = logins.check("ada@example.org", 5, seconds(60)).await;
    /// assert_eq!((verdict.allowed, verdict.remaining), (true, 4));
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    pub fn rate_limiter(&self, name: impl AsRef<str>) -> RateLimiter {
        let mut escaped = String::new();
        escape(name.as_ref(), &mut escaped);
        RateLimiter {
            table: self.inner.rates.of(&escaped),
            inner: Arc::clone(&self.inner),
            name: escaped.into(),
            algorithm: Algorithm::default(),
            burst: None,
            when_unavailable: Unavailable::default(),
        }
    }
}

impl RateLimiter {
    /// The limiter of a cache that needs only one: `cache.rate_limiter("default")`.
    pub fn new(cache: &Cache) -> Self {
        cache.rate_limiter("default")
    }

    /// Units become free evenly, rather than all at the end of a window
    /// ([`Algorithm::Gcra`]).
    ///
    /// ```
    /// use cache_core::{Cache, seconds};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// // Ten a second, and no more than two at once.
    /// let limiter = Cache::builder().build()?.rate_limiter("search").gcra().burst(2);
    /// let ask = async || limiter.check("ws1", 10, seconds(1)).await;
    /// assert!(ask().await.allowed && ask().await.allowed);
    /// let third = ask().await;
    /// assert!(!third.allowed && third.retry_after <= Some(std::time::Duration::from_millis(100)));
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn gcra(mut self) -> Self {
        self.algorithm = Algorithm::Gcra;
        self
    }

    /// How many units may be in use at once, with [GCRA](Self::gcra); it is switched on by this.
    /// Default: the limit. Below one counts as one.
    #[must_use]
    pub fn burst(mut self, units: u64) -> Self {
        self.burst = Some(units.clamp(1, MAX_UNITS));
        self.gcra()
    }

    /// What it says when the store can't be asked. Default: what this process counts for itself.
    #[must_use]
    pub fn when_unavailable(mut self, then: Unavailable) -> Self {
        self.when_unavailable = then;
        self
    }

    /// Counts one use of a key, if that is within `limit` uses in a `window`; what comes of it.
    ///
    /// Never fails: where the store can't be asked it is decided as
    /// [`when_unavailable`](Self::when_unavailable) says.
    pub fn check(&self, key: impl Into<Key>, limit: u64, window: Duration) -> Check {
        let (algorithm, window) = (self.algorithm, as_millis(window));
        let quota = Quota::new(algorithm, limit, window, self.burst, 1);
        Check::new(self.clone(), key.into(), quota)
    }

    /// The key in the store.
    pub(super) fn rendered(&self, key: &Key, quota: &Quota) -> String {
        let kind = match quota.algorithm {
            Algorithm::FixedWindow => 'w',
            Algorithm::Gcra => 'g',
        };
        // No namespace looks like this: after its name comes the version.
        let (prefix, window) = (&self.inner.prefix, quota.window);
        fold(format!("{prefix}:rate:{kind}{window}:{}:{}", self.name, key.as_str()))
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .field("burst", &self.burst)
            .field("when_unavailable", &self.when_unavailable)
            .finish_non_exhaustive()
    }
}

impl RateLimiter {
    /// The name, as it stands in keys.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}
