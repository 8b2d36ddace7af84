//! What a node says of its cluster: which primaries there are, and who serves which slots. Pure.

use std::collections::BTreeMap;
use std::fmt;

use bb8_redis::redis::Value;

use super::slot::SLOTS;

/// Where a node listens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store::redis) struct Address {
    pub(in crate::store::redis) host: String,
    pub(in crate::store::redis) port: u16,
}

/// A cluster as one of its nodes sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// By their names. Those without slots, too, if the node tells of them: they may be about to
    /// get some.
    pub(super) primaries: Vec<Primary>,
    /// Of each replica the name, and the name of its primary.
    pub(super) replicas: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) id: String,
    pub(super) address: Address,
    /// From the first to the last of each range.
    pub(super) slots: Vec<(u16, u16)>,
}

/// Whom was asked, and how: nodes that don't know their own address leave it out.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedAt<'a> {
    pub(super) host: &'a str,
    pub(super) tls: bool,
}

impl View {
    fn new(mut primaries: Vec<Primary>, replicas: BTreeMap<String, String>) -> Option<Self> {
        primaries.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        for primary in &mut primaries {
            primary.slots.sort_unstable();
        }
        let any = primaries.iter().any(|primary| !primary.slots.is_empty());
        any.then_some(Self { primaries, replicas })
    }

    /// From the answer to `CLUSTER SHARDS`.
    pub(super) fn of_shards(answer: &Value, asked: AskedAt<'_>) -> Option<Self> {
        let (mut primaries, mut replicas) = (Vec::new(), BTreeMap::new());
        for shard in items(answer)? {
            let slots = ranges(field(shard, "slots")?)?;
            let nodes = items(field(shard, "nodes")?)?;
            let is = |node: &Value, name: &str, what: &str| {
                field(node, name).and_then(text).is_some_and(|text| text == what)
            };
            let masters = || nodes.iter().filter(|node| is(node, "role", "master"));
            // After a failover there may be two, of which one is dead.
            let online = masters().find(|node| is(node, "health", "online"));
            let Some(primary) = online.or_else(|| masters().next()) else { continue };
            if slots.is_empty() && online.is_none() {
                continue;
            }
            let id = text(field(primary, "id")?)?.to_owned();
            for node in nodes.iter().filter(|node| !is(node, "role", "master")) {
                replicas.insert(text(field(node, "id")?)?.to_owned(), id.clone());
            }
            let address = asked.address(primary)?;
            primaries.push(Primary { id, address, slots });
        }
        Self::new(primaries, replicas)
    }

    /// From the answer to `CLUSTER SLOTS`, which Redis before 7 knows only.
    pub(super) fn of_slots(answer: &Value, asked: AskedAt<'_>) -> Option<Self> {
        let mut primaries = BTreeMap::<String, Primary>::new();
        let mut replicas = BTreeMap::new();
        for entry in items(answer)? {
            let [from, to, primary, others @ ..] = items(entry)? else { return None };
            let slots = (number(from)?, number(to)?);
            let [host, port, id, ..] = items(primary)? else { return None };
            let id = text(id)?.to_owned();
            for other in others {
                let [_, _, other, ..] = items(other)? else { return None };
                replicas.insert(text(other)?.to_owned(), id.clone());
            }
            let address = Address { host: asked.host(Some(host)), port: number(port)? };
            let new = || Primary { id: id.clone(), address, slots: Vec::new() };
            primaries.entry(id.clone()).or_insert_with(new).slots.push(slots);
        }
        if primaries.values().flat_map(|primary| &primary.slots).any(|(_, to)| *to >= SLOTS) {
            return None;
        }
        Self::new(primaries.into_values().collect(), replicas)
    }
}

impl AskedAt<'_> {
    fn address(self, node: &Value) -> Option<Address> {
        let port = field(node, if self.tls { "tls-port" } else { "port" }).and_then(number)?;
        // One that is told, but empty, stands for the host that was asked: the address may be one
        // that can't be reached from here.
        let host = self.host(field(node, "endpoint").or_else(|| field(node, "ip")));
        Some(Address { host, port })
    }

    /// The one that was asked, unless another is told.
    fn host(self, told: Option<&Value>) -> String {
        let known = told.and_then(text).filter(|host| !host.is_empty() && *host != "?");
        known.unwrap_or(self.host).to_owned()
    }
}

impl Address {
    /// From `host:port`, where the host of an IPv6 address may stand in brackets or not; without a
    /// host it is that of the one who says so.
    pub(super) fn parse(text: &str, said_by: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = if host.is_empty() || host == "?" { said_by } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// Of a map, which over RESP2 is a list.
fn field<'v>(map: &'v Value, name: &str) -> Option<&'v Value> {
    let is = |key: &Value| text(key) == Some(name);
    match map {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| is(key)).map(|(_, value)| value),
        Value::Array(items) => items.chunks_exact(2).find_map(|pair| match pair {
            [key, value] if is(key) => Some(value),
            _ => None,
        }),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => text(value)?.parse().ok(),
    }
}

fn ranges(value: &Value) -> Option<Vec<(u16, u16)>> {
    let numbers: Vec<u16> = items(value)?.iter().map(number).collect::<Option<_>>()?;
    if numbers.iter().any(|slot| *slot >= SLOTS) {
        return None;
    }
    Some(numbers.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: AskedAt<'_> = AskedAt { host: "asked", tls: false };

    fn t(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(id: &str, endpoint: Value, role: &str, health: &str) -> Value {
        let fields = [
            ("id", t(id)),
            ("port", Value::Int(7000)),
            ("tls-port", Value::Int(7443)),
            ("ip", t("10.0.0.1")),
            ("endpoint", endpoint),
            ("role", t(role)),
            ("replication-offset", Value::Int(9)),
            ("health", t(health)),
        ];
        Value::Array(fields.into_iter().flat_map(|(name, value)| [t(name), value]).collect())
    }

    fn shard(slots: &[i64], nodes: Vec<Value>) -> Value {
        let slots = Value::Array(slots.iter().map(|slot| Value::Int(*slot)).collect());
        Value::Map(vec![(t("slots"), slots), (t("nodes"), Value::Array(nodes))])
    }

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn shards_tell_of_primaries_with_and_without_slots_and_of_replicas() {
        let answer = Value::Array(vec![
            shard(
                &[5, 9, 0, 1],
                vec![node("r", t("r"), "replica", "online"), node("b", t("b"), "master", "online")],
            ),
            shard(&[], vec![node("a", Value::Nil, "master", "online")]),
            shard(&[], vec![node("dead", t("d"), "master", "fail")]),
            shard(&[10, 12], vec![node("c", t("?"), "master", "fail")]),
        ]);
        let view = View::of_shards(&answer, ASKED).unwrap();
        let found: Vec<_> = view.primaries.iter().map(|p| (&*p.id, p.slots.clone())).collect();
        let expected = [("a", vec![]), ("b", vec![(0, 1), (5, 9)]), ("c", vec![(10, 12)])];
        assert_eq!(found, expected);
        // Pinned: an endpoint that was told to be unknown was taken for the address inside.
        assert_eq!(view.primaries[0].address, address("asked", 7000));
        assert_eq!(view.primaries[2].address, address("asked", 7000));
        assert_eq!(view.primaries[1].address, address("b", 7000));
        assert_eq!(view.replicas.get("r").map(String::as_str), Some("b"));
        let tls = View::of_shards(&answer, AskedAt { tls: true, ..ASKED }).unwrap();
        assert_eq!(tls.primaries[1].address.port, 7443);
    }

    #[test]
    fn of_two_primaries_in_a_shard_the_one_that_lives_counts() {
        let nodes =
            vec![node("old", t("o"), "master", "fail"), node("new", t("n"), "master", "online")];
        let view = View::of_shards(&Value::Array(vec![shard(&[0, 9], nodes)]), ASKED).unwrap();
        assert_eq!(view.primaries.len(), 1);
        assert_eq!(view.primaries[0].id, "new");
    }

    #[test]
    fn slots_tell_the_same_of_those_that_have_some() {
        let host = |host: Value, id: &str| {
            Value::Array(vec![host, Value::Int(7000), t(id), Value::Array(vec![])])
        };
        let entry = |from, to, primary, replica| {
            Value::Array(vec![Value::Int(from), Value::Int(to), primary, replica])
        };
        let answer = Value::Array(vec![
            entry(5, 9, host(t("b"), "b"), host(t("r"), "r")),
            entry(0, 1, host(t("b"), "b"), host(t("r"), "r")),
            entry(10, 12, host(Value::Nil, "c"), host(t(""), "s")),
        ]);
        let view = View::of_slots(&answer, ASKED).unwrap();
        let found: Vec<_> = view.primaries.iter().map(|p| (&*p.id, p.slots.clone())).collect();
        assert_eq!(found, [("b", vec![(0, 1), (5, 9)]), ("c", vec![(10, 12)])]);
        assert_eq!(view.primaries[1].address, address("asked", 7000));
        assert_eq!(view.replicas.len(), 2);
    }

    #[test]
    fn what_is_no_map_is_none() {
        let absurd = shard(&[0, 16_384], vec![node("a", t("a"), "master", "online")]);
        let nobody = shard(&[], vec![node("a", t("a"), "master", "online")]);
        for bad in [Value::Nil, Value::Int(3), Value::Array(vec![]), Value::Array(vec![t("x")])] {
            assert_eq!(View::of_shards(&bad, ASKED), None);
            assert_eq!(View::of_slots(&bad, ASKED), None);
        }
        assert_eq!(View::of_shards(&Value::Array(vec![absurd]), ASKED), None);
        assert_eq!(View::of_shards(&Value::Array(vec![nobody]), ASKED), None);
    }

    #[test]
    fn addresses_come_as_redis_writes_them() {
        for (text, host, port) in [
            ("10.0.0.1:7000", "10.0.0.1", 7000),
            (":7000", "self", 7000),
            ("?:7000", "self", 7000),
            ("::1:7000", "::1", 7000),
            ("[::1]:7000", "::1", 7000),
        ] {
            assert_eq!(Address::parse(text, "self"), Some(address(host, port)), "{text}");
        }
        assert_eq!(Address::parse("7000", "self"), None);
        assert_eq!(Address::parse("a:b", "self"), None);
        assert_eq!(address("::1", 1).to_string(), "[::1]:1");
    }
}
