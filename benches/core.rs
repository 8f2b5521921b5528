//! The core over memory beside a hand-written floor: parse, hash map, write.
//!
//! `cargo bench --bench core` takes both over the same generated traffic and prints events per second and
//! nanoseconds per event. With valgrind it also counts instructions, which a noisy machine does not
//! change, and fails if the engine takes more than three times the floor's, or if a tenth of its own are for drift: those that
//! `drift: { watch: false }` saves.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench: it measures, prints, and its floor is written as anyone would write it"
)]

use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tillstream::config::{Tree, resolve};
use tillstream::engine::process::Engine;
use tillstream::generate::{GenerateSettings, GeneratedRecord, Generator, RawTopic};
use tillstream::log::{Destination, LogRecord, Topic};

/// The program's allocator, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The engine may take so many times the floor's instructions.
const RATIO_MAX: f64 = 3.0;
/// So much of the engine's instructions may be for drift.
const DRIFT_MAX: f64 = 0.1;
const RECORDS_PER_ROUND: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[1..] {
        [which, events] if which == "traffic" => drop(traffic(events.parse().expect("a number"))),
        [which, events] if which == "floor" => {
            run_floor(&traffic(events.parse().expect("a number")));
        }
        [which, events] if which == "engine" => {
            run_engine(traffic(events.parse().expect("a number")), true);
        }
        [which, events] if which == "unwatched" => {
            run_engine(traffic(events.parse().expect("a number")), false);
        }
        _ => compare(),
    }
}

fn traffic(events: u64) -> Vec<GeneratedRecord> {
    let whole =
        GenerateSettings { seed: 11, events, labelled: 0.3, is_whole: true, ..GenerateSettings::default() };
    Generator::new(whole).collect()
}

fn compare() {
    let events = 300_000;
    let (mut floors, mut engines) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let records = traffic(events);
        let begun = Instant::now();
        let floor_bytes = run_floor(&records);
        floors.push(begun.elapsed());
        let begun = Instant::now();
        let engine_bytes = run_engine(records, true);
        engines.push(begun.elapsed());
        assert!(floor_bytes > 0 && engine_bytes > 0);
    }
    let (floor, engine) = (show("floor", &mut floors, events), show("engine", &mut engines, events));
    println!("ratio of medians    {:.2}", engine.as_secs_f64() / floor.as_secs_f64());
    let [floor, engine, unwatched] = ["floor", "engine", "unwatched"].map(instructions_per_event);
    match (floor, engine, unwatched) {
        (Some(floor), Some(engine), Some(unwatched)) => {
            let ratio = engine / floor;
            println!(
                "instructions/event  floor {floor:.0}   engine {engine:.0}   ratio {ratio:.2} (at most {RATIO_MAX})"
            );
            assert!(
                ratio <= RATIO_MAX,
                "the engine takes more than {RATIO_MAX} times the floor's instructions"
            );
            let drift = 1.0 - unwatched / engine;
            println!("of the engine's, drift has {:.1} % (at most {:.0})", 100.0 * drift, 100.0 * DRIFT_MAX);
            assert!(drift <= DRIFT_MAX, "drift has more than {DRIFT_MAX} of the engine's instructions");
        }
        _ => println!("instructions are not counted: valgrind is not here"),
    }
}

fn show(name: &str, times: &mut [Duration], events: u64) -> Duration {
    times.sort_unstable();
    let median = times[times.len() / 2];
    let nanoseconds = median.as_nanos() as f64 / events as f64;
    println!(
        "{name:<8} {:>10.0} events/s   {nanoseconds:.0} ns/event (median of {})",
        events as f64 / median.as_secs_f64(),
        times.len()
    );
    median
}

/// What 20,000 events more cost.
fn instructions_per_event(which: &str) -> Option<f64> {
    let per_event = |which| Some((instructions(which, 30_000)? - instructions(which, 10_000)?) / 20_000.0);
    // making the traffic costs the same on both sides, and counts on neither
    Some(per_event(which)? - per_event("traffic")?)
}

/// None without valgrind.
///
/// # Panics
///
/// If there is one and it fails: what was not counted must not pass.
fn instructions(which: &str, events: u64) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program has a path"))
        .args([which, &events.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{which} under valgrind: {}\n{text}", output.status);
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1));
    Some(collected.and_then(|count| count.trim().parse().ok()).expect("callgrind says what it collected"))
}

/// Every public record, in memory; returns their bytes. Drift is watched for, or not.
fn run_engine(records: Vec<GeneratedRecord>, is_watched: bool) -> usize {
    let settings = if is_watched { "{}" } else { r#"{"drift": {"watch": false}}"# };
    let tree: Tree = serde_json::from_str(settings).expect("a tree");
    let config = resolve(&tree, Path::new(".")).expect("the settings are good");
    let mut engine =
        Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
    let mut bytes = 0;
    for (number, record) in records.into_iter().enumerate() {
        let topic = Topic::from_name(record.topic.name()).expect("a topic of ours");
        let raw = LogRecord {
            key: Some(record.key.into_bytes()),
            value: Some(record.value),
            timestamp_ms: Some(record.timestamp_ms),
            ..LogRecord::default()
        };
        engine.append(&Destination::ByKey(topic), raw);
        if (number + 1) % RECORDS_PER_ROUND == 0 {
            engine.round().expect("memory does not fail");
            engine.take_public(|_, record| bytes += record.value.as_deref().map_or(0, <[u8]>::len));
        }
    }
    engine.round().expect("memory does not fail");
    engine.take_public(|_, record| bytes += record.value.as_deref().map_or(0, <[u8]>::len));
    bytes
}

#[derive(Deserialize)]
struct FloorClick<'a> {
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    event_time_ms: i64,
    #[serde(borrow)]
    visitor_id: Cow<'a, str>,
    #[serde(borrow)]
    page_location: Option<Cow<'a, str>>,
    value_minor: Option<i64>,
    #[serde(borrow)]
    items: Option<Vec<FloorItem<'a>>>,
}

#[derive(Deserialize)]
struct FloorItem<'a> {
    #[serde(borrow)]
    item_id: Cow<'a, str>,
    #[serde(borrow)]
    item_category: Option<Cow<'a, str>>,
    price_minor: Option<i64>,
}

#[derive(Deserialize)]
struct FloorPayment<'a> {
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    event_time_ms: i64,
    #[serde(borrow)]
    payment_id: Cow<'a, str>,
    #[serde(borrow)]
    card_token: Cow<'a, str>,
    amount_minor: Option<i64>,
}

/// What comes beside clicks and payments, as far as its answers need it.
#[derive(Deserialize)]
struct FloorOther<'a> {
    #[serde(borrow)]
    event_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payment_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    #[serde(borrow)]
    customer_id: Option<Cow<'a, str>>,
    value_minor: Option<i64>,
    #[serde(borrow)]
    store_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    business_day: Option<Cow<'a, str>>,
    lines: Option<Vec<FloorLine>>,
    #[serde(borrow)]
    item_id: Option<Cow<'a, str>>,
    stock: Option<i64>,
}

#[derive(Deserialize)]
struct FloorLine {
    amount_minor: i64,
}

/// Orders and logins of customers, what stores took on a day, what payments were, and what there is in stock.
#[derive(Default)]
struct FloorShop {
    customers: HashMap<String, (u64, i64)>,
    days: HashMap<(String, String), (u64, i64)>,
    stock: HashMap<String, i64>,
}

impl FloorShop {
    fn take(&mut self, record: &GeneratedRecord, out: &mut String) {
        let Ok(other) = serde_json::from_slice::<FloorOther<'_>>(&record.value) else { return };
        let owned = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
        match record.topic {
            RawTopic::Pos => {
                let day = self.days.entry((owned(&other.store_id), owned(&other.business_day))).or_default();
                day.0 += 1;
                day.1 += other.lines.iter().flatten().map(|line| line.amount_minor).sum::<i64>();
            }
            RawTopic::Labels => {
                let (payment, outcome) = (owned(&other.payment_id), owned(&other.outcome));
                writeln!(out, "{{\"payment_id\":\"{payment}\",\"outcome\":\"{outcome}\"}}")
                    .expect("a String takes all");
            }
            RawTopic::Catalogue => {
                self.stock.insert(owned(&other.item_id), other.stock.unwrap_or(0));
            }
            _ => {
                let counts = matches!(other.event_name.as_deref(), Some("order_placed" | "login_failed"));
                let customer = self.customers.entry(owned(&other.customer_id)).or_default();
                customer.0 += u64::from(counts);
                customer.1 += other.value_minor.unwrap_or(0);
            }
        }
    }
}

#[derive(Default)]
struct FloorSession {
    start: i64,
    end: i64,
    events: u32,
    views: u32,
    carts: u32,
    revenue: i64,
    price_sum: i64,
    last_item: String,
    category: String,
    page: String,
}

/// What somebody would write who needs only the answer: one thread, no log, no lateness, no
/// duplicates, no recovery, a card's lifetime count as the only fraud feature.
fn run_floor(records: &[GeneratedRecord]) -> usize {
    let mut sessions = HashMap::<String, FloorSession>::new();
    let mut cards = HashMap::<String, (u64, i64)>::new();
    let mut shop = FloorShop::default();
    let mut out = String::new();
    let mut bytes = 0;
    for record in records {
        match record.topic {
            RawTopic::Clickstream => {
                let Ok(click) = serde_json::from_slice::<FloorClick<'_>>(&record.value) else { continue };
                floor_click(&click, &mut sessions, &mut out);
            }
            RawTopic::Payments => {
                let Ok(payment) = serde_json::from_slice::<FloorPayment<'_>>(&record.value) else { continue };
                floor_payment(&payment, &mut cards, &mut out);
            }
            _ => shop.take(record, &mut out),
        }
        if out.len() > 1 << 20 {
            bytes += out.len();
            out.clear();
        }
    }
    bytes + out.len()
}

fn floor_click(click: &FloorClick<'_>, sessions: &mut HashMap<String, FloorSession>, out: &mut String) {
    let session = match sessions.get_mut(&*click.visitor_id) {
        Some(session) => session,
        None => sessions.entry(click.visitor_id.clone().into_owned()).or_default(),
    };
    if session.events > 0 && click.event_time_ms - session.end > 1_800_000 {
        floor_write(&click.visitor_id, session, "session", out);
        *session = FloorSession::default();
    }
    if session.events == 0 {
        session.start = click.event_time_ms;
    }
    session.end = session.end.max(click.event_time_ms);
    session.events += 1;
    session.views += u32::from(click.event_name == "view_item");
    session.carts += u32::from(click.event_name == "add_to_cart");
    session.revenue += click.value_minor.unwrap_or(0);
    if let Some(page) = &click.page_location {
        page.as_ref().clone_into(&mut session.page);
    }
    for item in click.items.iter().flatten() {
        item.item_id.as_ref().clone_into(&mut session.last_item);
        item.item_category.as_deref().unwrap_or_default().clone_into(&mut session.category);
        session.price_sum += item.price_minor.unwrap_or(0);
    }
    floor_write(&click.visitor_id, session, "features", out);
}

fn floor_write(visitor: &str, session: &FloorSession, kind: &str, out: &mut String) {
    let FloorSession { start, end, events, views, carts, revenue, price_sum, last_item, category, page } =
        session;
    writeln!(
        out,
        "{{\"kind\":\"{kind}\",\"visitor_id\":\"{visitor}\",\"start_ms\":{start},\"end_ms\":{end},\"dwell_ms\":{},\"events\":{events},\
         \"item_views\":{views},\"cart_adds\":{carts},\"revenue_minor\":{revenue},\"price_sum_minor\":{price_sum},\
         \"last_item\":\"{last_item}\",\"category\":\"{category}\",\"page\":\"{page}\"}}",
        end - start
    )
    .expect("a String takes all");
}

fn floor_payment(payment: &FloorPayment<'_>, cards: &mut HashMap<String, (u64, i64)>, out: &mut String) {
    if payment.event_name != "payment_attempted" {
        return;
    }
    let card = match cards.get_mut(&*payment.card_token) {
        Some(card) => card,
        None => cards.entry(payment.card_token.clone().into_owned()).or_default(),
    };
    card.0 += 1;
    card.1 += payment.amount_minor.unwrap_or(0);
    let score = if card.0 > 5 { 0.45 } else { 0.0 };
    writeln!(
        out,
        "{{\"payment_id\":\"{}\",\"card\":\"{}\",\"event_time_ms\":{},\"count\":{},\"sum_minor\":{},\"score\":{score}}}",
        payment.payment_id, payment.card_token, payment.event_time_ms, card.0, card.1
    )
    .expect("a String takes all");
}
