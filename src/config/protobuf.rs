//! A serialized `google.protobuf.Struct` to the value tree.
//!
//! According to Envoy's documentation, a plugin configuration of type Struct reaches the plugin as JSON. Envoy 1.40 passes
//! the serialized message, so both are accepted. Reads only the part of the wire format
//! (<https://protobuf.dev/programming-guides/encoding/>) that the messages of `struct.proto` need.

use super::tree::{Object, Value};

/// Limit on the nesting, as in JSON.
const DEEPEST: usize = 128;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

/// Reads a Struct; `None` if the bytes are something else. JSON is never accepted: it would have to start with a line feed
/// that its first bracket follows as the length of a well-formed entry.
pub(super) fn read_struct(bytes: &[u8]) -> Option<Value> {
    if bytes.first() != Some(&0x0A) {
        return None;
    }
    fields_of_struct(bytes, 0)
}

fn fields_of_struct(mut bytes: &[u8], depth: usize) -> Option<Value> {
    let mut object = Object::new();
    while !bytes.is_empty() {
        let (1, Field::Bytes(entry)) = next_field(&mut bytes)? else {
            return None;
        };
        let (key, value) = map_entry(entry, depth)?;
        // Of a repeated map key, the last entry counts.
        object.retain(|(known, _)| *known != key);
        object.push((key, value));
    }
    Some(Value::Object(object))
}

fn map_entry(mut bytes: &[u8], depth: usize) -> Option<(String, Value)> {
    let (mut key, mut value) = (String::new(), Value::Null);
    while !bytes.is_empty() {
        match next_field(&mut bytes)? {
            (1, Field::Bytes(text)) => key = String::from_utf8(text.to_vec()).ok()?,
            (2, Field::Bytes(message)) => value = read_value(message, depth)?,
            _ => return None,
        }
    }
    Some((key, value))
}

fn read_value(mut bytes: &[u8], depth: usize) -> Option<Value> {
    let depth = depth.checked_add(1).filter(|depth| *depth < DEEPEST)?;
    let mut value = Value::Null;
    while !bytes.is_empty() {
        value = match next_field(&mut bytes)? {
            (1, Field::Varint(_)) => Value::Null,
            (2, Field::Fixed64(bits)) => {
                Value::Number(Some(f64::from_bits(bits)).filter(|number| number.is_finite())?)
            }
            (3, Field::Bytes(text)) => Value::String(String::from_utf8(text.to_vec()).ok()?),
            (4, Field::Varint(number)) => Value::Bool(number != 0),
            (5, Field::Bytes(message)) => fields_of_struct(message, depth)?,
            (6, Field::Bytes(message)) => read_list(message, depth)?,
            _ => return None,
        };
    }
    Some(value)
}

fn read_list(mut bytes: &[u8], depth: usize) -> Option<Value> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let (1, Field::Bytes(message)) = next_field(&mut bytes)? else {
            return None;
        };
        list.push(read_value(message, depth)?);
    }
    Some(Value::Array(list))
}

enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = varint(bytes)?;
    let field = match tag & 0b111 {
        VARINT => Field::Varint(varint(bytes)?),
        FIXED64 => {
            let (number, rest) = bytes.split_first_chunk::<8>()?;
            *bytes = rest;
            Field::Fixed64(u64::from_le_bytes(*number))
        }
        BYTES => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            let (content, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Field::Bytes(content)
        }
        _ => return None,
    };
    Some((tag >> 3, field))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// `{"on": true, "n": 1.5, "s": "x", "l": [null, {"d": false}]}` in Struct's binary form.
    const SAMPLE: &[u8] = b"\x0a\x08\x0a\x02on\x12\x02\x20\x01\
        \x0a\x0e\x0a\x01n\x12\x09\x11\x00\x00\x00\x00\x00\x00\xf8\x3f\
        \x0a\x08\x0a\x01s\x12\x03\x1a\x01x\
        \x0a\x18\x0a\x01l\x12\x13\x32\x11\x0a\x02\x08\x00\x0a\x0b\x2a\x09\x0a\x07\x0a\x01d\x12\x02\x20\x00";

    #[test]
    fn a_struct_is_read_with_every_kind_of_value() {
        let json = br#"{"on": true, "n": 1.5, "s": "x", "l": [null, {"d": false}]}"#;
        let expected = crate::config::raw::read(json).unwrap();
        assert_eq!(read_struct(SAMPLE), Some(expected));
    }

    #[test]
    fn json_is_never_read_as_a_struct() {
        for text in ["{}", "\n{}", "\n\n{\"a\":1}", "\n[\"\"]", "", "\n"] {
            assert_eq!(read_struct(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn truncated_and_changed_bytes_never_panic() {
        for end in 0..SAMPLE.len() {
            read_struct(&SAMPLE[..end]);
        }
        for at in 0..SAMPLE.len() {
            for bit in 0..8 {
                let mut changed = SAMPLE.to_vec();
                changed[at] ^= 1 << bit;
                read_struct(&changed);
            }
        }
        let mut nested = vec![0x08, 0x00];
        for _ in 0..25 {
            let mut list = vec![0x0A, nested.len() as u8];
            list.append(&mut nested);
            nested = vec![0x32, list.len() as u8];
            nested.append(&mut list);
        }
        assert!(read_value(&nested, 0).is_some());
        assert!(read_value(&nested, DEEPEST - 20).is_none());
    }
}
