//! Typed namespaces: a namespace whose keys and values are of one type each.
//!
//! - `key`: how a type becomes a key;
//! - `handle`: the operations;
//! - `shared`: values kept decoded in this process' memory.

mod handle;
mod key;
mod shared;

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

pub use self::handle::Typed;
pub use self::key::{CacheKey, KeySegment};
use crate::cache::Cache;
use crate::error::ErrorKind;
use crate::namespace::Namespace;

/// A namespace whose keys are `K` and whose values are `V`, which is checked when the program is
/// compiled; and a version of the shape of `V`. Usually a constant.
///
/// ```
/// use cache_core::{Cache, Namespace, TypedNamespace, minutes};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct Report {
///     visits: u64,
/// }
///
/// const ANALYTICS: Namespace = Namespace::new("analytics").ttl(minutes(5));
/// /// By workspace and campaign. 3: `visits` is a number.
/// const REPORTS: TypedNamespace<(String, u64), Report> = TypedNamespace::new(ANALYTICS).schema(3);
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder().namespace(ANALYTICS).build()?;
/// let reports = cache.typed(&REPORTS);
///
/// let key = ("ws1".to_owned(), 42);
/// let query = async || Ok::<_, std::io::Error>(Report { visits: 7 });
/// assert_eq!(reports.get_or_compute(&key, query).await?.visits, 7);
/// assert_eq!(reports.get(&key).await?, Some(Report { visits: 7 }));
/// reports.delete(&key).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// A key of another type does not compile:
///
/// ```compile_fail,E0308
/// # use cache_core::{Cache, Namespace, TypedNamespace};
/// # const USERS: TypedNamespace<u64, String> = TypedNamespace::new(Namespace::new("users"));
/// # async fn wrong(cache: Cache) {
/// let user = cache.typed(&USERS).get("42").await;
/// # }
/// ```
///
/// nor does a value of another type:
///
/// ```compile_fail,E0308
/// # use cache_core::{Cache, Namespace, TypedNamespace};
/// # const USERS: TypedNamespace<u64, String> = TypedNamespace::new(Namespace::new("users"));
/// # async fn wrong(cache: Cache) {
/// let set = cache.typed(&USERS).set(&42, &7).await;
/// # }
/// ```
///
/// # Schemas
///
/// The schema is part of each key (its last segment, which no other key has), so entries of
/// different schemas lie beside each other: a value written under another schema is a miss, and
/// while a new version is being rolled out, instances of the old and of the new one each compute a
/// value once, instead of overwriting each other's. Entries of the old one go when their time has
/// passed, or by [`Cache::clear`].
///
/// What invalidates a namespace, a workspace, a tag, or a pattern that was declared or ends in `*`,
/// invalidates the entries of all schemas. [`Typed::delete`] deletes those of its own schema and of the two beside
/// it, which is what runs during a rollout. [`Typed::set`] writes its own only: who replaces a value
/// because its source has changed deletes it, or invalidates a tag, rather than overwrite it.
pub struct TypedNamespace<K: ?Sized, V> {
    namespace: Namespace,
    schema: u32,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> TypedNamespace<K, V> {
    /// A typed view of a namespace, whose settings are those that
    /// [`Builder::namespace`](crate::Builder::namespace) is told.
    pub const fn new(namespace: Namespace) -> Self {
        Self { namespace, schema: 0, types: PhantomData }
    }

    /// Which shape the values have: to be raised whenever `V` changes so that it no longer reads, or
    /// misreads, what was written before. Default: 0.
    #[must_use]
    pub const fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// The namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl<K: ?Sized, V> fmt::Debug for TypedNamespace<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedNamespace")
            .field("namespace", &self.namespace)
            .field("schema", &self.schema)
            .field("value", &type_name::<V>())
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// The operations on a typed namespace.
    ///
    /// Within one process, a schema of a namespace is of one pair of types: every operation of a
    /// handle with others says so (an error of the kind
    /// [`Config`](crate::ErrorKind::Config)), or computes without the cache.
    pub fn typed<K, V>(&self, namespace: &TypedNamespace<K, V>) -> Typed<K, V>
    where
        K: ?Sized + 'static,
        V: 'static,
    {
        let mut values = self.namespace(&namespace.namespace);
        if let Ok(state) = &values.state
            && let Err(other) = state.types.claim::<K, V>(namespace.schema)
        {
            let (name, schema) = (&state.name, namespace.schema);
            let what = format!("schema {schema} of the namespace {name:?} is of {other}");
            values.state = Err((ErrorKind::Config, what));
        }
        Typed::new(values, namespace.schema)
    }
}

/// The types that the schemas of a namespace have in this process.
#[derive(Debug, Default)]
pub(crate) struct Types(Mutex<HashMap<u32, Pair>>);

#[derive(Debug)]
struct Pair {
    ids: (TypeId, TypeId),
    name: &'static str,
}

impl Types {
    /// # Errors
    /// The types that the schema has, if they are others.
    fn claim<K: ?Sized + 'static, V: 'static>(&self, schema: u32) -> Result<(), &'static str> {
        let ids = (TypeId::of::<K>(), TypeId::of::<V>());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = known.entry(schema).or_insert(Pair { ids, name: type_name::<V>() });
        if pair.ids == ids { Ok(()) } else { Err(pair.name) }
    }
}
