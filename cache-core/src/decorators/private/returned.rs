//! What a decorated function returns: a `Result` (by whatever name), or anything else.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::{Call, Change};
use crate::compute::ComputeError;
use crate::error::Error;

/// Tells results from other types: its own method is found before that of the trait `AnyType`.
pub struct Returned<T>(PhantomData<fn() -> T>);

impl<T> Returned<T> {
    #[allow(clippy::new_without_default, reason = "for macros")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T, E> Returned<Result<T, E>> {
    // No bounds: where they don't hold, the trait's method would be found instead.
    pub const fn kind(&self) -> Fallible<T, E> {
        Fallible(PhantomData)
    }
}

pub trait AnyType<T> {
    fn kind(&self) -> Plain<T>;
}

impl<T> AnyType<T> for Returned<T> {
    fn kind(&self) -> Plain<T> {
        Plain(PhantomData)
    }
}

/// The function returns `Result<T, E>`.
pub struct Fallible<T, E>(PhantomData<fn() -> Result<T, E>>);

/// A function that returns its invalidation's error.
pub struct Strict<T, E> {
    returned: fn(Error) -> E,
    value: PhantomData<fn() -> T>,
}

/// The function returns `T`, which is no `Result`.
pub struct Plain<T>(PhantomData<fn() -> T>);

/// The error of a cached function, of which `B` is that of its body.
#[diagnostic::on_unimplemented(
    message = "`#[cached]`: the error of this function has to be `ComputeError<{Self}>`",
    label = "write `Result<.., ComputeError<{Self}>>` here",
    note = "all who wait for one value are given the same error: `ComputeError` shares it",
    note = "the body of the function goes on returning `Result<.., {Self}>`"
)]
pub trait CachedError<B> {
    fn shared(error: ComputeError<B>) -> Self;
}

impl<B> CachedError<B> for ComputeError<B> {
    fn shared(error: Self) -> Self {
        error
    }
}

/// A cached function that returns `Result<T, E>`, and whose body returns `Result<T, B>`.
pub struct FallibleCached<T, E, B> {
    shared: fn(ComputeError<B>) -> E,
    value: PhantomData<fn() -> T>,
}

/// The error of a function that returns what its invalidation failed with.
#[diagnostic::on_unimplemented(
    message = "`#[invalidates(strict)]`: the error of this function has to be made from `cache_core::Error`",
    label = "`{Self}` is not",
    note = "implement `From<cache_core::Error>` for it; without `strict` the error is only traced"
)]
pub trait ReturnedError {
    fn returned(error: Error) -> Self;
}

impl<E: From<Error>> ReturnedError for E {
    fn returned(error: Error) -> Self {
        error.into()
    }
}

impl<T, E, B> FallibleCached<T, E, B> {
    /// Says what the body returns; never called.
    pub fn output(self) -> Result<T, B> {
        never()
    }

    /// The value.
    pub async fn run<F, Fut>(self, call: Call, body: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned + Send,
        B: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<T, B>> + Send,
    {
        let value = match call.keyed() {
            Some(keyed) => keyed.get_or_compute(body).await,
            None => body().await.map_err(|error| ComputeError::Compute(Arc::new(error))),
        };
        value.map_err(self.shared)
    }
}

impl<T, E> Fallible<T, E> {
    /// As the type of a cached function: the only place that asks for the bound, so that there is
    /// one error if it does not hold.
    pub fn cached<B>(self) -> FallibleCached<T, E, B>
    where
        E: CachedError<B>,
    {
        FallibleCached { shared: E::shared, value: PhantomData }
    }

    /// Says what the body returns; never called.
    pub fn output(self) -> Result<T, E> {
        never()
    }

    /// The end of a function that invalidates: if it has failed, nothing has changed.
    pub async fn end(self, change: Change, output: Result<T, E>) -> Result<T, E> {
        match &output {
            Ok(_) => change.end().await,
            Err(_) => change.cancel(),
        }
        output
    }

    /// As the type of a function that returns what its invalidation failed with.
    pub fn strict(self) -> Strict<T, E>
    where
        E: ReturnedError,
    {
        Strict { returned: E::returned, value: PhantomData }
    }
}

impl<T, E> Strict<T, E> {
    /// The end of a function that invalidates: fails if the invalidation does.
    pub async fn end(self, change: Change, output: Result<T, E>) -> Result<T, E> {
        if output.is_err() {
            change.cancel();
            return output;
        }
        match change.invalidate().await {
            Ok(()) => output,
            Err(error) => Err((self.returned)(error)),
        }
    }
}

impl<T> Plain<T> {
    /// As the type of a cached function.
    #[must_use]
    pub fn cached(self) -> Self {
        self
    }

    /// Says what the body returns; never called.
    pub fn output(self) -> T {
        never()
    }

    /// The value of a cached function.
    pub async fn run<F, Fut>(self, call: Call, body: F) -> T
    where
        T: Serialize + DeserializeOwned + Send,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T> + Send,
    {
        // Stays here, so that it can be gone on with if the value was waited for in vain.
        let mut body = pin!(body());
        if let Some(keyed) = call.keyed() {
            let body = body.as_mut();
            let compute = || async { Ok::<_, Infallible>(body.await) };
            // Who can't be told of it waits: what has ended must not be gone on with.
            let asked = keyed.get_or_compute(compute).timeout(Duration::MAX);
            if let Ok(value) = asked.soft_timeout(Duration::MAX).await {
                return value;
            }
        }
        body.await
    }

    /// The end of a function that invalidates.
    pub async fn end(self, change: Change, output: T) -> T {
        change.end().await;
        output
    }

    /// There is no way to return an error.
    #[must_use]
    pub fn strict(self) -> Self
    where
        T: ReturnedError,
    {
        self
    }
}

fn never<T>() -> T {
    #[allow(clippy::empty_loop, reason = "only its type is asked for")]
    loop {}
}

impl<T> fmt::Debug for Returned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returned")
    }
}

impl<T, E> fmt::Debug for Fallible<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fallible")
    }
}

impl<T, E, B> fmt::Debug for FallibleCached<T, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FallibleCached")
    }
}

impl<T, E> fmt::Debug for Strict<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strict")
    }
}

impl<T> fmt::Debug for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain")
    }
}

impl<T, E> Clone for Fallible<T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E> Copy for Fallible<T, E> {}

impl<T> Clone for Plain<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Plain<T> {}

impl<T, E, B> Clone for FallibleCached<T, E, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E, B> Copy for FallibleCached<T, E, B> {}
