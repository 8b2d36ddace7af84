//! For axum: what a handler says of its response, beside the response itself.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponseParts, ResponseParts};
use http::request::Parts;

use crate::hooks::{CacheTtl, NoStore};
use crate::report::passed::CacheStatus;
use crate::tags::CacheTags;

/// `(CacheTags::new(["campaign:42"]), Json(campaign))`; those of several are added up.
impl IntoResponseParts for CacheTags {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        let tags = match response.extensions_mut().remove::<Self>() {
            Some(tags) => tags.joined(&self),
            None => self,
        };
        response.extensions_mut().insert(tags);
        Ok(response)
    }
}

/// `(CacheTtl(minutes(60)), Json(campaign))`
impl IntoResponseParts for CacheTtl {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

/// `(NoStore, Json(draft))`
impl IntoResponseParts for NoStore {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

impl<S: Sync> FromRequestParts<S> for CacheStatus {
    type Rejection = Infallible;

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&request.extensions))
    }
}
