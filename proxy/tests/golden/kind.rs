//! The kinds of parts, and a sample of each.

use crate::{call, codec::Codec};
use serde_json::json;
use tollgate_types::{
    Citation, Extras, Media, MediaSource, NativeItem, Part, Reasoning, Refusal, Role, Text,
    TokenLogprob, ToolCall, ToolResult, TopLogprob,
};

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// A kind of part, told apart by what a dialect may lack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($kind),* }

        /// All of them.
        pub const KINDS: [Kind; [$(Kind::$kind),*].len()] = [$(Kind::$kind),*];
    };
}

kinds! {
    Text, TextCited, TextLogprobs,
    Reasoning, ReasoningSigned, ReasoningEncrypted, ReasoningForeign,
    ToolCall, ToolCallHosted, ToolCallHostedForeign,
    ToolResult, ToolResultError, ToolResultImage,
    ImageBase64, ImageUrl, ImageFileId,
    AudioBase64, AudioUrl, AudioFileId,
    VideoBase64, VideoUrl, VideoFileId,
    FileBase64, FileUrl, FileFileId,
    Refusal,
    Native, NativeForeign,
}

impl Kind {
    /// Whether a model can say it: results of tools are the caller's.
    pub fn can_be_answered(self) -> bool {
        !matches!(self, Self::ToolResult | Self::ToolResultError | Self::ToolResultImage)
    }

    /// Whether another API made it.
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::ReasoningForeign | Self::ToolCallHostedForeign | Self::NativeForeign)
    }
}

/// The kinds that a part may be. Without a catch-all, so that a new part or field asks for its kind.
pub fn kinds_of(part: &Part) -> Vec<Kind> {
    match part {
        Part::Text(Text { text: _, citations, logprobs, extras: _ }) => {
            match (citations.is_empty(), logprobs.is_empty()) {
                (true, true) => vec![Kind::Text],
                (false, _) => vec![Kind::TextCited],
                (true, false) => vec![Kind::TextLogprobs],
            }
        }
        Part::Reasoning(Reasoning { text: _, signature, encrypted, extras: _ }) => {
            match (signature, encrypted) {
                (None, None) => vec![Kind::Reasoning],
                (Some(_), _) => vec![Kind::ReasoningSigned, Kind::ReasoningForeign],
                (None, Some(_)) => vec![Kind::ReasoningEncrypted],
            }
        }
        Part::ToolCall(ToolCall { id: _, name: _, arguments: _, hosted, extras: _ }) => {
            match hosted {
                true => vec![Kind::ToolCallHosted, Kind::ToolCallHostedForeign],
                false => vec![Kind::ToolCall],
            }
        }
        Part::ToolResult(ToolResult { call_id: _, name: _, content, is_error, extras: _ }) => {
            let image = content.iter().any(|part| matches!(part, Part::Media(_)));
            vec![match (is_error, image) {
                (true, _) => Kind::ToolResultError,
                (false, true) => Kind::ToolResultImage,
                (false, false) => Kind::ToolResult,
            }]
        }
        Part::Media(media) => vec![kind_of_media(media)],
        Part::Refusal(Refusal { text: _, extras: _ }) => vec![Kind::Refusal],
        Part::Native(NativeItem { api: _, item: _ }) => vec![Kind::Native, Kind::NativeForeign],
    }
}

fn kind_of_media(media: &Media) -> Kind {
    use MediaSource::{Base64, FileId, Url};
    let Media { media_type, source, filename: _, transcript: _, extras: _ } = media;
    match (media_type.split('/').next(), source) {
        (Some("image"), Base64(_)) => Kind::ImageBase64,
        (Some("image"), Url(_)) => Kind::ImageUrl,
        (Some("image"), FileId(_)) => Kind::ImageFileId,
        (Some("audio"), Base64(_)) => Kind::AudioBase64,
        (Some("audio"), Url(_)) => Kind::AudioUrl,
        (Some("audio"), FileId(_)) => Kind::AudioFileId,
        (Some("video"), Base64(_)) => Kind::VideoBase64,
        (Some("video"), Url(_)) => Kind::VideoUrl,
        (Some("video"), FileId(_)) => Kind::VideoFileId,
        (_, Base64(_)) => Kind::FileBase64,
        (_, Url(_)) => Kind::FileUrl,
        (_, FileId(_)) => Kind::FileFileId,
    }
}

/// A part of a kind, and who says it. What only a provider makes is made by this one.
pub fn sample(kind: Kind, codec: Codec) -> (Role, Part) {
    use Kind as K;
    let (text, extras) = ("It rains.".to_owned(), codec.own_extras(kind));
    match kind {
        K::Text => (Role::User, Part::text(text)),
        K::TextCited => (
            Role::Assistant,
            Part::Text(Text { text, citations: vec![citation()], ..Text::default() }),
        ),
        K::TextLogprobs => {
            (Role::Assistant, Part::Text(Text { text, logprobs: vec![odds()], ..Text::default() }))
        }
        K::Reasoning => (Role::Assistant, thought("Hm.", [None, None], extras)),
        K::ReasoningSigned | K::ReasoningForeign => {
            (Role::Assistant, thought("Hm.", [Some("c2lnbmVk"), None], extras))
        }
        K::ReasoningEncrypted => (Role::Assistant, thought("", [None, Some("c2VjcmV0")], extras)),
        K::ToolCall => (Role::Assistant, Part::ToolCall(call())),
        K::ToolCallHosted | K::ToolCallHostedForeign => {
            (Role::Assistant, Part::ToolCall(ToolCall { hosted: true, extras, ..call() }))
        }
        K::ToolResult => (Role::Tool, result(vec![Part::text("2")], false)),
        K::ToolResultError => (Role::Tool, result(vec![Part::text("no")], true)),
        K::ToolResultImage => {
            let image = media("image/png", MediaSource::Base64(PNG.to_owned()), None);
            (Role::Tool, result(vec![Part::text("2"), image], false))
        }
        K::Refusal => {
            let refusal = Refusal { text: "I will not.".to_owned(), extras: Extras::new() };
            (Role::Assistant, Part::Refusal(refusal))
        }
        K::Native => (Role::User, native(codec.api())),
        K::NativeForeign => (Role::User, native(FOREIGN)),
        _ => (Role::User, sample_media(kind)),
    }
}

/// An API that no dialect is.
pub const FOREIGN: &str = "brand.new";

/// The first bytes of a PNG file.
const PNG: &str = "iVBORw0KGgo=";

fn sample_media(kind: Kind) -> Part {
    use Kind as K;
    let base64 = |data: &str| MediaSource::Base64(data.to_owned());
    let url = |name: &str| MediaSource::Url(format!("https://files.example/{name}"));
    let id = || MediaSource::FileId("file_1".to_owned());
    match kind {
        K::ImageBase64 => media("image/png", base64(PNG), None),
        K::ImageUrl => media("image/png", url("a.png"), None),
        K::ImageFileId => media("image/png", id(), None),
        K::AudioBase64 => media("audio/wav", base64("UklGRg=="), None),
        K::AudioUrl => media("audio/wav", url("a.wav"), None),
        K::AudioFileId => media("audio/wav", id(), None),
        K::VideoBase64 => media("video/mp4", base64("AAAAGGZ0"), None),
        K::VideoUrl => media("video/mp4", url("a.mp4"), None),
        K::VideoFileId => media("video/mp4", id(), None),
        K::FileBase64 => media("application/pdf", base64("JVBERi0="), Some("a.pdf")),
        K::FileUrl => media("application/pdf", url("a.pdf"), None),
        _ => media("application/pdf", id(), None),
    }
}

fn media(media_type: &str, source: MediaSource, filename: Option<&str>) -> Part {
    Part::Media(Media {
        media_type: media_type.to_owned(),
        source,
        filename: filename.map(str::to_owned),
        transcript: None,
        extras: Extras::new(),
    })
}

fn citation() -> Citation {
    Citation {
        url: Some("https://weather.example".to_owned()),
        title: Some("Weather".to_owned()),
        quote: Some("rain".to_owned()),
        span: Some((0, 9)),
        extras: Extras::new(),
    }
}

fn odds() -> TokenLogprob {
    let token = "It rains.".to_owned();
    let bytes = Some(token.clone().into_bytes());
    let top = vec![TopLogprob { token: "It snows.".to_owned(), logprob: -1.5, bytes: None }];
    TokenLogprob { token, logprob: -0.5, bytes, top }
}

fn thought(text: &str, proofs: [Option<&str>; 2], extras: Extras) -> Part {
    let [signature, encrypted] = proofs.map(|proof| proof.map(str::to_owned));
    Part::Reasoning(Reasoning { text: text.to_owned(), signature, encrypted, extras })
}

fn result(content: Vec<Part>, is_error: bool) -> Part {
    let (call_id, name) = (call().id, Some(call().name));
    Part::ToolResult(ToolResult { call_id, name, content, is_error, extras: Extras::new() })
}

fn native(api: &str) -> Part {
    Part::Native(NativeItem { api: api.to_owned(), item: json!({"type": "brand_new", "x": [1.5]}) })
}
