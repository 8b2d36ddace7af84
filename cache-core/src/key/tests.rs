use super::*;
use proptest::prelude::*;

#[test]
fn rendering_is_readable_and_escapes_what_means_something() {
    for (segments, rendered) in [
        (vec!["user", "123"], "user:123"),
        (vec!["a:b"], "a%3Ab"),
        (vec!["a", "b"], "a:b"),
        (vec!["{slot}"], "%7Bslot%7D"),
        (vec!["*?[x]\\"], "%2A%3F%5Bx%5D%5C"),
        (vec!["100%"], "100%25"),
        (vec!["é\n"], "%C3%A9%0A"),
        (vec![""], ""),
        (vec!["", ""], ":"),
        (vec![], "%"),
    ] {
        assert_eq!(Key::from_segments(&segments).as_str(), rendered, "{segments:?}");
    }
}

#[test]
fn a_workspace_called_dash_is_not_the_shared_partition() {
    assert_ne!(Key::workspace("-").as_str(), Key::shared().as_str());
}

#[test]
fn long_names_fold_into_a_digest_and_stay_distinct() {
    let long = "x".repeat(600);
    let (a, b) = (fold(format!("{long}a")), fold(format!("{long}b")));
    assert_eq!((a.len(), b.len()), (MAX_RENDERED, MAX_RENDERED));
    assert_ne!(a, b);
    assert_eq!(fold("short".into()), "short");
}

/// Segments made of the characters that escaping is about.
fn hostile() -> impl Strategy<Value = Vec<String>> {
    let character = prop_oneof![
        prop::sample::select(vec![
            ':', '*', '?', '[', ']', '\\', '{', '}', '%', '~', '-', '\0', '\n', ' ', 'é', '2', 'A',
            '3'
        ]),
        any::<char>(),
    ];
    prop::collection::vec(prop::collection::vec(character, 0..6).prop_map(String::from_iter), 0..5)
}

proptest! {
    #[test]
    fn rendering_is_injective(a in hostile(), b in hostile()) {
        let same = Key::from_segments(&a).as_str() == Key::from_segments(&b).as_str();
        prop_assert_eq!(same, a == b);
    }

    #[test]
    fn text_is_split_at_colons(segments in hostile(), plain in "[a-z:]{0,12}") {
        for text in [segments.join(":"), plain] {
            let (quick, slow) = (Key::from(&text), Key::from_segments(text.split(':')));
            prop_assert_eq!(&quick, &slow);
            prop_assert_eq!(quick.segment("x"), slow.segment("x"));
        }
    }

    #[test]
    fn segments_can_be_told_apart_again(segments in hostile()) {
        let key = Key::from_segments(&segments);
        if !segments.is_empty() {
            prop_assert_eq!(key.parts().count(), segments.len());
        }
        prop_assert!(key.as_str().bytes().all(|b| (0x20..0x7f).contains(&b)));
        prop_assert!(key.parts().zip(&segments).all(|(part, segment)| unescape(part) == *segment));
        let special = ['*', '?', '[', ']', '\\', '{', '}'];
        prop_assert!(!key.as_str().contains(special));
    }
}
