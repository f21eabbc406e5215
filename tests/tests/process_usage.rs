//! What was used, told three times: by the operator's command, the user's command and the API.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

use serde_json::Value;
use tollgate_bench::Mock;
use tollgate_tests::process::{
    Install, Key, REAL_MODEL, Ran, Server, mock_provider, program, real_provider,
};
use tollgate_types::NanoUsd;

struct Books {
    install: Install,
    server: Server,
    alice: Key,
}

impl Books {
    async fn toll(&self, arguments: &[&str]) -> Ran {
        let mut command = self.install.command(program("toll"));
        command.args(arguments);
        command.env("TOLLGATE_URL", self.server.url()).env("TOLLGATE_API_KEY", &self.alice.text);
        self.install.run(command).await
    }

    /// The three reports on alice: everything in them must be equal.
    async fn agreed(&self, query: &[(&str, &str)]) -> Value {
        let flags = query.iter().flat_map(|(name, value)| {
            [format!("--{}", name.replace('_', "-")), (*value).to_owned()]
        });
        let flags: Vec<String> = flags.chain(["--json".to_owned()]).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let operator = [&["usage", "--user", "alice"][..], &flags].concat();
        let operator = self.install.tollgate(&operator).await.json();
        let own = self.toll(&[&["usage"][..], &flags].concat()).await.json();
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = format!("/api/v1/usage?{}", query.join("&"));
        let (status, api) = self.server.api(&self.alice).get(&path).await;
        assert_eq!(status, 200, "{api}");
        assert_eq!(operator, own, "tollgate usage and toll usage");
        assert_eq!(operator, api, "tollgate usage and the API");
        operator
    }
}

/// Sums up answers as their callers saw them: requests, input, output, cost.
fn sum(answers: &[Value]) -> [u64; 4] {
    answers.iter().fold([0; 4], |[requests, input, output, cost], answer| {
        let number = |pointer| answer.pointer(pointer).and_then(Value::as_u64).unwrap();
        [
            requests + 1,
            input + number("/usage/input"),
            output + number("/usage/output"),
            cost + number("/receipt/cost_nano_usd"),
        ]
    })
}

fn told(group: &Value) -> [u64; 4] {
    let number = |pointer| group.pointer(pointer).and_then(Value::as_u64).unwrap();
    [number("/requests"), number("/usage/input"), number("/usage/output"), number("/cost_nano_usd")]
}

#[tokio::test]
async fn the_commands_and_the_api_agree_with_what_callers_were_told() {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(&(mock_provider(&mock) + &real_provider()));
    install.user("alice").await;
    install.user("mallory").await;
    let alice = install.key("alice", &["--budget", "cost=5usd/month"]).await;
    let mallory = install.key("mallory", &[]).await;
    let server = install.serve().await;
    let api = server.api(&alice);
    server.api(&mallory).ask("mock/echo", "not of alice's business", 50).await;

    let mut from_mock = Vec::new();
    for text in ["one", "one two", "[[mock tokens=40]]"] {
        from_mock.push(api.ask("mock/echo", text, 50).await);
    }
    let stream = api.stream("mock/echo", "[[mock tokens=7]]", 50).await.unwrap();
    from_mock.push(stream.rest().await.pop().unwrap());
    let real = [api.ask(REAL_MODEL, "Name a colour.", 8).await];
    let all = [from_mock.clone(), real.to_vec()].concat();
    let books = Books { install, server, alice };

    let report = books.agreed(&[("rows", "100")]).await;
    assert_eq!(told(&report["total"]), sum(&all), "{report}");
    assert_eq!(report["rows"].as_array().unwrap().len(), all.len());
    let by_model = books.agreed(&[("group_by", "provider"), ("since", "1h")]).await;
    for (provider, answers) in [("mock", &from_mock[..]), ("local", &real[..])] {
        let groups = by_model["groups"].as_array().unwrap();
        let group = groups.iter().find(|group| group["group"] == provider).unwrap();
        assert_eq!(told(group), sum(answers), "{provider}: {by_model}");
    }
    let one = books.agreed(&[("model", REAL_MODEL)]).await;
    assert_eq!(told(&one["total"]), sum(&real), "{one}");
    let none = books.agreed(&[("until", "2020-01-01T00:00:00Z")]).await;
    assert_eq!(told(&none["total"]), [0; 4], "{none}");

    people_read_the_same(&books, sum(&all)).await;
    let budget = &books.install.budgets().await[0];
    assert_eq!((budget["spent"].as_u64(), budget["held"].as_u64()), (Some(sum(&all)[3]), Some(0)));
}

/// The tables and the CSV of both commands.
async fn people_read_the_same(books: &Books, [requests, input, output, cost]: [u64; 4]) {
    let operator = books.install.tollgate(&["usage", "--user", "alice"]).await.printed();
    let own = books.toll(&["usage"]).await.printed();
    for table in [operator, own] {
        let total = table.lines().find(|line| line.trim_start().starts_with("total")).unwrap();
        let fields: Vec<&str> = total.split_whitespace().collect();
        let numbers = [requests, input, output].map(|number| number.to_string());
        assert_eq!(fields[1..4], numbers.each_ref().map(String::as_str), "{table}");
        let cost = NanoUsd(i64::try_from(cost).unwrap()).to_string();
        assert_eq!(fields[4], cost, "{table}");
    }
    let csv = ["usage", "--user", "alice", "--csv", "--group-by", "user"];
    let operator = books.install.tollgate(&csv).await.printed();
    let own = books.toll(&["usage", "--csv", "--group-by", "user"]).await.printed();
    let line = format!("alice,{requests},{input},{output},{cost},0");
    for csv in [operator, own] {
        // The server's own command has more columns behind these.
        assert!(csv.lines().nth(1).is_some_and(|told| told.starts_with(&line)), "{csv}");
    }
}
