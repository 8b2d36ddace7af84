//! Walking over the keys of all primaries, one after the other.
//!
//! A place in the walk has to fit into 64 bits, and to be understood by another process: it is the
//! number of a primary (they are known by their names, in order), a place in its tables, and a few
//! bits of a digest of the map.
//!
//! A slot that moves takes its keys to a primary that the walk may be done with. So a walk during
//! which the map has changed, or at the end of which a slot is on its way, is gone once more from the
//! beginning. (A key would have to move twice to be missed twice.) While a cluster is being resharded
//! walks take longer.

use bb8_redis::redis::{Value, aio::MultiplexedConnection, cmd};

use super::ClusterStore;
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};
use crate::store::redis::RedisStore;
use crate::store::redis::commands::send;
use crate::store::redis::fault::protocol_error;
use crate::store::{ScanStep, Store};

/// Where a walk is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    /// In the tables of this primary.
    cursor: u64,
    node: usize,
    /// A part of the digest of the map.
    map: u64,
    /// It is not the first walk.
    again: bool,
}

const CURSOR_BITS: u32 = 40;
const NODE_BITS: u32 = 10;
const MAP_BITS: u32 = 13;

impl Place {
    fn decode(bits: u64) -> Self {
        let part = |from: u32, bits_long: u32| (bits >> from) & ((1 << bits_long) - 1);
        Self {
            cursor: part(0, CURSOR_BITS),
            node: usize::try_from(part(CURSOR_BITS, NODE_BITS)).unwrap_or(usize::MAX),
            map: part(CURSOR_BITS + NODE_BITS, MAP_BITS),
            again: bits >> 63 == 1,
        }
    }

    /// `None`: the cluster is too large for that.
    fn encode(self) -> Option<u64> {
        let node = u64::try_from(self.node).ok().filter(|node| *node < 1 << NODE_BITS)?;
        let cursor = Some(self.cursor).filter(|cursor| *cursor < 1 << CURSOR_BITS)?;
        let map = self.map << (CURSOR_BITS + NODE_BITS);
        Some(cursor | node << CURSOR_BITS | map | u64::from(self.again) << 63)
    }

    fn beginning(map: u64, again: bool) -> Self {
        Self { map, again, ..Self::default() }
    }
}

impl ClusterStore {
    pub(super) async fn scan_some(
        &self,
        glob: &str,
        cursor: u64,
        deadline: Deadline,
    ) -> Result<ScanStep, Error> {
        let mut place = if cursor == 0 {
            Place::beginning(self.map_as_of_now(deadline).await?, false)
        } else {
            Place::decode(cursor)
        };
        let topology = self.shared.topology(deadline).await?;
        let map = part_of(topology.digest());
        if place.map != map {
            place = Place::beginning(map, true);
        }
        let (mut keys, mut next) = (Vec::new(), 0);
        if let Some(member) = topology.members.get(place.node) {
            let step = member.node.store.scan(glob, place.cursor, deadline).await;
            let step = step.map_err(|error| super::of_node(&member.node.address, &error))?;
            (keys, next) = (step.keys, step.cursor);
        }
        place.cursor = next;
        if next == 0 {
            place.node += 1;
        }
        if place.node >= topology.members.len() {
            let map = self.map_as_of_now(deadline).await?;
            let moved = map != place.map;
            if !moved && (place.again || !self.may_be_moving(deadline).await?) {
                return Ok(ScanStep { cursor: 0, keys });
            }
            place = Place::beginning(map, true);
        }
        let too_large = || Error::new(ErrorKind::Protocol, "the cluster is too large to walk over");
        Ok(ScanStep { cursor: place.encode().ok_or_else(too_large)?, keys })
    }

    async fn map_as_of_now(&self, deadline: Deadline) -> Result<u64, Error> {
        self.shared.learn(deadline).await?;
        Ok(part_of(self.shared.topology(deadline).await?.digest()))
    }

    /// Whether a slot is on its way, as far as one may ask: then some of its keys are here, and some
    /// are there.
    async fn may_be_moving(&self, deadline: Deadline) -> Result<bool, Error> {
        let ask = move |node: RedisStore| async move {
            let ask = async |mut connection: MultiplexedConnection| {
                send(&mut connection, cmd("CLUSTER").arg("NODES")).await
            };
            match node.run(deadline, ask).await {
                Ok(Value::BulkString(nodes)) => Ok(is_moving(&String::from_utf8_lossy(&nodes))),
                Ok(Value::VerbatimString { text, .. }) => Ok(is_moving(&text)),
                Ok(_) => Err(protocol_error()),
                Err(error) if error.kind() == ErrorKind::Denied => Ok(true),
                Err(error) => Err(error),
            }
        };
        Ok(self.ask_each(deadline, ask).await?.contains(&true))
    }
}

fn part_of(digest: u64) -> u64 {
    digest & ((1 << MAP_BITS) - 1)
}

/// A node tells behind its own slots of those that come and go: `[93->-id]`, `[77-<-id]`.
fn is_moving(nodes: &str) -> bool {
    nodes
        .lines()
        .any(|line| line.contains("myself") && (line.contains("->-") || line.contains("-<-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_fits_into_a_cursor_and_is_never_the_end() {
        for place in [
            Place { cursor: 1, ..Place::default() },
            Place { cursor: (1 << 40) - 1, node: 1023, map: (1 << 13) - 1, again: true },
            Place::beginning(0, true),
            Place { node: 1, map: 7, ..Place::default() },
        ] {
            let cursor = place.encode().unwrap();
            assert_ne!(cursor, 0);
            assert_eq!(Place::decode(cursor), place);
        }
        assert_eq!(Place { cursor: 1 << 40, ..Place::default() }.encode(), None);
        assert_eq!(Place { node: 1024, ..Place::default() }.encode(), None);
    }

    #[test]
    fn a_node_tells_of_its_own_slots_that_are_on_their_way() {
        let line = "0a 127.0.0.1:7000@17000 myself,master - 0 1 1 connected 0-5460";
        assert!(!is_moving(line));
        assert!(is_moving(&format!("{line} [93->-0b]")));
        assert!(is_moving(&format!("x\n{line} [77-<-0b]\ny")));
        assert!(!is_moving("0a [::1]:7000@17000 myself,master - 0 1 1 connected 0-5460"));
    }
}
