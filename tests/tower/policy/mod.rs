//! What is stored, for whom, and for how long.

mod conditions;
mod credentials;
mod hits;
mod immutable;
mod nested;
mod origin;
mod outage;
mod partial;
mod patterns;
mod ranges;
mod requests;
mod revalidation;
mod stale;
mod storing;
mod targeted;
mod unsafe_methods;
mod vary;
mod workspaces;
