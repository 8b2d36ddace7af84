//! The one error type of this crate: a kind to act on, a message to read.
//!
//! ```
//! use cache_core::{Cache, ErrorKind};
//!
//! let error = Cache::builder().prefix("not ok: {}").build().unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Config);
//! ```

use std::borrow::Cow;
use std::fmt;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting (in code or in the environment) is invalid. Only start-up returns it.
    Config,
    /// The store can't be reached: connection refused or lost, or the breaker is open.
    Unavailable,
    /// The store did not answer within the operation budget.
    Timeout,
    /// The store answers, but takes no writes for now: it is a replica (as during a failover), or
    /// can't save (`MISCONF`), or has too few replicas.
    ReadOnly,
    /// The store refused the command: no permission, or a wrong password.
    Denied,
    /// The store is out of memory and takes no writes.
    Full,
    /// The value could not be serialized.
    Encode,
    /// The value is larger than the namespace's `max_value_size`.
    TooLarge,
    /// More namespaces were named at run time than the cache keeps apart.
    TooManyNamespaces,
    /// The store answered something that the protocol does not allow here.
    Protocol,
    /// The cache has been shut down.
    Closed,
}

/// An error of the cache. Never holds secrets or values; may hold key names.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    code: Option<Box<str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of the given kind; a [`Store`](crate::Store) written outside this crate needs it.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), code: None, source: None }
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// The same error for somebody else, without what caused it.
    pub(crate) fn again(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            code: self.code.clone(),
            source: None,
        }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the code by which the store named it.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The code by which the store named it, such as `OOM`; `None`: it is not the store's word.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// What went wrong, as far as a caller can act on it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the store was away (unreachable or out of its budget), rather than the request wrong.
    pub fn is_outage(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Whether a store that is told the same later may do it: it was away or took no writes for
    /// now, or there is no telling whether it was done.
    pub fn is_passing(&self) -> bool {
        self.is_outage()
            || matches!(self.kind, ErrorKind::ReadOnly | ErrorKind::Full | ErrorKind::Protocol)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
