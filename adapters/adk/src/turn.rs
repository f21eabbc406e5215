//! A model's turn: the provider's parts as adk shows them, and back.

use crate::{keepsake::Keepsake, media, request::Refusal};
use adk_core::{Content, Part as Shown};
use tollgate_types::{Message, Origin, Part, Reasoning, Role, ToolCall};

/// An answer's parts for adk, with the keepsake where they need one.
pub(crate) fn show(parts: &[Part], origin: &Origin) -> Result<Content, serde_json::Error> {
    let mut content = Content { role: "model".to_owned(), parts: shown(parts) };
    if !parts.iter().all(is_plain) {
        let keepsake = Keepsake { origin: origin.clone(), parts: parts.to_vec() };
        content.parts.push(keepsake.into_part()?);
    }
    Ok(content)
}

/// What adk says as well as the provider does.
fn is_plain(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.extras.is_empty() && text.citations.is_empty()
        && text.logprobs.is_empty() && !text.text.is_empty())
}

fn shown(parts: &[Part]) -> Vec<Shown> {
    parts.iter().filter_map(show_part).collect()
}

fn show_part(part: &Part) -> Option<Shown> {
    match part {
        Part::Text(text) => show_text(&text.text),
        Part::Refusal(refusal) => show_text(&refusal.text),
        Part::Reasoning(thought) => Some(Shown::Thinking {
            thinking: thought.text.clone(),
            signature: thought.signature.clone(),
        }),
        Part::ToolCall(call) if !call.hosted => Some(Shown::FunctionCall {
            name: call.name.clone(),
            // What is no JSON reaches the tool as text, which refuses it with its own words.
            args: call.parse().unwrap_or_else(|_| call.arguments.clone().into()),
            id: Some(call.id.clone()).filter(|id| !id.is_empty()),
            thought_signature: None,
        }),
        Part::Media(media) => media::shown(media),
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Native(_) => None,
    }
}

fn show_text(text: &str) -> Option<Shown> {
    Some(Shown::Text { text: text.to_owned() }).filter(|_| !text.is_empty())
}

/// A turn of the model's as it goes back: the provider's own parts, unless somebody changed what adk
/// shows of them.
pub(crate) fn message(content: &Content) -> Result<Message, Refusal> {
    let mut kept = None;
    let mut visible = Vec::with_capacity(content.parts.len());
    for (at, part) in content.parts.iter().enumerate() {
        match Keepsake::of(part) {
            None => visible.push(part.clone()),
            Some(keepsake) => {
                kept = Some(keepsake.map_err(|error| {
                    Refusal::of(format!("parts[{at}].server_tool_call.tollgate"), error.to_string())
                })?);
            }
        }
    }
    match kept {
        Some(kept) if shown(&kept.parts) == visible => {
            let mut message = Message::new(Role::Assistant, kept.parts);
            message.origin = Some(kept.origin);
            Ok(message)
        }
        kept => {
            let parts = visible.iter().enumerate().map(|(at, part)| {
                rebuilt(part).map_err(|refusal| refusal.within(&format!("parts[{at}]")))
            });
            let mut message = Message::new(Role::Assistant, parts.collect::<Result<_, _>>()?);
            message.origin = kept.map(|kept| kept.origin);
            Ok(message)
        }
    }
}

fn rebuilt(part: &Shown) -> Result<Part, Refusal> {
    Ok(match part {
        Shown::Text { text } => Part::text(text),
        Shown::Thinking { thinking, signature } => Part::Reasoning(Reasoning {
            text: thinking.clone(),
            signature: signature.clone(),
            ..Reasoning::default()
        }),
        Shown::FunctionCall { name, args, id, thought_signature } => {
            if thought_signature.is_some() {
                return Err(Refusal::of("thought_signature", "was not made by this adapter"));
            }
            Part::ToolCall(ToolCall {
                id: id.clone().unwrap_or_default(),
                name: name.clone(),
                arguments: args.to_string(),
                ..ToolCall::default()
            })
        }
        other => crate::request::said(other)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};
    use tollgate_types::{Extras, NativeItem};

    fn origin() -> Origin {
        Origin { api: "anthropic.messages".into(), ..Origin::default() }
    }

    fn parts() -> Vec<Part> {
        let own = Map::from_iter([("id".to_owned(), json!("x"))]);
        vec![
            Part::Reasoning(Reasoning {
                text: "hm".into(),
                signature: Some("s1g".into()),
                ..Reasoning::default()
            }),
            Part::Reasoning(Reasoning { encrypted: Some("sealed".into()), ..Reasoning::default() }),
            Part::text("Let me see."),
            Part::tool_call("c1", "add", "{ \"b\":1.0,\n\"a\": 1e2 }"),
            Part::ToolCall(ToolCall {
                id: "c2".into(),
                name: "add".into(),
                arguments: "{broken".into(),
                extras: Extras::from([("google".into(), own)]),
                ..ToolCall::default()
            }),
            Part::Native(NativeItem { api: "a".into(), item: json!({"k": 1}) }),
        ]
    }

    /// As a session keeps it.
    fn stored(content: &Content) -> Content {
        serde_json::from_str(&serde_json::to_string(content).unwrap()).unwrap()
    }

    #[test]
    fn a_turn_comes_back_as_the_provider_made_it() {
        let content = stored(&show(&parts(), &origin()).unwrap());
        let message = message(&content).unwrap();
        assert_eq!(message.content, parts());
        assert_eq!(message.origin, Some(origin()));
    }

    #[test]
    fn a_turn_that_somebody_changed_goes_back_as_changed() {
        let mut content = show(&parts(), &origin()).unwrap();
        content.parts[2] = Shown::Text { text: "Let me look.".into() };
        let message = message(&content).unwrap();
        assert_eq!(message.content[2], Part::text("Let me look."));
        let Part::Reasoning(thought) = &message.content[0] else { panic!("{message:?}") };
        assert_eq!(thought.signature.as_deref(), Some("s1g"));
        let Part::ToolCall(call) = &message.content[3] else { panic!("{message:?}") };
        assert_eq!(call.parse().unwrap(), json!({"b": 1.0, "a": 100.0}));
    }

    #[test]
    fn plain_text_needs_no_keepsake() {
        let content = show(&[Part::text("hi")], &origin()).unwrap();
        assert_eq!(content.parts, [Shown::Text { text: "hi".into() }]);
    }

    #[test]
    fn a_broken_keepsake_is_refused_by_its_place() {
        let broken = Shown::ServerToolCall { server_tool_call: json!({"tollgate": 5}) };
        let content = Content { role: "model".into(), parts: vec![broken] };
        let refusal = message(&content).unwrap_err().to_string();
        assert!(refusal.contains("parts[0].server_tool_call.tollgate"), "{refusal}");
    }
}
