//! Groups (RFC 9875) as tags of stored responses: of one workspace and one origin.

use cache_core::{Tag, TagFamily};
use http::HeaderMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::flow::lookup::Ask;
use crate::policy::normal_authority;
use crate::request::key::Target;

/// The groups of one origin in one workspace.
pub(crate) struct Groups {
    pub(crate) family: TagFamily,
    origin: String,
}

/// Families of one workspace. Anyone can make up authorities, so that each of them must not have
/// a generation of its own; those that share one are only in each other's way (see
/// [`TagFamily`]), not in each other's groups.
const FAMILIES: u64 = 64;

impl Groups {
    pub(crate) fn of(target: &Target<'_>) -> Self {
        // Injective whatever bytes the authority has.
        let authority = target.authority.escape_ascii().to_string();
        let origin = format!("{}://{}", target.scheme, normal_authority(target.scheme, &authority));
        let bucket = xxh3_64(origin.as_bytes()) % FAMILIES;
        let family = match target.partition {
            cache_core::Partition::Shared => format!("http:{bucket}"),
            cache_core::Partition::Workspace(name) => format!("http:{bucket}:{name}"),
        };
        Self { family: TagFamily::new(family), origin }
    }

    /// The tags that stand for these groups.
    pub(crate) fn tags(&self, groups: &[String]) -> Vec<Tag> {
        // With the length of the origin, so that no two share a group.
        let tag = |group| self.family.tag(format!("{}:{}:{group}", self.origin.len(), self.origin));
        groups.iter().map(tag).collect()
    }
}

impl Ask {
    /// Where the groups of this request's response belong.
    pub(crate) fn groups(&self, headers: &HeaderMap) -> Groups {
        Groups::of(&Target::of(self.partition.partition(), &self.uri, headers))
    }
}

#[cfg(test)]
mod tests {
    use cache_core::Partition;
    use http::Uri;

    use super::*;

    /// The tag of group `a` of a request.
    fn tag(workspace: Option<&str>, uri: &str, host: &[u8]) -> Tag {
        let headers = HeaderMap::from_iter([(
            http::header::HOST,
            http::HeaderValue::from_bytes(host).unwrap(),
        )]);
        let partition = workspace.map_or(Partition::Shared, Partition::Workspace);
        let uri: Uri = uri.parse().unwrap();
        let groups = Groups::of(&Target::of(partition, &uri, &headers));
        groups.tags(&["a".to_owned()]).remove(0)
    }

    #[test]
    fn groups_belong_to_one_origin_of_one_workspace() {
        let one = tag(Some("ws1"), "/a", b"shop.example");
        // RFC 9110 §4.3.1: an origin is scheme, host and port.
        for (uri, host) in [
            ("/b?q", &b"SHOP.example"[..]),
            ("/", b"shop.example:80"),
            ("http://shop.example/", b"other.example"),
        ] {
            assert_eq!(tag(Some("ws1"), uri, host), one, "{uri}");
        }
        let others = [
            tag(Some("ws2"), "/a", b"shop.example"),
            tag(None, "/a", b"shop.example"),
            tag(Some("ws1"), "/a", b"other.example"),
            tag(Some("ws1"), "/a", b"shop.example:8080"),
            tag(Some("ws1"), "https://shop.example/a", b"shop.example"),
            tag(Some("ws1"), "/a", b"\xff"),
            tag(Some("ws1"), "/a", b"\xfe"),
            tag(Some("ws1"), "/a", b"\\xfe"),
        ];
        for (n, other) in others.iter().enumerate() {
            assert_ne!(*other, one);
            assert!(!others[n + 1..].contains(other), "{other:?}");
        }
    }
}
