//! The main job as a user meets it: the examples as processes of their own, in memory and on a
//! real Redis, before a real nginx and before scripted origins; and axum routers with the layers
//! of cache-axum.

mod axum;
mod proxy;
mod quickstart;
mod setup;
