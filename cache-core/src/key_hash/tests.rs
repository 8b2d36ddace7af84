use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{Error as _, SerializeMap};

use super::*;

fn of<T: Serialize + ?Sized>(value: &T) -> String {
    KeyHash::of("test", value).unwrap()
}

/// Each is hashed by the function of another type, so that a list can hold them all.
fn all_equal(digests: &[String]) {
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:#?}");
}

fn all_differ(digests: &[String]) {
    for (n, digest) in digests.iter().enumerate() {
        assert!(!digests[..n].contains(digest), "number {n} is equal to one before it");
    }
}

#[derive(Serialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Serialize)]
struct Other {
    y: u8,
    x: u64,
}

#[derive(Serialize)]
struct Pair(u8, u8);

#[derive(Serialize)]
struct Id(u64);

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
enum Shape {
    Empty,
    One(u8),
    Two(u8, u8),
    Named { x: u8 },
}

#[derive(Serialize)]
struct Optional {
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u8>,
    kept: Option<u8>,
}

/// What one of them is must never change: entries under these digests are in stores already.
#[test]
fn digests_are_the_same_in_every_release() {
    let params = BTreeMap::from([("temperature", 0.5), ("top_p", -0.0)]);
    let completion = KeyHash::new("completion")
        .field("model", "large")
        .field("prompt", "Grüße\n")
        .field("max_tokens", &Some(1_000))
        .field("params", &params)
        .field("filters", &AnyOrder(["b", "a"]));
    let everything = (
        (true, false, -1, u128::MAX, i128::MIN),
        (f64::NAN, 'é', "", (), None::<u8>),
        (Shape::Empty, Shape::One(1), Shape::Two(1, 2), Shape::Named { x: 1 }),
        Point { x: 1, y: -1 },
    );
    assert_eq!(of(&()), "be4096314ace271355e7c35564a5bcb33fa5dfabdbb7f7f8");
    assert_eq!(
        KeyHash::new("").finish().unwrap(),
        "0f90df7cafa9e2666a6e4b5b112a94737ceedabc4815f1e3"
    );
    assert_eq!(completion.finish().unwrap(), "e251523b9b9d000eb6b3a75949fbb9140671138b4618a450");
    assert_eq!(of(&everything), "f42b49bd76925f80b03ecd6afa7e238ebd1c060af9f488b0");
}

#[test]
fn integers_are_equal_by_value() {
    all_equal(&[
        of(&1_u8),
        of(&1_i8),
        of(&1_u16),
        of(&1_i64),
        of(&1_usize),
        of(&1_u128),
        of(&Id(1)),
    ]);
    all_equal(&[of(&-1_i8), of(&-1_i128), of(&-1_isize)]);
    all_equal(&[of(&u64::MAX), of(&u128::from(u64::MAX))]);
    all_differ(&[of(&1), of(&-1), of(&0), of(&u64::MAX), of(&i64::MAX), of(&i64::MIN)]);
}

#[test]
fn floats_have_one_form_each() {
    all_equal(&[of(&0.0), of(&-0.0), of(&0.0_f32), of(&-0.0_f32)]);
    all_equal(&[of(&f64::NAN), of(&-f64::NAN), of(&f32::NAN), of(&f64::from_bits(u64::MAX))]);
    all_equal(&[of(&0.5_f32), of(&0.5_f64)]);
    all_differ(&[of(&0.1_f32), of(&0.1_f64), of(&0.0), of(&f64::INFINITY), of(&f64::NAN)]);
}

#[test]
fn kinds_of_values_differ() {
    all_differ(&[
        of(&1),
        of(&1.0),
        of(&true),
        of("1"),
        of(&[1]),
        of(&Some(1)),
        of(&Some(Some(1))),
        of(&None::<u8>),
        of(&Some(None::<u8>)),
        of(&()),
        of(""),
        of::<[u8]>(&[]),
        of(&AnyOrder([1])),
        of(&BTreeMap::from([(1, 1)])),
        of(&BTreeMap::from([("1", 1)])),
        of(&Shape::Empty),
        of("Empty"),
        of(&Shape::One(1)),
        of(&Shape::Two(1, 1)),
        of(&Shape::Named { x: 1 }),
        of(&Point { x: 1, y: 1 }),
    ]);
}

#[test]
fn shapes_that_mean_the_same_are_equal() {
    all_equal(&[of(&[1, 2]), of(&vec![1, 2]), of(&(1, 2)), of(&Pair(1, 2))]);
    all_equal(&[
        of(&Point { x: 1, y: 2 }),
        of(&Other { x: 1, y: 2 }),
        of(&BTreeMap::from([("x", 1), ("y", 2)])),
        of(&HashMap::from([("x", 1), ("y", 2)])),
        of(&serde_value_of_point()),
        KeyHash::new("test").field("y", &2).field("x", &1).finish().unwrap(),
        KeyHash::new("test").field("x", &1).field("y", &2).finish().unwrap(),
    ]);
    all_equal(&[of(&'a'), of("a"), of(&String::from("a"))]);
    all_equal(&[of(&()), of(&Unit)]);
}

/// A map whose keys come one way round, as of a map that keeps the order of its insertions.
fn serde_value_of_point() -> impl Serialize {
    Entries(vec![("y", 2), ("x", 1)])
}

struct Entries(Vec<(&'static str, u8)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[test]
fn what_is_missing_is_not_what_is_none() {
    let (none, some) =
        (Optional { left_out: None, kept: None }, Optional { left_out: Some(1), kept: None });
    all_differ(&[of(&none), of(&some), of(&Optional { left_out: None, kept: Some(1) })]);
    all_equal(&[of(&none), of(&BTreeMap::from([("kept", None::<u8>)]))]);
    let fields = |a: Option<u8>| KeyHash::new("test").field("a", &a).finish().unwrap();
    all_differ(&[fields(None), fields(Some(0)), KeyHash::new("test").finish().unwrap()]);
}

#[test]
fn borders_between_values_count() {
    all_differ(&[
        of(&("ab", "c")),
        of(&("a", "bc")),
        of(&("abc", "")),
        of(&("abc",)),
        of(&(("ab",), "c")),
        of(&(("ab", "c"),)),
        of("abc"),
    ]);
}

#[test]
fn purposes_differ() {
    let digest = |purpose: &str| KeyHash::of(purpose, "a").unwrap();
    all_differ(&[digest("a"), digest("b"), digest(""), digest("as")]);
}

#[test]
fn strings_are_their_bytes() {
    // The same letter, composed and not.
    all_differ(&[of("\u{e9}"), of("e\u{301}"), of("E\u{301}")]);
}

#[test]
fn any_order_holds_through_options_and_not_within_elements() {
    let set = |values: &[u8]| of(&AnyOrder(Some(values.to_vec())));
    all_equal(&[set(&[1, 2, 3]), set(&[3, 1, 2])]);
    all_differ(&[set(&[1]), set(&[1, 1]), set(&[]), of(&AnyOrder(None::<Vec<u8>>))]);
    all_equal(&[of(&AnyOrder([[1, 2], [3, 4]])), of(&AnyOrder([[3, 4], [1, 2]]))]);
    all_differ(&[of(&AnyOrder([[1, 2], [3, 4]])), of(&AnyOrder([[2, 1], [3, 4]]))]);
}

#[test]
fn for_other_serializers_any_order_is_what_it_holds() {
    let plain = rmp_serde::to_vec_named(&vec![2, 1]).unwrap();
    assert_eq!(rmp_serde::to_vec_named(&AnyOrder(vec![2, 1])).unwrap(), plain);
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("secret"))
    }
}

#[derive(Serialize)]
struct Nested(Option<Box<Nested>>);

fn nested(depth: usize) -> Nested {
    (0..depth).fold(Nested(None), |inner, _| Nested(Some(Box::new(inner))))
}

#[test]
fn what_has_no_digest_is_an_error_that_names_the_field() {
    let of_field = |hash: KeyHash| hash.finish().unwrap_err();
    for (error, why) in [
        (
            of_field(KeyHash::new("").field("f", &Fails)),
            "the field `f`: a value can't be serialized",
        ),
        (of_field(KeyHash::new("").field("f", &1).field("f", &1)), "the field `f` is there twice"),
        (
            KeyHash::of("", &Entries(vec![("a", 1), ("b", 1), ("a", 2)])).unwrap_err(),
            "one key twice",
        ),
        (KeyHash::of("", &AnyOrder("text")).unwrap_err(), "no sequence"),
        (KeyHash::of("", &AnyOrder(Shape::Two(1, 2))).unwrap_err(), "no sequence"),
        (KeyHash::of("", &AnyOrder(BTreeMap::from([(1, 1)]))).unwrap_err(), "no sequence"),
        (KeyHash::of("", &nested(1_000)).unwrap_err(), "nested too deep"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Encode);
        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error:?}").contains("secret"));
    }
    assert!(KeyHash::of("", &nested(60)).is_ok());
}

/// Values of every kind, as serde sees them.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Unit,
    Integer(i64),
    Text(String),
    Optional(Option<Box<Tree>>),
    Sequence(Vec<Tree>),
    /// In any order.
    Bag(Vec<Tree>),
    /// Keys are distinct.
    Map(Vec<(Tree, Tree)>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => serializer.serialize_unit(),
            Self::Integer(n) => n.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Optional(value) => value.serialize(serializer),
            Self::Sequence(values) => values.serialize(serializer),
            Self::Bag(values) => any_order(values, serializer),
            Self::Map(entries) => serializer.collect_map(entries.iter().map(|(k, v)| (k, v))),
        }
    }
}

impl Tree {
    /// The same value, by the rules of this module: sorted wherever order does not matter.
    fn canonical(&self) -> Self {
        let all = |values: &[Self]| values.iter().map(Self::canonical).collect::<Vec<_>>();
        match self {
            Self::Optional(value) => {
                Self::Optional(value.as_ref().map(|v| Box::new(v.canonical())))
            }
            Self::Sequence(values) => Self::Sequence(all(values)),
            Self::Bag(values) => {
                let mut values = all(values);
                values.sort_by_key(|value| format!("{value:?}"));
                Self::Bag(values)
            }
            Self::Map(entries) => {
                let mut entries: Vec<_> =
                    entries.iter().map(|(k, v)| (k.canonical(), v.canonical())).collect();
                entries.sort_by_key(|entry| format!("{entry:?}"));
                Self::Map(entries)
            }
            other => other.clone(),
        }
    }

    /// The same value with everything turned round whose order does not matter.
    fn reversed(&self) -> Self {
        let all = |values: &[Self]| values.iter().map(Self::reversed).collect::<Vec<_>>();
        match self {
            Self::Optional(value) => Self::Optional(value.as_ref().map(|v| Box::new(v.reversed()))),
            Self::Sequence(values) => Self::Sequence(all(values)),
            Self::Bag(values) => Self::Bag(all(values).into_iter().rev().collect()),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(k, v)| (k.reversed(), v.reversed()));
                Self::Map(entries.rev().collect())
            }
            other => other.clone(),
        }
    }
}

/// Small ones, from few letters: many are nearly equal.
fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Unit),
        Just(Tree::Optional(None)),
        (-1_i64..2).prop_map(Tree::Integer),
        "[a{\\[\0]{0,2}".prop_map(Tree::Text),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            inner.clone().prop_map(|value| Tree::Optional(Some(Box::new(value)))),
            several().prop_map(Tree::Sequence),
            several().prop_map(Tree::Bag),
            prop::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(|entries| {
                let mut distinct: Vec<(Tree, Tree)> = Vec::new();
                for (key, value) in entries {
                    if distinct.iter().all(|(k, _)| k.canonical() != key.canonical()) {
                        distinct.push((key, value));
                    }
                }
                Tree::Map(distinct)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn order_does_not_matter_where_it_has_no_meaning(tree in trees()) {
        prop_assert_eq!(of(&tree), of(&tree.reversed()));
    }

    #[test]
    fn encoding_is_injective(a in trees(), b in trees()) {
        let same = encode(&a).unwrap() == encode(&b).unwrap();
        prop_assert_eq!(same, a.canonical() == b.canonical());
    }

    #[test]
    fn fields_are_told_apart(a in prop::collection::btree_map("[a=,]{0,3}", "[a=,]{0,3}", 0..4),
                             b in prop::collection::btree_map("[a=,]{0,3}", "[a=,]{0,3}", 0..4)) {
        let hash = |fields: &BTreeMap<String, String>| {
            let all = fields.iter().fold(KeyHash::new("test"), |hash, (k, v)| hash.field(k, v));
            all.finish().unwrap()
        };
        prop_assert_eq!(hash(&a) == hash(&b), a == b);
        prop_assert_eq!(hash(&a), of(&a));
    }

    #[test]
    fn numbers_are_told_apart(a: i128, b: u64, x: f64, y: f32) {
        prop_assert_eq!(of(&a) == of(&b), a == i128::from(b));
        let equal = x.partial_cmp(&f64::from(y)).map_or(x.is_nan() && y.is_nan(), Ordering::is_eq);
        prop_assert_eq!(of(&x) == of(&y), equal);
    }
}
