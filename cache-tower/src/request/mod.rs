//! What a request asks for. Pure: keys, what an application adds to them, and workspaces.

pub(crate) mod content;
pub(crate) mod key;
pub(crate) mod key_rules;
pub(crate) mod partition;
pub(crate) mod reflected;
