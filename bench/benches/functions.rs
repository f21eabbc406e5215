//! The functions that every call passes through, each on its own: `cargo bench --bench functions`.
//!
//! They tell where time goes that the scoreboard has found. What is measured here is a small part of
//! a call; the ledger's two durable writes are in the bench `ledger`.
#![expect(clippy::unwrap_used, reason = "a benchmark stops where it cannot go on")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use std::{hint::black_box, path::Path, sync::Arc};
use tollgate::{
    access::{KeyOrder, Permissions, Role, Target, authorize, issue_key},
    app::App,
    catalog::Catalog,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    dialects::{
        openai::{StreamDecoder, StreamEncoder, decode_chat},
        patch::Patch,
        stream::{Decoder, ReplyHead},
    },
    ids::new_id,
    prices::{Bound, quote},
    store::{Patience, Place, Store, UserRow},
};
use tollgate_bench::AtOnce;
use tollgate_types::Resource;

/// Bytes of a small prompt and of a large one.
const PROMPTS: [usize; 2] = [1_000, 100_000];

const CHUNK: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,
"model":"bench","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,
"finish_reason":null}]}"#;

criterion_group!(benches, requests, chunks, people_and_prices);
criterion_main!(benches);

fn body(prompt: usize) -> Vec<u8> {
    let text: String = "A \"line\" of text.\n".chars().cycle().take(prompt).collect();
    let messages = json!([{"role": "user", "content": text}]);
    json!({"model": "bench", "max_tokens": 64, "messages": messages}).to_string().into_bytes()
}

/// A request's body: read, and changed where it must be.
fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for prompt in PROMPTS {
        let body = body(prompt);
        group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap()));
        group.bench_with_input(BenchmarkId::new("decode_chat", prompt), &body, |bencher, body| {
            bencher.iter(|| decode_chat(black_box(body)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("patch", prompt), &body, |bencher, body| {
            bencher.iter(|| {
                let mut patch = Patch::of(black_box(body)).unwrap();
                patch.set("model", &"another".into());
                patch.finish()
            });
        });
    }
    group.finish();
}

/// A chunk of a stream: read, and written for a caller of the same format.
fn chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk");
    group.bench_function("decode", |bencher| {
        let mut decoder = StreamDecoder::new("bench");
        decoder.push(CHUNK).unwrap();
        bencher.iter(|| decoder.push(black_box(CHUNK)).unwrap());
    });
    group.bench_function("encode", |bencher| {
        let mut decoder = StreamDecoder::new("bench");
        decoder.push(CHUNK).unwrap();
        let events = decoder.push(CHUNK).unwrap();
        let mut encoder = StreamEncoder::new(ReplyHead::default(), true);
        bencher.iter(|| {
            let chunks = events.iter().flat_map(|event| encoder.push(black_box(event)));
            chunks.map(|chunk| chunk.to_string()).collect::<Vec<_>>()
        });
    });
    group.finish();
}

/// Who calls, what he may, and the most that it can cost.
fn people_and_prices(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (app, key) = runtime.block_on(open(folder.path()));
    let access = &app.front.access;
    let caller = runtime.block_on(access.authenticate(Some(&key))).unwrap();
    let mut group = criterion.benchmark_group("gate");
    group.bench_function("authenticate a known key", |bencher| {
        bencher.iter(|| runtime.block_on(access.authenticate(Some(black_box(&key)))).unwrap());
    });
    let target = || Target { provider: "mock".to_owned(), model: "m".to_owned() };
    let prices = app.front.gateway.prices.current();
    let bound = Bound {
        input_tokens: 1_000,
        max_output: 1_000,
        min_output: 1,
        likely_input: 250,
        in_process: false,
    };
    group.bench_function("authorize and quote", |bencher| {
        let targets = || vec![target()];
        let call = |targets| {
            let permit = authorize(&caller, targets, &[]).unwrap();
            quote(&prices, permit, bound).amount(Resource::Cost, bound.max_output)
        };
        bencher.iter_batched(targets, call, BatchSize::SmallInput);
    });
    group.finish();
    runtime.block_on(app.tasks.drain(std::time::Duration::from_secs(10)));
}

/// A server without its sockets, and a key of somebody.
async fn open(folder: &Path) -> (App, String) {
    let file = folder.join("books.db");
    let text = format!(
        "[store]\nurl = \"sqlite:{}\"\n[[providers]]\nname = \"mock\"\nkind = \"openai\"\n\
         base_url = \"http://127.0.0.1:9\"\n\
         [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n",
        file.display()
    );
    let config = Config::parse(Path::new("bench.toml"), &text, &Environment::default()).unwrap();
    let catalog = async { Ok(Catalog::of(&config, vec![Arc::new(AtOnce)]).await) };
    let app = App::around(&config, catalog).await.unwrap();
    let store = Store::open(Place::File(file), Patience::Command).await.unwrap();
    let user = UserRow {
        id: new_id(&SystemClock),
        name: "bench".to_owned(),
        role: "member".to_owned(),
        time_zone: "UTC".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: SystemClock.now_ms(),
        ..UserRow::default()
    };
    store.insert_user(&user, &[]).await.unwrap();
    let order = KeyOrder {
        name: "bench".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: Vec::new(),
    };
    let issued = issue_key(&store, &SystemClock, &user, order).await.unwrap();
    store.close().await;
    let key = issued.key.expose().to_owned();
    (app, key)
}
