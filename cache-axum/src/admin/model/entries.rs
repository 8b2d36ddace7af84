//! Keys that are read most, and single entries.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// `?limit=&namespace=`
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TopKeysQuery {
    /// How many at most: 1 to 100. Default: 20.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// Of one namespace only.
    pub namespace: Option<String>,
}

/// The keys that were read most often, by a sample of the hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopKeysReport {
    /// One of so many hits was looked at.
    pub one_of: u64,
    /// How many were looked at.
    pub sampled: u64,
    /// The most read first.
    pub keys: Vec<TopKey>,
}

/// A key that is read often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopKey {
    /// The namespace it is in.
    pub namespace: String,
    /// The key in the store, as `/entry` takes it. In a sensitive namespace what stands for it.
    pub key: String,
    /// The workspace it names.
    pub workspace: Option<String>,
    /// About how many hits it had.
    pub hits: u64,
    /// By how many that may be too high.
    pub hits_error: u64,
}

/// `?key=`
#[derive(Debug, Clone, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EntryQuery {
    /// The whole key in the store (`{prefix}:{namespace}:v{version}:{key}`), as `/keys/top` and
    /// `redis-cli --scan` show it.
    #[param(example = "coldcopy:users:v1:42")]
    pub key: String,
}

/// What is known of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(clippy::struct_excessive_bools, reason = "each says something else")]
pub struct EntryReport {
    /// The key in the store.
    pub key: String,
    /// The namespace it is in.
    pub namespace: String,
    /// The workspace it names.
    pub workspace: Option<String>,
    /// Whether it is in this process' memory.
    pub in_memory: bool,
    /// Whether it is in the store; `null` where there is none, or it is away.
    pub in_store: Option<bool>,
    /// When it was made.
    pub created_at: u64,
    /// Until when it is fresh; `null`: it does not expire.
    pub fresh_until: Option<u64>,
    /// Until when it may be served stale; `null`: it does not expire.
    pub stale_until: Option<u64>,
    /// Whether it is fresh now.
    pub fresh: bool,
    /// Whether the generations of all its scopes are current: else it is not served.
    pub valid: bool,
    /// How many scopes it is under.
    pub scopes: u64,
    /// What it was tagged with.
    pub tags: Vec<TagReport>,
    /// Bytes of the value, as it was given or, where it is known, as it is packed in the store.
    pub size_bytes: u64,
    /// `msgpack`, `json`, ..
    pub format: String,
    /// Version of the value's shape; `null`: it was found in memory only.
    pub schema: Option<u32>,
    /// Whether it is compressed in the store; `null`: it is not known to be there.
    pub compressed: Option<bool>,
    /// Whether it is encrypted in the store; `null`: it is not known to be there.
    pub encrypted: Option<bool>,
    /// Whether the namespace is sensitive: its values are shown to nobody.
    pub sensitive: bool,
    /// The value, where bodies are allowed and the namespace is not sensitive; of a response its
    /// body.
    pub body: Option<EntryBody>,
    /// The head of a stored response, where bodies are allowed.
    pub response: Option<ResponseReport>,
}

/// The head of a stored response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseReport {
    /// Its status.
    pub status: u16,
    /// Its header fields, in no order.
    pub headers: Vec<HeaderReport>,
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeaderReport {
    /// Its name, in small letters.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A tag of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TagReport {
    /// Its text.
    pub text: String,
    /// The workspace whose tag it is; `null`: it is global, or of a family of its own.
    pub workspace: Option<String>,
    /// The family it belongs to, if it is one of the application's own.
    pub family: Option<String>,
}

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryBody {
    /// How the text is to be read.
    pub encoding: BodyEncoding,
    /// The beginning of the value.
    pub text: String,
    /// Whether there is more of it.
    pub truncated: bool,
}

/// How a stored value is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// A value as JSON.
    Json,
    /// As it is.
    Utf8,
    /// Two digits for each byte.
    Hex,
}
