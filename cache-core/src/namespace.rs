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

#[cfg(feature = "compression")]
use crate::codec::Compression;
use crate::codec::Format;
use crate::compute::Options;
use crate::error::Error;
use crate::stats::HitRatioWarning;
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
    pub(crate) hit_ratio: Option<HitRatioWarning>,
    pub(crate) format: Format,
    #[cfg(feature = "compression")]
    pub(crate) compression: Option<Compression>,
    #[cfg(feature = "encryption")]
    secrecy: Secrecy,
}

/// Each includes those before.
#[cfg(feature = "encryption")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    None,
    Encrypted,
    Sensitive,
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
            hit_ratio: None,
            format: Format::MessagePack,
            #[cfg(feature = "compression")]
            compression: None,
            #[cfg(feature = "encryption")]
            secrecy: Secrecy::None,
        }
    }

    /// How long entries are fresh, unless a call says otherwise.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.options = self.options.ttl(ttl);
        self
    }

    /// How its values are kept and computed, unless a call says otherwise. What these options say
    /// nothing of stays as it was said before (by [`ttl`](Self::ttl), [`grace`](Self::grace), or this).
    pub const fn options(mut self, options: Options) -> Self {
        self.options = options.or(self.options);
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

    /// Values above this many bytes (serialized, not compressed) are refused, and so are stored ones
    /// that would be larger uncompressed. Default: 1 MiB.
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

    /// See [`Builder::hit_ratio_warning`](crate::Builder::hit_ratio_warning); beats what that says.
    pub const fn hit_ratio_warning(mut self, percent: u8, reads: u64) -> Self {
        self.hit_ratio = Some(HitRatioWarning { percent, reads });
        self
    }

    /// How values are serialized. What was stored in another format is still read. Default:
    /// [`Format::MessagePack`]. (Cached HTTP responses have a format of their own.)
    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// How values are compressed on the way to the store. Default: as the builder says
    /// ([`Builder::compression`](crate::Builder::compression)); off for namespaces that are
    /// encrypted, because what a secret compresses to with what a stranger has chosen tells of
    /// the secret: to be turned on only where no value holds both.
    #[cfg(feature = "compression")]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Values are encrypted in the store, with the builder's [`Keyring`](crate::Keyring); without
    /// one, the cache can't be built. In this process' memory they are not. What is found in the
    /// store and is not encrypted is a miss, and overwritten.
    #[cfg(feature = "encryption")]
    pub const fn encrypted(mut self) -> Self {
        if matches!(self.secrecy, Secrecy::None) {
            self.secrecy = Secrecy::Encrypted;
        }
        self
    }

    /// As [`encrypted`](Self::encrypted), and each read and write of a key is an event of `tracing`
    /// (target `cache_core::audit`, level info): with the namespace, the operation, its outcome, and
    /// a keyed hash that stands for the key; never the key or the value (nor is the key in other
    /// events of this crate). Reads that this process'
    /// memory answers are among them. What invalidates or sweeps a whole scope names no key, and is
    /// no such event.
    #[cfg(feature = "encryption")]
    pub const fn sensitive(mut self) -> Self {
        self.secrecy = Secrecy::Sensitive;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[cfg(feature = "encryption")]
    pub(crate) fn is_encrypted(&self) -> bool {
        self.secrecy != Secrecy::None
    }

    #[cfg(feature = "encryption")]
    pub(crate) fn is_sensitive(&self) -> bool {
        self.secrecy == Secrecy::Sensitive
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
