//! Routes: how each is cached, and which never are.

pub(crate) mod layers;
pub(crate) mod paths;
pub(crate) mod policy;
pub(crate) mod table;
pub(crate) mod template;
mod words;
