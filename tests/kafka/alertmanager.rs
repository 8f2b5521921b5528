//! Alertmanager and Prometheus themselves: who stands behind them hears of each episode once, and once of its end, whatever is
//! killed; and what we say of ourselves is what Prometheus reads.
//!
//! `deploy/prometheus/prometheus.sh` gets the programs, and they run with the files of `deploy/prometheus/`, times made shorter.

use crate::channel::Channel;
use crate::judge::{self, alone};
use crate::support::{Caller, Instance, Shop, free_port};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tillstream::telemetry::metrics::{self, Samples};
use tillstream::time::{Clock, SystemClock};

const PATIENCE: Duration = Duration::from_secs(60);
/// How often `notify` posts what is open, in seconds. It lapses three times later: long enough for a start on a machine that does other
/// things beside.
const REPEAT: u32 = 10;

#[test]
fn an_episode_is_one_notification_and_its_end_is_one_whichever_side_is_killed() {
    let _alone = alone();
    let shop = Shop::open(2);
    let mut desk = Desk::open();
    shop.configure(&desk.receiver());
    let topic = AlertTopic::of(&shop);
    let mut alertmanager = desk.alertmanager();
    let mut notify = notify(&shop);
    let mut checkout = Episode::of(1, "checkout");
    let mut tills = Episode::of(2, "tills");
    let mut brief = Episode::of(3, "brief");

    topic.publish(&checkout.is_open("page"));
    desk.hears(&["on-call: checkout firing, page"]);

    // ours is killed, and the episode goes on meanwhile
    notify.kill();
    topic.publish(&checkout.is_open("page"));
    notify = self::notify(&shop);
    alertmanager.has(&checkout);
    desk.hears_no_more(&mut alertmanager);

    // its own clean restart: it has forgotten alerts, not what it told
    alertmanager.stop();
    alertmanager = desk.alertmanager();
    alertmanager.has(&checkout);
    desk.hears_no_more(&mut alertmanager);

    // it is killed, and is away while one episode opens and another opens and ends
    alertmanager.has_written();
    alertmanager.kill();
    let failed = |notify: &Instance| {
        notify.metric("tillstream_notify_requests_total", &["outcome=\"failed\"", "receiver=\"alerts\""])
    };
    let before = failed(&notify);
    topic.publish(&tills.is_open("ticket"));
    topic.publish(&brief.is_open("page"));
    topic.publish(&brief.has_ended("page"));
    notify.wait_until("it has tried and failed", |notify| failed(notify) > before);
    assert!(notify.metric("tillstream_notify_waiting", &[]) >= 1.0);
    alertmanager = desk.alertmanager();
    desk.hears(&["tickets: tills firing, ticket"]);
    alertmanager.has(&checkout);
    desk.hears_no_more(&mut alertmanager);

    // a ticket that becomes a page goes the way of pages, and ends as a ticket; the other page keeps neither silent
    topic.publish(&tills.is_open("page"));
    desk.hears(&["on-call: tills firing, page", "tickets: tills resolved, ticket"]);

    // both are killed, and one of two episodes ends meanwhile
    alertmanager.has_written();
    alertmanager.kill();
    notify.kill();
    topic.publish(&checkout.has_ended("page"));
    alertmanager = desk.alertmanager();
    notify = self::notify(&shop);
    desk.hears(&["on-call: checkout resolved, page"]);
    alertmanager.has(&tills);
    desk.hears_no_more(&mut alertmanager);

    // an end is told once too, although it is posted again
    alertmanager.stop();
    alertmanager = desk.alertmanager();
    alertmanager.wait_until("the end is posted again", |alertmanager| {
        alertmanager.metric("alertmanager_alerts_received_total{status=\"resolved\",version=\"v2\"}") >= 1.0
    });
    alertmanager.has(&tills);
    desk.hears_no_more(&mut alertmanager);
    topic.publish(&tills.has_ended("page"));
    desk.hears(&["on-call: tills resolved, page"]);
    assert_eq!(notify.metric("tillstream_notify_dead_total", &[]), 0.0);
}

#[test]
fn prometheus_reads_us_finds_its_rules_in_order_and_has_their_alerts_told() {
    let _alone = alone();
    let shop = Shop::open(2);
    let mut desk = Desk::open();
    shop.declare_clients("{}");
    shop.configure(&desk.receiver());
    shop.configure("archive: { url: archive }\ncheckpoints: { interval: 1s }");
    let mut instance = shop.instance_in("a");
    judge::feed(&shop, 2_000, 2_000);
    instance.wait_until("it has decided and saved", |instance| {
        instance.metric("tillstream_decisions_total", &[]) > 0.0
            && instance.metric("tillstream_checkpoints_total", &[]) > 0.0
            && instance.metric("tillstream_event_to_score_seconds_count", &[]) > 0.0
    });
    // a rule asks for this bucket by its name
    assert!(instance.get("/metrics").1.contains("tillstream_event_to_score_seconds_bucket{le=\"5\"}"));
    what_is_unread_is_said(&shop, &mut instance);
    promtool_has_nothing_to_say(&instance.get("/metrics").1);
    promtool_has_nothing_to_say(&each_metric());

    let _alertmanager = desk.alertmanager();
    let mut prometheus = desk.prometheus(instance.http);
    prometheus.wait_until("it has read us", |prometheus| {
        let targets = prometheus.json("/api/v1/targets?state=active");
        let targets = targets["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        targets.len() == 1 && targets.iter().all(|target| target["health"] == "up")
    });
    prometheus.wait_until("each rule was evaluated", |prometheus| {
        let rules = rules(prometheus);
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
    });
    let rules = rules(&prometheus);
    let written = std::fs::read_to_string(deploy().join("rules.yaml")).expect("a file of ours");
    let written = written.lines().map(str::trim_start);
    let written =
        written.filter(|line| line.starts_with("- alert:") || line.starts_with("- record:")).count();
    assert_eq!(rules.len(), written);
    let ill: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
    assert!(ill.is_empty(), "{ill:?}");
    println!("{written} rules in order");

    // it stands still, and goes on
    instance.signal("STOP");
    desk.hears(&["on-call: TillstreamDown firing, page"]);
    let summary = format!("127.0.0.1:{} does not answer", instance.http);
    assert!(desk.channel.said().iter().any(|said| said.contains(&summary)), "{:?}", desk.channel.said());
    instance.signal("CONT");
    desk.hears(&["on-call: TillstreamDown resolved, page"]);
}

#[test]
fn a_page_of_the_engine_keeps_its_own_ticket_silent_and_no_other() {
    let _alone = alone();
    let mut desk = Desk::open();
    let mut alertmanager = desk.alertmanager();
    let alert = |name: &str, severity: &str, labels: Value| {
        let mut labels = labels;
        labels["alertname"] = name.into();
        labels["severity"] = severity.into();
        labels["job"] = "tillstream".into();
        json!({ "labels": labels })
    };
    let lives = |severity, instance| {
        alert("TillstreamLivesEnd", severity, json!({ "instance": instance, "stage": "keyed" }))
    };
    let silent = |severity, topic| alert("TillstreamTopicSilent", severity, json!({ "topic": topic }));
    let alerts = json!([
        lives("page", "a"),
        lives("ticket", "a"),
        lives("ticket", "b"),
        silent("page", "payments"),
        silent("ticket", "orders"),
    ]);
    let posted =
        Caller::new(alertmanager.port).ask("POST", "/api/v2/alerts", None, alerts.to_string().as_bytes());
    assert_eq!(posted.status, 200, "{posted:?}");
    desk.hears(&[
        "on-call: TillstreamLivesEnd firing, page",
        "on-call: TillstreamTopicSilent firing, page",
        "tickets: TillstreamLivesEnd firing, ticket",
        "tickets: TillstreamTopicSilent firing, ticket",
    ]);
    desk.hears_no_more(&mut alertmanager);
    let silenced: Vec<_> =
        alertmanager.alerts().into_iter().filter(|alert| alert["status"]["state"] == "suppressed").collect();
    let [silenced] = silenced.as_slice() else { panic!("one is silent: {silenced:?}") };
    assert_eq!(silenced["labels"], lives("ticket", "a")["labels"]);
}

/// Records of a transaction that is open are there and cannot be read; of one that was taken back nothing is left to be read.
fn what_is_unread_is_said(shop: &Shop, instance: &mut Instance) {
    let lag = |instance: &Instance| instance.metric("tillstream_lag_records", &["topic=\"labels\""]);
    let patience = Duration::from_secs(20);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", shop.brokers())
        .set("transactional.id", "unread")
        .create()
        .expect("a producer");
    instance.wait_until("all labels are read", |instance| {
        instance.get("/metrics").1.contains("tillstream_lag_records{") && lag(instance) == 0.0
    });
    producer.init_transactions(patience).expect("a broker");
    producer.begin_transaction().expect("a transaction");
    for _ in 0..7 {
        let record = BaseRecord::to("labels").key("one").payload("{}");
        producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    }
    producer.flush(patience).expect("the broker takes them");
    instance.wait_until("seven are unread", |instance| lag(instance) == 7.0);
    producer.abort_transaction(patience).expect("it is taken back");
    instance.wait_until("nothing is unread", |instance| lag(instance) == 0.0);
}

/// `promtool check metrics`: no fault, and no word about names, units, types or help.
fn promtool_has_nothing_to_say(metrics: &str) {
    assert!(metrics.lines().count() > 100, "{metrics}");
    let mut promtool = program("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash runs");
    promtool.stdin.take().expect("it is piped").write_all(metrics.as_bytes()).expect("it reads to the end");
    let said = promtool.wait_with_output().expect("it ends");
    let words = [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(said.status.success() && words.is_empty(), "{}: {words}", said.status);
}

/// Each metric, whether an instance has something to say of it or not.
fn each_metric() -> String {
    let mut samples = Samples::default();
    for metric in metrics::ALL {
        samples.count(*metric, metric.labels, 1);
    }
    Samples::exposition(&[samples])
}

/// Every rule that Prometheus has loaded.
fn rules(prometheus: &Program) -> Vec<Value> {
    let rules = prometheus.json("/api/v1/rules");
    let groups = rules["data"]["groups"].as_array().cloned().unwrap_or_default();
    groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect()
}

/// The files for Prometheus and Alertmanager.
fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

/// One of the files, with these texts in place of those: each is there.
fn file_with(name: &str, changes: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(deploy().join(name)).expect("a file of ours");
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from} in {name}");
        text.replace(from, to)
    })
}

fn program(name: &str) -> Command {
    let mut command = Command::new(deploy().join("prometheus.sh"));
    command.arg(name);
    command
}

/// An instance that does nothing but tell.
fn notify(shop: &Shop) -> Instance {
    let mut instance = shop.spawned_in("a", "TILLSTREAM__ROLES", "[notify]");
    instance.wait_until("ready", |instance| {
        instance.get("/metrics").1.contains("tillstream_notify_episodes") && instance.get("/readyz").0 == 200
    });
    instance
}

/// An episode, revision by revision.
pub struct Episode {
    number: u32,
    subject: &'static str,
    detected_ms: i64,
    revision: u32,
}

impl Episode {
    pub fn of(number: u32, subject: &'static str) -> Episode {
        Episode { number, subject, detected_ms: SystemClock.now().0, revision: 0 }
    }

    /// The next revision: it goes on.
    pub fn is_open(&mut self, severity: &str) -> Value {
        self.revision += 1;
        let good = include_str!("../../schemas/alert/v1/good/open.json");
        let mut alert: Value = serde_json::from_str(good).expect("a golden record");
        let id = format!("{:016x}", self.number);
        for (field, value) in [
            ("alert_id", json!(id)),
            ("fingerprint", json!(id)),
            ("revision", json!(self.revision)),
            ("severity", json!(severity)),
            ("subject", json!(self.subject)),
            ("since_ms", json!(self.detected_ms - 60_000)),
            ("detected_ms", json!(self.detected_ms)),
            ("as_of_ms", json!(SystemClock.now().0)),
            ("acknowledged", Value::Null),
            ("muted_until_ms", Value::Null),
        ] {
            alert[field] = value;
        }
        alert
    }

    /// The last revision.
    fn has_ended(&mut self, severity: &str) -> Value {
        let mut alert = self.is_open(severity);
        alert["status"] = "resolved".into();
        alert["resolution"] = "recovered".into();
        alert["resolved_ms"] = alert["as_of_ms"].clone();
        alert
    }
}

/// Who writes what `monitor` would.
pub struct AlertTopic {
    producer: BaseProducer,
}

impl AlertTopic {
    pub fn of(shop: &Shop) -> AlertTopic {
        let producer =
            ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
        AlertTopic { producer }
    }

    pub fn publish(&self, alert: &Value) {
        let (key, value) = (alert["fingerprint"].as_str().expect("a text"), alert.to_string());
        let id = format!("00000001-0-{}-{}", key.trim_start_matches('0'), alert["revision"]);
        let headers = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some(&id) });
        let record = BaseRecord::to("alerts.drift").key(key).payload(&value).headers(headers);
        self.producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
        self.producer.flush(Duration::from_secs(20)).expect("the broker takes it");
    }
}

/// Where notifications arrive, and what stands before it.
struct Desk {
    channel: Channel,
    folder: TempDir,
    port: u16,
    /// What was to be heard so far.
    expected: Vec<String>,
}

impl Desk {
    fn open() -> Desk {
        let (channel, folder) = (Channel::open(), tempfile::tempdir().expect("a folder"));
        let to = format!("127.0.0.1:{}", channel.port);
        let config = file_with(
            "alertmanager.yaml",
            &[
                ("127.0.0.1:9095", to.as_str()),
                ("group_wait: 10s", "group_wait: 1s"),
                ("group_interval: 1m", "group_interval: 1s"),
            ],
        );
        std::fs::write(folder.path().join("alertmanager.yaml"), config).expect("a writable folder");
        Desk { channel, folder, port: free_port(), expected: Vec::new() }
    }

    /// The section of our configuration.
    fn receiver(&self) -> String {
        format!(
            "notify: {{ receivers: [{{ name: alerts, kind: alertmanager, urls: [\"http://127.0.0.1:{}\"], repeat: {REPEAT}s }}] }}",
            self.port
        )
    }

    /// Starts Alertmanager, each time in the same place.
    fn alertmanager(&self) -> Program {
        let arguments = [
            format!("--config.file={}", self.folder.path().join("alertmanager.yaml").display()),
            format!("--storage.path={}", self.folder.path().join("alertmanager-data").display()),
            format!("--web.listen-address=127.0.0.1:{}", self.port),
            // it is alone
            "--cluster.listen-address=".to_owned(),
            "--data.maintenance-interval=1s".to_owned(),
        ];
        Program::start("alertmanager", &arguments, self.port, self.folder.path())
    }

    /// Starts Prometheus, which reads the instance at this port.
    fn prometheus(&self, instance: u16) -> Program {
        let (us, alertmanager) = (format!("127.0.0.1:{instance}"), format!("127.0.0.1:{}", self.port));
        let config = file_with(
            "prometheus.yaml",
            &[
                ("scrape_interval: 15s", "scrape_interval: 1s"),
                ("evaluation_interval: 15s", "evaluation_interval: 1s"),
                ("127.0.0.1:9310", us.as_str()),
                ("127.0.0.1:9093", alertmanager.as_str()),
            ],
        );
        let is_down = "expr: up{job=~\"tillstream.*\"} == 0\n        for: ";
        let rules = file_with(
            "rules.yaml",
            &[
                ("interval: 1m", "interval: 1s"),
                ("interval: 5m", "interval: 1s"),
                (&format!("{is_down}2m"), &format!("{is_down}1s")),
            ],
        );
        let place = self.folder.path();
        std::fs::write(place.join("prometheus.yaml"), config).expect("a writable folder");
        std::fs::write(place.join("rules.yaml"), rules).expect("a writable folder");
        let port = free_port();
        let arguments = [
            format!("--config.file={}", place.join("prometheus.yaml").display()),
            format!("--storage.tsdb.path={}", place.join("prometheus-data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        Program::start("prometheus", &arguments, port, place)
    }

    /// Waits for these notifications, and for nothing else beside what was to be heard before.
    fn hears(&mut self, news: &[&str]) {
        self.expected.extend(news.iter().map(|&news| news.to_owned()));
        let begun = Instant::now();
        while self.heard().len() < self.expected.len() {
            assert!(begun.elapsed() < PATIENCE, "not {news:?}, {:?}", self.heard());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.has_heard_what_was_expected();
    }

    /// Nothing comes although Alertmanager has looked at all that is open.
    fn hears_no_more(&mut self, alertmanager: &mut Program) {
        alertmanager.has_looked_again();
        self.has_heard_what_was_expected();
    }

    fn has_heard_what_was_expected(&mut self) {
        self.expected.sort();
        assert_eq!(self.heard(), self.expected);
    }

    /// Each alert of each notification: who was told, what it is about, whether it fires, how bad it is.
    fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        for message in self.channel.said() {
            let message: Value = serde_json::from_str(&message).expect("JSON");
            let receiver = message["receiver"].as_str().expect("a name").to_owned();
            for alert in message["alerts"].as_array().expect("alerts") {
                let labels = &alert["labels"];
                let about = labels["subject"].as_str().or(labels["alertname"].as_str()).expect("a label");
                let (status, severity) = (&alert["status"], &labels["severity"]);
                let words = format!("{receiver}: {about} {status}, {severity}");
                heard.push(words.replace('"', ""));
            }
        }
        heard.sort();
        heard
    }
}

/// A program of `prometheus.sh`; killed when dropped.
struct Program {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Program {
    /// Starts it and waits until it is ready.
    fn start(name: &str, arguments: &[String], port: u16, folder: &Path) -> Program {
        let log = folder.join(format!("{name}.log"));
        let file =
            std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a writable folder");
        let child =
            program(name).args(arguments).stdout(Stdio::null()).stderr(file).spawn().expect("bash runs");
        let mut program = Program { child, port, log };
        program.wait_until("it is ready", |program| program.get("/-/ready").is_some());
        program
    }

    /// The body of an answer; none if there is none that is good.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        // HTTP/1.0 has no chunks
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        self.get(path).and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default()
    }

    fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").unwrap_or_default();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// What Alertmanager has that has not ended.
    fn alerts(&self) -> Vec<Value> {
        self.json("/api/v2/alerts").as_array().cloned().unwrap_or_default()
    }

    /// Waits until Alertmanager has the newest revision of an episode.
    fn has(&mut self, episode: &Episode) {
        let revision = episode.revision.to_string();
        self.wait_until("it has the newest revision", |program| {
            program.alerts().iter().any(|alert| {
                alert["labels"]["subject"] == episode.subject && alert["annotations"]["revision"] == revision
            })
        });
    }

    /// Waits until Alertmanager has looked at each group several times more: what is to be told is told by then.
    fn has_looked_again(&mut self) {
        let name = "alertmanager_nflog_queries_total";
        let enough = self.metric(name) + 3.0 * self.alerts().len() as f64;
        self.wait_until("it has looked again", |program| program.metric(name) >= enough);
    }

    /// Waits until what Alertmanager has told is on its disk.
    fn has_written(&mut self) {
        let name = "alertmanager_nflog_snapshot_duration_seconds_count";
        let enough = self.metric(name) + 2.0;
        self.wait_until("it has written", |program| program.metric(name) >= enough);
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Program) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let ended = self.child.try_wait().expect("a child can be waited for");
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                panic!("waited until {what}; ended: {ended:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// SIGTERM.
    fn stop(mut self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(told.success());
        assert!(self.child.wait().expect("a child can be waited for").success());
    }

    /// Kill -9.
    fn kill(self) {
        drop(self);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
