//! The words of a policy: the same ones on a layer and on a policy of the table.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, response};

use crate::hooks::RequestHead;
use crate::layer::CacheLayer;
use crate::options::{millis, storable_statuses, whole_seconds};
use crate::request::key_rules::{Part, Query};
use crate::request::partition::Workspace;
use crate::routes::policy::RoutePolicy;
use crate::routes::template::TagTemplate;
use crate::tags::CacheTags;

impl RoutePolicy {
    fn changed(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Written once, for every type that has them.
macro_rules! words {
    ($($of:ty),+) => { $(
impl $of {
    /// Which statuses take the TTL. Default: 200, 203, 204, 300, 301 and 308.
    ///
    /// # Panics
    /// If one of them is an error that is stored only if the origin says for how long (see
    /// [`negative_statuses`](crate::HttpCacheBuilder::negative_statuses)).
    #[must_use]
    pub fn statuses(self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        let statuses = storable_statuses(statuses);
        self.changed(|policy| policy.statuses = Some(statuses))
    }

    /// As [`HttpCacheBuilder::negative_ttl`](crate::HttpCacheBuilder::negative_ttl), here.
    #[must_use]
    pub fn negative_ttl(self, ttl: Duration) -> Self {
        self.changed(|policy| policy.negative_ttl = Some(millis(ttl)))
    }

    /// As [`HttpCacheBuilder::grace`](crate::HttpCacheBuilder::grace), here.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        self.changed(|policy| policy.grace = Some(whole_seconds(grace)))
    }

    /// Which requests go past the cache, beside those that do by
    /// [`HttpCacheBuilder::skip_cache`](crate::HttpCacheBuilder::skip_cache).
    #[must_use]
    pub fn skip_cache(
        self,
        skip: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.changed(|policy| policy.hooks.skip = Some(Arc::new(skip)))
    }

    /// Which of the responses that may be stored are stored; the function of
    /// [`HttpCacheBuilder::should_store`](crate::HttpCacheBuilder::should_store) has to agree.
    #[must_use]
    pub fn should_store(
        self,
        should_store: impl Fn(&response::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.changed(|policy| policy.hooks.should_store = Some(Arc::new(should_store)))
    }

    /// A tag that all stored responses have, with the parameters of the route in it: those to
    /// `/campaigns/{id}/stats` have with `campaign:{id}` the tag `campaign:42`. `{workspace_id}` is
    /// the request's workspace, `{{` a brace. Beside these, [`tags`](Self::tags), and those that the
    /// handler gives them ([`CacheTags`]), 64 in all.
    ///
    /// What is put into a hole is a literal, percent-decoded: `%2A` is the tag with `*`, which is no
    /// wildcard. A hole that has no value for a request (the route has no such parameter, or one
    /// that stands for several segments; the request has no workspace) gives its response no tag, and
    /// `tracing` a warning: that tag will not invalidate it.
    ///
    /// This is a global tag: `campaign:42` of all workspaces. To be invalidated within one, see
    /// [`tag_in_workspace`](Self::tag_in_workspace).
    ///
    /// # Panics
    /// If this is no template. Of a rule of the table, the holes too have to be parameters of its
    /// path.
    #[must_use]
    pub fn tag(self, template: &str) -> Self {
        let template = TagTemplate::new(template, false);
        self.changed(|policy| policy.tags.push(template))
    }

    /// As [`tag`](Self::tag), of the request's workspace:
    /// [`Tag::in_workspace`](cache_core::Tag::in_workspace).
    ///
    /// # Panics
    /// As [`tag`](Self::tag).
    #[must_use]
    pub fn tag_in_workspace(self, template: &str) -> Self {
        let template = TagTemplate::new(template, true);
        self.changed(|policy| policy.tags.push(template))
    }

    /// Which tags the stored responses to a request have, as a function of the request.
    #[must_use]
    pub fn tags(
        self,
        tags: impl Fn(&RequestHead<'_>) -> CacheTags + Send + Sync + 'static,
    ) -> Self {
        self.changed(|policy| policy.hooks.tags = Some(Arc::new(tags)))
    }

    /// Requests with another value of this header get another response, beside what tells requests
    /// apart in the whole cache: as
    /// [`HttpCacheBuilder::key_by_header`](crate::HttpCacheBuilder::key_by_header).
    #[must_use]
    pub fn key_by_header(self, name: HeaderName) -> Self {
        self.changed(|policy| policy.key.parts.push(Part::Header(name)))
    }

    /// As [`HttpCacheBuilder::key_by_cookie`](crate::HttpCacheBuilder::key_by_cookie), here.
    #[must_use]
    pub fn key_by_cookie(self, name: impl Into<String>) -> Self {
        self.changed(|policy| policy.key.parts.push(Part::Cookie(name.into())))
    }

    /// Requests for which this function says something else get another response: as
    /// [`HttpCacheBuilder::key_by`](crate::HttpCacheBuilder::key_by), here. The name is part of the
    /// key: another layer's function may say the same of the same URI and mean something else. (Two
    /// closures that come from one line of code are taken for the same, whatever they have captured:
    /// give them two names.)
    ///
    /// # Panics
    /// If the name is empty, or that of another function in this cache.
    #[must_use]
    pub fn key_by<F>(self, name: &str, function: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> Option<String> + Send + Sync + 'static,
    {
        let part = Part::named(name, move |request: &RequestHead<'_>| {
            function(request).map(Cow::Owned)
        });
        self.changed(|policy| policy.key.parts.push(part))
    }

    /// Requests with another value of an extension that an earlier layer has put into them get
    /// another response; those without it have one, too. The name is part of the key, as with
    /// [`key_by`](Self::key_by).
    ///
    /// # Panics
    /// As [`key_by`](Self::key_by).
    #[must_use]
    pub fn key_by_extension<T, F>(self, name: &str, value: F) -> Self
    where
        T: Send + Sync + 'static,
        F: for<'t> Fn(&'t T) -> &'t str + Send + Sync + 'static,
    {
        let part = Part::of_extension(name, value);
        self.changed(|policy| policy.key.parts.push(part))
    }

    /// As [`HttpCacheBuilder::key_query_only`](crate::HttpCacheBuilder::key_query_only), here, in
    /// place of what the whole cache says of queries.
    #[must_use]
    pub fn key_query_only<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let query = Query::only(names);
        self.changed(|policy| policy.key.query = Some(query))
    }

    /// As [`HttpCacheBuilder::ignore_query`](crate::HttpCacheBuilder::ignore_query), here, in place
    /// of what the whole cache says of queries.
    #[must_use]
    pub fn ignore_query<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let query = Query::all_but(names);
        self.changed(|policy| policy.key.query = Some(query))
    }

    /// As [`HttpCacheBuilder::bypass_unkeyed_query`](crate::HttpCacheBuilder::bypass_unkeyed_query),
    /// here.
    #[must_use]
    pub fn bypass_unkeyed_query(self) -> Self {
        self.changed(|policy| policy.key.bypass_unkeyed = true)
    }

    /// How the workspace of a request is found here, where it is not as in the whole cache. What
    /// another rule finds is another workspace, whatever it is called.
    ///
    /// An unsafe request invalidates the entries of its URI also here, if its workspace can be found
    /// by this rule where it passes a layer of this cache; so what authenticates should stand around
    /// them all. Tags of the workspace and patterns with `{workspace_id}` are those of workspaces of
    /// this name, whatever found it.
    ///
    /// # Panics
    /// If it is a function without a name (see [`Workspace::named`]), or with that of another one.
    #[must_use]
    pub fn workspace(self, workspace: Workspace) -> Self {
        self.changed(|policy| policy.workspace = Some(workspace))
    }

    /// The namespace of these responses, with its TTL for values, version, limits, encryption and
    /// so on. [`InvalidateLayer`](crate::InvalidateLayer) and unsafe requests reach the namespaces of
    /// all layers of a cache.
    ///
    /// # Panics
    /// If this can't be the name of a namespace.
    #[must_use]
    pub fn namespace(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.changed(|policy| policy.namespace = Some(name))
    }

    /// What clients are told in `Cache-Control` of responses that are stored, on hits and misses
    /// alike, apart from how long they are kept here. What decides that is what the handler says,
    /// and the TTL. Of errors, also of those that are kept for the
    /// [`negative_ttl`](Self::negative_ttl), and of what is not stored, clients are told what the
    /// handler says.
    ///
    /// `max-age` counts from when the client is answered, however old the response is in here: such
    /// responses have neither `Age` nor `Expires`, and no other `Date` than the one that the server
    /// gives them. (A client is then not told how old a response is: RFC 9111 §4 would have it
    /// `Age`.)
    ///
    /// # Panics
    /// If this can't be the value of a header.
    #[must_use]
    pub fn client_cache_control(self, value: &str) -> Self {
        let value = match HeaderValue::from_str(value) {
            Ok(value) if !value.is_empty() => value,
            _ => panic!("{value:?} is no Cache-Control"),
        };
        self.changed(|policy| policy.client = Some(value))
    }

    /// As [`HttpCacheBuilder::generate_etags`](crate::HttpCacheBuilder::generate_etags), here.
    #[must_use]
    pub fn generate_etags(self) -> Self {
        self.changed(|policy| policy.generate_etags = true)
    }
}
    )+ };
}

words!(RoutePolicy, CacheLayer);
