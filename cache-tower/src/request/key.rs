//! Request → key. Pure.
//!
//! An **identity** is all that tells one request's response from another's, with the length of
//! each part before it. Its hash finds the entry in memory, its digest ends the key in the store.

use std::borrow::Cow;

use cache_core::{Key, Partition};
use http::uri::Uri;
use http::{Extensions, HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::policy::{Normalize, VaryFields};
use crate::request::reflected::{self, ForwardedFields};

/// On the stack for all but very long URIs.
pub(crate) type Identity = SmallVec<[u8; 512]>;

/// Which of nested caches an entry belongs to. An outer one must not serve what an inner one has
/// stored: between them may stand whatever decides who sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Layer,
    Endpoint,
}

/// Which methods share responses: HEAD is answered from what GET has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MethodClass {
    Get,
    Query,
}

/// Tells identities of HTTP responses from those of plain keys.
const HTTP: u8 = 2;

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'r> {
    pub(crate) class: MethodClass,
    pub(crate) partition: Partition<'r>,
    pub(crate) scheme: &'r str,
    pub(crate) authority: &'r [u8],
    /// Whether the authority is the URI's own, so that `Host` may be another.
    pub(crate) absolute: bool,
    pub(crate) path: &'r str,
    pub(crate) query: Option<&'r str>,
    pub(crate) headers: &'r HeaderMap,
}

/// The URI as the router first saw it: under `nest` an inner layer's own has lost its prefix.
pub(crate) fn original_uri<'r>(uri: &'r Uri, extensions: &'r Extensions) -> &'r Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    let _ = extensions;
    uri
}

/// The route that was matched, where there are routes.
pub(crate) fn route(extensions: &Extensions) -> Option<&str> {
    #[cfg(feature = "axum")]
    if let Some(matched) = extensions.get::<axum::extract::MatchedPath>() {
        return Some(matched.as_str());
    }
    let _ = extensions;
    None
}

impl<'r> Target<'r> {
    /// Of a GET.
    pub(crate) fn of(partition: Partition<'r>, uri: &'r Uri, headers: &'r HeaderMap) -> Self {
        let host = headers.get(header::HOST).map_or(&b""[..], |host| host.as_bytes());
        Self {
            class: MethodClass::Get,
            partition,
            scheme: uri.scheme_str().unwrap_or("http"),
            authority: uri.authority().map_or(host, |authority| authority.as_str().as_bytes()),
            absolute: uri.authority().is_some(),
            path: uri.path(),
            query: uri.query(),
            headers,
        }
    }

    /// Writes the identity of this target, before any variant; `reflected` tells whether the headers
    /// may hold any field of [`reflected`], or more than one `Host`. For all but tests,
    /// [`KeyRules::identity`](crate::request::key_rules::KeyRules::identity).
    pub(super) fn write_identity(
        &self,
        site: Site,
        reflected: bool,
        forwarded: ForwardedFields,
        identity: &mut Identity,
    ) {
        let (in_workspace, workspace) = match self.partition {
            Partition::Shared => (false, ""),
            Partition::Workspace(workspace) => (true, workspace),
        };
        let is_endpoint = site == Site::Endpoint;
        let is_query = self.class == MethodClass::Query;
        // Host names are compared without regard to case (RFC 9110 §4.2.3), so the authority is
        // the last part, to be lowered in place. `/a` and `/a?` are two URIs.
        let query = self.query.unwrap_or_default().as_bytes();
        let parts = [
            workspace.as_bytes(),
            self.scheme.as_bytes(),
            self.path.as_bytes(),
            query,
            self.authority,
        ];
        let [a, b, c] = [in_workspace, is_endpoint, self.query.is_some()].map(u8::from);
        identity.extend_from_slice(&[HTTP, a | u8::from(is_query) << 1, b, c]);
        // All lengths at once: few long writes are quicker than many short ones.
        let mut lengths = [[0; 8]; 5];
        for (length, part) in lengths.iter_mut().zip(parts) {
            *length = (part.len() as u64).to_le_bytes();
        }
        identity.extend_from_slice(lengths.as_flattened());
        for part in parts {
            identity.extend_from_slice(part);
        }
        let authority = identity.len() - self.authority.len();
        if let Some(authority) = identity.get_mut(authority..) {
            authority.make_ascii_lowercase();
        }
        if !reflected && !self.absolute {
            // What is written below where there is none of all that.
            identity.extend_from_slice(&[0, forwarded.end()]);
            return;
        }
        // Where there are two hosts, nobody knows which of them a handler takes.
        let hosts = self.headers.get_all(header::HOST);
        let is_other = |host: &HeaderValue| !host.as_bytes().eq_ignore_ascii_case(self.authority);
        if hosts.iter().any(is_other) {
            for host in hosts.iter().map(HeaderValue::as_bytes) {
                identity.push(1);
                part(identity, host);
            }
        }
        identity.push(0);
        reflected::write(forwarded, self.headers, identity);
    }

    /// How the response with this identity is called in the store: readable segments, and a
    /// digest of everything.
    pub(crate) fn store_key(&self, identity: &[u8], base: &str) -> Key {
        let mut key = self.partition.key();
        let path = without_base(self.path, base);
        for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
            if !path.is_empty() {
                key = key.segment(key_segment(segment));
            }
        }
        key.tail(format!("~{}", digest(identity)))
    }
}

/// The identity of one variant of a URI: valid only together with the marker of this id.
pub(crate) fn variant(
    primary: &Identity,
    marker: u64,
    fields: &VaryFields,
    request: &HeaderMap,
    options: Normalize,
    chosen: &[u8],
) -> Identity {
    let mut identity = primary.clone();
    identity.extend_from_slice(&marker.to_le_bytes());
    fields.write_key(request, options, &mut |bytes| identity.extend_from_slice(bytes));
    identity.extend_from_slice(chosen);
    identity
}

/// A path segment as it stands in keys and patterns: percent-decoded, as a person reads it. (The
/// exact bytes are in the key's digest.) For values that fill the holes of a pattern.
///
/// ```
/// assert_eq!(cache_tower::key_segment("spring%20sale"), "spring sale");
/// ```
pub fn key_segment(segment: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment))
}

fn without_base<'p>(path: &'p str, base: &str) -> &'p str {
    match path.strip_prefix(base) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    }
}

fn digest(identity: &[u8]) -> String {
    use std::fmt::Write;
    // 128 bits of SHA-256: nobody finds two requests that share them.
    Sha256::digest(identity).iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub(super) fn part(identity: &mut Identity, bytes: &[u8]) {
    identity.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    identity.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
