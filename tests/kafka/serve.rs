//! The API: who may ask, a score on request, sessions and recommendations as they change.

use crate::judge::alone;
use crate::support::{Answer, Caller, Instance, Shop};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use tillstream::event::DecisionId;
use tillstream::time::{Clock, SystemClock};

const PAGE: Option<&str> = Some("token-of-the-page");
const CHECKOUT: Option<&str> = Some("token-of-the-checkout");
const ANALYST: Option<&str> = Some("token-of-the-analyst");

/// Longer than a score may take on a machine that does other things beside, and shorter than people wait.
const BUDGET: Duration = Duration::from_secs(3);

/// Decisions of which the record is kept.
const REMEMBERED: usize = 12;

fn payment(id: &str, amount_minor: i64, channel: &str) -> Vec<u8> {
    json!({
        "event_id": id, "event_name": "payment_attempted", "event_time_ms": SystemClock.now().0, "payment_id": id,
        "card_token": "4111-secret-card", "customer_id": "secret-customer", "amount_minor": amount_minor,
        "currency": "EUR", "device_id": "d1", "ip": "203.0.113.77", "channel": channel,
    })
    .to_string()
    .into_bytes()
}

fn with_another_card(id: &str, amount_minor: i64) -> Vec<u8> {
    let attempt = String::from_utf8(payment(id, amount_minor, "web")).expect("JSON");
    attempt.replace("4111-secret-card", "another-secret-card").into_bytes()
}

fn post(instance: &Instance, token: Option<&str>, body: &[u8]) -> Answer {
    instance.ask("POST", "/v1/score", token, body)
}

fn get(instance: &Instance, token: Option<&str>, path: &str) -> Answer {
    instance.ask("GET", path, token, b"")
}

/// A problem that names this status and quotes nothing of what must not be seen.
fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.headers.contains("content-type: application/problem+json"), "{answer:?}");
    assert!(answer.headers.contains("x-request-id: "), "{answer:?}");
    assert_eq!(answer.json()["status"], status, "{answer:?}");
    assert!(!answer.body.contains("secret"), "{answer:?}");
}

#[test]
fn a_posted_payment_is_scored_once_and_a_fallback_answers_in_time_where_the_broker_does_not() {
    let _alone = alone();
    let mut shop = Shop::open(2);
    shop.keeps_log = true;
    shop.environment.push(("RUST_LOG", "tillstream=debug".to_owned()));
    shop.environment.push(("TILLSTREAM__SERVE__DECISIONS_MAX", REMEMBERED.to_string()));
    let fallback = "{ amount_up_to_minor: 5000, decision: approve }, { channel: store, decision: review }";
    shop.declare_clients(&format!("{{ budget: {}ms, fallback: [{fallback}] }}", BUDGET.as_millis()));
    shop.configure("ingest: { payload_bytes_max: 64KiB }");
    let instance = shop.instance();
    let slow = half_a_payment(&instance);
    refusals_are_problems(&instance);
    scored_once(&shop, &instance);
    rules_change_without_a_stop(&shop, &instance);
    without_a_broker(&shop, &instance);
    is_given_up(slow);
    decided_once_for_all(&instance);
    nothing_personal_is_shown(&shop, &instance);
}

/// A payment of which the second half never comes.
fn half_a_payment(instance: &Instance) -> Caller {
    let mut caller = Caller::new(instance.http);
    let head = format!(
        "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n{{\"event_id\":",
        CHECKOUT.expect("a token")
    );
    caller.write(head.as_bytes());
    caller
}

/// More than ten seconds later it has its answer.
fn is_given_up(mut slow: Caller) {
    let (status, headers) = slow.head();
    assert_eq!(status, 400, "{headers}");
    assert!(headers.contains("content-type: application/problem+json"), "{headers}");
}

fn refusals_are_problems(instance: &Instance) {
    let attempt = payment("p1", 100, "web");
    let answer = post(instance, None, &attempt);
    is_problem(&answer, 401);
    assert!(answer.headers.contains("www-authenticate: bearer"), "{answer:?}");
    is_problem(&post(instance, Some("a-token-of-nobody"), &attempt), 401);
    is_problem(&post(instance, PAGE, &attempt), 403);
    is_problem(&get(instance, CHECKOUT, "/v1/visitors/v/session"), 403);
    is_problem(&get(instance, PAGE, "/v1/visitors/v/session"), 404);
    is_problem(&get(instance, ANALYST, "/v1/features/no_view/x"), 404);
    is_problem(&get(instance, ANALYST, "/v1/nothing"), 404);
    is_problem(&get(instance, CHECKOUT, "/v1/score"), 405);
    is_problem(&get(instance, CHECKOUT, "/v1/decisions?payment_id="), 422);
    is_problem(&get(instance, PAGE, "/v1/visitors/v/recommendations?count=0"), 422);
    is_problem(&get(instance, PAGE, "/v1/visitors/v/recommendations?count=many"), 422);
    let large = [b"{\"secret\":\"".as_slice(), &vec![b'x'; 100_000], b"\"}"].concat();
    is_problem(&post(instance, CHECKOUT, &large), 413);
    for (wrong, field) in [
        (b"secret, not JSON".to_vec(), "$"),
        (payment("", 100, "web"), "event_id"),
        (payment("p1", -1, "web"), "amount_minor"),
        (br#"{"event_name":"payment_result","secret":1}"#.to_vec(), "status"),
        (br#"{"event_name":"click","secret":1}"#.to_vec(), "event_name"),
    ] {
        let answer = post(instance, CHECKOUT, &wrong);
        is_problem(&answer, 422);
        assert_eq!(answer.json()["field"], field, "{answer:?}");
    }
}

fn scored_once(shop: &Shop, instance: &Instance) {
    let attempt = payment("p1", 100, "web");
    let first = post(instance, CHECKOUT, &attempt);
    assert_eq!(first.status, 200, "{first:?}");
    let answer = first.json();
    let decision = DecisionId::of_payment("p1").to_string();
    assert_eq!((&answer["source"], &answer["decision_id"]), (&json!("score"), &json!(decision)), "{first:?}");
    let again = post(instance, CHECKOUT, &attempt).json();
    assert_eq!(again["score"], answer["score"], "asked again, it is the same score");
    is_problem(&post(instance, CHECKOUT, &payment("p1", 100_000, "web")), 409);
    is_problem(&post(instance, CHECKOUT, &with_another_card("p1", 100)), 409);
    for path in [format!("/v1/decisions/{decision}"), "/v1/decisions?payment_id=p1".to_owned()] {
        let told = get(instance, CHECKOUT, &path).json();
        assert_eq!(told["score"], answer["score"], "{told}");
    }
    // another payment of the same card has the first in its history
    post(instance, CHECKOUT, &payment("p2", 200, "web"));
    let history = get(instance, ANALYST, "/v1/decisions?payment_id=p2").json()["history"].clone();
    assert_eq!(history["card"][0]["decision_id"], json!(decision), "{history}");
    let card = answer["score"]["entities"]["card"].as_str().expect("a pseudonym").to_owned();
    // features are read beside scores, not before them
    let path = format!("/v1/features/card_velocity/{card}");
    let begun = Instant::now();
    while get(instance, ANALYST, &path).json()["features"]["count_1h"] != json!(2.0) {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", get(instance, ANALYST, &path));
        std::thread::sleep(Duration::from_millis(20));
    }
    let records = shop.run(&["inspect", "payments"]);
    assert_eq!(records.matches("\"payment_id\":\"p1\"").count(), 1, "appended once: {records}");
}

fn rules_change_without_a_stop(shop: &Shop, instance: &Instance) {
    let file = shop.folder.path().join("rules-7.yaml");
    let text = "version: 7\nthresholds: { review: 0.3, step_up: 0.6, decline: 0.85 }\nrules:\n  \
                - { id: all, state: live, when: amount_minor > 1.0, code: ALL, weight: 0.9 }\n";
    let publish = |text: &str| {
        std::fs::write(&file, text).expect("a writable folder");
        shop.try_to_run(&["rules", "publish", &file.to_string_lossy(), "--author", "Ada"])
    };
    let (code, _, errors) = publish(&text.replace("amount_minor", "amount"));
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("rules.rules[0].when: column 1: unknown name `amount`"), "{errors}");
    let (code, _, errors) = publish(text);
    assert_eq!(code, Some(0), "{errors}");
    let begun = Instant::now();
    for number in 0.. {
        let score =
            post(instance, CHECKOUT, &payment(&format!("r{number}"), 100, "web")).json()["score"].clone();
        if score["rules_version"] == 7 {
            assert_eq!(
                (&score["decision"], &score["reasons"][0]["code"]),
                (&json!("decline"), &json!("ALL"))
            );
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{score}");
    }
    let begun = Instant::now();
    while get(instance, ANALYST, "/v1/declared").json()["rules_version"] != 7 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", get(instance, ANALYST, "/v1/declared"));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(get(instance, ANALYST, "/v1/declared").json()["rules_author"], "Ada");
    assert_eq!(shop.run(&["rules", "show"]), text);
    let (code, _, errors) = publish(text);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("version 7 is not above 7, which is in force"), "{errors}");
    // so that nothing is declined in what follows
    let (code, _, errors) =
        publish(&text.replace("version: 7", "version: 8").replace("state: live", "state: shadow"));
    assert_eq!(code, Some(0), "{errors}");
}

fn without_a_broker(shop: &Shop, instance: &Instance) {
    shop.broker_stands_still(true);
    for (id, amount, channel, expected) in [
        ("f1", 5_000, "web", Some("approve")),
        ("f2", 9_000, "store", Some("review")),
        ("f3", 9_000, "web", None),
    ] {
        let begun = Instant::now();
        let answer = post(instance, CHECKOUT, &payment(id, amount, channel));
        let took = begun.elapsed();
        assert!(took < BUDGET + Duration::from_secs(1), "{id} took {took:?}");
        match expected {
            Some(decision) => {
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(answer.json()["source"], "fallback", "{answer:?}");
                assert_eq!(answer.json()["decision"], decision, "{answer:?}");
            }
            None => is_problem(&answer, 504),
        }
    }
    // whose payment was sent and is not scored is known all the same
    is_problem(&post(instance, CHECKOUT, &payment("f1", 4_000, "web")), 409);
    is_problem(&post(instance, CHECKOUT, &with_another_card("f1", 5_000)), 409);
    shop.broker_stands_still(false);
    // what was sent meanwhile is scored all the same
    let begun = Instant::now();
    while get(instance, CHECKOUT, "/v1/decisions?payment_id=f3").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the payment was lost");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Where the score's record is forgotten, the decision is not: whoever asks again does not get the fallback.
fn decided_once_for_all(instance: &Instance) {
    let decided = post(instance, CHECKOUT, &payment("early", 100, "web")).json();
    assert_eq!(decided["source"], "score", "{decided}");
    for number in 0..REMEMBERED {
        post(instance, CHECKOUT, &payment(&format!("later{number}"), 100, "web"));
    }
    is_problem(&get(instance, CHECKOUT, "/v1/decisions?payment_id=early"), 404);
    let again = post(instance, CHECKOUT, &payment("early", 100, "web")).json();
    assert_eq!(
        (&again["source"], &again["decision"], &again["score"]),
        (&json!("verdict"), &decided["decision"], &Value::Null),
        "{again}"
    );
    is_problem(&post(instance, CHECKOUT, &payment("early", 101, "web")), 409);
    is_problem(&post(instance, CHECKOUT, &with_another_card("early", 100)), 409);
}

fn nothing_personal_is_shown(shop: &Shop, instance: &Instance) {
    let log = shop.log();
    assert!(log.contains("\"level\":\"DEBUG\"") && log.contains("assigned"), "{log}");
    for hidden in ["secret-card", "secret-customer", "token-of-the", "a key for tests", "203.0.113.77"] {
        assert!(!log.contains(hidden), "{hidden} is in the log: {log}");
    }
    let metrics = instance.get("/metrics").1;
    assert!(metrics.contains("tillstream_score_answers_total{answer=\"fallback\"} 2"), "{metrics}");
    assert!(!metrics.contains("secret") && !metrics.contains("203.0.113.77"));
    assert!(metrics.contains("tillstream_rules_version{partition=\"0\"} 8"), "{metrics}");
    let told = get(instance, CHECKOUT, "/v1/decisions?payment_id=later3").body;
    assert!(told.contains("\"customer\":\"k1.") && told.contains("\"ip\":\"k1."), "{told}");
    assert!(!told.contains("secret") && !told.contains("203.0.113.77"), "{told}");
}

#[test]
fn a_client_beyond_its_rate_is_told_when_to_come_again() {
    let _alone = alone();
    let shop = Shop::open(1);
    std::fs::write(shop.folder.path().join("slow"), "token-of-the-slow-one").expect("a writable folder");
    shop.configure(
        "serve: { clients: [{ name: slow, token_file: slow, roles: [page], requests_per_second: 1, burst: 2 }] }",
    );
    let instance = shop.instance();
    let asked: Vec<_> =
        (0..4).map(|_| get(&instance, Some("token-of-the-slow-one"), "/v1/recommendations")).collect();
    assert_eq!(asked[0].status, 200, "{asked:?}");
    is_problem(&asked[3], 429);
    assert!(asked[3].headers.contains("retry-after: "), "{asked:?}");
}

#[test]
fn requests_made_from_the_document_find_no_fault_of_the_server() {
    let _alone = alone();
    let mut shop = Shop::open(1);
    shop.keeps_log = true;
    std::fs::write(shop.folder.path().join("all"), "token-of-one-who-may-all").expect("a writable folder");
    shop.configure(
        "serve:\n  score: { budget: 250ms, fallback: [ { decision: review } ] }\n  clients:\n    - { name: all, token_file: all, \
         roles: [page, checkout, analyst, operator], requests_per_second: 100000 }",
    );
    let mut instance = shop.instance();
    // a shop in which somebody is: what the document's examples name is there
    let mut feed = Feed::new(&shop);
    feed.offer("sku-1", &json!({}));
    for number in 0..3 {
        feed.look("v-12", &format!("sku-{number}"), SystemClock.now().0);
    }
    let attempt = json!({
        "event_id": "e-1", "event_name": "payment_attempted", "event_time_ms": SystemClock.now().0, "payment_id": "pay-1",
        "card_token": "tok-1", "amount_minor": 1999, "currency": "EUR", "device_id": "d-1", "visitor_id": "v-12",
    });
    feed.send("payments", "tok-1", Some(&attempt));
    feed.producer.flush(Duration::from_secs(10)).expect("a broker");
    instance.wait_until("its examples are known", |instance| {
        let paths = [
            "/v1/visitors/v-12/session",
            "/v1/visitors/v-12/intent",
            "/v1/features/device_velocity/d-1",
            "/v1/decisions?payment_id=pay-1",
            "/v1/decisions/9b80f6255ff9bc33e7aa0fe0250b7ae0",
        ];
        paths.iter().all(|path| get(instance, Some("token-of-one-who-may-all"), path).status == 200)
    });
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/schemathesis/schemathesis.sh");
    let output = Command::new(script)
        .args(["run", &format!("http://127.0.0.1:{}/v1/openapi.json", instance.http)])
        .args(["--header", "Authorization: Bearer token-of-one-who-may-all"])
        // streams of events do not end
        .args(["--exclude-path-regex", "/(events|stream)$", "--max-examples", "50", "--seed", "1"])
        .current_dir(shop.folder.path())
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Tested: 24"), "{said}");
    assert!(!said.contains("Unresolvable"), "{said}");
    assert!(instance.metric("tillstream_http_requests_total", &["status=\"200\""]) > 0.0);
    assert_eq!(instance.metric("tillstream_http_requests_total", &["status=\"50"]), 0.0);
    assert!(!shop.log().contains("token-of-one-who-may-all"), "{}", shop.log());
}

/// A shop's page and its catalogue, as producers.
pub struct Feed {
    pub producer: ThreadedProducer<DefaultProducerContext>,
    clicks: u32,
}

impl Feed {
    pub fn new(shop: &Shop) -> Feed {
        let producer =
            ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
        Feed { producer, clicks: 0 }
    }

    pub fn send(&self, topic: &str, key: &str, value: Option<&Value>) {
        let text = value.map(Value::to_string);
        let mut record = BaseRecord::<str, str>::to(topic).key(key);
        if let Some(text) = &text {
            record = record.payload(text);
        }
        self.producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    }

    fn look(&mut self, visitor: &str, item: &str, time_ms: i64) {
        self.clicks += 1;
        let click = json!({
            "event_id": format!("c{}", self.clicks), "event_name": "view_item", "event_time_ms": time_ms,
            "visitor_id": visitor, "items": [{"item_id": item, "item_category": "outdoor"}],
        });
        self.send("clickstream", visitor, Some(&click));
    }

    fn offer(&self, item: &str, change: &Value) {
        let mut record =
            json!({"item_id": item, "event_time_ms": SystemClock.now().0, "category": "outdoor"});
        for (name, value) in change.as_object().into_iter().flatten() {
            record[name] = value.clone();
        }
        self.send("catalogue", item, Some(&record));
    }
}

fn recommended(instance: &Instance, path: &str) -> Vec<(String, String)> {
    let answer = get(instance, PAGE, path);
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| (text(&item["item_id"]), text(&item["reason"]["kind"]))).collect()
}

#[test]
fn a_page_follows_its_visitor_and_what_is_retired_is_in_no_answer() {
    let _alone = alone();
    let shop = Shop::open(2);
    shop.declare_clients("{}");
    // sessions that end within a test
    shop.configure(
        "sessions: { gap: 2s, allowed_lateness: 1s }\ningest: { out_of_orderness: 1s, idle_timeout: 1s }\n\
         recommend: { push: true, push_count: 2 }",
    );
    let mut instance = shop.instance();
    let mut feed = Feed::new(&shop);
    for item in ["tent", "mat", "stove", "lamp"] {
        feed.offer(item, &json!({}));
    }
    let now = SystemClock.now().0;
    for (visitor, items) in [("a", ["tent", "mat"]), ("b", ["tent", "stove"]), ("c", ["lamp", "stove"])] {
        for (place, item) in items.iter().enumerate() {
            feed.look(visitor, item, now + place as i64);
        }
    }
    feed.producer.flush(Duration::from_secs(10)).expect("a broker");
    // sessions end by event time; a visitor who looks later moves it on
    instance.wait_until("sessions have ended", |instance| {
        instance.metric("tillstream_view_entries", &["of=\"sessions\""]) >= 3.0
    });
    let mut page = Caller::new(instance.http);
    page.send("GET", "/v1/visitors/live/events", PAGE, b"");
    assert_eq!(page.head().0, 200);
    feed.look("live", "tent", SystemClock.now().0);
    let event = std::iter::repeat_with(|| page.line()).find(|line| line.starts_with("event: "));
    assert_eq!(event.as_deref(), Some("event: running"));
    let data = page.line();
    assert!(data.contains("\"last_items\":[\"tent\"]"), "{data}");
    let session = get(&instance, PAGE, "/v1/visitors/live/session").json();
    assert_eq!(session["running"]["last_items"], json!(["tent"]), "{session}");
    assert!(session["freshness_ms"].as_i64().is_some_and(|age| age < 60_000), "{session}");

    let path = "/v1/visitors/live/recommendations";
    let found: BTreeSet<_> = recommended(&instance, path).into_iter().collect();
    let expected =
        [("lamp", "popular_in_category"), ("mat", "similar_sessions"), ("stove", "similar_sessions")];
    let expected = expected.map(|(item, why)| (item.to_owned(), why.to_owned()));
    assert_eq!(found, BTreeSet::from(expected));

    // the same, pushed; the first clicks may come before the group has formed
    let pushed = |instance: &Instance| instance.metric("tillstream_pushed_recommendations_total", &[]);
    let begun = Instant::now();
    while pushed(&instance) <= 0.0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is pushed");
        feed.look("live", "tent", SystemClock.now().0);
        std::thread::sleep(Duration::from_millis(200));
    }
    let printed = shop.run(&["inspect", "recommendations", "--limit", "1000"]);
    let last =
        printed.lines().rfind(|line| line.contains("\"visitor_id\":\"live\"")).expect("one of the visitor");
    let record: Value = serde_json::from_str(last.trim()).expect("JSON");
    assert_eq!(record["items"].as_array().map(Vec::len), Some(2), "{record}");
    assert_eq!(record["items"][0]["reason"]["kind"], "similar_sessions", "{record}");
    assert!(printed.contains("ce_type: tillstream.recommendations.v1"), "{printed}");

    feed.offer("stove", &json!({"is_active": false}));
    feed.offer("lamp", &json!({"stock": 0}));
    feed.send("catalogue", "mat", None);
    feed.producer.flush(Duration::from_secs(10)).expect("a broker");
    let mut paths = vec![path.to_owned()];
    paths.extend(
        ["", "?items=lamp", "?items=lamp,mat,tent"].map(|items| format!("/v1/recommendations{items}")),
    );
    instance.wait_until("what cannot be bought is gone", |instance| recommended(instance, path).is_empty());
    for path in &paths {
        let items: Vec<_> = recommended(&instance, path).into_iter().map(|(item, _)| item).collect();
        assert!(items.iter().all(|item| item == "tent"), "{path}: {items:?}");
    }
    feed.offer("stove", &json!({"stock": 3}));
    instance.wait_until("what is there again is shown again", |instance| {
        recommended(instance, path).iter().any(|(item, _)| item == "stove")
    });
}
