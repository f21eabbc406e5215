//! The tools of a request: which the model may call, and whether it must.

use super::Cannot;
use crate::grammar;
use serde_json::Value;
use tollgate_types::{Error, FunctionTool, GenerateRequest, Tool, ToolChoice};

const LONGEST_NAME: usize = 64;

/// The tools that the model may call in this answer.
#[derive(Debug)]
pub(crate) struct Offer {
    /// With their places in the request.
    tools: Vec<(usize, FunctionTool)>,
    pub(crate) reading: Reading,
}

/// How the model's words are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As text.
    Text,
    /// As text that may have calls in it.
    Tagged,
    /// As one call, which a grammar forces.
    Forced,
}

impl Offer {
    pub(super) fn of(request: &GenerateRequest, cannot: &mut Cannot) -> Result<Self, Error> {
        let mut tools = Vec::new();
        for (at, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Function(tool) => tools.push((at, checked(at, tool)?.clone())),
                Tool::Hosted(_) => {
                    cannot.honour(format!("tools[{at}]"), "tools that the provider runs")?;
                }
            }
        }
        let reading = match &request.tool_choice {
            Some(ToolChoice::None) => Reading::Text,
            None | Some(ToolChoice::Auto | ToolChoice::Subset { required: false, .. }) => {
                Reading::Tagged
            }
            Some(_) => Reading::Forced,
        };
        keep_chosen(&mut tools, request.tool_choice.as_ref())?;
        let reading = if tools.is_empty() { Reading::Text } else { reading };
        if reading == Reading::Tagged {
            warn_of_strict(&tools, cannot);
        }
        Ok(Self { tools, reading })
    }

    /// The tools, in the order of the request.
    pub(crate) fn tools(&self) -> Vec<&FunctionTool> {
        self.tools.iter().map(|(_, tool)| tool).collect()
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.tools.iter().map(|(_, tool)| tool.name.clone()).collect()
    }

    /// The schema of the call that the model must make, when it must.
    pub(super) fn forced_schema(&self, cannot: &mut Cannot) -> Result<Option<Value>, Error> {
        if self.reading != Reading::Forced {
            return Ok(None);
        }
        let mut forced = self.tools.clone();
        for (at, tool) in &mut forced {
            let param = format!("tools[{at}].parameters");
            tool.parameters = grammar::checked_schema(&tool.parameters, &param, cannot)?;
        }
        let tools: Vec<&FunctionTool> = forced.iter().map(|(_, tool)| tool).collect();
        Ok(Some(grammar::call_schema(&tools)))
    }

    /// Each tool's own schema and the field it came from, to find which one cannot be forced.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = (String, Value)> {
        self.tools
            .iter()
            .map(|(at, tool)| (format!("tools[{at}].parameters"), grammar::call_schema(&[tool])))
    }
}

fn checked(at: usize, tool: &FunctionTool) -> Result<&FunctionTool, Error> {
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    if tool.name.is_empty() || tool.name.len() > LONGEST_NAME || !tool.name.chars().all(usual) {
        let message =
            format!("a tool's name must have 1 to {LONGEST_NAME} letters, digits, `_`, `-` or `.`");
        return Err(Error::invalid(format!("tools[{at}].name"), message));
    }
    if !(tool.parameters.is_null() || tool.parameters.is_object()) {
        let message = "a tool's parameters must be a JSON schema: an object";
        return Err(Error::invalid(format!("tools[{at}].parameters"), message));
    }
    Ok(tool)
}

/// Leaves only the tools that may be called; a choice of a tool that is not there is a mistake.
fn keep_chosen(
    tools: &mut Vec<(usize, FunctionTool)>,
    choice: Option<&ToolChoice>,
) -> Result<(), Error> {
    let chosen: &[String] = match choice {
        Some(ToolChoice::None) => {
            tools.clear();
            return Ok(());
        }
        None | Some(ToolChoice::Auto) => return Ok(()),
        Some(ToolChoice::Required) if tools.is_empty() => {
            return Err(Error::invalid("tool_choice", "a tool is required but none is offered"));
        }
        Some(ToolChoice::Required) => return Ok(()),
        Some(ToolChoice::Tool(name)) => std::slice::from_ref(name),
        Some(ToolChoice::Subset { names, .. }) => names,
    };
    if let Some(name) = chosen.iter().find(|name| tools.iter().all(|(_, t)| t.name != **name)) {
        let message = format!("tool_choice names {name:?}, which is not among the tools");
        return Err(Error::invalid("tool_choice", message));
    }
    if chosen.is_empty() {
        return Err(Error::invalid("tool_choice", "the subset of tools is empty"));
    }
    tools.retain(|(_, tool)| chosen.contains(&tool.name));
    Ok(())
}

/// A free answer cannot be held to a schema. A warning, never a refusal: common clients set
/// `strict` on every tool without meaning more than "please".
fn warn_of_strict(tools: &[(usize, FunctionTool)], cannot: &mut Cannot) {
    for (at, tool) in tools {
        if tool.strict == Some(true) {
            let message = "arguments are held to the schema only when tool_choice forces a call";
            cannot.warn(Some(format!("tools[{at}].strict")), message.into());
        }
    }
}
