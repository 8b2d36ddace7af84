use proptest::prelude::*;

use super::facts::{Declared, Facts, MOST_SHAPES};
use super::wire::{Board, Noted};
use crate::invalidate::Template;

const KEY: &str = "p:gen:b:users";
const DAY: u64 = 24 * 60 * 60 * 1000;

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn declared(texts: &[&str]) -> Facts {
    texts.iter().fold(Facts::new("p:users".to_owned(), 1), |facts, text| {
        match facts.declare(&template(text)) {
            Some(Declared::New(next)) => next,
            _ => panic!("{text}"),
        }
    })
}

fn of(facts: &Facts, now: u64) -> Board {
    Board::updated(true, Board::default(), facts, now)
}

#[test]
fn what_is_written_is_read_again_and_nothing_else_is() {
    let mut board = of(&declared(&["{workspace_id}:campaigns:*", "a:{b}:*:c", "x%:y z"]), 3 * DAY);
    (board.bumps, board.pending) = (7, true);
    let bytes = board.encode(KEY, 9).unwrap();
    let read = Board::decode(KEY, &bytes).unwrap();
    assert_eq!((read.bumps, read.pending, read.written), (7, true, 3 * DAY));
    assert!(!read.adds_to(&board) && !board.adds_to(&read) && read.shapes.len() == 3);
    assert_eq!(Board::decode("p:gen:b:others", &bytes), None, "that of another namespace");
    for cut in 0..bytes.len() {
        assert_eq!(Board::decode(KEY, &bytes.slice(..cut)), None);
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1;
        assert_eq!(Board::decode(KEY, &damaged.into()), None, "{at}");
    }
}

#[test]
fn what_others_say_is_kept_and_what_is_known_is_added() {
    let facts = declared(&["{workspace}:a:*"]);
    let others = of(&declared(&["{id}:a:*", "{id}:b:*"]), 0);
    let board = Board::updated(false, others.clone(), &facts, 0);
    assert!(board.covers(&facts) && !board.adds_to(&others));
    let more = facts.learn(&board).unwrap();
    assert_eq!(more.templates().count(), 2);
    assert!(more.learn(&board).is_none());
    // What was learnt is not asserted, but for a board that was lost.
    assert!(of(&declared(&["{id}:a:*"]), 0).covers(&more));
    assert_eq!(of(&more, 0).shapes.len(), 2);
}

#[test]
fn bumps_only_grow() {
    let facts = Facts::new("p:users".to_owned(), 2);
    assert_eq!((facts.version(), facts.base()), (2, "p:users:v2:"));
    let bumped = facts.bump().unwrap().bump().unwrap();
    assert_eq!((bumped.version(), bumped.base()), (4, "p:users:v4:"));
    let lower = Board { bumps: 1, ..Board::default() };
    assert!(bumped.learn(&lower).is_none() && !lower.covers(&bumped));
    assert_eq!(Board::updated(false, lower, &bumped, 0).bumps, 2);
    assert!(Facts::new("p:users".to_owned(), u32::MAX).bump().is_none());
}

#[test]
fn shapes_are_bounded_and_those_of_others_stay() {
    let many = |kind: &str| (0..MOST_SHAPES).map(|n| format!("{{w}}:{kind}{n}:*")).collect();
    let (theirs, own): (Vec<String>, Vec<String>) = (many("t"), many("o"));
    let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let (full, facts) = (of(&declared(&theirs), 0), declared(&own));
    assert!(facts.declare(&template("{w}:one-more:*")).is_none());
    let board = Board::updated(false, full.clone(), &facts, 0);
    assert!(!board.adds_to(&full) && !board.covers(&facts));
    assert_eq!(facts.without_refused(&facts, &board).unwrap().templates().count(), 0);
    // In bytes, too.
    let long: Vec<String> = (0..200).map(|n| format!("{{w}}:{n}{}:*", "x".repeat(490))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let bytes = of(&declared(&long), 0).encode(KEY, 1).unwrap();
    assert!((60_000..70_000).contains(&bytes.len()), "{}", bytes.len());
}

#[test]
fn what_nobody_declares_is_forgotten_and_what_is_declared_is_confirmed() {
    let (old, facts) = (declared(&["{w}:old:*", "{w}:own:*"]), declared(&["{w}:own:*"]));
    let board = of(&old, 0);
    assert!(!board.is_due(&facts, DAY - 1) && board.is_due(&facts, DAY));
    let written_lately = Board { written: 7 * DAY, ..board.clone() };
    assert!(written_lately.is_due(&facts, 7 * DAY), "its own is to be confirmed");
    assert!(!written_lately.is_due(&declared(&["{w}:third:*"]), 7 * DAY));
    let later = Board::updated(false, board.clone(), &facts, 59 * DAY);
    assert_eq!(later.shapes.len(), 2);
    let later = Board::updated(false, later, &facts, 60 * DAY);
    assert_eq!(later.shapes, [Noted { template: template("{w}:own:*"), seen: 60 }]);
}

proptest! {
    #[test]
    fn a_shape_is_that_of_the_template_it_stands_for(
        segments in prop::collection::vec("\\*|\\{[a-z]{1,3}\\}|[a-z%é. \\[-]{0,4}", 1..6),
    ) {
        if let Ok(template) = Template::parse(&segments.join(":")) {
            let again = Template::of_shape(&template.shape()).unwrap();
            prop_assert!(again.same_shape(&template));
            prop_assert_eq!(again.shape(), template.shape());
        }
    }

    #[test]
    fn what_is_no_shape_is_none(text in "[a-z{}*?:\\[%é]{0,12}") {
        if let Some(template) = Template::of_shape(&text) {
            prop_assert_eq!(template.shape(), text);
        }
    }
}
