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
    for path in ["/t/a%2Fb/secret", "/t/a%2Fb/s%65cret", "//t/a%2Fb/secret"] {
        assert_eq!(paths.covering(path), Some(2), "{path}");
    }
    let all = self::paths(&["/{*rest}"]);
    for path in ["/", "/a", "/a/b", "//"] {
        assert_eq!(all.covering(path), Some(0), "{path}");
    }
}

/// A rule with an escape or a slash at its end was missed by a path that was written otherwise.
#[test]
fn nor_does_it_matter_how_the_rule_is_written() {
    let paths = paths(&["/my%20files/{*rest}", "/caf%C3%A9", "/in/", "/%6De", "/a%2Fb"]);
    for (path, number) in [
        ("/my%20files/x", Some(0)),
        ("/m%79%20files/x", Some(0)),
        ("//my%20files/x", Some(0)),
        ("/caf%c3%a9", Some(1)),
        ("/caf\u{e9}", Some(1)),
        ("/in/", Some(2)),
        ("//in/", Some(2)),
        ("/%69n/", Some(2)),
        ("/me", Some(3)),
        ("/a%2fb", Some(4)),
        ("/a/b", Some(4)),
        ("/a", None),
        ("/my", None),
    ] {
        assert_eq!(paths.covering(path), number, "{path}");
    }
}

#[test]
fn what_is_no_route_is_refused() {
    for path in ["", "a", "/{}", "/{*}", "/a{id}", "/{id}a", "/{*rest}/a", "/{", "/}{", "/{a}}"] {
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
