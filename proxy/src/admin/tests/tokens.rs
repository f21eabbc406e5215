//! The keys of tokens: ended on record, and once.

use super::{Desk, NOW, once, somebody};
use crate::{
    admin::{Mandate, TokensAbout},
    store::{
        TokenKeyRow,
        testing::{Kind, on_both_engines},
    },
};

on_both_engines!(an_end_of_keys_is_on_record_and_happens_once);

async fn add(desk: &Desk, kid: &str) {
    let row = TokenKeyRow {
        kid: kid.into(),
        algorithm: "EdDSA".into(),
        public_key: "public".into(),
        created_ms: NOW,
        signs_until_ms: NOW + 1_000,
        ends_ms: NOW + 1_500,
    };
    desk.store.insert_token_key(&row, 0).await.unwrap();
}

async fn an_end_of_keys_is_on_record_and_happens_once(kind: Kind) {
    let desk = Desk::on(kind).await;
    let before = desk.rows_of_trail().await;
    add(&desk, "one").await;
    add(&desk, "two").await;
    let rotate =
        async |mandate: Mandate| desk.office.rotate_tokens(&mandate, TokensAbout::Keep).await;
    assert_eq!(rotate(somebody()).await.unwrap().keys, 2);
    let keys = desk.store.token_keys().await.unwrap();
    assert!(
        keys.iter().all(|key| (key.signs_until_ms, key.ends_ms) == (NOW, NOW + 500)),
        "{keys:?}"
    );
    assert_eq!(rotate(somebody()).await.unwrap().keys, 0, "they sign no more");
    let mandate = once("again");
    for _ in 0..2 {
        let ended = desk.office.rotate_tokens(&mandate, TokensAbout::End).await.unwrap();
        assert_eq!(ended.keys, 2);
        add(&desk, "one").await;
        desk.store.tamper("delete from token_keys where kid = 'one'").await;
    }
    assert!(desk.store.token_keys().await.unwrap().is_empty());
    assert_eq!(desk.rows_of_trail().await, before + 3);
}
