//! The oracle against cases worked out by hand from the documents.

use super::compare::{multiset, parts, same};
use super::entity_log::{Outcome, Visited};
use super::raw::{Judgement, RawRecord};
use super::views::{self, EventSource, Feature, View};
use super::{Log, Public, Settings, decision_log, entity_log, raw, session};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use tillstream::event::part::PaymentContext;
use tillstream::event::{
    Body, ClickCopy, ClickName, Copy as EventCopy, Deadline, DecisionEvent, DecisionId, EntityKind,
    EntitySet, FieldId, ItemRef, Label, LabelOutcome, Part, PaymentCopy, RawOrigin, Value, key_hash,
};
use tillstream::log::frame::{EventsWriter, FoldVersion, Frame, Item, Life, Promise, Record, SourceId};
use tillstream::log::position::Position;
use tillstream::time::EventTime;
use xxhash_rust::xxh3::xxh3_64;

const MINUTE: i64 = 60_000;
const ONE: SourceId = SourceId { topic: 1, partition: 0 };
const TWO: SourceId = SourceId { topic: 1, partition: 1 };

/// Writes a log of one partition.
#[derive(Default, Clone)]
struct Writer {
    records: Vec<(i64, Vec<u8>)>,
    stands: BTreeMap<SourceId, i64>,
}

impl Writer {
    fn joined(sources: &[SourceId]) -> Writer {
        let mut writer = Writer::default();
        writer.record(vec![Item::Join(sources.iter().map(|source| (*source, "clickstream")).collect())]);
        writer
    }

    fn record(&mut self, items: Vec<Item<'_>>) {
        let record = Record { life: Life(1), fold: FoldVersion(1), items };
        self.records.push((self.records.len() as i64, record.encode()));
    }

    /// A frame with the next raw offsets of `source`, one for each event.
    fn frame<E: serde::Serialize>(&mut self, source: SourceId, events: &[E], promise: Promise) {
        let from = *self.stands.get(&source).unwrap_or(&-1);
        self.frame_from(source, from, events, promise);
        self.stands.insert(source, from + events.len() as i64);
    }

    fn frame_from<E: serde::Serialize>(
        &mut self,
        source: SourceId,
        from: i64,
        events: &[E],
        promise: Promise,
    ) {
        let mut writer = EventsWriter::default();
        for (offset, event) in (from + 1..).zip(events) {
            writer.push(Position::new(offset, 0), event);
        }
        self.record(vec![Item::Frame(Frame {
            source,
            from: Position::end_of(from),
            to: Position::end_of(from + events.len() as i64),
            promise,
            count: writer.count(),
            events: writer.bytes(),
        })]);
    }

    fn log(self) -> Log {
        BTreeMap::from([(0, self.records)])
    }

    fn folded(self) -> Outcome {
        entity_log::outcome(&self.log(), &Settings::default(), &views::defaults())
    }
}

fn until(minutes: i64) -> Promise {
    Promise::Watermark(EventTime(minutes * MINUTE))
}

fn click(id: &'static str, minutes: i64) -> EventCopy<'static> {
    clicked(id, minutes, ClickName::PageView, Vec::new())
}

fn clicked(
    id: &'static str,
    minutes: i64,
    name: ClickName,
    items: Vec<ItemRef<'static>>,
) -> EventCopy<'static> {
    EventCopy {
        kind: EntityKind::Visitor,
        hash: key_hash(EntityKind::Visitor, "v"),
        key: "v",
        event_id: id,
        time: EventTime(minutes * MINUTE),
        producer: None,
        body: Body::Click(ClickCopy { page: Some(id), items, ..ClickCopy::named(name) }),
    }
}

fn attempt<'a>(
    kind: EntityKind,
    key: &'a str,
    id: &'a str,
    time: i64,
    amount: i64,
    other: u64,
) -> EventCopy<'a> {
    let own = kind == EntityKind::Card;
    EventCopy {
        kind,
        hash: key_hash(kind, key),
        key,
        event_id: id,
        time: EventTime(time),
        producer: None,
        body: Body::Payment(PaymentCopy {
            payment_id: id,
            expected: EntitySet::default().with(EntityKind::Card).with(EntityKind::Device),
            values: vec![
                (FieldId::AmountMinor, Value::Number(amount)),
                (if own { FieldId::Device } else { FieldId::Card }, Value::Hash(other)),
            ],
            for_linked: None,
            context: own.then_some(PaymentContext {
                payment_id: id,
                amount_minor: amount,
                currency: "EUR",
                channel: None,
                card_country: Some("DE"),
                ip_country: Some("FR"),
                billing_country: None,
                shipping_country: None,
            }),
        }),
    }
}

fn of<'a>(outcome: &'a Outcome, topic: &str) -> Vec<&'a Json> {
    outcome.public.iter().filter(|record| record.topic == topic).map(|record| &record.value).collect()
}

/// Revision, start and end in minutes, superseded ids, whether it is final.
fn revisions(outcome: &Outcome) -> Vec<(u64, i64, i64, Vec<String>, bool)> {
    let minutes = |value: &Json| value.as_i64().expect("a time") / MINUTE;
    of(outcome, "sessions")
        .into_iter()
        .map(|value| {
            let superseded = value["supersedes"].as_array().expect("a list");
            (
                value["revision"].as_u64().expect("a number"),
                minutes(&value["start_ms"]),
                minutes(&value["end_ms"]),
                superseded.iter().map(|id| id.as_str().expect("an id").to_owned()).collect(),
                value["is_final"] == json!(true),
            )
        })
        .collect()
}

fn id(minutes: i64) -> String {
    session::session_id("v", minutes * MINUTE)
}

#[test]
fn a_session_is_published_at_its_gap_and_final_after_the_allowed_lateness() {
    let mut log = Writer::joined(&[ONE]);
    log.frame(ONE, &[click("a", 0), click("b", 10)], until(10));
    let none: [EventCopy<'_>; 0] = [];
    log.frame(ONE, &none, Promise::Watermark(EventTime(40 * MINUTE - 1)));
    log.frame(ONE, &none, until(40));
    log.frame(ONE, &none, until(45));
    let outcome = log.folded();
    assert_eq!(revisions(&outcome), [(1, 0, 10, vec![], false), (2, 0, 10, vec![], true)]);
    assert_eq!(of(&outcome, "features.session").len(), 1, "one for the one record with clicks");
    assert_eq!(of(&outcome, "features.session")[0]["events"], 2);
}

#[test]
fn a_click_in_the_allowed_lateness_revises_at_once_or_sets_the_session_running() {
    let mut log = Writer::joined(&[ONE, TWO]);
    let none: [EventCopy<'_>; 0] = [];
    log.frame(TWO, &none, until(1_000));
    log.frame(ONE, &[click("a", 10)], until(41));
    // Between 0 and 10 nothing moves the end: revised at once, under the id of the new start.
    log.frame(ONE, &[click("b", 0)], until(41));
    // The end moves to 12, which the watermark has not reached by the gap: it runs again.
    log.frame(ONE, &[click("c", 12)], until(41));
    log.frame(ONE, &none, until(42));
    log.frame(ONE, &none, until(47));
    let outcome = log.folded();
    assert_eq!(
        revisions(&outcome),
        [
            (1, 10, 10, vec![], false),
            (1, 0, 10, vec![id(10)], false),
            (2, 0, 12, vec![], false),
            (3, 0, 12, vec![], true),
        ]
    );
    let ledger = outcome.ledger[&EntityKind::Visitor];
    assert_eq!((ledger.copies, ledger.applied, ledger.late_applied), (3, 1, 2));
}

#[test]
fn a_click_between_two_published_sessions_merges_them() {
    let mut log = Writer::joined(&[ONE]);
    log.frame(ONE, &[click("a", 0), click("b", 50)], until(31));
    log.frame(ONE, &[click("c", 25)], until(31));
    let none: [EventCopy<'_>; 0] = [];
    log.frame(ONE, &none, until(80));
    let outcome = log.folded();
    // The first was published as 0–0; with 25 in between both are one that ends at 50.
    assert_eq!(revisions(&outcome), [(1, 0, 0, vec![], false), (2, 0, 50, vec![], false)]);
}

#[test]
fn a_late_click_names_the_session_that_it_missed() {
    for (at, late, missed) in [(35, true, true), (36, false, false), (-40, true, false)] {
        let mut log = Writer::joined(&[ONE]);
        log.frame(ONE, &[click("a", 5)], until(70));
        log.frame(ONE, &[click("b", at)], until(70));
        let outcome = log.folded();
        let records = of(&outcome, "late");
        assert_eq!(records.len(), usize::from(late), "{at}");
        assert_eq!(outcome.ledger[&EntityKind::Visitor].late, u64::from(late));
        if let Some(record) = records.first() {
            let session = json!({ "session_id": id(5), "start_ms": 5 * MINUTE, "end_ms": 5 * MINUTE });
            assert_eq!(record["missed_session"], if missed { session } else { Json::Null });
            assert_eq!(record["origin"], json!({ "topic": "clickstream", "partition": 0, "offset": 1 }));
            assert_eq!(record["watermark_ms"], 70 * MINUTE);
        }
        assert_eq!(outcome.visitors["v"], Visited { late, ..Visited::default() });
    }
}

#[test]
fn a_click_near_a_closed_session_that_is_not_late_itself_opens_another() {
    let mut log = Writer::joined(&[ONE]);
    log.frame(ONE, &[click("a", 0)], until(35));
    log.frame(ONE, &[click("b", 1)], until(36));
    let outcome = log.folded();
    assert_eq!(
        revisions(&outcome),
        [
            (1, 0, 0, vec![], false),
            (2, 0, 0, vec![], true),
            (1, 1, 1, vec![], false),
            (2, 1, 1, vec![], true)
        ]
    );
    assert!(outcome.visitors["v"].split);
    assert_eq!(of(&outcome, "features.session").len(), 2, "the last click's session became final with it");
}

#[test]
fn an_id_is_a_duplicate_until_the_watermark_has_passed_it_by_the_horizon() {
    for (watermark, duplicate) in [(159, 1), (160, 0)] {
        let mut log = Writer::joined(&[ONE]);
        // A long session keeps the repeated click from being late.
        log.frame(ONE, &[click("a", 100), click("b", 129), click("c", 158)], until(watermark));
        log.frame(ONE, &[click("a", 100)], until(watermark));
        let outcome = log.folded();
        let ledger = outcome.ledger[&EntityKind::Visitor];
        assert_eq!((ledger.copies, ledger.duplicate), (4, duplicate), "{watermark}");
        assert_eq!(outcome.visitors["v"].counted_again, duplicate == 0);
    }
}

#[test]
fn frames_that_come_again_are_skipped_and_those_beyond_are_refused() {
    let mut log = Writer::joined(&[ONE]);
    log.frame_from(ONE, -1, &[click("a", 0)], until(0));
    log.frame_from(ONE, 1, &[click("c", 2)], until(500));
    log.frame_from(ONE, -1, &[click("a", 0), click("b", 1)], until(0));
    let outcome = log.folded();
    assert_eq!(outcome.refused_frames, 1);
    assert_eq!(outcome.ledger[&EntityKind::Visitor].copies, 2);
    assert_eq!(outcome.watermarks[&0], Some(0), "a refused frame promises nothing");
}

#[test]
fn time_is_the_minimum_of_the_waking_sources_and_the_highest_of_the_sleeping() {
    let none: [EventCopy<'_>; 0] = [];
    let idle = |minutes: Option<i64>, idle_ms| Promise::Idle {
        highest: minutes.map(|minutes| EventTime(minutes * MINUTE)),
        idle_ms,
    };
    let steps = [
        (ONE, until(10), None),
        (TWO, until(5), Some(5 * MINUTE)),
        (TWO, until(3), Some(5 * MINUTE)),
        (TWO, idle(Some(8), 20_000), Some(10 * MINUTE)),
        (ONE, idle(Some(11), 15_000), Some(11 * MINUTE + 15_000)),
        (TWO, until(9), Some(11 * MINUTE + 15_000)),
        (TWO, until(12), Some(12 * MINUTE)),
    ];
    for taken in 1..=steps.len() {
        let mut log = Writer::joined(&[ONE, TWO]);
        for (source, promise, _) in &steps[..taken] {
            log.frame(*source, &none, *promise);
        }
        assert_eq!(log.folded().watermarks[&0], steps[taken - 1].2, "after {taken} frames");
    }
}

#[test]
fn a_session_says_what_its_clicks_say_in_any_order() {
    let item = |item, price_minor, quantity| ItemRef { item, category: Some("Cups"), price_minor, quantity };
    let mut clicks = vec![
        clicked("1", 0, ClickName::ViewItem, vec![item("x", Some(100), 1), item("y", Some(200), 3)]),
        clicked("2", 1, ClickName::AddToCart, vec![item("x", Some(100), 3)]),
        clicked("3", 2, ClickName::ViewItemList, vec![item("z", Some(1), 1)]),
        clicked("4", 3, ClickName::RemoveFromCart, vec![item("x", None, 1)]),
        clicked("5", 4, ClickName::BeginCheckout, vec![item("x", None, 1)]),
        clicked("6", 4, ClickName::Other, vec![]),
    ];
    let mut before: Option<Json> = None;
    for _ in 0..clicks.len() {
        clicks.rotate_left(1);
        let mut log = Writer::joined(&[ONE]);
        log.frame(ONE, &clicks, until(34));
        let outcome = log.folded();
        let session = of(&outcome, "sessions")[0].clone();
        assert_eq!(session["categories"], json!({ "Cups": 4 }));
        assert_eq!(session["cart"], json!({ "x": 2 }));
        assert_eq!(session["last_items"], json!(["x", "y"]));
        assert_eq!(session["outcome"], "checkout_abandoned");
        assert_eq!(session["other_events"], 1);
        let later = if xxh3_64(b"5") > xxh3_64(b"6") { "5" } else { "6" };
        assert_eq!((&session["landing_page"], &session["exit_page"]), (&json!("1"), &json!(later)));
        let running = of(&outcome, "features.session")[0];
        assert_eq!(
            running["price_level"],
            json!({ "mean_minor": 150.0, "min_minor": 100, "max_minor": 200 })
        );
        assert!(before.is_none_or(|before| same(&before, &session)));
        before = Some(session);
    }
}

#[test]
fn features_cover_what_is_at_or_before_the_payment_and_inside_the_window() {
    let at = |id, time, amount, device| attempt(EntityKind::Card, "c", id, time, amount, device);
    let mut log = Writer::joined(&[ONE]);
    log.frame(
        ONE,
        &[
            at("1", 0, 100, 1),
            at("2", 10 * MINUTE, 300, 2),
            at("3", 10 * MINUTE - 1, 200, 1),
            at("4", 10 * MINUTE - 1, 400, 3),
        ],
        Promise::Unknown,
    );
    let outcome = log.folded();
    let features: Vec<&Json> =
        of(&outcome, "features.fraud").into_iter().map(|value| &value["features"]).collect();
    assert_eq!(features[0].get("card_velocity__seconds_since_last"), None);
    assert_eq!(features[0].get("card_velocity__seconds_since_first"), None);
    assert_eq!(features[0].get("card_velocity__amount_last"), None);
    // The first is exactly a window older than the second, and so no longer in it.
    assert_eq!(features[1]["card_velocity__count_10m"], 1.0);
    assert_eq!(features[1]["card_velocity__count_1h"], 2.0);
    assert_eq!(features[1]["card_velocity__seconds_since_last"], 600.0);
    assert_eq!(features[1]["card_velocity__seconds_since_first"], 600.0);
    assert_eq!(features[1]["card_velocity__amount_last"], 100.0);
    // The second is later than the third, so it does not count; its time is the newest all the same.
    assert_eq!(features[2]["card_velocity__amount_sum_10m"], 300.0);
    assert_eq!(features[2]["card_velocity__device_distinct_10m"], 1.0);
    assert_eq!(features[2]["card_velocity__seconds_since_last"], 0.0);
    assert_eq!(features[2].get("card_velocity__amount_last"), None, "the last one is later");
    assert_eq!(features[3]["card_velocity__amount_mean_10m"], 700.0 / 3.0);
    assert_eq!(features[3]["card_velocity__amount_max_10m"], 400.0);
    assert_eq!(features[3]["card_velocity__ip_distinct_10m"], 0.0);
    assert_eq!(features[3]["card_results__count_1h"], 0.0);
    assert!(of(&outcome, "features.fraud").iter().all(|value| value["estimates"] == json!({})));
}

#[test]
fn a_view_may_wait_and_leave_the_payment_out() {
    let view = |name, delay, include_current| View {
        name,
        entity: EntityKind::Card,
        source: EventSource::Attempted,
        windows: vec![("10m", 10 * MINUTE)],
        delay,
        include_current,
        features: vec![Feature::Count, Feature::Mean(FieldId::AmountMinor)],
        filter: None,
    };
    let mut log = Writer::joined(&[ONE]);
    let copies = ["1", "2", "3"].map(|id| {
        attempt(EntityKind::Card, "c", id, id.parse::<i64>().expect("a number") * 5 * MINUTE, 100, 1)
    });
    log.frame(ONE, &copies, Promise::Unknown);
    let views = [view("later", 5 * MINUTE, true), view("others", 0, false)];
    let outcome = entity_log::outcome(&log.log(), &Settings::default(), &views);
    let features: Vec<Json> =
        of(&outcome, "features.fraud").into_iter().map(|value| value["features"].clone()).collect();
    assert_eq!(features[0], json!({ "later__count_10m": 0.0, "others__count_10m": 0.0 }));
    // At 15: later covers (0, 10], others (5, 15] without the payment itself.
    assert_eq!(features[2]["later__count_10m"], 2.0);
    assert_eq!(features[2]["others__count_10m"], 1.0);
}

#[test]
fn from_the_257th_event_on_a_key_is_counted_in_buckets() {
    let ids: Vec<String> = (0..300).map(|number| format!("p{number}")).collect();
    // One payment a second from 00:00:00 on, each with its own card.
    let copies: Vec<EventCopy<'_>> = (0..300)
        .zip(&ids)
        .map(|(second, id)| attempt(EntityKind::Device, "d", id, second * 1_000, 1, second as u64))
        .collect();
    let mut log = Writer::joined(&[ONE]);
    log.frame(ONE, &copies, Promise::Unknown);
    // Ten minutes after the last: its second is the first of the window of 10 m.
    let last = attempt(EntityKind::Device, "d", "last", (200 + 600) * 1_000, 1, 7);
    log.frame(ONE, &[last], Promise::Unknown);
    let outcome = log.folded();
    assert_eq!(outcome.turned, 1);
    let records = of(&outcome, "features.fraud");
    assert_eq!(records[255]["estimates"], json!({}));
    let tenth = "device_velocity__count_10m";
    assert_eq!(records[255]["features"][tenth], 256.0);
    assert_eq!(records[256]["features"][tenth], 257.0);
    assert_eq!(records[256]["estimates"][tenth], 0.015_625);
    assert_eq!(records[256]["estimates"].get("device_velocity__card_distinct_10m"), None, "still exact");
    // Exactly: seconds 201 to 299 and itself. In buckets of 9.375 s: number 21 begins at 196.875 s,
    // so seconds 197 to 299 and itself.
    assert_eq!(records[300]["features"][tenth], 104.0);
    // Distinct of those newer than second 200, among them the card of second 7, seen again now.
    assert_eq!(records[300]["features"]["device_velocity__card_distinct_10m"], 100.0);
}

#[test]
fn the_buckets_of_a_window_are_kept_for_its_own_retention() {
    let hour = 60 * MINUTE;
    // Of 64 minutes: a minute each, kept for 64 min, the delay of 2 min, and 5 min of lateness.
    let view = |name, windows, delay| View {
        name,
        entity: EntityKind::Device,
        source: EventSource::Attempted,
        windows,
        delay,
        include_current: true,
        features: vec![Feature::Count],
        filter: None,
    };
    let views = [
        view("now", vec![("64m", 64 * MINUTE), ("64h", 64 * hour)], 0),
        view("then", vec![("64m", 64 * MINUTE)], 2 * MINUTE),
    ];
    let (newest, retention) = (200 * hour, 71 * MINUTE);
    for (behind, counts) in [(retention - 1, [1.0, 2.0]), (retention, [1.0; 2]), (retention + 1, [1.0; 2])] {
        let ids: Vec<String> = (0..259).map(|number| format!("p{number}")).collect();
        let time = |number: usize| if number < 257 { newest } else { newest - behind };
        let copies: Vec<EventCopy<'_>> = (0..259)
            .map(|number| attempt(EntityKind::Device, "d", &ids[number], time(number), 1, 1))
            .collect();
        let mut log = Writer::joined(&[ONE]);
        log.frame(ONE, &copies, Promise::Unknown);
        let outcome = entity_log::outcome(&log.log(), &Settings::default(), &views);
        assert_eq!(outcome.turned, 1);
        let records = of(&outcome, "features.fraud");
        for (record, short, long) in [(257, counts[0], 1.0), (258, counts[1], 2.0)] {
            let features = &records[record]["features"];
            assert_eq!(features["now__count_64m"], short, "{behind}");
            assert_eq!(features["now__count_64h"], long, "{behind}");
            assert_eq!(features["then__count_64m"], 0.0, "{behind}");
        }
    }
}

#[test]
fn a_large_distinct_count_is_sampled_by_the_lowest_bits() {
    let ids: Vec<String> = (0..2_000).map(|number| format!("p{number}")).collect();
    let copies: Vec<EventCopy<'_>> = (0..2_000)
        .zip(&ids)
        .map(|(number, id)| attempt(EntityKind::Device, "d", id, number, 1, number as u64))
        .collect();
    let mut log = Writer::joined(&[ONE]);
    log.frame(ONE, &copies, Promise::Unknown);
    let outcome = log.folded();
    let records = of(&outcome, "features.fraud");
    let name = "device_velocity__card_distinct_10m";
    assert_eq!(records[1_023]["features"][name], 1_024.0);
    // The 1025th value (number 1024) makes the sample keep the even ones: 513 of 0 to 1024.
    assert_eq!(records[1_024]["features"][name], 1_026.0);
    assert_eq!(records[1_024]["estimates"][name], 0.037_5);
    assert_eq!(records[1_999]["features"][name], 2_000.0);
}

#[test]
fn a_device_seen_only_later_does_not_count_and_one_seen_before_and_later_perhaps() {
    let hour = 60 * MINUTE;
    let ids: Vec<String> = (0..257).map(|number| format!("p{number}")).collect();
    // 257 payments of a card from 10:00:00 on, each from its own device, make it large.
    let mut copies: Vec<EventCopy<'_>> = (0..257)
        .zip(&ids)
        .map(|(number, id)| {
            attempt(EntityKind::Card, "c", id, 10 * hour + number * 1_000, 1, number.unsigned_abs())
        })
        .collect();
    copies.push(attempt(EntityKind::Card, "c", "at 8", 8 * hour, 1, 1_000));
    copies.push(attempt(EntityKind::Card, "c", "at 5", 5 * hour, 1, 3));
    copies.push(attempt(EntityKind::Card, "c", "again at 8", 8 * hour, 1, 1_001));
    let mut log = Writer::joined(&[ONE]);
    log.frame(ONE, &copies, Promise::Unknown);
    let outcome = log.folded();
    assert_eq!(outcome.turned, 1);
    let records = of(&outcome, "features.fraud");
    let distinct = |record: usize| {
        ["10m", "1h", "24h", "7d"].map(|window| {
            let name = format!("card_velocity__device_distinct_{window}");
            let error = records[record]["estimates"].get(&name).and_then(Json::as_f64);
            (records[record]["features"][&name].as_f64().expect("a count"), error)
        })
    };
    assert_eq!(distinct(256), [(257.0, None); 4]);
    // Two hours earlier: its own device only. Device 3 at 5:00 has a time within each window, its own.
    assert_eq!(distinct(257), [(1.0, None); 4]);
    assert_eq!(distinct(258), [(1.0, None); 4]);
    // Devices 1000 and 1001 at 8:00. Device 3 was seen at 5:00 and 10:00:03, so perhaps in the ten minutes
    // or the hour before 8:00, and certainly in the day and the week.
    let perhaps = (3.0, Some(1.0 / 3.0));
    assert_eq!(distinct(259), [perhaps, perhaps, (3.0, None), (3.0, None)]);
}

#[test]
fn a_key_is_forgotten_when_the_watermark_has_passed_it_by_the_retention() {
    // The longest window of devices is 24 h; 5 min of allowed lateness come on top.
    let retention = 24 * 60 * MINUTE + 5 * MINUTE;
    for (watermark, since) in [(retention - 1, Some(60.0)), (retention, None)] {
        let mut log = Writer::joined(&[ONE]);
        let at = |id, time| attempt(EntityKind::Device, "d", id, time, 1, 1);
        log.frame(ONE, &[at("1", 0)], Promise::Watermark(EventTime(watermark)));
        log.frame(ONE, &[at("2", MINUTE)], Promise::Unknown);
        let views = [View {
            name: "d",
            entity: EntityKind::Device,
            source: EventSource::Attempted,
            windows: vec![("24h", 24 * 60 * MINUTE)],
            delay: 0,
            include_current: true,
            features: vec![Feature::TimeSinceLast],
            filter: None,
        }];
        let outcome = entity_log::outcome(&log.log(), &Settings::default(), &views);
        let value = of(&outcome, "features.fraud")[1]["features"].get("d__seconds_since_last").cloned();
        assert_eq!(value.and_then(|value| value.as_f64()), since);
        assert_eq!(outcome.ledger[&EntityKind::Device].late_applied, 1);
    }
}

fn part<'a>(kind: EntityKind, payment: &'a str, features: &[(&str, f64)], own: bool) -> DecisionEvent<'a> {
    part_of(7, kind, payment, features, own)
}

fn part_of<'a>(
    event: u64,
    kind: EntityKind,
    payment: &'a str,
    features: &[(&str, f64)],
    own: bool,
) -> DecisionEvent<'a> {
    DecisionEvent::Part(Part {
        decision: DecisionId::of_payment(payment),
        event,
        kind,
        entity: "e",
        expected: EntitySet::default().with(EntityKind::Card).with(EntityKind::Device),
        is_forwarded: false,
        time: EventTime(0),
        features: features
            .iter()
            .map(|(name, value)| (tillstream::event::part::feature_id(name), *value))
            .collect(),
        context: own.then_some(PaymentContext {
            payment_id: payment,
            amount_minor: 50_000,
            currency: "EUR",
            channel: None,
            card_country: Some("DE"),
            ip_country: Some("FR"),
            billing_country: None,
            shipping_country: None,
        }),
    })
}

#[test]
fn a_decision_is_made_when_all_parts_are_there() {
    let card = [
        ("card_velocity__device_distinct_24h", 4.0),
        ("card_labels__fraud_sum_30d", 0.0),
        ("card_velocity__count_10m", 5.0),
        ("card_velocity__count_7d", 5.0),
        ("card_velocity__amount_mean_7d", 1_000.0),
    ];
    let device = [("device_velocity__card_distinct_10m", 1.0), ("device_velocity__amount_mean_10m", 1.0)];
    let mut log = Writer::joined(&[ONE]);
    let other = part_of(8, EntityKind::Device, "p", &device, false);
    let parts = [
        part(EntityKind::Card, "p", &card, true),
        part(EntityKind::Card, "p", &[], true),
        other,
        part(EntityKind::Device, "p", &device, false),
        part(EntityKind::Device, "p", &device, false),
    ];
    log.frame(ONE, &parts, Promise::Unknown);
    let outcome = decision_log::outcome(&log.log(), &Settings::default(), &views::defaults());
    assert_eq!((outcome.ignored_parts, outcome.late_parts, outcome.open), (2, 1, 0));
    let [score, _vector] = &outcome.public[..] else { panic!("one score") };
    let value = &score.value;
    // Fired: card_on_many_devices 0.5, burst_on_card 0.45, unusual_amount 0.4 (50000 > 10 · 1000).
    assert!((value["score"].as_f64().expect("a number") - (1.0 - 0.5 * 0.55 * 0.6)).abs() < 1e-12);
    assert_eq!(value["decision"], "step_up");
    let rules: Vec<&Json> = value["reasons"].as_array().expect("a list").iter().map(|r| &r["rule"]).collect();
    assert_eq!(rules, ["card_on_many_devices", "burst_on_card", "unusual_amount"]);
    assert_eq!(
        value["reasons"][2]["inputs"],
        json!({
            "amount_minor": 50_000,
            "card_velocity__count_7d": 5.0,
            "derived__amount_to_card_mean": 50.0,
        })
    );
    assert_eq!(value["shadow"], json!(["countries_differ"]));
    assert_eq!(
        value["not_evaluated"],
        json!([
            { "rule": "card_testing_by_ip",
              "because": ["ip_velocity__amount_mean_10m", "ip_velocity__card_distinct_10m"] },
            { "rule": "many_cards_of_one_customer", "because": ["customer_velocity__card_distinct_24h"] },
            { "rule": "fraud_at_terminal",
              "because": ["terminal_labels__count_7d", "terminal_labels__fraud_mean_7d"] },
            { "rule": "no_clicks_before", "because": ["visitor_clicks__count_1h"] },
            { "rule": "account_taken_over", "because": [
                "customer_addresses__count_24h", "customer_credentials__count_24h", "customer_logins__count_24h",
            ] },
            { "rule": "credential_stuffing_by_ip", "because": ["ip_logins__customer_distinct_1h"] },
        ])
    );
    assert_eq!(value["missing_parts"], json!([]));
}

#[test]
fn a_deadline_closes_the_gather_that_it_was_set_for() {
    let mut log = Writer::joined(&[ONE]);
    log.frame(ONE, &[part(EntityKind::Device, "p", &[], false)], Promise::Unknown);
    let deadline =
        |opened_at| vec![Item::Deadline(Deadline { decision: DecisionId::of_payment("p"), opened_at })];
    log.record(deadline(0));
    log.record(deadline(1));
    log.record(deadline(1));
    log.frame(ONE, &[part(EntityKind::Card, "p", &[], true)], until(119));
    log.frame(ONE, &[part(EntityKind::Card, "p", &[], true)], until(120));
    log.frame(ONE, &[part(EntityKind::Card, "p", &[], true)], Promise::Unknown);
    let outcome = decision_log::outcome(&log.log(), &Settings::default(), &views::defaults());
    assert_eq!((outcome.deadlines, outcome.idle_deadlines), (1, 2));
    assert_eq!((outcome.late_parts, outcome.open), (2, 1), "the tombstone ends at two hours");
    let [score, _vector] = &outcome.public[..] else { panic!("one score") };
    assert_eq!(score.value["missing_parts"], json!(["card"]));
    assert_eq!((&score.value["payment_id"], &score.value["amount_minor"]), (&Json::Null, &Json::Null));
    assert_eq!((&score.value["score"], &score.value["decision"]), (&json!(0.0), &json!("approve")));
}

fn label<'a>(payment: &str, event_id: &'a str, known_at: i64) -> DecisionEvent<'a> {
    DecisionEvent::Label(Label {
        decision: DecisionId::of_payment(payment),
        event_id,
        known_at: EventTime(known_at),
        outcome: LabelOutcome::Fraud,
        source: "review",
        origin: RawOrigin { partition: 0, offset: 0 },
    })
}

#[test]
fn the_first_label_of_a_decision_counts_and_one_without_a_decision_waits_for_two_weeks() {
    let mut log = Writer::joined(&[ONE]);
    let both = |payment: &'static str| {
        [part(EntityKind::Card, payment, &[], true), part(EntityKind::Device, payment, &[], false)]
    };
    log.frame(ONE, &[label("first", "a", 0), label("first", "a", 5), label("first", "b", 6)], until(0));
    log.frame(ONE, &both("first"), until(1));
    log.frame(ONE, &both("second"), until(2));
    log.frame(ONE, &[label("second", "c", 7), label("none", "d", 60_000)], until(3));
    let two_weeks = 14 * 24 * 60;
    log.frame::<DecisionEvent<'_>>(ONE, &[], until(two_weeks));
    let outcome = |log: &Writer| {
        decision_log::outcome(&log.clone().log(), &Settings::default(), &views::defaults()).public
    };
    let of = |log: &Writer, topic: &str| -> Vec<String> {
        let records = outcome(log).into_iter().filter(|record| record.topic == topic);
        records.map(|record| record.value["label_id"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(of(&log, "labelled.fraud"), ["a", "c"]);
    assert_eq!(of(&log, "dead-letter"), ["b"]);
    log.frame::<DecisionEvent<'_>>(ONE, &[], until(two_weeks + 3));
    assert_eq!(of(&log, "dead-letter"), ["b", "d"]);
}

fn record(topic: &str, value: &str, timestamp_ms: Option<i64>) -> RawRecord {
    RawRecord {
        topic: topic.to_owned(),
        partition: 0,
        offset: 0,
        timestamp_ms,
        key: None,
        value: Some(value.as_bytes().to_vec()),
    }
}

#[test]
fn records_are_refused_with_a_reason() {
    let deep = |levels: usize| {
        format!(
            r#"{{"event_id":"e","event_name":"n","event_time_ms":1,"visitor_id":"v","x":{}1{}}}"#,
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        )
    };
    let large = " ".repeat((1 << 20) + 1);
    let cases: &[(&str, &str, &[&str])] = &[
        ("clickstream", r#"{"event_id":"e","event_name":"n","event_time_ms":1,"visitor_id":"v"}"#, &[]),
        ("clickstream", r#"{"event_id":"e","event_name":"n","event_time_ms":1.0,"visitor_id":"v"}"#, &[]),
        ("clickstream", "", &["empty"]),
        ("clickstream", &large, &["too_large"]),
        ("clickstream", &deep(32), &[]),
        ("clickstream", &deep(33), &["too_deep"]),
        ("clickstream", "{", &["not_json"]),
        ("clickstream", "[]", &["wrong_type"]),
        (
            "clickstream",
            r#"{"event_id":"","event_name":"n","event_time_ms":1.5}"#,
            &["missing_field", "out_of_range", "wrong_type"],
        ),
        ("payments", r#"{"event_name":"payment_refunded"}"#, &[]),
        ("payments", r#"{"event_name":""}"#, &["out_of_range"]),
        (
            "payments",
            r#"{"event_id":"e","event_name":"payment_result","event_time_ms":1,"payment_id":"p",
                "card_token":"c","status":"Approved"}"#,
            &["out_of_range"],
        ),
        (
            "payments",
            r#"{"event_id":"e","event_name":"payment_attempted","event_time_ms":1,"payment_id":"p",
                "card_token":"c","amount_minor":0,"currency":"EUR","visitor_id":null,"ip_country":"DE"}"#,
            &[],
        ),
    ];
    for (topic, value, reasons) in cases {
        let (judgement, _) = raw::judge(&record(topic, value, None), &Settings::default());
        let found = match judgement {
            Judgement::Refused(reasons) => reasons,
            _ => BTreeSet::new(),
        };
        assert_eq!(
            found,
            reasons.iter().copied().collect(),
            "{}",
            value.chars().take(200).collect::<String>()
        );
    }
}

/// `good/` and `bad/` of every schema, if they are there (they are not in the oracle's own crate).
#[test]
fn golden_records_are_judged_as_their_folder_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let contracts =
        [("clickstream", "clickstream"), ("payment_attempted", "payments"), ("payment_result", "payments")];
    for (schema, topic) in contracts {
        for (folder, good) in [("good", true), ("bad", false)] {
            let Ok(files) = std::fs::read_dir(root.join(schema).join("v1").join(folder)) else { continue };
            for file in files {
                let path = file.expect("a file").path();
                let mut golden = record(topic, "", None);
                golden.value = Some(std::fs::read(&path).expect("readable"));
                let (judgement, _) = raw::judge(&golden, &Settings::default());
                let refused = matches!(judgement, Judgement::Refused(_));
                assert_eq!(!refused, good, "{}: {judgement:?}", path.display());
            }
        }
    }
}

#[test]
fn raw_clicks_become_final_sessions_and_attempts_are_listed() {
    let click = |id: &str, minutes: i64, timestamp: Option<i64>| {
        let value = json!({
            "event_id": id, "event_name": "page_view", "event_time_ms": minutes * MINUTE,
            "visitor_id": "v", "customer_id": "c-1",
        });
        record("clickstream", &value.to_string(), timestamp)
    };
    let payment = json!({
        "event_id": "p", "event_name": "payment_attempted", "event_time_ms": 5, "payment_id": "p",
        "card_token": "t", "amount_minor": 1, "currency": "EUR", "customer_id": "c-1", "store_id": "s",
    });
    let records = [
        click("b", 30, None),
        click("a", 0, None),
        click("b", 30, None),
        // An hour and a half by its own word, but its record is from 00:51: clamped to 01:01.
        click("c", 90, Some(51 * MINUTE)),
        record("payments", &payment.to_string(), None),
    ];
    let pseudonym = |kind: EntityKind, id: &str, _| format!("{kind}:{id}");
    let outcome = raw::outcome(&records, &Settings::default(), &views::defaults(), pseudonym);
    let sessions: Vec<(i64, i64, u64)> = outcome.sessions["v"]
        .iter()
        .map(|session| {
            let minutes = |field: &str| session[field].as_i64().expect("a time") / MINUTE;
            (minutes("start_ms"), minutes("end_ms"), session["events"].as_u64().expect("a count"))
        })
        .collect();
    assert_eq!(sessions, [(0, 30, 2), (61, 61, 1)]);
    assert_eq!(outcome.sessions["v"][0]["customer_id"], "customer:c-1");
    assert!(outcome.judged[3].clamped && outcome.unclear.is_empty());
    let [attempt] = &outcome.attempts[..] else { panic!("one attempt") };
    assert_eq!(attempt.own, EntityKind::Customer);
    let expected = [EntityKind::Customer, EntityKind::Card, EntityKind::Store];
    assert_eq!(attempt.expected, expected.into_iter().collect());
    assert_eq!(attempt.entities[&EntityKind::Card], "card:t");
    assert_eq!(outcome.copies[&EntityKind::Visitor], 4);
}

#[test]
fn a_comparison_names_what_is_missing_and_what_is_nearest() {
    let one = Public::new("t", "k", json!({ "a": 1, "b": [1.0] }));
    let two = Public::new("t", "k", json!({ "a": 1.0, "b": [1.0 + 1e-13] }));
    let three = Public::new("t", "k", json!({ "a": 2, "b": [1.0] }));
    assert_eq!(multiset(&[one.clone(), three.clone()], &[three.clone(), two]), Ok(()));
    let report = multiset(&[one.clone(), one.clone()], &[one, three]).expect_err("they differ");
    assert!(report.contains("/a: expected 1, found 2"), "{report}");
}

#[test]
fn parts_of_a_folded_entity_log_are_compared_whole() {
    let mut log = Writer::joined(&[ONE]);
    let copies =
        [attempt(EntityKind::Card, "c", "p", 0, 100, 1), attempt(EntityKind::Device, "d", "p", 0, 100, 2)];
    log.frame(ONE, &copies, Promise::Unknown);
    let outcome = log.folded();
    assert_eq!(outcome.parts.len(), 2);
    assert_eq!(parts(&outcome.parts, &outcome.parts, 6), Ok(()));
    let mut changed = outcome.parts.clone();
    changed[0].time += 1;
    let report = parts(&outcome.parts, &changed, 6).expect_err("they differ");
    assert!(report.contains("/time: expected 0, found 1"), "{report}");
}
