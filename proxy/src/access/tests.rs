//! Which permission is missing, and that a permit holds only what is permitted.

use super::{Caller, Feature, Permissions, Role, Target, authorize};
use std::sync::Arc;

fn target(name: &str) -> Target {
    let (provider, model) = name.split_once('/').unwrap();
    Target { provider: provider.into(), model: model.into() }
}

fn caller(key: &str, user: &str) -> Arc<Caller> {
    let parse = |json: &str| serde_json::from_str::<Permissions>(json).unwrap();
    Arc::new(Caller::for_tests(Role::Member, [parse(user), parse(key)]))
}

#[test]
fn the_missing_permission_is_named() {
    let narrow = caller(r#"{"models":["local/*"],"features":["chat"]}"#, "{}");
    for (name, features, expected) in [
        ("openai/gpt-4o", [Feature::Chat], "model:openai/gpt-4o"),
        ("local/tiny", [Feature::Stream], "feature:stream"),
        ("local/tiny", [Feature::Embeddings], "feature:embeddings"),
    ] {
        let denied = authorize(&narrow, vec![target(name)], &features).unwrap_err();
        assert_eq!(denied.permission, expected);
    }
    let one_provider = caller(r#"{"providers":["local"]}"#, "{}");
    let denied = authorize(&one_provider, vec![target("openai/x")], &[]).unwrap_err();
    assert_eq!(denied.permission, "provider:openai");
}

#[test]
fn a_key_cannot_widen_what_its_user_may() {
    let widened = caller(r#"{"models":["*"]}"#, r#"{"models":["local/*"]}"#);
    assert!(authorize(&widened, vec![target("openai/x")], &[]).is_err());
    assert!(authorize(&widened, vec![target("local/x")], &[]).is_ok());
}

#[test]
fn targets_that_are_not_permitted_are_left_out() {
    let local_only = caller(r#"{"models":["local/*"]}"#, "{}");
    let permit =
        authorize(&local_only, vec![target("openai/x"), target("local/y")], &[Feature::Chat])
            .unwrap();
    assert_eq!(permit.targets(), [target("local/y")]);
}

#[test]
fn an_administrators_key_cannot_call_models() {
    let admin = Arc::new(Caller::for_tests(Role::Admin, [Permissions::default()]));
    let denied = authorize(&admin, vec![target("local/x")], &[Feature::Chat]).unwrap_err();
    assert_eq!(denied.permission, "role:member");
    assert!(denied.to_string().contains("administrators' keys cannot call models"), "{denied}");
}
