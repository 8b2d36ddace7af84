//! For those who steer a cache: services that must never be behind one, and what is stored in it.

use bytes::Bytes;
use http::{Extensions, Response};

use crate::config::HttpCache;
use crate::flow::nested::Mark;
use crate::stored::reload;

/// Tells the caches around a service that its response is for this request alone, whatever it says:
/// they store nothing, and let those go who wait for it. To be called with the extensions of the
/// request before anything is awaited. Without a cache around it does nothing.
///
/// A response with `Cache-Control: no-store` is never stored anyway; but those who ask for the same
/// at the same time wait until it is known to say so.
///
/// ```
/// # let request = http::Request::new(());
/// cache_tower::keep_private(request.extensions());
/// ```
pub fn keep_private(extensions: &Extensions) {
    Mark::claim(extensions);
}

impl HttpCache {
    /// The namespace that holds the responses.
    pub fn namespace(&self) -> &str {
        self.shared.values.name().unwrap_or_default()
    }

    /// All namespaces that hold responses: [this](Self::namespace), and those that layers and routes have
    /// of their own.
    ///
    /// ```
    /// use cache_core::{Cache, minutes};
    /// use cache_tower::{CacheLayer, HttpCache};
    ///
    /// let http = HttpCache::builder(Cache::builder().memory().build()?).build();
    /// let reports = CacheLayer::endpoint(&http, minutes(5)).namespace("reports");
    /// assert_eq!(http.namespaces(), ["api_responses", "reports"]);
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn namespaces(&self) -> Vec<String> {
        let all = self.shared.layers.namespaces();
        all.iter().filter_map(|values| values.name().map(str::to_owned)).collect()
    }

    /// The response that a payload of this cache's namespaces holds, as it was stored (see
    /// [`Cache::inspect`](cache_core::Cache::inspect)); `None` for what is no whole response, such as what
    /// is known of variants, and parts (206).
    pub fn stored_response(&self, payload: &Bytes) -> Option<Response<Bytes>> {
        let (head, body) = reload(payload)?;
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
        Some(response)
    }
}
