//! A conversation to the tokens of a prompt, through the chat template that came with the model.

pub(crate) mod guard;
mod messages;
pub(crate) mod template;
mod tools;

use crate::backend::{Model, Token};
use guard::Guard;
use template::Template;
use tollgate_types::{Error, FunctionTool, Message};

/// How a model wants to be spoken to.
pub(crate) struct Chat {
    template: Template,
    guard: Guard,
}

impl Chat {
    pub(crate) fn new(template: Template, guard: Guard) -> Self {
        Self { template, guard }
    }

    /// The tokens of a conversation, ready for the model to answer. Heavy for long conversations.
    ///
    /// # Errors
    /// `invalid_request` when the template refuses the conversation, with the template's words.
    pub(crate) fn prompt(
        &self,
        model: &dyn Model,
        conversation: &[Message],
        tools: &[&FunctionTool],
    ) -> Result<Vec<Token>, Error> {
        let native = self.template.takes_tools();
        let mut turns = messages::turns(conversation, native);
        if !native && !tools.is_empty() {
            tools::describe(&mut turns, tools);
        }
        let listed = if native { tools::listed(tools) } else { None };
        let key = self.guard.key();
        let mut input = template::Input { messages: turns.into(), tools: listed };
        self.guard.cover(&key, &mut input.messages);
        if let Some(tools) = &mut input.tools {
            self.guard.cover(&key, tools);
        }
        let text = self.template.render(&input).map_err(|reason| {
            let message = format!("the model's chat template refuses these messages: {reason}");
            Error::invalid("messages", message)
        })?;
        let mut prompt: Vec<Token> = model.bos().into_iter().collect();
        for (at, piece) in text.split(key.as_str()).enumerate() {
            let tokens = model.tokenize(piece);
            // A template that writes the first token itself must not get it twice.
            let repeated = at == 0 && !prompt.is_empty() && prompt.first() == tokens.first();
            prompt.extend(tokens.into_iter().skip(usize::from(repeated)));
        }
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::fake::FakeModel;
    use template::TemplateSource;
    use tollgate_types::{Part, Role, ToolCall, ToolResult};

    const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + \
        m['content'] + '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}";

    fn chat(template: &str) -> Chat {
        let source =
            TemplateSource { text: template.into(), bos: "<s>".into(), eos: "</s>".into() };
        let template = Template::new(source, || jiff::Timestamp::UNIX_EPOCH).unwrap();
        Chat::new(template, Guard::new(vec!["<|im_end|>".into(), "<|im_start|>".into()]))
    }

    fn text(chat: &Chat, conversation: &[Message], tools: &[&FunctionTool]) -> String {
        let tokens = chat.prompt(&FakeModel, conversation, tools).unwrap();
        String::from_utf8(tokens.into_iter().map(|t| u8::try_from(t).unwrap()).collect()).unwrap()
    }

    #[test]
    fn a_conversation_is_written_as_the_template_says() {
        let found =
            text(&chat(CHATML), &[Message::system("Be brief."), Message::user("Hi <b>")], &[]);
        assert_eq!(
            found,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi <b><|im_end|>\n\
             <|im_start|>assistant\n"
        );
    }

    fn weather() -> FunctionTool {
        FunctionTool {
            name: "weather".into(),
            description: "Tells the weather".into(),
            parameters: serde_json::json!({"type": "object", "properties": {"b": {}, "a": {}}}),
            ..FunctionTool::default()
        }
    }

    fn tool_turns() -> Vec<Message> {
        let call = ToolCall {
            id: "c1".into(),
            name: "weather".into(),
            arguments: r#"{"city":"Oslo"}"#.into(),
            ..ToolCall::default()
        };
        vec![
            Message::user("Weather?"),
            Message::new(Role::Assistant, vec![Part::ToolCall(call.clone())]),
            Message::tool_result(&call, "rain"),
        ]
    }

    #[test]
    fn a_template_without_tools_gets_them_as_text() {
        let found = text(&chat(CHATML), &tool_turns(), &[&weather()]);
        assert!(found.starts_with("<|im_start|>system\n"), "{found}");
        assert!(found.contains("\"name\": \"weather\""), "{found}");
        assert!(
            found.contains("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\""),
            "{found}"
        );
        assert!(found.contains("user\n<tool_response>\nrain\n</tool_response>"), "{found}");
    }

    #[test]
    fn a_template_with_tools_gets_them_as_values_in_their_order() {
        let template = "{% if tools is defined %}{{ tools | tojson }}{% endif %}{% for m in \
            messages %}[{{ m.role }}:{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name \
            }}={{ c.function.arguments.city }}{% endfor %}]{% endfor %}";
        let found = text(&chat(template), &tool_turns(), &[&weather()]);
        assert!(found.contains(r#""properties": {"b": {}, "a": {}}"#), "{found}");
        assert!(found.ends_with("[user:Weather?][assistant:weather=Oslo][tool:rain]"), "{found}");
        assert!(text(&chat(template), &[Message::user("x")], &[]).starts_with("[user:x]"));
    }

    #[test]
    fn a_template_that_raises_is_an_invalid_request_with_its_words() {
        let error = chat("{{ raise_exception('no system role here') }}")
            .prompt(&FakeModel, &[Message::user("x")], &[])
            .unwrap_err();
        assert!(error.message().contains("no system role here"), "{error}");
    }

    #[test]
    fn a_failed_tool_says_so_and_a_date_comes_from_the_clock() {
        let template =
            "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}";
        let result = ToolResult {
            content: vec![Part::text("no such city")],
            is_error: true,
            ..ToolResult::default()
        };
        let turn = Message::new(Role::Tool, vec![Part::ToolResult(result)]);
        assert!(text(&chat(template), &[turn], &[]).starts_with("01 Jan 1970"));
    }
}
