//! A miss costs its client next to nothing, and the first byte comes when the origin gives it.

use cache_core::Stopwatch;

use crate::client::Client;
use crate::of;
use crate::origin::Server;

const ROUNDS: usize = 2_000;

pub(crate) async fn of_a_miss(bare: &Server, cached: &Server) {
    println!("time to the first byte, each request for another page, {ROUNDS} of each in turn");
    for (kind, what) in [("whole", "1 KiB at once"), ("held", "half of it, the rest held back")] {
        let mut without = Client::open(bare.address).await;
        let mut with = Client::open(cached.address).await;
        let (mut no_cache, mut misses) = (Vec::new(), Vec::new());
        for n in 0..ROUNDS {
            let path = format!("/{kind}/{n}");
            for (server, client, times) in
                [(bare, &mut without, &mut no_cache), (cached, &mut with, &mut misses)]
            {
                times.push(client.first(&path, Stopwatch::start()).await);
                // Only now: had the first byte waited for the last one, neither would ever come.
                if kind == "held" {
                    server.let_end();
                }
                let said = client.rest().await;
                assert!(matches!(said.as_str(), "" | "fwd=uri-miss; stored"), "{said}");
                assert_eq!(server.calls(), 1);
            }
        }
        println!("  {what}: no cache    {}", of(no_cache));
        println!("  {what}: with cache  {}", of(misses));
    }
}
