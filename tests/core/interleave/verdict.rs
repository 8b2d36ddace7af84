//! What must hold when all tasks have ended.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cache_core::{Cache, seconds};

use super::stage::rest;
use super::world::{NAMESPACE, World, key, neighbour};

/// Longer than a node's memory answers without asking the store.
const BOUND: Duration = seconds(6);

impl World {
    /// What went wrong, if anything did.
    pub(crate) async fn verdict(&self) -> Result<(), String> {
        if let Some(wrong) = self.wrong.lock().expect("no panic in here").take() {
            return Err(wrong);
        }
        let busy = |cache: &Cache| cache.background().running() > 0;
        if self.nodes.iter().any(busy) {
            return Err("something runs on in the background".into());
        }
        self.nothing_came_back().await?;
        self.a_new_value_is_kept().await
    }

    async fn nothing_came_back(&self) -> Result<(), String> {
        let mut floor = 0;
        for (_, node) in self.endings() {
            floor = floor.max(self.floor(node));
            self.check("the last read", node, &self.nodes[node], self.floor(node)).await?;
            // What the store has not confirmed is repeated before it is asked.
            let _: Option<u64> =
                self.nodes[node].get(NAMESPACE, neighbour()).await.map_err(text)?;
        }
        self.clock.advance(BOUND);
        let mut all = Vec::new();
        for (node, cache) in self.nodes.iter().enumerate() {
            all.push(self.check("a read later", node, cache, floor).await?);
        }
        if all.windows(2).any(|two| two[0] != two[1]) {
            return Err(format!("the nodes do not agree: {all:?}"));
        }
        Ok(())
    }

    async fn check(
        &self,
        what: &str,
        node: usize,
        cache: &Cache,
        floor: u64,
    ) -> Result<Option<u64>, String> {
        let seen = cache.get(NAMESPACE, key()).await.map_err(text)?;
        self.is_too_old(seen, floor)
            .map_or(Ok(seen), |seen| Err(format!("{what} on node {node} saw {seen}, not {floor}")))
    }

    /// Whatever has happened, the next invalidation and the next value are as ever.
    async fn a_new_value_is_kept(&self) -> Result<(), String> {
        let new = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        for (ending, node) in self.endings() {
            ending.run(&self.nodes[node]).await.map_err(text)?;
        }
        self.clock.advance(BOUND);
        for cache in &self.nodes {
            let compute = async || Ok::<_, std::io::Error>(new);
            let found = cache.get_or_compute(NAMESPACE, key(), compute).await.map_err(text)?;
            if found != new {
                return Err(format!("after all, {found} instead of {new}"));
            }
            rest().await;
        }
        for cache in &self.nodes {
            let kept: Option<u64> = cache.get(NAMESPACE, key()).await.map_err(text)?;
            if kept != Some(new) {
                return Err(format!("the new value {new} is not kept: {kept:?}"));
            }
        }
        Ok(())
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
