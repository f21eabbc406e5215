//! Which upstream a name means, and what is known about it.

use super::*;
use crate::access::Target;
use std::path::Path;
use tollgate_types::{BoxFuture, Error, EventStream, GenerateRequest, Result};

/// An upstream that lists these models and answers nothing.
struct Lister(Vec<ModelInfo>);

impl Provider for Lister {
    fn name(&self) -> &str {
        "lister"
    }

    fn stream(&self, _: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(async { Err(Error::unsupported("answers")) })
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

async fn catalog(text: &str, listed: &[&str]) -> Catalog {
    let config = Config::parse(Path::new("t.toml"), text, &Environment::default()).unwrap();
    let infos = listed.iter().map(|id| ModelInfo { id: (*id).into(), ..ModelInfo::default() });
    let infos: Vec<_> = infos.collect();
    let lister = |_: &ProviderEntry| Arc::new(Lister(infos.clone())) as Arc<dyn Provider>;
    let providers = config.providers.iter().map(lister).collect();
    Catalog::of(&config, providers).await
}

/// Three providers that take every name, two of them at their vendors' own addresses.
const OPEN: &str = "[[providers]]\nname = \"host\"\nkind = \"openai\"\n\
    base_url = \"https://host.example/v1\"\n\
    [[providers]]\nname = \"anthropic\"\nkind = \"anthropic\"\n\
    [[providers]]\nname = \"openai\"\nkind = \"openai\"\n";

fn target(catalog: &Catalog, name: &str) -> String {
    match catalog.plan(name) {
        Ok(plan) => plan.targets().iter().map(Target::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_bare_id_means_the_provider_at_its_vendors_own_address() {
    let catalog = catalog(OPEN, &[]).await;
    for (name, expected) in [
        ("claude-haiku-5-5", "anthropic/claude-haiku-5-5"),
        ("claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5-20251001"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
        ("host/anything", "host/anything"),
        ("openai/not-known-yet", "openai/not-known-yet"),
    ] {
        assert_eq!(target(&catalog, name), expected);
    }
    let error = target(&catalog, "nobody-knows-this");
    assert!(error.contains("several providers"), "{error}");
    // Google's, and no Google is configured: nobody is the obvious one.
    let error = target(&catalog, "gemini-2.5-pro");
    assert!(error.contains("several providers"), "{error}");
}

#[tokio::test]
async fn two_providers_of_one_vendor_are_still_ambiguous() {
    let text = "[[providers]]\nname = \"a\"\nkind = \"openai\"\n\
        [[providers]]\nname = \"b\"\nkind = \"openai\"\n";
    let error = target(&catalog(text, &[]).await, "gpt-4o");
    assert!(error.contains("a/gpt-4o, b/gpt-4o"), "{error}");
}

#[tokio::test]
async fn a_provider_that_names_the_model_is_meant_before_its_vendor() {
    let text = OPEN.replacen(
        "base_url = \"https://host.example/v1\"\n",
        "base_url = \"https://host.example/v1\"\nmodels = [\"gpt-4o\"]\n",
        1,
    );
    assert_eq!(target(&catalog(&text, &[]).await, "gpt-4o"), "host/gpt-4o");
}

#[tokio::test]
async fn a_models_entry_gives_names_and_limits() {
    let text = format!(
        "{OPEN}[[models]]\nname = \"host/prod\"\naliases = [\"ours\", \"best\"]\n\
         like = \"openai/gpt-4o\"\nmax_output_tokens = 100\n\
         [[models]]\nname = \"fast\"\ntargets = [\"host/prod\", \"openai/gpt-4o-mini\"]\n"
    );
    let catalog = catalog(&text, &["prod", "gpt-4o"]).await;
    assert_eq!(target(&catalog, "ours"), "host/prod");
    assert_eq!(target(&catalog, "fast"), "host/prod openai/gpt-4o-mini");
    let plan = catalog.plan("best").unwrap();
    let candidate = &plan.candidates[0];
    assert_eq!((candidate.context_window, candidate.max_output), (Some(128_000), Some(100)));
    let unknown = &catalog.plan("host/gpt-4o").unwrap().candidates[0];
    assert_eq!((unknown.context_window, unknown.max_output), (None, None));
    let listed = catalog.list().await;
    let info = |id: &str| listed.iter().find(|listed| listed.info.id == id).unwrap().info.clone();
    assert_eq!(info("host/prod").aliases, ["ours", "best", "fast"]);
    assert_eq!(info("host/prod").max_output_tokens, Some(100));
    assert_eq!(info("openai/gpt-4o").max_output_tokens, Some(16_384));
    assert!(info("host/gpt-4o").capabilities.is_empty());
}

#[tokio::test]
async fn no_name_forges_a_line_of_the_log() {
    let catalog = catalog(OPEN, &[]).await;
    for name in ["host/a\nb", "host/a\r\nx: y", "host/\u{1b}[31m", "a\0", &"x".repeat(5000)] {
        let error = catalog.plan(name).err().map(|error| error.to_string()).unwrap();
        assert!(!error.contains(char::is_control) && error.len() < 500, "{error}");
    }
    catalog.plan("host/a model: 1").unwrap();
}
