//! Answers that are given both ways: what the mock can say, and streams written by hand.

use crate::vendor::Vendor;

/// What the mock says; all but what a server adds of its own accord.
pub const SCRIPTS: [&str; 26] = [
    "echo",
    "tokens=0",
    "tokens=1",
    "tokens=40",
    "think=5,tokens=3",
    "think=5,hidden,tokens=3",
    "tool",
    "tool,fill,preface=3",
    "tools=4,fill",
    "tools=3,think=2,preface=1",
    "tool,noids",
    "tool,length",
    "tokens=9,length",
    "tokens=4,refusal",
    "tokens=4,safety",
    "blocked",
    "tokens=3,cached=7,cache_write=5",
    "tokens=3,searches=2",
    "tokens=8,news",
    "tokens=5,nodone",
    "tokens=9,error=5",
    "tokens=9,error=6,status=429,retry_after=3",
    "tokens=9,cut=5",
    "tokens=9,malformed=6",
    "status=429,retry_after=5",
    "status=400,code=odd_code,message=odd_message",
];

/// A stream of a vendor, written by hand: everything that its API can put into one.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub name: &'static str,
    pub vendor: Vendor,
    pub body: &'static str,
}

macro_rules! written {
    ($($vendor:ident: $($name:literal),+;)+) => {
        /// All of them.
        pub const WRITTEN: &[Written] = &[$($(Written {
            name: $name,
            vendor: Vendor::$vendor,
            body: include_str!(concat!("streams/", $name, ".txt")),
        }),+),+];
    };
}

written! {
    Chat: "chat_rich", "chat_tools";
    Responses: "responses_rich", "responses_short";
    Anthropic: "anthropic_rich", "anthropic_error";
    Google: "google_rich", "google_safety";
    Ollama: "ollama_rich", "ollama_error";
}
