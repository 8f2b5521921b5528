//! The dead letter of a message that will not arrive: the alert as it was published, and headers that say who was not told, and why.

use super::report::DeadNotification;

/// A dead letter as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The fingerprint of the alert.
    pub key: Vec<u8>,
    /// The alert as it was published.
    pub value: Vec<u8>,
    /// Who was not told, and why.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl DeadNotification {
    /// As it is published. `ce_id` is made of that of the alert, the receiver's name and the reason, so what is published again is known.
    ///
    /// # Panics
    ///
    /// Never: an alert is JSON.
    #[must_use]
    pub fn letter(&self) -> DeadLetter {
        let DeadNotification { receiver, target, topic, id, alert, reason, .. } = self;
        // what the receiver answered stands in the log: it may be another status the next time, and this is the same letter
        let (message, reason) = (format!("{receiver} at {target} was not told of this alert"), reason.name());
        let headers = [
            ("__streams.errors.exception", "tillstream.DeadNotification".to_owned()),
            ("__streams.errors.message", message),
            ("__streams.errors.topic", (*topic).to_owned()),
            ("tillstream-reason", reason.to_owned()),
            ("tillstream-receiver", receiver.clone()),
            ("ce_id", format!("{id}-{receiver}-{reason}")),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
        DeadLetter {
            key: alert.fingerprint.clone().into_bytes(),
            value: serde_json::to_vec(alert).expect("an alert is JSON"),
            headers: headers.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::DeadReason;
    use super::super::samples;
    use super::*;
    use crate::event::alert::Alert;

    #[test]
    fn a_dead_letter_is_the_alert_with_who_was_not_told_and_why() {
        let revision = samples::revision(1).alert;
        let dead = DeadNotification {
            receiver: "pager".to_owned(),
            target: "https://events.example".to_owned(),
            topic: "alerts.drift",
            id: "b4893ee5-1-65-3".to_owned(),
            alert: revision,
            reason: DeadReason::Refused,
            status: Some(400),
            said: "no such key".to_owned(),
        };
        let letter = dead.letter();
        let told: Alert = serde_json::from_slice(&letter.value).expect("an alert");
        assert_eq!(told, dead.alert);
        assert_eq!(letter.key, dead.alert.fingerprint.as_bytes());
        let header = |name: &str| {
            let (_, value) = letter.headers.iter().find(|(of, _)| of == name)?;
            String::from_utf8(value.clone()).ok()
        };
        assert_eq!(header("tillstream-reason").as_deref(), Some("notification_refused"));
        assert_eq!(header("ce_id").as_deref(), Some("b4893ee5-1-65-3-pager-notification_refused"));
        let said = "pager at https://events.example was not told of this alert";
        assert_eq!(header("__streams.errors.message").as_deref(), Some(said));
    }
}
