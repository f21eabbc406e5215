//! Fields that a request has and this server does not know. Protobuf would drop them unseen.

use prost::{
    Message,
    bytes::Buf,
    encoding::{WireType, decode_key, decode_varint},
};
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use std::{collections::HashMap, sync::LazyLock};
use tollgate_types::{Error, Result, proto::DESCRIPTORS};

/// A known field: its name, and its type where that is a message.
struct Field {
    name: String,
    message: Option<String>,
}

/// The fields of every message, by number.
static MESSAGES: LazyLock<HashMap<String, HashMap<u32, Field>>> = LazyLock::new(|| {
    let mut messages = HashMap::new();
    // The descriptors are part of the program; a test reads them.
    for file in FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default().file {
        let package = file.package().to_owned();
        file.message_type.iter().for_each(|message| note(&mut messages, &package, message));
    }
    messages
});

fn note(messages: &mut HashMap<String, HashMap<u32, Field>>, scope: &str, from: &DescriptorProto) {
    let name = format!("{scope}.{}", from.name());
    for nested in &from.nested_type {
        note(messages, &name, nested);
    }
    let fields = from.field.iter().filter_map(|field| {
        let message = field.r#type() == Type::Message;
        let message = message.then(|| field.type_name().trim_start_matches('.').to_owned());
        Some((
            u32::try_from(field.number()).ok()?,
            Field { name: field.name().to_owned(), message },
        ))
    });
    messages.insert(name, fields.collect());
}

/// Refuses a message with a field that is not known, at whatever depth.
///
/// # Errors
/// `invalid_request` that says where the field is and which number it has.
pub(super) fn refuse(message: &str, bytes: &[u8]) -> Result<()> {
    match find(message, bytes, &mut Vec::new()) {
        None => Ok(()),
        Some((path, number, message)) => {
            let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
            let text = format!("{place}field {number} of {message} is not known to this server");
            Err(Error::invalid(if path.is_empty() { "message" } else { &path }, text))
        }
    }
}

type Found = (String, u32, String);

/// The bytes are known to be a message: whatever breaks them ends the search.
fn find<'m>(message: &str, mut bytes: &[u8], path: &mut Vec<&'m str>) -> Option<Found>
where
    'static: 'm,
{
    let fields = MESSAGES.get(message)?;
    while bytes.has_remaining() {
        let (number, wire) = decode_key(&mut bytes).ok()?;
        let Some(field) = fields.get(&number) else {
            return Some((path.join("."), number, message.to_owned()));
        };
        let inside = value(wire, &mut bytes)?;
        if let (Some(message), Some(inside)) = (&field.message, inside) {
            path.push(&field.name);
            let found = find(message, inside, path);
            if found.is_some() {
                return found;
            }
            path.pop();
        }
    }
    None
}

/// Passes over one value; what is inside of it, where that may be a message.
fn value<'b>(wire: WireType, bytes: &mut &'b [u8]) -> Option<Option<&'b [u8]>> {
    let length = match wire {
        WireType::Varint => {
            decode_varint(bytes).ok()?;
            return Some(None);
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => usize::try_from(decode_varint(bytes).ok()?).ok()?,
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    let (inside, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some((wire == WireType::LengthDelimited).then_some(inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::{GenerateRequest, Message as Turn, proto::v1};

    const NAME: &str = "tollgate.v1.GenerateRequest";

    #[test]
    fn what_is_known_passes() {
        let request = GenerateRequest::new("m", vec![Turn::user("a"), Turn::assistant("b")]);
        let bytes = v1::GenerateRequest::from(request).encode_to_vec();
        assert!(MESSAGES.contains_key(NAME));
        refuse(NAME, &bytes).unwrap();
        refuse(NAME, &[]).unwrap();
    }

    #[test]
    fn what_is_not_known_is_named_at_any_depth() {
        // Field 99, a varint; then the same within a turn (field 2) and its part (field 2).
        let unknown = [0x98, 0x06, 1];
        let within =
            |tag: u8, inside: &[u8]| [&[tag, u8::try_from(inside.len()).unwrap()], inside].concat();
        let part = within(0x12, &unknown);
        for (bytes, param, message) in [
            (unknown.to_vec(), "message", "field 99 of tollgate.v1.GenerateRequest"),
            (within(0x12, &unknown), "messages", "messages: field 99 of tollgate.v1.Message"),
            (within(0x12, &part), "messages.content", "field 99 of tollgate.v1.Part"),
        ] {
            let error = refuse(NAME, &bytes).unwrap_err();
            assert_eq!(error.body().param.as_deref(), Some(param));
            assert!(error.message().contains(message), "{error}");
        }
    }

    #[test]
    fn broken_bytes_end_the_search() {
        for bytes in [&[0x12, 200][..], &[0xff; 20], &[0x13], &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            drop(refuse(NAME, bytes));
        }
    }
}
