//! One entry, as it is: found by its key in the store, read for nobody, counted nowhere.

use std::sync::Arc;

use bytes::Bytes;

use crate::audit::{Operation, Outcome};
use crate::cache::Cache;
use crate::clock::{Deadline, Millis};
use crate::codec::{Decoded, Format, Wrapping, cost, decode, from_bytes, unpack};
use crate::entry::{Entry, EntryTimes};
use crate::error::{Error, ErrorKind};
use crate::invalidate::generation::{GenerationCell, GenerationRefs, Standing};
use crate::invalidate::wanted::WantedScopes;
use crate::key::{Key, MAX_RENDERED, is_shared_partition, segment, unescape};
use crate::l1::Slot;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

/// What is known of one entry: see [`Cache::inspect`].
#[derive(Debug, Clone)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each says something else")]
pub struct EntryInfo {
    /// The namespace it is in.
    pub namespace: String,
    /// The workspace it is under, of which `invalidate(Scope::workspace(..))` would be about it.
    pub workspace: Option<String>,
    /// Whether it is in this process' memory.
    pub in_memory: bool,
    /// Whether it is in the store; `None`: there is none, or it is away.
    pub in_store: Option<bool>,
    /// Its times, as they are now: a soft invalidation may have ended its freshness.
    pub times: EntryTimes,
    /// Whether it is fresh now.
    pub fresh: bool,
    /// Whether none of its scopes was invalidated since it was made: else nobody is given it.
    pub valid: bool,
    /// How many scopes it is under.
    pub scopes: usize,
    /// What it is tagged with.
    pub tags: Vec<EntryTag>,
    /// Bytes of the value; as they are packed in the store, if it was found there.
    pub size: usize,
    /// How it is serialized.
    pub format: Format,
    /// The version of its shape.
    pub schema: Option<u32>,
    /// Whether it is compressed in the store; `None`: it was not found there.
    pub compressed: Option<bool>,
    /// Whether it is encrypted in the store; `None`: it was not found there.
    pub encrypted: Option<bool>,
    /// Whether the namespace is sensitive.
    pub sensitive: bool,
    /// The value, unpacked, if it was asked for; `None` if the namespace is sensitive, or it can't be
    /// opened here.
    pub payload: Option<Bytes>,
}

/// A tag of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryTag {
    /// Its text.
    pub text: String,
    /// The workspace whose tag it is; `None`: it is global, or of a family of its own.
    pub workspace: Option<String>,
    /// The name of its family, if it is one of the application's own.
    pub family: Option<String>,
}

impl EntryInfo {
    /// The value as JSON, if the payload was asked for and is one of those formats that tell their
    /// own shape.
    pub fn json(&self) -> Option<serde_json::Value> {
        let payload = self.payload.as_ref().filter(|_| self.format != Format::Raw)?;
        from_bytes(self.format, payload)
    }
}

/// What was found in the store.
struct Stored {
    entry: Entry,
    wrapping: Option<Wrapping>,
    /// `None`: it is not valid.
    generations: Option<GenerationRefs>,
    workspace: Option<String>,
}

impl Cache {
    /// What is known of an entry, by its whole key in the store
    /// (`{prefix}:{namespace}:v{version}:{key}`): in the store if there is one, and in this process'
    /// memory. `None` if it is in neither, or the key is of no namespace that this process knows, or
    /// of another version of it. With `payload` the value, too, unless the namespace is sensitive.
    ///
    /// It counts as no read, and changes nothing. Finding it in memory goes through all that is
    /// there.
    ///
    /// ```
    /// use cache_core::{Cache, Deadline, seconds};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().prefix("shop").memory().build()?;
    /// cache.set("users", "42", "Ada").ttl(seconds(60)).tag("team:7").await?;
    /// let deadline = Deadline::after(seconds(1));
    /// let found = cache.inspect("shop:users:v1:42", true, deadline).await?.unwrap();
    /// assert_eq!((found.namespace.as_str(), found.fresh), ("users", true));
    /// assert_eq!(found.tags[0].text, "team:7");
    /// assert_eq!(found.json(), Some("Ada".into()));
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// If it is not in memory and the store is away.
    pub async fn inspect(
        &self,
        key: &str,
        payload: bool,
        deadline: Deadline,
    ) -> Result<Option<EntryInfo>, Error> {
        let inner = &self.inner;
        let Some(namespace) = inner.namespace_of(key) else { return Ok(None) };
        let slot = inner.slot_of(key);
        let stored = match inner.shared_store() {
            None => Ok(None),
            Some(_) => inner.stored_under(key, &namespace, deadline).await.map(Some),
        };
        let payload = payload && !namespace.is_sensitive();
        let now = inner.clock.now();
        let found = match (stored, slot) {
            (Ok(Some(Some(stored))), slot) => {
                namespace.audit_inspection(stored.identity());
                let mut info = stored.info(&namespace, now, slot.is_some());
                if payload {
                    info.payload = inner.opened(stored, &namespace, key, deadline).await;
                }
                info
            }
            (stored, Some(slot)) => {
                namespace.audit_inspection(&slot.identity);
                let in_store = stored.ok().flatten().map(|found| found.is_some());
                slot.info(inner, &namespace, now, in_store, payload)
            }
            (Ok(_), None) => return Ok(None),
            (Err(error), None) => return Err(error),
        };
        Ok(Some(found))
    }

    /// Whether an entry under this key may be one of this workspace: by the key alone, whether there
    /// is one or not.
    pub fn is_key_in_workspace(&self, key: &str, workspace: impl AsRef<str>) -> bool {
        let Some(namespace) = self.inner.namespace_of(key) else { return false };
        let rest = key.strip_prefix(namespace.facts().base()).unwrap_or_default();
        rest.split(':').next() == Some(Key::workspace(workspace).as_str())
    }

    /// Whether a namespace is sensitive: what is in it is shown to nobody.
    pub fn is_sensitive(&self, namespace: impl AsRef<str>) -> bool {
        self.namespace(namespace).state().is_ok_and(|state| state.is_sensitive())
    }

    /// Whether the first segment of all keys of a namespace is the workspace they belong to
    /// ([`Namespace::by_workspace`](crate::Namespace::by_workspace)).
    pub fn is_by_workspace(&self, namespace: impl AsRef<str>) -> bool {
        self.namespace(namespace).state().is_ok_and(|state| state.is_by_workspace())
    }

    /// The namespaces that this process knows: declared, or used since it started.
    pub fn known_namespaces(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.inner.namespaces().iter().map(|namespace| namespace.name.clone()).collect();
        names.sort_unstable();
        names
    }
}

impl Inner {
    /// The namespace whose keys, as they are now, begin like this one.
    fn namespace_of(&self, key: &str) -> Option<Arc<NamespaceState>> {
        let fits = |namespace: &Arc<NamespaceState>| key.starts_with(namespace.facts().base());
        self.namespaces().into_iter().find(fits)
    }

    /// The entry in this process' memory, valid or not.
    fn slot_of(&self, key: &str) -> Option<Arc<Slot>> {
        self.regions().find_map(|region| region.find_rendered(key))
    }

    async fn stored_under(
        &self,
        key: &str,
        namespace: &NamespaceState,
        deadline: Deadline,
    ) -> Result<Option<Stored>, Error> {
        let away = || Error::new(ErrorKind::Unavailable, "the store can't be asked now");
        let Some(store) = self.settled_store(deadline).await else {
            // Why, it says at once.
            if let Some(store) = &self.store {
                store.ping(deadline).await?;
            }
            return Err(away());
        };
        let found = store.fetch(&[key], deadline).await?.pop().flatten();
        let (entry, wrapping) = match found.as_ref().map(decode) {
            Some(Decoded::Value(entry)) => (entry, None),
            Some(Decoded::Packed(entry, wrapping)) => (entry, Some(wrapping)),
            Some(Decoded::Tombstone | Decoded::Corrupt) | None => return Ok(None),
        };
        let mut cells = self.cells_of(key, namespace, &entry);
        let first =
            key.strip_prefix(namespace.facts().base()).and_then(|rest| rest.split(':').next());
        let mut workspace = None;
        if let Some(first) = first {
            let cell = self.generations.cell(&self.names.workspace(first));
            // Keys that name a workspace record its generation.
            if entry.recorded(cell.fingerprint).is_some() {
                cells.push(cell);
                workspace = segment(first).filter(|_| !is_shared_partition(first));
            }
        }
        let generations = self.generations_of(&**store, &entry, &cells, deadline).await?;
        Ok(Some(Stored { entry, wrapping, generations, workspace }))
    }

    /// The scopes that an entry under this key is under, but for its workspace.
    fn cells_of(
        &self,
        key: &str,
        namespace: &NamespaceState,
        entry: &Entry,
    ) -> Vec<Arc<GenerationCell>> {
        let mut cells = vec![Arc::clone(&self.everything), Arc::clone(&namespace.cell)];
        let facts = namespace.facts();
        let rest = key.strip_prefix(facts.base()).unwrap_or_default();
        // Of a key that was cut nobody knows what it matches, but it has recorded that.
        if key.len() < MAX_RENDERED {
            let key = Key::of_rendered(rest);
            for template in facts.templates() {
                if let Some(instance) = template.instance(&key) {
                    let name = self.names.pattern(&namespace.name, &instance);
                    cells.push(self.generations.cell(&name));
                }
            }
        }
        cells.extend(entry.tags.iter().map(|tag| self.generations.cell(&self.names.tag(tag))));
        cells
    }

    /// The scopes in the state in which the entry was filled; `None` if one was invalidated since.
    async fn generations_of(
        &self,
        store: &dyn Store,
        entry: &Entry,
        cells: &[Arc<GenerationCell>],
        deadline: Deadline,
    ) -> Result<Option<GenerationRefs>, Error> {
        let mut refs: GenerationRefs = cells.iter().map(GenerationCell::snapshot).collect();
        let mut wanted = WantedScopes::new(cells);
        let names: Vec<&str> = wanted.names().collect();
        let found = store.fetch(&names, deadline).await?;
        wanted.answer(&found);
        let crossed = refs.iter_mut().filter_map(|scope| {
            let found = wanted.found(&scope.cell);
            (!scope.observe(found)).then_some(())
        });
        // All of them, so that each cell learns its id.
        if crossed.count() > 0 {
            return Ok(None);
        }
        Ok(refs
            .iter()
            .map(|scope| scope.of_entry(entry.recorded(scope.cell.fingerprint)))
            .collect())
    }

    async fn opened(
        &self,
        stored: Stored,
        namespace: &Arc<NamespaceState>,
        key: &str,
        deadline: Deadline,
    ) -> Option<Bytes> {
        let Stored { entry, wrapping, .. } = stored;
        if !namespace.packing.concerns(wrapping.as_ref()) {
            return Some(entry.payload);
        }
        let bytes = cost(wrapping.as_ref(), &entry.payload);
        let (namespace, key) = (Arc::clone(namespace), key.to_owned());
        let open = move || unpack(wrapping.as_ref(), &entry.payload, &namespace.packing, &key).ok();
        self.offload.run(bytes, Some(deadline), open).await.flatten()
    }
}

impl NamespaceState {
    fn audit_inspection(&self, identity: &[u8]) {
        self.audit(Operation::Inspect, Outcome::Done, identity);
    }
}

impl Stored {
    /// That of the key, within what the value is bound to: namespace and version before it.
    fn identity(&self) -> &[u8] {
        let bound = &self.entry.identity;
        let name = bound.first().map_or(0, |length| usize::from(*length));
        bound.get(1 + name + 4..).unwrap_or_default()
    }

    fn info(&self, namespace: &NamespaceState, now: Millis, in_memory: bool) -> EntryInfo {
        let entry = &self.entry;
        let times = match self.generations.as_deref().map(Standing::of) {
            Some(Standing::Stale(at)) => entry.times.stale_since(at, now),
            _ => entry.times,
        };
        let coding = self.wrapping.as_ref().map(Wrapping::told);
        let (compressed, encrypted) = coding.unwrap_or_default();
        EntryInfo {
            namespace: namespace.name.clone(),
            workspace: self.workspace.clone(),
            in_memory,
            in_store: Some(true),
            times,
            fresh: times.is_fresh(now),
            valid: self.generations.is_some(),
            scopes: entry.generations.len(),
            tags: entry.tags.iter().filter_map(|tag| EntryTag::parse(tag)).collect(),
            size: entry.payload.len(),
            format: entry.format,
            schema: Some(entry.schema),
            compressed: Some(compressed),
            encrypted: Some(encrypted),
            sensitive: namespace.is_sensitive(),
            payload: None,
        }
    }
}

impl Slot {
    fn info(
        &self,
        inner: &Inner,
        namespace: &NamespaceState,
        now: Millis,
        in_store: Option<bool>,
        payload: bool,
    ) -> EntryInfo {
        let valid = self.is_current();
        let times = if valid { self.times_at(now) } else { self.times };
        let names = || self.generations.iter().map(|scope| &*scope.cell.name);
        let tag = |name: &str| EntryTag::parse(inner.names.below(name)?);
        EntryInfo {
            namespace: namespace.name.clone(),
            workspace: self.workspace_name(),
            in_memory: true,
            in_store,
            times,
            fresh: times.is_fresh(now),
            valid,
            scopes: self.generations.len(),
            tags: names().filter_map(tag).collect(),
            size: self.payload.len(),
            format: self.format,
            schema: None,
            compressed: None,
            encrypted: None,
            sensitive: namespace.is_sensitive(),
            payload: payload.then(|| self.payload.clone()),
        }
    }
}

impl EntryTag {
    /// From a rendered tag; `None` if it is another scope.
    fn parse(rendered: &str) -> Option<Self> {
        let (kind, rest) = rendered.split_once(':')?;
        let plain = |text: &str| Self { text: unescape(text), workspace: None, family: None };
        match kind {
            "t" => Some(plain(rest)),
            "u" => {
                let (workspace, text) = rest.split_once(':')?;
                Some(Self { workspace: Some(unescape(workspace)), ..plain(text) })
            }
            "g" => {
                let (family, text) = rest.split_once(':')?;
                Some(Self { family: Some(unescape(family)), ..plain(text) })
            }
            _ => None,
        }
    }
}
