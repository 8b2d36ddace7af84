//! A batch where nothing is cached: caching is off, or the namespace can't be used.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::timeout_at;

use super::at_once::at_most;
use super::{BatchOutcome, GetOrComputeMany};
use crate::clock::Deadline;
use crate::compute::ComputeError;
use crate::compute::computed::Computed;
use crate::key::Key;

/// Calls the function for all keys, each of them once. It may take no longer than else.
pub(super) async fn alone<K, V, E>(call: GetOrComputeMany<'_, K, V, E>) -> Vec<BatchOutcome<V, E>>
where
    K: Clone + Send,
    V: Clone,
{
    let GetOrComputeMany { values, keys, key_of, mut compute, options, size, at_once, .. } = call;
    let of_cache = values.cache.inner.defaults.options;
    let others = values.state().map_or(of_cache, |state| state.options);
    let patience = options.or(others).timeout.map(Deadline::after);
    let mut outcomes: HashMap<Key, BatchOutcome<V, E>> = HashMap::new();
    let mut missing = Vec::new();
    let order: Vec<Key> = keys.iter().map(|own| key_of(own)).collect();
    for (own, key) in keys.into_iter().zip(&order) {
        if outcomes.insert(key.clone(), Ok(None)).is_none() {
            missing.push(own);
        }
    }
    let mut chunks = Vec::new();
    while !missing.is_empty() {
        let rest = missing.split_off(size.min(missing.len()));
        chunks.push(std::mem::replace(&mut missing, rest));
    }
    let calls = chunks.into_iter().map(|chunk| {
        let keys: Vec<Key> = chunk.iter().map(|own| key_of(own)).collect();
        let late = patience.is_some_and(Deadline::has_passed);
        let computing = (!late).then(|| compute(chunk));
        async move {
            let answers = match (computing, patience) {
                (Some(computing), Some(until)) => timeout_at(until.instant(), computing).await.ok(),
                (Some(computing), None) => Some(computing.await),
                (None, _) => None,
            };
            (keys, answers)
        }
    });
    for (keys, answers) in at_most(at_once, calls).await {
        match answers {
            Some(Ok(answers)) => outcomes.extend(answers.into_iter().map(|(own, answer)| {
                let value = answer.map(|computed| Some(Computed::into_value(computed)));
                (key_of(&own), value.map_err(|error| ComputeError::Compute(Arc::new(error))))
            })),
            Some(Err(error)) => {
                let error = Arc::new(error);
                let failed = |key| (key, Err(ComputeError::Compute(Arc::clone(&error))));
                outcomes.extend(keys.into_iter().map(failed));
            }
            None => {
                outcomes.extend(keys.into_iter().map(|key| (key, Err(ComputeError::TimedOut))));
            }
        }
    }
    order.iter().map(|key| outcomes.get(key).map_or(Ok(None), share)).collect()
}

/// For one more of those who asked.
pub(super) fn share<V: Clone, E>(outcome: &BatchOutcome<V, E>) -> BatchOutcome<V, E> {
    match outcome {
        Ok(value) => Ok(value.clone()),
        Err(ComputeError::Compute(error)) => Err(ComputeError::Compute(Arc::clone(error))),
        Err(ComputeError::TimedOut) => Err(ComputeError::TimedOut),
        Err(ComputeError::LeaderFailed) => Err(ComputeError::LeaderFailed),
    }
}
