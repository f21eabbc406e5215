//! Servers that are not Tollgate, are older or newer, or want to do harm.

use crate::{
    ANSWER, KEY, builder, provider, request,
    server::{Reply, Server},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tollgate_types::{CallOptions, Error, ErrorKind, FinishReason, Provider, StreamEvent};

/// Answers every connection with the head and then with the filler, over and over, until the client
/// has had enough.
struct Flood {
    url: String,
    sent: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

async fn flood(head: &'static str, filler: Vec<u8>, pause: Option<Duration>) -> Flood {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let (mut task, counter) = (JoinSet::new(), Arc::clone(&sent));
    task.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&filler).await.is_ok() {
                counter.fetch_add(filler.len(), Ordering::Relaxed);
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    });
    Flood { url, sent, _task: task }
}

/// The error of one attempt; it never shows the key.
async fn refused(reply: Reply) -> Error {
    let server = Server::play(vec![reply]).await;
    let asked = request().options(CallOptions::default().max_retries(0));
    let error = provider(&server).generate(asked).await.unwrap_err();
    assert!(!format!("{error:?}").contains("sup3rs3cr3t"), "{error:?}");
    error
}

fn code(error: &Error) -> &str {
    error.body().code.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_web_site_is_told_from_tollgate() {
    let html = "<html><body>Welcome!</body></html>";
    for reply in [
        Reply::body(200, html).header("content-type", "text/html; charset=utf-8"),
        Reply::body(200, html),
        Reply::body(200, r#"{"hello": "world"}"#).header("content-type", "application/json"),
        Reply::body(200, "[1, 2]"),
        Reply::body(200, ""),
        Reply::body(200, "\"\u{fffd}"),
    ] {
        let error = refused(reply).await;
        assert_eq!((error.kind(), code(&error)), (ErrorKind::Protocol, "not_tollgate"), "{error}");
        assert!(error.message().contains("check the server's URL"), "{error}");
        assert!(!error.is_retryable() && error.request_id() == Some("req-1"));
    }
    let error = refused(Reply::body(404, html)).await;
    assert_eq!((error.kind(), code(&error)), (ErrorKind::NotFound, "not_tollgate"));
}

#[tokio::test]
async fn a_stream_that_is_none_is_told() {
    for reply in [
        Reply::body(200, "<html>").header("content-type", "text/html"),
        Reply::body(200, "data: {}\n\n"),
    ] {
        let server = Server::play(vec![reply]).await;
        let error = provider(&server).stream(request()).await.unwrap_err();
        assert_eq!((error.kind(), code(&error)), (ErrorKind::Protocol, "not_tollgate"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_told_with_its_host_and_not_followed() {
    let moved = |to: &str| Reply::body(308, "").header("location", to);
    let error = refused(moved(&format!("https://other.example/login?key={KEY}"))).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("redirects to https://other.example and"), "{error}");
    let error = refused(Reply::body(302, "")).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn an_older_server_is_told_to_be_one() {
    let path = r#"{"error":{"kind":"not_found","message":"there is no such path","param":"path",
        "retryable":false,"blame":"caller"}}"#;
    let error = refused(Reply::body(404, path)).await;
    assert_eq!((error.kind(), code(&error)), (ErrorKind::Unsupported, "unknown_path"));
    assert!(error.message().contains("older than this client"), "{error}");
    // A model that is not there is another matter.
    let model = path.replace("\"path\"", "\"model\"");
    assert_eq!(refused(Reply::body(404, &model)).await.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_newer_server_is_understood() {
    let newer = ANSWER.replace(r#""reason": "stop""#, r#""reason": "bored", "mood": 1"#);
    let newer = newer.replace(r#""text": "hi""#, r#""text": "hi", "shine": true"#);
    let stream = Reply::events(&[
        "data: {\"type\":\"start\",\"origin\":{\"api\":\"a\",\"provider\":\"p\",\"model\":\"m\"},\"sky\":1}\n\n",
        "data: {\"type\":\"dream\",\"of\":\"sheep\"}\n\n",
        "data: {\"type\":\"part_start\",\"index\":0,\"part\":{\"type\":\"hologram\",\"x\":1}}\n\n",
        "data: {\"type\":\"finish\",\"finish\":{\"reason\":\"bored\"},\"usage\":{\"dreams\":3}}\n\n",
    ]);
    let error = r#"{"error":{"kind":"moon_phase","message":"m","blame":"moon","retryable":false}}"#;
    let replies = vec![Reply::body(200, &newer), stream, Reply::body(418, error)];
    let server = Server::play(replies).await;
    let provider = provider(&server);
    let answer = provider.generate(request()).await.unwrap();
    assert_eq!((answer.text().as_str(), answer.finish.reason), ("hi", FinishReason::Other));
    let mut events = provider.stream(request()).await.unwrap();
    let mut names = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        names.push(event.name());
        if let StreamEvent::Raw { api, value } = event {
            assert_eq!((api.as_str(), &value["of"]), ("tollgate", &"sheep".into()));
        }
    }
    assert_eq!(names, ["start", "raw", "part_start", "finish"]);
    assert_eq!(provider.generate(request()).await.unwrap_err().kind(), ErrorKind::Other);
}

#[tokio::test]
async fn garbage_without_end_is_cut_off() {
    let (ok, err) = (
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 500 X\r\nconnection: close\r\n\r\n",
    );
    let options = || CallOptions::default().max_retries(0);
    let garbage = flood(ok, vec![b' '; 1 << 18], None).await;
    let provider = builder(&garbage.url).build().unwrap();
    let error = provider.generate(request().options(options())).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (ErrorKind::Protocol, "not_tollgate"), "{error}");
    let sent = garbage.sent.load(Ordering::Relaxed);
    assert!(sent < 160 << 20, "{sent} bytes were taken in");

    let garbage = flood(err, vec![b'x'; 1 << 18], None).await;
    let provider = builder(&garbage.url).build().unwrap();
    let error = provider.generate(request().options(options())).await.unwrap_err();
    assert_eq!((error.kind(), error.body().status), (ErrorKind::Upstream, Some(500)));
    let sent = garbage.sent.load(Ordering::Relaxed);
    assert!(sent < 32 << 20, "{sent} bytes were taken in");
}

#[tokio::test]
async fn a_length_that_cannot_be_is_not_waited_for() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n";
    let liar = flood(head, vec![b' '; 16], Some(Duration::from_millis(5))).await;
    let provider = builder(&liar.url).build().unwrap();
    let error = provider.generate(request()).await.unwrap_err();
    assert_eq!(code(&error), "not_tollgate", "{error}");
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let bomb = Reply::body(200, "\u{1f}\u{8b}pretend").header("content-encoding", "gzip");
    let error = refused(bomb).await;
    assert!(error.message().contains("compressed (gzip)"), "{error}");
    let bomb = Reply::events(&["data: {}\n\n"]).header("content-encoding", "br");
    let server = Server::play(vec![bomb]).await;
    let error = provider(&server).stream(request()).await.unwrap_err();
    assert_eq!(code(&error), "not_tollgate", "{error}");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_ends_with_the_deadline() {
    let drip = flood("HTTP/1.1 200 OK\r\n", b"x".to_vec(), Some(Duration::from_millis(20))).await;
    let provider = builder(&drip.url).total_timeout(Duration::from_millis(300)).build().unwrap();
    let began = Instant::now();
    assert_eq!(provider.generate(request()).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(provider.stream(request()).await.is_err_and(|e| e.kind() == ErrorKind::Timeout));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refusal_that_never_ends_is_told_by_its_status() {
    let head = "HTTP/1.1 403 X\r\nconnection: close\r\n\r\n";
    let drip = flood(head, b"x".to_vec(), Some(Duration::from_millis(100))).await;
    let provider = builder(&drip.url).build().unwrap();
    let began = Instant::now();
    let error = provider.generate(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_shorter_than_it_says_is_a_lost_connection() {
    let error = refused(Reply::body(200, ANSWER).short_by(3)).await;
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.is_retryable(), "the idempotency key makes another try safe");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n";
    let server = flood(head, b"{\"a\":\"\xff\xfe\xfd\"}".to_vec(), None).await;
    let provider = builder(&server.url).build().unwrap();
    assert_eq!(code(&provider.models().await.unwrap_err()), "not_tollgate");
}

#[tokio::test]
async fn what_does_not_speak_http_is_told() {
    let ssh =
        flood("SSH-2.0-OpenSSH_9.9\r\n", b"x".to_vec(), Some(Duration::from_millis(20))).await;
    let error = builder(&ssh.url).build().unwrap().models().await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (ErrorKind::Protocol, "not_http"), "{error}");
    let plain = ssh.url.replace("http://", "https://");
    let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let error = builder(&plain).ca_bundle(ca).build().unwrap().models().await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (ErrorKind::Connection, "not_tls"), "{error}");
    assert!(error.message().contains("http://"), "{error}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let provider = builder(&format!("http://{address}")).build().unwrap();
    let error = provider.models().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.message().contains(&address.to_string()), "{error}");
    assert!(error.message().contains("is it running"), "{error}");
    let error = builder("http://nobody.invalid").build().unwrap().models().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.message().contains("nobody.invalid"), "{error}");
}
