//! Answers that are stopped: by a budget, and by a client that leaves.

use crate::{
    ask::Ask,
    books::{Findings, SOON, id_of, metered},
    read::read,
    way::{Way, pairs, routes},
};
use tollgate_types::{FinishReason, wire::header::REQUEST_ID};

#[tokio::test]
async fn an_upstream_that_ignores_the_limit_is_cut_off_and_the_client_reads_a_proper_end() {
    let gate = metered(1 << 40).await;
    let mut found = Findings::default();
    // Within one dialect a whole answer is there at once, and nothing is left to be cut off.
    let cut =
        |(way, upstream, streamed): &(Way, &str, bool)| *streamed || way.own() != Some(*upstream);
    for (count, (way, upstream, streamed)) in routes().filter(cut).enumerate() {
        let case = format!("{way:?} {upstream} streamed={streamed}");
        let ask = Ask { limit: Some(20), ..Ask::of(upstream, "tokens=100,stall=60", streamed) };
        let reply = ask.reply(&gate, way).await;
        let said = read(way, &reply, streamed);
        let told = format!("{said:?}");
        found.holds(&case, said.ended && said.error.is_none(), &told);
        found.equal(&case, said.finish.as_str(), way.word(FinishReason::BudgetExhausted));
        found.holds(&case, said.text.starts_with("w0 w1 w2 ") && said.text.len() < 90, &told);
        assert!(gate.mock.saw_aborts(count + 1, SOON).await, "{case}: the upstream goes on");
        let row = gate.row(&id_of(&reply)).await;
        found.equal(&case, row.disposition.as_str(), "cut");
        found.holds(&case, (1..=20).contains(&row.usage.total_output()), &format!("{row:?}"));
        let output = said.usage.map(|usage| usage.output);
        found.equal(&case, output, Some(row.usage.total_output()));
        found.equal(&case, gate.held().await, 0);
    }
    found.settle();
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_upstream_and_pays_for_what_came() {
    let gate = metered(1 << 40).await;
    let mut found = Findings::default();
    for (count, (way, upstream)) in pairs().enumerate() {
        let case = format!("{way:?} {upstream}");
        let ask = Ask::of(upstream, "tokens=100,stall=20", true);
        let mut response = ask.request(&gate, way).send().await.unwrap();
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let mut came = String::new();
        while !came.contains("w2 ") {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            came += std::str::from_utf8(&chunk).unwrap();
        }
        drop(response);
        assert!(gate.mock.saw_aborts(count + 1, SOON).await, "{case}: the upstream goes on");
        let row = gate.row(&id).await;
        found.equal(&case, row.disposition.as_str(), "cancelled");
        let paid = (1..100).contains(&row.usage.total_output()) && row.usage.estimated;
        found.holds(&case, paid, &format!("{row:?}"));
        found.equal(&case, gate.held().await, 0);
    }
    found.settle();
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_stops_the_upstream_too() {
    let gate = metered(1 << 40).await;
    let mut found = Findings::default();
    for (count, (way, upstream)) in pairs().enumerate() {
        let case = format!("{way:?} {upstream}");
        let ask = Ask::of(upstream, "headers_delay=60000", false);
        let reached = async {
            while gate.mock.served() <= count {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            reply = ask.reply(&gate, way) => panic!("an answer came: {reply:?}"),
            () = reached => {}
        }
        assert!(gate.mock.saw_aborts(count + 1, SOON).await, "{case}: the upstream goes on");
        let row = loop {
            let report = gate.report().await;
            if report.total.requests > u64::try_from(count).unwrap() {
                break report.rows.into_iter().next().unwrap();
            }
            tokio::task::yield_now().await;
        };
        found.equal(
            &case,
            (row.disposition.as_str(), row.provider.as_str()),
            ("cancelled", upstream),
        );
        found.equal(&case, gate.held().await, 0);
    }
    found.settle();
}
