//! Remote equals direct, event for event: the request's id and the receipt apart.

use crate::{
    corpus::SCRIPTS,
    place::{Place, TRANSPORTS, bare, soon},
    vendor::VENDORS,
};
use tollgate_bench::Mock;
use tollgate_types::{
    Error, GenerateRequest, GenerateResponse, Message, Provider, StreamEvent, testing::Scene,
};

/// Everything that a stream says, to its end.
pub async fn told(
    provider: &dyn Provider,
    request: GenerateRequest,
) -> (Vec<StreamEvent>, Option<Error>) {
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
        StreamEvent::Finish { receipt, .. } => *receipt = None,
        _ => {}
    }
    event
}

fn plain_answer(answer: Result<GenerateResponse, Error>) -> Result<GenerateResponse, Error> {
    let answer = answer.map_err(bare)?;
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
    for transport in TRANSPORTS {
        let remote = place.remote(transport);
        for vendor in VENDORS {
            let direct = vendor.direct(&mock.url());
            for script in SCRIPTS {
                let model = format!("mock-{script}");
                let near = soon(script, told(&*direct, request(model.clone()))).await;
                let model = format!("{}/{model}", vendor.name());
                let far = soon(script, told(&*remote, request(model))).await;
                compared += near.0.len();
                if near != far {
                    let name = format!("{vendor:?} {script} over {}", transport.0);
                    findings.push(format!("{name}:\n  direct {near:?}\n  remote {far:?}"));
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
    for transport in TRANSPORTS {
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
