//! JSON written by hand into a buffer that is used again: the generator's speed comes from here.

use std::ops::Range;

/// A payload in the making.
#[derive(Debug, Default)]
pub(super) struct Json {
    bytes: Vec<u8>,
}

impl Json {
    /// Appends `raw` as it is: punctuation and texts known to need no escape.
    pub(super) fn raw(&mut self, raw: &str) -> &mut Json {
        self.bytes.extend_from_slice(raw.as_bytes());
        self
    }

    /// Appends a number in decimal digits.
    pub(super) fn number(&mut self, number: i64) -> &mut Json {
        push_number(&mut self.bytes, number);
        self
    }

    /// Appends a number from 0 to 1, rounded to six digits.
    pub(super) fn millionths(&mut self, number: f64) -> &mut Json {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
        let millionths = (number.clamp(0.0, 1.0) * 1e6).round() as u64;
        self.padded(millionths / 1_000_000, 1).raw(".").padded(millionths % 1_000_000, 6)
    }

    /// Appends a number in decimal digits, at least `width` (1 to 20) of them.
    pub(super) fn padded(&mut self, number: u64, width: usize) -> &mut Json {
        push_digits(&mut self.bytes, number, width);
        self
    }

    /// Appends all 16 hexadecimal digits of `number`.
    pub(super) fn hex(&mut self, number: u64) -> &mut Json {
        let digits = number.to_be_bytes().map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)]);
        self.bytes.extend_from_slice(digits.as_flattened());
        self
    }

    /// Appends `text` in quotes, escaped.
    pub(super) fn text(&mut self, text: &str) -> &mut Json {
        push_text(&mut self.bytes, text);
        self
    }

    /// The value of the object's member `name`, as it is written. For what has no object with a member of that name before it.
    pub(super) fn member(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(self.place_of(name)?.1)?).ok()
    }

    /// Writes `value` instead of that of the member `name`, if there is one.
    pub(super) fn replace(&mut self, name: &str, value: &str) {
        if let Some((_, place)) = self.place_of(name) {
            self.bytes.splice(place, value.bytes());
        }
    }

    /// Takes the member `name` out, if there is one.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some((place, _)) = self.place_of(name) {
            self.bytes.drain(place);
        }
    }

    /// Where the member `name` stands, from its comma on, and where its value: a number, or a text without escapes.
    fn place_of(&self, name: &str) -> Option<(Range<usize>, Range<usize>)> {
        let quoted = format!(",\"{name}\":");
        let start = self.bytes.windows(quoted.len()).position(|part| part == quoted.as_bytes())?;
        let from = start + quoted.len();
        let rest = self.bytes.get(from..)?;
        let length = match rest.split_first()? {
            (b'"', text) => text.iter().position(|&byte| byte == b'"')? + 2,
            _ => rest.iter().position(|byte| b",}".contains(byte))?,
        };
        Some((start..from + length, from..from + length))
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A copy of what was written.
    pub(super) fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Appends `number` in decimal digits.
pub(super) fn push_number(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_digits(out, number.unsigned_abs(), 1);
}

/// Appends `text` in quotes, escaped as RFC 8259 demands and no further.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, escaped) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = escaped.split_first() else {
            break;
        };
        push_escape(out, byte);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex_digit(byte >> 4), hex_digit(byte & 15)]),
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// Appends `number` with zeros in front up to `width`, at most 20, the digits of the largest
/// number.
fn push_digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        first = place;
        if number == 0 {
            break;
        }
    }
    let first = first.min(digits.len().saturating_sub(width));
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, -1, 1_767_607_200_123, i64::MAX, i64::MIN] {
            let mut json = Json::default();
            json.number(number);
            assert_eq!(json.to_text(), number.to_string());
        }
        let mut json = Json::default();
        json.padded(42, 5).raw(" ").padded(123_456, 5).raw(" ").padded(u64::MAX, 1).raw(" ").hex(0xab_cdef);
        assert_eq!(json.to_text(), "00042 123456 18446744073709551615 0000000000abcdef");
    }

    #[test]
    fn a_share_has_six_digits() {
        let mut json = Json::default();
        json.millionths(0.0)
            .raw(" ")
            .millionths(0.012_345_6)
            .raw(" ")
            .millionths(1.0)
            .raw(" ")
            .millionths(0.999_999_9);
        assert_eq!(json.to_text(), "0.000000 0.012346 1.000000 1.000000");
    }

    #[test]
    fn a_member_is_read_replaced_and_taken_out() {
        let mut json = Json::default();
        json.raw(r#"{"a":"x","amount_minor":12,"channel":"store","last":7}"#);
        assert_eq!(json.member("amount_minor"), Some("12"));
        assert_eq!((json.member("channel"), json.member("absent")), (Some("\"store\""), None));
        json.replace("amount_minor", "1200");
        json.replace("channel", "\"app\"");
        json.replace("last", "8");
        json.replace("absent", "0");
        assert_eq!(json.to_text(), r#"{"a":"x","amount_minor":1200,"channel":"app","last":8}"#);
        ["channel", "last", "absent"].iter().for_each(|name| json.remove(name));
        assert_eq!(json.to_text(), r#"{"a":"x","amount_minor":1200}"#);
    }

    #[test]
    fn a_text_reads_back_as_itself() {
        for text in ["", "plain", "27\" \\ monitor", "crème brûlée", "\n\r\t\u{1}\u{1f}", "\"", "ends \\"]
        {
            let mut json = Json::default();
            json.text(text);
            assert_eq!(serde_json::from_slice::<String>(json.as_bytes()).unwrap(), text);
        }
    }
}
