//! Alerts: values that move are told once, whatever happens to the instance, and what somebody says of it comes back.

use crate::channel::{Channel, GONE};
use crate::judge::{PARTITIONS, alone, public};
use crate::oracle::Public;
use crate::serve::Feed;
use crate::support::{Instance, Shop};
use rdkafka::producer::Producer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tillstream::log::Topic;
use tillstream::time::{Clock, SystemClock};

const OPERATOR: Option<&str> = Some("token-of-the-operator");
const MINUTE_MS: i64 = 60_000;
/// Minutes of ordinary payments, of payments whose amounts are in another unit in the app, and of ordinary ones again: until no value
/// of the last hour is of the odd ones.
const ORDINARY: i64 = 150;
const ODD: i64 = 15;
const ORDINARY_AGAIN: i64 = 110;
const PER_MINUTE: i64 = 40;

struct Till {
    feed: Feed,
    start_ms: i64,
}

impl Till {
    /// Payments of these minutes; amounts of the app are multiplied.
    fn pay(&self, minutes: std::ops::Range<i64>, factor: i64) {
        for number in minutes.start * PER_MINUTE..minutes.end * PER_MINUTE {
            let is_app = number % 2 == 0;
            // no two alike, and the same mixture each minute
            let amount = 1_000 + number * 7_919 % 6_007;
            let id = format!("p{number}");
            let payment = json!({
                "event_id": id, "event_name": "payment_attempted", "payment_id": id,
                "event_time_ms": self.start_ms + number * MINUTE_MS / PER_MINUTE,
                "card_token": format!("card-{}", number % 997), "currency": "EUR",
                "amount_minor": if is_app { amount * factor } else { amount },
                "channel": if is_app { "app" } else { "online" }, "card_country": "DE",
            });
            self.feed.send("payments", &format!("card-{}", number % 997), Some(&payment));
        }
        self.feed.producer.flush(Duration::from_secs(30)).expect("a broker");
    }
}

/// So many hours ago, where a minute begins: what is odd is whole windows.
fn hours_ago(hours: i64) -> i64 {
    (SystemClock.now().0 / MINUTE_MS - hours * 60) * MINUTE_MS
}

fn alerts(instance: &Instance, status: &str) -> Vec<Value> {
    let answer = instance.ask("GET", &format!("/v1/alerts?status={status}"), OPERATOR, b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["alerts"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_change_of_unit_is_one_alert_through_kill_and_restart_and_what_is_said_of_it_comes_back() {
    let _alone = alone();
    let shop = Shop::open(2);
    shop.declare_clients("{}");
    let channel = Channel::open();
    let url = format!("http://127.0.0.1:{}/services/a-secret-path", channel.port);
    std::fs::write(shop.folder.path().join("slack.url"), url).expect("a writable folder");
    std::fs::write(shop.folder.path().join("gone.url"), format!("http://127.0.0.1:{}{GONE}", channel.port))
        .expect("a writable folder");
    shop.configure(
        "notify: { receivers: [{ name: channel, kind: slack, url_file: slack.url, catch_up: 0s },
                               { name: gone, kind: slack, url_file: gone.url, catch_up: 0s }] }",
    );
    assert_eq!(shop.run(&["notify", "test", "--receiver", "channel"]).matches(": ok").count(), 1);
    channel.messages.lock().expect("no panic").clear();
    shop.configure(
        "drift: { window: 1m, learn: 90m, resolve_after: 10m, segments: [channel] }\n\
         sessions: { allowed_lateness: 5s }\ningest: { out_of_orderness: 5s, idle_timeout: 5s }\n\
         checkpoints: { interval: 1s }",
    );
    let instance = shop.instance_in("a");
    let till = Till { feed: Feed::new(&shop), start_ms: hours_ago(6) };
    till.pay(0..ORDINARY, 1);
    let odd_from = till.start_ms + ORDINARY * MINUTE_MS;
    till.pay(ORDINARY..ORDINARY + ODD / 2, 100);
    let mut instance = instance;
    instance.wait_until("an alert", |instance| !alerts(instance, "open").is_empty());
    let open = alerts(&instance, "open");
    let [alert] = open.as_slice() else { panic!("one alert for all that moved: {open:?}") };
    let moved: Vec<_> =
        alert["findings"].as_array().expect("findings").iter().map(|finding| &finding["feature"]).collect();
    let minutes = |time: &Value| (time.as_i64().unwrap_or(0) - odd_from) as f64 / MINUTE_MS as f64;
    println!(
        "{} since {} found {}",
        alert["title"],
        minutes(&alert["since_ms"]),
        minutes(&alert["detected_ms"])
    );
    assert!(moved.contains(&&json!("amount_minor")), "{moved:?}");
    let amount =
        &alert["findings"][moved.iter().position(|name| **name == "amount_minor").expect("it is there")];
    assert_eq!((&alert["severity"], &alert["kind"]), (&json!("page"), &json!("data_drift")), "{alert}");
    assert_eq!(alert["segment"]["value"], "app", "{alert}");
    let since = amount["since_ms"].as_i64().expect("a time");
    assert!(
        (since - odd_from).abs() <= 2 * MINUTE_MS,
        "since {} s beside the change",
        (since - odd_from) / 1_000
    );
    assert!(alert["decisions"].as_u64().is_some_and(|count| count > 10), "{alert}");

    let id = alert["alert_id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/alerts/{id}");
    let said =
        instance.ask("POST", &format!("{path}/acknowledge"), OPERATOR, br#"{"note":"the app's release"}"#);
    assert_eq!(said.status, 202, "{said:?}");
    assert_eq!(instance.ask("POST", &format!("{path}/mute"), OPERATOR, b"{}").status, 422);
    assert_eq!(instance.ask("POST", &format!("{path}/shout"), OPERATOR, b"{}").status, 404);
    instance.wait_until("it is acknowledged", |instance| {
        let alert = &instance.ask("GET", &path, OPERATOR, b"").json()["alert"];
        alert["acknowledged"]["by"] == "operator" && alert["acknowledged"]["note"] == "the app's release"
    });

    instance.wait_until("the channel has heard of it", |_| channel.said().len() == 1);
    instance.wait_until("who is not told is known", |instance| {
        instance.metric("tillstream_notify_dead_total", &["receiver=\"gone\""]) >= 1.0
    });
    let letters = || shop.run(&["inspect", "dead-letter", "--limit", "1000"]);
    instance.wait_until("it is a dead letter", |_| letters().contains("notification_refused"));
    let letter = letters();
    let said = "gone at http://127.0.0.1";
    assert!(letter.contains(&id) && letter.contains("amount_minor") && letter.contains(said), "{letter}");
    what_it_looks_like_is_answered(&mut instance, odd_from);
    // kill -9 in the middle of it
    drop(instance);
    till.pay(ORDINARY + ODD / 2..ORDINARY + ODD, 100);
    let mut instance = shop.instance_in("a");
    instance.wait_until("the same alert goes on", |instance| {
        let open = alerts(instance, "open");
        assert!(open.iter().all(|alert| alert["alert_id"] == json!(id)), "{open:?}");
        let end = till.start_ms + (ORDINARY + ODD - 2) * MINUTE_MS;
        open.iter().any(|alert| alert["as_of_ms"].as_i64() >= Some(end))
    });
    till.pay(ORDINARY + ODD..ORDINARY + ODD + ORDINARY_AGAIN, 1);
    instance.wait_until("it has ended", |instance| alerts(instance, "open").is_empty());
    let ended = alerts(&instance, "all");
    let [alert] = ended.as_slice() else { panic!("one alert in all: {ended:?}") };
    assert_eq!(
        (&alert["status"], &alert["resolution"]),
        (&json!("resolved"), &json!("recovered")),
        "{alert}"
    );
    assert_eq!(alert["acknowledged"]["by"], "operator", "{alert}");
    // a mute lasts from when it is said, in the shop's time: not from when the alert was published last
    let shop_time = till.start_ms + (ORDINARY + ODD + ORDINARY_AGAIN - 1) * MINUTE_MS;
    assert!(
        alert["as_of_ms"].as_i64() < Some(shop_time - 10 * MINUTE_MS),
        "it has ended a while ago: {alert}"
    );
    let said = instance.ask("POST", &format!("{path}/mute"), OPERATOR, br#"{"for_seconds":3600}"#);
    assert_eq!(said.status, 202, "{said:?}");
    instance.wait_until("it is muted for an hour from now on", |instance| {
        let alert = &instance.ask("GET", &path, OPERATOR, b"").json()["alert"];
        alert["muted_until_ms"].as_i64() >= Some(shop_time + 60 * MINUTE_MS)
    });
    instance.wait_until("the channel has heard of its end", |_| channel.said().len() >= 2);
    let said = channel.said();
    let opened =
        said.iter().filter(|message| !message.contains("open again") && !message.contains("Resolved"));
    assert_eq!(opened.count(), 1, "told once that it opened: {said:?}");
    assert!(said.last().is_some_and(|message| message.contains("Resolved")), "{said:?}");
    assert!(said.iter().all(|message| message.contains("amount_minor")), "{said:?}");
}

/// What those see who watch: the field that moves beside what is usual, decisions, minutes, and the instance itself.
fn what_it_looks_like_is_answered(instance: &mut Instance, odd_from: i64) {
    let of = |instance: &Instance, path: &str| {
        let answer = instance.ask("GET", path, OPERATOR, b"");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    };
    instance.wait_until("a window of the field is said to move", |instance| {
        let known = of(instance, "/v1/drift/features/fraud/amount_minor?windows=720");
        known["windows"].as_array().expect("windows").iter().any(|window| window["is_moving"] == true)
    });
    let known = of(instance, "/v1/drift/features/fraud/amount_minor?windows=720");
    let windows = known["windows"].as_array().expect("windows");
    let first = windows.iter().find(|window| window["is_moving"] == true).expect("it was there");
    let start = first["window_start_ms"].as_i64().expect("a time");
    assert!((start - odd_from).abs() <= 3 * MINUTE_MS, "{} s", (start - odd_from) / 1_000);
    let far = |window: &Value| window["measures"]["wasserstein"].as_f64().unwrap_or(0.0);
    let is_usual = |window: &&Value| window["window_start_ms"].as_i64() <= Some(odd_from - MINUTE_MS);
    let usual = windows.iter().filter(is_usual).map(far);
    let usual = usual.fold(0.0, f64::max);
    assert!(usual > 0.0 && far(first) > 5.0 * usual, "{} beside {usual}", far(first));
    let shares = |of: &Value| of.as_array().expect("shares").iter().filter_map(Value::as_f64).sum::<f64>();
    assert!((shares(&first["histogram"]["current"]) - 1.0).abs() < 1e-6, "{first}");
    let newest = of(instance, "/v1/drift/features");
    let named = |feature: &Value| feature["feature"] == "amount_minor" && feature["stream"] == "fraud";
    assert!(newest["features"].as_array().expect("features").iter().any(named));

    let decisions = of(instance, "/v1/decisions/recent?limit=7");
    assert_eq!(decisions["decisions"].as_array().map(Vec::len), Some(7));
    let minutes = of(instance, "/v1/decisions/minutes?minutes=30");
    let minutes = minutes["minutes"].as_array().expect("minutes");
    let counts = |minute: &Value| {
        minute["decisions"].as_object().expect("counts").values().filter_map(Value::as_i64).sum::<i64>()
    };
    // the newest may have come in part
    let whole = minutes.iter().rev().skip(2).take(10).map(counts);
    assert!(
        minutes.len() > 12 && whole.clone().all(|count| count == PER_MINUTE),
        "{:?}",
        whole.collect::<Vec<_>>()
    );
    let health = of(instance, "/v1/health");
    let roles: Vec<_> = health["roles"].as_array().expect("roles").iter().map(|role| &role["role"]).collect();
    assert!(roles.contains(&&json!("monitor")) && roles.contains(&&json!("notify")), "{roles:?}");
    let is_count = |count: &Value| {
        count["name"] == "tillstream_records_total"
            && count["labels"]["topic"] == "payments"
            && count["value"].as_f64() > Some(0.0)
    };
    assert!(health["counts"].as_array().expect("counts").iter().any(is_count), "{health}");
    for path in ["/v1/decisions/recent?limit=0", "/v1/quality?days=x", "/v1/business/minutes?minutes=1441"] {
        assert_eq!(instance.ask("GET", path, OPERATOR, b"").status, 422, "{path}");
    }
    assert_eq!(instance.ask("GET", "/v1/drift/features/fraud/nothing", OPERATOR, b"").status, 404);
}

/// Minutes between two kills, and how many there are.
const BETWEEN: i64 = 50;
const KILLS: i64 = 6;
/// A ring begins every so many minutes, and goes on for so many.
const RING_EVERY: i64 = 6;
const RING: i64 = 25;
/// After so many more minutes every ring has ended.
const ENDED_AFTER: i64 = 75;
/// While amounts are in another unit.
const ODD_MINUTES: std::ops::Range<i64> = 190..205;

/// A shop with rings: payments by one device, each of another card.
struct Rings {
    feed: Feed,
    start_ms: i64,
}

impl Rings {
    /// The minutes at which rings begin.
    fn begin() -> impl Iterator<Item = i64> {
        (RING_EVERY..KILLS * BETWEEN - RING).step_by(6)
    }

    /// Everything that is paid in these minutes: ordinary payments, and one of each ring that goes on.
    fn pay(&self, minutes: std::ops::Range<i64>, per_minute: i64) {
        for minute in minutes {
            for number in 0..per_minute {
                let number = minute * per_minute + number;
                let amount =
                    (1_000 + number * 7_919 % 6_007) * if ODD_MINUTES.contains(&minute) { 100 } else { 1 };
                self.pay_one(
                    &format!("p{minute}-{number}"),
                    &format!("card-{}", number % 997),
                    minute,
                    (amount, None),
                );
            }
            for ring in Rings::begin().filter(|begun| (*begun..begun + RING).contains(&minute)) {
                let card = format!("card-{ring}-{minute}");
                let device = format!("ring-{ring}");
                self.pay_one(&format!("r{ring}-{minute}"), &card, minute, (300 + minute, Some(&device)));
            }
        }
        self.feed.producer.flush(Duration::from_secs(30)).expect("a broker");
    }

    fn pay_one(&self, id: &str, card: &str, minute: i64, (amount, device): (i64, Option<&str>)) {
        let payment = json!({
            "event_id": id, "event_name": "payment_attempted", "payment_id": id,
            "event_time_ms": self.start_ms + minute * MINUTE_MS, "card_token": card, "currency": "EUR",
            "amount_minor": amount, "channel": "online", "device_id": device,
        });
        self.feed.send("payments", card, Some(&payment));
    }

    /// Whether an instance's monitors have come to that minute.
    fn is_watched_until(&self, instance: &Instance, minute: i64) -> bool {
        let seconds = (self.start_ms + minute * MINUTE_MS) as f64 / 1_000.0;
        let of = |partition: u32| {
            let name = "tillstream_watermark_timestamp_seconds";
            instance.metric(name, &["stage=\"monitor\"", &format!("partition=\"{partition}\"")])
        };
        (0..PARTITIONS).all(|partition| of(partition) >= seconds)
    }
}

/// The revisions of each episode on a topic, in their order. Each is whole: it opened once, nothing is missing, and what it is about
/// has no other that is open.
fn whole_episodes(shop: &Shop, topic: Topic, doubles: &mut usize) -> Vec<Vec<Value>> {
    let mut episodes = BTreeMap::<String, BTreeMap<u64, Value>>::new();
    for Public { value, .. } in public(shop, topic, doubles) {
        let (id, revision) =
            (value["alert_id"].as_str().expect("an id").to_owned(), value["revision"].as_u64());
        let known = episodes.entry(id).or_default().insert(revision.expect("a number"), value);
        assert_eq!(known, None, "{topic}: a revision under two ids");
    }
    let mut of_fingerprint = BTreeMap::<String, Vec<&BTreeMap<u64, Value>>>::new();
    for revisions in episodes.values() {
        let (first, last) =
            (revisions.first_key_value().expect("one"), revisions.last_key_value().expect("one"));
        assert_eq!(
            (*first.0, *last.0),
            (1, revisions.len() as u64),
            "{topic}: revisions {:?}",
            revisions.keys()
        );
        assert_eq!(first.1["status"], "open", "{topic}");
        let about = |alert: &Value| {
            (alert["fingerprint"].clone(), alert["subject"].clone(), alert["detected_ms"].clone())
        };
        assert!(revisions.values().all(|alert| about(alert) == about(first.1)), "{topic}: {revisions:?}");
        let fingerprint = first.1["fingerprint"].as_str().expect("text").to_owned();
        of_fingerprint.entry(fingerprint).or_default().push(revisions);
    }
    for mut episodes in of_fingerprint.into_values() {
        let detected = |revisions: &&BTreeMap<u64, Value>| revisions[&1]["detected_ms"].as_i64();
        episodes.sort_by_key(detected);
        let before = episodes.iter().rev().skip(1);
        for revisions in before {
            let last = revisions.last_key_value().expect("one").1;
            assert_eq!(last["status"], "resolved", "{topic}: another opened meanwhile: {last}");
        }
    }
    episodes.into_values().map(|revisions| revisions.into_values().collect()).collect()
}

/// The ring that was found last: it ends long after.
fn newest_ring(monitor: &Instance) -> String {
    let open = alerts(monitor, "open");
    let rings = open.iter().filter(|alert| alert["kind"] == "fraud_pattern");
    let newest = rings.max_by_key(|alert| alert["detected_ms"].as_i64()).expect("rings go on all the time");
    newest["alert_id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_monitor_that_is_killed_again_and_again_loses_no_episode_and_opens_none_twice() {
    let _alone = alone();
    let shop = Shop::open(PARTITIONS);
    shop.declare_clients("{}");
    // of fraud exactly once, of drift at least once
    shop.configure(
        "drift: { window: 1m, learn: 60m, resolve_after: 10m, segments: [channel] }\n\
         sessions: { allowed_lateness: 5s }\ningest: { out_of_orderness: 5s, idle_timeout: 5s }\n\
         checkpoints: { interval: 1s }\nexactly_once: [alerts.fraud]",
    );
    let mut others = shop.spawned_in("others", "TILLSTREAM__ROLES", "[ingest, keyed, decide]");
    others.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
    let watch = || {
        let mut monitor = shop.spawned_in("watch", "TILLSTREAM__ROLES", "[monitor, serve]");
        monitor.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
        monitor
    };
    let rings = Rings { feed: Feed::new(&shop), start_ms: hours_ago(8) };
    let (mut monitor, mut acknowledged) = (watch(), Vec::new());
    for kill in 0..KILLS {
        let minutes = kill * BETWEEN..(kill + 1) * BETWEEN;
        let middle = (minutes.start + minutes.end) / 2;
        rings.pay(minutes.start..middle, 20);
        monitor.wait_until("in the middle of it", |instance| rings.is_watched_until(instance, middle - 2));
        // what is said of one that goes on is not lost either
        let id = newest_ring(&monitor);
        let said = monitor.ask("POST", &format!("/v1/alerts/{id}/acknowledge"), OPERATOR, b"{}");
        assert_eq!(said.status, 202, "{said:?}");
        rings.pay(middle..minutes.end, 20);
        acknowledged.push(id);
        monitor.kill();
        monitor = watch();
        if kill % 2 == 1 {
            // and again, as soon as it is back
            monitor.kill();
            monitor = watch();
        }
    }
    let end = KILLS * BETWEEN + ENDED_AFTER;
    rings.pay(KILLS * BETWEEN..end, 20);
    monitor.wait_until("at the end", |instance| rings.is_watched_until(instance, end - 2));
    monitor.wait_until("told of all that was said", |instance| {
        let of = |id: &String| instance.ask("GET", &format!("/v1/alerts/{id}"), OPERATOR, b"").json();
        acknowledged.iter().all(|id| of(id)["alert"]["acknowledged"]["by"] == "operator")
    });
    for instance in [others, monitor] {
        assert!(instance.stop().success(), "a clean stop ends with 0");
    }

    let mut doubles = 0;
    let fraud = whole_episodes(&shop, Topic::AlertsFraud, &mut doubles);
    assert_eq!(doubles, 0, "published exactly once");
    let of_rings = fraud.iter().filter(|revisions| {
        revisions[0]["subject"].as_str().is_some_and(|of| of.starts_with("device ring-"))
    });
    let mut subjects: Vec<String> = of_rings
        .map(|revisions| {
            let last = &revisions[revisions.len() - 1];
            assert_eq!(
                (&last["status"], &last["resolution"]),
                (&json!("resolved"), &json!("recovered")),
                "{last}"
            );
            revisions[0]["subject"].as_str().expect("text").to_owned()
        })
        .collect();
    subjects.sort_unstable();
    let mut expected: Vec<String> = Rings::begin().map(|minute| format!("device ring-{minute}")).collect();
    expected.sort_unstable();
    assert_eq!(subjects, expected, "an episode for each ring");
    let drift = whole_episodes(&shop, Topic::AlertsDrift, &mut doubles);
    let is_of_the_unit = |alert: &Value| {
        let findings = alert["findings"].as_array().expect("a list");
        alert["kind"] == "data_drift" && findings.iter().any(|finding| finding["feature"] == "amount_minor")
    };
    assert!(drift.iter().flatten().any(is_of_the_unit), "{drift:?}");
    let revisions = |episodes: &[Vec<Value>]| episodes.iter().map(Vec::len).sum::<usize>();
    println!(
        "{} episodes of fraud with {} revisions, {} of drift with {}, {doubles} of them published twice",
        fraud.len(),
        revisions(&fraud),
        drift.len(),
        revisions(&drift)
    );
    // each of these is what the log gives, and all that it gives is there
    let (code, _, told) = shop.try_to_run(&["verify"]);
    assert!(code == Some(0) && told.contains("alerts.fraud: "), "{told}");
}
