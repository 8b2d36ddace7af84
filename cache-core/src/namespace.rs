//! Namespaces: families of entries with one TTL, version and set of options. Pure.
//!
//! ```
//! use cache_core::{Namespace, minutes};
//!
//! const SEARCH: Namespace = Namespace::new("search").ttl(minutes(10)).version(2);
//! # assert_eq!(SEARCH.name(), "search");
//! ```

use std::borrow::Cow;
use std::time::Duration;

use crate::compute::Options;
use crate::error::Error;
use crate::ttl::Ttl;

/// A named family of entries. All methods are `const`, so that it can be a constant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Namespace {
    name: Cow<'static, str>,
    pub(crate) options: Options,
    pub(crate) version: u32,
    pub(crate) max_value_size: Option<usize>,
    pub(crate) max_entries: Option<usize>,
    pub(crate) l1: bool,
    pub(crate) l1_ttl: Option<Duration>,
    pub(crate) by_workspace: bool,
}

/// Holds cached HTTP responses unless a layer names another namespace. Always there.
pub const API_RESPONSES: &str = "api_responses";

/// Taken by the generations, which live beside the namespaces.
const RESERVED: &str = "gen";
const MAX_NAME: usize = 64;

impl Namespace {
    /// A namespace with the cache's default TTL, version 1.
    pub const fn new(name: &'static str) -> Self {
        Self::of(Cow::Borrowed(name))
    }

    /// As [`new`](Self::new), with a name made at run time.
    pub fn named(name: impl Into<String>) -> Self {
        Self::of(Cow::Owned(name.into()))
    }

    const fn of(name: Cow<'static, str>) -> Self {
        Self {
            name,
            options: Options::new(),
            version: 1,
            max_value_size: None,
            max_entries: None,
            l1: true,
            l1_ttl: None,
            by_workspace: false,
        }
    }

    /// How long entries are fresh, unless a call says otherwise.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.options = self.options.ttl(ttl);
        self
    }

    /// How its values are kept and computed, unless a call says otherwise: a TTL among that, or in
    /// [`ttl`](Self::ttl).
    pub const fn options(mut self, options: Options) -> Self {
        let ttl = if options.ttl.is_some() { options.ttl } else { self.options.ttl };
        self.options = Options { ttl, ..options };
        self
    }

    /// For how long past its freshness a value is kept, to be used when it can't be made anew (see
    /// [`Options::grace`]).
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.options = self.options.grace(grace);
        self
    }

    /// Entries stay until deleted, invalidated or evicted.
    pub const fn never_expires(mut self) -> Self {
        self.options = self.options.never_expires();
        self
    }

    /// Part of every key: raising it leaves all entries of the older version behind. The version in
    /// keys is this and the number of times it was raised at run time
    /// ([`Cache::bump_version`](crate::Cache::bump_version)).
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Values above this many bytes (serialized) are refused. Default: 1 MiB.
    pub const fn max_value_size(mut self, bytes: usize) -> Self {
        self.max_value_size = Some(bytes);
        self
    }

    /// At most this many entries in this process' memory, in a share of the L1 of its own.
    /// (In Redis, TTLs and `maxmemory` bound the number.)
    pub const fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// Whether entries are also kept in this process' memory, beside Redis. Default: yes.
    pub const fn l1(mut self, on: bool) -> Self {
        self.l1 = on;
        self
    }

    /// How long this process' memory may answer without asking Redis. Where it is not proven that
    /// nothing has changed since (see [`coherence`](crate::coherence)), 60 s at most. Default: 5 s
    /// without such a proof, as long as the entry lives with it.
    pub const fn l1_ttl(mut self, ttl: Duration) -> Self {
        self.l1_ttl = Some(ttl);
        self
    }

    /// The first segment of every key names a workspace, so that invalidating the workspace
    /// covers this namespace.
    pub const fn by_workspace(mut self) -> Self {
        self.by_workspace = true;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_name(&self.name)?;
        if self.options.ttl == Some(Ttl::After(Duration::ZERO)) {
            return Err(Error::config(format!("namespace {:?}: a TTL of zero", self.name)));
        }
        if self.max_entries == Some(0) {
            return Err(Error::config(format!("namespace {:?}: max_entries of zero", self.name)));
        }
        Ok(())
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

/// Namespace names are escaped like key segments, so any text would be safe; what is refused
/// here is what would be a mistake.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fault = match name {
        "" => "is empty",
        RESERVED => "is reserved",
        _ if name.len() > MAX_NAME => "is longer than 64 bytes",
        _ => return Ok(()),
    };
    Err(Error::config(format!("namespace name {name:?} {fault}")))
}
