//! The data is right, names find what they should, and the operator has the last word.

use super::*;
use crate::config::Environment;
use std::{collections::BTreeSet, path::Path};

fn config(text: &str) -> Config {
    Config::parse(Path::new("t.toml"), text, &Environment::default()).unwrap()
}

fn book() -> &'static Book {
    Book::built_in()
}

#[test]
fn the_data_can_be_read_and_holds_every_vendor() {
    let read = Book::read(include_str!("../../data/models.toml")).unwrap();
    assert_eq!(read.models().len(), book().models().len());
    for vendor in Vendor::ALL {
        let models = read.models().iter().filter(|model| model.vendor == vendor);
        assert!(models.count() > 0, "{vendor} has no models");
    }
}

#[test]
fn no_name_stands_for_two_models_of_a_vendor() {
    let mut names = BTreeSet::new();
    for model in book().models() {
        for name in model.names() {
            assert!(names.insert((model.vendor, name)), "{}/{name} is there twice", model.vendor);
        }
    }
}

#[test]
fn every_price_can_be_read_and_says_when_and_where_it_was_seen() {
    for model in book().models() {
        let name = model.name();
        let Some(price) = &model.price else { continue };
        assert_eq!(price.check(), Ok(()), "{name}");
        assert_eq!(price.model, name);
        let day = price.as_of.as_ref().unwrap_or_else(|| panic!("{name} has no day"));
        assert!(day.parse::<jiff::civil::Date>().is_ok(), "{name}: {day}");
        let source = price.source.as_ref().unwrap_or_else(|| panic!("{name} has no source"));
        let url: http::Uri = source.parse().unwrap();
        assert_eq!(url.scheme_str(), Some("https"), "{name}: {source}");
        assert!(url.host().is_some_and(|host| host.contains('.')), "{name}: {source}");
    }
}

#[test]
fn every_fee_says_when_and_where_it_was_seen_and_is_somebodys() {
    for fees in book().fees() {
        let (vendor, models) = (fees.vendor, &fees.models);
        assert!(fees.as_of.parse::<jiff::civil::Date>().is_ok(), "{vendor} {models:?}");
        assert!(fees.source.starts_with("https://"), "{vendor} {models:?}");
        let of_vendor = book().models().iter().filter(|model| model.vendor == vendor);
        let priced = of_vendor.filter_map(|model| model.price.as_ref());
        let used = priced.filter(|price| price.tools == fees.tools).count();
        assert!(used > 0, "nobody pays the fees of {vendor} {models:?}");
    }
    let fee = |vendor, name: &str, fee: &str| {
        let price = book().find(vendor, name).unwrap().price.as_ref().unwrap();
        price.tools.get(fee).cloned()
    };
    assert_eq!(fee(Vendor::Openai, "gpt-4o", "web_search_preview").as_deref(), Some("25"));
    assert_eq!(fee(Vendor::Openai, "o3", "web_search_preview").as_deref(), Some("10"));
    assert_eq!(fee(Vendor::Google, "gemini-2.5-pro", "google_search"), None);
    assert_eq!(fee(Vendor::Google, "gemini-2.5-pro", "grounded_prompt").as_deref(), Some("35"));
    assert_eq!(fee(Vendor::Google, "gemini-3.5-flash", "google_search").as_deref(), Some("14"));
    assert_eq!(fee(Vendor::Anthropic, "claude-haiku-4-5", "web_search").as_deref(), Some("10"));
}

#[test]
fn no_figure_is_absurd() {
    let nano = |text: &str| text.parse::<tollgate_types::NanoUsd>().unwrap().0;
    for model in book().models() {
        let name = model.name();
        assert!(!model.capabilities.is_empty(), "{name} can do nothing");
        let distinct: BTreeSet<_> = model.capabilities.iter().collect();
        assert_eq!(distinct.len(), model.capabilities.len(), "{name} can do something twice");
        let (window, output) = (model.context_window, model.max_output_tokens);
        assert_ne!(window, Some(0), "{name}");
        assert_ne!(output, Some(0), "{name}");
        assert!(output.is_none() || window.is_none() || output <= window, "{name}");
        let Some(price) = &model.price else { continue };
        // 1000 dollars per million tokens is beyond every vendor; a slipped point would show.
        assert!((1..=1_000_000_000_000).contains(&nano(&price.input)), "{name}");
        let answers = model.capabilities.contains(&Capability::Chat);
        assert_eq!(nano(&price.output) > 0, answers, "{name}");
        let cached = price.cache_read.as_deref().map(nano);
        assert!(cached.is_none_or(|cached| cached < nano(&price.input)), "{name}");
        if let Some(long) = &price.long_context {
            assert!(nano(&long.input) > nano(&price.input), "{name}");
            assert!(nano(&long.output) > nano(&price.output), "{name}");
            assert_eq!(long.cache_read.is_some(), price.cache_read.is_some(), "{name}");
            assert_eq!(long.cache_write_1h.is_some(), price.cache_write_1h.is_some(), "{name}");
        }
    }
}

#[test]
fn a_snapshot_is_its_model_and_no_other_ending_is_guessed() {
    for (vendor, name, id) in [
        (Vendor::Openai, "gpt-4o", Some("gpt-4o")),
        (Vendor::Openai, "gpt-4o-2024-08-06", Some("gpt-4o")),
        // Its own entry comes before the rule: it has another price.
        (Vendor::Openai, "gpt-4o-2024-05-13", Some("gpt-4o-2024-05-13")),
        (Vendor::Openai, "gpt-4o-mini-2024-07-18", Some("gpt-4o-mini")),
        (Vendor::Openai, "gpt-4-turbo-2024-04-09", Some("gpt-4-turbo")),
        (Vendor::Openai, "gpt-4o-realtime-preview", None),
        (Vendor::Openai, "gpt-3.5-turbo-0613", None),
        (Vendor::Openai, "ft:gpt-4o-2024-08-06:me", None),
        (Vendor::Openai, "claude-opus-5", None),
        (Vendor::Anthropic, "claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
        (Vendor::Anthropic, "claude-opus-9", None),
        (Vendor::Google, "models/gemini-2.5-flash", Some("gemini-2.5-flash")),
        (Vendor::Google, "gemini-2.5-flash-image", None),
        (Vendor::Mistral, "codestral-latest", Some("codestral-2508")),
        (Vendor::Groq, "openai/gpt-oss-20b", Some("openai/gpt-oss-20b")),
        (Vendor::Openai, "", None),
    ] {
        let found = book().find(vendor, name).map(|model| model.id.as_str());
        assert_eq!(found, id, "{vendor} {name}");
    }
    assert_eq!(book().named("openai/gpt-4o-2024-11-20").unwrap().id, "gpt-4o");
    assert!(book().named("gpt-4o").is_none() && book().named("acme/gpt-4o").is_none());
}

#[test]
fn a_provider_is_its_vendors_only_at_the_vendors_own_address() {
    for (kind, url, vendor) in [
        ("openai", None, Some(Vendor::Openai)),
        ("anthropic", None, Some(Vendor::Anthropic)),
        ("google", None, Some(Vendor::Google)),
        ("ollama", None, None),
        ("openai", Some("https://api.openai.com/v1"), Some(Vendor::Openai)),
        ("openai", Some("https://API.Groq.com/openai/v1"), Some(Vendor::Groq)),
        ("openai", Some("https://api.x.ai/v1"), Some(Vendor::Xai)),
        ("openai", Some("https://api.deepseek.com"), Some(Vendor::Deepseek)),
        ("openai", Some("https://api.openai.com.evil.example/v1"), None),
        ("openai", Some("https://api.openai.com@evil.example/v1"), None),
        ("openai", Some("http://api.openai.com/v1"), None),
        ("openai", Some("https://eu.api.openai.com/v1"), None),
        ("openai", Some("http://127.0.0.1:9/v1"), None),
        ("anthropic", Some("https://proxy.example"), None),
    ] {
        let url_line = url.map(|url| format!("base_url = \"{url}\"\n")).unwrap_or_default();
        let text = format!("[[providers]]\nname = \"p\"\nkind = \"{kind}\"\n{url_line}");
        assert_eq!(Registry::of(&config(&text)).vendor("p"), vendor, "{kind} {url:?}");
    }
}

const PROVIDERS: &str = "[[providers]]\nname = \"openai\"\nkind = \"openai\"\n\
    [[providers]]\nname = \"host\"\nkind = \"openai\"\nbase_url = \"https://host.example/v1\"\n";

#[test]
fn a_compatible_host_gets_no_list_price_unless_the_operator_says_which() {
    let plain = Registry::of(&config(PROVIDERS));
    assert_eq!(plain.list_price("openai", "gpt-4o").unwrap().input, "2.5");
    assert!(plain.list_price("host", "gpt-4o").is_none());
    assert!(plain.list_price("nobody", "gpt-4o").is_none());
    let told = format!("{PROVIDERS}[[models]]\nname = \"host/prod\"\nlike = \"openai/gpt-4o\"\n");
    let told = Registry::of(&config(&told));
    assert_eq!(told.check(), Ok(()));
    assert_eq!(told.list_price("host", "prod").unwrap().model, "openai/gpt-4o");
    assert!(told.list_price("host", "gpt-4o").is_none());
}

#[test]
fn a_model_that_nobody_knows_cannot_be_like_one() {
    let text = format!("{PROVIDERS}[[models]]\nname = \"host/m\"\nlike = \"openai/gtp-4o\"\n");
    let error = Registry::of(&config(&text)).check().unwrap_err().to_string();
    for part in ["host/m", "openai/gtp-4o", "did you mean \"openai/gpt-4o\"?"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    let text = format!("{PROVIDERS}[[models]]\nname = \"host/m\"\nlike = \"xyzzy\"\n");
    let error = Registry::of(&config(&text)).check().unwrap_err().to_string();
    assert!(!error.contains("did you mean"), "{error}");
}

#[test]
fn the_operator_comes_first_then_the_provider_then_the_book() {
    let text = format!(
        "{PROVIDERS}[[models]]\nname = \"openai/gpt-4o\"\nmax_output_tokens = 99\n\
         capabilities = [\"chat\"]\n"
    );
    let registry = Registry::of(&config(&text));
    let told =
        ModelInfo { context_window: Some(7), max_output_tokens: Some(8), ..ModelInfo::default() };
    let info = registry.complete("openai", "gpt-4o", told.clone());
    assert_eq!((info.context_window, info.max_output_tokens), (Some(7), Some(99)));
    assert_eq!(info.capabilities, [Capability::Chat]);
    assert_eq!(info.features, [Feature::Chat]);
    let info = registry.complete("openai", "gpt-4o", ModelInfo::default());
    assert_eq!((info.context_window, info.max_output_tokens), (Some(128_000), Some(99)));
    let info = registry.complete("openai", "gpt-4o-mini", ModelInfo::default());
    assert_eq!(info.max_output_tokens, Some(16_384));
    assert!(info.capabilities.contains(&Capability::Vision));
    assert_eq!(info.features, [Feature::Chat, Feature::Stream, Feature::Tools]);
    assert_eq!(registry.complete("host", "gpt-4o", told.clone()), told);
}
