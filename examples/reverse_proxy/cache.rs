//! The cache of the proxy, from its command line.

use std::time::Duration;

use cache_core::{Cache, Error, RedisOptions, hours};
use cache_tower::{HttpCache, Workspace};

use crate::args::CacheSettings;

/// What a stored response needs beside its body.
const HEAD_ROOM: usize = 16 * 1024;

/// Builds the cache. Standards-honouring: it stores what responses allow, for as long as they say,
/// unless told to guess.
pub(crate) fn build(settings: CacheSettings) -> Result<HttpCache, Error> {
    let mut cache = Cache::builder().memory().l1(!settings.no_l1);
    if let Some(redis) = &settings.redis {
        cache = cache.redis(RedisOptions::url(&redis.0)?);
    }
    if let Some(prefix) = settings.prefix {
        cache = cache.prefix(prefix);
    }
    if let Some(budget) = settings.budget {
        cache = cache.operation_budget(Duration::from_millis(budget));
    }
    if let Some(bytes) = settings.l1_bytes {
        cache = cache.l1_bytes(bytes);
    }
    let max_body = settings.max_body.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if let Some(bytes) = max_body {
        cache = cache.max_value_size(bytes.saturating_add(HEAD_ROOM));
    }
    let header = settings.workspace_header.as_ref().map_or("x-workspace-id", |name| name.as_str());
    let workspace = if settings.require_workspace {
        Workspace::header(header)
    } else {
        Workspace::optional_header(header)
    };
    let mut http =
        HttpCache::builder(cache.build()?).workspace(workspace).targets(["cdn-cache-control"]);
    if let Some(bytes) = max_body {
        http = http.max_body(bytes);
    }
    if settings.heuristic {
        http = http.heuristic_freshness(hours(24));
    }
    if settings.normalize {
        http = http.normalize_accept_encoding().normalize_accept_language();
    }
    Ok(http.build())
}
