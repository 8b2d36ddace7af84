//! HEAD, where what is stored does not answer it: it goes to the origin as it is, and what comes
//! back speaks of the stored response to GET as well (RFC 9111 §4.3.5).

use std::sync::Arc;

use cache_core::{Fill, Format, NewEntry, Slot};
use http::response::Parts;
use http::{HeaderMap, Request, Response};
use tower::Service;
use tower::util::Oneshot;

use crate::body::CacheBody;
use crate::budget::Budget;
use crate::fetch::{Arrival, is_of_the_request};
use crate::lookup::{Ask, Vacancy};
use crate::nested::Mark;
use crate::policy::{Exchange, HeadSubject, HeadTells, NoStore, freshened, head_tells};
use crate::revalidate::OriginUnreachable;
use crate::status::Decision;
use crate::stored::{Cached, load, reload, store};

/// Forwards a HEAD, and updates or deletes the stored response that could not answer it.
pub(crate) async fn forward<S, ReqB, ResB>(
    ask: &Ask,
    inner: S,
    mut request: Request<ReqB>,
    vacancy: Box<Vacancy>,
    budget: Budget,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    let Vacancy { fill, why, stale, .. } = *vacancy;
    let mut known = stale
        .zip(fill)
        .filter(|(slot, _)| matches!(slot.decoded::<Cached>(), Some(Cached::Response(_))));
    let mut asked = HeaderMap::new();
    if let Some((_, fill)) = &mut known {
        asked.clone_from(request.headers());
        // Before the origin is asked: what is invalidated from now on is not brought back.
        ask.expect_groups(&asked, Some(fill));
        budget.spend(async |deadline| fill.begin(&[], deadline).await).await;
    }
    if !ask.shared.options.key.hide_in(&mut request) {
        known = None;
    }
    let clock = ask.shared.values.cache().clock();
    let mark = Mark::put(request.extensions_mut(), None, &ask.tally);
    let request_sent = clock.now();
    let (parts, body) = Oneshot::new(inner, request).await?.into_parts();
    let exchange = Exchange { request_sent, response_received: clock.now() };
    let extensions = &parts.extensions;
    let is_the_origin_s = extensions.get::<OriginUnreachable>().is_none()
        && extensions.get::<crate::NoStore>().is_none()
        && !mark.is_claimed();
    if let Some((slot, fill)) = known.filter(|_| is_the_origin_s) {
        let arrival = Arrival { ask, asked: &asked, exchange, leader: None };
        arrival.of_head(&parts, (&slot, fill), &budget).await;
    }
    let mut response = Response::from_parts(parts, CacheBody::origin(body));
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
        let payload = store(&head, [&body].into_iter());
        let decoded = load(&payload, &self.ask.shared.hit);
        if decoded.is_none() || !self.tag(&mut fill, &groups, budget).await || fill.was_filled() {
            return;
        }
        self.note_sharing(&head);
        self.commit(fill, NewEntry { payload, format: Format::Raw, schema: 0, times, decoded });
    }
}
