//! What tells requests apart beyond their URI, and what of the query does not. Pure, but for what
//! the application's own functions do.
//!
//! ```
//! use cache_core::Cache;
//! use cache_tower::HttpCache;
//! use http::HeaderName;
//!
//! let http = HttpCache::builder(Cache::builder().build()?)
//!     .key_by_header(HeaderName::from_static("x-country"))
//!     .key_by_cookie("theme")
//!     .ignore_query(["utm_source", "utm_campaign"])
//!     .build();
//! # Ok::<(), cache_core::Error>(())
//! ```

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Request, Uri, header};
use percent_encoding::percent_decode;
use smallvec::SmallVec;

use crate::config::HttpCacheBuilder;
use crate::hooks::RequestHead;
use crate::request::key::{Identity, Site, Target};
use crate::request::reflected::ForwardedFields;

/// What a request has in the chosen parts, and of a QUERY its content. Empty only if none are chosen.
pub(crate) type Chosen = SmallVec<[u8; 32]>;

/// The rules of one cache, or of one layer: with those of its cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyRules {
    parts: Vec<Part>,
    query: Query,
    pub(crate) bypass_unkeyed: bool,
    pub(crate) forwarded: ForwardedFields,
    /// What names the layer's workspaces, where another rule finds them than the cache's.
    pub(crate) workspaces: Option<String>,
}

#[derive(Clone)]
pub(crate) enum Part {
    Header(HeaderName),
    Cookie(String),
    Function(Arc<Function>),
    /// A function that others may share a URI with: its name tells it from them.
    Named {
        name: String,
        of: TypeId,
        function: Arc<Named>,
    },
}

type Function = dyn Fn(&RequestHead<'_>) -> Option<String> + Send + Sync;
type Named = dyn for<'r> Fn(&RequestHead<'r>) -> Option<Cow<'r, str>> + Send + Sync;

/// Which parameters of the query count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Query {
    #[default]
    All,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

impl KeyRules {
    /// What a request has in the chosen parts: equal only where all are equal.
    pub(crate) fn choose(&self, request: &RequestHead<'_>) -> Chosen {
        let mut chosen = Chosen::new();
        for part in &self.parts {
            match part {
                Part::Header(name) => {
                    let lines = request.headers().get_all(name).iter();
                    write_all(&mut chosen, lines.map(|line| line.as_bytes().trim_ascii()));
                }
                Part::Cookie(name) => write_all(&mut chosen, cookies(request.headers(), name)),
                Part::Function(function) => {
                    let value = function(request);
                    write_all(&mut chosen, value.iter().map(String::as_bytes));
                }
                Part::Named { function, .. } => {
                    let value = function(request);
                    write_all(&mut chosen, value.iter().map(|value| value.as_bytes()));
                }
            }
        }
        chosen
    }

    /// The identity of a target, before any variant: that of a request, and of what writes to it
    /// make obsolete.
    pub(crate) fn identity(&self, target: &Target<'_>, site: Site) -> Identity {
        self.identity_of(target, site, true)
    }

    /// As [`identity`](Self::identity); `reflected` tells whether the headers may hold a field of
    /// [`ForwardedFields`], or more than one `Host`.
    pub(crate) fn identity_of(&self, target: &Target<'_>, site: Site, reflected: bool) -> Identity {
        let mut identity = Identity::new();
        target.write_identity(site, reflected, self.forwarded, &mut identity);
        self.end_identity(&mut identity);
        identity
    }

    /// Ends an identity with the names of the chosen parts: where others are chosen, or none, the
    /// same URI has other entries.
    fn end_identity<A: smallvec::Array<Item = u8>>(&self, identity: &mut SmallVec<A>) {
        for part in &self.parts {
            let (kind, name) = match part {
                Part::Header(name) => (b'h', name.as_str()),
                Part::Cookie(name) => (b'c', name.as_str()),
                Part::Function(_) => (b'f', ""),
                Part::Named { name, .. } => (b'n', name.as_str()),
            };
            identity.push(kind);
            write(identity, name.as_bytes());
        }
        if let Some(workspaces) = &self.workspaces {
            identity.push(b'w');
            write(identity, workspaces.as_bytes());
        }
    }

    /// With what a layer adds to them.
    pub(crate) fn with(&self, added: &AddedKeyRules) -> Self {
        let mut all = self.clone();
        all.parts.extend(added.parts.iter().cloned());
        if let Some(query) = &added.query {
            all.query.clone_from(query);
        }
        all.bypass_unkeyed |= added.bypass_unkeyed;
        all
    }

    /// The functions that have names, with their types.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, TypeId)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Named { name, of, .. } => Some((name.as_str(), *of)),
            _ => None,
        })
    }

    /// The query that is part of the key, in the order and with the bytes that it came with. What
    /// it lacks, whoever answers must not see.
    pub(crate) fn query<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let whole = query?;
        let counts = |parameter: &&str| {
            let name = parameter.split_once('=').map_or(*parameter, |(name, _)| name);
            match &self.query {
                Query::All => true,
                Query::Only(names) => names.iter().any(|other| other == name),
                Query::AllBut(names) => !names.iter().any(|other| other == name),
            }
        };
        if matches!(self.query, Query::All) || whole.split('&').all(|one| counts(&one)) {
            return Some(Cow::Borrowed(whole));
        }
        let mut kept = whole.split('&').filter(counts);
        let mut query = kept.next()?.to_owned();
        for parameter in kept {
            query.push('&');
            query.push_str(parameter);
        }
        Some(Cow::Owned(query))
    }

    /// Leaves of a URI's query only what counts. False if that can't be done.
    pub(crate) fn hide(&self, uri: &mut Uri) -> bool {
        let query = self.query(uri.query());
        if query.as_deref() == uri.query() {
            return true;
        }
        let path = uri.path();
        let rest = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = rest.parse().ok();
        let hidden = parts.path_and_query.is_some().then(|| Uri::from_parts(parts).ok()).flatten();
        hidden.map(|hidden| *uri = hidden).is_some()
    }

    /// As [`hide`](Self::hide), wherever the service inside may look.
    pub(crate) fn hide_in<B>(&self, request: &mut Request<B>) -> bool {
        #[cfg(feature = "axum")]
        if let Some(original) = request.extensions_mut().get_mut::<axum::extract::OriginalUri>()
            && !self.hide(&mut original.0)
        {
            return false;
        }
        self.hide(request.uri_mut())
    }
}

/// All that a parser may take for a cookie of this name, as it stands there. RFC 6265 §4.2.1 has no
/// white space and no `%` in names; common parsers trim and decode them all the same, and what a
/// handler reads must be part of the key.
fn cookies<'r>(headers: &'r HeaderMap, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(move |pair| {
            let written = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            written == name.as_bytes() || percent_decode(written).eq(name.bytes())
        })
}

/// Writes values so that no others look the same.
pub(crate) fn write_all<'v>(chosen: &mut Chosen, values: impl Iterator<Item = &'v [u8]>) {
    for value in values {
        chosen.push(1);
        write(chosen, value);
    }
    chosen.push(0);
}

fn write<A: smallvec::Array<Item = u8>>(out: &mut SmallVec<A>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

impl HttpCacheBuilder {
    /// Requests with another value of this header get another response, whether or not `Vary`
    /// names it. For what a handler reads and does not tell, and what something in front of the
    /// service has set; a client that can set it chooses the entry. As with `Vary`, only so many
    /// of a URI are kept: see [`max_variants`](Self::max_variants).
    pub fn key_by_header(mut self, name: HeaderName) -> Self {
        self.options.key.parts.push(Part::Header(name));
        self
    }

    /// Requests with another value of this cookie get another response; other cookies make no
    /// difference. (Where the TTL is ours, responses to requests with cookies are still not
    /// stored: see [`share_within_workspace`](Self::share_within_workspace).)
    pub fn key_by_cookie(mut self, name: impl Into<String>) -> Self {
        self.options.key.parts.push(Part::Cookie(name.into()));
        self
    }

    /// Requests for which this function says something else get another response. Called for every
    /// `GET` and `HEAD`, and `QUERY` where that is stored, so it should be quick.
    ///
    /// Unsafe requests invalidate whatever it says: all that is stored for a URI. Of a URI so many
    /// are kept as [`max_variants`](Self::max_variants) says, which is few where this tells users
    /// apart.
    pub fn key_by(
        mut self,
        function: impl Fn(&RequestHead<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.options.key.parts.push(Part::Function(Arc::new(function)));
        self
    }

    /// Requests with another value of an extension that an earlier layer has put into them get
    /// another response; those without it have one, too. The name is part of the key.
    ///
    /// # Panics
    /// If the name is empty; when it is built, if a layer of this cache has another function of this
    /// name.
    pub fn key_by_extension<T, F>(mut self, name: &str, value: F) -> Self
    where
        T: Send + Sync + 'static,
        F: for<'t> Fn(&'t T) -> &'t str + Send + Sync + 'static,
    {
        self.options.key.parts.push(Part::of_extension(name, value));
        self
    }

    /// Only these query parameters count, as they stand in the URI (`%70age` is not `page`); takes
    /// the place of [`ignore_query`](Self::ignore_query). The others are hidden from the service
    /// inside when it is asked for a response that may be stored: what it can't see can't change
    /// what others get.
    pub fn key_query_only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.options.key.query = Query::only(names);
        self
    }

    /// These query parameters don't count, and are hidden as with
    /// [`key_query_only`](Self::key_query_only), whose place this takes.
    pub fn ignore_query<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.options.key.query = Query::all_but(names);
        self
    }

    /// Requests with query parameters that don't count go past the cache, with all of them, rather
    /// than that those are hidden.
    pub fn bypass_unkeyed_query(mut self) -> Self {
        self.options.key.bypass_unkeyed = true;
        self
    }
}

/// What a layer adds to the rules of its cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddedKeyRules {
    pub(crate) parts: Vec<Part>,
    pub(crate) query: Option<Query>,
    pub(crate) bypass_unkeyed: bool,
}

impl Query {
    pub(crate) fn only<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    pub(crate) fn all_but<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::AllBut(names.into_iter().map(Into::into).collect())
    }
}

impl Part {
    /// # Panics
    /// If the name is empty.
    pub(crate) fn named<F>(name: &str, function: F) -> Self
    where
        F: for<'r> Fn(&RequestHead<'r>) -> Option<Cow<'r, str>> + Send + Sync + 'static,
    {
        assert!(!name.is_empty(), "what tells requests apart needs a name");
        Self::Named { name: name.to_owned(), of: TypeId::of::<F>(), function: Arc::new(function) }
    }

    /// What an extension says of a request.
    ///
    /// # Panics
    /// If the name is empty.
    pub(crate) fn of_extension<T, F>(name: &str, value: F) -> Self
    where
        T: Send + Sync + 'static,
        F: for<'t> Fn(&'t T) -> &'t str + Send + Sync + 'static,
    {
        fn typed<G>(function: G) -> G
        where
            G: for<'r> Fn(&RequestHead<'r>) -> Option<Cow<'r, str>>,
        {
            function
        }
        Self::named(
            name,
            typed(move |request| {
                request.extensions().get::<T>().map(|extension| Cow::Borrowed(value(extension)))
            }),
        )
    }
}

/// Functions with names are told apart by these (see [`Layers`](crate::routes::layers::Layers)).
impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(one), Self::Header(other)) => one == other,
            (Self::Cookie(one), Self::Cookie(other))
            | (Self::Named { name: one, .. }, Self::Named { name: other, .. }) => one == other,
            (Self::Function(one), Self::Function(other)) => {
                std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
            }
            _ => false,
        }
    }
}

impl Eq for Part {}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "Header({name})"),
            Self::Cookie(name) => write!(f, "Cookie({name})"),
            Self::Function(_) => f.write_str("Function"),
            Self::Named { name, .. } => write!(f, "Function({name})"),
        }
    }
}

#[cfg(test)]
mod tests;
