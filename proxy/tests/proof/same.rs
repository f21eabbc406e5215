//! Remote equals direct, event for event: the request's id and the receipt apart.

use crate::{
    corpus::{SCRIPTS, WRITTEN, Written},
    place::{Place, bare, soon},
    replay::{Replay, model},
    transports::TRANSPORTS,
    vendor::VENDORS,
};
use tollgate_bench::Mock;
use tollgate_types::{
    Error, GenerateRequest, GenerateResponse, Message, Provider, StreamEvent, Usage, testing::Scene,
};

/// The events of a stream, and the error that ended it.
type Told = (Vec<StreamEvent>, Option<Error>);

/// Where two streams begin to differ.
fn difference(near: &Told, far: &Told) -> Option<String> {
    let items = |told: &Told| -> Vec<String> {
        let events = told.0.iter().map(|event| format!("{event:?}"));
        events.chain([format!("{:?}", told.1)]).collect()
    };
    let (near, far) = (items(near), items(far));
    let count = near.len().max(far.len());
    let differs = |n: &usize| near.get(*n) != far.get(*n);
    let n = (0..count).find(differs)?;
    Some(format!("item {n}:\n  direct {:?}\n  remote {:?}", near.get(n), far.get(n)))
}

/// Everything that a stream says, to its end.
async fn told(provider: &dyn Provider, request: GenerateRequest) -> Told {
    let mut events = Vec::new();
    let mut stream = match provider.stream(request).await {
        Ok(stream) => stream,
        Err(error) => return (events, Some(bare(error))),
    };
    while let Some(item) = stream.next().await {
        match item {
            Ok(event) => events.push(plain(event)),
            Err(error) => return (events, Some(bare(error))),
        }
    }
    (events, None)
}

/// An event without what only a server adds to it.
fn plain(mut event: StreamEvent) -> StreamEvent {
    match &mut event {
        StreamEvent::Start { request_id, .. } => *request_id = None,
        StreamEvent::Finish { receipt, usage, .. } => {
            *receipt = None;
            unguessed(usage);
        }
        _ => {}
    }
    event
}

/// A server guesses what a provider does not count, and says so.
fn unguessed(usage: &mut Usage) {
    if usage.estimated {
        *usage = Usage::default();
    }
}

fn plain_answer(answer: Result<GenerateResponse, Error>) -> Result<GenerateResponse, Error> {
    let mut answer = answer.map_err(bare)?;
    unguessed(&mut answer.usage);
    Ok(GenerateResponse { receipt: None, ..answer })
}

fn request(model: String) -> GenerateRequest {
    GenerateRequest::new(model, vec![Message::user("one two three")]).tools(vec![Scene::tool()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_through_the_server_is_the_providers_own_event_for_event() {
    let mock = Mock::start().await.unwrap();
    let place = Place::over(&mock.url()).await;
    let (mut findings, mut compared) = (Vec::new(), 0);
    for transport in TRANSPORTS.iter().copied() {
        let remote = place.remote(transport);
        for vendor in VENDORS {
            let direct = vendor.direct(&mock.url());
            for script in SCRIPTS {
                let model = format!("mock-{script}");
                let near = soon(script, told(&*direct, request(model.clone()))).await;
                let model = format!("{}/{model}", vendor.name());
                let far = soon(script, told(&*remote, request(model))).await;
                compared += near.0.len();
                if let Some(difference) = difference(&near, &far) {
                    findings
                        .push(format!("{vendor:?} {script} over {}: {difference}", transport.0));
                }
            }
        }
    }
    println!("{compared} events of {} streams compared", SCRIPTS.len() * VENDORS.len());
    assert!(findings.is_empty(), "{} differ:\n{}", findings.len(), findings.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_through_the_server_is_what_the_providers_stream_folds_to() {
    let mock = Mock::start().await.unwrap();
    let place = Place::over(&mock.url()).await;
    let mut findings = Vec::new();
    for transport in TRANSPORTS.iter().copied() {
        let remote = place.remote(transport);
        for vendor in VENDORS {
            let direct = vendor.direct(&mock.url());
            for script in SCRIPTS {
                let asked = request(format!("mock-{script}"));
                let near = async { direct.stream(asked).await?.collect().await };
                let near = plain_answer(soon(script, near).await);
                let asked = request(format!("{}/mock-{script}", vendor.name()));
                let far = plain_answer(soon(script, remote.generate(asked)).await);
                if near != far {
                    let name = format!("{vendor:?} {script} over {}", transport.0);
                    findings.push(format!("{name}:\n  direct {near:?}\n  remote {far:?}"));
                }
            }
        }
    }
    assert!(findings.is_empty(), "{} differ:\n{}", findings.len(), findings.join("\n"));
}

/// Lengths at which a stream is cut off: a few dozen, its whole length among them.
fn lengths(written: Written) -> Vec<usize> {
    let whole = written.body.len();
    (0..whole).step_by((whole / 40).max(1)).chain([whole - 1, whole]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_written_by_hand_are_the_same_however_they_are_cut() {
    let replay = Replay::start().await;
    let place = Place::over(&replay.url()).await;
    let (mut findings, mut compared, mut streams) = (Vec::new(), 0, 0);
    for transport in TRANSPORTS.iter().copied() {
        let remote = place.remote(transport);
        for written in WRITTEN {
            let direct = written.vendor.direct(&replay.url());
            for (seed, length) in (0..).zip(lengths(*written)) {
                let asked = model(written.name, seed, length);
                let near = soon(&asked, told(&*direct, request(asked.clone()))).await;
                let named = format!("{}/{asked}", written.vendor.name());
                let far = soon(&asked, told(&*remote, request(named))).await;
                streams += 1;
                compared += near.0.len();
                let whole = length == written.body.len() && !written.name.ends_with("_error");
                if let Some(difference) = difference(&near, &far) {
                    findings.push(format!("{asked} over {}: {difference}", transport.0));
                }
                assert!(!whole || near.1.is_none(), "{asked}: {:?}", near.1);
            }
        }
    }
    println!("{compared} events of {streams} streams compared");
    assert!(findings.is_empty(), "{} differ:\n{}", findings.len(), findings.join("\n"));
}
