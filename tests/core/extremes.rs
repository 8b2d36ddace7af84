//! Settings as small and as large as their types allow.

use std::time::Duration;

use cache_core::{Builder, Cache, Namespace, Ttl};

use crate::setup::{fill, options, settled, shared_redis, text, unique_prefix};

fn unlimited() -> Builder {
    let most = Namespace::new("most").max_entries(usize::MAX).max_value_size(usize::MAX);
    Cache::builder()
        .prefix(unique_prefix())
        .namespace(most.ttl(Duration::MAX).l1_ttl(Duration::MAX))
        .max_value_size(usize::MAX)
        .l1_bytes(u64::MAX)
        .l1_ttl(Duration::MAX)
        .default_ttl(Duration::MAX)
        .operation_budget(Duration::MAX)
        .background_tasks(u32::MAX)
}

/// Pinned: settings that mean "no limit" overflowed when the cache was built or used.
#[tokio::test]
async fn settings_that_mean_no_limit() {
    let redis = options(&shared_redis().url()).connection_timeout(Duration::MAX);
    for cache in [unlimited().memory(), unlimited().redis(redis)] {
        let cache = cache.build().unwrap();
        for namespace in ["most", "users"] {
            cache.set(namespace, "1", "v").await.unwrap();
            assert_eq!(text(&cache, namespace, "1").await.as_deref(), Some("v"));
            assert_eq!(fill(&cache, namespace, "2", "w").await, "w");
            assert!(cache.touch(namespace, "1", Duration::MAX).await.unwrap());
            assert_eq!(cache.ttl(namespace, "1").await.unwrap(), Some(Ttl::Never));
        }
        settled(&cache).await;
        assert!(cache.health().await.reachable);
    }
}
