//! The Jinja chat template that is stored in a model file, run as the `transformers` library runs
//! it, because that is what the models were trained with.

use jiff::{Timestamp, tz::TimeZone};
use minijinja::{
    Environment, Error, ErrorKind, Value, context,
    syntax::SyntaxConfig,
    value::{Kwargs, Serde},
};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io;

/// Instructions that one rendering may take: the template is a stranger's program. A conversation
/// of thousands of turns needs less than a tenth of it.
const FUEL: u64 = 5_000_000;

/// What a model without a template is spoken to with: the most common form.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + \
    message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}";

/// The template's text and the two tokens it may print.
pub(crate) struct TemplateSource {
    pub(crate) text: String,
    pub(crate) bos: String,
    pub(crate) eos: String,
}

impl TemplateSource {
    /// For a model without a template.
    pub(crate) fn chatml() -> Self {
        Self { text: CHATML.into(), bos: String::new(), eos: String::new() }
    }
}

/// A template, compiled once.
pub(crate) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    takes_tools: bool,
}

/// What a template is given.
pub(super) struct Input {
    pub(super) messages: serde_json::Value,
    /// Absent, not empty, when there are none: templates ask whether it is defined.
    pub(super) tools: Option<serde_json::Value>,
}

impl Template {
    /// Compiles a template; some print today's date, which comes from `now`.
    pub(crate) fn new(
        source: TemplateSource,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_function("raise_exception", raise);
        environment.add_function("strftime_now", move |format: &str| date(format, now()));
        environment.add_filter("tojson", tojson);
        environment.add_template_owned("chat", without_training_marks(&source.text))?;
        let variables = environment.get_template("chat")?.undeclared_variables(false);
        let takes_tools = variables.contains("tools");
        Ok(Self { environment, bos: source.bos, eos: source.eos, takes_tools })
    }

    /// Whether the template has a place for tools.
    pub(crate) fn takes_tools(&self) -> bool {
        self.takes_tools
    }

    pub(super) fn render(&self, input: &Input) -> Result<String, Error> {
        let base = context! {
            messages => Value::from(Serde(&input.messages)),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let template = self.environment.get_template("chat")?;
        match &input.tools {
            None => template.render(base),
            Some(tools) => template.render(context! { tools => Value::from(Serde(tools)), ..base }),
        }
    }
}

fn raise(words: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, words))
}

fn date(format: &str, now: Timestamp) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, &now.to_zoned(TimeZone::UTC))
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// `{% generation %}` marks what is trained on; Jinja does not know it. A block that is always
/// entered keeps its white space rules.
fn without_training_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag, after)) = next_tag(rest) {
        out.push_str(before);
        let word = tag.trim_matches(|c: char| c.is_whitespace() || "{}%-+".contains(c));
        match word {
            "generation" => out.push_str(&tag.replace(word, "if true")),
            "endgeneration" => out.push_str(&tag.replace(word, "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out + rest
}

/// The text before the next `{% tag %}`, the tag, and the text behind it.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let (before, tag) = text.split_at(text.find("{%")?);
    let (tag, after) = tag.split_at(tag.find("%}")? + 2);
    Some((before, tag, after))
}

fn tojson(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let text = match indent {
        Some(width) => {
            json_text(&value, PrettyFormatter::with_indent(" ".repeat(width).as_bytes()))
        }
        None => json_text(&value, PythonFormatter),
    };
    text.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// JSON as Python writes it.
pub(super) fn python_json(value: &serde_json::Value) -> String {
    json_text(value, PythonFormatter).unwrap_or_default()
}

fn json_text(value: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Python's `json.dumps` puts a blank behind commas and colons, and models were trained on it.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        let source = TemplateSource { text: text.into(), ..TemplateSource::chatml() };
        let template = Template::new(source, || Timestamp::UNIX_EPOCH).unwrap();
        let messages = serde_json::json!([{"role": "user", "content": " a "}]);
        template.render(&Input { messages, tools: None }).unwrap()
    }

    #[test]
    fn blocks_take_their_lines_with_them_and_methods_are_those_of_python() {
        assert_eq!(
            render("{% for m in messages %}\n  {{ m.content.strip() }}\n{% endfor %}\n"),
            "  a\n"
        );
        assert_eq!(render("{{ messages[0]['role'].startswith('us') }}"), "True");
    }

    #[test]
    fn training_marks_are_taken_out() {
        assert_eq!(render("a {%- generation -%} b {%- endgeneration %} c"), "ab c");
    }

    #[test]
    fn json_looks_like_pythons() {
        assert_eq!(
            render("{{ {'b': [1, '<é>'], 'a': none} | tojson }}"),
            r#"{"b": [1, "<é>"], "a": null}"#
        );
    }

    #[test]
    fn a_template_that_never_ends_runs_out_of_fuel() {
        let text = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let source = TemplateSource { text: text.into(), ..TemplateSource::chatml() };
        let template = Template::new(source, || Timestamp::UNIX_EPOCH).unwrap();
        assert!(template.render(&Input { messages: serde_json::json!([]), tools: None }).is_err());
    }
}
