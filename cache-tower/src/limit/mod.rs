//! Rate limits on requests.
//!
//! - `layer`: [`RateLimitLayer`], and what it can be told; `service`: its service;
//! - `client`: pure: who a client is behind proxies ([`TrustedProxies`]); `forwarded`: the fields in
//!   which they say so;
//! - `fields`: pure: `RateLimit`, `RateLimit-Policy` and `Retry-After`;
//! - `refusal`: the responses to those who are over their limit.

mod client;
mod fields;
mod forwarded;
mod layer;
mod refusal;
mod service;

pub use client::TrustedProxies;
pub use layer::{RateLimitLayer, WithoutKey};
pub use service::{RateLimitFuture, RateLimitService};
