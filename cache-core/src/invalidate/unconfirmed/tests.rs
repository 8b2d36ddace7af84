use bytes::Bytes;

use super::*;
use crate::clock::Clock;
use crate::store::MemoryStore;
use crate::ttl::seconds;

const EVERYTHING: &str = "p:gen:p";

fn queue() -> (Unconfirmed, MemoryStore) {
    let rollback = Rollback::new(EVERYTHING.into(), Clock::manual(0), Duration::from_secs(4), 0);
    (Unconfirmed::new(EVERYTHING.into(), Arc::new(rollback)), MemoryStore::new(Clock::manual(0)))
}

fn generation(name: &str, namespace: Option<&str>) -> Pending {
    Pending::generation(&name.into(), namespace.map(Into::into).as_ref())
}

fn entry(name: &str, namespace: &str) -> Pending {
    let value = Bytes::from_static(b"tombstone");
    let put = Put { key: name.to_owned(), value, keep_for: Some(1000), expect: None, guard: None };
    Pending::entry(&name.into(), &namespace.into(), put)
}

fn soon() -> Deadline {
    Deadline::after(seconds(1))
}

/// What is queued, sorted.
fn queued(unconfirmed: &Unconfirmed) -> Vec<String> {
    let queue = unconfirmed.queue();
    let mut keys: Vec<String> = queue.keys().map(ToString::to_string).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn what_is_queued_is_removed_before_the_store_is_asked() {
    let (unconfirmed, store) = queue();
    assert!(unconfirmed.settle(&store, soon()).await);
    store.put("p:gen:n:a", "old");
    store.put("p:a:v1:1", "old");
    unconfirmed.add(vec![generation("p:gen:n:a", None), entry("p:a:v1:1", "p:gen:n:a")], 7);
    assert_eq!(unconfirmed.waiting(), (1, Some(7)), "the namespace covers its entry");
    unconfirmed.add(vec![entry("p:b:v1:1", "p:gen:n:b")], 9);
    assert_eq!(unconfirmed.waiting(), (2, Some(7)));
    assert!(unconfirmed.settle(&store, soon()).await);
    assert_eq!(store.get("p:gen:n:a"), None);
    assert_eq!(store.get("p:b:v1:1").as_deref(), Some(&b"tombstone"[..]));
    assert_eq!(unconfirmed.waiting(), (0, None));
}

#[tokio::test]
async fn what_belongs_to_one_namespace_widens_to_it() {
    let (unconfirmed, store) = queue();
    let names = ["p:gen:n:a", "p:gen:n:b", "p:gen:t:tag", EVERYTHING, "p:gen:n:c"];
    for name in names {
        store.put(name, "old");
    }
    unconfirmed.add(vec![generation("p:gen:t:tag", None)], 1);
    for n in 0..MOST {
        let pending = match n % 2 {
            0 => entry(&format!("p:a:v1:{n}"), "p:gen:n:a"),
            _ => generation(&format!("p:gen:m:b:{n}"), Some("p:gen:n:b")),
        };
        unconfirmed.add(vec![pending], 2);
    }
    assert_eq!(queued(&unconfirmed), ["p:gen:n:a", "p:gen:n:b", "p:gen:t:tag"]);
    // What is covered now takes no place.
    unconfirmed.add(vec![entry("p:a:v1:again", "p:gen:n:a")], 3);
    assert_eq!(unconfirmed.waiting(), (3, Some(1)));
    assert!(unconfirmed.settle(&store, soon()).await);
    assert_eq!(store.keys(), ["p:gen:n:c", EVERYTHING]);
}

#[tokio::test]
async fn what_belongs_to_no_namespace_widens_to_everything() {
    let (unconfirmed, store) = queue();
    store.put(EVERYTHING, "old");
    for n in 0..=MOST {
        unconfirmed.add(vec![generation(&format!("p:gen:w:{n}"), None)], 1);
    }
    assert_eq!(queued(&unconfirmed), [EVERYTHING]);
    unconfirmed.add(vec![generation("p:gen:w:more", None), entry("p:a:v1:1", "p:gen:n:a")], 2);
    assert_eq!(unconfirmed.waiting(), (1, Some(1)));
    assert!(unconfirmed.settle(&store, soon()).await);
    assert_eq!(store.get(EVERYTHING), None);
}

/// The removal that covers it may be on its way while it is added.
#[tokio::test]
async fn what_is_added_while_an_attempt_runs_is_not_confirmed_by_it() {
    let (unconfirmed, store) = queue();
    unconfirmed.add(vec![generation("p:gen:n:a", None), generation("p:gen:n:b", None)], 1);
    let sent = unconfirmed.snapshot(u64::MAX).sent;
    unconfirmed.add(vec![entry("p:a:v1:1", "p:gen:n:a")], 2);
    unconfirmed.confirm(&sent);
    assert_eq!(queued(&unconfirmed), ["p:gen:n:a"]);
    assert!(unconfirmed.any());
    assert!(unconfirmed.settle(&store, soon()).await && !unconfirmed.any());
}

/// What is queued may be more than goes through in one round trip; none of it goes twice.
#[tokio::test]
async fn a_long_queue_is_repeated_piece_by_piece() {
    let (unconfirmed, store) = queue();
    unconfirmed.add((0..600).map(|n| entry(&n.to_string(), "p:gen:n:a")).collect(), 1);
    unconfirmed.add(vec![generation("p:gen:f", None)], 1);
    let pieces = [AT_ONCE + 1, AT_ONCE, 600 - 2 * AT_ONCE, 0];
    for piece in pieces {
        assert_eq!(unconfirmed.snapshot(601).sent.len(), piece);
        assert_eq!(unconfirmed.repeat(601, &store, soon()).await.unwrap(), piece > 0);
    }
    assert!(!unconfirmed.any());
    assert_eq!(store.keys().len(), 600);
}
