//! Several servers over one PostgreSQL and one Redis.

use crate::{ECHO, at_once, gate::Gate, requests, tokens};
use std::time::{Duration, Instant};
use tollgate_bench::{
    Mock,
    private::{Database, Redis},
};

/// Two servers that share everything.
async fn pair(mock: &Mock, database: &Database, redis: &str) -> [Gate; 2] {
    let more = format!(
        "[store]\nurl = \"{}\"\nconnections = 4\n[redis]\nurl = \"{redis}\"\ntimeout_ms = 2000\n",
        database.url()
    );
    [Gate::with(mock, &more).await, Gate::with(mock, &more).await]
}

#[tokio::test]
async fn two_servers_together_admit_no_more_than_a_limit() {
    let (mock, database) = (Mock::start().await.unwrap(), Database::fresh().await.unwrap());
    let redis = Redis::start().await.unwrap();
    let gates = pair(&mock, &database, &redis.url()).await;
    let user = gates[0].user("alice").await;
    let (_, key) = gates[0].key(&user).await;
    gates[0].limit(("user", &user.id), requests(20)).await;
    let began = Instant::now();
    let asks = (0..60).map(|n| gates[n % 2].ask(&key, ECHO));
    let replies = futures_util::future::join_all(asks).await;
    let flowed = usize::try_from(began.elapsed().as_secs() / 3 + 1).unwrap();
    let admitted = replies.iter().filter(|reply| reply.status == 200).count();
    assert!((20..=20 + flowed).contains(&admitted), "{admitted}");
    assert!(replies.iter().all(|reply| [200, 429].contains(&reply.status)));
    let user = gates[0].user("bob").await;
    let (_, key) = gates[0].key(&user).await;
    gates[0].limit(("user", &user.id), at_once(1, 0)).await;
    let running = gates[0].stalled(&key).await;
    assert_eq!(gates[1].ask(&key, ECHO).await.status, 429);
    drop(running);
    let free = async { while gates[1].ask(&key, ECHO).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
}

#[tokio::test]
async fn pains_14_a_redis_that_stops_answering_under_load_hangs_no_request() {
    let (mock, database) = (Mock::start().await.unwrap(), Database::fresh().await.unwrap());
    let mut redis = Redis::start().await.unwrap();
    let more = format!(
        "[store]\nurl = \"{}\"\nconnections = 4\n[redis]\nurl = \"{}\"\n",
        database.url(),
        redis.url()
    );
    let gate = Gate::with(&mock, &more).await;
    let user = gate.user("alice").await;
    let (_, key) = gate.key(&user).await;
    gate.limit(("user", &user.id), tokens(1_000_000)).await;
    let crowd = async || {
        let ask = async || {
            let began = Instant::now();
            (gate.ask(&key, ECHO).await.status, began.elapsed())
        };
        let replies = futures_util::future::join_all((0..20).map(|_| ask())).await;
        for (status, took) in replies {
            assert_eq!(status, 200);
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
    };
    crowd().await;
    redis.pause().await.unwrap();
    for _ in 0..5 {
        crowd().await;
    }
    redis.resume().unwrap();
    crowd().await;
}
