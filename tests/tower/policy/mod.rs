//! What is stored, for whom, and for how long.

mod conditions;
mod credentials;
mod etags;
mod groups;
mod head;
mod heuristics;
mod hits;
mod hooks;
mod immutable;
mod keys;
mod nested;
mod origin;
mod outage;
mod partial;
mod patterns;
mod random;
mod ranges;
mod requests;
mod revalidation;
mod stale;
mod storing;
mod targeted;
mod told;
mod unsafe_methods;
mod vary;
mod workspaces;
