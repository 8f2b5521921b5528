//! Who is told of alerts, and how.

use super::reader::Section;
use super::resolve::secret_of;
use crate::event::alert::{AlertKind, Severity};
use crate::fault::Fault;
use crate::notify::filter::Filter;
use crate::notify::secret::PlainHttp;
use crate::notify::{Address, AlertTopic, NotifyConfig, PageUrl, Rate, ReceiverConfig, ReceiverKind, Secret};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// What a receiver is, by its name in the configuration.
const KINDS: [(&str, Kind); 4] = [
    ("alertmanager", Kind::Alertmanager),
    ("pagerduty", Kind::PagerDuty),
    ("slack", Kind::Slack),
    ("webhook", Kind::Webhook),
];

#[derive(Clone, Copy)]
enum Kind {
    Alertmanager,
    PagerDuty,
    Slack,
    Webhook,
}

/// None without receivers. Files are relative to `folder`.
pub(super) fn notify(
    mut section: Section<'_>,
    application: &str,
    folder: &Path,
    faults: &mut Vec<Fault>,
) -> Option<NotifyConfig> {
    let allow_http = section.truth("allow_http", false, faults);
    let plain = if allow_http { PlainHttp::Allowed } else { PlainHttp::Refused };
    let page_url = section.optional_text("page_url", faults).and_then(|text| {
        let page = PageUrl::new(&text);
        page.map_err(|fault| faults.push(Fault::new(section.path("page_url"), fault.to_string()))).ok()
    });
    let mut receivers = Vec::<ReceiverConfig>::new();
    for (place, value) in section.list("receivers", faults).into_iter().flatten().enumerate() {
        let path = format!("{}[{place}]", section.path("receivers"));
        let reader = Receiver { plain, folder };
        if let Some(found) = reader.read(Section::element(path.clone(), value, faults), faults) {
            if receivers.iter().any(|known| known.name == found.name) {
                faults.push(Fault::new(path, "has the name of another receiver"));
            }
            receivers.push(found);
        }
    }
    section.finish(faults);
    (!receivers.is_empty()).then(|| NotifyConfig { application: application.to_owned(), page_url, receivers })
}

/// How receivers are read.
struct Receiver<'r> {
    plain: PlainHttp,
    folder: &'r Path,
}

impl Receiver<'_> {
    fn read(&self, mut section: Section<'_>, faults: &mut Vec<Fault>) -> Option<ReceiverConfig> {
        section.require(&["name", "kind"], faults);
        let name = section.text("name", "", faults);
        if name.trim().is_empty() {
            faults.push(Fault::new(section.path("name"), "must not be empty"));
        }
        let kind = match section.choice("kind", Kind::Webhook, &KINDS, faults) {
            Kind::Alertmanager => self.alertmanager(&mut section, faults),
            Kind::PagerDuty => self.pagerduty(&mut section, faults),
            Kind::Slack => self.slack(&mut section, faults),
            Kind::Webhook => self.webhook(&mut section, faults),
        };
        let kind = kind.filter(|_| !name.trim().is_empty());
        let config = kind.map(|kind| ReceiverConfig::new(&name, kind));
        let defaults = config.as_ref();
        let severities = named(&mut section, "severities", &SEVERITIES, faults)
            .or_else(|| defaults.map(|config| config.filter.severities.clone()));
        let filter = Filter {
            severities: severities.unwrap_or_default(),
            kinds: named(&mut section, "kinds", &AlertKind::NAMES, faults).unwrap_or_default(),
            topics: named(&mut section, "topics", &AlertTopic::NAMES, faults).unwrap_or_default(),
        };
        let catch_up = defaults.map_or(Duration::ZERO, |config| config.catch_up);
        let catch_up = section.duration("catch_up", catch_up, Duration::ZERO, faults);
        let rate = Rate {
            every: section.duration("every", SECOND, Duration::from_millis(1), faults),
            burst: section.count("burst", 10, 1..=10_000, faults),
        };
        section.finish(faults);
        config.map(|config| ReceiverConfig { filter, catch_up, rate, ..config })
    }

    fn alertmanager(&self, section: &mut Section<'_>, faults: &mut Vec<Fault>) -> Option<ReceiverKind> {
        section.require(&["urls"], faults);
        let text = |value: &Value| value.as_str().and_then(|text| Address::new(text, self.plain).ok());
        let mut urls = Vec::new();
        let list = section.list("urls", faults);
        if list.is_some_and(Vec::is_empty) {
            faults.push(Fault::new(section.path("urls"), "must name at least one address"));
        }
        for (place, value) in list.into_iter().flatten().enumerate() {
            match text(value) {
                Some(url) => urls.push(url),
                None => {
                    let path = format!("{}[{place}]", section.path("urls"));
                    faults.push(Fault::new(path, NO_ADDRESS));
                }
            }
        }
        let repeat = section.duration("repeat", ReceiverKind::REPEAT, SECOND, faults);
        let resolved_for = section.duration("resolved_for", ReceiverKind::RESOLVED_FOR, SECOND, faults);
        let authorization = self.secret(section, "authorization_file", faults);
        (!urls.is_empty()).then_some(ReceiverKind::Alertmanager { urls, repeat, resolved_for, authorization })
    }

    fn pagerduty(&self, section: &mut Section<'_>, faults: &mut Vec<Fault>) -> Option<ReceiverKind> {
        section.require(&["routing_key_file"], faults);
        let url = self.address(section, "url", faults);
        let routing_key = self.secret(section, "routing_key_file", faults)?;
        Some(ReceiverKind::PagerDuty { url: url.unwrap_or_else(ReceiverKind::pagerduty_url), routing_key })
    }

    fn slack(&self, section: &mut Section<'_>, faults: &mut Vec<Fault>) -> Option<ReceiverKind> {
        section.require(&["url_file"], faults);
        let file = section.optional_text("url_file", faults)?;
        let read = secret_of(&self.folder.join(file));
        let url = read.and_then(|bytes| {
            let text = String::from_utf8(bytes).map_err(|_| NO_ADDRESS.to_owned())?;
            Address::new(&text, self.plain).map_err(|fault| fault.to_string())
        });
        url.map_err(|message| faults.push(Fault::new(section.path("url_file"), message)))
            .ok()
            .map(|url| ReceiverKind::Slack { url })
    }

    fn webhook(&self, section: &mut Section<'_>, faults: &mut Vec<Fault>) -> Option<ReceiverKind> {
        section.require(&["url", "secret_file"], faults);
        let url = self.address(section, "url", faults);
        let secret = self.secret(section, "secret_file", faults);
        let authorization = self.secret(section, "authorization_file", faults);
        Some(ReceiverKind::Webhook { url: url?, secret: secret?, authorization })
    }

    fn address(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
        faults: &mut Vec<Fault>,
    ) -> Option<Address> {
        let text = section.optional_text(key, faults)?;
        let address = Address::new(&text, self.plain);
        address.map_err(|fault| faults.push(Fault::new(section.path(key), fault.to_string()))).ok()
    }

    fn secret(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
        faults: &mut Vec<Fault>,
    ) -> Option<Secret> {
        let file = section.optional_text(key, faults)?;
        let secret = secret_of(&self.folder.join(file))
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "must hold text".to_owned()));
        secret
            .map_err(|message| faults.push(Fault::new(section.path(key), message)))
            .ok()
            .map(|text| Secret::new(&text))
    }
}

const NO_ADDRESS: &str = "must be an address that begins with https:// (plain http for this machine alone, or with notify.allow_http)";
const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("ticket", Severity::Ticket), ("page", Severity::Page)];

/// A list of names, if it is there.
fn named<T: Copy>(
    section: &mut Section<'_>,
    key: &'static str,
    names: &[(&'static str, T)],
    faults: &mut Vec<Fault>,
) -> Option<Vec<T>> {
    let list = section.list(key, faults)?;
    let mut found = Vec::new();
    for (place, value) in list.iter().enumerate() {
        match names.iter().find(|(name, _)| value.as_str() == Some(*name)) {
            Some((_, known)) => found.push(*known),
            None => {
                let known: Vec<_> = names.iter().map(|(name, _)| *name).collect();
                let path = format!("{}[{place}]", section.path(key));
                faults.push(Fault::new(path, format!("must be one of {}", known.join(", "))));
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tree;

    fn resolved(json: &str, folder: &Path) -> (Option<NotifyConfig>, Vec<String>) {
        let tree: Tree = serde_json::from_str(json).expect("a section");
        let mut faults = Vec::new();
        let section = Section::root(&tree).section("notify", &mut faults);
        let config = notify(section, "shop", folder, &mut faults);
        (config, faults.into_iter().map(|fault| fault.path).collect())
    }

    #[test]
    fn receivers_have_the_defaults_of_their_kind_and_secrets_come_from_files() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("key"), "0123456789abcdef0123456789abcdef\n").expect("writable");
        let (config, faults) = resolved(
            r#"{"notify": {"page_url": "https://ops.example/#/alerts/{alert_id}", "receivers": [
                {"name": "am", "kind": "alertmanager", "urls": ["http://127.0.0.1:9093"]},
                {"name": "pd", "kind": "pagerduty", "routing_key_file": "key"},
                {"name": "hook", "kind": "webhook", "url": "https://hook.example", "secret_file": "key",
                 "severities": ["page"], "kinds": ["volume"], "topics": ["alerts.drift"]}]}}"#,
            folder.path(),
        );
        assert_eq!(faults, Vec::<String>::new());
        let config = config.expect("three receivers");
        let of = |place: usize| config.receivers.get(place).expect("three receivers");
        assert_eq!(of(0).filter.severities, [Severity::Ticket, Severity::Page]);
        assert_eq!(of(1).filter.severities, [Severity::Page]);
        assert_eq!((of(2).filter.severities.len(), of(2).filter.kinds.len()), (1, 1));
        assert!(!format!("{config:?}").contains("0123456789"), "secrets are not shown");
    }

    #[test]
    fn every_fault_of_the_section_is_reported() {
        let (config, faults) = resolved(
            r#"{"notify": {"page_url": "nowhere", "receivers": [
                {"name": "", "kind": "slack"},
                {"name": "am", "kind": "alertmanager", "urls": ["http://far.example"], "severities": ["loud"]},
                {"name": "hook", "kind": "webhook", "url": "https://hook.example", "secret_file": "not there"},
                {"name": "x", "kind": "pigeon", "burst": 0},
                {"name": "nobody", "kind": "alertmanager", "urls": []}]}}"#,
            Path::new("."),
        );
        assert!(config.is_none());
        for path in [
            "notify.page_url",
            "notify.receivers[0].name",
            "notify.receivers[0].url_file",
            "notify.receivers[1].urls[0]",
            "notify.receivers[1].severities[0]",
            "notify.receivers[2].secret_file",
            "notify.receivers[3].kind",
            "notify.receivers[3].burst",
            "notify.receivers[4].urls",
        ] {
            assert!(faults.iter().any(|fault| fault == path), "{path} in {faults:?}");
        }
    }
}
