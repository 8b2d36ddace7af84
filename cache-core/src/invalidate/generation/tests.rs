use std::sync::Arc;

use super::table::SMALL_TABLE;
use super::*;
use crate::entry::Recorded;

/// Never invalidated softly.
#[allow(clippy::unnecessary_wraps, reason = "what a store answers")]
fn hard(id: u64) -> Option<Generation> {
    Some(Generation { id, softs: Vec::new() })
}

#[test]
fn an_invalidation_ends_what_was_filled_before_and_nothing_else() {
    let table = GenerationTable::default();
    let cell = table.cell("a");
    let before = cell.snapshot();
    assert!(before.is_current());
    cell.invalidate();
    assert!(!before.is_current());
    assert!(cell.snapshot().is_current());
}

#[test]
fn a_reply_that_crossed_an_invalidation_revives_nothing() {
    let cell = GenerationTable::default().cell("a");
    let mut first = cell.snapshot();
    assert!(first.observe(hard(7)));
    let entry = first.clone();

    let mut asked_before = cell.snapshot();
    cell.invalidate();
    assert!(!asked_before.observe(hard(7)), "the reply is older than the invalidation");
    assert!(!entry.is_current());
    assert_eq!(cell.snapshot().id(), None);
}

#[test]
fn an_id_that_changes_elsewhere_ends_what_was_filled_under_the_old_one() {
    let cell = GenerationTable::default().cell("a");
    let mut entry = cell.snapshot();
    assert!(entry.observe(hard(1)));
    assert!(cell.snapshot().observe(hard(2)));
    assert!(!entry.is_current());
    // And a rolled-back store does not revive it.
    assert!(cell.snapshot().observe(hard(1)));
    assert!(!entry.is_current());
}

#[test]
fn two_that_learn_the_same_id_at_once_agree() {
    let cell = GenerationTable::default().cell("a");
    let (mut a, mut b) = (cell.snapshot(), cell.snapshot());
    assert!(a.observe(hard(3)) && b.observe(hard(3)));
    assert!(a.is_current() && b.is_current());
}

#[test]
fn a_doubt_is_settled_by_an_answer_to_a_question_asked_after_it() {
    let cell = GenerationTable::default().cell("a");
    let (mut early, mut late) = (cell.snapshot(), cell.snapshot());
    assert!(early.observe(hard(1)) && cell.is_settled());
    cell.doubt();
    assert!(late.observe(hard(1)) && !cell.is_settled(), "asked before");
    assert!(cell.snapshot().observe(hard(1)) && cell.is_settled());
    assert!(late.observe(hard(1)) && cell.is_settled(), "a late answer doubts nothing");
}

/// Pinned: what was read before an invalidation elsewhere was learnt after the scope had been
/// looked into because of it.
#[test]
fn a_late_answer_that_differs_from_that_to_a_later_question_is_doubted() {
    let cell = GenerationTable::default().cell("a");
    let mut early = cell.snapshot();
    cell.doubt();
    assert!(cell.snapshot().observe(None) && cell.is_settled());
    assert!(early.observe(hard(1)) && !cell.is_settled());
    assert!(cell.snapshot().observe(None) && cell.is_settled() && !early.is_current());
}

#[test]
fn learning_an_id_interrupts_no_flight_and_an_invalidation_does() {
    let cell = GenerationTable::default().cell("a");
    let flight = cell.snapshot();
    assert!(cell.snapshot().observe(hard(1)));
    assert!(flight.is_uninterrupted() && !flight.is_current());
    assert!(cell.snapshot().observe(hard(2)), "another id: invalidated elsewhere");
    assert!(!flight.is_uninterrupted());

    let flight = cell.snapshot();
    cell.invalidate();
    assert!(!flight.is_uninterrupted());
    assert!(cell.snapshot().observe(hard(3)));
    assert!(!flight.is_uninterrupted());

    let unknown = GenerationTable::default().cell("b");
    let flight = unknown.snapshot();
    unknown.invalidate();
    assert!(!flight.is_uninterrupted());
}

#[test]
fn cells_that_nobody_refers_to_go_and_the_others_stay() {
    let table = GenerationTable::default();
    let kept = table.cell("kept");
    for n in 0..100_000 {
        table.cell(&format!("w:{n}"));
    }
    assert!(table.len() <= SMALL_TABLE * 2, "{}", table.len());
    assert!(Arc::ptr_eq(&kept, &table.cell("kept")));
}

#[test]
fn all_that_are_in_use_have_their_turn() {
    let table = GenerationTable::default();
    let mut kept: Vec<_> = (0..100).map(|n| table.cell(&format!("w:{n}"))).collect();
    table.cell("nobody's");
    let names = |cells: Vec<Arc<GenerationCell>>| -> Vec<String> {
        cells.iter().map(|cell| cell.name.to_string()).collect()
    };
    let (first, second) = (names(table.next_in_use(60)), names(table.next_in_use(40)));
    let mut all = [first, second].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 100);
    assert_eq!(table.next_in_use(1000).len(), 100);
    kept.truncate(1);
    assert_eq!(names(table.next_in_use(1000)), ["w:0"]);
}

#[test]
fn a_table_that_was_large_gets_small_again_by_itself() {
    let table = GenerationTable::default();
    let kept = table.cell("kept");
    let many: Vec<_> = (0..100_000).map(|n| table.cell(&format!("w:{n}"))).collect();
    assert_eq!(table.len(), 100_001);
    drop(many);
    for _ in 0..4 {
        table.next_in_use(2048);
    }
    assert!(table.len() <= SMALL_TABLE, "{}", table.len());
    let cells = table.cells();
    assert!(cells.by_name.capacity() <= SMALL_TABLE * 4, "{}", cells.by_name.capacity());
    assert!(cells.turns.len() <= SMALL_TABLE && cells.turns.capacity() <= SMALL_TABLE * 4);
    drop(cells);
    assert!(Arc::ptr_eq(&kept, &table.cell("kept")));
}

const SOFT: Soft = Soft { id: 9, at: 1_000 };

#[test]
fn what_was_filled_before_a_soft_invalidation_is_stale_until_it_is_invalid() {
    for id in [None, hard(1)] {
        let cell = GenerationTable::default().cell("a");
        assert!(cell.snapshot().observe(id.clone()));
        let before = cell.snapshot();
        assert_eq!(before.standing(), Standing::Current);
        cell.soften(SOFT);
        assert_eq!(before.standing(), Standing::Stale(1_000));
        let after = cell.snapshot();
        // The end of the same invalidation.
        cell.soften(SOFT);
        assert_eq!(after.standing(), Standing::Current);
        cell.soften(Soft { id: 10, at: 2_000 });
        assert_eq!(after.standing(), Standing::Stale(2_000));
        cell.invalidate();
        cell.soften(SOFT);
        assert_eq!((before.standing(), after.standing()), (Standing::Invalid, Standing::Invalid));
    }
}

#[test]
fn a_soft_invalidation_elsewhere_is_learnt_and_a_late_answer_takes_nothing_back() {
    let cell = GenerationTable::default().cell("a");
    assert!(cell.snapshot().observe(hard(1)));
    let (before, mut late) = (cell.snapshot(), cell.snapshot());
    let softened = Some(Generation { id: 1, softs: vec![SOFT] });
    assert!(cell.snapshot().observe(softened.clone()));
    assert_eq!(before.standing(), Standing::Stale(1_000));
    assert!(!late.observe(hard(1)));
    assert_eq!((cell.snapshot().soft_id(), before.is_of(softened.as_ref())), (9, false));
    assert!(cell.snapshot().is_of(softened.as_ref()));
}

/// What was read while a soft invalidation was on its way to the store is stale when it has ended.
#[test]
fn an_older_answer_that_came_in_between_is_outdated_at_the_end() {
    let cell = GenerationTable::default().cell("a");
    assert!(cell.snapshot().observe(hard(1)));
    cell.soften(SOFT);
    let mut crossed = cell.snapshot();
    assert!(crossed.observe(hard(1)), "asked after the beginning, answered before the store knew");
    assert!(crossed.is_current());
    let mut later = cell.snapshot();
    cell.soften(SOFT);
    assert_eq!(crossed.standing(), Standing::Stale(1_000));
    assert!(!later.observe(hard(1)), "asked before the end");
}

/// Pinned: so the old value was read as fresh after a soft invalidation had answered.
#[test]
fn an_older_answer_that_comes_after_the_end_is_worth_nothing() {
    let cell = GenerationTable::default().cell("a");
    assert!(cell.snapshot().observe(hard(1)));
    cell.soften(SOFT);
    let mut asked_in_between = cell.snapshot();
    cell.soften(SOFT);
    assert!(!asked_in_between.observe(hard(1)));
    assert_eq!(cell.snapshot().soft_id(), 9);
}

#[test]
fn what_takes_the_place_of_a_stale_value_is_current_and_that_of_an_invalid_one_is_not() {
    let cell = GenerationTable::default().cell("a");
    assert!(cell.snapshot().observe(hard(1)));
    let stale = cell.snapshot();
    cell.soften(SOFT);
    assert_eq!((stale.renewed().standing(), stale.renewed().soft_id()), (Standing::Current, 9));
    let recorded = |id, soft| Some(Recorded { scope: 0, id, soft });
    let of_entry = |recorded| cell.snapshot().of_entry(recorded).map(|entry| entry.standing());
    assert_eq!(of_entry(recorded(1, 9)), Some(Standing::Current));
    assert_eq!(of_entry(recorded(1, 0)), Some(Standing::Stale(1_000)));
    assert_eq!((of_entry(recorded(2, 9)), of_entry(None)), (None, None));
    cell.invalidate();
    assert_eq!(stale.renewed().standing(), Standing::Invalid);
    assert_eq!(cell.snapshot().standing(), Standing::Current);
}
