//! Routes: what `cache_endpoint`, `invalidate_cache` and the table of routes do, and where layers stand.
