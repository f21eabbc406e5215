//! The suite, for every provider that there is.

use crate::{
    place::Place,
    subject::{Model, Scripted},
    transports::TRANSPORTS,
    vendor::{VENDORS, Vendor},
};
use std::sync::Arc;
use tollgate_bench::Mock;
use tollgate_types::{Provider, testing::conformance};

async fn conforms(
    name: &str,
    (mock, provider): (&Mock, Arc<dyn Provider>),
    model: Model,
    skipped: &[&str],
) -> bool {
    let report = conformance(&Scripted { mock, provider, model }).await;
    println!("{name}: {report}");
    report.is_good_without(skipped)
}

/// What the vendor's API has no words for.
fn lacks(vendor: Vendor) -> &'static [&'static str] {
    match vendor {
        // None of these counts without an answer.
        Vendor::Chat | Vendor::Responses | Vendor::Ollama => {
            &["prompt tokens are counted as they are used"]
        }
        Vendor::Google => &[],
        Vendor::Anthropic => &["one vector comes for each text"],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_direct_provider_conforms() {
    let mock = Mock::start().await.unwrap();
    let mut wrong = Vec::new();
    for vendor in VENDORS {
        let provider = vendor.direct(&mock.url());
        let name = format!("{vendor:?}");
        if !conforms(&name, (&mock, provider), Model::Of(vendor), lacks(vendor)).await {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_provider_conforms_over_every_transport_whoever_stands_behind_the_server() {
    let mock = Mock::start().await.unwrap();
    let place = Place::over(&mock.url()).await;
    let mut wrong = Vec::new();
    for transport in TRANSPORTS.iter().copied() {
        for vendor in VENDORS {
            let provider = place.remote(transport);
            let name = format!("{vendor:?} over {}", transport.0);
            if !conforms(&name, (&mock, provider), Model::Behind(vendor), lacks(vendor)).await {
                wrong.push(name);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_whose_first_targets_fail_conforms() {
    let mock = Mock::start().await.unwrap();
    let place = Place::over(&mock.url()).await;
    let provider = place.remote(TRANSPORTS[0]);
    let skipped = ["prompt tokens are counted as they are used", "one vector comes for each text"];
    assert!(conforms("router", (&mock, provider), Model::Alias, &skipped).await);
}
