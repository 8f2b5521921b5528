//! Why a payload was refused.

use super::bounds::Bounds;
use super::object::Object;
use super::text::Text;
use serde::Deserialize;

/// Nesting beyond this is refused.
pub const DEPTH_MAX: usize = 32;

/// The reason's name is the header `tillstream-reason` and the label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "see RejectReason::name and docs/contracts.md")]
pub enum RejectReason {
    Empty,
    TooLarge,
    TooDeep,
    NotJson,
    WrongType,
    MissingField,
    OutOfRange,
    BadRules,
    OtherFold,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [RejectReason; 9] = [
        RejectReason::Empty,
        RejectReason::TooLarge,
        RejectReason::TooDeep,
        RejectReason::NotJson,
        RejectReason::WrongType,
        RejectReason::MissingField,
        RejectReason::OutOfRange,
        RejectReason::BadRules,
        RejectReason::OtherFold,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::Empty => "empty",
            RejectReason::TooLarge => "too_large",
            RejectReason::TooDeep => "too_deep",
            RejectReason::NotJson => "not_json",
            RejectReason::WrongType => "wrong_type",
            RejectReason::MissingField => "missing_field",
            RejectReason::OutOfRange => "out_of_range",
            RejectReason::BadRules => "bad_rules",
            RejectReason::OtherFold => "other_fold",
        }
    }
}

/// A refused payload: the reason, the place in the payload, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {path}: {message}", reason.name())]
pub struct Reject {
    /// The reason.
    pub reason: RejectReason,
    /// The place, such as `items[2].price_minor`; `$` is the whole payload.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// A message is cut here: it quotes the record, and must fit into the headers of its dead letter.
const MESSAGE_BYTES_MAX: usize = 512;

impl Reject {
    /// A refusal of what stands at `path`. Of a message, 512 bytes are kept.
    #[must_use]
    pub fn at(reason: RejectReason, path: impl Into<String>, message: impl Into<String>) -> Reject {
        let mut message = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
            message.push('…');
        }
        Reject { reason, path: path.into(), message }
    }

    /// A field that must be there and is not.
    #[must_use]
    pub fn missing(field: &str) -> Reject {
        Reject::at(RejectReason::MissingField, field, "is required")
    }
}

/// Reads `payload` as an object of the fields of `T` and counts those that the contract does not know.
///
/// # Errors
///
/// [`Reject`] if it is empty, larger than `bytes_max`, nested deeper than [`DEPTH_MAX`], not JSON, or
/// not of the types of `T`. Bounds are looked at by the caller.
pub fn read_object<'a, T: Deserialize<'a>>(payload: &'a [u8], bytes_max: usize) -> Result<(T, u32), Reject> {
    check_size(payload, bytes_max)?;
    let text = std::str::from_utf8(payload)
        .map_err(|fault| Reject::at(RejectReason::NotJson, "$", format!("not UTF-8: {fault}")))?;
    let mut unknown_fields = 0;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_ignored::deserialize(&mut json, |_| unknown_fields += 1).and_then(|object| {
        json.end()?;
        Ok(object)
    });
    match read {
        Ok(Object(object)) => Ok((object, unknown_fields)),
        Err(fault) => Err(explain::<Object<T>>(text, &fault)),
    }
}

/// The name of an event whose topic carries several contracts: an event that none of them describes is judged by its name
/// alone.
///
/// # Errors
///
/// As [`read_object`], and if the name has not 1 to 64 characters.
pub fn event_name<'a>(payload: &'a [u8], bytes_max: usize) -> Result<Text<'a>, Reject> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        event_name: Text<'a>,
    }
    let (named, _) = read_object::<Named<'a>>(payload, bytes_max)?;
    let mut bounds = Bounds::default();
    bounds.text("event_name", &named.event_name, (1, 64));
    bounds.verdict()?;
    Ok(named.event_name)
}

fn check_size(payload: &[u8], bytes_max: usize) -> Result<(), Reject> {
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Err(Reject::at(RejectReason::Empty, "$", "there is no payload"));
    }
    if payload.len() > bytes_max {
        let message = format!("{} bytes, and the limit is {bytes_max}", payload.len());
        return Err(Reject::at(RejectReason::TooLarge, "$", message));
    }
    if depth_exceeds(payload, DEPTH_MAX) {
        return Err(Reject::at(RejectReason::TooDeep, "$", format!("nested deeper than {DEPTH_MAX}")));
    }
    Ok(())
}

/// Whether brackets outside texts nest deeper than `depth_max`. Payloads with few brackets, which is
/// nearly all of them, are only counted.
fn depth_exceeds(payload: &[u8], depth_max: usize) -> bool {
    if memchr::memchr2_iter(b'{', b'[', payload).nth(depth_max).is_none() {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in payload {
        match (in_text, *byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_text = false,
            (true, _) => {}
            (false, b'"') => in_text = true,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
        if depth > depth_max {
            return true;
        }
    }
    false
}

/// Reads the payload once more, slowly, for the place of the fault.
fn explain<'a, T: Deserialize<'a>>(text: &'a str, fault: &serde_json::Error) -> Reject {
    if !fault.is_data() {
        return Reject::at(RejectReason::NotJson, "$", fault.to_string());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let (path, message) = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(fault) => (fault.path().to_string(), fault.inner().to_string()),
        Ok(_) => (".".to_owned(), fault.to_string()),
    };
    // of these two, serde's path is that of the object around the field
    let field = ["missing field `", "duplicate field `"].iter().find_map(|start| message.strip_prefix(start));
    let field = field.and_then(|rest| rest.split('`').next());
    let path = match (path.as_str(), field) {
        (".", field) => field.unwrap_or("$").to_owned(),
        (path, Some(field)) => format!("{path}.{field}"),
        (path, None) => path.to_owned(),
    };
    let reason = if message.starts_with("missing field") {
        RejectReason::MissingField
    } else if message.starts_with("invalid value: integer") || message.contains("number out of range") {
        RejectReason::OutOfRange
    } else {
        RejectReason::WrongType
    };
    Reject::at(reason, path, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_quotes_a_large_record_is_cut_between_two_characters() {
        let payload = format!("{{\"a\":\"{}\"}}", "é\u{7f}".repeat(10_000));
        #[derive(Debug, Deserialize)]
        struct Numbers {
            #[expect(dead_code, reason = "it is never read")]
            a: i64,
        }
        let reject = read_object::<Numbers>(payload.as_bytes(), 1 << 20).map(|_| ()).expect_err("no number");
        assert_eq!((reject.reason, reject.path.as_str()), (RejectReason::WrongType, "a"));
        assert!(reject.message.len() <= MESSAGE_BYTES_MAX + 3 && reject.message.ends_with('…'), "{reject}");
    }

    #[test]
    fn nesting_is_counted_outside_texts_only() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!depth_exceeds(nested(32).as_bytes(), 32));
        assert!(depth_exceeds(nested(33).as_bytes(), 32));
        let text = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(40), "{".repeat(40));
        assert!(!depth_exceeds(text.as_bytes(), 32));
        let flat = format!("[{}1]", "[1],".repeat(100));
        assert!(!depth_exceeds(flat.as_bytes(), 32));
    }
}
