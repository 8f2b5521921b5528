//! What was published of alerts, looked at by itself: whatever a fresh fold gives, an episode opens once, its revisions rise by one,
//! and of what it is about no other is open meanwhile.

use super::world::World;
use crate::event::alert::{Alert, AlertKind, AlertStatus, Resolution};
use crate::log::{Append, Destination, Topic, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// How often which kind of episode did what.
pub(super) type Told = BTreeMap<(&'static str, &'static str), u64>;

/// What episodes of every kind must do under some seeds, and what of all of them some must.
const EACH: [&str; 3] = ["opened", "updated", "ended"];
const SOME: [&str; 8] =
    ["recovered", "adopted", "expected", "opened again", "opened anew", "acknowledged", "muted", "unmuted"];

/// The distinct revisions that were published, by episode and revision.
fn published(world: &World) -> Result<BTreeMap<String, BTreeMap<u32, Alert>>, String> {
    let (mut ids, mut episodes) = (BTreeSet::new(), BTreeMap::<String, BTreeMap<u32, Alert>>::new());
    for topic in Topic::ALERTS {
        for number in 0..world.topology.partitions(topic) {
            for (_, record) in world.read(TopicPartition::new(topic, number)) {
                // published at least once: the same one has the same id
                if !ids.insert(super::check::name_of(&record.headers)) {
                    continue;
                }
                let alert = read(record.value.as_deref())?;
                let (id, revision) = (alert.alert_id.clone(), alert.revision);
                if let Some(other) = episodes.entry(id).or_default().insert(revision, alert) {
                    return Err(format!("revision {revision} of {} was published as two", other.title));
                }
            }
        }
    }
    Ok(episodes)
}

fn read(value: Option<&[u8]>) -> Result<Alert, String> {
    serde_json::from_slice(value.unwrap_or_default()).map_err(|fault| fault.to_string())
}

/// The published revisions are those of whole episodes, each of which opened once, one after the other.
pub(super) fn check(world: &World) -> Result<(), String> {
    let mut about = BTreeMap::<String, Vec<BTreeMap<u32, Alert>>>::new();
    for revisions in published(world)?.into_values() {
        let known: Vec<u32> = revisions.keys().copied().collect();
        let Some((_, first)) = revisions.first_key_value() else { continue };
        if known.iter().zip(1..).any(|(known, expected)| *known != expected) {
            return Err(format!("{} has revisions {known:?}", first.title));
        }
        let what =
            |alert: &Alert| (alert.fingerprint.clone(), alert.kind, alert.subject.clone(), alert.detected_ms);
        if first.status != AlertStatus::Open || revisions.values().any(|alert| what(alert) != what(first)) {
            return Err(format!("{} begins with {first:?}", first.title));
        }
        about.entry(first.fingerprint.clone()).or_default().push(revisions);
    }
    for mut episodes in about.into_values() {
        episodes.sort_by_key(|revisions| revisions.first_key_value().map(|(_, first)| first.detected_ms));
        for pair in episodes.windows(2) {
            let [before, after] = pair else { continue };
            let (Some((_, last)), Some((_, first))) = (before.last_key_value(), after.first_key_value())
            else {
                continue;
            };
            if last.status == AlertStatus::Open || first.detected_ms == last.detected_ms {
                return Err(format!("{} opened while {} was open", first.title, last.title));
            }
        }
    }
    Ok(())
}

/// In the order in which a fold makes them, an episode about something begins when the one before has ended.
pub(super) fn check_order(made: &[Append]) -> Result<(), String> {
    let mut open = BTreeMap::<String, Alert>::new();
    for append in made {
        let Destination::ByKey(topic) = append.destination else { continue };
        if !Topic::ALERTS.contains(&topic) {
            continue;
        }
        let alert = read(append.value.as_deref())?;
        match open.get(&alert.fingerprint) {
            Some(known) if known.alert_id == alert.alert_id && known.revision + 1 == alert.revision => {}
            Some(known) if known.status == AlertStatus::Open || alert.revision != 1 => {
                return Err(format!("{alert:?} after {known:?}"));
            }
            None if alert.revision != 1 => return Err(format!("{alert:?} after nothing")),
            _ => {}
        }
        open.insert(alert.fingerprint.clone(), alert);
    }
    Ok(())
}

/// What episodes did.
pub(super) fn told(world: &World) -> Told {
    let mut told = Told::new();
    let mut about = BTreeMap::<String, u64>::new();
    for revisions in published(world).unwrap_or_default().into_values() {
        let mut before: Option<&Alert> = None;
        for alert in revisions.values() {
            let kind = alert.kind.name();
            let mut count = |what| *told.entry((kind, what)).or_default() += 1;
            for what in what_happened(before, alert) {
                count(what);
            }
            if before.is_none() {
                let episodes = about.entry(alert.fingerprint.clone()).or_default();
                *episodes += 1;
                if *episodes > 1 {
                    count("opened anew");
                }
            }
            before = Some(alert);
        }
    }
    told
}

/// What a revision says that the one before did not.
fn what_happened(before: Option<&Alert>, alert: &Alert) -> Vec<&'static str> {
    let is_open = |alert: &Alert| alert.status == AlertStatus::Open;
    let was_open = before.is_some_and(is_open);
    let mut what = match (before, is_open(alert)) {
        (None, _) => vec!["opened"],
        (Some(_), true) if was_open => vec!["updated"],
        (Some(_), true) => vec!["opened again"],
        (Some(_), false) if was_open => vec!["ended"],
        _ => Vec::new(),
    };
    if what == ["ended"] {
        what.extend(alert.resolution.map(|resolution| match resolution {
            Resolution::Recovered => "recovered",
            Resolution::Adopted => "adopted",
            Resolution::Expected => "expected",
        }));
    }
    if alert.acknowledged.is_some() && before.is_some_and(|before| before.acknowledged.is_none()) {
        what.push("acknowledged");
    }
    let muted = |alert: &Alert| alert.muted_until_ms;
    match (before.and_then(muted), muted(alert)) {
        (None, Some(_)) => what.push("muted"),
        (Some(until), None) if until > alert.as_of_ms => what.push("unmuted"),
        _ => {}
    }
    what
}

/// What of all that has to happen did not.
pub(super) fn missing(told: &Told) -> Vec<String> {
    let mut missing = Vec::new();
    for (kind, _) in AlertKind::NAMES {
        let never = EACH.into_iter().filter(|what| !told.contains_key(&(kind, *what)));
        missing.extend(never.map(|what| format!("{kind} {what}")));
    }
    let happened: BTreeSet<&str> = told.keys().map(|(_, what)| *what).collect();
    missing.extend(SOME.into_iter().filter(|what| !happened.contains(what)).map(str::to_owned));
    missing
}
