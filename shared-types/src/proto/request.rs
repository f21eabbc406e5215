//! What a model is asked.

use super::{
    field::{
        At, all, each, finite, one, read_extras, read_json, read_value, write_extras, write_json,
        write_value, wrong,
    },
    v1,
};
use crate::{
    CallOptions, EmbedRequest, Error, FunctionTool, GenerateRequest, HostedTool, Message, Modality,
    OnUnsupported, Origin, OutputFormat, ReasoningOptions, Result, Role, Sampling, Tool,
    ToolChoice,
};
use v1::{
    output_format::{self, Format},
    tool::Kind,
    tool_choice::{self, Choice, Mode},
};

/// The options are left out: they travel as metadata.
impl From<GenerateRequest> for v1::GenerateRequest {
    fn from(request: GenerateRequest) -> Self {
        let sampling = (request.sampling != Sampling::default()).then(|| request.sampling.into());
        let modalities = request.modalities.into_iter().map(|kind| modality(kind).into());
        let on_unsupported = match request.on_unsupported {
            OnUnsupported::Fail => v1::OnUnsupported::Unspecified,
            OnUnsupported::Warn => v1::OnUnsupported::Warn,
        };
        Self {
            model: request.model,
            messages: all(request.messages),
            tools: all(request.tools),
            tool_choice: request.tool_choice.map(Into::into),
            parallel_tool_calls: request.parallel_tool_calls,
            choices: request.choices,
            output: request.output.map(Into::into),
            sampling,
            reasoning: request.reasoning.map(Into::into),
            modalities: modalities.collect(),
            continues: request.continues,
            store: request.store,
            extras_json: write_extras(&request.extras),
            on_unsupported: on_unsupported.into(),
        }
    }
}

impl TryFrom<v1::GenerateRequest> for GenerateRequest {
    type Error = Error;

    fn try_from(request: v1::GenerateRequest) -> Result<Self> {
        read_request(request).told()
    }
}

fn read_request(request: v1::GenerateRequest) -> Result<GenerateRequest> {
    let modalities = request.modalities.into_iter().enumerate().map(|(i, kind)| {
        read_modality(kind).ok_or_else(|| wrong(&format!("modalities[{i}]"), "is unknown"))
    });
    Ok(GenerateRequest {
        model: request.model,
        messages: each(request.messages, "messages")?,
        tools: each(request.tools, "tools")?,
        tool_choice: one(request.tool_choice, "tool_choice")?,
        parallel_tool_calls: request.parallel_tool_calls,
        choices: request.choices,
        output: one(request.output, "output")?,
        sampling: one(request.sampling, "sampling")?.unwrap_or_default(),
        reasoning: request.reasoning.map(Into::into),
        modalities: modalities.collect::<Result<_>>()?,
        continues: request.continues,
        store: request.store,
        extras: read_extras(&request.extras_json)?,
        on_unsupported: match v1::OnUnsupported::try_from(request.on_unsupported) {
            Ok(v1::OnUnsupported::Unspecified | v1::OnUnsupported::Fail) => OnUnsupported::Fail,
            Ok(v1::OnUnsupported::Warn) => OnUnsupported::Warn,
            Err(_) => return Err(wrong("on_unsupported", "is unknown")),
        },
        options: CallOptions::default(),
    })
}

fn modality(kind: Modality) -> v1::Modality {
    match kind {
        Modality::Text => v1::Modality::Text,
        Modality::Image => v1::Modality::Image,
        Modality::Audio => v1::Modality::Audio,
    }
}

fn read_modality(kind: i32) -> Option<Modality> {
    match v1::Modality::try_from(kind).ok()? {
        v1::Modality::Text => Some(Modality::Text),
        v1::Modality::Image => Some(Modality::Image),
        v1::Modality::Audio => Some(Modality::Audio),
        v1::Modality::Unspecified => None,
    }
}

impl From<Sampling> for v1::Sampling {
    fn from(sampling: Sampling) -> Self {
        Self {
            max_output_tokens: sampling.max_output_tokens,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            min_p: sampling.min_p,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            seed: sampling.seed,
            stop: sampling.stop,
            logprobs: sampling.logprobs.map(u32::from),
        }
    }
}

impl TryFrom<v1::Sampling> for Sampling {
    type Error = Error;

    fn try_from(sampling: v1::Sampling) -> Result<Self> {
        let logprobs = sampling.logprobs.map(u8::try_from).transpose();
        Ok(Self {
            max_output_tokens: sampling.max_output_tokens,
            temperature: finite(sampling.temperature, "temperature")?,
            top_p: finite(sampling.top_p, "top_p")?,
            top_k: sampling.top_k,
            min_p: finite(sampling.min_p, "min_p")?,
            presence_penalty: finite(sampling.presence_penalty, "presence_penalty")?,
            frequency_penalty: finite(sampling.frequency_penalty, "frequency_penalty")?,
            seed: sampling.seed,
            stop: sampling.stop,
            logprobs: logprobs.map_err(|_| wrong("logprobs", "is more than 255"))?,
        })
    }
}

impl From<ReasoningOptions> for v1::ReasoningOptions {
    fn from(options: ReasoningOptions) -> Self {
        let ReasoningOptions { effort, budget_tokens, include_text } = options;
        Self { effort, budget_tokens, include_text }
    }
}

impl From<v1::ReasoningOptions> for ReasoningOptions {
    fn from(options: v1::ReasoningOptions) -> Self {
        let v1::ReasoningOptions { effort, budget_tokens, include_text } = options;
        Self { effort, budget_tokens, include_text }
    }
}

impl From<OutputFormat> for v1::OutputFormat {
    fn from(output: OutputFormat) -> Self {
        let format = match output {
            OutputFormat::Text => Format::Text(output_format::Text {}),
            OutputFormat::Json => Format::Json(output_format::Json {}),
            OutputFormat::JsonSchema { name, schema, strict } => {
                let schema_json = write_json(&schema);
                Format::JsonSchema(output_format::JsonSchema { name, schema_json, strict })
            }
            OutputFormat::Grammar { syntax, grammar } => {
                Format::Grammar(output_format::Grammar { syntax, grammar })
            }
        };
        Self { format: Some(format) }
    }
}

impl TryFrom<v1::OutputFormat> for OutputFormat {
    type Error = Error;

    fn try_from(output: v1::OutputFormat) -> Result<Self> {
        let format = output.format.ok_or_else(|| wrong("format", "is missing or unknown"))?;
        Ok(match format {
            Format::Text(_) => Self::Text,
            Format::Json(_) => Self::Json,
            Format::JsonSchema(output_format::JsonSchema { name, schema_json, strict }) => {
                let schema = read_json(&schema_json, "json_schema.schema_json")?;
                Self::JsonSchema { name, schema, strict }
            }
            Format::Grammar(output_format::Grammar { syntax, grammar }) => {
                Self::Grammar { syntax, grammar }
            }
        })
    }
}

impl From<Tool> for v1::Tool {
    fn from(tool: Tool) -> Self {
        let kind = match tool {
            Tool::Function(tool) => Kind::Function(v1::FunctionTool {
                name: tool.name,
                description: tool.description,
                parameters_json: write_value(&tool.parameters),
                strict: tool.strict,
                extras_json: write_extras(&tool.extras),
            }),
            Tool::Hosted(HostedTool { api, config }) => {
                Kind::Hosted(v1::HostedTool { api, config_json: write_json(&config) })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Tool> for Tool {
    type Error = Error;

    fn try_from(tool: v1::Tool) -> Result<Self> {
        Ok(match tool.kind.ok_or_else(|| wrong("", "is no tool, or of an unknown kind"))? {
            Kind::Function(tool) => Self::Function(FunctionTool {
                name: tool.name,
                description: tool.description,
                parameters: read_value(&tool.parameters_json, "parameters_json")?,
                strict: tool.strict,
                extras: read_extras(&tool.extras_json)?,
            }),
            Kind::Hosted(v1::HostedTool { api, config_json }) => {
                Self::Hosted(HostedTool { api, config: read_json(&config_json, "config_json")? })
            }
        })
    }
}

impl From<ToolChoice> for v1::ToolChoice {
    fn from(choice: ToolChoice) -> Self {
        let choice = match choice {
            ToolChoice::Auto => Choice::Mode(Mode::Auto.into()),
            ToolChoice::None => Choice::Mode(Mode::None.into()),
            ToolChoice::Required => Choice::Mode(Mode::Required.into()),
            ToolChoice::Tool(name) => Choice::Tool(name),
            ToolChoice::Subset { names, required } => {
                Choice::Subset(tool_choice::Subset { names, required })
            }
        };
        Self { choice: Some(choice) }
    }
}

impl TryFrom<v1::ToolChoice> for ToolChoice {
    type Error = Error;

    fn try_from(choice: v1::ToolChoice) -> Result<Self> {
        let unknown = || wrong("", "is no choice, or an unknown one");
        Ok(match choice.choice.ok_or_else(unknown)? {
            Choice::Mode(mode) => match Mode::try_from(mode) {
                Ok(Mode::Auto) => Self::Auto,
                Ok(Mode::None) => Self::None,
                Ok(Mode::Required) => Self::Required,
                Ok(Mode::Unspecified) | Err(_) => return Err(unknown()),
            },
            Choice::Tool(name) => Self::Tool(name),
            Choice::Subset(tool_choice::Subset { names, required }) => {
                Self::Subset { names, required }
            }
        })
    }
}

impl From<Message> for v1::Message {
    fn from(Message { role, content, name, origin, extras }: Message) -> Self {
        let role = match role {
            Role::System => v1::Role::System,
            Role::Developer => v1::Role::Developer,
            Role::User => v1::Role::User,
            Role::Assistant => v1::Role::Assistant,
            Role::Tool => v1::Role::Tool,
        };
        Self {
            role: role.into(),
            content: all(content),
            name,
            origin: origin.map(Into::into),
            extras_json: write_extras(&extras),
        }
    }
}

impl TryFrom<v1::Message> for Message {
    type Error = Error;

    fn try_from(message: v1::Message) -> Result<Self> {
        let v1::Message { role, content, name, origin, extras_json } = message;
        let role = match v1::Role::try_from(role) {
            Ok(v1::Role::System) => Role::System,
            Ok(v1::Role::Developer) => Role::Developer,
            Ok(v1::Role::User) => Role::User,
            Ok(v1::Role::Assistant) => Role::Assistant,
            Ok(v1::Role::Tool) => Role::Tool,
            Ok(v1::Role::Unspecified) | Err(_) => {
                return Err(wrong("role", "is missing or unknown"));
            }
        };
        let (content, origin) = (each(content, "content")?, origin.map(Into::into));
        Ok(Self { role, content, name, origin, extras: read_extras(&extras_json)? })
    }
}

impl From<Origin> for v1::Origin {
    fn from(Origin { api, provider, model, response_id }: Origin) -> Self {
        Self { api, provider, model, response_id }
    }
}

impl From<v1::Origin> for Origin {
    fn from(v1::Origin { api, provider, model, response_id }: v1::Origin) -> Self {
        Self { api, provider, model, response_id }
    }
}

/// The options are left out: they travel as metadata.
impl From<EmbedRequest> for v1::EmbedRequest {
    fn from(request: EmbedRequest) -> Self {
        let EmbedRequest { model, input, dimensions, extras, options: _ } = request;
        Self { model, input, dimensions, extras_json: write_extras(&extras) }
    }
}

impl TryFrom<v1::EmbedRequest> for EmbedRequest {
    type Error = Error;

    fn try_from(request: v1::EmbedRequest) -> Result<Self> {
        let v1::EmbedRequest { model, input, dimensions, extras_json } = request;
        let extras = read_extras(&extras_json).told()?;
        Ok(Self { model, input, dimensions, extras, options: CallOptions::default() })
    }
}
