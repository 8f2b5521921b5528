//! Planted changes: they begin when they should, concern what they should, and move nothing else.

use super::*;
use std::collections::BTreeMap;

const DAY_MS: i64 = 24 * HOUR_MS;

/// Two days of a whole shop in which nothing else happens, with `changes`.
fn changed(changes: &[&str]) -> Stream {
    Stream::of(two_days(changes))
}

fn two_days(changes: &[&str]) -> GenerateSettings {
    let changes = changes.iter().map(|text| Change::drift(text).or_else(|_| Change::honest(text)).unwrap());
    GenerateSettings {
        changes: changes.collect(),
        events_per_pattern: 0,
        events_per_second: 0.6,
        labelled: 0.3,
        is_whole: true,
        ..settings(11, 100_000)
    }
}

static UNCHANGED: LazyLock<Stream> = LazyLock::new(|| changed(&[]));

/// The middle of the two days.
fn middle_ms() -> i64 {
    settings(0, 0).start.0 + DAY_MS
}

/// The changes that the truth tells of.
fn told(stream: &Stream) -> Vec<Value> {
    let truths = stream.truth.iter().filter(|truth| matches!(truth, Truth::Change(_)));
    truths.map(|truth| serde_json::to_value(truth).unwrap()).collect()
}

/// Record by record what was written, without and with the changes, of a topic; both streams have the same records.
fn beside<'a>(stream: &'a Stream, topic: RawTopic) -> impl Iterator<Item = (Value, Value)> + 'a {
    let both = UNCHANGED.records.iter().zip(&stream.records);
    both.filter(move |(before, _)| before.topic == topic).filter_map(|(before, after)| {
        assert_eq!((before.timestamp_ms, before.topic), (after.timestamp_ms, after.topic));
        Some((serde_json::from_slice(&before.value).ok()?, serde_json::from_slice(&after.value).ok()?))
    })
}

#[test]
fn until_a_change_begins_the_bytes_are_those_without_it() {
    for change in [
        "unit:at=1d",
        "missing:at=1d",
        "categories:at=1d",
        "silent:at=1d,source=payments",
        "price_level:at=1d",
    ] {
        let stream = changed(&[change]);
        let until =
            UNCHANGED.records.partition_point(|record| record.timestamp_ms < middle_ms() - 3 * HOUR_MS);
        assert!(until > 20_000, "{until}");
        assert!(UNCHANGED.records[..until] == stream.records[..until], "{change}");
    }
}

#[test]
fn the_truth_tells_of_a_change_in_one_line_once_it_has_begun() {
    let stream = changed(&["unit:at=1d,for=6h,strength=strong,segment=channel=store", "unit:at=90d"]);
    assert_eq!(
        told(&stream),
        [serde_json::json!({
            "kind": "unit",
            "at_ms": middle_ms(),
            "until_ms": middle_ms() + 6 * HOUR_MS,
            "strength": 100.0,
            "segment": {"dimension": "channel", "value": "store"},
            "stream": "payments",
            "fields": ["amount_minor"],
            "is_drift": true,
        })]
    );
}

#[test]
fn amounts_of_a_segment_come_in_another_unit_and_nothing_else_moves() {
    let stream = changed(&["unit:at=1d,strength=10,segment=country=NL"]);
    let mut scaled = 0;
    for (before, after) in beside(&stream, RawTopic::Payments) {
        let is_scaled = before["amount_minor"] != after["amount_minor"];
        if is_scaled {
            assert_eq!(
                after["amount_minor"].as_i64().unwrap(),
                10 * before["amount_minor"].as_i64().unwrap()
            );
            assert!(event_time(&before).is_none_or(|time| time >= middle_ms()));
            scaled += 1;
        }
        if before["event_name"] == "payment_attempted"
            && event_time(&before).is_some_and(|time| time >= middle_ms())
        {
            assert_eq!(is_scaled, before["card_country"] == "NL", "{before}");
        }
    }
    assert!(scaled > 100, "{scaled}");
    assert!(beside(&stream, RawTopic::Pos).all(|(before, after)| before == after));
}

/// How many attempts from the middle on are as `is_so` says, before and after, among those that `is_of`.
fn counted(stream: &Stream, is_of: fn(&Value) -> bool, is_so: fn(&Value) -> bool) -> (f64, f64, f64) {
    let mut counts = (0.0, 0.0, 0.0);
    for (before, after) in beside(stream, RawTopic::Payments) {
        let is_attempt = before["event_name"] == "payment_attempted";
        if is_attempt && is_of(&before) && event_time(&before).is_some_and(|time| time >= middle_ms()) {
            counts.0 += 1.0;
            counts.1 += f64::from(u8::from(is_so(&before)));
            counts.2 += f64::from(u8::from(is_so(&after)));
        }
    }
    counts
}

#[test]
fn a_field_goes_missing_in_a_share_of_a_segment() {
    let stream = changed(&["missing:at=1d,field=ip_country,segment=channel=online,strength=0.8"]);
    let (attempts, before, after) =
        counted(&stream, |value| value["channel"] == "online", |value| value.get("ip_country").is_none());
    assert!(attempts > 200.0 && before < 1.0, "{before} of {attempts}");
    assert!((0.72..0.88).contains(&(after / attempts)), "{after} of {attempts}");
}

#[test]
fn the_mix_of_a_category_moves_to_a_new_one_or_to_one_that_was_there() {
    let stream = changed(&["categories:at=1d,strength=0.2"]);
    let (attempts, before, after) = counted(&stream, |_| true, |value| value["channel"] == "app");
    assert!(before < 1.0 && (0.17..0.23).contains(&(after / attempts)), "{after} of {attempts}");
    assert_eq!(told(&stream)[0]["to"], "app");
    let stream = changed(&["categories:at=1d,field=card_country,to=NL,strength=0.5"]);
    let (attempts, before, after) = counted(&stream, |_| true, |value| value["card_country"] == "NL");
    let expected = before + (attempts - before) / 2.0;
    assert!((0.93..1.07).contains(&(after / expected)), "{after}, not {expected} of {attempts}");
}

#[test]
fn what_is_silent_does_not_come_nor_what_would_be_said_of_it() {
    let stream = changed(&["silent:at=1d,for=6h,source=payments,segment=channel=store,strength=strong"]);
    let (from, until) = (middle_ms(), middle_ms() + 6 * HOUR_MS);
    let mut paid = BTreeSet::new();
    let mut labels = 0;
    for (record, value) in stream.parsed() {
        let Some(payment) = value["payment_id"].as_str() else { continue };
        match record.topic {
            RawTopic::Payments => {
                let is_within = event_time(&value).is_some_and(|time| (from..until).contains(&time));
                assert!(!(is_within && value["channel"] == "store"), "{value}");
                paid.insert(payment.to_owned());
            }
            RawTopic::Labels => labels += u64::from(paid.contains(payment)),
            _ => {}
        }
    }
    // a few are of payments that are late or broken
    assert!(labels + 10 > stream.accounting.labels, "{labels} of {}", stream.accounting.labels);
    let clicks = changed(&["silent:at=1d,strength=0.5"]);
    let later = |stream: &Stream| {
        let clicks = stream.records.iter().filter(|record| record.topic == RawTopic::Clickstream);
        clicks.filter(|record| (from..until).contains(&record.timestamp_ms)).count() as f64
    };
    let share = later(&clicks) / later(&UNCHANGED);
    assert!((0.45..0.55).contains(&share), "{share}");
}

#[test]
fn all_prices_rise_at_a_time() {
    let stream = changed(&["price_level:at=1d,strength=1.6"]);
    let usual: BTreeMap<String, i64> = Generator::new(two_days(&[]))
        .catalogue()
        .map(|record| {
            let value: Value = serde_json::from_slice(&record.value).unwrap();
            (record.key, value["price_minor"].as_i64().unwrap())
        })
        .collect();
    let (mut listed, mut sold) = (BTreeSet::new(), 0);
    for (record, value) in stream.parsed() {
        let Some(time) = event_time(&value) else { continue };
        let is_dear = time >= middle_ms();
        let price = |item: &str| usual[item] * if is_dear { 1_600 } else { 1_000 } / 1_000;
        match record.topic {
            RawTopic::Catalogue if is_dear => {
                let (full, now) = (price(&record.key), value["price_minor"].as_i64().unwrap());
                assert!(now == full || now == full * 4 / 5, "{value}");
                listed.insert(record.key.clone());
            }
            // who was at the till when prices changed pays the old ones
            RawTopic::Pos if value["currency"] == "EUR" && (time - middle_ms()).abs() > HOUR_MS => {
                for line in value["lines"].as_array().unwrap() {
                    assert_eq!(line["amount_minor"].as_i64(), Some(price(line["item_id"].as_str().unwrap())));
                    sold += u64::from(is_dear);
                }
            }
            _ => {}
        }
    }
    assert!(listed.len() == usual.len() && sold > 300, "{} listed, {sold} sold", listed.len());
}

#[test]
fn carts_lead_to_checkouts_less_often() {
    let share = |stream: &Stream| {
        let (mut carts, mut checkouts) = (0.0, 0.0);
        for (_, value) in stream.parsed().filter(|(record, _)| record.timestamp_ms >= middle_ms() + HOUR_MS) {
            carts += f64::from(u8::from(value["event_name"] == "view_cart"));
            checkouts += f64::from(u8::from(value["event_name"] == "begin_checkout"));
        }
        assert!(carts > 500.0, "{carts}");
        checkouts / carts
    };
    let ratio = share(&changed(&["intent:at=1d,strength=0.5"])) / share(&UNCHANGED);
    assert!((0.42..0.58).contains(&ratio), "{ratio}");
}

/// What became known of payments in the second day: frauds, and how many of them were above 150, by night, online.
struct Known {
    labels: f64,
    frauds: f64,
    large: f64,
    by_night: f64,
    online: f64,
}

fn known(changes: &[&str]) -> Known {
    let stream = Stream::of(GenerateSettings {
        ordinary_fraud: 0.02,
        labelled: 1.0,
        events_per_second: 1.5,
        events: 250_000,
        ..two_days(changes)
    });
    let attempts: BTreeMap<String, Value> = stream
        .parsed()
        .filter(|(_, value)| value["event_name"] == "payment_attempted")
        .map(|(_, value)| (value["payment_id"].as_str().unwrap_or_default().to_owned(), value))
        .collect();
    let truth: BTreeSet<&String> = stream
        .truth
        .iter()
        .flat_map(
            |truth| if let Truth::OrdinaryFraud { payment_ids, .. } = truth { &payment_ids[..] } else { &[] },
        )
        .collect();
    let mut known = Known { labels: 0.0, frauds: 0.0, large: 0.0, by_night: 0.0, online: 0.0 };
    for (_, label) in stream.parsed().filter(|(record, _)| record.topic == RawTopic::Labels) {
        let payment = label["payment_id"].as_str().unwrap();
        let Some(attempt) = attempts.get(payment) else { continue };
        assert_eq!(label["outcome"] == "fraud", truth.contains(&payment.to_owned()), "{payment}");
        let Some(time) = event_time(attempt).filter(|time| *time >= middle_ms()) else { continue };
        let one = |is_so: bool| f64::from(u8::from(is_so && label["outcome"] == "fraud"));
        known.labels += 1.0;
        known.frauds += one(true);
        known.large += one(attempt["amount_minor"].as_i64().unwrap() >= 15_000);
        known.by_night += one(!(8..22).contains(&(time / HOUR_MS % 24)));
        known.online += one(attempt["channel"] == "online");
    }
    known
}

#[test]
fn ordinary_fraud_is_as_frequent_as_asked_and_mostly_large_by_night_and_online() {
    let Known { labels, frauds, large, by_night, online } = known(&[]);
    println!("{frauds} frauds of {labels}: {large} large, {by_night} by night, {online} online");
    assert!((0.014..0.026).contains(&(frauds / labels)), "{frauds} of {labels}");
    assert!(large > 0.5 * frauds && by_night > 0.3 * frauds && online > 0.3 * frauds);
}

#[test]
fn fraud_that_has_moved_is_as_frequent_and_elsewhere() {
    let Known { labels, frauds, large, by_night, online } = known(&["fraud_moves:at=1d,strength=1"]);
    println!("{frauds} frauds of {labels}: {large} large, {by_night} by night, {online} online");
    assert!((0.014..0.026).contains(&(frauds / labels)), "{frauds} of {labels}");
    assert!(large < 0.3 * frauds && by_night < 0.2 * frauds && online < 0.25 * frauds);
}

#[test]
fn there_is_more_fraud_by_the_factor_in_a_segment_alone() {
    let usual = known(&[]);
    let more = known(&["fraud_rate:at=1d,strength=4,segment=channel=online"]);
    let in_store = |known: &Known| known.frauds - known.online;
    let ratio = more.online / usual.online;
    assert!((2.8..4.6).contains(&ratio), "{ratio}");
    assert!((in_store(&more) - in_store(&usual)).abs() < 0.5);
}

/// The constants that make fraud as frequent as asked.
#[test]
#[ignore = "prints what the constants of ordinary.rs are measured with"]
fn the_mean_weight_of_a_payment_is_measured() {
    for changes in [&[][..], &["fraud_moves:at=0s,strength=1"]] {
        let changes = changes.iter().map(|text| Change::drift(text).unwrap()).collect();
        let week = GenerateSettings {
            ordinary_fraud: 0.01,
            labelled: 1.0,
            events_per_second: 3.0,
            events: 1_814_400,
            changes,
            ..two_days(&[])
        };
        let mut generator = Generator::new(week);
        generator.by_ref().for_each(drop);
        let Some(Truth::OrdinaryFraud { payment_ids, .. }) = generator.truth().get(1) else {
            panic!("fraud")
        };
        let share = payment_ids.len() as f64 / generator.accounting().labels as f64;
        println!("{share}: times {} of the mean there is", share / 0.01);
    }
}

/// Two days with a foreign model of which everything becomes known, with `changes`.
fn with_foreign_model(changes: &[&str]) -> Stream {
    Stream::of(GenerateSettings {
        foreign_model: Some("returns".to_owned()),
        labelled: 1.0,
        ..two_days(changes)
    })
}

/// Scores and outcomes of the predictions of the second day.
fn scored(stream: &Stream) -> Vec<(f64, bool)> {
    let mut scores = BTreeMap::new();
    let mut scored = Vec::new();
    for (record, value) in stream.parsed() {
        let Some(prediction) = value["prediction_id"].as_str() else { continue };
        assert_eq!((record.key.as_str(), value["model"].as_str()), (prediction, Some("returns")));
        if record.topic == RawTopic::Predictions {
            let time = event_time(&value).unwrap();
            scores.insert(prediction.to_owned(), (time, value["score"].as_f64().unwrap()));
        } else {
            let (time, score) = scores[prediction];
            let after = value["known_at_ms"].as_i64().unwrap() - time;
            assert!((600_000..21_600_000).contains(&after), "{after}");
            if time >= middle_ms() {
                scored.push((score, value["outcome"] == "positive"));
            }
        }
    }
    scored
}

/// The share of pairs of a positive and a negative in which the positive has the higher score.
fn auc(scored: &[(f64, bool)]) -> f64 {
    let of = |is_positive| {
        scored.iter().filter(move |(_, positive)| *positive == is_positive).map(|(score, _)| *score)
    };
    let pairs = of(true).flat_map(|positive| of(false).map(move |negative| (positive, negative)));
    let won: f64 = pairs.map(|(p, n)| if p > n { 1.0 } else { f64::from(u8::from(p >= n)) / 2.0 }).sum();
    won / (of(true).count() * of(false).count()) as f64
}

#[test]
fn scores_of_the_foreign_model_are_right_until_they_degrade() {
    let scored_well = scored(&with_foreign_model(&[]));
    let positives = scored_well.iter().filter(|(_, positive)| *positive).count() as f64;
    let expected: f64 = scored_well.iter().map(|(score, _)| score).sum();
    assert!(positives > 60.0 && (0.8..1.25).contains(&(positives / expected)), "{positives}, not {expected}");
    let well = auc(&scored_well);
    let badly = auc(&scored(&with_foreign_model(&["degrades:at=1d,strength=strong"])));
    println!("area under the curve {well}, then {badly}");
    assert!(well > 0.7 && badly < well - 0.1, "{well}, {badly}");
}

#[test]
fn with_a_foreign_model_everything_else_is_the_same() {
    let stream = with_foreign_model(&[]);
    let unchanged = Stream::of(GenerateSettings { labelled: 1.0, ..two_days(&[]) });
    let ours =
        |record: &&GeneratedRecord| record.topic != RawTopic::Predictions && !record.key.starts_with("pred_");
    let count = stream.records.iter().filter(ours).count();
    assert!(stream.records.iter().filter(ours).eq(&unchanged.records[..count]));
    assert!(stream.accounting.predictions > 1_500, "{}", stream.accounting.predictions);
}

#[test]
fn a_prediction_is_written_as_its_contract_says() {
    let stream = with_foreign_model(&[]);
    let (_, value) = stream.parsed().find(|(record, _)| record.topic == RawTopic::Predictions).unwrap();
    let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "event_name",
        "event_id",
        "event_time_ms",
        "model",
        "prediction_id",
        "version",
        "score",
        "decision",
        "amount_minor",
        "currency",
        "segments",
        "features",
    ];
    expected.sort_unstable();
    let mut fields = fields;
    fields.sort_unstable();
    assert_eq!(fields, expected);
    assert!(value["segments"]["channel"].is_string() && value["segments"]["country"].is_string());
    let features: Vec<&String> = value["features"].as_object().unwrap().keys().collect();
    assert_eq!(features.len(), 5, "{features:?}");
}

#[test]
fn features_of_predictions_drift_as_fields_of_payments_do() {
    let stream = with_foreign_model(&["missing:at=1d,source=predictions,field=delivery,strength=0.8"]);
    let (mut all, mut missing) = (0.0, 0.0);
    for (record, value) in stream.parsed() {
        if record.topic == RawTopic::Predictions && event_time(&value).is_some_and(|time| time >= middle_ms())
        {
            all += 1.0;
            missing += f64::from(u8::from(value["features"].get("delivery").is_none()));
        }
    }
    assert!(all > 500.0 && (0.75..0.85).contains(&(missing / all)), "{missing} of {all}");
}

#[test]
fn a_sale_day_has_more_traffic_and_lower_prices_and_is_no_drift() {
    let stream = changed(&["sale_day:at=1d,for=12h,strength=2.5"]);
    let truth = &told(&stream)[0];
    assert_eq!((&truth["is_drift"], &truth["kind"]), (&Value::Bool(false), &Value::from("sale_day")));
    assert_eq!(truth["announced_ms"].as_i64(), Some(middle_ms() - 7 * DAY_MS));
    let announced: Vec<_> =
        stream.parsed().filter(|(record, _)| record.topic == RawTopic::Announcements).collect();
    let [(record, said)] = announced.as_slice() else { panic!("{} announcements", announced.len()) };
    assert_eq!(said["change_id"].as_str(), Some(record.key.as_str()));
    let period = [&said["from_ms"], &said["for_seconds"]].map(Value::as_i64);
    assert_eq!(period, [Some(middle_ms()), Some(12 * 3_600)]);
    let first = stream.records.iter().map(|record| record.timestamp_ms).min();
    assert!(first.is_some_and(|first| record.timestamp_ms < first + 60_000), "the week before is not told");
    let within = |stream: &Stream, from_hour: i64, to_hour: i64| {
        let hours = middle_ms() + from_hour * HOUR_MS..middle_ms() + to_hour * HOUR_MS;
        stream.records.iter().filter(|record| hours.contains(&record.timestamp_ms)).count() as f64
    };
    let more = within(&stream, 1, 12) / within(&UNCHANGED, 1, 12);
    assert!((2.2..2.9).contains(&more), "{more}");
    let lower = stream.parsed().filter(|(record, value)| {
        record.topic == RawTopic::Catalogue
            && event_time(value).is_some_and(|time| (middle_ms()..middle_ms() + 12 * HOUR_MS).contains(&time))
    });
    let usual: BTreeMap<String, i64> = Generator::new(two_days(&[]))
        .catalogue()
        .map(|record| {
            let value: Value = serde_json::from_slice(&record.value).unwrap();
            (record.key, value["price_minor"].as_i64().unwrap())
        })
        .collect();
    let (listed, lower) = lower.fold((0, 0), |(listed, lower), (record, value)| {
        let is_lower = value["price_minor"].as_i64().unwrap() == usual[&record.key] * 850 / 1_000;
        (listed + 1, lower + u64::from(is_lower))
    });
    assert!(listed > 4_900 && lower > listed * 9 / 10, "{lower} of {listed}");
}

#[test]
fn one_list_in_four_is_of_what_is_recommended() {
    let stream = &*UNCHANGED;
    let lists = stream.parsed().filter(|(_, value)| value["event_name"] == "view_item_list");
    let of_list: Vec<bool> =
        lists.map(|(_, value)| value["items"][0]["item_list_id"] == "recommendations").collect();
    let share = of_list.iter().filter(|is_of_it| **is_of_it).count() as f64 / of_list.len() as f64;
    assert!((0.2..0.3).contains(&share), "{share}");
}

#[test]
fn stolen_cards_are_used_at_one_terminal_for_half_a_day_and_labels_say_so() {
    let stream = changed(&["terminal:at=1d,strength=0.25"]);
    let is_there = |value: &Value| value["terminal_id"] == "store-017-t3";
    let is_then = |value: &Value| {
        let time = event_time(value).unwrap_or_default();
        (middle_ms()..middle_ms() + 12 * HOUR_MS).contains(&time)
    };
    let (mut all, mut there, mut before) = (0.0, BTreeSet::new(), 0.0);
    let attempts = stream.parsed().filter(|(_, value)| value["event_name"] == "payment_attempted");
    for (_, value) in attempts.filter(|(_, value)| value["channel"] == "store") {
        let one = |is_so: bool| f64::from(u8::from(is_so));
        before += one(is_there(&value) && !is_then(&value));
        all += one(is_then(&value));
        if is_there(&value) && is_then(&value) {
            there.insert(value["payment_id"].as_str().unwrap().to_owned());
        }
    }
    let share = there.len() as f64 / all;
    assert!((0.2..0.3).contains(&share) && before < 20.0, "{share} of {all}, {before} at other times");
    let frauds = stream.parsed().filter(|(record, value)| {
        let is_label = record.topic == RawTopic::Labels && value["outcome"] == "fraud";
        is_label && is_there(value) && there.contains(value["payment_id"].as_str().unwrap_or_default())
    });
    assert!(frauds.count() as f64 > 0.9 * there.len() as f64);
    let [told] = &told(&stream)[..] else { panic!("one change") };
    assert_eq!(told["segment"], serde_json::json!({ "dimension": "terminal", "value": "store-017-t3" }));
}

#[test]
fn a_store_opens_with_its_share_of_payments() {
    let stream = changed(&["new_store:at=1d,strength=0.05"]);
    let (mut all, mut new) = (0.0, 0.0);
    for (_, value) in stream.parsed().filter(|(_, value)| value["event_name"] == "payment_attempted") {
        let is_new = value["store_id"] == "store-121";
        let Some(time) = event_time(&value) else { continue };
        assert!(!is_new || time >= middle_ms());
        if time >= middle_ms() && value["channel"] == "store" {
            all += 1.0;
            new += f64::from(u8::from(is_new));
        }
    }
    assert!((0.035..0.065).contains(&(new / all)), "{new} of {all}");
}
