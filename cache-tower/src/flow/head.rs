//! HEAD, where what is stored does not answer it: it goes to the origin as it is, and what comes
//! back speaks of the stored response to GET as well (RFC 9111 §4.3.5).

use std::sync::Arc;

use cache_core::{Fill, Format, NewEntry, Slot};
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response};
use tower::Service;

use crate::body::CacheBody;
use crate::flow::budget::Budget;
use crate::flow::fetch::{Arrival, is_of_the_request};
use crate::flow::keep::commit;
use crate::flow::lookup::{Ask, Vacancy};
use crate::flow::nested::Mark;
use crate::flow::revalidate::{OriginUnreachable, answer_on_error, failed};
use crate::policy::{Exchange, HeadSubject, HeadTells, NoStore, freshened, head_tells};
use crate::report::status::Decision;
use crate::stored::{Cached, load, reload, store};

/// Forwards a HEAD, and updates or deletes the stored response that could not answer it.
pub(crate) async fn forward<S, ReqB, ResB>(
    ask: &Ask,
    inner: S,
    mut request: Request<ReqB>,
    mut vacancy: Box<Vacancy>,
    budget: Budget,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    let found = vacancy.stale.as_ref().and_then(|slot| slot.decoded::<Cached>());
    let is_known = matches!(found, Some(Cached::Response(_)));
    let is_told = ask.site.client.is_some();
    let asked = if is_known || is_told { request.headers().clone() } else { HeaderMap::new() };
    if let Some(fill) = vacancy.fill.as_mut().filter(|_| is_known) {
        // Before the origin is asked: what is invalidated from now on is not brought back.
        ask.expect_tags(&asked, Some(&mut *fill));
        budget.spend(async |deadline| fill.begin(&[], deadline).await).await;
    }
    let is_hidden = ask.shared.options.key.hide_in(&mut request);
    let clock = ask.shared.values.cache().clock();
    let decision = Decision::NotStored(vacancy.why, NoStore::Method);
    let mark = Mark::put(request.extensions_mut(), None, &ask.tally, decision);
    let request_sent = clock.now();
    let answered = ask.tally.call(inner, request).await;
    let exchange = Exchange { request_sent, response_received: clock.now() };
    if !mark.is_claimed()
        && let Some(failed) = failed(&answered)
        && let Some(response) = answer_on_error(ask, &vacancy, (&Method::HEAD, &asked), failed)
    {
        return Ok(response);
    }
    let (parts, body) = answered?.into_parts();
    let Vacancy { fill, why, stale, .. } = *vacancy;
    let extensions = &parts.extensions;
    let is_the_origin_s = extensions.get::<OriginUnreachable>().is_none()
        && extensions.get::<crate::NoStore>().is_none()
        && !mark.is_claimed();
    let arrival = Arrival { ask, asked: &asked, exchange, leader: None };
    // RFC 9110 §9.3.2: HEAD is told what GET would be.
    let is_told = is_told && is_the_origin_s && arrival.storable(&parts).is_ok();
    if let Some((slot, fill)) = stale.zip(fill).filter(|_| is_known && is_hidden && is_the_origin_s)
    {
        arrival.of_head(&parts, (&slot, fill), &budget).await;
    }
    let mut response = Response::from_parts(parts, CacheBody::origin(body));
    if is_told {
        ask.site.tell_client(response.status(), response.headers_mut());
    }
    ask.tally.tell(Decision::NotStored(why, NoStore::Method), &mut response);
    Ok(response)
}

impl Arrival<'_> {
    async fn of_head(self, parts: &Parts, (slot, mut fill): (&Slot, Fill), budget: &Budget) {
        let Some((old, body)) = reload(slot.payload()) else { return };
        let stored = HeadSubject { status: old.status, headers: &old.headers, length: body.len() };
        let updated = match head_tells(stored, parts.status, &parts.headers) {
            HeadTells::Nothing => return,
            HeadTells::Changed => None,
            HeadTells::Same => {
                let received = self.exchange.response_received;
                match self.updated(&old, parts, &freshened(&old.headers, &parts.headers, received))
                {
                    Ok(updated) => Some(updated),
                    Err(refusal) if is_of_the_request(refusal) => return,
                    Err(_) => None,
                }
            }
        };
        // Nobody waits for a HEAD, so a GET may have brought something newer meanwhile.
        if fill.was_filled() || !fill.is_current() {
            return;
        }
        let Some((head, times, groups)) = updated else {
            let key = Arc::clone(fill.key());
            return self.forget(&key, budget).await;
        };
        let former = self.tags_of(&old.headers, &old.tags);
        let payload = store(&head, [&body].into_iter());
        let decoded = load(&payload, &self.ask.shared.hit);
        if decoded.is_none()
            || !self.tag(&mut fill, (&groups, &head.tags), &former, budget).await
            || fill.was_filled()
        {
            return;
        }
        self.note_sharing(&head);
        let entry = NewEntry { payload, format: Format::Raw, schema: 0, times, decoded };
        commit(&self.ask.shared, fill, entry, None);
    }
}
