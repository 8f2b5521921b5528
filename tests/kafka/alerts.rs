//! Alerts: values that move are told once, whatever happens to the instance, and what somebody says of it comes back.

use crate::channel::Channel;
use crate::judge::alone;
use crate::serve::Feed;
use crate::support::{Instance, Shop};
use rdkafka::producer::Producer;
use serde_json::{Value, json};
use std::time::Duration;
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
    shop.configure(
        "notify: { receivers: [{ name: channel, kind: slack, url_file: slack.url, catch_up: 0s }] }",
    );
    assert_eq!(shop.run(&["notify", "test"]).matches(": ok").count(), 1);
    channel.messages.lock().expect("no panic").clear();
    shop.configure(
        "drift: { window: 1m, learn: 90m, resolve_after: 10m, segments: [channel] }\n\
         sessions: { allowed_lateness: 5s }\ningest: { out_of_orderness: 5s, idle_timeout: 1s }\n\
         checkpoints: { interval: 1s }",
    );
    let instance = shop.instance_in("a");
    let till = Till { feed: Feed::new(&shop), start_ms: SystemClock.now().0 - 6 * 60 * MINUTE_MS };
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
