//! `tillstream process` as its user runs it: determinism, order, bad input, exit codes.

#![expect(clippy::indexing_slicing, reason = "a test: what is wrong may panic")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TILLSTREAM: &str = env!("CARGO_BIN_EXE_tillstream");
const START_MS: i64 = 1_767_607_200_000;

fn tillstream(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(TILLSTREAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic");
    output
}

fn process(input: &str, more: &[&str]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_string_lossy().into_owned();
    let output = tillstream(&[&["process", "-", "--out", &out], more].concat(), input);
    (folder, output)
}

fn good(input: &str, more: &[&str]) -> tempfile::TempDir {
    let (folder, output) = process(input, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn lines(folder: &Path, topic: &str) -> Vec<Value> {
    let text =
        std::fs::read_to_string(folder.join(format!("{topic}.jsonl"))).expect("every topic has its file");
    text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

fn ledger(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("ledger.json")).expect("the ledger is there");
    serde_json::from_str(&text).expect("the ledger is JSON")
}

fn generated(seed: u64, events: u64) -> String {
    let output = tillstream(
        &["generate", "--seed", &seed.to_string(), "--events", &events.to_string(), "--out", "-"],
        "",
    );
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("lines are UTF-8")
}

fn envelope(topic: &str, key: &str, timestamp_ms: i64, value: Value) -> String {
    json!({"topic": topic, "ts": timestamp_ms, "key": key, "value": value}).to_string() + "\n"
}

fn click(visitor: &str, event: &str, time_ms: i64) -> Value {
    json!({"event_id": event, "event_name": "view_item", "event_time_ms": time_ms, "visitor_id": visitor,
           "items": [{"item_id": "i1", "item_category": "shoes", "price_minor": 1_999}]})
}

fn click_line(visitor: &str, event: &str, time_ms: i64) -> String {
    envelope("clickstream", visitor, time_ms, click(visitor, event, time_ms))
}

fn payment_line(payment: &str, time_ms: i64) -> String {
    payment_of("v1", "tok_1", payment, time_ms)
}

fn payment_of(visitor: &str, card: &str, payment: &str, time_ms: i64) -> String {
    let event = json!({"event_id": format!("e-{payment}"), "event_name": "payment_attempted", "event_time_ms": time_ms,
        "payment_id": payment, "card_token": card, "amount_minor": 1_250, "currency": "EUR", "visitor_id": visitor});
    envelope("payments", card, time_ms, event)
}

/// A configuration with these views and no rules, in a folder that is there as long as it is kept.
fn shop_with_views(views: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("features.yaml", &format!("views:\n{views}")[..]),
        ("rules.yaml", "version: 1\nthresholds: { review: 0.3, step_up: 0.6, decline: 0.85 }\nrules: []\n"),
        ("shop.yaml", "features: features.yaml\nrules: rules.yaml\n"),
    ] {
        std::fs::write(folder.path().join(name), text).expect("a writable folder");
    }
    let config = folder.path().join("shop.yaml").to_string_lossy().into_owned();
    (folder, config)
}

#[test]
fn the_same_input_twice_gives_the_same_bytes() {
    let input = generated(3, 30_000);
    let (one, other) = (good(&input, &[]), good(&input, &[]));
    let mut compared = 0;
    for entry in std::fs::read_dir(one.path()).expect("results").flatten() {
        let same = std::fs::read(entry.path()).expect("readable")
            == std::fs::read(other.path().join(entry.file_name())).expect("readable");
        assert!(same, "{} differs", entry.file_name().to_string_lossy());
        compared += 1;
    }
    assert_eq!(compared, 18, "seventeen topics and the ledger");
}

#[test]
fn several_files_are_read_as_one() {
    let input = generated(4, 12_000);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("shop.yaml");
    std::fs::write(&config, "model: default").expect("a writable folder");
    let config = config.to_string_lossy().into_owned();
    let parts: Vec<String> = input
        .split_inclusive('\n')
        .collect::<Vec<_>>()
        .chunks(900)
        .enumerate()
        .map(|(number, lines)| {
            let file = folder.path().join(format!("{number}.jsonl"));
            std::fs::write(&file, lines.concat()).expect("a writable folder");
            file.to_string_lossy().into_owned()
        })
        .collect();
    let out = folder.path().join("out").to_string_lossy().into_owned();
    let files: Vec<&str> = parts.iter().map(String::as_str).collect();
    let output = tillstream(&[&["process"], &files[..], &["--out", &out, "--config", &config]].concat(), "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let one = good(&input, &["--config", &config]);
    for topic in ["sessions", "scores.fraud", "quality.fraud", "quality.expected", "business.days"] {
        let (parts, whole) = (lines(Path::new(&out), topic), lines(one.path(), topic));
        assert_eq!(parts, whole, "{topic}");
    }
}

/// An order and a basket that come behind what links their card or visitor count for its customer, in the order of the file.
#[test]
fn what_a_till_or_a_login_links_counts_for_what_stands_behind_it_and_for_nothing_before() {
    let (_kept, config) = shop_with_views(
        "  - { name: orders, entity: customer, source: order_placed, windows: [1h], features: [count] }\n",
    );
    let order = |id: &str, card: &str, time_ms: i64| {
        let event = json!({"event_id": id, "event_name": "order_placed", "event_time_ms": time_ms, "order_id": id,
            "currency": "EUR", "card_token": card, "value_minor": 5});
        envelope("orders", id, time_ms, event)
    };
    let till = |card: &str, time_ms: i64| {
        let event = json!({"event_id": "t", "event_name": "pos_transaction", "event_time_ms": time_ms, "store_id": "s",
            "workstation_id": "w", "sequence_number": 1, "business_day": "2026-01-05", "currency": "EUR",
            "customer_id": "ada", "lines": [{"item_id": "i", "amount_minor": 5}],
            "tenders": [{"kind": "card", "amount_minor": 5, "card_token": card}]});
        envelope("pos", "s", time_ms, event)
    };
    let asked = |id: &str, time_ms: i64| {
        let event = json!({"event_id": id, "event_name": "payment_attempted", "event_time_ms": time_ms, "payment_id": id,
            "card_token": "another", "amount_minor": 5, "currency": "EUR", "customer_id": "ada"});
        envelope("payments", "another", time_ms, event)
    };
    let input = [
        order("before", "tok_1", START_MS + 15),
        till("tok_1", START_MS + 10),
        order("behind", "tok_1", START_MS + 20),
        asked("p1", START_MS + 30),
    ];
    let folder = good(&input.concat(), &["--config", &config]);
    let vector = lines(folder.path(), "vectors.fraud")[0]["value"]["features"].clone();
    assert_eq!(
        vector,
        json!({"orders__count_1h": 1.0}),
        "the order before was read before its card was linked"
    );
}

/// Final sessions without what depends on the order of arrival.
fn final_sessions(folder: &Path) -> BTreeMap<(String, i64), Value> {
    lines(folder, "sessions")
        .into_iter()
        .map(|line| line["value"].clone())
        .filter(|session| session["is_final"] == true)
        .map(|mut session| {
            let fields = session.as_object_mut().expect("an object");
            for field in ["revision", "supersedes"] {
                fields.remove(field);
            }
            let key = (
                session["visitor_id"].as_str().expect("a text").to_owned(),
                session["start_ms"].as_i64().expect("a time"),
            );
            (key, session)
        })
        .collect()
}

#[test]
fn input_shuffled_within_the_allowed_lateness_gives_the_same_final_sessions() {
    // 20,000 clicks, 100 ms apart in the mean, of 300 visitors; each arrives up to five minutes late
    let mut random = 1_u64;
    let mut next = move |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut clicks = Vec::new();
    for number in 0..20_000_i64 {
        let time_ms = START_MS + number * 1_000;
        let visitor = format!("v{}", next(2_000));
        let arrives = time_ms + i64::try_from(next(290_000)).expect("small");
        clicks.push((arrives, click_line(&visitor, &format!("e{number}"), time_ms)));
    }
    let in_order: String = clicks.iter().map(|(_, line)| line.as_str()).collect();
    clicks.sort_by_key(|(arrives, _)| *arrives);
    let shuffled: String = clicks.iter().map(|(_, line)| line.as_str()).collect();
    assert_ne!(in_order, shuffled);
    let (one, other) = (good(&in_order, &[]), good(&shuffled, &[]));
    let sessions = final_sessions(one.path());
    assert!(sessions.len() > 1_000, "{} sessions", sessions.len());
    assert_eq!(sessions, final_sessions(other.path()));
    let late_applied = ledger(other.path())["copies"]["visitor"]["late_applied"].as_u64();
    assert!(late_applied > Some(300), "the shuffle must matter: {late_applied:?}");
    assert_eq!(ledger(other.path())["copies"]["visitor"]["late"], 0);
}

#[test]
fn what_is_not_an_event_becomes_a_dead_letter_with_its_bytes_origin_and_reason() {
    let cases = [
        (json!("{broken"), "not_json"),
        (json!(""), "empty"),
        (Value::Null, "empty"),
        (json!({"event_id": 1}), "wrong_type"),
        (json!({"event_id": "e"}), "missing_field"),
        (json!({"event_id": "", "event_name": "x", "event_time_ms": 1, "visitor_id": "v"}), "out_of_range"),
        (json!([1]), "wrong_type"),
        (json!("x".repeat((1 << 20) + 1)), "too_large"),
        (json!(format!("{}1{}", "[".repeat(33), "]".repeat(33))), "too_deep"),
    ];
    let input: String =
        cases.iter().map(|(value, _)| envelope("clickstream", "k", START_MS, value.clone())).collect();
    let folder = good(&input, &[]);
    let letters = lines(folder.path(), "dead-letter");
    assert_eq!(letters.len(), cases.len());
    for ((value, reason), letter) in cases.iter().zip(&letters) {
        let headers = &letter["headers"];
        assert_eq!(headers["tillstream-reason"], *reason, "{value}");
        assert_eq!(headers["__streams.errors.topic"], "clickstream");
        assert!(
            headers["__streams.errors.offset"].is_string() && headers["__streams.errors.message"].is_string()
        );
        assert_eq!(letter["key"], "k");
        let original = match value {
            Value::Null => Value::Null,
            Value::String(text) => json!(text),
            other => json!(other.to_string()),
        };
        assert_eq!(letter["value"], original);
    }
    let ledger = ledger(folder.path());
    assert_eq!(
        (&ledger["records"], &ledger["routed"], &ledger["balances"]),
        (&json!(cases.len()), &json!(0), &json!(true))
    );
}

#[test]
fn a_duplicate_event_id_is_dropped_and_counted() {
    let line = click_line("v1", "e1", START_MS);
    let folder = good(&(line.clone() + &line), &[]);
    assert_eq!(ledger(folder.path())["copies"]["visitor"]["duplicate"], 1);
    let sessions = final_sessions(folder.path());
    assert_eq!(sessions.values().next().map(|session| session["events"].clone()), Some(json!(1)));
}

/// Clicks of other visitors that carry the watermark to `time_ms`; every raw partition gets some.
fn carry_time_to(time_ms: i64) -> String {
    (0..40)
        .map(|number| click_line(&format!("w{number}"), &format!("w{number}-{time_ms}"), time_ms))
        .collect()
}

/// Three rounds of clicks of another visitor, all at `time_ms`.
fn rounds_at(name: &str, time_ms: i64) -> String {
    (0..3_000).map(|number| click_line("other", &format!("{name}{number}"), time_ms)).collect()
}

/// As [`good`], where every topic has one partition and is idle as soon as it is silent: time goes on from round to round.
fn as_time_goes_on(input: &str, more: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(TILLSTREAM)
        .args(["process", "-", "--out"])
        .arg(folder.path())
        .args(more)
        .env("TILLSTREAM__MEMORY__RAW_PARTITIONS", "1")
        .env("TILLSTREAM__INGEST__IDLE_TIMEOUT", "1ms")
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
    folder
}

#[test]
fn a_late_click_within_the_allowed_lateness_gives_a_new_revision_and_beyond_it_a_late_record() {
    const MINUTE: i64 = 60_000;
    // the session [0, 0] ends at 30 min and is final at 35 min; time moves between rounds of 1,000 lines
    let click = |event: &str, minute: i64| click_line("v1", event, START_MS + minute * MINUTE);
    let input = click("e1", 0)
        + &rounds_at("a", START_MS)
        + &rounds_at("b", START_MS + 33 * MINUTE)
        + &click("e2", 1)
        + &rounds_at("c", START_MS + 80 * MINUTE)
        + &click("e3", 2);
    let folder = as_time_goes_on(&input, &[]);
    let sessions: Vec<Value> = lines(folder.path(), "sessions")
        .into_iter()
        .map(|line| line["value"].clone())
        .filter(|session| session["visitor_id"] == "v1")
        .collect();
    let seen: Vec<_> = sessions
        .iter()
        .map(|session| {
            (session["revision"].as_u64(), session["is_final"].as_bool(), session["events"].as_u64())
        })
        .collect();
    assert_eq!(
        seen,
        [(Some(1), Some(false), Some(1)), (Some(2), Some(false), Some(2)), (Some(3), Some(true), Some(2))]
    );
    let late = lines(folder.path(), "late");
    let record =
        late.iter().map(|line| &line["value"]).find(|record| record["event_id"] == "e3").expect("e3 is late");
    assert_eq!(record["missed_session"]["session_id"], sessions[0]["session_id"]);
    assert_eq!(record["origin"]["topic"], "clickstream");
}

#[test]
fn a_timestamp_too_far_in_the_future_is_clamped_and_counted() {
    let far = START_MS + 10 * 86_400_000;
    let line = envelope("clickstream", "v1", START_MS, click("v1", "e1", far));
    let folder = good(&(line + &click_line("v2", "e2", START_MS)), &[]);
    let ledger = ledger(folder.path());
    assert_eq!(ledger["clamped"], 1);
    let clamped = START_MS + 600_000;
    assert!(final_sessions(folder.path()).contains_key(&("v1".to_owned(), clamped)));
}

#[test]
fn unknown_fields_and_names_are_counted_and_no_error() {
    let mut event = click("v1", "e1", START_MS);
    event["event_name"] = json!("waved");
    event["shoe_size"] = json!(43);
    let other = json!({"event_name": "payment_captured", "x": 1});
    let folder = good(
        &(envelope("clickstream", "v1", START_MS, event) + &envelope("payments", "c", START_MS, other)),
        &[],
    );
    let ledger = ledger(folder.path());
    assert_eq!(
        (&ledger["unknown_fields"], &ledger["unknown_names"], &ledger["routed"]),
        (&json!(1), &json!(2), &json!(2))
    );
    assert_eq!(
        final_sessions(folder.path()).values().next().map(|session| session["other_events"].clone()),
        Some(json!(1))
    );
}

#[test]
fn a_payment_is_scored_however_late_it_is() {
    let input = carry_time_to(START_MS + 86_400_000) + &payment_line("p1", START_MS);
    let folder = good(&input, &[]);
    let scores = lines(folder.path(), "scores.fraud");
    assert_eq!(scores.len(), 1);
    assert_eq!(scores[0]["value"]["payment_id"], "p1");
    assert_eq!(scores[0]["value"]["missing_parts"], json!([]));
}

#[test]
fn a_payment_id_that_is_used_twice_gives_one_score_and_is_counted() {
    let twice = payment_line("p1", START_MS + 1).replace("e-p1", "another");
    let folder = good(&(payment_line("p1", START_MS) + &twice), &[]);
    assert_eq!(lines(folder.path(), "scores.fraud").len(), 1);
    let decisions = &ledger(folder.path())["decisions"];
    let unused = decisions["late_parts"]
        .as_u64()
        .zip(decisions["foreign_parts"].as_u64())
        .map(|(late, foreign)| late + foreign);
    assert_eq!((decisions["whole"].as_u64(), unused), (Some(1), Some(2)), "{decisions}");
}

#[test]
fn an_input_that_is_kept_open_leaves_sessions_open() {
    let folder = good(&click_line("v1", "e1", START_MS), &["--keep-open"]);
    assert_eq!(lines(folder.path(), "sessions").len(), 0);
    assert_eq!(lines(folder.path(), "features.session").len(), 1);
}

#[test]
fn a_million_random_and_mutated_records_lose_none() {
    let seed_text = generated(9, 20_000);
    let seeds: Vec<&str> = seed_text.lines().collect();
    let mut random = 99_u64;
    let mut next = move |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((random >> 33) % bound as u64).expect("small")
    };
    let count = 1_000_000_u64;
    let mut input = String::with_capacity(450 << 20);
    for number in 0..count {
        let envelope: Value = serde_json::from_str(seeds[next(seeds.len())]).expect("an envelope");
        let payload = match &envelope["value"] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let mut bytes = payload.into_bytes();
        match number % 4 {
            0 => {}
            1 => bytes.truncate(next(bytes.len() + 1)),
            2 if !bytes.is_empty() => {
                let place = next(bytes.len());
                bytes[place] = b"\"{}[]:,0e-x\\"[next(12)];
            }
            _ => bytes = (0..next(80)).map(|_| u8::try_from(32 + next(95)).expect("printable")).collect(),
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        input.push_str(
            &json!({"topic": envelope["topic"], "ts": envelope["ts"], "key": envelope["key"], "value": text})
                .to_string(),
        );
        input.push('\n');
    }
    let folder = good(&input, &[]);
    let ledger = ledger(folder.path());
    let dead: u64 =
        ledger["dead_lettered"].as_object().expect("by reason").values().filter_map(Value::as_u64).sum();
    assert_eq!(ledger["records"].as_u64(), Some(count));
    assert_eq!(ledger["routed"].as_u64().map(|routed| routed + dead), Some(count));
    assert_eq!(ledger["balances"], true);
    let ends = &ledger["labels"]["ended"];
    let labels = ["second_label", "no_decision"].map(|end| ends[end].as_u64().expect("a count"));
    assert_eq!(lines(folder.path(), "dead-letter").len() as u64, dead + labels[0] + labels[1]);
    assert!(dead > count / 3 && dead < count, "{dead}");
}

#[test]
fn wrong_usage_and_wrong_configuration_end_with_2_and_name_every_fault() {
    assert_eq!(tillstream(&["process"], "").status.code(), Some(2));
    assert_eq!(tillstream(&["process", "/no/such/file", "--out", "/tmp/x"], "").status.code(), Some(2));
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("shop.yaml");
    std::fs::write(
        &config,
        "sessions: { gap: 0s, gapp: 1m }\nroles: [cook]\nkafka: { client: { acks: 0 } }\n",
    )
    .expect("writable");
    let output = tillstream(&["config", "check", "--config", &config.to_string_lossy()], "");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for fault in [
        "sessions.gap: must be greater than zero",
        "sessions.gapp: is not a known key",
        "roles[0]: must be one of",
        "kafka.client.acks: is set by tillstream",
    ] {
        assert!(text.contains(fault), "{fault} is not in\n{text}");
    }
}

#[test]
fn a_broken_rule_and_a_broken_view_are_refused_with_the_place_of_the_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
    write("shop.yaml", "features: features.yaml\nrules: rules.yaml\n");
    write(
        "features.yaml",
        "views: [{ name: v, entity: card, source: payment_attempted, windows: [1h], features: [count] }]\n",
    );
    let rules = |when: &str| {
        format!(
            "version: 1\nthresholds: {{ review: 0.1, step_up: 0.2, decline: 0.3 }}\nrules: [{{ id: r, state: live, when: \"{when}\", \
             code: R, weight: 0.5 }}]\n"
        )
    };
    let config = folder.path().join("shop.yaml").to_string_lossy().into_owned();
    let check = || {
        let output = tillstream(&["config", "check", "--config", &config], "");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    write("rules.yaml", &rules("v__count_1h > 1.0"));
    assert_eq!(check().0, Some(0));
    for (when, fault) in [
        ("v__count_2h > 1.0", "rules.rules[0].when"),
        ("v__count_1h >", "rules.rules[0].when"),
        ("v__count_1h * 2 > 1.0", "2.0"),
        ("currency > 1.0", "rules.rules[0].when"),
    ] {
        write("rules.yaml", &rules(when));
        let (code, text) = check();
        assert_eq!(code, Some(2), "{when}: {text}");
        assert!(text.contains(fault) && text.contains("column"), "{when}: {text}");
    }
    write(
        "features.yaml",
        "views: [{ name: v, entity: card, source: click, windows: [1s, 1h], features: [sum: amount] }]\n",
    );
    let (code, text) = check();
    assert_eq!(code, Some(2));
    assert!(
        text.contains("features.views[0].windows[0]") && text.contains("features.views[0].features[0]"),
        "{text}"
    );
}

#[test]
fn no_line_of_a_file_stops_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("day.jsonl");
    let mut bytes = click_line("v1", "e1", START_MS).into_bytes();
    bytes.extend_from_slice(b"{\"topic\":\"clickstream\",\"val\n\xff\xfe\n{\"topic\":\"nowhere\"}\n");
    bytes.extend_from_slice(click_line("v2", "e2", START_MS).trim_end().as_bytes());
    std::fs::write(&file, bytes).expect("writable");
    let out = folder.path().join("out");
    let output = tillstream(&["process", &file.to_string_lossy(), "--out", &out.to_string_lossy()], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ledger = ledger(&out);
    assert_eq!(
        (&ledger["records"], &ledger["routed"], &ledger["balances"]),
        (&json!(5), &json!(2), &json!(true))
    );
}

#[test]
fn an_input_that_is_not_there_leaves_earlier_results_alone() {
    let folder = good(&click_line("v1", "e1", START_MS), &[]);
    let before = std::fs::read(folder.path().join("sessions.jsonl")).expect("readable");
    let output = tillstream(&["process", "/no/such/file", "--out", &folder.path().to_string_lossy()], "");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read(folder.path().join("sessions.jsonl")).expect("readable"), before);
}

#[test]
fn a_service_without_keys_of_its_own_is_refused() {
    let output = tillstream(&["run"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pseudonyms.keys"));
}

#[test]
fn every_fault_of_the_configuration_its_views_and_its_rules_is_reported_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
    write(
        "shop.yaml",
        "application: ''\nkafka: { brokers: '', client: { sokcet.timeout.ms: 1, message.send.max.retries: 1 } }\n\
         features: features.yaml\nrules: rules.yaml\n",
    );
    write(
        "features.yaml",
        "views: [{ name: v, entity: card, source: click, windows: [1s], features: [count] }]\n",
    );
    write(
        "rules.yaml",
        "version: 1\nthresholds: { review: 0.1, step_up: 0.2, decline: 0.3 }\n\
         rules: [{ id: r, state: lve, when: amount > 1.0, code: R, weight: abc }]\n",
    );
    let config = folder.path().join("shop.yaml").to_string_lossy().into_owned();
    for arguments in
        [&["config", "check"][..], &["config", "show"], &["run"], &["demo"], &["inspect", "sessions"]]
    {
        let output = tillstream(&[arguments, &["--config", &config]].concat(), "");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        for fault in [
            "application: must not be empty",
            "kafka.brokers: must name a broker",
            "kafka.client.message.send.max.retries: is set by tillstream",
            "kafka.client.sokcet.timeout.ms: is no setting of librdkafka",
            "features.views[0].source: a click never names a card",
            "features.views[0].windows[0]: `1s` must be",
            "rules.rules[0].state: must be one of draft, shadow, live, retired",
            "rules.rules[0].weight: must be a number",
            "rules.rules[0].when: column 1: unknown name `amount`",
        ] {
            assert!(text.contains(fault), "{arguments:?}: {fault} is not in\n{text}");
        }
    }
}

#[test]
fn the_value_of_a_secret_is_shown_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("shop.yaml");
    std::fs::write(folder.path().join("password"), "hush-hush\n").expect("writable");
    std::fs::write(
        &config,
        "kafka: { client: { sasl.username: u }, client_files: { sasl.password: password } }\n",
    )
    .expect("writable");
    let output = tillstream(&["config", "show", "--config", &config.to_string_lossy()], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !text.contains("hush"), "{text}");
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(shown["kafka"]["client"], json!(["sasl.username"]));
    assert_eq!(shown["kafka"]["client_files"], json!(["sasl.password"]));
}

#[test]
fn a_variable_of_somebody_else_that_is_not_utf_8_is_nobodys_business() {
    use std::os::unix::ffi::OsStrExt;
    let check = |name: &str| {
        let value = std::ffi::OsStr::from_bytes(b"\xff");
        let output = Command::new(TILLSTREAM).args(["config", "check"]).env(name, value).output();
        let output = output.expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check("FOO"), (Some(0), String::new()));
    let (code, text) = check("TILLSTREAM__APPLICATION");
    assert_eq!(code, Some(2));
    assert!(text.contains("TILLSTREAM__APPLICATION: is not UTF-8"), "{text}");
}

#[test]
fn a_result_never_overwrites_an_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("writable");
        file.to_string_lossy().into_owned()
    };
    let late = write("late.jsonl", &click_line("v1", "e1", START_MS));
    let earlier = write("sessions.jsonl", "earlier results\n");
    let link = folder.path().join("day.jsonl");
    std::fs::hard_link(&late, &link).expect("linked");
    let out = folder.path().to_string_lossy().into_owned();
    for input in [late.clone(), link.to_string_lossy().into_owned(), format!("{out}/./late.jsonl")] {
        let output = tillstream(&["process", &input, "--out", &out], "");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(&format!("{input}: the results would overwrite it")), "{text}");
    }
    assert_eq!(std::fs::read_to_string(&late).expect("readable"), click_line("v1", "e1", START_MS));
    assert_eq!(std::fs::read_to_string(&earlier).expect("readable"), "earlier results\n");
    let other = write("monday.jsonl", &click_line("v1", "e1", START_MS));
    assert!(tillstream(&["process", &other, "--out", &out], "").status.success());
}

#[test]
fn an_empty_line_is_nothing() {
    let click = click_line("v1", "e1", START_MS);
    let folder = good(&format!("\n{click}\r\n\n{click}\n"), &[]);
    assert_eq!(ledger(folder.path())["records"], 2);
    let folder = good(" \n", &[]);
    assert_eq!(ledger(folder.path())["dead_lettered"]["empty"], 1, "a line of spaces is a broken event");
}

#[test]
fn what_generate_cannot_do_is_wrong_usage() {
    for (arguments, expected) in [
        (&["--kafka", "--per-second", "0"][..], "--per-second"),
        (&["--out", "-", "--start", "9999-12-30T00:00:00Z"], "start must be"),
        (&["--out", "-", "--drift", "unit:at=99d"], "change 1: begins long after the traffic has ended"),
    ] {
        let output = tillstream(&[&["generate"], arguments].concat(), "");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn without_a_broker_generate_and_inspect_name_the_one_that_does_not_answer() {
    // a port that was free a moment ago
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let brokers = port.expect("a free port").to_string();
    let ask = |arguments: &[&str]| {
        let output =
            Command::new(TILLSTREAM).args(arguments).env("TILLSTREAM__KAFKA__BROKERS", &brokers).output();
        let output = output.expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let begun = tillstream::time::Stopwatch::start();
    for arguments in [&["generate", "--kafka", "--events", "10"][..], &["inspect", "sessions"]] {
        let (code, text) = ask(arguments);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&brokers), "{arguments:?}: {text}");
    }
    assert!(begun.elapsed().as_secs() < 40, "{:?}", begun.elapsed());
}

fn rules_line(version: u32, when: &str, time_ms: i64) -> String {
    let rules = format!(
        "version: {version}\nthresholds: {{ review: 0.3, step_up: 0.6, decline: 0.85 }}\n\
         rules:\n  - {{ id: any, state: live, when: {when}, code: ANY, weight: 0.5 }}\n"
    );
    let event = json!({"event_id": format!("rules-{version}-{time_ms}"), "event_name": "rules_published",
        "event_time_ms": time_ms, "rules": rules});
    event.to_string() + "\n"
}

#[test]
fn rules_that_are_published_judge_what_follows_them_and_faulty_or_outdated_ones_are_handed_back() {
    // each visitor's payments are decided in partitions of their own
    let visitors = ["v0", "v1", "v2", "v3", "v4", "v5"];
    let paid = |when: &str, at: i64| -> String {
        let payment = |visitor: &str| {
            payment_of(visitor, &format!("of {visitor}"), &format!("{when} {visitor}"), START_MS + at)
        };
        visitors.iter().map(|visitor| payment(visitor)).collect()
    };
    let input = [
        paid("before", 0),
        rules_line(9, "amount_minor > 1.0", START_MS + 1),
        paid("under 9", 2),
        rules_line(10, "amount > 1.0", START_MS + 3).replace("weight: 0.5", "weight: 3.0"),
        rules_line(8, "amount_minor > 1.0", START_MS + 4),
        paid("still under 9", 5),
        rules_line(11, "amount_minor > 100000.0", START_MS + 6),
        paid("under 11", 7),
    ];
    let folder = good(&input.concat(), &[]);
    let scores = lines(folder.path(), "scores.fraud");
    for (when, version, reasons) in
        [("before", 3, 0), ("under 9", 9, 1), ("still under 9", 9, 1), ("under 11", 11, 0)]
    {
        for visitor in visitors {
            let payment = format!("{when} {visitor}");
            let score = scores.iter().find(|score| score["value"]["payment_id"] == payment).expect(&payment);
            let found = score["value"]["reasons"].as_array().expect("a list").len();
            assert_eq!((&score["value"]["rules_version"], found), (&json!(version), reasons), "{payment}");
        }
    }
    let letters = lines(folder.path(), "dead-letter");
    let header = |letter: &Value, name: &str| letter["headers"][name].clone();
    let mut why: Vec<_> = letters
        .iter()
        .map(|letter| (header(letter, "tillstream-reason"), header(letter, "tillstream-path")))
        .collect();
    why.sort_by_key(|(reason, _)| reason.to_string());
    let expected = [
        (json!("bad_rules"), json!("rules.rules[0].weight")),
        (json!("outdated_rules"), json!("rules.version")),
    ];
    assert_eq!(why, expected, "{letters:?}");
    let message = letters.iter().map(|letter| header(letter, "__streams.errors.message").to_string());
    assert!(
        message
            .clone()
            .any(|message| message.contains("; rules.rules[0].when: column 1: unknown name `amount`"))
    );
    assert!(message.clone().any(|message| message.contains("version 8 is not above 9")));
}

fn login_line(customer: &str, visitor: &str, time_ms: i64) -> String {
    let event = json!({"event_id": format!("login-{customer}-{visitor}-{time_ms}"), "event_name": "login", "event_time_ms": time_ms,
        "customer_id": customer, "visitor_id": visitor});
    envelope("accounts", customer, time_ms, event)
}

#[test]
fn a_payment_that_names_no_customer_counts_for_the_one_who_logged_in_unless_too_many_did() {
    let anonymous = |payment: &str, time_ms| payment_line(payment, time_ms);
    let of_ada = |payment: &str, time_ms| {
        let event = json!({"event_id": format!("e-{payment}"), "event_name": "payment_attempted", "event_time_ms": time_ms,
            "payment_id": payment, "card_token": "tok_2", "amount_minor": 1_250, "currency": "EUR", "customer_id": "ada"});
        envelope("payments", "tok_2", time_ms, event)
    };
    let input = [
        anonymous("before", START_MS),
        login_line("ada", "v1", START_MS + 10),
        anonymous("linked", START_MS + 20),
        // payments that stand together are folded together: what is a linked customer's goes on to her behind them
        click_line("v2", "c", START_MS + 25),
        of_ada("her own", START_MS + 30),
        login_line("bob", "v1", START_MS + 40),
        anonymous("of bob", START_MS + 50),
        login_line("cleo", "v1", START_MS + 60),
        anonymous("of strangers", START_MS + 70),
    ];
    let folder = good(&input.concat(), &[]);
    let scores = lines(folder.path(), "scores.fraud");
    let vectors = lines(folder.path(), "vectors.fraud");
    let of = |payment: &str| {
        let about = |records: &[Value]| {
            records.iter().find(|record| record["value"]["payment_id"] == payment).expect(payment)["value"]
                .clone()
        };
        let (score, vector) = (about(&scores), about(&vectors));
        assert_eq!(score["missing_parts"], json!([]), "{score}");
        (score["entities"]["customer"].clone(), vector["features"]["customer_velocity__count_1h"].clone())
    };
    let (ada, bob) = (of("her own").0, of("of bob").0);
    assert!(ada.is_string() && bob.is_string() && ada != bob);
    assert_eq!(of("before"), (Value::Null, Value::Null));
    assert_eq!(of("linked"), (ada.clone(), json!(1.0)));
    assert_eq!(of("her own"), (ada, json!(2.0)), "one history, however she was known");
    assert_eq!(of("of bob").1, json!(1.0));
    assert_eq!(of("of strangers"), (Value::Null, Value::Null), "three customers within a day");
    let ledger = ledger(folder.path());
    assert_eq!(ledger["decisions"]["without_parts"], json!(0), "{ledger}");
}

#[test]
fn the_demo_shows_what_the_model_learned_and_what_was_recommended() {
    // topics that nothing comes from hold time back until they count as idle
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("demo.yaml");
    std::fs::write(&config, "ingest: { idle_timeout: 500ms }").expect("a writable folder");
    let config = config.to_string_lossy().into_owned();
    let output =
        tillstream(&["demo", "--duration", "6s", "--rate", "34000", "--seed", "3", "--config", &config], "");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    let model = line("model online, version ");
    assert!(model.contains(" scores judged, ") && model.contains("average precision "), "{text}");
    let losses = line("  its loss per label as it learned: ");
    let curve = losses.split(" (").next().unwrap_or_default();
    let curve: Vec<f64> = curve.split(' ').filter_map(|loss| loss.parse().ok()).collect();
    let of_rate = losses.rsplit(' ').next().and_then(|loss| loss.trim_end_matches(')').parse::<f64>().ok());
    assert!(curve.len() > 2, "{text}");
    assert!(curve.last() < of_rate.as_ref(), "it has learned something: {text}");
    assert!(line("next item among 20 recommended: ").contains(" looks"), "{text}");
}

#[test]
fn views_and_filters_read_every_entity_that_an_event_names_and_results_count_for_linked_customers() {
    let (_kept, config) = shop_with_views(
        "  - { name: device_clicks, entity: device, source: click, windows: [1h], features: [distinct: visitor] }
  - { name: customer_orders, entity: customer, source: order_placed, windows: [1h], features: [distinct: visitor] }
  - { name: customer_tills, entity: customer, source: pos_transaction, where: store.startsWith('de-'), windows: [1h], features: [count] }
  - { name: customer_results, entity: customer, source: payment_result, windows: [1h], features: [count, mean: declined] }
",
    );
    let mut seen = click("v1", "c1", START_MS);
    seen["device_id"] = json!("d1");
    let order = json!({"event_id": "o1", "event_name": "order_placed", "event_time_ms": START_MS, "order_id": "o1",
        "currency": "EUR", "visitor_id": "v1", "customer_id": "ada"});
    let basket = |store: &str| {
        let event = json!({"event_id": store, "event_name": "pos_transaction", "event_time_ms": START_MS, "store_id": store,
            "workstation_id": "w", "sequence_number": 1, "business_day": "2026-01-05", "currency": "EUR",
            "lines": [{"item_id": "i", "amount_minor": 5}], "customer_id": "ada"});
        envelope("pos", store, START_MS, event)
    };
    let declined = json!({"event_id": "r1", "event_name": "payment_result", "event_time_ms": START_MS + 10, "payment_id": "p0",
        "card_token": "tok_1", "status": "declined", "visitor_id": "v1"});
    let asked = json!({"event_id": "e1", "event_name": "payment_attempted", "event_time_ms": START_MS + 30, "payment_id": "p1",
        "card_token": "tok_1", "amount_minor": 5, "currency": "EUR", "customer_id": "ada", "device_id": "d1"});
    let input = [
        envelope("clickstream", "v1", START_MS, seen),
        envelope("orders", "ada", START_MS, order),
        basket("de-1"),
        basket("fr-1"),
        login_line("ada", "v1", START_MS + 5),
        envelope("payments", "tok_1", START_MS + 10, declined),
        // payments that stand together are folded together: what is a linked customer's goes on to her behind them
        click_line("v2", "c2", START_MS + 25),
        envelope("payments", "tok_1", START_MS + 30, asked),
        // what stands behind the payment is nothing that it could have known
        basket("de-2"),
    ];
    let folder = good(&input.concat(), &["--config", &config]);
    let vector = lines(folder.path(), "vectors.fraud")[0]["value"]["features"].clone();
    let expected = json!({
        "device_clicks__visitor_distinct_1h": 1.0,
        "customer_orders__visitor_distinct_1h": 1.0,
        "customer_tills__count_1h": 1.0,
        "customer_results__count_1h": 1.0,
        "customer_results__declined_mean_1h": 1.0,
    });
    assert_eq!(vector, expected);
}

#[test]
fn a_purchase_at_the_till_joins_the_session_of_its_customer_and_of_nobody_else() {
    let minute = |number: i64| START_MS + number * 60_000;
    // a loyalty number and a card are ada's by what her account says; bob looked at something on a tablet of his own
    let account = |event_id: &str, customer: &str, visitor: &str, more: Value| {
        let mut event = json!({"event_id": event_id, "event_name": "login", "event_time_ms": minute(0),
            "customer_id": customer, "visitor_id": visitor});
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        envelope("accounts", customer, minute(0), event)
    };
    let basket = |number: i64, at: i64, who: Value| {
        let mut event = json!({"event_id": format!("b{number}"), "event_name": "pos_transaction", "event_time_ms": minute(at),
            "store_id": "s", "workstation_id": "w", "sequence_number": number, "business_day": "2026-01-05", "currency": "EUR",
            "lines": [{"item_id": format!("i{number}"), "category": "shoes", "amount_minor": 1_000 * (number + 1)},
                {"item_id": "old", "amount_minor": 400, "is_return": true}]});
        event.as_object_mut().expect("an object").extend(who.as_object().expect("an object").clone());
        envelope("pos", "s", minute(at), event)
    };
    let by_card = json!({"tenders": [{"kind": "card", "amount_minor": 600, "card_token": "tok_ada"}]});
    let filler = |at: i64| -> String {
        (0..2_000).map(|number| click_line("v9", &format!("f{at}-{number}"), minute(at))).collect()
    };
    let input = [
        account("l1", "ada", "v1", json!({"loyalty_id": "n1", "card_token": "tok_ada"})),
        account("l2", "bob", "v2", json!({})),
        account("l3", "cleo", "kiosk", json!({})),
        account("l4", "dora", "kiosk", json!({})),
        account("l5", "emil", "kiosk", json!({})),
        click_line("kiosk", "c3", minute(1)),
        click_line("v1", "c1", minute(1)),
        click_line("v2", "c2", minute(1)),
        filler(2),
        basket(0, 10, json!({"loyalty_id": "n1"})),
        basket(1, 11, by_card),
        basket(2, 12, json!({"customer_id": "bob"})),
        basket(3, 13, json!({})),
        basket(5, 14, json!({"customer_id": "emil"})),
        // 45 minutes after her last click: whoever shops then is no longer in the shop online
        basket(4, 46, json!({"customer_id": "ada"})),
        filler(47),
        filler(48),
    ];
    let folder = good(&input.concat(), &[]);
    let finals: Vec<Value> = lines(folder.path(), "sessions")
        .into_iter()
        .map(|record| record["value"].clone())
        .filter(|session| session["is_final"] == true && session["visitor_id"] != "v9")
        .collect();
    let of = |visitor: &str| {
        let mut found = finals.iter().filter(|session| session["visitor_id"] == visitor);
        let session = found.next().expect("a session");
        assert!(found.next().is_none(), "a till opens no session");
        session
    };
    let (ada, bob) = (of("v1"), of("v2"));
    assert_eq!((&ada["purchases"], &ada["revenue_minor"]), (&json!(2), &json!({"EUR": 600 + 1_600})));
    assert_eq!((&bob["purchases"], &bob["revenue_minor"]), (&json!(1), &json!({"EUR": 2_600})));
    assert_eq!((&ada["start_ms"], &ada["end_ms"]), (&json!(minute(1)), &json!(minute(1))), "nor extends it");
    assert_eq!(ada["outcome"], "purchased");
    assert_eq!(of("kiosk")["purchases"], 0, "a terminal of many is nobody's");
    let running = lines(folder.path(), "features.session");
    let last =
        running.iter().rfind(|record| record["value"]["visitor_id"] == "v1").expect("her session runs");
    assert_eq!(last["value"]["purchases"], 2, "the page sees it");
}

#[test]
fn a_label_that_is_told_again_hours_later_counts_once() {
    let hour = |number: i64| START_MS + number * 3_600_000;
    let label = |at: i64| {
        let event = json!({"event_id": "l1", "event_name": "label", "known_at_ms": hour(1), "payment_id": "p1",
            "outcome": "fraud", "source": "chargeback", "card_token": "tok_1"});
        envelope("labels", "p1", at, event)
    };
    let input = [
        payment_of("v1", "tok_1", "p1", hour(0)),
        label(hour(1)),
        // rounds of its own, so that it is not hours late when it is read
        rounds_at("q", hour(1)),
        rounds_at("r", hour(5)),
        label(hour(5)),
        payment_of("v1", "tok_1", "p2", hour(6)),
    ];
    let folder = as_time_goes_on(&input.concat(), &[]);
    let vectors = lines(folder.path(), "vectors.fraud");
    let last = vectors.iter().find(|vector| vector["value"]["payment_id"] == "p2").expect("it is scored");
    assert_eq!(last["value"]["features"]["card_labels__fraud_sum_30d"], 1.0);
    assert_eq!(lines(folder.path(), "labelled.fraud").len(), 1);
}

#[test]
fn planted_card_testers_are_one_episode_each_around_their_device() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("days.jsonl").to_string_lossy().into_owned();
    let out = folder.path().join("out");
    let arguments =
        ["generate", "--seed", "3", "--events", "100000", "--events-per-second", "0.4", "--out", &file];
    assert!(tillstream(&arguments, "").status.success());
    assert!(tillstream(&["process", &file, "--out", &out.to_string_lossy()], "").status.success());
    let truth = std::fs::read_to_string(format!("{file}.truth.jsonl")).expect("the truth");
    let truth: Vec<Value> =
        truth.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let planted: Vec<&Value> = truth.iter().filter(|line| line["kind"] == "card_testing").collect();
    assert!(planted.len() > 2, "{} are few", planted.len());
    let mut episodes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines(&out, "alerts.fraud") {
        let alert = line["value"].clone();
        episodes.entry(alert["subject"].to_string()).or_default().push(alert);
    }
    for testers in &planted {
        let subject =
            json!(format!("device {}", testers["device_id"].as_str().expect("a device"))).to_string();
        let told = episodes.remove(&subject).unwrap_or_else(|| panic!("{subject} is not told"));
        let (first, last) = (&told[0], &told[told.len() - 1]);
        assert_eq!((&first["status"], &last["status"]), (&json!("open"), &json!("resolved")), "{subject}");
        assert!(told.iter().all(|alert| alert["alert_id"] == first["alert_id"]), "{subject} is told once");
        let (attempts, counted) =
            (testers["payment_ids"].as_array().expect("payments").len(), &last["decisions"]);
        let counted = usize::try_from(counted.as_u64().expect("a count")).expect("few");
        // the first four pass: what is tested is known from the fifth card on
        assert!(counted + 10 >= attempts && counted <= attempts, "{subject}: {counted} of {attempts}");
    }
    assert!(episodes.is_empty(), "and nobody else: {:?}", episodes.keys());
}

/// Midnight of a Monday.
const MONDAY_MS: i64 = 1_767_571_200_000;
const HOUR_MS: i64 = 3_600_000;

/// Sixty predictions of an hour by a model elsewhere, of which a feature has another factor.
fn predictions(hour: i64, factor: f64) -> String {
    let prediction = |number: i64| {
        let id = format!("p-{hour}-{number}");
        let value = (hour * 60 + number) * 7_919 % 1_009;
        let feature = f64::from(i32::try_from(value + 1_000).expect("small")) * factor;
        json!({
            "event_id": id, "event_name": "prediction", "event_time_ms": MONDAY_MS + hour * HOUR_MS + number * 60_000,
            "model": "m", "prediction_id": id, "score": 0.5, "features": {"x": feature}, "segments": {},
        })
    };
    // what models say moves no time
    let clicks = carry_time_to(MONDAY_MS + hour * HOUR_MS);
    clicks + &(0..60).map(|number| prediction(number).to_string() + "\n").collect::<String>()
}

/// What is told of eight days of predictions: in the fifth the feature breaks, and in the seventh once more; `said` is said, by the clock
/// of today, half a day after the first.
fn told_of_predictions(first: &str, said: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("shop.yaml");
    std::fs::write(&config, "drift: { learn: 3d }\n").expect("a writable folder");
    let factor = |hour: i64| match hour {
        ..96 => 1.0,
        96..144 => 100.0,
        _ => 10_000.0,
    };
    let days: String =
        (0..192).map(|hour| predictions(hour, factor(hour)) + if hour == 108 { said } else { "" }).collect();
    let done = as_time_goes_on(&(first.to_owned() + &days), &["--config", &config.to_string_lossy()]);
    lines(done.path(), "alerts.drift").into_iter().map(|line| line["value"].clone()).collect()
}

fn said(name: &str, fingerprint: &Value) -> String {
    let event = json!({
        "event_id": name, "event_name": name, "event_time_ms": MONDAY_MS + 300 * 24 * HOUR_MS,
        "fingerprint": fingerprint, "subject": "m", "by": "ana",
    });
    event.to_string() + "\n"
}

#[test]
fn what_is_said_of_an_alert_is_of_the_time_of_the_log_whatever_the_clock_says() {
    let end = MONDAY_MS + 192 * HOUR_MS;
    let hours = |alert: &Value| (alert["detected_ms"].as_i64().expect("a time") - MONDAY_MS) / HOUR_MS;
    let alone = told_of_predictions("", "");
    let first = alone.first().expect("it is told");
    assert!((96..100).contains(&hours(first)), "{first}");
    assert_eq!(alone.iter().filter(|alert| alert["alert_id"] != first["alert_id"]).count(), 0, "one episode");

    let acknowledged = told_of_predictions("", &said("alert_acknowledged", &first["fingerprint"]));
    assert!(acknowledged.iter().any(|alert| alert["acknowledged"]["by"] == "ana"));
    assert!(acknowledged.iter().all(|alert| alert["as_of_ms"].as_i64() <= Some(end)), "of this log");
    assert_eq!(acknowledged.len(), alone.len() + 1);

    // what is expected is what is compared with from then on
    let expected = told_of_predictions("", &said("alert_expected", &first["fingerprint"]));
    let ended = expected.iter().find(|alert| alert["resolution"] == "expected").expect("it has ended");
    assert!(ended["as_of_ms"].as_i64() < Some(MONDAY_MS + 112 * HOUR_MS), "{ended}");
    let next = expected.iter().find(|alert| alert["alert_id"] != first["alert_id"]).expect("the next break");
    assert!((144..148).contains(&hours(next)), "{next}");

    let change = json!({
        "event_id": "c", "event_name": "change_announced", "event_time_ms": end + 300 * 24 * HOUR_MS,
        "change_id": "new-scale", "by": "ana", "what": "a new scale",
        "from_ms": MONDAY_MS + 96 * HOUR_MS, "for_seconds": 96 * 3_600,
    });
    let announced = told_of_predictions(&(change.to_string() + "\n"), "");
    assert_eq!(announced, Vec::<Value>::new(), "it was announced");
}
