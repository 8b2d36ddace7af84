//! Reads: alone, or with others that come at the same moment.

use bb8_redis::redis::cmd;
use bytes::Bytes;

use super::RedisStore;
use super::commands::mget;
use super::gather::{Leader, Member};
use super::lanes::Lane;
use crate::clock::Deadline;
use crate::error::Error;

impl RedisStore {
    pub(super) async fn fetch_alone(
        &self,
        lane: Lane,
        keys: &[&str],
        deadline: Deadline,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let mut command = cmd("MGET");
        command.arg(keys);
        let fetch = async |connection| mget(connection, &command, keys.len()).await;
        let found = self.run_in(lane, deadline, fetch).await?;
        self.inner.lanes.learn(keys.iter().copied(), &found);
        Ok(found)
    }

    /// Runs in a task of its own, until the deadline of the one who started it.
    pub(super) async fn fetch_for_all(self, leader: Leader, deadline: Deadline) {
        // Those who can run now may join.
        tokio::task::yield_now().await;
        let wanted = leader.close();
        let mut command = cmd("MGET");
        wanted.keys().for_each(|key| {
            command.arg(key);
        });
        let fetch = async |connection| mget(connection, &command, wanted.len()).await;
        let result = self.run(deadline, fetch).await;
        if let Ok(found) = &result {
            self.inner.lanes.learn(wanted.keys(), found);
        }
        leader.land(&wanted, result);
    }

    pub(super) async fn fetch_with_others(
        &self,
        member: Member,
        keys: &[&str],
        deadline: Deadline,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        match member.answer(deadline).await {
            Some(answer) => answer,
            None => Box::pin(self.fetch_alone(Lane::Small, keys, deadline)).await,
        }
    }
}
