use super::*;
use crate::notify::report::DeadReason;
use crate::notify::samples::{HOUR, START, resolved, revision};
use crate::notify::secret::{PlainHttp, Secret};
use crate::notify::settings::{ReceiverConfig, ReceiverKind};
use crate::notify::trial::try_receivers;
use crate::time::{Stopwatch, millis};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use ring::hmac;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A clock that begins when the sample does and goes twenty times as fast as the machine's.
struct Fast(Stopwatch);

const FASTER: u32 = 20;

impl Clock for Fast {
    fn now(&self) -> ProcessingTime {
        START.plus(self.0.elapsed() * FASTER)
    }
}

fn clock() -> Arc<dyn Clock + Send + Sync> {
    Arc::new(Fast(Stopwatch::start()))
}

/// A request that arrived.
#[derive(Debug, Clone)]
struct Arrived {
    path: String,
    headers: HeaderMap,
    body: Bytes,
    at: ProcessingTime,
}

impl Arrived {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// What the server answers next: status, headers, body. 200 when there is nothing left.
type Answers = VecDeque<(u16, Vec<(&'static str, String)>, Vec<u8>)>;

#[derive(Clone)]
struct Server {
    answers: Arc<Mutex<Answers>>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    clock: Arc<dyn Clock + Send + Sync>,
}

impl Server {
    fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no test panics with it").clone()
    }
}

async fn answer(
    State(server): State<Server>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let arrived = Arrived { path: uri.path().to_owned(), headers, body, at: server.clock.now() };
    server.arrived.lock().expect("no test panics with it").push(arrived);
    let next = server.answers.lock().expect("no test panics with it").pop_front();
    let (status, headers, body) = next.unwrap_or((200, Vec::new(), b"ok".to_vec()));
    let mut response =
        axum::response::Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).expect("a response")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// A server on this machine that gives these answers, and where it is.
fn serve(
    runtime: &Runtime,
    clock: &Arc<dyn Clock + Send + Sync>,
    answers: impl IntoIterator<Item = (u16, Vec<(&'static str, String)>, &'static str)>,
) -> (Server, SocketAddr) {
    let answers =
        answers.into_iter().map(|(status, headers, body)| (status, headers, body.as_bytes().to_vec()));
    let server = Server {
        answers: Arc::new(Mutex::new(answers.collect())),
        arrived: Arc::default(),
        clock: clock.clone(),
    };
    let router = Router::new().fallback(answer).with_state(server.clone());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move { axum::serve(listener, router).await });
    (server, address)
}

fn address(of: SocketAddr, path: &str) -> Address {
    Address::new(&format!("http://{of}{path}"), PlainHttp::Refused).expect("an address")
}

fn slack(of: SocketAddr) -> ReceiverConfig {
    ReceiverConfig::new("channel", ReceiverKind::Slack { url: address(of, "/services/s3cr3t-of-slack") })
}

fn webhook(of: SocketAddr) -> ReceiverConfig {
    let kind = ReceiverKind::Webhook {
        url: address(of, "/hook"),
        secret: Secret::new("s3cr3t-of-hook"),
        authorization: None,
    };
    ReceiverConfig::new("hook", kind)
}

fn notifier(receivers: Vec<ReceiverConfig>, clock: &Arc<dyn Clock + Send + Sync>) -> Notifier {
    let config = NotifyConfig { application: "shop".to_owned(), page_url: None, receivers };
    let notifier = Notifier::new(&config, clock.clone()).expect("a client");
    notifier.caught_up();
    notifier
}

/// Runs until `is_done`, or for a minute.
fn run(runtime: &Runtime, notifier: &Notifier, is_done: impl Fn() -> bool + Sync) {
    let begun = Stopwatch::start();
    runtime.block_on(notifier.run(&|| is_done() || begun.elapsed() > Duration::from_secs(60)));
    assert!(is_done(), "{:?}", notifier.status());
}

/// Whether nothing waits.
fn settled(notifier: &Notifier) -> bool {
    notifier.status().iter().all(|status| status.waiting == 0)
}

#[test]
fn a_server_error_is_followed_by_another_attempt_until_it_is_taken() {
    let (runtime, clock) = (runtime(), clock());
    let (server, of) = serve(&runtime, &clock, [(500, vec![], "broken"), (502, vec![], "broken")]);
    let notifier = notifier(vec![slack(of)], &clock);
    notifier.take(revision(1));
    run(&runtime, &notifier, || settled(&notifier));
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 3);
    assert!(arrived[1].at.since(arrived[0].at) >= Duration::from_secs(1));
    assert!(arrived[2].at.since(arrived[1].at) >= Duration::from_secs(2));
    assert_eq!(arrived[0].path, "/services/s3cr3t-of-slack");
    let status = notifier.status();
    let status = status.first().expect("a receiver");
    assert_eq!((status.requests_taken, status.requests_failed, &status.trouble), (1, 2, &None));
}

#[test]
fn a_receiver_that_says_when_is_not_called_before() {
    let (runtime, clock) = (runtime(), clock());
    let busy = (429, vec![("retry-after", "30".to_owned())], "slow down");
    let (server, of) = serve(&runtime, &clock, [busy]);
    let notifier = notifier(vec![slack(of)], &clock);
    notifier.take(revision(1));
    run(&runtime, &notifier, || settled(&notifier));
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 2);
    assert!(arrived[1].at.since(arrived[0].at) >= Duration::from_secs(30));
}

#[test]
fn what_is_refused_is_handed_over_as_dead_without_secrets_and_not_sent_again() {
    let (runtime, clock) = (runtime(), clock());
    let (server, of) = serve(&runtime, &clock, [(400, vec![], "no_service at s3cr3t-of-slack")]);
    let notifier = notifier(vec![slack(of)], &clock);
    notifier.take(revision(1));
    let asked = Mutex::new(Vec::new());
    run(&runtime, &notifier, || {
        let mut asked = asked.lock().expect("no test panics with it");
        asked.extend(notifier.dead_notifications());
        !asked.is_empty()
    });
    let asked = asked.into_inner().expect("no test panics with it");
    let dead = asked.first().expect("a dead letter");
    assert_eq!((dead.reason, dead.status, &*dead.said), (DeadReason::Refused, Some(400), "no_service at …"));
    assert_eq!((dead.target.as_str(), dead.alert.revision), (format!("http://{of}").as_str(), 1));
    notifier.take(resolved(2));
    run(&runtime, &notifier, || server.arrived().len() == 2 && settled(&notifier));
    assert!(!format!("{:?} {asked:?}", notifier.status()).contains("s3cr3t"));
}

#[test]
fn a_redirection_is_not_followed() {
    let (runtime, clock) = (runtime(), clock());
    let (elsewhere, there) = serve(&runtime, &clock, []);
    let moved = (302, vec![("location", format!("http://{there}/"))], "");
    let (_, of) = serve(&runtime, &clock, [moved]);
    let notifier = notifier(vec![slack(of)], &clock);
    notifier.take(revision(1));
    run(&runtime, &notifier, || notifier.status().iter().any(|status| status.dead == 1));
    assert_eq!(elsewhere.arrived().len(), 0);
}

#[test]
fn what_is_to_be_encrypted_is_never_sent_in_the_clear() {
    let (runtime, clock) = (runtime(), clock());
    let (server, of) = serve(&runtime, &clock, []);
    let url = format!("https://{of}/services/s3cr3t-of-slack");
    let url = Address::new(&url, PlainHttp::Refused).expect("an address");
    let receiver = ReceiverConfig::new("channel", ReceiverKind::Slack { url });
    let notifier = notifier(vec![receiver], &clock);
    notifier.take(revision(1));
    run(&runtime, &notifier, || notifier.status().iter().any(|status| status.requests_failed > 1));
    assert_eq!(server.arrived().len(), 0);
    assert!(!format!("{:?}", notifier.status()).contains("s3cr3t"));
}

#[test]
fn a_receiver_that_never_answers_holds_up_no_other() {
    let (runtime, clock) = (runtime(), clock());
    let silent = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let nobody = silent.local_addr().expect("an address");
    let (server, of) = serve(&runtime, &clock, []);
    // nobody listens there
    let gone = SocketAddr::from(([127, 0, 0, 1], 1));
    let notifier = notifier(vec![slack(nobody), slack(gone), webhook(of)], &clock);
    notifier.take(revision(1));
    let trouble = || notifier.status().get(1).and_then(|status| status.trouble.clone());
    runtime.block_on(async {
        tokio::select! {
            () = notifier.run(&|| false) => {}
            () = async {
                while server.arrived().is_empty() || trouble().is_none() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            } => {}
        }
    });
    let waited_for = notifier.status().first().map(|status| (status.waiting, status.requests_failed));
    assert_eq!(waited_for, Some((1, 0)), "the first has still not answered");
    let trouble = trouble().expect("nobody is there");
    assert!(trouble.contains("refused") && !trouble.contains("s3cr3t"), "{trouble}");
    drop(silent);
}

#[test]
fn a_webhook_can_check_the_signature_of_the_bytes_that_it_got() {
    let (runtime, clock) = (runtime(), clock());
    let (server, of) = serve(&runtime, &clock, [(500, vec![], "")]);
    let notifier = notifier(vec![webhook(of)], &clock);
    notifier.take(revision(1));
    run(&runtime, &notifier, || settled(&notifier));
    let arrived = server.arrived();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cr3t-of-hook");
    for request in &arrived {
        let (time, tag) = request.header("tillstream-signature").split_once(',').expect("two parts");
        let seconds = time.strip_prefix("t=").expect("a time");
        let tag = tag.strip_prefix("v1=").expect("a tag");
        let tag: Vec<u8> = (0..tag.len() / 2)
            .map(|place| u8::from_str_radix(&tag[place * 2..place * 2 + 2], 16).expect("hexadecimal"))
            .collect();
        let signed = [seconds.as_bytes(), b".", &request.body].concat();
        hmac::verify(&key, &signed, &tag).expect("the signature of these bytes");
        assert!(seconds.parse::<i64>().expect("seconds") >= START.0 / 1_000);
        assert_eq!(request.json()["topic"], "alerts.drift");
        assert!(request.header("user-agent").starts_with("tillstream/"));
    }
    let keys: Vec<_> = arrived.iter().map(|request| request.header("idempotency-key")).collect();
    assert_eq!(keys, ["00000001-0-1", "00000001-0-1"], "both attempts have one key");
}

#[test]
fn only_the_beginning_of_an_answer_is_kept() {
    let (runtime, clock) = (runtime(), clock());
    let long: &'static str = Box::leak("no ".repeat(1_000_000).into_boxed_str());
    let (_, of) = serve(&runtime, &clock, [(404, vec![], long)]);
    let notifier = notifier(vec![slack(of)], &clock);
    notifier.take(revision(1));
    run(&runtime, &notifier, || notifier.status().iter().any(|status| status.dead == 1));
    let dead = notifier.dead_notifications();
    let said = dead.first().map(|dead| dead.said.chars().count());
    assert_eq!(said, Some(200));
}

#[test]
fn dead_letters_that_nobody_fetches_are_bounded_and_counted() {
    let clock = clock();
    let notifier = notifier(Vec::new(), &clock);
    let letter = DeadNotification {
        receiver: String::new(),
        target: String::new(),
        topic: "alerts.drift",
        id: String::new(),
        alert: revision(1).alert,
        reason: DeadReason::Refused,
        status: None,
        said: String::new(),
    };
    notifier.bury(std::iter::repeat_n(letter, DEAD_MAX + 3));
    assert_eq!((notifier.dead_lost(), notifier.dead_notifications().len()), (3, DEAD_MAX));
    assert_eq!(notifier.dead_notifications(), []);
}

#[test]
fn a_restart_sends_nothing_that_was_sent_long_before() {
    let (runtime, clock) = (runtime(), clock());
    let (server, of) = serve(&runtime, &clock, []);
    let config = NotifyConfig { application: "shop".to_owned(), page_url: None, receivers: vec![slack(of)] };
    let notifier = Notifier::new(&config, clock.clone()).expect("a client");
    let long_ago = |mut revision: Revision| {
        revision.published = ProcessingTime(revision.published.0 - millis(HOUR));
        revision
    };
    for number in 1..=5 {
        notifier.take(long_ago(revision(number)));
    }
    notifier.caught_up();
    notifier.take(revision(6));
    let mut end = resolved(7);
    end.published = clock.now();
    notifier.take(end);
    run(&runtime, &notifier, || settled(&notifier));
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 1);
    assert!(arrived[0].json()["text"].as_str().expect("a text").contains("Resolved"));
}

#[test]
fn a_test_alert_goes_through_each_receiver_and_says_what_failed() {
    let (runtime, clock) = (runtime(), clock());
    let (good, of) = serve(&runtime, &clock, []);
    let refusal = || (403, vec![], "invalid_token s3cr3t-of-slack");
    let (_, bad) = serve(&runtime, &clock, [refusal(), refusal()]);
    let alertmanager = ReceiverKind::Alertmanager {
        urls: vec![address(of, "/am")],
        repeat: ReceiverKind::REPEAT,
        resolved_for: ReceiverKind::RESOLVED_FOR,
        authorization: None,
    };
    let receivers = vec![ReceiverConfig::new("cluster", alertmanager), webhook(of), slack(bad)];
    let config = NotifyConfig { application: "shop".to_owned(), page_url: None, receivers };
    let tried = runtime.block_on(try_receivers(&config, None, &*clock)).expect("all receivers");
    let faults: Vec<_> = tried.iter().map(|trial| (&*trial.receiver, trial.faults.join("; "))).collect();
    let failed = "alert: answered 403: invalid_token …; its end: answered 403: invalid_token …";
    let expected = [("cluster", String::new()), ("hook", String::new()), ("channel", failed.to_owned())];
    assert_eq!(faults, expected);
    let arrived = good.arrived();
    let posted: Vec<_> = arrived.iter().filter(|request| request.path == "/am/api/v2/alerts").collect();
    assert_eq!(posted.len(), 2);
    let (open, over) = (posted[0].json(), posted[1].json());
    assert_eq!(open[0]["labels"], over[0]["labels"]);
    assert!(open[0]["endsAt"].as_str() > over[0]["endsAt"].as_str());
    let only = runtime.block_on(try_receivers(&config, Some("hook"), &*clock)).expect("one receiver");
    assert_eq!(only.iter().map(|trial| &*trial.receiver).collect::<Vec<_>>(), ["hook"]);
}
