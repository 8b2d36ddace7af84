//! Encryption of payloads. Pure, but for the nonces, which are random.
//!
//! An encrypted payload is the id of its key (u32, little-endian), a nonce of 24 bytes, and what
//! XChaCha20-Poly1305 makes of the payload (16 bytes longer). Authenticated with it are all of the
//! envelope before the payload, but for length and checksum, and the key in the store.
//!
//! XChaCha20-Poly1305, because many processes write under one key and share no counter: its nonces
//! are long enough to be random whatever the number of writes, where AES-GCM's 96 bits are not
//! past 2³² of them; and it takes no longer, and leaks nothing by its timing, where the processor
//! has no instructions for AES.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::frame::Unreadable;
use crate::error::Error;
use crate::key::hex_128;

/// The keys that stored values are encrypted with:
/// [`Builder::keyring`](crate::Builder::keyring), [`Namespace::encrypted`](crate::Namespace::encrypted).
///
/// Values are encrypted with XChaCha20-Poly1305 under the current key, and read under that or an
/// older one. They are bound to their key in the cache, their times and all else that the entry
/// says: bytes that were put under another key, or changed anywhere, don't open. Names are not
/// hidden: those of keys and tags stand in the store in clear, as do sizes and times.
///
/// ```
/// use cache_core::{Cache, Keyring, Namespace};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let (this_year, last_year) = ([7; 32], [6; 32]);
/// let cache = Cache::builder()
///     .keyring(Keyring::new(2, this_year).older(1, last_year))
///     .namespace(Namespace::new("sessions").encrypted())
///     .namespace(Namespace::new("patients").sensitive())
///     .build()?;
/// cache.set("patients", "42", "Ada").await?;
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
///
/// # Rotation
///
/// Each key has a number, and a newer one a higher number. To rotate, give all instances the new
/// keyring, `Keyring::new(3, new).older(2, ..)`, in one deployment. Those that don't have the new
/// key yet find its entries unreadable: to them they are misses, counted in
/// [`NamespaceStats::unreadable`](crate::NamespaceStats::unreadable), which they don't overwrite, so
/// that neither undoes the other's work; they keep what they compute in their own memory. An
/// older key may be dropped when the longest TTL has passed; entries under a key that was dropped
/// are misses, and are overwritten.
///
/// # Secrets
///
/// Keys are 32 random bytes (`openssl rand 32`), from a place for secrets. They are never shown, and
/// wiped from memory when the last of their ring is dropped.
#[derive(Clone)]
pub struct Keyring {
    current: Key,
    older: Vec<Key>,
    names: Zeroizing<[u8; 32]>,
}

#[derive(Clone)]
struct Key {
    id: u32,
    cipher: XChaCha20Poly1305,
}

impl Key {
    fn new(id: u32, key: &[u8; 32]) -> Self {
        Self { id, cipher: XChaCha20Poly1305::new(key.into()) }
    }
}

impl Keyring {
    /// A ring of one key, under which everything is encrypted.
    pub fn new(id: u32, key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self { current: Key::new(id, &key), older: Vec::new(), names: names_key(&key) }
    }

    /// Adds a key of an earlier time (a lower number), under which entries are still read.
    #[must_use]
    pub fn older(mut self, id: u32, key: [u8; 32]) -> Self {
        self.older.push(Key::new(id, &Zeroizing::new(key)));
        self
    }

    /// The secret under which names are hashed for the access audit of sensitive namespaces, so that
    /// they stay the same when the key changes. Without it, it is made from the current key.
    #[must_use]
    pub fn audit_key(mut self, key: [u8; 32]) -> Self {
        self.names = names_key(&Zeroizing::new(key));
        self
    }

    /// # Errors
    /// If a number is given twice, or an older key has a higher one than the current.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (n, key) in self.older.iter().enumerate() {
            let fault = if key.id >= self.current.id {
                format!("the current key, {}, has to have a higher number", self.current.id)
            } else if self.older.iter().take(n).any(|other| other.id == key.id) {
                "there are two of that number".to_owned()
            } else {
                continue;
            };
            return Err(Error::config(format!("keyring: older key {}: {fault}", key.id)));
        }
        Ok(())
    }

    /// What stands for a name where it must not be shown.
    pub(crate) fn hashed_name(&self, namespace: &str, identity: &[u8]) -> String {
        let digest = Sha256::new()
            .chain_update(self.names.as_slice())
            .chain_update((namespace.len() as u64).to_le_bytes())
            .chain_update(namespace)
            .chain_update(identity);
        // Half of the digest, which can't be continued to that of a longer name.
        hex_128(&digest.finalize())
    }
}

fn names_key(key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let digest = Sha256::new().chain_update(b"cache-core, names in the audit\0").chain_update(key);
    Zeroizing::new(digest.finalize().into())
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<u32> = self.older.iter().map(|key| key.id).collect();
        f.debug_struct("Keyring")
            .field("current", &self.current.id)
            .field("older", &older)
            .finish_non_exhaustive()
    }
}

const ID: usize = 4;
const NONCE: usize = 24;

/// Encrypts the payloads of a namespace, or reads what others have encrypted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Encryptor {
    ring: Option<Arc<Keyring>>,
    on: bool,
}

impl Encryptor {
    /// For a namespace whose payloads are all encrypted, or one that may meet such.
    pub(crate) fn new(ring: Option<&Arc<Keyring>>, on: bool) -> Self {
        Self { ring: ring.cloned(), on }
    }

    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// `None` if there is no randomness to encrypt with.
    pub(super) fn encrypt(&self, bound_to: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        encrypt(self.ring.as_deref()?, bound_to, payload)
    }

    pub(super) fn decrypt(&self, bound_to: &[u8], payload: &[u8]) -> Result<Bytes, Unreadable> {
        decrypt(self.ring.as_deref().ok_or(Unreadable::NoKey)?, bound_to, payload)
    }
}

fn encrypt(ring: &Keyring, bound_to: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let nonce = XNonce::try_generate().ok()?;
    let message = Payload { msg: payload, aad: bound_to };
    let sealed = ring.current.cipher.encrypt(&nonce, message).ok()?;
    let mut out = Vec::with_capacity(ID + NONCE + sealed.len());
    out.put_u32_le(ring.current.id);
    out.put_slice(&nonce);
    out.put_slice(&sealed);
    Some(out)
}

fn decrypt(ring: &Keyring, bound_to: &[u8], bytes: &[u8]) -> Result<Bytes, Unreadable> {
    let (id, rest) = bytes.split_first_chunk::<ID>().ok_or(Unreadable::NotAuthentic)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(Unreadable::NotAuthentic)?;
    let id = u32::from_le_bytes(*id);
    if id > ring.current.id {
        return Err(Unreadable::NoKey);
    }
    let mut keys = std::iter::once(&ring.current).chain(&ring.older);
    let key = keys.find(|key| key.id == id).ok_or(Unreadable::DroppedKey)?;
    let message = Payload { msg: sealed, aad: bound_to };
    let payload = key.cipher.decrypt(&XNonce::from(*nonce), message);
    payload.map(Bytes::from).map_err(|_| Unreadable::NotAuthentic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_opens_with_its_key_and_what_it_is_bound_to() {
        let (first, second) = (Keyring::new(1, [1; 32]), Keyring::new(2, [2; 32]));
        let both = second.clone().older(1, [1; 32]);
        let old = encrypt(&first, b"place", b"secret").unwrap();
        let new = encrypt(&both, b"place", b"secret").unwrap();
        assert_eq!(old.len(), b"secret".len() + ID + NONCE + 16);
        for sealed in [&old, &new] {
            assert_eq!(decrypt(&both, b"place", sealed).unwrap(), &b"secret"[..]);
            assert_eq!(decrypt(&both, b"elsewhere", sealed), Err(Unreadable::NotAuthentic));
            for n in 0..sealed.len() {
                let mut bad = sealed.clone();
                bad[n] ^= 1;
                assert!(decrypt(&both, b"place", &bad).is_err(), "byte {n}");
                assert!(decrypt(&both, b"place", &sealed[..n]).is_err(), "cut at {n}");
            }
        }
        assert_eq!(decrypt(&first, b"place", &new), Err(Unreadable::NoKey));
        assert_eq!(decrypt(&second, b"place", &old), Err(Unreadable::DroppedKey));
        let same_number = Keyring::new(1, [3; 32]);
        assert_eq!(decrypt(&same_number, b"place", &old), Err(Unreadable::NotAuthentic));
    }

    #[test]
    fn nonces_differ() {
        let ring = Keyring::new(1, [1; 32]);
        let nonce = || encrypt(&ring, b"", b"").unwrap()[4..28].to_vec();
        assert_ne!(nonce(), nonce());
    }

    #[test]
    fn a_ring_has_one_key_of_each_number_and_the_current_is_the_highest() {
        let ring = || Keyring::new(5, [5; 32]);
        assert!(ring().older(4, [4; 32]).older(2, [2; 32]).check().is_ok());
        for bad in [
            ring().older(5, [5; 32]),
            ring().older(6, [6; 32]),
            ring().older(3, [3; 32]).older(3, [4; 32]),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_hashed_under_a_secret_that_may_outlive_the_key() {
        let hashed = |ring: Keyring| ring.hashed_name("users", b"1");
        let (first, second) = (Keyring::new(1, [1; 32]), Keyring::new(2, [2; 32]));
        assert_ne!(hashed(first.clone()), hashed(second.clone()));
        assert_eq!(hashed(first.audit_key([9; 32])), hashed(second.clone().audit_key([9; 32])));
        assert_ne!(second.hashed_name("a", b"b1"), second.hashed_name("ab", b"1"));
        assert_eq!(hashed(second).len(), 32);
    }

    #[test]
    fn keys_are_never_shown() {
        let ring = Keyring::new(2, [0xAB; 32]).older(1, [0xCD; 32]);
        let shown = format!("{ring:?} {ring:#?}").to_lowercase();
        let secrets = ["171", "205", "ab, ", "cd, ", "abab", "cdcd"];
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
}
