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
#[derive(Debug, Default)]
pub(crate) struct Paths(Node);

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
        let mut node = &mut self.0;
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
        let mut node = &self.0;
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
        self.0.best(path.strip_prefix('/')?)
    }

    /// As [`of_path`](Self::of_path), and more: `{*rest}` may be nothing, and a path counts however
    /// it is written that means the same to somebody. For what must not be missed.
    pub(crate) fn covering(&self, path: &str) -> Option<usize> {
        let plain = path.strip_prefix('/').and_then(|path| self.0.covering(Some(path)));
        plain.or_else(|| self.0.covering(Some(normal(path)?.as_str())))
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

/// A path as whoever decodes it and tidies it up reads it, without the first `/`; `None`: as it
/// stands there.
fn normal(path: &str) -> Option<String> {
    let is_odd = path.contains(['%', '\\'])
        || path.contains("//")
        || path.contains("/.")
        || (path.len() > 1 && path.ends_with('/'));
    if !is_odd {
        return None;
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut segments = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    Some(segments.join("/"))
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
mod tests {
    use super::*;

    fn paths(all: &[&str]) -> Paths {
        let mut paths = Paths::default();
        for (number, path) in all.iter().enumerate() {
            assert_eq!(paths.insert(path, number), Ok(None), "{path}");
        }
        paths
    }

    #[test]
    fn a_path_is_one_of_a_route_as_the_router_says() {
        let paths = paths(&["/", "/a", "/a/{id}", "/a/new", "/a/{id}/b", "/f/{*rest}", "/{{x}}"]);
        for (path, number) in [
            ("/", Some(0)),
            ("/a", Some(1)),
            ("/a/", None),
            ("/a/7", Some(2)),
            ("/a/new", Some(3)),
            ("/a/new/b", Some(4)),
            ("/a/%2F/b", Some(4)),
            ("/a//b", None),
            ("/f", None),
            ("/f/", None),
            ("/f/x/y", Some(5)),
            ("/f//", Some(5)),
            ("/{x}", Some(6)),
            ("/A", None),
            ("", None),
            ("*", None),
            ("a", None),
        ] {
            assert_eq!(paths.of_path(path), number, "{path}");
        }
    }

    #[test]
    fn a_route_is_the_same_whatever_its_parameters_are_called() {
        let paths = paths(&["/a/{id}/b", "/f/{*rest}", "/{{x}}", "/a/{id}"]);
        for (route, number) in [
            ("/a/{other}/b", Some(0)),
            ("/f/{*path}", Some(1)),
            ("/{{x}}", Some(2)),
            ("/a/{id}", Some(3)),
            ("/a/7", None),
            ("/f/{rest}", None),
            ("/{x}", None),
            ("", None),
        ] {
            assert_eq!(paths.of_route(route), number, "{route}");
        }
    }

    #[test]
    fn what_must_not_be_missed_is_found_however_it_is_written() {
        let paths = paths(&["/billing/{*rest}", "/me", "/t/{team}/secret"]);
        for path in [
            "/billing",
            "/billing/",
            "/billing/x",
            "/billing/x/y",
            "/%62illing/x",
            "/billing%2Fx",
            "//billing/x",
            "/./billing/x",
            "/a/../billing/x",
            "/a/%2e%2e/billing/x",
            "/billing\\x",
            "/a%2F..%2Fbilling",
        ] {
            assert_eq!(paths.covering(path), Some(0), "{path}");
        }
        for path in ["/me", "/me/", "/%6De", "/%6de/."] {
            assert_eq!(paths.covering(path), Some(1), "{path}");
        }
        for path in ["/t/a/secret", "/t//secret", "/t/a/secret/"] {
            assert_eq!(paths.covering(path), Some(2), "{path}");
        }
        for path in ["/", "/billings", "/bill", "/me/x", "/t/secret", "/x/billing", "/%", ""] {
            assert_eq!(paths.covering(path), None, "{path}");
        }
        let all = self::paths(&["/{*rest}"]);
        for path in ["/", "/a", "/a/b", "//"] {
            assert_eq!(all.covering(path), Some(0), "{path}");
        }
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for path in ["", "a", "/{}", "/{*}", "/a{id}", "/{id}a", "/{*rest}/a", "/{", "/}{", "/{a}}"]
        {
            assert!(Paths::default().insert(path, 0).is_err(), "{path}");
        }
        assert!(Paths::default().insert(&"/a".repeat(65), 0).is_err());
        let mut paths = paths(&["/a/{id}"]);
        assert_eq!(paths.insert("/a/{other}", 7), Ok(Some(0)));
        assert_eq!(paths.of_path("/a/x"), Some(0));
    }

    #[test]
    fn parameters_are_found_by_name_and_decoded() {
        let route = "/api/{team}/campaigns/{id}";
        let get = |path, name| value(route, path, name);
        assert_eq!(get("/api/a%20b/campaigns/42", "team").as_deref(), Some("a b"));
        assert_eq!(get("/api/a/campaigns/%2A%2F:", "id").as_deref(), Some("*/:"));
        assert_eq!(get("/api/a/campaigns/%ff", "id").as_deref(), Some("%ff"));
        for (path, name) in [
            ("/api/a/campaigns/42", "campaigns"),
            ("/api/a/campaigns/42", "other"),
            ("/api/a/campaigns/42", ""),
            ("/api//campaigns/42", "team"),
            ("/api", "id"),
        ] {
            assert_eq!(get(path, name), None, "{path} {name}");
        }
        assert_eq!(value("/files/{*rest}", "/files/a/b", "rest"), None);
        let has = |name: &&str| has_parameter("/{a}/b/{{c}}/{d}/{*e}", name);
        assert_eq!(["a", "b", "c", "d", "e", "*e", "{c}", ""].into_iter().filter(has).count(), 2);
    }
}
