//! Workspaces: which tenant a request belongs to. Pure.
//!
//! ```
//! use cache_tower::Workspace;
//!
//! // The tenant that authentication has established: what multi-tenant services should use.
//! #[derive(Clone)]
//! struct Tenant(String);
//! let workspace = Workspace::from_extension(|tenant: &Tenant| &tenant.0);
//!
//! // Or a header that something in front of the service has set.
//! let workspace = Workspace::header("x-workspace-id");
//! ```

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cache_core::Partition;
use http::{Extensions, HeaderMap, HeaderName};

/// How a request's workspace is found. An empty, repeated or unreadable one always bypasses.
#[derive(Clone)]
pub struct Workspace(Rule);

#[derive(Clone)]
enum Rule {
    Header { name: HeaderName, required: bool },
    Function { function: Arc<Function>, of: TypeId, name: Option<String> },
}

type Function = dyn for<'r> Fn(&'r HeaderMap, &'r Extensions) -> Option<Cow<'r, str>> + Send + Sync;

/// Longer names are no names.
const MAX_LENGTH: usize = 256;

impl Workspace {
    /// The value of a header; a request without it bypasses the cache.
    ///
    /// # Panics
    /// If this is no name for a header.
    pub fn header(name: &str) -> Self {
        Self(Rule::Header { name: header_name(name), required: true })
    }

    /// The value of a header; a request without it belongs to the shared partition.
    ///
    /// # Panics
    /// If this is no name for a header.
    pub fn optional_header(name: &str) -> Self {
        Self(Rule::Header { name: header_name(name), required: false })
    }

    /// From an extension that an earlier layer has put into the request; a request without it
    /// bypasses the cache.
    pub fn from_extension<T: Send + Sync + 'static>(
        name: impl for<'t> Fn(&'t T) -> &'t str + Send + Sync + 'static,
    ) -> Self {
        Self::from_fn(move |_, extensions| extensions.get::<T>().map(|t| Cow::Borrowed(name(t))))
    }

    /// From headers and extensions; `None` bypasses the cache.
    pub fn from_fn<F>(name: F) -> Self
    where
        F: for<'r> Fn(&'r HeaderMap, &'r Extensions) -> Option<Cow<'r, str>>
            + Send
            + Sync
            + 'static,
    {
        Self(Rule::Function { function: Arc::new(name), of: TypeId::of::<F>(), name: None })
    }

    /// What kind of workspaces a function finds: `project`, say. To be said of the rule of a layer
    /// ([`CacheLayer::workspace`](crate::CacheLayer::workspace)) that is a function: a workspace
    /// that another rule finds may be called the same, and must not share. Rules that read a header
    /// are called as that is.
    ///
    /// ```
    /// use cache_tower::Workspace;
    ///
    /// #[derive(Clone)]
    /// struct Project(String);
    /// let workspace = Workspace::from_extension(|project: &Project| &project.0).named("project");
    /// ```
    #[must_use]
    pub fn named(mut self, kind: impl Into<String>) -> Self {
        if let Rule::Function { name, .. } = &mut self.0 {
            *name = Some(kind.into());
        }
        self
    }

    /// Whether both are one rule.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::Function { function: one, .. }, Rule::Function { function: other, .. }) => {
                std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
            }
            (
                Rule::Header { name: one, required: requires },
                Rule::Header { name: other, required },
            ) => one == other && requires == required,
            _ => false,
        }
    }

    /// What tells its workspaces from those that other rules find, and its function, if it is one;
    /// `None`: a function without a name.
    pub(crate) fn kind(&self) -> Option<(String, Option<TypeId>)> {
        match &self.0 {
            Rule::Header { name, .. } => Some((format!("header {name}"), None)),
            Rule::Function { of, name, .. } => {
                Some((format!("function {}", name.as_ref()?), Some(*of)))
            }
        }
    }

    /// The partition of a request; `None`: bypass.
    pub(crate) fn resolve<'r>(
        &self,
        headers: &'r HeaderMap,
        extensions: &'r Extensions,
    ) -> Option<Resolved<'r>> {
        let name = match &self.0 {
            Rule::Function { function, .. } => function(headers, extensions)?,
            Rule::Header { name, required } => {
                let mut values = headers.get_all(name).iter();
                let Some(value) = values.next() else {
                    return (!required).then_some(Resolved::Shared);
                };
                // A comma is what joins two lines into one.
                let value = value.to_str().ok().filter(|value| !value.contains(','))?;
                if values.next().is_some() {
                    return None;
                }
                Cow::Borrowed(value.trim())
            }
        };
        (!name.is_empty() && name.len() <= MAX_LENGTH).then_some(Resolved::Workspace(name))
    }
}

/// The default: the header `x-workspace-id`; without it, the shared partition.
impl Default for Workspace {
    fn default() -> Self {
        Self(Rule::Header { name: HeaderName::from_static("x-workspace-id"), required: false })
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Header { name, required: true } => write!(f, "Workspace(header {name})"),
            Rule::Header { name, required: false } => write!(f, "Workspace(optional {name})"),
            Rule::Function { name: Some(name), .. } => write!(f, "Workspace(function {name})"),
            Rule::Function { name: None, .. } => write!(f, "Workspace(function)"),
        }
    }
}

/// The partition of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved<'r> {
    Shared,
    Workspace(Cow<'r, str>),
}

impl Resolved<'_> {
    pub(crate) fn partition(&self) -> Partition<'_> {
        match self {
            Self::Shared => Partition::Shared,
            Self::Workspace(name) => Partition::Workspace(name),
        }
    }

    pub(crate) fn into_owned(self) -> Resolved<'static> {
        match self {
            Self::Shared => Resolved::Shared,
            Self::Workspace(name) => Resolved::Workspace(Cow::Owned(name.into_owned())),
        }
    }
}

/// The name of a header that an application has set.
pub(crate) fn header_name(name: &str) -> HeaderName {
    match name.parse::<HeaderName>() {
        Ok(name) => name,
        Err(error) => panic!("{name:?} is no name for a header: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn resolve(workspace: &Workspace, lines: &[&[u8]]) -> Option<Resolved<'static>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-workspace-id", HeaderValue::from_bytes(line).unwrap());
        }
        workspace.resolve(&headers, &Extensions::new()).map(Resolved::into_owned)
    }

    #[test]
    fn what_is_not_exactly_one_readable_name_bypasses() {
        let workspace = Workspace::header("x-workspace-id");
        let long = vec![b'a'; 257];
        let cases: [&[&[u8]]; 7] =
            [&[], &[b""], &[b"  "], &[b"a", b"a"], &[b"a,b"], &[b"\xff"], &[&long]];
        for lines in cases {
            assert_eq!(resolve(&workspace, lines), None, "{lines:?}");
        }
        let named = Resolved::Workspace("ws1".into());
        assert_eq!(resolve(&workspace, &[b" ws1 "]), Some(named));
    }

    #[test]
    fn only_absence_is_the_shared_partition() {
        let workspace = Workspace::default();
        assert_eq!(resolve(&workspace, &[]), Some(Resolved::Shared));
        assert_eq!(resolve(&workspace, &[b""]), None);
    }

    #[test]
    fn an_extension_that_is_absent_bypasses() {
        let workspace = Workspace::from_extension(|name: &String| name);
        let mut extensions = Extensions::new();
        assert_eq!(workspace.resolve(&HeaderMap::new(), &extensions), None);
        extensions.insert("ws1".to_owned());
        assert_eq!(
            workspace.resolve(&HeaderMap::new(), &extensions),
            Some(Resolved::Workspace("ws1".into()))
        );
    }
}
