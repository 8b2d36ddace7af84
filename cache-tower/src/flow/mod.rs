//! The way of a request, in order: [`entrance`] says whether it is one for the cache, [`lookup`]
//! finds what is stored, [`answer`] serves it; [`fill`] decides who fetches, [`fetch`] does,
//! [`collapse`] shares what arrives, [`keep`] stores it.

pub(crate) mod answer;
pub(crate) mod budget;
pub(crate) mod collapse;
pub(crate) mod entrance;
pub(crate) mod fetch;
pub(crate) mod fill;
pub(crate) mod groups;
pub(crate) mod head;
pub(crate) mod keep;
pub(crate) mod lookup;
pub(crate) mod nested;
pub(crate) mod post;
pub(crate) mod query;
pub(crate) mod refresh;
pub(crate) mod revalidate;
pub(crate) mod tags;
