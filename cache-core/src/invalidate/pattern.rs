//! Patterns over keys: declared templates, and ad-hoc globs. Pure.
//!
//! A **template** such as `{workspace_id}:campaigns:*` is declared before entries are stored.
//! Entries that match its shape then carry a generation of their own, so that invalidating one
//! instance (`ws1:campaigns:*`) is a single step however many entries lie under it.
//!
//! A **pattern** is text in which `*` stands for anything and `?` for one character.
//!
//! What templates cover is in the docs of [`Template`].

use std::borrow::Cow;

use crate::key::{Key, SHARED_PARTITION, escape, escape_workspace, is_shared_partition, segment};

/// Which part of the cache a request or a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition<'a> {
    /// No workspace: rendered as `-`.
    Shared,
    /// One tenant.
    Workspace(&'a str),
}

impl Partition<'_> {
    pub(crate) fn render(self, out: &mut String) {
        match self {
            Self::Shared => out.push_str(SHARED_PARTITION),
            Self::Workspace(workspace) => escape_workspace(workspace, out),
        }
    }

    /// A key that begins with this partition.
    pub fn key(self) -> Key {
        match self {
            Self::Shared => Key::shared(),
            Self::Workspace(workspace) => Key::workspace(workspace),
        }
    }
}

/// Text with `*` and `?` as wildcards, matched against rendered keys of one namespace.
/// Everything else is a literal; use [`Template`] to put user values in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from text, split at `:` like a key.
    pub fn new(text: impl AsRef<str>) -> Self {
        let mut glob = String::new();
        for character in text.as_ref().chars() {
            match character {
                '*' | '?' | ':' => glob.push(character),
                literal => escape(literal.encode_utf8(&mut [0; 4]), &mut glob),
            }
        }
        Self(glob)
    }

    /// A pattern over whole keys of a store, which are rendered already.
    pub(crate) fn rendered(glob: &str) -> Self {
        Self(glob.to_owned())
    }

    /// The glob, as it is matched against rendered keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What its first segment says, if that is a workspace.
    pub(crate) fn workspace(&self) -> Option<String> {
        let first = self.0.split(':').next().filter(|first| !is_shared_partition(first));
        first.and_then(segment)
    }

    /// Whether a rendered key matches.
    pub(crate) fn matches(&self, rendered: &str) -> bool {
        glob_matches(self.0.as_bytes(), rendered.as_bytes())
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// A pattern with named holes, declared once and bound for each invalidation.
///
/// Of responses, by path; of other keys, by segments in the same way:
///
/// | template, bound to `ws1` | covers | does not cover |
/// |---|---|---|
/// | `{workspace_id}:campaigns:*` | of `ws1` the collection `/campaigns`, its query forms (`/campaigns?page=2`), `/campaigns/42`, `/campaigns/42/stats`, and each variant (`Vary`) of all these | neighbours: `/campaigns-archive`, and what is of `ws12` |
/// | `{workspace_id}:campaigns:{id}`, bound to `42` | `/campaigns/42` in all its query forms and variants | `/campaigns`, `/campaigns/43`, `/campaigns/42/stats` |
/// | `{workspace_id}:*:stats` | `/campaigns/stats`, `/reports/stats`, likewise | `/campaigns/42/stats`: an inner `*` is one segment |
///
/// What is put into a hole is a literal: `*` is no wildcard there. A template has at most 512 bytes
/// and 16 segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Rendered.
    Literal(String),
    Hole(String),
    AnyOne,
}

/// Why a template is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// No text at all.
    #[error("a pattern has at least one segment")]
    Empty,
    /// Longer than 512 bytes, or of more than 16 segments.
    #[error("a pattern has at most 512 bytes and 16 segments")]
    TooLong,
    /// Braces that do not form `{name}` as a whole segment.
    #[error("`{0}`: a hole is a whole segment, as in `{{workspace_id}}:campaigns:*`")]
    Hole(String),
    /// A `*` inside a segment, or a `?`.
    #[error("`{0}`: in a declared pattern, `*` stands for a whole segment or for the rest")]
    Wildcard(String),
    /// The template covers everything.
    #[error("a declared pattern needs at least one segment that is not `*`")]
    Everything,
}

/// The holes that stand for the request's workspace.
const WORKSPACE_HOLES: [&str; 2] = ["workspace_id", "workspace"];
const MAX_SEGMENTS: usize = 16;
const MAX_TEMPLATE: usize = 512;
/// Escaped, a byte becomes three.
const MAX_SHAPE: usize = 3 * MAX_TEMPLATE;
/// A hole without its name.
const HOLE: &str = "{}";

impl Template {
    /// Reads a template: segments separated by `:`, each a literal, a `{name}` or a `*`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut segments: Vec<&str> = text.split(':').collect();
        if text.len() > MAX_TEMPLATE || segments.len() > MAX_SEGMENTS {
            return Err(TemplateError::TooLong);
        }
        let rest = segments.len() > 1 && segments.last() == Some(&"*");
        if rest {
            segments.pop();
        }
        let parts = segments.into_iter().map(Part::parse).collect::<Result<Vec<_>, _>>()?;
        if parts.iter().all(|part| *part == Part::AnyOne) {
            return Err(TemplateError::Everything);
        }
        Ok(Self { parts, rest })
    }

    /// The names of the holes, those of the workspace included.
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Hole(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The name of the hole that stands for the workspace: that of the first segment.
    pub(crate) fn workspace_hole(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Hole(name)) if is_workspace(name) => Some(name),
            _ => None,
        }
    }

    /// Fills the holes: `{workspace_id}` in front with the partition, others by `value` (one
    /// called `{workspace_id}` that has none there with the partition, too). `None` if one has no
    /// value: a hole never widens to a wildcard.
    pub fn bind<'v>(
        &self,
        partition: Option<Partition<'_>>,
        value: impl Fn(&str) -> Option<Cow<'v, str>>,
    ) -> Option<Pattern> {
        let mut glob = String::new();
        for (n, part) in self.parts.iter().enumerate() {
            if n > 0 {
                glob.push(':');
            }
            match part {
                Part::Literal(text) => glob.push_str(text),
                Part::AnyOne => glob.push('*'),
                Part::Hole(name) if n == 0 && is_workspace(name) => partition?.render(&mut glob),
                Part::Hole(name) => match value(name) {
                    Some(value) => escape(&value, &mut glob),
                    None if is_workspace(name) => partition?.render(&mut glob),
                    None => return None,
                },
            }
        }
        if self.rest {
            glob.push_str(":*");
        }
        Some(Pattern(glob))
    }

    /// The instance of this template that covers a key, if any: the name of a generation.
    pub(crate) fn instance(&self, key: &Key) -> Option<String> {
        self.fill(key.parts(), !self.rest && key.has_tail())
    }

    /// The instance of this template that a bound pattern names, if it is one of this shape.
    pub(crate) fn instance_of_pattern(&self, pattern: &Pattern) -> Option<String> {
        let segments: Vec<&str> = pattern.0.split(':').collect();
        let rest = segments.len() > 1 && segments.last() == Some(&"*");
        if rest != self.rest || segments.len() != self.parts.len() + usize::from(rest) {
            return None;
        }
        let same_wildcards = self.parts.iter().zip(&segments).all(|(part, segment)| {
            (*part == Part::AnyOne) == (*segment == "*")
                && (*segment == "*" || !segment.contains(['*', '?']))
        });
        if same_wildcards { self.fill(segments.into_iter(), false) } else { None }
    }

    fn fill<'k>(
        &self,
        segments: impl Iterator<Item = &'k str>,
        ignore_tail: bool,
    ) -> Option<String> {
        let mut segments = segments.peekable();
        let mut instance = String::new();
        for (n, part) in self.parts.iter().enumerate() {
            let segment = segments.next()?;
            if n > 0 {
                instance.push(':');
            }
            match part {
                Part::Literal(text) if text == segment => instance.push_str(text),
                Part::Literal(_) => return None,
                Part::AnyOne => instance.push('*'),
                Part::Hole(_) => instance.push_str(segment),
            }
        }
        if ignore_tail {
            segments.next()?;
        }
        if self.rest {
            // The rest is at least one segment, as for a glob.
            segments.next()?;
            instance.push_str(":*");
            return Some(instance);
        }
        segments.peek().is_none().then_some(instance)
    }

    /// The shape: what two templates have in common that cover the same keys in the same
    /// instances. The holes have no names.
    pub(crate) fn shape(&self) -> String {
        let mut shape = String::new();
        for (n, part) in self.parts.iter().enumerate() {
            if n > 0 {
                shape.push(':');
            }
            match part {
                Part::Literal(text) => shape.push_str(text),
                Part::Hole(_) => shape.push_str(HOLE),
                Part::AnyOne => shape.push('*'),
            }
        }
        if self.rest {
            shape.push_str(":*");
        }
        shape
    }

    /// The template of a [`shape`](Self::shape); `None` if it is none.
    pub(crate) fn of_shape(shape: &str) -> Option<Self> {
        let mut segments: Vec<&str> = shape.split(':').collect();
        if shape.len() > MAX_SHAPE || segments.len() > MAX_SEGMENTS {
            return None;
        }
        let rest = segments.len() > 1 && segments.last() == Some(&"*");
        if rest {
            segments.pop();
        }
        let part = |segment: &str| match segment {
            HOLE => Some(Part::Hole(String::new())),
            "*" => Some(Part::AnyOne),
            text if is_rendered(text) => Some(Part::Literal(text.to_owned())),
            _ => None,
        };
        let parts = segments.into_iter().map(part).collect::<Option<Vec<_>>>()?;
        let everything = parts.iter().all(|part| *part == Part::AnyOne);
        (!everything).then_some(Self { parts, rest })
    }

    /// Whether two templates cover the same keys in the same instances.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Part, &Part)| match (a, b) {
            (Part::Hole(_), Part::Hole(_)) => true,
            (a, b) => a == b,
        };
        self.rest == other.rest
            && self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(alike)
    }
}

/// Whether a literal is as [`escape`] leaves it.
fn is_rendered(text: &str) -> bool {
    text.bytes().all(|byte| {
        (0x20..0x7f).contains(&byte)
            && !matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'{' | b'}')
    })
}

fn is_workspace(hole: &str) -> bool {
    WORKSPACE_HOLES.contains(&hole)
}

impl Part {
    fn parse(segment: &str) -> Result<Self, TemplateError> {
        if segment == "*" {
            return Ok(Self::AnyOne);
        }
        if let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'))
            && !name.is_empty()
            && !name.contains(['{', '}'])
        {
            return Ok(Self::Hole(name.to_owned()));
        }
        if segment.contains(['{', '}']) {
            return Err(TemplateError::Hole(segment.to_owned()));
        }
        if segment.contains(['*', '?']) {
            return Err(TemplateError::Wildcard(segment.to_owned()));
        }
        let mut text = String::new();
        escape(segment, &mut text);
        Ok(Self::Literal(text))
    }
}

/// `*` matches any bytes, `?` one byte: Redis' rules, less the classes, which rendered keys and
/// patterns can't contain. Linear but for backtracking to the last `*`.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry = None;
    while let Some(&byte) = text.get(t) {
        match glob.get(g) {
            Some(b'*') => {
                retry = Some((g + 1, t));
                g += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, from)) = retry else { return false };
                retry = Some((after_star, from + 1));
                g = after_star;
                t = from + 1;
            }
        }
    }
    glob.get(g..).is_none_or(|rest| rest.iter().all(|&byte| byte == b'*'))
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
