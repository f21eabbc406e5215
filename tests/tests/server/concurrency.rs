//! Many calls at once on one budget: at no moment is more spent and held than the cap allows.

use crate::ask::typed;
use tokio::task::JoinSet;
use tollgate::store::EntryRow;
use tollgate_bench::Mock;
use tollgate_client::RemoteProvider;
use tollgate_tests::server::{Server, budget, soon};
use tollgate_types::{ErrorKind, GenerateRequest, Provider, Resource, Result, Sampling, Window};

const CALLS: usize = 100;
const OUTPUT: u32 = 20;

/// What callers do with an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Callers {
    /// All of them wait for its end.
    Stay,
    /// Every third leaves after its first event.
    Leave,
}

/// A call that takes a while, streamed or not.
async fn call(remote: RemoteProvider, number: usize, callers: Callers) -> Result<()> {
    let sampling = Sampling { max_output_tokens: Some(OUTPUT), ..Sampling::default() };
    let model = format!("mock/mock-tokens={},delay=2,headers_delay=10", 1 + number % 20);
    let request: GenerateRequest = typed(&model).sampling(sampling);
    if callers == Callers::Leave && number.is_multiple_of(3) {
        remote.stream(request).await?.next().await.unwrap().map(drop)
    } else if number.is_multiple_of(2) {
        remote.generate(request).await.map(drop)
    } else {
        remote.stream(request).await?.collect().await.map(drop)
    }
}

/// A hundred calls at once on a budget that fits about ten of them at a time.
async fn storm(resource: Resource, cap: i64, callers: Callers) -> (usize, Vec<EntryRow>) {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.key_with(vec![budget(resource, Window::Month, cap)]).await;
    let remote = server.remote(&key);
    // The key is verified once before: what is tested here are budgets.
    remote.budgets().await.unwrap();

    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        calls.spawn(call(remote.clone(), number, callers));
    }
    let (mut answered, mut observations, mut most_held) = (0, 0, 0);
    soon("all calls end", async {
        loop {
            let standing = server.budgets().await.remove(0);
            assert!(standing.spent + standing.held <= cap, "passed: {standing:?}");
            assert!(standing.spent >= 0 && standing.held >= 0, "{standing:?}");
            (observations, most_held) = (observations + 1, standing.held.max(most_held));
            match calls.try_join_next() {
                Some(Ok(Ok(()))) => answered += 1,
                Some(Ok(Err(error))) => assert_eq!(error.kind(), ErrorKind::QuotaExceeded),
                Some(Err(panicked)) => panic!("{panicked}"),
                None if calls.is_empty() => break,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert!(observations >= CALLS && most_held > 0, "calls were observed while they ran");

    let entries = server.settled(answered).await;
    assert_eq!(entries.len(), answered, "one entry for every answer and none for a refusal");
    assert_eq!(mock.served(), answered, "what was refused never reached the provider");
    let spent: i64 = match resource {
        Resource::Requests => i64::try_from(entries.len()).unwrap(),
        Resource::Tokens => {
            entries.iter().map(|entry| entry.tokens.input + entry.tokens.output).sum()
        }
        Resource::Cost => entries.iter().map(|entry| entry.cost_nano_usd.unwrap()).sum(),
    };
    let standing = server.budgets().await.remove(0);
    assert_eq!((standing.spent, standing.held), (spent, 0));
    (answered, entries)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_calls_at_once_on_a_budget_for_ten_requests_are_ten() {
    let (answered, _) = storm(Resource::Requests, 10, Callers::Stay).await;
    assert_eq!(answered, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_calls_at_once_never_pass_a_budget_for_tokens() {
    // A call sets aside about 1300 tokens: the prompt's bytes, a preamble and the answer.
    let (answered, entries) = storm(Resource::Tokens, 13_000, Callers::Stay).await;
    assert!((5..CALLS).contains(&answered), "{answered}");
    assert!(entries.iter().all(|entry| entry.disposition == "settled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_calls_at_once_never_pass_a_budget_for_cost() {
    let (answered, _) = storm(Resource::Cost, 13_000_000, Callers::Stay).await;
    assert!((5..CALLS).contains(&answered), "{answered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_calls_at_once_of_which_many_leave_never_pass_a_budget_and_are_all_booked() {
    for (resource, cap) in [(Resource::Tokens, 20_000), (Resource::Cost, 20_000_000)] {
        let (answered, entries) = storm(resource, cap, Callers::Leave).await;
        assert!((5..CALLS).contains(&answered), "{answered}");
        let left = entries.iter().filter(|entry| entry.disposition == "cancelled").count();
        assert!(left > 0, "somebody left in time");
    }
}
