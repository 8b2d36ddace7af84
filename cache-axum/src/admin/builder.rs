//! Building the admin router.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cache_core::{Cache, Error, ErrorKind};
use cache_tower::HttpCache;

use super::audit::Refusals;
use super::authorize::{AuthorizeFn, Authorizer, ByFunction};
use super::page::Page;
use super::places::Places;
use super::rate::{Buckets, Limit};
use super::routes;

/// Starts to build the admin API of a response cache, and of the cache below it; see
/// [`admin`](mod@crate::admin).
///
/// ```
/// # use cache_core::Cache;
/// # use cache_tower::HttpCache;
/// use axum::Router;
/// use cache_axum::admin::BearerToken;
///
/// # let http = HttpCache::builder(Cache::builder().memory().build()?).build();
/// # let token = "a-long-random-text";
/// let admin = cache_axum::admin(&http).authorize(BearerToken::new(token)).build()?;
/// let app: Router = Router::new().nest("/api/cache", admin);
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// Nobody can forget to say who may use it; this does not compile:
///
/// ```compile_fail,E0599
/// # use cache_core::Cache;
/// # use cache_tower::HttpCache;
/// # let http = HttpCache::builder(Cache::builder().memory().build().unwrap()).build();
/// let admin: axum::Router = cache_axum::admin(&http).build().unwrap();
/// ```
pub fn admin(http: &HttpCache) -> Admin {
    Admin {
        authorizer: Nobody(()),
        settings: Settings {
            http: http.clone(),
            allow_bodies: false,
            open_probes: false,
            origins: Vec::new(),
            requests_per_second: 20,
            changes_per_minute: 60,
            max_listeners: 32,
        },
    }
}

/// An admin API to be built; made by [`admin`](fn@crate::admin).
#[must_use = "nothing is built until `build` is called"]
pub struct Admin<A = Nobody> {
    authorizer: A,
    settings: Settings,
}

/// Nobody has said yet who may use it.
#[derive(Debug)]
pub struct Nobody(());

/// It is known who says who may use it.
pub struct Authorized(Arc<dyn Authorizer>);

struct Settings {
    http: HttpCache,
    allow_bodies: bool,
    open_probes: bool,
    origins: Vec<String>,
    requests_per_second: u32,
    changes_per_minute: u32,
    max_listeners: usize,
}

/// What all handlers share.
pub(super) struct Shared {
    pub(super) http: HttpCache,
    pub(super) authorizer: Arc<dyn Authorizer>,
    pub(super) allow_bodies: bool,
    /// Whose pages may change something, beside its own.
    pub(super) origins: Vec<String>,
    pub(super) requests: Buckets,
    pub(super) changes: Buckets,
    pub(super) refusals: Refusals,
    pub(super) listeners: Arc<Places>,
    pub(super) page: Page,
}

impl Shared {
    pub(super) fn cache(&self) -> &Cache {
        self.http.cache()
    }
}

impl Admin<Nobody> {
    /// Who may use it.
    pub fn authorize(self, authorizer: impl Authorizer) -> Admin<Authorized> {
        Admin { authorizer: Authorized(Arc::new(authorizer)), settings: self.settings }
    }

    /// Who may use it, by a function that looks at the head of each request.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use cache_tower::HttpCache;
    /// use cache_axum::admin::{Denied, Principal};
    /// use http::request::Parts;
    ///
    /// /// Put into the extensions by the application's own middleware.
    /// #[derive(Clone)]
    /// struct User {
    ///     name: String,
    ///     workspace: String,
    ///     is_staff: bool,
    /// }
    ///
    /// async fn who(request: &Parts) -> Result<Principal, Denied> {
    ///     let user = request.extensions.get::<User>().ok_or(Denied::NoCredentials)?;
    ///     let principal = match user.is_staff {
    ///         true => Principal::operator(),
    ///         false => Principal::workspace(&user.workspace),
    ///     };
    ///     Ok(principal.named(&user.name))
    /// }
    /// # let http = HttpCache::builder(Cache::builder().memory().build()?).build();
    /// let admin: axum::Router = cache_axum::admin(&http).authorize_with(who).build()?;
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn authorize_with<F>(self, who: F) -> Admin<Authorized>
    where
        F: for<'r> AuthorizeFn<'r> + Send + Sync + 'static,
    {
        self.authorize(ByFunction(who))
    }
}

impl<A> Admin<A> {
    /// `GET /entry` shows values, too, to those who may see the entry. Not those of sensitive
    /// namespaces. Default: only what is known of them.
    pub fn allow_bodies(mut self) -> Self {
        self.settings.allow_bodies = true;
        self
    }

    /// `GET /health/live` and `GET /health/ready` need no credentials: they tell one word. Default:
    /// they do.
    pub fn open_probes(mut self) -> Self {
        self.settings.open_probes = true;
        self
    }

    /// Pages of this origin (`https://admin.example`) may change something, too: for one whose
    /// browsers do not say where requests come from (`Sec-Fetch-Site`), behind a proxy that changes
    /// the `Host`; or another page than that of this router. The latter needs a layer around the
    /// router that answers for CORS, too: here nothing says a word of it.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.settings.origins.push(origin.into());
        self
    }

    /// How often each principal may ask, on average; five times as often for a moment. Default: 20.
    pub fn requests_per_second(mut self, requests: u32) -> Self {
        self.settings.requests_per_second = requests;
        self
    }

    /// How often each principal may change something, on average; half of that at once. Each pattern
    /// of a request counts, since each may mean to go through all keys. Default: 60.
    pub fn changes_per_minute(mut self, changes: u32) -> Self {
        self.settings.changes_per_minute = changes;
        self
    }

    /// How many may listen to `GET /events` at once; of those that are somebody's of a workspace, half
    /// of that, and a quarter of each (one at least). Default: 32.
    pub fn max_listeners(mut self, listeners: usize) -> Self {
        self.settings.max_listeners = listeners;
        self
    }
}

impl Admin<Authorized> {
    /// The router: to be nested under a path of its own, such as `/api/cache`.
    ///
    /// From then on this process watches which [keys are read most](Cache::watch_top_keys).
    ///
    /// # Errors
    /// If the authorizer can't be used, such as for an empty token, or nothing would be answered.
    pub fn build<S: Clone + Send + Sync + 'static>(self) -> Result<Router<S>, Error> {
        let Self { authorizer: Authorized(authorizer), settings } = self;
        authorizer.check()?;
        let often = |count: u32, what: &str| {
            let none =
                || Error::new(ErrorKind::Config, format!("{what} of the admin API can't be 0"));
            if count == 0 { Err(none()) } else { Ok(f64::from(count)) }
        };
        let requests = often(settings.requests_per_second, "requests per second")?;
        let changes = often(settings.changes_per_minute, "changes per minute")?;
        settings.http.cache().watch_top_keys();
        let minute = Duration::from_secs(60).as_secs_f64();
        let shared = Arc::new(Shared {
            http: settings.http,
            authorizer,
            allow_bodies: settings.allow_bodies,
            origins: settings.origins,
            requests: Buckets::new(Limit { burst: 5.0 * requests, per_second: requests }),
            changes: Buckets::new(Limit {
                burst: (changes / 2.0).max(1.0),
                per_second: changes / minute,
            }),
            refusals: Refusals::new(),
            listeners: Arc::new(Places::new(settings.max_listeners)),
            page: Page::new(),
        });
        Ok(routes::router(&shared, settings.open_probes).with_state(shared))
    }
}

impl<A> fmt::Debug for Admin<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("http", &self.settings.http).finish_non_exhaustive()
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized").finish_non_exhaustive()
    }
}
