//! Groups of responses that are invalidated together (RFC 9875).
//!
//! ```text
//! let groups = groups(&headers)?;   // Cache-Groups: "articles", "article-7"
//! assert_eq!(groups, ["articles", "article-7"]);
//! ```

use std::convert::Infallible;

use http::{HeaderMap, HeaderName};
use sfv::visitor::{EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor};
use sfv::{BareItemFromInput, Parser};

use super::NoStore;
use super::structured::combined;

pub(crate) const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// The most groups of one response. RFC 9875 §2: at least 32.
const MOST: usize = 128;
/// The most groups that one response invalidates. RFC 9875 §3: at least 32.
const MOST_INVALIDATED: usize = 1024;
/// The most bytes in the name of a group. RFC 9875 §2, §3: at least 32.
const LONGEST: usize = 256;

/// The groups that a response belongs to (RFC 9875 §2). An error where they are more or longer
/// than can be kept: stored without them, it would outlive their invalidation.
pub(crate) fn groups(headers: &HeaderMap) -> Result<Vec<String>, NoStore> {
    let groups = strings(headers, &CACHE_GROUPS).unwrap_or_default();
    if groups.len() > MOST || groups.iter().any(|group| group.len() > LONGEST) {
        return Err(NoStore::Groups);
    }
    Ok(groups)
}

/// The groups that a successful response to an unsafe request invalidates (RFC 9875 §3).
pub(crate) fn invalidated_groups(headers: &HeaderMap) -> Vec<String> {
    let mut groups = strings(headers, &CACHE_GROUP_INVALIDATION).unwrap_or_default();
    // Nothing is stored in groups with longer names.
    groups.retain(|group| group.len() <= LONGEST);
    groups.truncate(MOST_INVALIDATED);
    groups
}

/// The members of a list of strings, each once; `None` if there is none, or anything else in it.
fn strings(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let value = combined(headers, name)?;
    let mut found = Strings { strings: Vec::new(), only_strings: true };
    Parser::new(&value).parse_list_with_visitor(&mut found).ok()?;
    found.strings.sort_unstable();
    found.strings.dedup();
    found.only_strings.then_some(found.strings)
}

struct Strings {
    strings: Vec<String>,
    only_strings: bool,
}

impl<'de> ListVisitor<'de> for &mut Strings {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(Member(self))
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Member<'s>(&'s mut Strings);

impl<'de> EntryVisitor<'de> for Member<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        // RFC 9875 §2: parameters are ignored.
        Ok(move |item: BareItemFromInput<'de>| {
            match item {
                BareItemFromInput::String(group) => {
                    self.0.strings.push(group.as_str().to_owned());
                }
                _ => self.0.only_strings = false,
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        self.0.only_strings = false;
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests;
