//! What a cache's settings say about the bytes in the store: compression, and the keys of encrypted
//! namespaces.

#[cfg(feature = "encryption")]
use std::sync::Arc;

#[cfg(feature = "compression")]
use crate::codec::Compression;
#[cfg(feature = "encryption")]
use crate::codec::Keyring;
use crate::codec::{Compressor, Encryptor, Packing};
use crate::config::Environment;
#[cfg(feature = "encryption")]
use crate::error::Error;
use crate::namespace::Namespace;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct PackingOptions {
    #[cfg(feature = "compression")]
    pub(crate) compression: Option<Compression>,
    #[cfg(feature = "compression")]
    pub(crate) threshold: Option<usize>,
    #[cfg(feature = "encryption")]
    pub(crate) keyring: Option<Arc<Keyring>>,
}

/// Values below this many bytes are hardly worth it.
#[cfg(feature = "compression")]
const THRESHOLD: usize = 1024;

impl PackingOptions {
    /// With what the environment says, where code says nothing.
    #[cfg(feature = "compression")]
    pub(crate) fn or(mut self, environment: &Environment) -> Self {
        let on = |on| if on { Compression::Zstd } else { Compression::Off };
        self.compression = self.compression.or(environment.compression.map(on));
        self.threshold = self.threshold.or(environment.compression_threshold);
        self
    }

    #[cfg(not(feature = "compression"))]
    pub(crate) fn or(self, _: &Environment) -> Self {
        self
    }

    /// # Errors
    /// If a namespace is encrypted and there are no keys, or the keys are not right.
    #[cfg(feature = "encryption")]
    pub(crate) fn check(&self, namespaces: &[Namespace]) -> Result<(), Error> {
        if let Some(keyring) = &self.keyring {
            return keyring.check();
        }
        match namespaces.iter().find(|namespace| namespace.is_encrypted()) {
            Some(namespace) => {
                let kind = if namespace.is_sensitive() { "sensitive" } else { "encrypted" };
                let name = namespace.name();
                let what = format!("namespace {name:?} is {kind}, but there is no keyring");
                Err(Error::config(what))
            }
            None => Ok(()),
        }
    }

    /// For one namespace, with its `max_value_size`.
    pub(crate) fn of(&self, namespace: &Namespace, limit: usize) -> Packing {
        let (compressor, encryptor) = (self.compressor(namespace), self.encryptor(namespace));
        Packing { limit, compressor, encryptor }
    }

    #[cfg(feature = "compression")]
    fn compressor(&self, namespace: &Namespace) -> Compressor {
        #[cfg(feature = "encryption")]
        let inherited = self.compression.filter(|_| !namespace.is_encrypted());
        #[cfg(not(feature = "encryption"))]
        let inherited = self.compression;
        let with = namespace.compression.or(inherited).unwrap_or_default();
        Compressor::new(with, self.threshold.unwrap_or(THRESHOLD))
    }

    #[cfg(not(feature = "compression"))]
    #[allow(clippy::unused_self, reason = "as where it is built in")]
    fn compressor(&self, _: &Namespace) -> Compressor {
        Compressor
    }

    #[cfg(feature = "encryption")]
    fn encryptor(&self, namespace: &Namespace) -> Encryptor {
        Encryptor::new(self.keyring.as_ref(), namespace.is_encrypted())
    }

    #[cfg(not(feature = "encryption"))]
    #[allow(clippy::unused_self, reason = "as where it is built in")]
    fn encryptor(&self, _: &Namespace) -> Encryptor {
        Encryptor
    }
}
