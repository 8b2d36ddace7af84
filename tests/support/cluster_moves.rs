//! Slots of a cluster that move from one primary to another.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::RedisCluster;
use crate::cluster_nodes::{Line, lines_of, owner_of};
use crate::redis_cluster::PATIENCE;
use crate::resp::Reply;
use crate::wait::poll_blocking;

impl RedisCluster {
    /// Moves a slot, with all it holds, to another primary.
    #[track_caller]
    pub fn move_slot(&self, slot: u16, to: u16) {
        self.begin_move(slot, to);
        while self.move_some(slot, to, 100) > 0 {}
        self.end_move(slot, to);
    }

    /// A slot is to move: from now on keys that are not there any more are asked for elsewhere.
    #[track_caller]
    pub fn begin_move(&self, slot: u16, to: u16) {
        let (from, number) = (self.owner_of(slot).expect("served"), slot.to_string());
        let target = self.line(to).id;
        self.expect(to, &["CLUSTER", "SETSLOT", &number, "IMPORTING", &from.id]);
        self.expect(from.port, &["CLUSTER", "SETSLOT", &number, "MIGRATING", &target]);
    }

    /// Moves some of the keys of a slot; how many.
    #[track_caller]
    pub fn move_some(&self, slot: u16, to: u16, most: usize) -> usize {
        let from = self.owner_of(slot).expect("served").port;
        let (slot, most, to) = (slot.to_string(), most.to_string(), to.to_string());
        let keys = self.command(from, &["CLUSTER", "GETKEYSINSLOT", &slot, &most]);
        let keys: Vec<String> = keys.items().iter().map(Reply::text).collect();
        if keys.is_empty() {
            return 0;
        }
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &to, "", "0", "5000", "KEYS"];
        migrate.extend(keys.iter().map(String::as_str));
        self.expect(from, &migrate);
        keys.len()
    }

    /// The slot has moved. All primaries are told, its new one first, and agree about everything when
    /// this returns. Left to themselves, two that were given slots in the same moment have the same
    /// epoch until they have settled it, and may send everyone to each other, even for good.
    #[track_caller]
    pub fn end_move(&self, slot: u16, to: u16) {
        let (from, target) = (self.owner_of(slot).expect("served").port, self.line(to).id);
        let others = self.primaries().into_iter().filter(|port| *port != to && *port != from);
        for port in [to, from].into_iter().chain(others) {
            self.expect(port, &["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &target]);
        }
        let agree = || {
            let primaries = self.primaries();
            let views: Option<Vec<_>> = primaries.iter().map(|port| serving(*port)).collect();
            let views = views?;
            let epochs: BTreeSet<u64> = views.first()?.iter().map(|line| line.epoch).collect();
            let is_settled = epochs.len() == primaries.len();
            let is_same = views.windows(2).all(|two| two[0] == two[1]);
            let owner = owner_of(slot, &lines_of(to)?).map(|line| line.port);
            (is_settled && is_same && owner == Some(to)).then_some(())
        };
        poll_blocking(PATIENCE, agree).expect("all agree about the slot");
    }

    /// `redis-cli --cluster reshard`: moves so many slots; returns when they have moved.
    #[track_caller]
    pub fn reshard(&self, slots: u16, from: u16, to: u16) {
        let (from, to) = (self.line(from), self.line(to));
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "reshard", &format!("127.0.0.1:{}", from.port)]);
        command.args(["--cluster-from", &from.id, "--cluster-to", &to.id]);
        command.args(["--cluster-slots", &slots.to_string(), "--cluster-yes"]);
        command.stdin(Stdio::null());
        let mut text = String::new();
        let done = poll_blocking(PATIENCE, || {
            let output = command.output().expect("redis-cli is there");
            text = String::from_utf8_lossy(&output.stdout).into_owned();
            // What it has done before gets around in its time; until then it refuses.
            let waits = text.contains("Nodes don't agree") && !text.contains("Moving slot");
            (!waits).then(|| output.status.success())
        });
        assert_eq!(done, Some(true), "redis-cli --cluster reshard: {text}");
    }
}

/// What one says of the primaries that serve slots.
fn serving(port: u16) -> Option<Vec<Line>> {
    let mut lines = lines_of(port)?;
    lines.retain(|line| line.is_primary && !line.slots.is_empty());
    lines.sort_by_key(|line| line.port);
    Some(lines)
}
