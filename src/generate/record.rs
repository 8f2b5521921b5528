//! A record as it goes into a raw topic, and as a line of a file.

use serde::de::IgnoredAny;

/// The topics that traffic goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RawTopic {
    /// What visitors do, keyed by visitor.
    Clickstream,
    /// Attempts to pay and their results, keyed by card.
    Payments,
    /// What became known about payments, keyed by payment.
    Labels,
    /// What happens to orders, keyed by customer or visitor.
    Orders,
    /// Transactions of tills, keyed by store.
    Pos,
    /// Logins and changes of accounts, keyed by customer.
    Accounts,
    /// Changes of the catalogue, keyed by item.
    Catalogue,
    /// What somebody else's models predicted, keyed by prediction.
    Predictions,
    /// What the shop says beforehand of its changes, keyed by change.
    Announcements,
}

impl RawTopic {
    /// Those that something happens to.
    pub(super) const TRAFFIC: [RawTopic; 8] = [
        RawTopic::Clickstream,
        RawTopic::Payments,
        RawTopic::Labels,
        RawTopic::Orders,
        RawTopic::Pos,
        RawTopic::Accounts,
        RawTopic::Catalogue,
        RawTopic::Predictions,
    ];

    /// Whether its records have the field that a change may be about: features of predictions are named apart from fields of payments.
    pub(super) fn has(self, field: &str) -> bool {
        FEATURES.contains(&field) == (self == RawTopic::Predictions)
    }

    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RawTopic::Clickstream => "clickstream",
            RawTopic::Payments => "payments",
            RawTopic::Labels => "labels",
            RawTopic::Orders => "orders",
            RawTopic::Pos => "pos",
            RawTopic::Accounts => "accounts",
            RawTopic::Catalogue => "catalogue",
            RawTopic::Predictions => "predictions",
            RawTopic::Announcements => "alerts.control",
        }
    }
}

impl RawTopic {
    /// Who sends its records, and who does once they send them otherwise.
    fn producers(self) -> [&'static str; 2] {
        match self {
            RawTopic::Clickstream => ["/web/12.4", "/web/12.5"],
            RawTopic::Payments => ["/checkout/7.3", "/checkout/7.4"],
            RawTopic::Labels => ["/review-desk/2.0", "/review-desk/2.1"],
            RawTopic::Orders => ["/orders/5.2", "/orders/5.3"],
            RawTopic::Pos => ["/till/4.1", "/till/4.2"],
            RawTopic::Accounts => ["/accounts/2.8", "/accounts/2.9"],
            RawTopic::Catalogue => ["/merchandise/3.0", "/merchandise/3.1"],
            RawTopic::Predictions => ["/returns-model/3.0", "/returns-model/3.1"],
            RawTopic::Announcements => ["/merchandise/3.0", "/merchandise/3.1"],
        }
    }

    /// Who sends its records; a new version of them where these are otherwise than before.
    pub(super) fn producer(self, is_changed: bool) -> &'static str {
        let [usual, changed] = self.producers();
        if is_changed { changed } else { usual }
    }
}

/// Features of the predictions that a change may be about.
const FEATURES: [&str; 4] = ["amount", "returns_90d", "discount_percent", "delivery"];

/// A record as a producer sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedRecord {
    /// Where it goes.
    pub topic: RawTopic,
    /// The record's own timestamp: when it first arrived, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Who sends it: its header `ce_source`.
    pub source: &'static str,
    /// What its topic is keyed by.
    pub key: String,
    /// The payload: one line of JSON, UTF-8; broken on purpose in a few records.
    pub value: Vec<u8>,
}

/// Appends `record` to `out` as an envelope line (`docs/contracts.md`, "Files"), with its line
/// break.
///
/// A payload that is a JSON value of one line stands as it is; any other one as a JSON text.
/// Reading the line back gives the payload byte for byte if it is UTF-8 (what the generator makes
/// is).
pub fn write_line(record: &GeneratedRecord, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"topic\":\"");
    out.extend_from_slice(record.topic.name().as_bytes());
    out.extend_from_slice(b"\",\"ts\":");
    super::json::push_number(out, record.timestamp_ms);
    out.extend_from_slice(b",\"source\":\"");
    out.extend_from_slice(record.source.as_bytes());
    out.extend_from_slice(b"\",\"key\":");
    super::json::push_text(out, &record.key);
    out.extend_from_slice(b",\"value\":");
    if stands_as_it_is(&record.value) {
        out.extend_from_slice(&record.value);
    } else {
        super::json::push_text(out, &String::from_utf8_lossy(&record.value));
    }
    out.extend_from_slice(b"}\n");
}

/// Whether `value` is an object in one line: what begins otherwise is rare, and a text or `null`
/// would be read back as something else.
fn stands_as_it_is(value: &[u8]) -> bool {
    value.first() == Some(&b'{')
        && value.last() == Some(&b'}')
        && !value.contains(&b'\n')
        && !value.contains(&b'\r')
        && serde_json::from_slice::<IgnoredAny>(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &[u8]) -> String {
        let record = GeneratedRecord {
            topic: RawTopic::Payments,
            timestamp_ms: 1_767_607_200_123,
            source: "/checkout/7.3",
            key: "tok_\"1".to_owned(),
            value: value.to_vec(),
        };
        let mut out = Vec::new();
        write_line(&record, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_object_stands_as_it_is_and_anything_else_as_a_text() {
        let cases: [(&[u8], &str); 8] = [
            (br#"{"a": 1}"#, r#"{"a": 1}"#),
            (br#"{"a":{"b":1}"#, r#""{\"a\":{\"b\":1}""#),
            (b"", r#""""#),
            (b"null", r#""null""#),
            (br#""text""#, r#""\"text\"""#),
            (b"{\n}", r#""{\n}""#),
            (b"17", r#""17""#),
            ("{\"ü".as_bytes(), "\"{\\\"ü\""),
        ];
        for (value, expected) in cases {
            let line = line(value);
            let start =
                r#"{"topic":"payments","ts":1767607200123,"source":"/checkout/7.3","key":"tok_\"1","value":"#;
            assert_eq!(line, format!("{start}{expected}}}\n"));
            assert!(serde_json::from_str::<IgnoredAny>(&line).is_ok());
        }
    }
}
