//! Tags with holes: `campaign:{id}`. Pure.

use std::borrow::Cow;

use cache_core::Tag;

use crate::request::partition::Resolved;
use crate::routes::paths::has_parameter;

/// A tag that requests give its values to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagTemplate {
    text: String,
    pieces: Vec<Piece>,
    /// Whether it is a tag of the request's workspace.
    pub(crate) in_workspace: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(String),
}

/// The holes that stand for the request's workspace.
const WORKSPACE_HOLES: [&str; 2] = ["workspace_id", "workspace"];

impl TagTemplate {
    /// Reads a template: text with `{name}` in it; `{{` and `}}` stand for braces.
    ///
    /// # Panics
    /// If it is none.
    pub(crate) fn new(text: &str, in_workspace: bool) -> Self {
        match parse(text) {
            Ok(pieces) => Self { text: text.to_owned(), pieces, in_workspace },
            Err(error) => panic!("the tag {text:?}: {error}"),
        }
    }

    /// The tag's text for a request; `None` if a hole has no value, for then nobody knows which
    /// tag is meant.
    pub(crate) fn fill<'v>(
        &self,
        partition: Option<&Resolved<'_>>,
        value: impl Fn(&str) -> Option<Cow<'v, str>>,
    ) -> Option<String> {
        let mut tag = String::new();
        for piece in &self.pieces {
            match (piece, partition) {
                (Piece::Text(text), _) => tag.push_str(text),
                (Piece::Hole(name), Some(Resolved::Workspace(workspace))) if is_workspace(name) => {
                    tag.push_str(workspace);
                }
                (Piece::Hole(name), _) => {
                    tag.push_str(&value(name).filter(|value| !value.is_empty())?);
                }
            }
        }
        Some(tag)
    }

    /// As [`fill`](Self::fill): the tag itself.
    pub(crate) fn tag<'v>(
        &self,
        partition: Option<&Resolved<'_>>,
        value: impl Fn(&str) -> Option<Cow<'v, str>>,
    ) -> Option<Tag> {
        let text = self.fill(partition, value)?;
        Some(match partition {
            _ if !self.in_workspace => Tag::new(text),
            Some(partition) => Tag::in_partition(partition.partition(), text),
            None => return None,
        })
    }

    /// A hole that no request to this path can fill.
    pub(crate) fn unknown_hole(&self, path: &str) -> Option<&str> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Hole(name) if !is_workspace(name) && !has_parameter(path, name) => {
                Some(name.as_str())
            }
            _ => None,
        })
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_workspace(hole: &str) -> bool {
    WORKSPACE_HOLES.contains(&hole)
}

fn parse(text: &str) -> Result<Vec<Piece>, &'static str> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            plain.extend(from.chars().next());
            rest = after;
            continue;
        }
        let Some((name, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}'))
        else {
            return Err("a brace without its other half; `{{` and `}}` stand for braces");
        };
        if name.is_empty() || name.contains(['{', '*']) {
            return Err("a hole is the name of a parameter in braces, as in `campaign:{id}`");
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Hole(name.to_owned()));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    if pieces.is_empty() {
        return Err("a tag has some text");
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(name: &str) -> Option<Cow<'static, str>> {
        let value = match name {
            "id" => "42",
            "odd" => "*{x}:%2F",
            "empty" => "",
            _ => return None,
        };
        Some(value.into())
    }

    #[test]
    fn values_are_literals_and_a_hole_without_one_makes_no_tag() {
        let ours = Resolved::Workspace("ws1".into());
        for (text, partition, tag) in [
            ("reports", None, Some("reports")),
            ("campaign:{id}", None, Some("campaign:42")),
            ("{id}-{id}", None, Some("42-42")),
            ("a{odd}b", None, Some("a*{x}:%2Fb")),
            ("{{id}}", None, Some("{id}")),
            ("campaign:{other}", None, None),
            ("campaign:{empty}", None, None),
            ("{workspace_id}:{id}", Some(&ours), Some("ws1:42")),
            ("{workspace}", Some(&ours), Some("ws1")),
            ("{workspace_id}:{id}", Some(&Resolved::Shared), None),
            ("{workspace_id}:{id}", None, None),
        ] {
            let template = TagTemplate::new(text, false);
            assert_eq!(template.fill(partition, values).as_deref(), tag, "{text}");
            assert_eq!(template.tag(partition, values), tag.map(Tag::new), "{text}");
        }
        let own = TagTemplate::new("campaign:{id}", true);
        assert_eq!(own.tag(Some(&ours), values), Some(Tag::in_workspace("ws1", "campaign:42")));
        assert_eq!(own.tag(None, values), None);
    }

    #[test]
    fn holes_that_a_route_does_not_have_are_known() {
        for (text, unknown) in [
            ("campaign:{id}", None),
            ("campaign:{workspace_id}", None),
            ("campaign:{ids}", Some("ids")),
            ("{id}:{rest}", Some("rest")),
        ] {
            let template = TagTemplate::new(text, false);
            assert_eq!(template.unknown_hole("/{team}/x/{id}/{*rest}"), unknown, "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["", "{}", "{", "}", "a{b", "a}b", "{a{b}}", "{*rest}", "{{}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
