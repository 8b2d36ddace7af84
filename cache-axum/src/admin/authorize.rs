//! Authorizers: who a request is from.

use cache_core::Error;
use cache_core::store::BoxFuture;
use http::request::Parts;

use super::principal::{Denied, Principal};

/// Says who a request is from. For most, [`BearerToken`](super::BearerToken) or a
/// [function](super::Admin::authorize_with) will do.
pub trait Authorizer: Send + Sync + 'static {
    /// Who it is from, by its head; or why it is refused. Called for each request, but for those of
    /// the page.
    fn authorize<'r>(&'r self, request: &'r Parts) -> BoxFuture<'r, Result<Principal, Denied>>;

    /// Whether it can be used; asked once, when the router is built.
    ///
    /// # Errors
    /// If it can't, such as without any secret.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// An `async fn(&Parts) -> Result<Principal, Denied>`. Implemented for all of them.
pub trait AuthorizeFn<'r> {
    /// What it answers.
    type Future: Future<Output = Result<Principal, Denied>> + Send + 'r;

    /// Calls it.
    fn call(&self, request: &'r Parts) -> Self::Future;
}

impl<'r, F, Fut> AuthorizeFn<'r> for F
where
    F: Fn(&'r Parts) -> Fut,
    Fut: Future<Output = Result<Principal, Denied>> + Send + 'r,
{
    type Future = Fut;

    fn call(&self, request: &'r Parts) -> Fut {
        self(request)
    }
}

/// A function as an authorizer.
pub(super) struct ByFunction<F>(pub(super) F);

impl<F> Authorizer for ByFunction<F>
where
    F: for<'r> AuthorizeFn<'r> + Send + Sync + 'static,
{
    fn authorize<'r>(&'r self, request: &'r Parts) -> BoxFuture<'r, Result<Principal, Denied>> {
        Box::pin(self.0.call(request))
    }
}
