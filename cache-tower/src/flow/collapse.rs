//! Collapsing: those who waited for a fetch read its response as it arrives.

use std::sync::{Arc, OnceLock, Weak};

use cache_core::{EntryKey, Shared};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::body::{CacheBody, NoPlace, SharedBody};
use crate::config;
use crate::flow::answer::answer;
use crate::flow::lookup::Ask;
use crate::policy::{
    Normalize, RequestDirectives, Reuse, VaryFields, is_conditional, not_modified,
    not_modified_headers, reuse,
};
use crate::report::told::Params;
use crate::request::key_rules::Chosen;
use crate::stored::{Cached, Head};

/// A response that is arriving.
#[derive(Debug)]
pub(crate) struct SharedResponse {
    /// As it will be stored: without what is only for the one who fetched it.
    head: Head,
    /// Where it will be stored.
    key: Arc<EntryKey>,
    has_age: bool,
    /// Weak: when nobody reads it and nobody keeps it, it is gone.
    body: Weak<SharedBody>,
    /// The response, once it is whole: for those who come while the store is still taking it in.
    whole: Whole,
    variant: Option<Variant>,
}

/// Set when a response has arrived to its end, and is what is stored.
pub(crate) type Whole = Arc<OnceLock<Shared>>;

/// By which fields a response was selected, and what the request had in them.
#[derive(Debug)]
pub(crate) struct Variant {
    fields: VaryFields,
    values: Vec<u8>,
    chosen: Chosen,
}

impl Variant {
    pub(crate) fn of(fields: VaryFields, ask: &Ask, request: &HeaderMap) -> Self {
        let values = write(&fields, request, ask.shared.options.normalize);
        Self { fields, values, chosen: ask.chosen.clone() }
    }
}

fn write(fields: &VaryFields, request: &HeaderMap, options: Normalize) -> Vec<u8> {
    let mut values = Vec::new();
    fields.write_key(request, options, &mut |bytes| values.extend_from_slice(bytes));
    values
}

/// What a shared response is to one who waited for it.
pub(crate) enum Follow<B> {
    Response(Response<CacheBody<B>>),
    /// It has arrived to its end: a hit.
    Whole(Response<CacheBody<B>>),
    /// It is another variant, or gone.
    LookAgain,
    /// It may not be reused for this request.
    NotForThis,
    /// Its body has not moved for longer than one waits for another's fetch.
    Stalled,
}

impl SharedResponse {
    pub(crate) fn new(
        head: Head,
        key: Arc<EntryKey>,
        has_age: bool,
        body: &Arc<SharedBody>,
        whole: Whole,
        variant: Option<Variant>,
    ) -> Self {
        Self { head, key, has_age, body: Arc::downgrade(body), whole, variant }
    }

    /// One that has arrived to its end.
    pub(crate) fn whole(head: Head, key: Arc<EntryKey>, cached: Shared) -> Self {
        let whole = Arc::new(OnceLock::from(cached));
        Self { head, key, has_age: false, body: Weak::new(), whole, variant: None }
    }

    /// What is told of it to one who waited for it.
    pub(crate) fn params(&self, shared: &config::Shared) -> Params<'_> {
        let now = shared.values.cache().clock().now();
        let params = shared.params(&self.head.freshness, now, self.key.as_str());
        params.forwarded(self.head.status)
    }

    /// The response to a request that waited for it.
    pub(crate) fn follow<B>(
        &self,
        ask: &Ask,
        headers: &HeaderMap,
        directives: Option<&RequestDirectives>,
    ) -> Follow<B> {
        if let Some(variant) = &self.variant
            && (variant.chosen != ask.chosen
                || write(&variant.fields, headers, ask.shared.options.normalize) != variant.values)
        {
            return Follow::LookAgain;
        }
        if ask.needs_own_response(self.head.audience, headers) {
            return Follow::NotForThis;
        }
        let now = ask.shared.values.cache().clock().now();
        let (Reuse::Use { age_secs } | Reuse::UseStale { age_secs }) =
            reuse(directives, &self.head.freshness, now)
        else {
            return Follow::NotForThis;
        };
        let whole = self.whole.get().and_then(|whole| whole.downcast_ref::<Cached>());
        if let Some(Cached::Response(stored)) = whole {
            let mut response = answer(stored, &ask.site, &Method::GET, Some(headers), age_secs);
            let (freshness, key) = (&self.head.freshness, self.key.as_str());
            ask.shared.tell_hit(&mut response, freshness, now, key);
            return Follow::Whole(response);
        }
        let mut own = self.head.headers.clone();
        if self.has_age {
            // In the place that the origin's had, unless the head is as large as can be.
            let _ = own.try_insert(header::AGE, HeaderValue::from(age_secs));
        }
        ask.site.tell_client(self.head.status, &mut own);
        let received = self.head.freshness.received;
        if is_conditional(headers)
            && not_modified(headers, self.head.status, &self.head.headers, received)
        {
            let mut response = Response::new(CacheBody::none());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = not_modified_headers(&own);
            return Follow::Response(response);
        }
        let Some(body) = self.body.upgrade() else { return Follow::LookAgain };
        let reader = match body.attach() {
            Ok(reader) => reader,
            Err(NoPlace::Gone) => return Follow::LookAgain,
            Err(NoPlace::Stalled) => return Follow::Stalled,
        };
        let mut response = Response::new(CacheBody::shared(reader));
        *response.status_mut() = self.head.status;
        *response.headers_mut() = own;
        Follow::Response(response)
    }
}
