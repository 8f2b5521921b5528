//! The engine over memory beside the oracle, on unruly input: clicks and payments that come late, too late,
//! twice and far apart, keys large enough for buckets, sources that fall silent and wake.
//!
//! Every public record must be what an independent fold of the internal logs gives, and every part what
//! the entity log says.

#![expect(
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    reason = "a test: what is wrong may panic, and what was compared is printed"
)]

mod oracle;

use oracle::{Log, Place, Public, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tillstream::config::{Tree, resolve};
use tillstream::engine::process::Engine;
use tillstream::event::entity::partition_of;
use tillstream::event::monitor::{SHOP, monitor_hash};
use tillstream::event::{EntityKind, Forwarded};
use tillstream::generate::random::Random;
use tillstream::log::{Destination, LogRecord, Topic, TopicPartition};

const SEEDS: u64 = 24;
const ROUNDS: u64 = 60;
const PARTITIONS: u32 = 4;
const MINUTE: i64 = 60_000;
/// The figures of a minute of the shop that are counts and sums.
const FIGURES: [&str; 14] = [
    "visitors",
    "ended",
    "viewed",
    "carted",
    "checked_out",
    "purchased",
    "abandoned",
    "baskets",
    "items",
    "revenue_minor",
    "refunds",
    "refunded_minor",
    "recommended",
    "recommended_clicked",
];

/// What must have come up over all seeds, or the comparison proves little.
#[derive(Debug, Default)]
struct Seen {
    late: u64,
    late_applied: u64,
    duplicates: u64,
    closed_early: u64,
    turned_to_buckets: u64,
    labelled: u64,
    labels_handed_back: u64,
    labelled_predictions: u64,
    judged: u64,
    waiting: u64,
    days_published: u64,
    versions: u64,
    live_models: u64,
    rules_taken: u64,
    rules_handed_back: u64,
    forwarded: u64,
    at_tills: u64,
    after_its_minute: u64,
    told_again: u64,
    /// Sums of the figures of all minutes.
    minutes: BTreeMap<String, i64>,
}

/// Producers without manners.
struct Producers {
    random: Random,
    now: i64,
    number: u64,
    /// The version of the rules that were published last.
    published: u64,
}

impl Producers {
    fn event_id(&mut self) -> String {
        self.number += 1;
        // now and then one that was used before
        let number = if self.random.below(25) == 0 { self.random.below(self.number) } else { self.number };
        format!("e{number}")
    }

    /// Mostly now, sometimes within the allowed lateness, sometimes long ago.
    fn time(&mut self) -> i64 {
        let late = match self.random.below(20) {
            0..14 => self.random.below(4_000),
            14..18 => self.random.below(6 * 60_000),
            18 => self.random.below(90 * 60_000),
            _ => self.random.below(30 * 3_600_000),
        };
        self.now - late as i64
    }

    fn click(&mut self, visitor: u64, time: i64) -> (Topic, LogRecord) {
        const NAMES: [&str; 10] = [
            "page_view",
            "view_item",
            "add_to_cart",
            "remove_from_cart",
            "begin_checkout",
            "purchase",
            "login",
            "view_item_list",
            "select_item",
            "refund",
        ];
        let customer = (self.random.below(3) == 0).then(|| format!("k{}", self.random.below(4)));
        let name = NAMES[self.random.below(NAMES.len() as u64) as usize];
        let item = self.random.below(30);
        let list = ["recommendations", "sale"][self.random.below(2) as usize];
        let currency = (item > 1).then_some(if item.is_multiple_of(7) { "CHF" } else { "EUR" });
        // some purchases say which order they are, and some orders are told of twice
        let order =
            (self.random.below(3) > 0).then(|| format!("o{}", self.random.below(self.number / 20 + 1)));
        let event = json!({
            "event_id": self.event_id(), "event_name": name, "transaction_id": order, "event_time_ms": time, "visitor_id": format!("v{visitor}"),
            "customer_id": customer, "device_id": format!("d{}", visitor % 3), "page_location": format!("/p/{item}"),
            "currency": currency, "value_minor": 100 * item,
            "items": [
                {"item_id": format!("i{item}"), "item_category": format!("c{}", item % 5), "price_minor": 100 * item},
                {"item_id": "j", "quantity": 1 + item % 3, "item_list_id": item.is_multiple_of(2).then_some(list)},
            ],
        });
        (Topic::Clickstream, record(&format!("v{visitor}"), event.to_string()))
    }

    fn payment(&mut self, time: i64) -> (Topic, LogRecord) {
        // one card is used far more than the others
        let card = if self.random.below(3) > 0 { 0 } else { self.random.below(5) };
        let event = json!({
            "event_id": self.event_id(), "event_name": "payment_attempted", "event_time_ms": time,
            "payment_id": format!("p{}", self.number), "card_token": format!("card{card}"),
            "amount_minor": 100 + self.random.below(9_000), "currency": "EUR",
            "visitor_id": format!("v{}", self.random.below(6)), "device_id": format!("d{}", self.random.below(40)),
            "ip": format!("192.0.2.{}", self.random.below(9)), "store_id": "s1",
            "customer_id": (self.random.below(2) == 0).then(|| format!("k{}", self.random.below(4))),
        });
        (Topic::Payments, record(&format!("card{card}"), event.to_string()))
    }

    /// Of one of two models that run elsewhere.
    fn prediction(&mut self, time: i64) -> (Topic, LogRecord) {
        let id = format!("q{}", self.number);
        let number = self.random.below(1_000);
        let event = json!({
            "event_id": self.event_id(), "event_name": "prediction", "event_time_ms": time,
            "model": if number.is_multiple_of(3) { "churn" } else { "returns" },
            "prediction_id": id, "version": number.is_multiple_of(2).then_some("2"), "score": number as f64 / 1_000.0,
            "decision": number.is_multiple_of(5).then_some("deposit"),
            "amount_minor": number.is_multiple_of(7).then_some(number), "currency": number.is_multiple_of(7).then_some("EUR"),
            "features": {"number": number, "is_odd": number % 2 == 1, "none": null},
            "segments": {"channel": "app"},
        });
        (Topic::Predictions, record(&id, event.to_string()))
    }

    /// About a payment or prediction made before, one still to come, or none at all; half of them fraud, or positive.
    fn label(&mut self, time: i64) -> (Topic, LogRecord) {
        let is_positive = self.random.below(2) == 0;
        if self.random.below(3) == 0 {
            let id = format!("q{}", (self.number + 20).saturating_sub(self.random.below(200)));
            let event = json!({
                "event_id": self.event_id(), "event_name": "label", "known_at_ms": time, "prediction_id": id,
                "model": if self.random.below(3) == 0 { "churn" } else { "returns" },
                "outcome": if is_positive { "positive" } else { "negative" }, "source": "returns",
                "card_token": "card0",
            });
            return (Topic::Labels, record(&id, event.to_string()));
        }
        let payment = (self.number + 20).saturating_sub(self.random.below(200));
        let outcome = if is_positive { "fraud" } else { "legitimate" };
        let event = json!({
            "event_id": self.event_id(), "event_name": "label", "known_at_ms": time,
            "payment_id": format!("p{payment}"), "outcome": outcome, "source": "review",
            "card_token": format!("card{}", self.random.below(5)), "terminal_id": "t1",
        });
        (Topic::Labels, record(&format!("p{payment}"), event.to_string()))
    }

    /// Of few customers: some fail to log in, change their password, buy online and at the till.
    fn shop(&mut self, time: i64) -> (Topic, LogRecord) {
        const ACCOUNTS: [&str; 5] =
            ["login", "login_failed", "login_failed", "credential_changed", "address_changed"];
        const ORDERS: [&str; 3] = ["order_placed", "order_placed", "order_refunded"];
        let customer = format!("k{}", self.random.below(4));
        let amount = self.random.below(9_000);
        let (topic, key, event) = match self.random.below(3) {
            0 => {
                let name = ACCOUNTS[self.random.below(5) as usize];
                let mut event = json!({"event_name": name, "customer_id": customer, "ip": format!("192.0.2.{}", amount % 9)});
                let belongs = [
                    ("visitor_id", format!("v{}", amount % 6)),
                    ("card_token", format!("card{}", amount % 5)),
                    ("loyalty_id", format!("n{}", amount % 3)),
                ];
                for (field, id) in belongs {
                    if self.random.below(2) == 0 {
                        event[field] = json!(id);
                    }
                }
                (Topic::Accounts, customer, event)
            }
            1 => {
                let name = ORDERS[self.random.below(3) as usize];
                let visitor = (self.random.below(3) > 0).then(|| format!("v{}", self.random.below(6)));
                let order = format!("o{}", self.random.below(self.number / 20 + 1));
                let items = json!([{"item_id": format!("i{}", amount % 30), "category": "c7", "quantity": 1 + amount % 2}]);
                let event = json!({
                    "event_name": name, "order_id": order, "customer_id": amount.is_multiple_of(2).then_some(&customer),
                    "visitor_id": visitor,
                    "currency": "EUR", "value_minor": amount, "items": items,
                });
                (Topic::Orders, customer, event)
            }
            _ => {
                let is_return = amount.is_multiple_of(13);
                let lines = json!([
                    {"item_id": "i", "quantity": 2, "amount_minor": amount, "is_return": is_return, "is_void": amount.is_multiple_of(17)},
                    {"item_id": "j", "amount_minor": amount / 3, "is_return": amount.is_multiple_of(3), "is_void": amount.is_multiple_of(5)},
                ]);
                let store = format!("s{}", 1 + amount % 2);
                let event = json!({
                    "event_name": "pos_transaction", "store_id": store, "workstation_id": "w1", "sequence_number": amount,
                    "business_day": "2026-01-05", "currency": "EUR", "lines": lines,
                    "customer_id": amount.is_multiple_of(4).then_some(&customer),
                    "loyalty_id": amount.is_multiple_of(3).then(|| format!("n{}", amount % 3)),
                    "tenders": if amount.is_multiple_of(2) { json!([{"kind": "card", "amount_minor": amount, "card_token": format!("card{}", amount % 5)}]) } else { json!(null) },
                    "is_void": amount.is_multiple_of(7), "is_training": amount.is_multiple_of(11),
                });
                (Topic::Pos, store, event)
            }
        };
        let mut event = event;
        event["event_id"] = json!(self.event_id());
        event["event_time_ms"] = json!(time);
        (topic, record(&key, event.to_string()))
    }

    /// The rules that come with the program, somewhat changed; about every other publication is of no higher version.
    fn rules(&mut self, time: i64) -> (Topic, LogRecord) {
        let defaults = include_str!("../src/config/defaults/rules.yaml");
        assert!(defaults.contains("version: 3"));
        self.published += self.random.below(2);
        let mut text = defaults.replace("version: 3", &format!("version: {}", self.published));
        for (from, to) in [
            ("review: 0.4", "review: 0.35"),
            ("weight: 0.45", "weight: 0.6"),
            ("state: shadow", "state: live"),
            ("weight: 0.8", "weight: 0.3"),
        ] {
            assert!(defaults.contains(from), "{from}");
            if self.random.below(2) == 0 {
                text = text.replace(from, to);
            }
        }
        let event = json!({
            "event_id": self.event_id(), "event_name": "rules_published", "event_time_ms": time, "rules": text,
        });
        (Topic::Rules, record("rules", event.to_string()))
    }

    fn next(&mut self) -> (Topic, LogRecord) {
        self.now += self.random.below(20_000) as i64;
        let time = self.time();
        if self.random.below(150) == 0 {
            return self.rules(time);
        }
        if self.random.below(6) == 0 {
            return self.label(time);
        }
        if self.random.below(8) == 0 {
            return self.prediction(time);
        }
        if self.random.below(6) == 0 {
            return self.shop(time);
        }
        if self.random.below(2) == 0 {
            self.payment(time)
        } else {
            let visitor = self.random.below(6);
            self.click(visitor, time)
        }
    }

    /// A visitor who comes back again and again after more than a gap, forward or backward in time.
    fn wanderer(&mut self, step: i64) -> (Topic, LogRecord) {
        let visitor = 10 + self.random.below(2);
        let time = self.now + 41 * MINUTE * step;
        self.click(visitor, time)
    }
}

fn record(key: &str, json: String) -> LogRecord {
    LogRecord { key: Some(key.as_bytes().to_vec()), value: Some(json.into_bytes()), ..LogRecord::default() }
}

fn produce(engine: &mut Engine, seed: u64) {
    let mut producers =
        Producers { random: Random::new(seed), now: 1_767_607_200_000, number: 0, published: 2 };
    for round in 0..ROUNDS {
        let wandering = if round == 0 && seed.is_multiple_of(2) { 90 } else { 0 };
        let backwards = seed.is_multiple_of(4);
        for step in 0..wandering {
            let (topic, raw) = producers.wanderer(if backwards { -step } else { step });
            engine.append(&Destination::ByKey(topic), raw);
        }
        for _ in 0..producers.random.below(60) {
            let (topic, raw) = producers.next();
            engine.append(&Destination::ByKey(topic), raw);
        }
        // a pause long enough for silent sources to count as idle, or none
        let pause = if producers.random.below(3) == 0 { 12_000 } else { producers.random.below(900) };
        engine.broker().borrow_mut().advance(Duration::from_millis(pause));
        engine.until_quiet().expect("memory does not fail");
    }
    // two rounds carry what ingest knows on to keyed, and from there to decide
    for _ in 0..6 {
        engine.broker().borrow_mut().advance(Duration::from_secs(4));
        engine.until_quiet().expect("memory does not fail");
    }
}

fn each(engine: &Engine, topic: Topic, mut each: impl FnMut(u32, i64, &LogRecord)) {
    let broker = engine.broker().borrow();
    for number in 0..broker.partitions(topic) {
        broker.fetch(TopicPartition::new(topic, number), 0, usize::MAX, |offset, record| {
            each(number, offset, &record)
        });
    }
}

fn internal_log(engine: &Engine, topic: Topic) -> Log {
    let mut log = Log::new();
    each(engine, topic, |number, offset, record| {
        log.entry(number).or_default().push((offset, record.value.clone().unwrap_or_default()));
    });
    log
}

fn public(engine: &Engine, topic: Topic) -> Vec<Public> {
    let mut records = Vec::new();
    each(engine, topic, |_, _, record| {
        let key = String::from_utf8(record.key.clone().expect("a public record has a key")).expect("UTF-8");
        let value = record.value.as_deref().expect("and a value");
        // a file of rules is handed back as it is
        let value = serde_json::from_slice(value)
            .unwrap_or_else(|_| json!({ "text": String::from_utf8(value.to_vec()).expect("UTF-8") }));
        records.push(Public::new(topic.name(), &key, value));
    });
    records
}

/// The raw records of what counts in the shop's minutes, by where they stand.
fn raw(engine: &Engine) -> BTreeMap<Place, Value> {
    let mut records = BTreeMap::new();
    for topic in [Topic::Clickstream, Topic::Orders, Topic::Pos] {
        each(engine, topic, |partition, offset, record| {
            let value = record.value.as_deref().expect("a value");
            let value = serde_json::from_slice(value).expect("JSON");
            records.insert((topic.name().to_owned(), partition, offset), value);
        });
    }
    records
}

/// What went on to linked customers.
fn forwarded(engine: &Engine) -> Vec<Public> {
    let mut records = Vec::new();
    each(engine, Topic::Linked, |_, _, record| {
        let bytes = record.value.as_deref().expect("a value");
        let forwarded: Forwarded<'_> = postcard::from_bytes(bytes).expect("a copy");
        let value = oracle::entity_log::plain_forwarded(&forwarded.copy);
        records.push(Public::new(Topic::Linked.name(), forwarded.copy.key, value));
    });
    records
}

#[test]
fn the_engine_over_memory_publishes_what_the_oracle_says_on_unruly_input() {
    let defaults = include_str!("../src/config/defaults/features.yaml");
    let (declared, made_of_several) = defaults.split_once("# values made of several").expect("the file");
    let features = format!("{declared}{}# values made of several{made_of_several}", oracle::views::FILTERED);
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("features.yaml");
    std::fs::write(&file, features).expect("a writable folder");
    let tree: Tree =
        json!({"model": "tests/oracle/model.yaml", "features": file}).as_object().expect("an object").clone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = resolve(&tree, folder).unwrap_or_else(|faults| panic!("{faults:?}"));
    let views = [oracle::views::defaults(), oracle::views::filtered()].concat();
    let settings = Settings { model: true, ..Settings::settled() };
    let mut seen = Seen::default();
    for seed in 1..=SEEDS {
        let mut engine =
            Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
        produce(&mut engine, seed);
        let entity = oracle::entity_log::outcome(&internal_log(&engine, Topic::Entity), &settings, &views);
        let decision =
            oracle::decision_log::outcome(&internal_log(&engine, Topic::Decision), &settings, &views);
        let monitor = oracle::monitor_log::outcome(&internal_log(&engine, Topic::Monitor), &settings);
        let refused = [entity.refused_frames, decision.refused_frames, monitor.refused_frames];
        assert_eq!(refused, [0; 3], "seed {seed}");
        oracle::compare::multiset(&monitor.public, &public(&engine, Topic::QualityFraud))
            .unwrap_or_else(|wrong| panic!("seed {seed}, quality: {wrong}"));
        if !monitor.weights.is_empty() {
            assert_eq!(
                decision.weights.len(),
                PARTITIONS as usize,
                "seed {seed}: weights are in each partition"
            );
        }
        for (partition, versions) in &decision.weights {
            let known = monitor.weights.get(..versions.len()).unwrap_or_default();
            let same =
                known.iter().zip(versions).filter(|(one, other)| oracle::model::same(one, other)).count();
            assert_eq!(same, versions.len(), "seed {seed}: versions of weights in partition {partition}");
            assert_eq!(
                versions.len(),
                monitor.weights.len(),
                "seed {seed}: each version is in partition {partition}"
            );
        }
        seen.versions += monitor.weights.len() as u64;
        let is_live = |record: &&Public| record.value["model"]["is_live"] == true;
        seen.live_models += decision.public.iter().filter(is_live).count() as u64;
        seen.judged += monitor.judged;
        seen.waiting += monitor.waiting;
        seen.rules_taken += decision.rules_taken;
        let (published, read) = (entity.rules * u64::from(PARTITIONS), decision.rules);
        assert_eq!(published, read, "seed {seed}: rules are in each partition");
        seen.days_published += monitor.public.len() as u64;
        let expected = oracle::of_topic(&entity.public, Topic::Linked.name());
        oracle::compare::multiset(&expected, &forwarded(&engine))
            .unwrap_or_else(|wrong| panic!("seed {seed}, forwarded: {wrong}"));
        seen.forwarded += expected.len() as u64;
        seen.at_tills += entity.at_tills;
        for topic in [Topic::Sessions, Topic::FeaturesSession, Topic::FeaturesFraud, Topic::Late] {
            let expected = oracle::of_topic(&entity.public, topic.name());
            oracle::compare::multiset(&expected, &public(&engine, topic))
                .unwrap_or_else(|wrong| panic!("seed {seed}, {topic}: {wrong}"));
        }
        oracle::compare::parts(&entity.parts, &decision.parts, PARTITIONS)
            .unwrap_or_else(|wrong| panic!("seed {seed}, parts: {wrong}"));
        oracle::compare::labels(&entity.labels, &decision.labels)
            .unwrap_or_else(|wrong| panic!("seed {seed}, labels: {wrong}"));
        assert_eq!(entity.predictions, decision.predictions, "seed {seed}, predictions");
        for topic in [
            Topic::ScoresFraud,
            Topic::LabelledFraud,
            Topic::LabelledPredictions,
            Topic::VectorsFraud,
            Topic::DeadLetter,
        ] {
            let expected = oracle::of_topic(&decision.public, topic.name());
            oracle::compare::multiset(&expected, &public(&engine, topic))
                .unwrap_or_else(|wrong| panic!("seed {seed}, {topic}: {wrong}"));
            match topic {
                Topic::LabelledFraud => seen.labelled += expected.len() as u64,
                Topic::LabelledPredictions => seen.labelled_predictions += expected.len() as u64,
                Topic::DeadLetter => {
                    let rules = expected.iter().filter(|record| record.key == "rules").count() as u64;
                    seen.rules_handed_back += rules;
                    seen.labels_handed_back += expected.len() as u64 - rules;
                }
                _ => {}
            }
        }
        let minutes = oracle::minutes::records(&entity.happened, &raw(&engine));
        seen.after_its_minute += entity.after_its_minute;
        seen.told_again +=
            entity.happened.iter().filter(|happened| happened.what.is_told_again()).count() as u64;
        for (figure, sum) in sums_of(minutes.iter().map(|minute| &minute.value), &FIGURES) {
            *seen.minutes.entry(figure).or_default() += sum;
        }
        // one that is over by the watermark of whoever puts it together has been published
        let over = monitor.watermarks[&partition_of(monitor_hash(SHOP), PARTITIONS)];
        let is_over = |minute: &Public| {
            let ends = minute.value["minute_ms"].as_i64().expect("a time") + MINUTE;
            over.is_some_and(|watermark| ends + settings.allowed_lateness <= watermark)
        };
        let expected: Vec<_> = minutes.into_iter().filter(is_over).collect();
        oracle::compare::multiset(&expected, &public(&engine, Topic::BusinessMinutes))
            .unwrap_or_else(|wrong| panic!("seed {seed}, minutes: {wrong}"));
        assert!(engine.ledger().balances(), "seed {seed}");
        for kind in EntityKind::ALL {
            let ends = entity.ledger.get(&kind).cloned().unwrap_or_default();
            seen.late += ends.late;
            seen.late_applied += ends.late_applied;
            seen.duplicates += ends.duplicate;
        }
        seen.closed_early += engine.keyed_tasks().map(|task| task.sessions_closed_early).sum::<u64>();
        seen.turned_to_buckets += entity.turned as u64;
    }
    println!("{SEEDS} seeds: {seen:?}");
    let Seen {
        late,
        late_applied,
        duplicates,
        closed_early,
        turned_to_buckets,
        labelled,
        labels_handed_back,
        labelled_predictions,
        judged,
        waiting,
        days_published,
        versions,
        live_models,
        rules_taken,
        rules_handed_back,
        forwarded,
        at_tills,
        after_its_minute,
        told_again,
        minutes,
    } = seen;
    assert!(
        [late, late_applied, duplicates, closed_early, turned_to_buckets, labelled, labels_handed_back]
            .iter()
            .all(|count| *count > SEEDS)
            && judged > SEEDS
            && labelled_predictions > SEEDS
            && judged + waiting == labelled + labelled_predictions
            && days_published > SEEDS
            && versions > SEEDS
            && live_models > SEEDS
            && rules_taken > SEEDS
            && rules_handed_back > SEEDS
            && forwarded > SEEDS
            && at_tills > SEEDS
            && after_its_minute > SEEDS
            && told_again > SEEDS
    );
    let names = FIGURES.len() + ["revenue_minor", "refunded_minor"].len();
    assert!(minutes.len() == names && minutes.values().all(|sum| *sum > SEEDS as i64), "{minutes:?}");
}

/// Payments over eight hours, one every minute, and what became known of each half an hour later.
fn payments_and_labels() -> Vec<(i64, LogRecord, LogRecord)> {
    let mut random = Random::new(7);
    let both = |number: i64| {
        let (time, amount) = (1_767_607_200_000 + number * MINUTE, random.below(9_000));
        let outcome = if amount > 6_000 && random.below(3) > 0 { "fraud" } else { "legitimate" };
        let payment = json!({
            "event_id": format!("e{number}"), "event_name": "payment_attempted", "event_time_ms": time,
            "payment_id": format!("p{number}"), "card_token": format!("card{}", amount % 7),
            "amount_minor": amount, "currency": "EUR",
        });
        let label = json!({
            "event_id": format!("l{number}"), "event_name": "label", "known_at_ms": time + 30 * MINUTE,
            "payment_id": format!("p{number}"), "outcome": outcome, "source": "review",
        });
        let key = format!("p{number}");
        (time, record(&key, payment.to_string()), record(&key, label.to_string()))
    };
    (0..480).map(both).collect()
}

/// The scores of those payments, with the labels all read before the first of them, or each as it becomes known.
fn scores_with(labels_first: bool) -> Vec<Public> {
    let tree: Tree = json!({"model": "tests/oracle/model.yaml"}).as_object().expect("an object").clone();
    let config = resolve(&tree, Path::new(env!("CARGO_MANIFEST_DIR")));
    let config = config.unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut engine =
        Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
    let (payments, labels) = (Destination::ByKey(Topic::Payments), Destination::ByKey(Topic::Labels));
    let all = payments_and_labels();
    let mut unknown = all.iter().map(|(time, _, label)| (time + 30 * MINUTE, label)).peekable();
    for (time, payment, _) in &all {
        while let Some((_, label)) = unknown.next_if(|(known_at, _)| labels_first || *known_at <= *time) {
            engine.append(&labels, label.clone());
        }
        engine.append(&payments, payment.clone());
        // the other partitions fall silent, so that time goes on
        for _ in 0..4 {
            engine.until_quiet().expect("memory does not fail");
            engine.broker().borrow_mut().advance(Duration::from_secs(4));
        }
    }
    public(&engine, Topic::ScoresFraud)
}

#[test]
fn a_label_that_is_read_too_early_changes_no_score_of_a_payment_before_it_was_known() {
    let (in_time, too_early) = (scores_with(false), scores_with(true));
    assert_eq!(in_time.len(), 480);
    let learned = |score: &&Public| score.value["model"]["is_live"] == true;
    assert!(in_time.iter().filter(learned).count() > 200, "the model learned");
    oracle::compare::multiset(&in_time, &too_early).unwrap_or_else(|wrong| panic!("{wrong}"));
}

/// Transactions of three stores over three days: some cancelled, in training, rung up offline, with returns and coupons, in two
/// currencies, hours out of order, now and then twice.
fn baskets(random: &mut Random) -> Vec<Value> {
    let mut made = Vec::new();
    for number in 0..200_u64 {
        let time = 1_767_607_200_000 + number as i64 * 1_200_000 - random.below(6 * 3_600_000) as i64;
        let day = ["2026-01-05", "2026-01-06", "2026-01-07"][(number / 67) as usize];
        let mut one_in = |many| random.below(many) == 0;
        let flags = json!({"is_void": one_in(12), "is_training": one_in(12), "is_offline": one_in(6)});
        let again = one_in(9);
        let lines: Vec<_> = (0..random.below(4))
            .map(|line| {
                let amount = random.below(5_000);
                json!({
                    "item_id": format!("i{line}"), "amount_minor": amount, "quantity": 1 + random.below(3),
                    "discount_minor": amount / 10, "coupon": if amount.is_multiple_of(4) { "SPRING" } else { "" },
                    "is_return": random.below(5) == 0, "is_void": random.below(7) == 0,
                })
            })
            .collect();
        let mut basket = json!({
            "event_id": format!("b{number}"), "event_name": "pos_transaction", "event_time_ms": time,
            "store_id": format!("s{}", random.below(3)), "workstation_id": "w1", "sequence_number": number,
            "business_day": day, "currency": if random.below(8) == 0 { "CHF" } else { "EUR" }, "lines": lines,
        });
        for (name, flag) in flags.as_object().expect("an object") {
            basket[name] = flag.clone();
        }
        made.extend(std::iter::repeat_n(basket, 1 + usize::from(again)));
    }
    made
}

#[test]
fn the_days_of_stores_are_those_of_the_oracle() {
    let config = resolve(&Tree::new(), Path::new(".")).unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut days = 0;
    for seed in 1..=SEEDS {
        let mut engine =
            Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
        let baskets = baskets(&mut Random::new(seed));
        for basket in &baskets {
            let store = basket["store_id"].as_str().expect("a text");
            engine.append(&Destination::ByKey(Topic::Pos), record(store, basket.to_string()));
        }
        engine.round().expect("memory does not fail");
        engine.end_of_time().expect("memory does not fail");
        let mut last = BTreeMap::new();
        for record in public(&engine, Topic::BusinessDays) {
            let key = (record.key.clone(), record.value["business_day"].to_string());
            let known: &mut Public = last.entry(key).or_insert_with(|| record.clone());
            if known.value["revision"].as_u64() <= record.value["revision"].as_u64() {
                *known = record;
            }
        }
        let found = last.into_values().map(|mut record| {
            assert_eq!(record.value["is_final"], true, "seed {seed}: {record:?}");
            let fields = record.value.as_object_mut().expect("an object");
            fields.remove("revision");
            fields.remove("is_final");
            record
        });
        let found: Vec<_> = found.collect();
        let expected = oracle::days::final_days(&baskets).into_iter().map(|value| {
            let store = value["store_id"].as_str().expect("a text").to_owned();
            Public::new(Topic::BusinessDays.name(), &store, value)
        });
        let expected: Vec<_> = expected.collect();
        days += expected.len();
        oracle::compare::multiset(&expected, &found).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        assert!(engine.ledger().balances(), "seed {seed}");
    }
    println!("{days} days of stores");
    assert!(days as u64 >= 8 * SEEDS);
}

/// Sums of figures over records.
fn sums_of<'r>(records: impl Iterator<Item = &'r Value>, figures: &[&str]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for record in records {
        for figure in figures {
            match &record[*figure] {
                Value::Object(money) => money.iter().for_each(|(currency, minor)| {
                    *sums.entry(format!("{figure} {currency}")).or_default() +=
                        minor.as_i64().expect("money");
                }),
                count => {
                    *sums.entry((*figure).to_owned()).or_default() += count.as_i64().expect("a count");
                }
            }
        }
    }
    sums
}

#[test]
fn minutes_add_up_to_the_sessions_that_ended_and_stores_to_their_channel() {
    const STAGES: [&str; 6] = ["ended", "viewed", "carted", "checked_out", "purchased", "abandoned"];
    let config = resolve(&Tree::new(), Path::new(".")).unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut ended = 0;
    for seed in 1..=SEEDS {
        let mut engine =
            Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
        produce(&mut engine, seed);
        engine.end_of_time().expect("memory does not fail");
        let minutes: Vec<_> =
            public(&engine, Topic::BusinessMinutes).into_iter().map(|record| record.value).collect();
        let all = || minutes.iter().filter(|minute| minute["channel"].is_null());
        let channel = |name: &'static str| {
            minutes.iter().filter(move |minute| minute["channel"] == name && minute["store_id"].is_null())
        };
        let stores = || minutes.iter().filter(|minute| !minute["store_id"].is_null());
        assert_eq!(sums_of(stores(), &FIGURES), sums_of(channel("store"), &FIGURES), "seed {seed}");
        let both = channel("store").chain(channel("online"));
        assert_eq!(sums_of(both, &FIGURES), sums_of(all(), &FIGURES), "seed {seed}");

        let mut expected = STAGES.map(|stage| (stage.to_owned(), 0));
        for session in public(&engine, Topic::Sessions) {
            let session = session.value;
            if session["is_final"] != true {
                continue;
            }
            let has = |count: &str| session[count].as_i64().expect("a count") > 0;
            let bought = has("purchases");
            let checked_out = bought || has("checkouts");
            let carted = checked_out || has("cart_adds");
            let reached = [true, carted || has("item_views"), carted, checked_out, bought, carted && !bought];
            expected.iter_mut().zip(reached).for_each(|((_, sum), reached)| *sum += i64::from(reached));
        }
        ended += expected[0].1;
        assert_eq!(sums_of(all(), &STAGES), expected.into_iter().collect(), "seed {seed}");
    }
    println!("{ended} sessions ended");
    assert!(ended as u64 > 20 * SEEDS);
}

#[test]
fn without_a_watch_for_drift_everything_else_is_the_same() {
    const OF_DRIFT: [Topic; 3] = [Topic::DriftFeatures, Topic::AlertsDrift, Topic::AlertsBusiness];
    let played = |seed: u64, drift: Value| {
        let tree: Tree = json!({ "drift": drift }).as_object().expect("an object").clone();
        let config = resolve(&tree, Path::new(".")).unwrap_or_else(|faults| panic!("{faults:?}"));
        let mut engine =
            Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
        produce(&mut engine, seed);
        engine.end_of_time().expect("memory does not fail");
        engine
    };
    let mut windows = 0;
    for seed in 1..=4 {
        let watched = played(seed, json!({"window": "5m", "learn": "5m"}));
        let unwatched = played(seed, json!({"watch": false}));
        windows += public(&watched, Topic::DriftFeatures).len();
        for topic in Topic::of_stages() {
            let (with, without) = (public(&watched, topic), public(&unwatched, topic));
            if OF_DRIFT.contains(&topic) {
                assert!(without.is_empty(), "seed {seed}: {} of {}", without.len(), topic.name());
                continue;
            }
            oracle::compare::multiset(&with, &without).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        }
    }
    assert!(windows > 0, "no window was compared");
}
