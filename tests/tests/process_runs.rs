//! Calls under an idempotency key while the servers that make them are killed and shut down.

use serde_json::{Value, json};
use tollgate_bench::private::Database;
use tollgate_tests::process::{Api, Firm, Fleet, PATIENCE, question, until};

async fn retry(api: &Api, body: &Value) -> (u16, Value) {
    let (status, answer) = api.post("/api/v1/generate", body).await;
    (status, answer.pointer("/error/code").cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_call_whose_server_was_killed_is_not_made_by_another() {
    let database = Database::fresh().await.unwrap();
    let firm = Firm::on(&database.url(), &database.url()).await;
    let mut fleet = Fleet::start(&firm.install, 2, firm.keys.clone()).await;
    let (first, second) = (fleet.api(0, 0).once("a"), fleet.api(1, 0).once("a"));
    let finished = question("mock/echo", "hello", 20);
    assert_eq!(fleet.api(0, 0).once("b").post("/api/v1/generate", &finished).await.0, 200);
    let body = question("mock/echo", "hello [[mock stall=2]]", 20);
    let mut running = first.events("/api/v1/stream", &body).await.unwrap();
    assert_eq!(running.next().await.unwrap()["type"], "start");
    assert_eq!(retry(&second, &body).await, (409, json!("run_elsewhere")));
    fleet.take(0).kill().await;
    let interrupted = (502, json!("run_interrupted"));
    let dead = async || retry(&second, &body).await == interrupted;
    until("the server is taken for dead", PATIENCE, dead).await;
    assert_eq!(retry(&second, &body).await, interrupted);
    // What had finished is given again by the one that is left.
    let again = fleet.api(1, 0).once("b").post("/api/v1/generate", &finished).await;
    assert_eq!(again.0, 200);
    until("every hold has ended", PATIENCE, async || firm.books.open_holds().await == 0).await;
    firm.books.balance().await;
    assert_eq!(firm.books.entries().await.len(), 2);
    assert_eq!(firm.mock.served(), 2);
}

#[tokio::test]
async fn an_answer_is_written_down_before_its_server_has_shut_down() {
    let database = Database::fresh().await.unwrap();
    let firm = Firm::on(&database.url(), &database.url()).await;
    let mut fleet = Fleet::start(&firm.install, 2, firm.keys.clone()).await;
    let (first, second) = (fleet.api(0, 0).once("a"), fleet.api(1, 0).once("a"));
    let body = question("mock/echo", "one two three", 20);
    let answer = first.post("/api/v1/generate", &body).await;
    assert_eq!(answer.0, 200);
    let server = fleet.take(0);
    server.terminate().await;
    assert_eq!(server.ended().await, Some(0));
    assert_eq!(second.post("/api/v1/generate", &body).await, answer);
    assert_eq!(firm.mock.served(), 1);
}
