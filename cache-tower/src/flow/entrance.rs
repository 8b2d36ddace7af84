//! The synchronous part: is the request one for the cache, and is the answer in this process'
//! memory?

use std::sync::Arc;

use cache_core::{Read, Slot};
use http::{HeaderMap, Request, Response};
use http_body::Body;

use crate::body::CacheBody;
use crate::config::Shared;
use crate::effects::UnsafeTarget;
use crate::flow::answer::{answer, not_cached};
use crate::flow::lookup::{Ask, shares_credentials};
use crate::flow::post;
use crate::flow::query::Query;
use crate::flow::refresh::Refreshing;
use crate::hooks::RequestHead;
use crate::layer::SiteRules;
use crate::policy::{
    Admission, Admitted, BypassReason, Millis, RequestDirectives, Reuse, admit, admit_query,
    admit_regardless, is_query, reuse,
};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::report::trace::Source;
use crate::request::content::{ContentDigest, write_content};
use crate::request::key::{Identity, MethodClass, Site, Target, original_uri, route, variant};
use crate::request::partition::Resolved;
use crate::routes::layers::Reach;
use crate::stored::Cached;

/// What becomes of a request, as far as can be said without waiting.
#[allow(clippy::large_enum_variant, reason = "taken apart at once; a hit must not allocate")]
pub(crate) enum Entrance<B> {
    /// It is answered from this process' memory.
    Answered(Response<CacheBody<B>>),
    /// So it is, with what is stale: to be refreshed.
    Stale(Response<CacheBody<B>>, Option<(Box<Ask>, Refreshing)>),
    /// It goes past the cache.
    Past(Decision),
    /// It may change something: it is forwarded, and what it changes is invalidated.
    Unsafe(Box<UnsafeTarget>),
    /// So it is with this, and its response may be stored.
    Post(Box<Ask>, Reach),
    /// It has to be looked up in the store, or fetched.
    Lookup(Box<Ask>),
    /// Its body has to be read before it can be looked up.
    Query(Box<Query>),
}

/// Admission, key, and this process' memory. A hit ends here. `is_never`: the application has said
/// that nothing of this is cached.
pub(crate) fn enter<B: Body + 'static, R>(
    shared: &Arc<Shared>,
    site: &Arc<SiteRules>,
    request: &Request<B>,
    is_never: bool,
) -> Entrance<R> {
    let headers = request.headers();
    let ignores_directives = site.store.ignore_request_directives;
    let admit = if ignores_directives { admit_regardless } else { admit };
    let queries = shared.options.queries.as_ref().filter(|_| is_query(request.method()));
    let admitted = match queries {
        Some(_) => admit_query(headers, !ignores_directives),
        None => admit(request.method(), headers, has_body(request.body())),
    };
    let admission = admitted.admission;
    let bypass = |reason| past(shared, reason, admitted.seen.directives.then_some(headers));
    if let Admission::Bypass(reason) = admission {
        return bypass(reason);
    }
    if !shared.values.cache().is_enabled() {
        return bypass(BypassReason::Disabled);
    }
    let partition = shared.workspace.resolve(headers, request.extensions());
    if admission == Admission::Unsafe {
        return of_unsafe(shared, site, request, partition.filter(|_| !is_never));
    }
    if is_never {
        return bypass(BypassReason::Never);
    }
    let Some(partition) = partition else {
        return bypass(BypassReason::Workspace);
    };
    let uri = original_uri(request.uri(), request.extensions());
    let head = RequestHead::new(request.method(), uri, headers, request.extensions());
    if site.hooks.skips(&head) || shared.options.hooks.skips(&head) {
        return bypass(BypassReason::Skipped);
    }
    let rules = &shared.options.key;
    if rules.bypass_unkeyed && rules.query(uri.query()).as_deref() != uri.query() {
        return bypass(BypassReason::UnkeyedQuery);
    }
    match queries {
        None => look(shared, site, request, admitted, partition, None),
        Some(queries) if queries.can_read::<B>() => {
            Entrance::Query(Box::new(Query::new(shared, admitted, partition.into_owned())))
        }
        Some(_) => bypass(BypassReason::QueryType),
    }
}

/// Looks for a request that was admitted in this process' memory; `content`: of a QUERY, as far as
/// its body tells it.
pub(crate) fn look<B, R>(
    shared: &Arc<Shared>,
    site: &Arc<SiteRules>,
    request: &Request<B>,
    Admitted { admission, seen }: Admitted,
    partition: Resolved<'_>,
    content: Option<&ContentDigest>,
) -> Entrance<R> {
    let headers = request.headers();
    let bypass = |reason| past(shared, reason, seen.directives.then_some(headers));
    let uri = original_uri(request.uri(), request.extensions());
    let head = RequestHead::new(request.method(), uri, headers, request.extensions());
    let rules = &shared.options.key;
    let query = rules.query(uri.query());
    let class = content.map_or(MethodClass::Get, |_| MethodClass::Query);
    let target = Target {
        class,
        query: query.as_deref(),
        ..Target::of(partition.partition(), uri, headers)
    };
    let primary = rules.identity_of(&target, site.site, seen.reflected);
    let mut chosen = rules.choose(&head);
    if let Some(content) = content {
        write_content(content, headers, &mut chosen);
    }
    let hash = shared.values.hash(&primary);
    let now = shared.values.cache().clock().now();
    let mut stale = None;
    if let Some((own_hash, slot)) = in_memory(shared, hash, &primary, headers, &chosen, now)
        && let Some(Cached::Response(stored)) = slot.decoded::<Cached>()
    {
        let directives = seen.directives.then(|| RequestDirectives::parse(headers));
        if seen.credentials
            && !shares_credentials(site, &partition)
            && !stored.audience.includes(headers)
        {
            return bypass(BypassReason::Credentials);
        }
        let conditions = (seen.conditions || seen.range).then_some(headers);
        let freshness = stored.freshness.stale_since(slot.stale_since(), now);
        match reuse(directives.as_ref(), &freshness, now) {
            Reuse::Use { age_secs } => {
                shared.count_hit(Read::L1Hit, &slot);
                let mut response = answer(stored, site, request.method(), conditions, age_secs);
                shared.tell_hit(&mut response, &freshness, now, slot.rendered_key());
                return Entrance::Answered(response);
            }
            Reuse::UseStale { age_secs } => {
                let mut response = answer(stored, site, request.method(), conditions, age_secs);
                let tally = Tally::new(shared, Decision::Unanswered);
                let params = shared.params(&freshness, now, slot.rendered_key());
                let source = Source::found(Read::L1Hit, &slot);
                tally.correct_from(source, Decision::StaleHit, params, &mut response);
                shared.values.count_hit(Read::L1Hit, &slot);
                let Some(refreshing) = shared.refreshes.begin(own_hash, now) else {
                    return Entrance::Stale(response, None);
                };
                stale = Some((response, refreshing, tally));
            }
            Reuse::Fetch(_) => {}
        }
    }
    let route =
        route(request.extensions()).map_or(hash, |path| shared.values.hash(path.as_bytes()));
    // The layer of a whole router asks; an endpoint is what the others have remembered.
    if stale.is_none() && site.site == Site::Layer && shared.inner_routes.get(route, now).is_some()
    {
        return bypass(BypassReason::InnerCache);
    }
    let (stale, tally) = match stale {
        Some((response, refreshing, tally)) => (Some((response, refreshing)), tally),
        None => (None, Tally::new(shared, Decision::Unanswered)),
    };
    let ask = Box::new(Ask {
        shared: Arc::clone(shared),
        site: Arc::clone(site),
        uri: uri.clone(),
        tags: site.tags(&head, &partition),
        partition: partition.into_owned(),
        primary,
        chosen,
        hash,
        route,
        head_only: admission == Admission::LookupHead,
        ranged: seen.range,
        fetching: Arc::default(),
        tally,
    });
    match stale {
        Some((response, refreshing)) => Entrance::Stale(response, Some((ask, refreshing))),
        None => Entrance::Lookup(ask),
    }
}

/// `partition`: the one that its response may be stored in; `None`: it may not.
fn of_unsafe<B, R>(
    shared: &Arc<Shared>,
    site: &Arc<SiteRules>,
    request: &Request<B>,
    partition: Option<Resolved<'_>>,
) -> Entrance<R> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let reach = shared.layers.reach(headers, extensions);
    if reach.is_empty() {
        return Entrance::Past(Decision::Forwarded);
    }
    if let Some(ask) = partition.and_then(|partition| post::ask(shared, site, request, &partition))
    {
        return Entrance::Post(ask, reach);
    }
    let uri = original_uri(request.uri(), extensions);
    Entrance::Unsafe(Box::new(UnsafeTarget::new(shared, reach, uri, headers)))
}

/// Past the cache; but not what wants a stored response or none (RFC 9111 §5.2.1.7).
pub(crate) fn past<R>(
    shared: &Arc<Shared>,
    reason: BypassReason,
    asked: Option<&HeaderMap>,
) -> Entrance<R> {
    let asked = asked.filter(|_| reason.is_of_the_request());
    if asked.is_some_and(|headers| RequestDirectives::parse(headers).only_if_cached) {
        return Entrance::Answered(not_cached(&Tally::new(shared, Decision::Unanswered)));
    }
    Entrance::Past(Decision::Bypass(reason))
}

/// The entry in this process' memory, with the hash of its identity: the response itself, or the
/// variant of it that the marker leads to.
fn in_memory(
    shared: &Shared,
    hash: u128,
    primary: &Identity,
    headers: &HeaderMap,
    chosen: &[u8],
    now: Millis,
) -> Option<(u128, Arc<Slot>)> {
    let slot = shared.values.peek_at(hash, primary, now)?;
    let Some(Cached::Varies(marker)) = slot.decoded::<Cached>() else { return Some((hash, slot)) };
    let identity =
        variant(primary, marker.id, &marker.fields, headers, shared.options.normalize, chosen);
    let hash = shared.values.hash(&identity);
    let found = shared.values.peek_at(hash, &identity, now)?;
    marker.variants.touch(hash);
    Some((hash, found))
}

fn has_body(body: &impl Body) -> bool {
    !body.is_end_stream() && body.size_hint().exact() != Some(0)
}
