//! Redis: every way to lose one, and databases that know nothing of each other.

use super::{SILENCE, listens};
use redis::{Client, aio::MultiplexedConnection, cmd};
use tollgate_bench::private::{Redis, redis_url};

async fn connect(url: &str) -> MultiplexedConnection {
    Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn count(connection: &mut MultiplexedConnection) -> u64 {
    cmd("INCR").arg("count").query_async(connection).await.unwrap()
}

#[tokio::test]
async fn it_is_stopped_and_starts_again_empty() {
    let mut redis = Redis::start().await.unwrap();
    let url = redis.url();
    let mut connection = connect(&url).await;
    assert_eq!(count(&mut connection).await, 1);
    assert_eq!(count(&mut connection).await, 2);

    redis.stop().await.unwrap();
    assert!(!listens(redis.port()));
    assert!(redis.stop().await.is_err(), "it was stopped already");
    redis.start_again().await.unwrap();
    assert_eq!(redis.url(), url);
    assert!(redis.start_again().await.is_err(), "it runs already");
    assert_eq!(count(&mut connect(&url).await).await, 1);

    let port = redis.port();
    drop(redis);
    assert!(!listens(port));
}

#[tokio::test]
async fn a_pause_is_silence_and_no_end() {
    let mut redis = Redis::start().await.unwrap();
    let client = Client::open(redis.url()).unwrap();
    let unhurried = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let connecting = client.get_multiplexed_async_connection_with_config(&unhurried);
    let mut connection = connecting.await.unwrap();
    redis.pause().await.unwrap();
    let asked = count(&mut connection);
    tokio::pin!(asked);
    assert!(tokio::time::timeout(SILENCE, &mut asked).await.is_err(), "it answered");
    redis.resume().unwrap();
    assert_eq!(asked.await, 1);

    redis.pause().await.unwrap();
    let port = redis.port();
    drop(redis);
    assert!(!listens(port));
}

#[tokio::test]
async fn strangers_are_refused() {
    let redis = Redis::start().await.unwrap();
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let mut connection = connect(&url).await;
    let refused = cmd("GET").arg("count").query_async::<String>(&mut connection).await.unwrap_err();
    assert_eq!(refused.code(), Some("NOAUTH"));
    let password = redis.url();
    let password = password.split([':', '@']).nth(2).unwrap();
    assert!(password.len() == 24 && !format!("{redis:?}").contains(password));
}

#[tokio::test]
async fn every_test_has_an_empty_database() {
    let (one, other) = tokio::join!(redis_url(), redis_url());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one, other);
    assert_eq!(count(&mut connect(&one).await).await, 1);
    assert_eq!(count(&mut connect(&other).await).await, 1);
    assert_eq!(count(&mut connect(&one).await).await, 2);
}
