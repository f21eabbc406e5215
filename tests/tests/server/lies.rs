//! Upstreams that say nothing or nonsense about usage: never free, never a credit, never too much.

use crate::ask::typed;
use tollgate_bench::Mock;
use tollgate_tests::server::{Server, budget};
use tollgate_types::{Provider, Resource, Sampling, Window};

#[tokio::test]
async fn usage_that_is_missing_or_cannot_be_is_estimated_flagged_and_within_the_hold() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let (cap, cost_cap) = (100_000, 1_000_000_000);
    let budgets = vec![
        budget(Resource::Tokens, Window::Month, cap),
        budget(Resource::Cost, Window::Month, cost_cap),
    ];
    let remote = server.remote(&server.key_with(budgets).await);
    let mut spent_before = vec![0, 0];
    let lies = ["absent", "negative", "absurd"];
    for (count, (lie, streamed)) in
        lies.into_iter().flat_map(|lie| [(lie, true), (lie, false)]).enumerate()
    {
        let request = typed(&format!("mock/mock-tokens=10,usage={lie}"));
        let answer = match streamed {
            true => remote.stream(request).await.unwrap().collect().await.unwrap(),
            false => remote.generate(request).await.unwrap(),
        };
        let entry = server.settled(count + 1).await.remove(count);
        let case = format!("{lie} streamed={streamed} {entry:?}");
        assert_eq!((entry.disposition.as_str(), entry.estimated), ("settled", 1), "{case}");
        assert_eq!(entry.clamped, i64::from(lie == "absurd"), "{case}");
        if lie != "absurd" {
            assert!(
                entry.tokens.input >= 1 && entry.tokens.output >= 10,
                "what came is charged: {case}"
            );
        }
        let told = [answer.usage.input, answer.usage.output];
        let booked =
            [entry.tokens.input, entry.tokens.output].map(|count| u64::try_from(count).unwrap());
        // A lie is told on as it came; what counts is what is booked.
        assert_eq!(told == booked, lie != "absurd", "what the client is told: {case}");
        let cost = entry.tokens.input * 1_000 + entry.tokens.output * 2_000;
        assert_eq!(entry.cost_nano_usd, Some(cost), "{case}");
        let standing = server.budgets().await;
        let spent_of = |what| standing.iter().find(|b| b.resource == what).unwrap().spent;
        let spent = vec![spent_of(Resource::Tokens), spent_of(Resource::Cost)];
        let grown: Vec<i64> = spent.iter().zip(&spent_before).map(|(b, a)| b - a).collect();
        assert_eq!(grown, [entry.tokens.input + entry.tokens.output, cost], "{case}");
        assert!(spent[0] <= cap && spent[1] <= cost_cap, "{case}");
        spent_before = spent;
    }
}

#[tokio::test]
async fn absurd_usage_is_cut_to_what_can_be_believed_where_no_budget_limits_it() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let remote = server.remote(&server.any_key().await);
    let sampling = Sampling { max_output_tokens: Some(50), ..Sampling::default() };
    let request = typed("mock/mock-tokens=10,usage=absurd").sampling(sampling);
    remote.generate(request).await.unwrap();
    let entry = server.settled(1).await.remove(0);
    assert_eq!((entry.clamped, entry.estimated), (1, 1), "{entry:?}");
    assert!(entry.tokens.input + entry.tokens.output < 2_000_000, "a call of ten words: {entry:?}");
}
