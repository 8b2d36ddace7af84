//! Templates with their values put in.

use std::fmt::{Display, Write};

use serde::Serialize;

use crate::error::Error;
use crate::key::Key;
use crate::key_hash::KeyHash;

/// Text with values in it; an error if one has no digest.
#[derive(Debug)]
pub struct Text(Result<String, Error>);

impl Text {
    #[allow(clippy::new_without_default, reason = "for macros")]
    pub fn new() -> Self {
        Self(Ok(String::new()))
    }

    #[must_use]
    pub fn text(self, text: &'static str) -> Self {
        self.value(text)
    }

    /// As it displays itself. (One whose `Display` fails is an error: what it wrote before that
    /// may be what others write.)
    #[must_use]
    pub fn value<T: Display + ?Sized>(mut self, value: &T) -> Self {
        if let Ok(text) = &mut self.0
            && write!(text, "{value}").is_err()
        {
            self.0 = Err(Error::new(
                crate::ErrorKind::Encode,
                "a value of a template can't be displayed",
            ));
        }
        self
    }

    /// Its digest.
    #[must_use]
    pub fn hash<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match KeyHash::of("", value) {
            Ok(digest) => self.value(&digest),
            Err(error) => Self(self.0.and(Err(error))),
        }
    }

    pub(super) fn into_string(self) -> Result<String, Error> {
        self.0
    }
}

/// A key, segment by segment.
#[derive(Debug)]
pub struct KeyParts(Result<Option<Key>, Error>);

impl KeyParts {
    #[allow(clippy::new_without_default, reason = "for macros")]
    pub fn new() -> Self {
        Self(Ok(None))
    }

    #[must_use]
    pub fn segment(self, segment: Text) -> Self {
        Self(self.0.and_then(|key| {
            let segment = segment.into_string()?;
            Ok(Some(match key {
                Some(key) => key.segment(segment),
                None => Key::from_segments([segment]),
            }))
        }))
    }

    pub(super) fn into_key(self) -> Result<Key, Error> {
        Ok(self.0?.unwrap_or_else(|| Key::from_segments::<&str>([])))
    }
}
