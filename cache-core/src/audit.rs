//! The access audit of sensitive namespaces: an event for each read and write of a key.

use std::borrow::Cow;
use std::sync::Arc;

#[cfg(feature = "encryption")]
use crate::codec::Keyring;
use crate::middleware::Read;
use crate::namespace::Namespace;
use crate::packing::PackingOptions;
use crate::state::{EntryKey, NamespaceState};

/// What is done to a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Get,
    /// A read of how long it lives, or whether it is there.
    Ttl,
    Set,
    Touch,
    /// A value computed, or fetched from the origin.
    Fill,
    Delete,
    /// An operator looked at what is known of it.
    Inspect,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Read(Read),
    /// What is stale, in place of a value that could not be had.
    Stale,
    /// The value that somebody else had asked for at the same time.
    Shared,
    Done,
    /// Nothing was there to do it to, or it was overtaken.
    NotDone,
    /// Here at once, elsewhere later.
    Queued,
    Failed,
    /// Nobody waited for the end.
    Abandoned,
}

/// Whether, and under what secret, accesses to a namespace are events.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    #[cfg(feature = "encryption")]
    names: Option<Arc<Keyring>>,
}

impl Audit {
    #[cfg(feature = "encryption")]
    pub(crate) fn of(namespace: &Namespace, options: &PackingOptions) -> Self {
        Self { names: options.keyring.clone().filter(|_| namespace.is_sensitive()) }
    }

    #[cfg(not(feature = "encryption"))]
    pub(crate) fn of(_: &Namespace, _: &PackingOptions) -> Self {
        Self::default()
    }

    /// Whether accesses are events.
    #[cfg(feature = "encryption")]
    fn is_on(&self) -> bool {
        self.names.is_some()
    }

    #[cfg(not(feature = "encryption"))]
    #[allow(clippy::unused_self, reason = "as where it is built in")]
    fn is_on(&self) -> bool {
        false
    }

    /// What stands for a key; `None` where nothing is audited.
    #[cfg(feature = "encryption")]
    fn name(&self, namespace: &str, identity: &[u8]) -> Option<String> {
        Some(self.names.as_ref()?.hashed_name(namespace, identity))
    }

    #[cfg(not(feature = "encryption"))]
    #[allow(clippy::unused_self, reason = "as where it is built in")]
    fn name(&self, _: &str, _: &[u8]) -> Option<String> {
        None
    }
}

impl NamespaceState {
    /// Whether what is in it is shown to nobody, and accesses are events.
    pub(crate) fn is_sensitive(&self) -> bool {
        self.audit.is_on()
    }

    /// How a key of this namespace is called where people read it: in logs.
    pub(crate) fn shown<'k>(&self, identity: &[u8], rendered: &'k str) -> Cow<'k, str> {
        self.audit.name(&self.name, identity).map_or(Cow::Borrowed(rendered), Cow::Owned)
    }

    /// An access to a key of this namespace.
    pub(crate) fn audit(&self, operation: Operation, outcome: Outcome, identity: &[u8]) {
        let Some(key_hash) = self.audit.name(&self.name, identity) else { return };
        tracing::info!(
            target: "cache_core::audit",
            namespace = %self.name,
            operation = operation.as_str(),
            outcome = outcome.as_str(),
            %key_hash,
            "access"
        );
    }
}

impl EntryKey {
    /// How the key is called in logs.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        self.namespace.shown(&self.identity, &self.rendered)
    }
}

/// Accesses to keys that take time; events when they end, as they may at any moment.
pub(crate) struct Accesses {
    keys: Vec<Arc<EntryKey>>,
    operation: Operation,
    pub(crate) outcome: Outcome,
}

impl Accesses {
    /// Of those keys that are in sensitive namespaces.
    pub(crate) fn begin<'k>(
        operation: Operation,
        keys: impl IntoIterator<Item = &'k Arc<EntryKey>>,
    ) -> Self {
        let audited = |key: &&Arc<EntryKey>| key.namespace.audit.is_on();
        let keys = keys.into_iter().filter(audited).cloned().collect();
        Self { keys, operation, outcome: Outcome::Abandoned }
    }

    /// They have come to this end.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Accesses {
    fn drop(&mut self) {
        for key in &self.keys {
            key.namespace.audit(self.operation, self.outcome, &key.identity);
        }
    }
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Ttl => "ttl",
            Self::Set => "set",
            Self::Touch => "touch",
            Self::Fill => "fill",
            Self::Delete => "delete",
            Self::Inspect => "inspect",
        }
    }
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read(Read::L1Hit) => "l1_hit",
            Self::Read(Read::StoreHit) => "store_hit",
            Self::Read(Read::Miss) => "miss",
            Self::Stale => "stale",
            Self::Shared => "shared",
            Self::Done => "done",
            Self::NotDone => "not_done",
            Self::Queued => "queued",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}
