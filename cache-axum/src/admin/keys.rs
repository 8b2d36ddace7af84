//! `GET /keys/top` and `GET /entry`.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use cache_core::{Deadline, EntryInfo, Format};

use super::builder::Shared;
use super::guard::Who;
use super::model::{
    self, BodyEncoding, EntryBody, EntryQuery, EntryReport, HeaderReport, ResponseReport,
    TagReport, TopKey, TopKeysQuery, TopKeysReport,
};
use super::problem::Problem;
use super::take::{Answer, Params, ok};

const MOST_KEYS: u16 = 100;
const MOST_OF_A_BODY: usize = 64 * 1024;
/// Keys in a store are at most this long.
const LONGEST_KEY: usize = 512;

/// The keys that were read most, of late, by this process.
#[utoipa::path(
    get,
    path = "/keys/top",
    tag = "entries",
    params(TopKeysQuery),
    responses((status = 200, body = TopKeysReport))
)]
pub(super) async fn top(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Params(query): Params<TopKeysQuery>,
) -> Result<Answer<TopKeysReport>, Problem> {
    let limit = query.limit.unwrap_or(20);
    if !(1..=MOST_KEYS).contains(&limit) {
        return Err(Problem::bad_request("`limit` is 1 to 100"));
    }
    let namespace = query.namespace.as_deref();
    let found = shared.cache().top_keys(usize::from(limit), namespace, who.0.scope());
    let key = |key: cache_core::TopKey| TopKey {
        namespace: key.namespace,
        key: key.key,
        workspace: key.workspace,
        hits: key.hits,
        hits_error: key.hits_error,
    };
    let keys = found.keys.into_iter().map(key).collect();
    Ok(ok(TopKeysReport { one_of: found.one_of, sampled: found.sampled, keys }))
}

/// What is known of one entry.
#[utoipa::path(
    get,
    path = "/entry",
    tag = "entries",
    params(EntryQuery),
    responses(
        (status = 200, body = EntryReport),
        (status = 404, description = "No such entry, or not yours", body = model::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not in memory, and the store is away", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn entry(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Params(EntryQuery { key }): Params<EntryQuery>,
) -> Result<Answer<EntryReport>, Problem> {
    let cache = shared.cache();
    if key.len() > LONGEST_KEY || !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        // None is called so.
        return Err(Problem::not_found());
    }
    // Before it is looked for: so it takes no time to tell.
    if let Some(own) = who.0.scope()
        && !cache.is_key_in_workspace(&key, own)
    {
        return Err(Problem::not_found());
    }
    let deadline = Deadline::after(cache.operation_budget());
    let found = cache.inspect(&key, shared.allow_bodies, deadline).await;
    let found = found.map_err(|error| Problem::of_cache(&error, who.0.is_operator()))?;
    let theirs =
        |found: &EntryInfo| who.0.scope().is_none_or(|own| found.workspace.as_deref() == Some(own));
    let found = found.filter(theirs).ok_or_else(Problem::not_found)?;
    let stored = found
        .payload
        .as_ref()
        .filter(|_| {
            found.format == Format::Raw && shared.http.namespaces().contains(&found.namespace)
        })
        .and_then(|payload| shared.http.stored_response(payload));
    Ok(ok(report(key, found, stored)))
}

fn report(key: String, found: EntryInfo, stored: Option<http::Response<Bytes>>) -> EntryReport {
    const NEVER: u64 = u64::MAX;
    let until = |at: u64| (at != NEVER).then_some(at);
    let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let (response, stored) = match stored.map(http::Response::into_parts) {
        Some((head, body)) => (Some(head_of(&head)), Some(body)),
        None => (None, None),
    };
    let json = found.json().and_then(|value| serde_json::to_string_pretty(&value).ok());
    let body = stored.as_ref().or(found.payload.as_ref()).map(|payload| body(payload, json));
    let tag = |tag: cache_core::EntryTag| TagReport {
        text: tag.text,
        workspace: tag.workspace,
        family: tag.family,
    };
    EntryReport {
        key,
        body,
        response,
        namespace: found.namespace,
        workspace: found.workspace,
        in_memory: found.in_memory,
        in_store: found.in_store,
        created_at: found.times.created,
        fresh_until: until(found.times.fresh_until),
        stale_until: until(found.times.stale_until),
        fresh: found.fresh,
        valid: found.valid,
        scopes: size(found.scopes),
        tags: found.tags.into_iter().map(tag).collect(),
        size_bytes: size(found.size),
        format: match found.format {
            Format::Raw => "raw",
            Format::MessagePack => "msgpack",
            Format::Json => "json",
            _ => "other",
        }
        .to_owned(),
        schema: found.schema,
        compressed: found.compressed,
        encrypted: found.encrypted,
        sensitive: found.sensitive,
    }
}

fn head_of(head: &http::response::Parts) -> ResponseReport {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| HeaderReport {
        name: name.to_string(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    let headers = head.headers.iter().map(header).collect();
    ResponseReport { status: head.status.as_u16(), headers }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn body(payload: &Bytes, json: Option<String>) -> EntryBody {
    let (encoding, mut text) = match (json, std::str::from_utf8(payload)) {
        (Some(json), _) => (BodyEncoding::Json, json),
        (None, Ok(text)) => (BodyEncoding::Utf8, text.to_owned()),
        (None, Err(_)) => {
            let some = payload.get(..MOST_OF_A_BODY).unwrap_or(payload);
            (BodyEncoding::Hex, hex(some))
        }
    };
    let is_hex = encoding == BodyEncoding::Hex;
    let mut most = if is_hex { text.len() } else { text.len().min(MOST_OF_A_BODY) };
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    let truncated = text.len() > most || is_hex && payload.len() > MOST_OF_A_BODY;
    text.truncate(most);
    EntryBody { encoding, text, truncated }
}
