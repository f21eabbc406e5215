//! Frames that no honest client sends.

use crate::{
    gate::Gate,
    wire::{Closed, Wire, drained, question, question_with, said},
};
use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{CloseCode, Data, OpCode},
    },
};

/// Sends bytes as they are, without any framing.
async fn raw(wire: &mut Wire, bytes: &[u8]) {
    wire.0.get_mut().write_all(bytes).await.unwrap();
}

fn code(closed: &Closed) -> Option<CloseCode> {
    closed.as_ref().map(|(code, _)| *code)
}

#[tokio::test]
async fn what_is_no_frame_of_the_protocol_closes_its_connection_and_harms_no_other() {
    let gate = Gate::start().await;
    let mut bystander = Wire::open(&gate).await;
    let texts =
        [("no json", CloseCode::Policy), ("[1]", CloseCode::Policy), ("{}", CloseCode::Policy)];
    for (text, expected) in texts {
        let mut wire = Wire::open(&gate).await;
        wire.send_text(text).await;
        let closed = wire.closed().await;
        assert_eq!(code(&closed), Some(expected), "{text}: {closed:?}");
        assert!(!closed.unwrap().1.is_empty(), "{text}: it is not said why");
    }
    let mut wire = Wire::open(&gate).await;
    wire.0.send(Message::binary(vec![0; 5])).await.unwrap();
    assert_eq!(code(&wire.closed().await), Some(CloseCode::Unsupported));
    let bytes: [(&str, &[u8], CloseCode); 4] = [
        ("an unmasked frame", &[0x81, 0x02, b'{', b'}'], CloseCode::Protocol),
        ("reserved bits", &[0xF1, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        ("the rest of nothing", &[0x80, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        ("no UTF-8", &[0x81, 0x82, 0, 0, 0, 0, 0xFF, 0xFE], CloseCode::Invalid),
    ];
    for (what, bytes, expected) in bytes {
        let mut wire = Wire::open(&gate).await;
        raw(&mut wire, bytes).await;
        assert_eq!(code(&wire.closed().await), Some(expected), "{what}");
    }
    bystander.works(1).await;
}

#[tokio::test]
async fn a_huge_frame_is_refused_by_its_length_alone_and_a_large_request_by_its_call() {
    let gate = Gate::with("[server]\nmax_body_bytes = 2048\n", &[]).await;
    let mut wire = Wire::open(&gate).await;
    let mut frame = question(1, "echo");
    frame["request"]["extras"] = json!({"openai": {"x": "y".repeat(3000)}});
    wire.send(&frame).await;
    assert_eq!(wire.refusal(1).await["kind"], "too_large");
    wire.works(2).await;
    // A gigabyte is announced: nobody waits for it.
    raw(&mut wire, &[0x81, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(code(&wire.closed().await), Some(CloseCode::Size));
    // And a message whose pieces add up to too much.
    let mut wire = Wire::open(&gate).await;
    let piece =
        |opcode| Message::Frame(Frame::message(vec![b' '; 60_000], OpCode::Data(opcode), false));
    wire.0.send(piece(Data::Text)).await.unwrap();
    wire.0.send(piece(Data::Continue)).await.unwrap();
    assert_eq!(code(&wire.closed().await), Some(CloseCode::Size));
}

#[tokio::test]
async fn a_frame_in_pieces_with_pings_between_them_is_one_frame() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    let text = question(1, "tokens=3").to_string().into_bytes();
    let last = text.len() - 1;
    for (at, byte) in text.into_iter().enumerate() {
        let opcode = OpCode::Data(if at == 0 { Data::Text } else { Data::Continue });
        let frame = Frame::message(vec![byte], opcode, at == last);
        wire.0.feed(Message::Frame(frame)).await.unwrap();
        if at % 50 == 1 {
            wire.0.feed(Message::Ping("are you there".into())).await.unwrap();
        }
    }
    wire.0.flush().await.unwrap();
    assert_eq!(said(&wire.whole(1).await), "w0 w1 w2");
}

#[tokio::test]
async fn a_flood_of_pings_is_cut_off() {
    let gate = Gate::start().await;
    let mut bystander = Wire::open(&gate).await;
    let mut wire = Wire::open(&gate).await;
    let ping = [0x89, 0x80, 0, 0, 0, 0].repeat(2000);
    raw(&mut wire, &ping).await;
    assert_eq!(code(&wire.closed().await), Some(CloseCode::Policy));
    bystander.works(1).await;
}

#[tokio::test]
async fn a_bad_frame_of_a_call_ends_that_call_and_no_other() {
    let gate = Gate::with("[websocket]\nmax_calls = 3\n", &[]).await;
    let mut wire = Wire::open(&gate).await;
    wire.send(&question(1, "tokens=100000,delay=20")).await;
    assert!(wire.frame().await["head"].is_object());
    let refused = |frame: serde_json::Value, param: &'static str| (frame, param);
    for (number, (mut frame, param)) in (2..).zip([
        refused(json!({"type": "fly"}), "type"),
        refused(json!({"type": "stream"}), "request"),
        refused(
            json!({"type": "stream", "request": {"model": "a", "messages": [{}]}}),
            "messages[0]",
        ),
        refused(json!({"type": "stream", "request": {"model": "a", "messages": []}}), "messages"),
        refused(question_with(0, "echo", json!({"credit": 1_u64 << 31})), "credit"),
        refused(question_with(0, "echo", json!({"speed": 1})), "speed"),
    ]) {
        frame["call"] = json!(number);
        wire.send(&frame).await;
        let error = loop {
            let told = wire.frame().await;
            if told["call"] == number {
                break told["error"].clone();
            }
            assert_eq!(told["call"], 1, "{told}");
        };
        assert_eq!((&error["kind"], &error["param"]), (&json!("invalid_request"), &json!(param)));
        assert_eq!(error["status"], 400);
    }
    // Call 1 runs on, until its own number is used a second time.
    wire.send(&question(1, "tokens=1")).await;
    let error = loop {
        let told = wire.frame().await;
        if !told["error"].is_null() {
            break told;
        }
    };
    assert_eq!((&error["call"], &error["error"]["param"]), (&json!(1), &json!("call")));
    wire.send(&question(1, "tokens=1")).await;
    assert_eq!(wire.refusal(1).await["param"], "call", "a number is used once");
    wire.works(100).await;
    assert!(gate.mock.saw_aborts(1, crate::gate::SOON).await);
}

#[tokio::test]
async fn credit_beyond_all_bounds_ends_its_call() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    let most = 1_u64 << 30;
    for (number, begin, more) in
        [(1, json!({"credit": 1}), most), (2, json!({"credit": 1}), u64::MAX), (3, json!({}), 1)]
    {
        wire.send(&question_with(number, "tokens=3,delay=60000", begin)).await;
        wire.send(&json!({"call": number, "type": "credit", "credit": more})).await;
        let frames = wire.whole(number).await;
        assert_eq!(frames.last().unwrap()["error"]["param"], "credit", "{number}: {frames:?}");
    }
    wire.works(4).await;
}

#[tokio::test]
async fn more_calls_than_a_connection_can_have_are_told_to_come_back() {
    let gate = Gate::with("[websocket]\nmax_calls = 2\n", &[]).await;
    let mut wire = Wire::open(&gate).await;
    for call in 1..=2 {
        wire.send(&question(call, "headers_delay=60000")).await;
    }
    wire.send(&question(3, "echo")).await;
    let error = wire.refusal(3).await;
    assert_eq!((&error["kind"], &error["retryable"]), (&json!("overloaded"), &json!(true)));
    wire.send(&json!({"call": 1, "type": "cancel"})).await;
    assert_eq!(wire.refusal(1).await["kind"], "cancelled");
    wire.works(4).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_within_a_frame_frees_its_upstreams() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    for call in 1..=3 {
        wire.send(&question(call, "tokens=100000,delay=20")).await;
    }
    for _ in 0..3 {
        while !wire.frame().await["head"].is_object() {}
    }
    let half = [0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4, 5];
    raw(&mut wire, &half).await;
    wire.0.get_mut().shutdown().await.unwrap();
    drained(wire.0.get_mut()).await;
    assert!(gate.mock.saw_aborts(3, crate::gate::SOON).await);
    Wire::open(&gate).await.works(1).await;
}
