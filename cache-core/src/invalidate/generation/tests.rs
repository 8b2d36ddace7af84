use super::*;

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
    assert!(first.observe(Some(7)));
    let entry = first.clone();

    let mut asked_before = cell.snapshot();
    cell.invalidate();
    assert!(!asked_before.observe(Some(7)), "the reply is older than the invalidation");
    assert!(!entry.is_current());
    assert_eq!(cell.snapshot().id, None);
}

#[test]
fn an_id_that_changes_elsewhere_ends_what_was_filled_under_the_old_one() {
    let cell = GenerationTable::default().cell("a");
    let mut entry = cell.snapshot();
    assert!(entry.observe(Some(1)));
    assert!(cell.snapshot().observe(Some(2)));
    assert!(!entry.is_current());
    // And a rolled-back store does not revive it.
    assert!(cell.snapshot().observe(Some(1)));
    assert!(!entry.is_current());
}

#[test]
fn two_that_learn_the_same_id_at_once_agree() {
    let cell = GenerationTable::default().cell("a");
    let (mut a, mut b) = (cell.snapshot(), cell.snapshot());
    assert!(a.observe(Some(3)) && b.observe(Some(3)));
    assert!(a.is_current() && b.is_current());
}

#[test]
fn a_doubt_is_settled_by_an_answer_to_a_question_asked_after_it() {
    let cell = GenerationTable::default().cell("a");
    let (mut early, mut late) = (cell.snapshot(), cell.snapshot());
    assert!(early.observe(Some(1)) && cell.is_settled());
    cell.doubt();
    assert!(late.observe(Some(1)) && !cell.is_settled(), "asked before");
    assert!(cell.snapshot().observe(Some(1)) && cell.is_settled());
    assert!(late.observe(Some(1)) && cell.is_settled(), "a late answer doubts nothing");
}

/// Pinned: what was read before an invalidation elsewhere was learnt after the scope had been
/// looked into because of it.
#[test]
fn a_late_answer_that_differs_from_that_to_a_later_question_is_doubted() {
    let cell = GenerationTable::default().cell("a");
    let mut early = cell.snapshot();
    cell.doubt();
    assert!(cell.snapshot().observe(None) && cell.is_settled());
    assert!(early.observe(Some(1)) && !cell.is_settled());
    assert!(cell.snapshot().observe(None) && cell.is_settled() && !early.is_current());
}

#[test]
fn learning_an_id_interrupts_no_flight_and_an_invalidation_does() {
    let cell = GenerationTable::default().cell("a");
    let flight = cell.snapshot();
    assert!(cell.snapshot().observe(Some(1)));
    assert!(flight.is_uninterrupted() && !flight.is_current());
    assert!(cell.snapshot().observe(Some(2)), "another id: invalidated elsewhere");
    assert!(!flight.is_uninterrupted());

    let flight = cell.snapshot();
    cell.invalidate();
    assert!(!flight.is_uninterrupted());
    assert!(cell.snapshot().observe(Some(3)));
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
    let cells = lock(&table.cells);
    assert!(cells.by_name.capacity() <= SMALL_TABLE * 4, "{}", cells.by_name.capacity());
    assert!(cells.turns.len() <= SMALL_TABLE && cells.turns.capacity() <= SMALL_TABLE * 4);
    drop(cells);
    assert!(Arc::ptr_eq(&kept, &table.cell("kept")));
}

#[test]
fn ids_are_sixteen_hex_digits_and_nothing_else_is_an_id() {
    assert_eq!(parse_id(render_id(0xAB).as_bytes()), Some(0xAB));
    for bad in [
        &b""[..],
        b"ab",
        b"0000000000000000",
        b"zzzzzzzzzzzzzzzz",
        b"+123456789abcdef",
        b"\xff000000000000000",
    ] {
        assert_eq!(parse_id(bad), None, "{bad:?}");
    }
}
