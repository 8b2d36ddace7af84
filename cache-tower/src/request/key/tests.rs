use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::request::key_rules::KeyRules;

impl Target<'_> {
    /// By the rules of a cache without options.
    fn identity(&self, site: Site) -> Identity {
        KeyRules::default().identity(self, site)
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn rendered(uri: &str, partition: Partition<'_>, base: &str) -> String {
    let (uri, headers) = (uri.parse::<Uri>().unwrap(), headers(&[("host", "example.com")]));
    let target = Target::of(partition, &uri, &headers);
    let identity = target.identity(Site::Layer);
    let key = target.store_key(&identity, base).as_str().to_owned();
    let (readable, digest) = key.rsplit_once(":~").unwrap();
    assert_eq!(digest.len(), 32);
    readable.to_owned()
}

#[test]
fn keys_in_the_store_read_like_the_path() {
    let ws = Partition::Workspace("ws123");
    for (uri, base, key) in [
        ("/campaigns", "", "ws123:campaigns"),
        ("/campaigns?page=2", "", "ws123:campaigns"),
        ("/campaigns/42", "", "ws123:campaigns:42"),
        ("/campaigns/", "", "ws123:campaigns:"),
        ("/", "", "ws123:"),
        ("/a%20b/%2A", "", "ws123:a b:%2A"),
        ("/api/v1/campaigns", "/api/v1", "ws123:campaigns"),
        ("/api/v10/campaigns", "/api/v1", "ws123:api:v10:campaigns"),
        ("/api/v1", "/api/v1", "ws123"),
    ] {
        assert_eq!(rendered(uri, ws, base), key, "{uri}");
    }
    assert_eq!(rendered("/x", Partition::Shared, ""), "-:x");
    assert_eq!(rendered("/x", Partition::Workspace("-"), ""), "%2D:x");
}

#[test]
fn everything_that_tells_requests_apart_is_in_the_identity() {
    let base = [("host", "a.example")];
    let targets = [
        ("/p", Partition::Shared, headers(&base)),
        ("/p?", Partition::Shared, headers(&base)),
        ("/p?q", Partition::Shared, headers(&base)),
        ("/P", Partition::Shared, headers(&base)),
        ("/p/", Partition::Shared, headers(&base)),
        ("//p", Partition::Shared, headers(&base)),
        ("/%70", Partition::Shared, headers(&base)),
        ("/p", Partition::Workspace("w"), headers(&base)),
        ("/p", Partition::Workspace("-"), headers(&base)),
        ("/p", Partition::Shared, headers(&[("host", "b.example")])),
        ("/p", Partition::Shared, headers(&[("host", "a.example"), ("x-forwarded-host", "b")])),
        ("/p", Partition::Shared, headers(&[("host", "a.example"), ("x-forwarded-host", "")])),
        ("/p", Partition::Shared, headers(&[("host", "a.example"), ("x-forwarded-proto", "b")])),
        ("https://a.example/p", Partition::Shared, headers(&base)),
    ];
    let mut seen = Vec::new();
    for site in [Site::Layer, Site::Endpoint] {
        for (uri, partition, headers) in &targets {
            let uri: Uri = uri.parse().unwrap();
            for class in [MethodClass::Get, MethodClass::Query] {
                let target = Target { class, ..Target::of(*partition, &uri, headers) };
                let identity = target.identity(site);
                assert!(!seen.contains(&identity), "{uri} {partition:?} {headers:?}");
                seen.push(identity);
            }
        }
    }
}

/// What is read by the short form is deleted by the long one.
#[test]
fn without_reflected_fields_the_short_form_says_the_same() {
    for (uri, hosts) in [("/p", &[("host", "a.example")][..]), ("/p?q", &[])] {
        let (uri, headers) = (uri.parse::<Uri>().unwrap(), headers(hosts));
        let target = Target::of(Partition::Workspace("w"), &uri, &headers);
        for forwarded in [ForwardedFields::Keyed, ForwardedFields::Trusted] {
            let [mut short, mut long] = [Identity::new(), Identity::new()];
            target.write_identity(Site::Layer, false, forwarded, &mut short);
            target.write_identity(Site::Layer, true, forwarded, &mut long);
            assert_eq!(short, long);
        }
    }
}

#[test]
fn host_names_are_alike_in_any_case_and_in_the_uri_or_the_header() {
    let identity = |uri: &str, hosts: &[&str]| {
        let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let (uri, headers) = (uri.parse::<Uri>().unwrap(), headers(&lines));
        Target::of(Partition::Shared, &uri, &headers).identity(Site::Layer)
    };
    assert_eq!(identity("/p", &["A.example"]), identity("/p", &["a.EXAMPLE"]));
    assert_eq!(identity("http://a.example/p", &[]), identity("/p", &["a.example"]));
    assert_eq!(identity("http://a.example/p", &["A.example"]), identity("/p", &["a.example"]));
    // Two hosts in one request are neither of them.
    let two = ["a.example", "b.example"];
    let all = [
        identity("/p", &two[..1]),
        identity("/p", &two[1..]),
        identity("/p", &two),
        identity("http://a.example/p", &two[1..]),
        identity("http://b.example/p", &two[..1]),
    ];
    for (n, one) in all.iter().enumerate() {
        assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{n}");
    }
}

proptest! {
    #[test]
    fn identities_are_injective(
        a in "[a:/%?]{0,4}", b in "[a:/%?]{0,4}", ws_a in "[a-]{1,2}", ws_b in "[a-]{1,2}",
    ) {
        let empty = HeaderMap::new();
        let target = |path, workspace| Target {
            class: MethodClass::Get,
            partition: Partition::Workspace(workspace),
            scheme: "http",
            authority: b"",
            absolute: false,
            path,
            query: None,
            headers: &empty,
        };
        let same = target(&a, &ws_a).identity(Site::Layer) == target(&b, &ws_b).identity(Site::Layer);
        prop_assert_eq!(same, a == b && ws_a == ws_b);
    }
}
