//! Typed values: what serde can do, and what is stored as another type.

use std::collections::{BTreeMap, HashMap};

use cache_core::ErrorKind;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::setup::{Setup, kind, on_every_setup, settled, text};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Campaign {
    id: u64,
    name: String,
    budget: Option<f64>,
    tags: Vec<String>,
    by_day: BTreeMap<String, i64>,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    Draft,
    Running { since: i64 },
    Ended(String),
}

fn campaign(state: State) -> Campaign {
    Campaign {
        id: u64::MAX,
        name: "Süß ☕ \u{0} 🚀".into(),
        budget: Some(-0.1),
        tags: vec![String::new(), "a".into()],
        by_day: [("2024-02-29".to_owned(), i64::MIN)].into(),
        state,
    }
}

async fn every_shape_comes_back(setup: Setup) {
    async fn round<V>(setup: &Setup, value: V)
    where
        V: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let cache = setup.cache();
        cache.set("shapes", "1", &value).await.unwrap();
        assert_eq!(cache.get::<V>("shapes", "1").await.unwrap(), Some(value));
    }
    round(&setup, campaign(State::Draft)).await;
    round(&setup, campaign(State::Running { since: -1 })).await;
    round(&setup, vec![campaign(State::Ended("why".into())); 3]).await;
    round(&setup, Option::<u8>::None).await;
    round(&setup, ()).await;
    round(&setup, (1u8, 'x', true, 1.5f32, i128::MIN)).await;
    round(&setup, HashMap::from([(1u32, vec![0u8; 100])])).await;
    round(&setup, serde_json::json!({"a": [1, null, {"b": "c"}]})).await;
}

async fn a_field_may_be_added_to_a_type(setup: Setup) {
    #[derive(Serialize)]
    struct Before {
        name: String,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct After {
        name: String,
        #[serde(default)]
        budget: u32,
    }
    let cache = setup.cache();
    cache.set("shapes", "1", &Before { name: "a".into() }).await.unwrap();
    let found: Option<After> = cache.get("shapes", "1").await.unwrap();
    assert_eq!(found, Some(After { name: "a".into(), budget: 0 }));
}

/// Pinned: it counted as a hit.
async fn a_value_of_another_type_is_a_miss(setup: Setup) {
    let cache = setup.cache();
    cache.set("shapes", "1", "a text").await.unwrap();
    assert_eq!(cache.get::<u64>("shapes", "1").await.unwrap(), None);
    assert_eq!(cache.get_many::<u64, _>("shapes", ["1", "2"]).await.unwrap(), [None, None]);
    let stats = cache.stats().namespaces["shapes"];
    assert_eq!((stats.hits, stats.misses, stats.errors), (0, 3, 2), "{stats:?}");
    assert_eq!(text(&cache, "shapes", "1").await.as_deref(), Some("a text"), "and stays");
}

/// Pinned: `get_or_compute` computed it anew on every call and never stored what it computed.
async fn a_value_of_another_type_is_computed_once_and_overwritten(setup: Setup) {
    let cache = setup.cache();
    cache.set("shapes", "1", "a text").await.unwrap();
    for answer in [1u64, 2, 3] {
        let compute = async || Ok::<_, std::io::Error>(answer);
        let found = cache.get_or_compute("shapes", "1", compute).await.unwrap();
        assert_eq!(found, 1);
        settled(&cache).await;
    }
    assert_eq!(cache.get::<u64>("shapes", "1").await.unwrap(), Some(1));
    if !setup.is_memory() {
        let other = setup.cache();
        assert_eq!(other.get::<u64>("shapes", "1").await.unwrap(), Some(1), "in the store too");
    }
    let stats = cache.stats().namespaces["shapes"];
    assert_eq!((stats.hits, stats.misses), (3, 1), "{stats:?}");
}

async fn what_can_not_be_serialized_is_an_error_of_its_own_kind(setup: Setup) {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let cache = setup.cache();
    assert_eq!(kind(cache.set("shapes", "1", &Broken).await), ErrorKind::Encode);
    assert_eq!(kind(cache.set_many("shapes", [("1", Broken)]).await), ErrorKind::Encode);
    assert_eq!(text(&cache, "shapes", "1").await, None);
}

async fn the_largest_value_fits_and_one_byte_more_does_not(setup: Setup) {
    let cache = setup.cache();
    // A MessagePack string of this length has five bytes of head.
    let largest = "x".repeat(1024 * 1024 - 5);
    cache.set("shapes", "1", &largest).await.unwrap();
    assert_eq!(text(&cache, "shapes", "1").await.as_ref(), Some(&largest));
    let larger = format!("{largest}x");
    assert_eq!(kind(cache.set("shapes", "1", &larger).await), ErrorKind::TooLarge);
    let compute = async || Ok::<_, std::io::Error>(larger.clone());
    let computed = cache.get_or_compute("shapes", "2", compute).await.unwrap();
    assert_eq!(computed.len(), larger.len(), "the caller has it all the same");
    settled(&cache).await;
    assert!(!cache.exists("shapes", "2").await.unwrap());
}

on_every_setup!(
    every_shape_comes_back,
    a_field_may_be_added_to_a_type,
    a_value_of_another_type_is_a_miss,
    a_value_of_another_type_is_computed_once_and_overwritten,
    what_can_not_be_serialized_is_an_error_of_its_own_kind,
    the_largest_value_fits_and_one_byte_more_does_not,
);
