//! What an answer means: told, later, or never.

use crate::time::ProcessingTime;
use std::time::Duration;

/// A receiver that asks for more patience than this is asked again: what waits is for people.
const PATIENCE_MAX: Duration = Duration::from_secs(3_600);
/// What is kept of what a receiver said.
const SAID_CHARS_MAX: usize = 200;

/// What came back for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver answered.
    Status {
        /// With this.
        status: u16,
        /// Its header `retry-after`, if it sent one.
        retry_after: Option<String>,
        /// The beginning of its body.
        said: String,
    },
    /// It did not, or not in time. The request may have arrived.
    None {
        /// Why, in words.
        why: String,
    },
}

/// What it means for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It has arrived.
    Told,
    /// It may arrive later; for so long the receiver wants no other either.
    Later(Hold),
    /// It never will. Another one may.
    Refused(u16),
}

/// Whether a receiver wants to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It does not say so.
    No,
    /// It does, without saying for how long.
    ForAWhile,
    /// It does, for so long.
    For(Duration),
}

impl Answer {
    /// What it means.
    pub(super) fn meaning(&self, now: ProcessingTime) -> Meaning {
        let Answer::Status { status, retry_after, .. } = self else { return Meaning::Later(Hold::No) };
        let wait = retry_after.as_deref().and_then(|text| patience(text, now)).map(Hold::For);
        match status {
            200..=299 => Meaning::Told,
            429 => Meaning::Later(wait.unwrap_or(Hold::ForAWhile)),
            503 => Meaning::Later(wait.unwrap_or(Hold::No)),
            408 | 500..=599 => Meaning::Later(Hold::No),
            // a redirection is not followed: where secrets are sent is for the configuration to say
            _ => Meaning::Refused(*status),
        }
    }

    /// The status, if there was an answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Answer::Status { status, .. } => Some(*status),
            Answer::None { .. } => None,
        }
    }

    /// What the receiver said, or why it said nothing: one line, without the secrets that `hide` takes out.
    pub(super) fn said(&self, hide: impl Fn(&str) -> String) -> String {
        let (Answer::Status { said, .. } | Answer::None { why: said }) = self;
        let words = hide(said).split(|letter: char| letter.is_control() || letter.is_whitespace()).fold(
            String::new(),
            |line, word| match (line.as_str(), word) {
                (_, "") => line,
                ("", word) => word.to_owned(),
                (line, word) => format!("{line} {word}"),
            },
        );
        words.chars().take(SAID_CHARS_MAX).collect()
    }

    /// What it was, in words.
    pub(super) fn in_words(&self, hide: impl Fn(&str) -> String) -> String {
        let said = self.said(hide);
        match self {
            Answer::Status { status, .. } if said.is_empty() => format!("answered {status}"),
            Answer::Status { status, .. } => format!("answered {status}: {said}"),
            Answer::None { .. } => said,
        }
    }
}

/// Seconds, or a date of HTTP.
fn patience(text: &str, now: ProcessingTime) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            ProcessingTime(date.as_millisecond()).since(now)
        }
    };
    Some(asked.min(PATIENCE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        Answer::Status { status, retry_after: retry_after.map(str::to_owned), said: String::new() }
    }

    #[test]
    fn an_answer_means_told_later_or_never() {
        // Sun, 06 Nov 1994 08:49:00 GMT
        let now = ProcessingTime(784_111_740_000);
        let wait = |seconds| Meaning::Later(Hold::For(Duration::from_secs(seconds)));
        let cases = [
            (answer(200, None), Meaning::Told),
            (answer(202, Some("9")), Meaning::Told),
            (answer(204, None), Meaning::Told),
            (answer(301, None), Meaning::Refused(301)),
            (answer(400, Some("9")), Meaning::Refused(400)),
            (answer(404, None), Meaning::Refused(404)),
            (answer(408, None), Meaning::Later(Hold::No)),
            (answer(429, None), Meaning::Later(Hold::ForAWhile)),
            (answer(429, Some("7")), wait(7)),
            (answer(429, Some("soon")), Meaning::Later(Hold::ForAWhile)),
            (answer(429, Some("-7")), Meaning::Later(Hold::ForAWhile)),
            (answer(500, Some("7")), Meaning::Later(Hold::No)),
            (answer(503, None), Meaning::Later(Hold::No)),
            (answer(503, Some("Sun, 06 Nov 1994 08:49:37 GMT")), wait(37)),
            (answer(503, Some("Sun, 06 Nov 1994 08:48:00 GMT")), wait(0)),
            (answer(503, Some("86400")), wait(3_600)),
            (Answer::None { why: "timed out".to_owned() }, Meaning::Later(Hold::No)),
        ];
        for (answer, expected) in cases {
            assert_eq!(answer.meaning(now), expected, "{answer:?}");
        }
    }

    #[test]
    fn what_a_receiver_said_is_one_short_line_without_secrets() {
        let said = format!("no such\r\n\tkey: s3cr3t {}", "é".repeat(300));
        let answer = Answer::Status { status: 404, retry_after: None, said };
        let said = answer.said(|text| text.replace("s3cr3t", "…"));
        assert!(said.starts_with("no such key: … é"), "{said}");
        assert_eq!(said.chars().count(), 200);
    }
}
