//! Many that ask for one thing at once.

use cache_core::{Clock, Stopwatch, seconds};

use crate::client::{Client, rests, wave};
use crate::origin::{Server, TAKES};
use crate::{HERD, of};

const ROUNDS: usize = 20;

/// What is not stored is not waited for either, once that is known.
pub(crate) async fn on_what_is_not_stored(bare: &Server, cached: &Server) {
    println!("{HERD} at once for one no-store page, origin takes {TAKES:?}, {ROUNDS} rounds");
    let mut no_cache = Vec::new();
    // All times of the first waves and of the second ones, and when each wave was over.
    let mut waves = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    let mut without = Client::several(bare.address, HERD).await;
    let mut with = Client::several(cached.address, HERD).await;
    for round in 0..ROUNDS {
        let path = format!("/no-store/{round}");
        no_cache.extend(wave(&mut without, &path).await);
        rests(&mut without).await;
        for (times, overs) in &mut waves {
            let of_wave = wave(&mut with, &path).await;
            overs.extend(of_wave.iter().max().copied());
            times.extend(of_wave);
            let said = rests(&mut with).await;
            assert!(!said.iter().any(|said| said.contains("stored") || said.contains("hit")));
            assert_eq!(cached.calls(), HERD, "each gets an answer of its own");
        }
    }
    println!("  no cache              {}", of(no_cache));
    for (name, (times, overs)) in ["first wave", "second wave"].into_iter().zip(waves) {
        println!("  {name:<20}  {}", of(times));
        println!("  {:<20}  {}", format!("{name} is over"), of(overs));
    }
}

/// What is stale is refreshed once, and nobody waits for that.
pub(crate) async fn on_what_is_stale(cached: &Server, clock: &Clock) {
    println!("{HERD} at once for one stored page, origin takes {TAKES:?}, {ROUNDS} rounds");
    let (mut stale, mut fresh) = (Vec::new(), Vec::new());
    let mut clients = Client::several(cached.address, HERD).await;
    for round in 0..ROUNDS {
        let path = format!("/stale/{round}");
        let mut one = Client::open(cached.address).await;
        one.first(&path, Stopwatch::start()).await;
        assert_eq!(one.rest().await, "fwd=uri-miss; stored");
        assert_eq!(cached.calls(), 1);
        until_hit(&mut one, &path).await;

        clock.advance(seconds(2));
        stale.extend(wave(&mut clients, &path).await);
        let said = rests(&mut clients).await;
        let all = said.iter().all(|said| said == "hit; detail=stale-while-revalidate");
        assert!(all, "{said:?}");
        until_hit(&mut one, &path).await;
        assert_eq!(cached.calls(), 1, "one refresh");

        fresh.extend(wave(&mut clients, &path).await);
        assert!(rests(&mut clients).await.iter().all(|said| said == "hit"));
        assert_eq!(cached.calls(), 0);
    }
    println!("  while it is fresh     {}", of(fresh));
    println!("  stale, one refreshes  {}", of(stale));
}

/// What arrives goes into the store a moment after the client has it.
async fn until_hit(client: &mut Client, path: &str) {
    loop {
        client.first(path, Stopwatch::start()).await;
        if client.rest().await == "hit" {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Who follows gets each byte when the leader does.
pub(crate) async fn behind_a_leader(cached: &Server) {
    println!("{HERD} at once for one new page, origin takes {TAKES:?}, {ROUNDS} rounds");
    let mut behind = Vec::new();
    let mut followers = Client::several(cached.address, HERD - 1).await;
    for round in 0..ROUNDS {
        let path = format!("/slow/{round}");
        let mut leader = Client::open(cached.address).await;
        let watch = Stopwatch::start();
        let to_lead = path.clone();
        let leading = tokio::spawn(async move {
            let first = leader.first(&to_lead, watch).await;
            (leader, first)
        });
        cached.asked().await;
        let late = watch.elapsed();
        let firsts = wave(&mut followers, &path).await;
        let (mut leader, leaders) = leading.await.unwrap();
        // All have the first byte, and only now is there a last one.
        cached.let_end();
        assert_eq!(leader.rest().await, "fwd=uri-miss; stored");
        let said = rests(&mut followers).await;
        assert!(said.iter().all(|said| said == "fwd=uri-miss; collapsed"), "{said:?}");
        assert_eq!(cached.calls(), 1, "one asks");
        behind.extend(firsts.into_iter().map(|first| (late + first).saturating_sub(leaders)));
    }
    println!("  behind the leader     {}", of(behind));
}
