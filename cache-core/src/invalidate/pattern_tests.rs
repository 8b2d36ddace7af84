use proptest::prelude::*;

use super::*;

fn http_key(workspace: &str, path: &[&str]) -> Key {
    let mut key = Partition::Workspace(workspace).key();
    for segment in path {
        key = key.segment(segment);
    }
    key.tail("~0123")
}

#[test]
fn a_hole_for_the_workspace_that_is_not_in_front_takes_its_own_value_first() {
    let template = Template::parse("exec:dashboard:{workspace}:*").unwrap();
    let bind = |partition, value: Option<&'static str>| {
        template.bind(partition, |_| value.map(Into::into)).map(|bound| bound.as_str().to_owned())
    };
    let other = Some(Partition::Workspace("ws2"));
    assert_eq!(bind(None, Some("ws1")).as_deref(), Some("exec:dashboard:ws1:*"));
    assert_eq!(bind(other, Some("ws1")).as_deref(), Some("exec:dashboard:ws1:*"));
    assert_eq!(bind(other, None).as_deref(), Some("exec:dashboard:ws2:*"));
    assert_eq!(bind(None, Some("-:*")).as_deref(), Some("exec:dashboard:-%3A%2A:*"));
    assert_eq!(bind(None, None), None);
}

#[test]
fn a_template_covers_the_collection_its_items_and_no_neighbour() {
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    for path in [&["campaigns"][..], &["campaigns", "42"], &["campaigns", "42", "stats"]] {
        let key = http_key("ws1", path);
        assert_eq!(template.instance(&key).as_deref(), Some("ws1:campaigns:*"), "{path:?}");
    }
    assert_eq!(template.instance(&http_key("ws1", &["campaigns-archive"])), None);
    assert_eq!(template.instance(&http_key("ws12", &["campaigns"])).unwrap(), "ws12:campaigns:*");
    assert_eq!(template.instance(&Key::from("ws1:campaigns")), None, "the rest is not empty");
}

#[test]
fn a_template_without_a_star_covers_one_path_in_all_its_forms() {
    let template = Template::parse("{workspace_id}:campaigns:{id}").unwrap();
    let key = http_key("ws1", &["campaigns", "42"]);
    assert_eq!(template.instance(&key).as_deref(), Some("ws1:campaigns:42"));
    assert_eq!(template.instance(&http_key("ws1", &["campaigns"])), None);
    assert_eq!(template.instance(&http_key("ws1", &["campaigns", "42", "stats"])), None);
    assert_eq!(template.instance(&Key::from("ws1:campaigns:7")).unwrap(), "ws1:campaigns:7");
}

#[test]
fn an_inner_star_is_one_segment() {
    let template = Template::parse("{workspace_id}:*:stats").unwrap();
    let one = http_key("w", &["campaigns", "stats"]);
    assert_eq!(template.instance(&one).as_deref(), Some("w:*:stats"));
    assert_eq!(template.instance(&http_key("w", &["campaigns", "42", "stats"])), None);
}

#[test]
fn binding_escapes_values_and_never_widens() {
    let template = Template::parse("{workspace_id}:campaigns:{id}:*").unwrap();
    let bind = |ws, id: Option<&'static str>| {
        template.bind(ws, |_| id.map(Cow::Borrowed)).map(|p| p.as_str().to_owned())
    };
    let ws = Some(Partition::Workspace("*"));
    assert_eq!(bind(ws, Some("4:2?")).as_deref(), Some("%2A:campaigns:4%3A2%3F:*"));
    assert_eq!(bind(None, Some("42")), None);
    assert_eq!(bind(ws, None), None);
    assert_eq!(bind(Some(Partition::Shared), Some("1")).unwrap(), "-:campaigns:1:*");
    assert_eq!(bind(Some(Partition::Workspace("-")), Some("1")).unwrap(), "%2D:campaigns:1:*");
}

#[test]
fn a_bound_pattern_finds_its_template_again() {
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    let bound = template.bind(Some(Partition::Workspace("ws1")), |_| None).unwrap();
    assert_eq!(template.instance_of_pattern(&bound).as_deref(), Some("ws1:campaigns:*"));
    for other in ["ws1:campaigns", "ws1:*", "*:campaigns:*", "ws?:campaigns:*", "ws1:campaigns:*:*"]
    {
        assert_eq!(template.instance_of_pattern(&Pattern::new(other)), None, "{other}");
    }
}

#[test]
fn templates_that_can_only_be_mistakes_are_refused() {
    for (text, error) in [
        ("", TemplateError::Empty),
        ("{a}b:c", TemplateError::Hole("{a}b".into())),
        ("{}:c", TemplateError::Hole("{}".into())),
        ("camp*:c", TemplateError::Wildcard("camp*".into())),
        ("*:*", TemplateError::Everything),
        ("*", TemplateError::Everything),
    ] {
        assert_eq!(Template::parse(text), Err(error), "{text}");
    }
    assert_eq!(Template::parse(&"a:".repeat(20)), Err(TemplateError::TooLong));
    assert_eq!(Template::parse(&"a".repeat(600)), Err(TemplateError::TooLong));
}

#[test]
fn globs_match_as_redis_matches_them() {
    for (glob, text, expected) in [
        ("*", "", true),
        ("*:old_*", "a:b:old_1", true),
        ("*:old_*", "a:b:new_1", false),
        ("user:?", "user:1", true),
        ("user:?", "user:12", false),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-b-b-d", false),
        ("", "", true),
        ("", "x", false),
        ("[ab]", "a", false),
        ("[ab]", "%5Bab%5D", true),
    ] {
        assert_eq!(Pattern::new(glob).matches(text), expected, "{glob} on {text}");
    }
}

proptest! {
    #[test]
    fn a_bound_template_matches_exactly_the_keys_of_its_instance(
        workspace in "[a-c*?:%-]{1,2}", id in "[a-c*?:%]{0,2}",
        key_workspace in "[a-c*?:%-]{1,2}", key_id in "[a-c*?:%]{0,2}",
    ) {
        let template = Template::parse("{workspace_id}:c:{id}:*").unwrap();
        let bound = template
            .bind(Some(Partition::Workspace(&workspace)), |_| Some(id.as_str().into()))
            .unwrap();
        let key = http_key(&key_workspace, &["c", &key_id]);
        let covered = template.instance(&key) == template.instance_of_pattern(&bound);
        prop_assert_eq!(covered, workspace == key_workspace && id == key_id);
        prop_assert_eq!(covered, bound.matches(key.as_str()));
    }

    #[test]
    fn hostile_globs_end_soon(glob in "[a*?]{0,24}", text in "[ab]{0,64}") {
        let _ = Pattern::new(glob).matches(&text);
    }
}
