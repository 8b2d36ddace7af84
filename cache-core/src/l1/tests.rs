use super::*;
use crate::invalidate::generation::{GenerationTable, Soft};
use crate::ttl::Ttl;

/// An entry of no namespace in particular.
pub(crate) fn slot(id: u64) -> Arc<Slot> {
    Arc::new(Slot {
        namespace: 0,
        identity: Bytes::from_static(b"k"),
        rendered: "p:n:v1:k".into(),
        workspace: None,
        id,
        times: EntryTimes::new(0, Ttl::Never),
        since: 1,
        young_until: 5,
        l1_until: 100,
        mark: Mark::default(),
        generations: GenerationRefs::new(),
        format: Format::Raw,
        payload: Bytes::new(),
        etag: None,
        decoded: None,
        weight: 100,
    })
}

/// Pinned: when the clock was put back, what was in memory stayed true for so much longer.
#[test]
fn what_is_from_later_than_now_goes() {
    let region = Region::new(100_000, None, 1000);
    let later = Slot { since: 1_000, young_until: 6_000, l1_until: 6_000, ..(*slot(7)).clone() };
    let later = Arc::new(later);
    let found_at = |now| {
        region.insert(1, Arc::clone(&later));
        region.get(1, 0, b"k", now).is_some()
    };
    assert!(found_at(1_000) && found_at(5_999) && !found_at(6_000));
    assert!(found_at(900), "a reader that took the time before the entry was made");
    assert!(!found_at(899));
    assert_eq!(region.len(), 0, "nor when the clock has come that far again");
}

/// Pinned: what was stale when it was looked up was fresh again if one of its scopes was
/// invalidated before its times were asked for.
#[test]
fn what_is_stale_is_never_fresh_again_because_it_becomes_invalid() {
    let table = GenerationTable::default();
    let (softened, ended) = (table.cell("a"), table.cell("b"));
    for cells in [[&softened, &ended], [&softened, &softened], [&ended, &ended]] {
        let generations = cells.iter().map(|cell| cell.snapshot()).collect();
        let slot = Slot { generations, ..(*slot(7)).clone() };
        assert!(slot.times_at(1).is_fresh(1) && slot.stale_since().is_none());
        softened.soften(Soft::new(1));
        cells[1].invalidate();
        assert!(!slot.times_at(1).is_fresh(1) && slot.stale_since().is_some());
    }
}

#[test]
fn without_a_proof_only_what_is_young_answers() {
    let coherence = Arc::new(Coherence::default());
    let region = Region::new(100_000, None, 1000).beside_others(Some(&coherence));
    region.insert(1, slot(7));
    let found = |now| region.get(1, 0, b"k", now).is_some();
    assert!(found(4) && !found(5));
    assert_eq!(region.len(), 1, "it may be proven later");
    assert!(found(4));
    coherence.changed(b"p:n:v1:k");
    coherence.versions.raise_all();
    assert!(!found(4), "known to have changed, however young");
    assert!(!found(100) && region.len() == 0);
}
