//! Who asks, and why somebody may not.

/// Who asks, and what of the cache is theirs.
///
/// ```
/// use cache_axum::admin::Principal;
///
/// let all = Principal::operator().named("ada");
/// let own = Principal::workspace("ws1");
/// assert!(all.is_operator() && !own.is_operator());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    workspace: Option<String>,
    name: Option<String>,
}

impl Principal {
    /// Somebody who sees all, and may change all.
    pub fn operator() -> Self {
        Self { workspace: None, name: None }
    }

    /// Somebody of one workspace: sees what is of it, and may invalidate that.
    pub fn workspace(workspace: impl Into<String>) -> Self {
        Self { workspace: Some(workspace.into()), name: None }
    }

    /// With a name for the audit: who it is, rather than what they may do. No secret.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether they see all.
    pub fn is_operator(&self) -> bool {
        self.workspace.is_none()
    }

    /// The workspace they are limited to.
    pub fn scope(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    /// As the audit calls them: of two that differ, never the same.
    pub(super) fn shown(&self) -> String {
        let role = match &self.workspace {
            Some(workspace) => format!("workspace {workspace:?}"),
            None => "operator".to_owned(),
        };
        match &self.name {
            Some(name) => format!("{role} {name:?}"),
            None => role,
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// It has no credentials: 401.
    NoCredentials,
    /// They are not right: 401.
    WrongCredentials,
    /// They are right, and allow nothing here: 403.
    Forbidden,
    /// Whoever knows can't be asked: 503.
    Unavailable,
}
