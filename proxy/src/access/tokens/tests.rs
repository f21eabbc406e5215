//! A token works as long as everything behind it does, wherever it is sent, and nothing else works
//! in its place.

use crate::{
    access::{
        Access, AuthError, Caller, IssuedKey, KeyOrder, Permissions, Role, draw_secret, issue_key,
    },
    clock::{Clock, ManualClock},
    config::{TokenAlgorithm, TokenSettings},
    store::{
        KeyRow, Store, UserRow,
        testing::{Home, Kind, on_both_engines, open_again, store_on},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tollgate_types::Feature;

on_both_engines!(
    a_token_is_its_key_for_a_while,
    a_token_ends_with_its_key_its_secret_and_its_user,
    clocks_may_differ_by_two_minutes_and_no_more,
    a_rotation_overlaps_and_an_end_ends,
    keys_rotate_by_themselves,
    two_servers_take_each_others_tokens_also_after_a_restart,
    what_is_no_token_of_ours_is_refused,
    a_server_of_another_kind_takes_no_token_of_ours,
    a_secret_that_is_shared_signs_too,
    nothing_in_the_database_can_sign,
);

const NOW: i64 = 1_795_000_000_000;
const MINUTE: i64 = 60_000;

struct Place {
    home: Home,
    store: Store,
    clock: Arc<ManualClock>,
    access: Access,
    user: UserRow,
}

fn order() -> KeyOrder {
    KeyOrder {
        name: "k".into(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: Vec::new(),
    }
}

impl Place {
    async fn on(kind: Kind) -> Self {
        Self::with(kind, TokenSettings::default()).await
    }

    async fn with(kind: Kind, settings: TokenSettings) -> Self {
        let (home, store) = store_on(kind).await;
        let user = UserRow {
            id: "user".into(),
            name: "alice".into(),
            role: "member".into(),
            time_zone: "UTC".into(),
            permissions: "{}".into(),
            ..UserRow::default()
        };
        store.insert_user(&user, &[]).await.unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let access = Access::with_tokens(store.clone(), clock.clone(), settings).unwrap();
        Self { home, store, clock, access, user }
    }

    async fn key(&self, order: KeyOrder) -> IssuedKey {
        issue_key(&self.store, &*self.clock, &self.user, order).await.unwrap()
    }

    /// Somebody else's server over the same books, with a clock of its own.
    async fn other(&self, ahead_ms: i64, settings: TokenSettings) -> Access {
        let clock = Arc::new(ManualClock::at(self.clock.now_ms() + ahead_ms));
        Access::with_tokens(open_again(&self.home).await, clock, settings).unwrap()
    }

    /// Changes a key behind the servers' backs, as an operator does.
    async fn change(&self, key: &IssuedKey, change: impl FnOnce(&mut KeyRow)) {
        let mut work = self.store.change().await.unwrap();
        let mut row = work.key(&key.id).await.unwrap().unwrap();
        change(&mut row);
        work.update_key(&row).await.unwrap();
        work.commit().await.unwrap();
    }

    /// Ends the keys that sign; returns how many there were.
    async fn rotate(&self, tokens_about: &str) -> u64 {
        let mut work = self.store.change().await.unwrap();
        let keys = match tokens_about {
            "work" => work.retire_token_keys(self.clock.now_ms()).await.unwrap(),
            _ => work.end_token_keys().await.unwrap(),
        };
        work.commit().await.unwrap();
        keys
    }

    async fn token(&self, key: &IssuedKey) -> String {
        token_of(&self.access, key, None).await
    }
}

async fn token_of(access: &Access, key: &IssuedKey, ttl: Option<u32>) -> String {
    let caller = access.authenticate(Some(key.key.expose())).await.unwrap();
    access.issue_token(&caller, ttl).await.unwrap().token
}

async fn caller(access: &Access, credential: &str) -> Arc<Caller> {
    access.authenticate(Some(credential)).await.unwrap()
}

/// The code of a refusal, in short.
async fn refusal(access: &Access, credential: &str) -> &'static str {
    match access.authenticate(Some(credential)).await {
        Ok(_) => "accepted",
        Err(AuthError::TokenExpired) => "expired",
        Err(AuthError::TokenInvalid(_)) => "invalid",
        Err(AuthError::Invalid) => "invalid key",
        Err(AuthError::Revoked) => "revoked",
        Err(AuthError::Expired) => "key expired",
        Err(AuthError::UserDeleted) => "deleted",
        Err(other) => panic!("{other}"),
    }
}

/// Waits for what has to happen within a second.
async fn refused_soon(access: &Access, credential: &str, why: &str) {
    let refused = async {
        while access.authenticate(Some(credential)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), refused).await.expect(why);
    assert_eq!(refusal(access, credential).await, why);
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

async fn a_token_is_its_key_for_a_while(kind: Kind) {
    let place = Place::on(kind).await;
    let permissions = Permissions { features: Some(vec![Feature::Chat]), ..Permissions::default() };
    let key = place.key(KeyOrder { permissions, ..order() }).await;
    let with_key = caller(&place.access, key.key.expose()).await;
    let grant = place.access.issue_token(&with_key, None).await.unwrap();
    assert_eq!((grant.expires_in, grant.expires_at), (900, NOW / 1000 + 900));
    let (header, claims) = (part(&grant.token, 0), part(&grant.token, 1));
    assert_eq!(header["alg"], "EdDSA");
    assert!(header["kid"].is_string());
    let seconds = json!(NOW / 1000);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("tollgate"), &json!("user")));
    assert_eq!((&claims["iat"], &claims["nbf"]), (&seconds, &seconds));
    assert_eq!((&claims["key_id"], &claims["exp"]), (&json!(key.id), &json!(NOW / 1000 + 900)));
    assert_eq!(claims["jti"].as_str().unwrap().len(), 26);
    for _ in 0..3 {
        let with_token = caller(&place.access, &grant.token).await;
        assert_eq!(with_token.key_id(), with_key.key_id());
        assert_eq!(with_token.token_ends_ms(), Some(NOW + 900_000));
        assert!(with_token.allows_feature(Feature::Chat));
        assert!(!with_token.allows_feature(Feature::Embeddings));
        let refused = place.access.issue_token(&with_token, None).await.unwrap_err();
        assert!(refused.to_string().contains("send the API key"), "{refused}");
    }
    for ttl in [0, 901] {
        let refused = place.access.issue_token(&with_key, Some(ttl)).await.unwrap_err();
        assert!(refused.to_string().contains("from 1 to 900"), "{refused}");
    }
    assert_eq!(place.access.issue_token(&with_key, Some(5)).await.unwrap().expires_in, 5);
    let brief = place.key(KeyOrder { expires_ms: Some(NOW + 30_000), ..order() }).await;
    let with_brief = caller(&place.access, brief.key.expose()).await;
    assert_eq!(place.access.issue_token(&with_brief, None).await.unwrap().expires_in, 30);
}

async fn a_token_ends_with_its_key_its_secret_and_its_user(kind: Kind) {
    let place = Place::on(kind).await;
    let key = place.key(order()).await;
    let token = place.token(&key).await;
    assert_eq!(refusal(&place.access, &token).await, "accepted");
    place.change(&key, |row| row.permissions = json!({"features": ["chat"]}).to_string()).await;
    let narrowed = async {
        while caller(&place.access, &token).await.allows_feature(Feature::Embeddings) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), narrowed).await.unwrap();
    // A new secret: the token of the old one stops, that of the new one works.
    let (text, hash) = draw_secret(&key.id).await.unwrap();
    place
        .change(&key, |row| {
            row.old_hash = Some(std::mem::replace(&mut row.secret_hash, hash));
            row.old_until_ms = Some(NOW + MINUTE);
        })
        .await;
    let newer = IssuedKey { id: key.id.clone(), key: text };
    let newer = token_of(&place.other(0, TokenSettings::default()).await, &newer, None).await;
    assert_eq!(refusal(&place.access, &token).await, "accepted", "the overlap is not over");
    place.clock.advance(Duration::from_secs(61));
    refused_soon(&place.access, &token, "expired").await;
    assert_eq!(refusal(&place.access, &newer).await, "accepted");
    assert!(place.store.revoke_key(&key.id, place.clock.now_ms()).await.unwrap());
    refused_soon(&place.access, &newer, "revoked").await;

    let ending = place.key(KeyOrder { expires_ms: Some(NOW + 90_000), ..order() }).await;
    let token = place.token(&ending).await;
    assert_eq!(refusal(&place.access, &token).await, "accepted");
    place.clock.advance(Duration::from_secs(60));
    assert_eq!(refusal(&place.access, &token).await, "key expired");
    let token = place.token(&place.key(order()).await).await;
    assert_eq!(refusal(&place.access, &token).await, "accepted");
    assert!(place.store.delete_user("alice", place.clock.now_ms()).await.unwrap());
    refused_soon(&place.access, &token, "deleted").await;
}

async fn clocks_may_differ_by_two_minutes_and_no_more(kind: Kind) {
    let place = Place::on(kind).await;
    let token = place.token(&place.key(order()).await).await;
    for (ahead_ms, expected) in [
        (0, "accepted"),
        (-2 * MINUTE, "accepted"),
        (-2 * MINUTE - 1_000, "invalid"),
        (-15 * MINUTE, "invalid"),
        (15 * MINUTE + 119_000, "accepted"),
        (17 * MINUTE, "expired"),
        (24 * 60 * MINUTE, "expired"),
    ] {
        let other = place.other(ahead_ms, TokenSettings::default()).await;
        assert_eq!(refusal(&other, &token).await, expected, "{ahead_ms}");
        // Again, now that it may be remembered.
        assert_eq!(refusal(&other, &token).await, expected, "{ahead_ms}");
    }
    assert_eq!(refusal(&place.access, &token).await, "accepted");
    place.clock.advance(Duration::from_secs(900 + 119));
    assert_eq!(refusal(&place.access, &token).await, "accepted", "what is remembered ends too");
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(refusal(&place.access, &token).await, "expired");
}

async fn a_rotation_overlaps_and_an_end_ends(kind: Kind) {
    let place = Place::on(kind).await;
    let key = place.key(order()).await;
    let other = place.other(0, TokenSettings::default()).await;
    let tokens = [place.token(&key).await, token_of(&other, &key, None).await];
    assert_ne!(part(&tokens[0], 0)["kid"], part(&tokens[1], 0)["kid"]);
    assert_eq!(place.rotate("work").await, 2);
    place.clock.advance(Duration::from_secs(1));
    let again = async {
        loop {
            let token = place.token(&key).await;
            if part(&token, 0)["kid"] != part(&tokens[0], 0)["kid"] {
                return token;
            }
        }
    };
    let newer = tokio::time::timeout(Duration::from_secs(1), again).await.expect("a new key signs");
    for token in tokens.iter().chain([&newer]) {
        assert_eq!(refusal(&place.access, token).await, "accepted");
        assert_eq!(refusal(&other, token).await, "accepted");
    }
    assert_eq!(place.rotate("end").await, 3);
    for token in tokens.iter().chain([&newer]) {
        refused_soon(&place.access, token, "expired").await;
        refused_soon(&other, token, "expired").await;
    }
    assert_eq!(refusal(&place.access, &place.token(&key).await).await, "accepted");
}

async fn keys_rotate_by_themselves(kind: Kind) {
    let settings = TokenSettings { rotate_days: 1, ..TokenSettings::default() };
    let place = Place::with(kind, settings).await;
    let key = place.key(order()).await;
    let first = place.token(&key).await;
    place.clock.advance(Duration::from_secs(24 * 3600 - 1));
    let last = place.token(&key).await;
    assert_eq!(part(&first, 0)["kid"], part(&last, 0)["kid"]);
    place.clock.advance(Duration::from_secs(2));
    let next = place.token(&key).await;
    assert_ne!(part(&next, 0)["kid"], part(&last, 0)["kid"]);
    assert_eq!(refusal(&place.access, &last).await, "accepted", "the last one before is good");
    place.clock.advance(Duration::from_secs(3 * 24 * 3600));
    place.token(&key).await;
    assert_eq!(place.store.number("select count(*) from token_keys").await, 1, "old ones go");
}

async fn two_servers_take_each_others_tokens_also_after_a_restart(kind: Kind) {
    let place = Place::on(kind).await;
    let key = place.key(order()).await;
    let other = place.other(0, TokenSettings::default()).await;
    assert_eq!(refusal(&other, &place.token(&key).await).await, "accepted");
    // It knows one key of the other now, and is asked for one that it has not heard of.
    let third = place.other(0, TokenSettings::default()).await;
    let token = token_of(&third, &key, None).await;
    drop(third);
    assert_eq!(refusal(&other, &token).await, "accepted");
    assert_eq!(refusal(&place.access, &token).await, "accepted", "who signed it is gone");
    let elsewhere = Place::on(kind).await;
    assert_eq!(refusal(&elsewhere.access, &token).await, "expired", "another database");
}

async fn what_is_no_token_of_ours_is_refused(kind: Kind) {
    let place = Place::on(kind).await;
    let key = place.key(order()).await;
    let token = place.token(&key).await;
    let (header, claims) = (part(&token, 0), part(&token, 1));
    let signature = token.rsplit('.').next().unwrap();
    let with = |header: &Value, claims: &Value, signature: &str| {
        format!("{}.{}.{signature}", text(header), text(claims))
    };
    let changed = |of: &Value, field: &str, value: Value| {
        let mut of = of.clone();
        of[field] = value;
        of
    };
    let kid = header["kid"].as_str().unwrap();
    let public = place.store.token_keys().await.unwrap().remove(0).public_key;
    let confused = changed(&header, "alg", json!("HS256"));
    let signed = |secret: &[u8]| {
        let message = format!("{}.{}", text(&confused), text(&claims));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let tag = ring::hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let raw = URL_SAFE_NO_PAD.decode(&public).unwrap();
    for (case, wrong) in [
        ("more time", with(&header, &changed(&claims, "exp", json!(NOW)), signature)),
        ("another user", with(&header, &changed(&claims, "sub", json!("root")), signature)),
        ("another key", with(&header, &changed(&claims, "key_id", json!("x")), signature)),
        ("another issuer", with(&header, &changed(&claims, "iss", json!("x")), signature)),
        ("not signed", with(&changed(&header, "alg", json!("none")), &claims, "")),
        ("NONE", with(&changed(&header, "alg", json!("NONE")), &claims, "")),
        ("no signature", with(&header, &claims, "")),
        ("half a signature", with(&header, &claims, &signature[..40])),
        ("another algorithm", with(&confused, &claims, signature)),
        ("RS256", with(&changed(&header, "alg", json!("RS256")), &claims, signature)),
        ("the public key as a secret", signed(&raw)),
        ("the same as text", signed(public.as_bytes())),
        ("no kid", with(&json!({"alg": "EdDSA"}), &claims, signature)),
        ("a number as kid", with(&changed(&header, "kid", json!(1)), &claims, signature)),
        ("a long kid", with(&changed(&header, "kid", json!("k".repeat(65))), &claims, signature)),
        ("a key of its own", with(&changed(&header, "jwk", json!({"kty": "OKP"})), &claims, "")),
        ("no claims", with(&header, &json!({}), signature)),
        ("claims of another shape", with(&header, &json!([1]), signature)),
        ("no JSON", format!("{}.e30.{signature}", URL_SAFE_NO_PAD.encode("{"))),
        ("no base64", format!("***.***.{signature}")),
        ("nothing", "..".to_owned()),
        ("too long", format!("{token}{}", "A".repeat(9_000))),
        ("not ASCII", format!("ä.{kid}.ö")),
    ] {
        assert_eq!(refusal(&place.access, &wrong).await, "invalid", "{case}");
        assert_eq!(refusal(&place.access, &wrong).await, "invalid", "{case}, again");
    }
    // A new one can help: it was signed by a key that is not here any more.
    let unknown = with(&changed(&header, "kid", json!("unknown")), &claims, signature);
    assert_eq!(refusal(&place.access, &unknown).await, "expired");
    assert_eq!(refusal(&place.access, &token).await, "accepted", "the good one is still good");
}

async fn a_server_of_another_kind_takes_no_token_of_ours(kind: Kind) {
    let place = Place::on(kind).await;
    let key = place.key(order()).await;
    let token = place.token(&key).await;
    for no_token in ["a.b", "a.b.c.d", &token.replace('.', "")] {
        assert_eq!(refusal(&place.access, no_token).await, "invalid key");
    }
    let elsewhere = TokenSettings { issuer: "elsewhere".into(), ..TokenSettings::default() };
    let elsewhere = place.other(0, elsewhere).await;
    assert_eq!(refusal(&elsewhere, &token).await, "invalid", "another issuer");
    let off = TokenSettings { enabled: false, ..TokenSettings::default() };
    let off = place.other(0, off).await;
    assert_eq!(refusal(&off, &token).await, "invalid", "none are taken");
    let with_key = caller(&off, key.key.expose()).await;
    assert!(off.issue_token(&with_key, None).await.is_err());
    assert_eq!(refusal(&place.access, &token).await, "accepted", "the good one is still good");
}

async fn a_secret_that_is_shared_signs_too(kind: Kind) {
    let folder = tempfile::TempDir::new().unwrap();
    let with = |name: &str, secret: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, secret).unwrap();
        let (algorithm, secret_file) = (TokenAlgorithm::Hs256, Some(file));
        TokenSettings { algorithm, secret_file, ..TokenSettings::default() }
    };
    let right = with("right", &"s3cret".repeat(8));
    let place = Place::with(kind, right.clone()).await;
    let token = place.token(&place.key(order()).await).await;
    assert_eq!(part(&token, 0)["alg"], "HS256");
    assert_eq!(refusal(&place.access, &token).await, "accepted");
    assert_eq!(refusal(&place.other(0, right).await, &token).await, "accepted");
    let wrong = place.other(0, with("wrong", &"secr3t".repeat(8))).await;
    assert_eq!(refusal(&wrong, &token).await, "expired", "another secret verifies nothing");
    let without = place.other(0, TokenSettings::default()).await;
    assert_eq!(refusal(&without, &token).await, "expired", "no secret verifies nothing");
    // The other way round: a server that signs with a secret still takes the others' tokens.
    let token = token_of(&without, &place.key(order()).await, None).await;
    assert_eq!(refusal(&place.access, &token).await, "accepted");
    let (store, clock) = (place.store.clone(), place.clock.clone());
    for (settings, named) in [
        (with("short", "s3cret"), "shorter than 32"),
        (
            TokenSettings { secret_file: Some(folder.path().join("no")), ..with("a", "") },
            "cannot read",
        ),
    ] {
        let refused = Access::with_tokens(store.clone(), clock.clone(), settings).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(named) && !said.contains("s3cret"), "{said}");
    }
}

async fn nothing_in_the_database_can_sign(kind: Kind) {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("secret");
    let secret = "planted-s3cret-planted-s3cret-planted";
    std::fs::write(&file, secret).unwrap();
    let settings = TokenSettings {
        algorithm: TokenAlgorithm::Hs256,
        secret_file: Some(file),
        ..TokenSettings::default()
    };
    let place = Place::with(kind, settings.clone()).await;
    let key = place.key(order()).await;
    let token = place.token(&key).await;
    let public = place.other(0, TokenSettings::default()).await;
    token_of(&public, &key, None).await;
    for row in place.store.token_keys().await.unwrap() {
        // 32 bytes: a public key, or a check that is derived from the secret one way.
        assert_eq!(URL_SAFE_NO_PAD.decode(&row.public_key).unwrap().len(), 32, "{row:?}");
        let shown = format!("{row:?}");
        assert!(!shown.contains("s3cret") && !shown.contains(&token), "{shown}");
        // What is there, used as a secret, signs nothing that is taken.
        let message = token.rsplit_once('.').unwrap().0;
        for secret in [row.public_key.as_bytes(), &URL_SAFE_NO_PAD.decode(&row.public_key).unwrap()]
        {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
            let tag = ring::hmac::sign(&key, message.as_bytes());
            let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
            assert_eq!(refusal(&place.access, &forged).await, "invalid");
        }
    }
    assert!(!format!("{settings:?} {:?}", place.access).contains("planted"));
}
