//! Paths as axum's routers write them, and which of them a path is one of. Pure.
//!
//! ```text
//! let mut paths = Paths::default();
//! paths.insert("/campaigns/{id}", 7)?;
//! assert_eq!(paths.of_path("/campaigns/42"), Some(7));
//! assert_eq!(paths.of_route("/campaigns/{campaign}"), Some(7));
//! ```

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// Numbers by path: a tree of segments.
#[derive(Debug)]
pub(crate) struct Paths {
    root: Node,
    /// The same, as whoever decodes paths reads them.
    read: Node,
    /// Whether one is read otherwise than it is written.
    is_encoded: bool,
    /// Most have nothing to look for.
    is_empty: bool,
}

impl Default for Paths {
    fn default() -> Self {
        let (root, read) = Default::default();
        Self { root, read, is_encoded: false, is_empty: true }
    }
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Node>,
    any: Option<Box<Node>>,
    /// Of the path that ends here.
    end: Option<usize>,
    /// Of whatever comes from here on.
    rest: Option<usize>,
}

/// A segment of a route.
#[derive(Debug, PartialEq, Eq)]
enum Segment<'p> {
    Literal(Cow<'p, str>),
    /// `{name}`
    Any,
    /// `{*name}`
    Rest,
}

/// Longer than any route that somebody writes.
const MOST_SEGMENTS: usize = 64;

impl Paths {
    /// Adds a path; the number that it has already, if it does, whatever its parameters are called.
    pub(crate) fn insert(&mut self, path: &str, number: usize) -> Result<Option<usize>, String> {
        let Some(path) = path.strip_prefix('/') else {
            return Err("a path begins with `/`".to_owned());
        };
        let mut segments = path.split('/').peekable();
        if path.split('/').count() > MOST_SEGMENTS {
            return Err(format!("a path has at most {MOST_SEGMENTS} segments"));
        }
        let parsed = segments.clone().map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        self.is_empty = false;
        for reading in READINGS {
            self.is_encoded |= self.read.insert_read(&parsed, reading, number);
        }
        let mut node = &mut self.root;
        while let Some(text) = segments.next() {
            match Segment::parse(text)? {
                Segment::Literal(text) => {
                    node = node.literal.entry(text.into()).or_default();
                }
                Segment::Any => node = node.any.get_or_insert_default(),
                Segment::Rest if segments.peek().is_some() => {
                    return Err(format!("`{text}`: nothing comes after the rest of a path"));
                }
                Segment::Rest => return Ok(set(&mut node.rest, number)),
            }
        }
        Ok(set(&mut node.end, number))
    }

    /// The number of a route as the router has it, whatever its parameters are called.
    pub(crate) fn of_route(&self, route: &str) -> Option<usize> {
        let mut node = &self.root;
        for text in route.strip_prefix('/')?.split('/') {
            node = match Segment::parse(text).ok()? {
                Segment::Literal(text) => node.literal.get(&*text)?,
                Segment::Any => node.any.as_deref()?,
                Segment::Rest => return node.rest,
            };
        }
        node.end
    }

    /// The number of the path that a router would take for this one: what is written out comes
    /// before a parameter, and that before the rest.
    pub(crate) fn of_path(&self, path: &str) -> Option<usize> {
        self.root.best(path.strip_prefix('/')?)
    }

    /// As [`of_path`](Self::of_path), and more: `{*rest}` may be nothing, and a path counts however
    /// it is written that means the same to somebody. For what must not be missed.
    pub(crate) fn covering(&self, path: &str) -> Option<usize> {
        if self.is_empty {
            return None;
        }
        let plain = path.strip_prefix('/').and_then(|path| self.root.covering(Some(path)));
        plain.or_else(|| {
            let is_read = self.is_encoded || is_odd(path);
            let covered = |reading| self.read.covering_read(&reading_of(path, reading));
            is_read.then(|| READINGS.into_iter().find_map(covered)).flatten()
        })
    }
}

fn set(place: &mut Option<usize>, number: usize) -> Option<usize> {
    let known = *place;
    *place = known.or(Some(number));
    known
}

impl Node {
    fn best(&self, path: &str) -> Option<usize> {
        let (segment, left) = split(path);
        let on = |node: &Self| left.map_or(node.end, |left| node.best(left));
        let literal = self.literal.get(segment).and_then(on);
        let any = || self.any.as_deref().filter(|_| !segment.is_empty()).and_then(on);
        literal.or_else(any).or_else(|| self.rest.filter(|_| !path.is_empty()))
    }

    /// Adds a path as it is read; true if that is not how it is written.
    fn insert_read(&mut self, path: &[Segment<'_>], reading: Reading, number: usize) -> bool {
        let (mut node, mut is_encoded) = (self, false);
        for segment in path {
            match segment {
                Segment::Literal(text) => {
                    is_encoded |= text.contains('%');
                    for part in reading_of(text, reading) {
                        node = node.literal.entry(part.into()).or_default();
                    }
                }
                Segment::Any => node = node.any.get_or_insert_default(),
                Segment::Rest => {
                    set(&mut node.rest, number);
                    return is_encoded;
                }
            }
        }
        set(&mut node.end, number);
        is_encoded
    }

    fn covering_read(&self, path: &[String]) -> Option<usize> {
        let Some((segment, left)) = path.split_first() else { return self.end.or(self.rest) };
        let on = |node: &Self| node.covering_read(left);
        let literal = self.literal.get(segment.as_str()).and_then(on);
        literal.or_else(|| self.any.as_deref().and_then(on)).or(self.rest)
    }

    /// `None`: the path ends here.
    fn covering(&self, path: Option<&str>) -> Option<usize> {
        let Some(path) = path else { return self.end.or(self.rest) };
        let (segment, left) = split(path);
        let on = |node: &Self| node.covering(left);
        let literal = self.literal.get(segment).and_then(on);
        literal.or_else(|| self.any.as_deref().and_then(on)).or(self.rest)
    }
}

fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(segment, left)| (segment, Some(left)))
}

/// Which comes first for whoever reads a path: `a%2Fb` is two segments, or one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Decoded,
    Split,
}

const READINGS: [Reading; 2] = [Reading::Decoded, Reading::Split];

/// Whether a path may be read otherwise than it is written.
fn is_odd(path: &str) -> bool {
    let bytes = || path.bytes();
    bytes().any(|byte| matches!(byte, b'%' | b'\\') || !byte.is_ascii())
        || bytes()
            .zip(bytes().skip(1))
            .any(|(one, next)| one == b'/' && matches!(next, b'/' | b'.'))
        || (path.len() > 1 && path.ends_with('/'))
}

/// The segments of a path, as whoever decodes it and tidies it up reads them.
fn reading_of(path: &str, reading: Reading) -> Vec<String> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    match reading {
        Reading::Decoded => tidy(decoded(path).split(['/', '\\']).map(Cow::Borrowed)),
        Reading::Split => tidy(path.split(['/', '\\']).map(decoded)),
    }
}

fn tidy<'p>(all: impl Iterator<Item = Cow<'p, str>>) -> Vec<String> {
    let mut segments = Vec::new();
    for segment in all {
        match &*segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment.into_owned()),
        }
    }
    segments
}

impl<'p> Segment<'p> {
    fn parse(text: &'p str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'))
            && !name.contains(['{', '}'])
        {
            return match name.strip_prefix('*') {
                Some("") => Err(format!("`{text}`: a parameter without a name")),
                Some(_) => Ok(Self::Rest),
                None if name.is_empty() => Err(format!("`{text}`: a parameter without a name")),
                None => Ok(Self::Any),
            };
        }
        if !text.contains(['{', '}']) {
            return Ok(Self::Literal(Cow::Borrowed(text)));
        }
        // As the router has it: two of a kind stand for one.
        let bare = text.replace("{{", "").replace("}}", "");
        if bare.contains(['{', '}']) {
            return Err(format!(
                "`{text}`: a parameter is a whole segment, as in `/campaigns/{{id}}`"
            ));
        }
        Ok(Self::Literal(Cow::Owned(text.replace("{{", "{").replace("}}", "}"))))
    }
}

/// Whether a path has a parameter of this name; that of its rest is none.
pub(crate) fn has_parameter(path: &str, name: &str) -> bool {
    path.split('/').filter_map(parameter).any(|known| known == name)
}

fn parameter(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    (!name.starts_with('*') && !name.contains(['{', '}'])).then_some(name)
}

/// The value of a parameter, as a person reads it: the segment of the path where the route has
/// `{name}`. `None` if it has none there, or an empty one.
pub(crate) fn value<'p>(route: &str, path: &'p str, name: &str) -> Option<Cow<'p, str>> {
    let mut segments = route.split('/').zip(path.split('/'));
    let (_, value) = segments.find(|(route, _)| parameter(route) == Some(name))?;
    let value = crate::request::key::key_segment(value);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests;
