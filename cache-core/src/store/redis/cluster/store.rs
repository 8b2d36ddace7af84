//! The operations of the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use super::order::Order;
use super::orders::worse;
use super::slot::slot_of;
use super::topology::Node;
use super::{ClusterStore, batch, of_node, watch};
use crate::admin::ServerStats;
use crate::clock::{Deadline, Millis};
use crate::error::{Error, ErrorKind};
use crate::happenings::{BreakerState, EventBus};
use crate::rate::{Counted, Quota};
use crate::store::redis::gather::{Joined, Leader};
use crate::store::redis::{RedisStore, count, nothing, script};
use crate::store::{
    BoxFuture, ChangeSink, Fetched, MissingAbility, PoolState, ScanStep, Store, WriteBatch, Written,
};

/// How often, at most, those who ask for a sign of life ask for the map, too.
const MAP_EVERY: Duration = Duration::from_millis(500);

impl ClusterStore {
    /// As [`RedisStore`] does it.
    async fn fetch_for_all(self, leader: Leader, deadline: Deadline) {
        // Those who can run now may join.
        tokio::task::yield_now().await;
        let wanted = leader.close();
        let result = self.get_each(wanted.keys(), deadline).await;
        leader.land_each(&wanted, result);
    }

    /// Asks all primaries the same.
    pub(super) async fn ask_each<T, F>(
        &self,
        deadline: Deadline,
        ask: impl Fn(RedisStore) -> F,
    ) -> Result<Vec<T>, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let topology = self.shared.topology(deadline).await?;
        let asked = topology.members.iter().map(|member| ask(member.node.store.clone()));
        let (mut told, mut failed) = (Vec::new(), None);
        for (member, result) in topology.members.iter().zip(join_all(asked).await) {
            match result {
                Ok(one) => told.push(one),
                Err(error) => {
                    failed = Some(worse(failed, of_node(&member.node.address, &error)));
                }
            }
        }
        match failed {
            Some(error) => {
                self.shared.doubt();
                Err(error)
            }
            None => Ok(told),
        }
    }

    /// The store of the node that a key is on, as far as is known.
    pub(super) fn node_of(&self, key: &str) -> Option<RedisStore> {
        let topology = self.shared.known()?;
        topology.owner(slot_of(key)).map(|member| member.node.store.clone())
    }

    async fn count_use(
        &self,
        key: &str,
        quota: &Quota,
        deadline: Deadline,
    ) -> Result<Counted, Error> {
        let mut by_text = false;
        loop {
            let answers = self.carry_out(&[Order::Count(key, quota, by_text)], deadline).await?;
            let answer = answers.into_iter().next().unwrap_or_default();
            if script::is_missing(&answer) && !by_text {
                by_text = true;
                continue;
            }
            let counted = count::counted(answer, quota);
            let denied = counted.as_ref().is_err_and(|error| error.kind() == ErrorKind::Denied);
            // It knows what to do without scripts.
            if denied
                && let Some(node) = self.node_of(key)
                && let Some(counting) = node.count(key, quota, deadline)
            {
                return counting.await;
            }
            return counted;
        }
    }
}

impl Store for ClusterStore {
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        if keys.is_empty() {
            return nothing();
        }
        Box::pin(async move {
            let gatherer = &self.shared.gatherer;
            let _asking = gatherer.enter();
            if let Joined::Member(member, leader) = gatherer.join(keys, deadline) {
                if let Some(leader) = leader {
                    tokio::spawn(self.clone().fetch_for_all(leader, deadline));
                }
                if let Some(answer) = member.answer(deadline).await {
                    return answer;
                }
            }
            // In a box of its own, so that those of the many are small.
            Box::pin(self.get_all(keys.iter().copied(), deadline)).await
        })
    }

    fn fetch_each<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Fetched>, Error>> {
        Box::pin(self.get_each(keys.iter().copied(), deadline))
    }

    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(self.write_all(batch, deadline))
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        if entries.is_empty() {
            return nothing();
        }
        Box::pin(self.create_all(entries, keep_for, deadline))
    }

    fn remove<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(0);
            }
            let removed = self.remove_all(keys, deadline).await?;
            if keys.len() > 1 {
                self.remove_all(keys, deadline).await?;
            }
            Ok(removed)
        })
    }

    fn remove_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let values = self.values_of(keys, false, deadline).await?;
            self.remove_all(&values, deadline).await
        })
    }

    fn count_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move { Ok(self.values_of(keys, true, deadline).await?.len() as u64) })
    }

    fn write_ids<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        Box::pin(async move {
            let orders: Vec<Order<'_>> = keys.iter().map(|key| Order::Range(key, 8, 15)).collect();
            self.carry_out(&orders, deadline).await?.into_iter().map(batch::string).collect()
        })
    }

    fn watch(&self, prefix: &str, sink: Arc<dyn ChangeSink>) -> Option<BoxFuture<'static, ()>> {
        let cluster = Arc::downgrade(&self.shared);
        Some(Box::pin(watch::watch(cluster, prefix.to_owned(), sink)))
    }

    fn scan<'a>(
        &'a self,
        glob: &'a str,
        cursor: u64,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>> {
        Box::pin(self.scan_some(glob, cursor, deadline))
    }

    fn count<'a>(
        &'a self,
        key: &'a str,
        quota: &'a Quota,
        deadline: Deadline,
    ) -> Option<BoxFuture<'a, Result<Counted, Error>>> {
        Some(Box::pin(self.count_use(key, quota, deadline)))
    }

    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            // So a process that has nothing to do notices what becomes of the cluster, too.
            self.shared.doubt_after(MAP_EVERY);
            let ping = move |node: RedisStore| async move { node.ping(deadline).await };
            self.ask_each(deadline, ping).await.map(drop)
        })
    }

    fn server_stats(
        &self,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Option<ServerStats>, Error>> {
        Box::pin(async move {
            let ask = move |node: RedisStore| async move { node.server_stats(deadline).await };
            let told = self.ask_each(deadline, ask).await?;
            Ok(told.into_iter().flatten().reduce(ServerStats::and))
        })
    }

    fn incarnation(&self) -> u64 {
        self.shared.known().map_or(0, |topology| topology.incarnation())
    }

    fn is_available(&self) -> bool {
        if self.shared.ended.load(Ordering::Relaxed) {
            return false;
        }
        if let Some(known) = self.shared.known() {
            // Each of those that are away is to be knocked at.
            let available = known.members.iter().filter(|one| one.node.store.is_available());
            return available.count() > 0;
        }
        let hopeless = self.shared.asking.hopeless().is_some();
        if hopeless {
            self.shared.doubt();
        }
        !hopeless
    }

    fn report_to(&self, bus: EventBus) {
        let nodes = self.shared.nodes();
        nodes.values().for_each(|node| node.store.report_to(bus.clone()));
        let mut told = self.shared.told();
        told.retain(EventBus::is_open);
        told.push(bus);
    }

    fn breaker(&self) -> Option<BreakerState> {
        let open = |node: &Node| node.store.breaker() != Some(BreakerState::Closed);
        let open = match self.shared.known() {
            // Some keys are not asked for.
            Some(known) => known.members.iter().any(|member| open(&member.node)),
            None => self.shared.nodes().values().all(|node| open(node)),
        };
        Some(if open { BreakerState::Open } else { BreakerState::Closed })
    }

    fn pool(&self) -> Option<PoolState> {
        let nodes = self.shared.nodes();
        let pools = nodes.values().filter_map(|node| node.store.pool());
        Some(pools.fold(PoolState::default(), PoolState::and))
    }

    fn missing_abilities(&self) -> Vec<MissingAbility> {
        let mut missing = Vec::<MissingAbility>::new();
        for node in self.shared.nodes().values() {
            for ability in node.store.missing_abilities() {
                if !missing.contains(&ability) {
                    missing.push(ability);
                }
            }
        }
        missing
    }

    fn guard_lag(&self) -> Duration {
        batch::GUARD_LAG
    }

    fn name(&self) -> &'static str {
        "redis-cluster"
    }

    fn close(&self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.shared.nodes().values().for_each(|node| node.store.close());
    }
}
