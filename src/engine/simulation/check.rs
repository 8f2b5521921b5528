//! The oracle of the simulation: what was produced, against a fresh fold of the internal logs, against
//! what was published.

use super::input;
use super::world::World;
use crate::codec::accounts::Account;
use crate::codec::alerts::AlertControl;
use crate::codec::changes::AnnouncedChange;
use crate::codec::clickstream::Click;
use crate::codec::labels::Label;
use crate::codec::orders::Order;
use crate::codec::payments::Payment;
use crate::codec::pos::Transaction;
use crate::codec::rules::RulesPublished;
use crate::engine::arrival::restore_at_once;
use crate::engine::decide::{Decide, DecideTask};
use crate::engine::ingest::Ingest;
use crate::engine::keyed::{CopyName, Keyed, KeyedTask, name_of_copy};
use crate::engine::monitor::{Monitor, MonitorTask};
use crate::engine::outputs::Outputs;
use crate::engine::stage::Stage;
use crate::event::public::LabelledScore;
use crate::event::{DecisionId, Forwarded};
use crate::fraud::RuleSet;
use crate::ingest::route::Router;
use crate::ledger::Disposition;
use crate::log::{Append, Destination, Fetched, Headers, Start, Topic, TopicPartition};
use crate::state::Tracking;
use crate::time::EventTime;
use std::collections::{BTreeMap, BTreeSet};

/// What follows from what was produced.
struct Routed {
    /// How often each copy was routed.
    copies: BTreeMap<CopyName, u64>,
    decisions: BTreeSet<DecisionId>,
    /// The ids of the labels of each decision.
    labels: BTreeMap<DecisionId, BTreeSet<String>>,
    /// The highest version of the rules that were published; 0 if none were.
    rules: u32,
}

/// What was routed, by what was produced.
fn routed(world: &World) -> Routed {
    let router = Router { plan: &world.settings.plan, pseudonyms: &world.settings.pseudonyms };
    let (mut copies, mut decisions, mut labels) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let mut highest = 0;
    for (topic, record) in &world.produced {
        let payload = record.value.as_deref().unwrap_or_default();
        let mut count = |copy: &crate::event::Copy<'_>| {
            *copies.entry(name_of_copy(copy)).or_insert(0) += 1;
        };
        match topic {
            Topic::Payments => {
                if let Ok((Some(payment), _)) = Payment::decode(payload, 1 << 20) {
                    router.payment(&payment, EventTime(payment.time_ms), &mut count);
                    decisions.insert(DecisionId::of_payment(payment.payment_id.as_str()));
                }
            }
            Topic::Labels => {
                if let Ok((Some(label), _)) = Label::decode(payload, 1 << 20) {
                    router.label(&label, EventTime(label.fields.known_at_ms), &mut count);
                    let ids: &mut BTreeSet<String> = labels.entry(label.decision).or_default();
                    ids.insert(label.fields.event_id.as_str().to_owned());
                }
            }
            Topic::Orders => {
                if let Ok((Some(order), _)) = Order::decode(payload, 1 << 20) {
                    router.order(&order, EventTime(order.fields.event_time_ms), &mut count);
                }
            }
            Topic::Pos => {
                if let Ok((Some(basket), _)) = Transaction::decode(payload, 1 << 20) {
                    router.basket(&basket, EventTime(basket.event_time_ms), &mut count);
                }
            }
            Topic::Rules => {
                if let Ok((Some(published), _)) = RulesPublished::decode(payload, 1 << 20)
                    && let Ok(rules) =
                        RuleSet::read(published.rules.as_str(), &world.settings.plan.feature_names())
                {
                    let time = EventTime(published.event_time_ms);
                    highest = highest.max(rules.version());
                    router.rules(&published, rules.version(), time, &mut count);
                }
            }
            Topic::AlertsControl => {
                if let Ok((Some(control), _)) = AlertControl::decode(payload, 1 << 20) {
                    router.alert(&control, EventTime(control.event_time_ms), &mut count);
                } else if let Ok((Some(change), _)) = AnnouncedChange::decode(payload, 1 << 20) {
                    router.announced(&change, EventTime(change.event_time_ms), &mut count);
                }
            }
            Topic::Accounts => {
                if let Ok((Some(account), _)) = Account::decode(payload, 1 << 20) {
                    router.account(&account, EventTime(account.fields.event_time_ms), &mut count);
                }
            }
            _ => {
                if let Ok((click, _)) = Click::decode(payload, 1 << 20) {
                    router.click(&click, EventTime(click.event_time_ms), &mut count);
                }
            }
        }
    }
    for partition in world.topology.each_partition(&[Topic::Linked]) {
        for (_, record) in world.read(partition) {
            let bytes = record.value.as_deref().unwrap_or_default();
            let forwarded: Forwarded<'_> = postcard::from_bytes(bytes).expect("a copy of ours");
            router.forwarded(&forwarded, |copy| *copies.entry(name_of_copy(copy)).or_insert(0) += 1);
        }
    }
    Routed { copies, decisions, labels, rules: highest }
}

fn fresh_fold<S: Stage>(world: &World, stage: &S, log: Topic) -> Vec<(S::Task, Vec<Append>)> {
    let partitions = world.topology.partitions(log);
    let destinations = stage.downstream().map_or(0, |(_, partitions)| partitions);
    (0..partitions)
        .map(|number| {
            let partition = TopicPartition::new(log, number);
            let mut task = stage.open(Tracking::Off);
            let short_id = stage.source_of(partition).short_topic();
            let mut out = Outputs::new(short_id, number, destinations, 0);
            for (offset, record) in world.read(partition) {
                out.begin(offset);
                stage
                    .fold(&mut task, &Fetched { partition, offset, record }, &mut out)
                    .expect("our own frames");
            }
            (task, out.public)
        })
        .collect()
}

fn dead_letters(world: &World) -> Vec<Append> {
    let stage = Ingest::new(world.settings.clone(), world.topology.clone(), Start::Earliest);
    let tasks = Topic::RAW.into_iter().flat_map(|topic| fresh_fold(world, &stage, topic));
    tasks.flat_map(|(_, public)| public).collect()
}

/// Restored from its newest checkpoint, and with the rest of the log folded, each task is what a fresh fold gives.
fn check_restored<S: Stage>(
    world: &World,
    stage: &S,
    log: Topic,
    fresh: &[(S::Task, Vec<Append>)],
    same: impl Fn(&S::Task, &S::Task) -> bool,
) -> Result<(), String> {
    for (number, (fresh, _)) in (0..).zip(fresh) {
        let partition = TopicPartition::new(log, number);
        let found =
            world.keeper().find(stage.source_of(partition), stage.shape()).expect("the storage is well");
        let from = found.chain.last().map_or(0, |newest| newest.head.offset);
        let mut task = restore_at_once(stage, partition, &found.chain, Tracking::On)
            .map_err(|fault| fault.to_string())?;
        let destinations = stage.downstream().map_or(0, |(_, partitions)| partitions);
        let mut out = Outputs::new(0, number, destinations, 0);
        for (offset, record) in world.read(partition).into_iter().filter(|(offset, _)| *offset >= from) {
            out.begin(offset);
            stage.fold(&mut task, &Fetched { partition, offset, record }, &mut out).expect("our own frames");
        }
        if !same(&task, fresh) {
            return Err(format!("{partition}, restored at {from}, is not what a fresh fold gives"));
        }
    }
    Ok(())
}

pub(super) fn check(world: &World) -> Result<(), String> {
    let Routed { copies, decisions, labels, rules } = routed(world);
    let (settings, topology) = (&world.settings, &world.topology);
    let stage = Keyed::new(settings.clone(), topology.clone());
    let keyed = fresh_fold(world, &stage, Topic::Entity);
    check_restored(world, &stage, Topic::Entity, &keyed, KeyedTask::is_same)?;
    let stage = Decide::new(settings.clone(), topology.clone());
    let decide = fresh_fold(world, &stage, Topic::Decision);
    check_restored(world, &stage, Topic::Decision, &decide, DecideTask::is_same)?;
    let stage = Monitor::new(settings.clone(), topology.clone());
    let monitor = fresh_fold(world, &stage, Topic::Monitor);
    check_restored(world, &stage, Topic::Monitor, &monitor, MonitorTask::is_same)?;
    check_copies(&copies, &keyed)?;
    check_decisions(&decisions, &decide)?;
    check_labels(&decisions, &labels, &decide)?;
    check_rules(rules, &decide)?;
    check_judged(&decide, &monitor)?;
    for (_, made) in &monitor {
        super::episodes::check_order(made)?;
    }
    check_published(world, monitor.into_iter().flat_map(|(_, public)| public).collect(), "monitor")?;
    super::episodes::check(world)?;
    let public = |(_, public): (_, Vec<Append>)| public;
    check_published(world, keyed.into_iter().flat_map(|(_, public)| public).collect(), "keyed")?;
    let decided = decide.into_iter().flat_map(public);
    check_published(world, dead_letters(world).into_iter().chain(decided).collect(), "ingest and decide")
}

/// Each copy ended as often as it was routed: once applied, otherwise as a duplicate; late in place of applied only if it
/// came long after its time.
fn check_copies(routed: &BTreeMap<CopyName, u64>, keyed: &[(KeyedTask, Vec<Append>)]) -> Result<(), String> {
    let mut ended = BTreeMap::<CopyName, Vec<Disposition>>::new();
    for (task, _) in keyed {
        if !task.ledger.balances() {
            return Err("the ledger of a task does not balance".to_owned());
        }
        for (name, disposition) in &task.observed {
            ended.entry(name.clone()).or_default().push(*disposition);
        }
    }
    for (name, times) in routed {
        let ends = ended.remove(name).unwrap_or_default();
        let count = |which: &[Disposition]| ends.iter().filter(|end| which.contains(end)).count();
        let applied = count(&[Disposition::Applied, Disposition::LateApplied]);
        let late = count(&[Disposition::Late]);
        let is_right = if name.2.starts_with(input::OLD) {
            // its id is forgotten when it has long been over: a second one may find itself late
            applied <= 1 && applied + late >= 1
        } else {
            applied == 1 && late == 0
        };
        if ends.len() as u64 != *times || !is_right {
            return Err(format!("{name:?} was routed {times} times and ended as {ends:?}"));
        }
    }
    if ended.is_empty() { Ok(()) } else { Err(format!("applied but never routed: {ended:?}")) }
}

/// One decision per payment.
fn check_decisions(
    payments: &BTreeSet<DecisionId>,
    decide: &[(DecideTask, Vec<Append>)],
) -> Result<(), String> {
    let mut decided = BTreeMap::<String, u64>::new();
    for append in published(decide, Topic::ScoresFraud) {
        let key = String::from_utf8_lossy(append.key.as_deref().unwrap_or_default()).into_owned();
        *decided.entry(key).or_default() += 1;
    }
    for payment in payments {
        match decided.remove(&payment.to_string()) {
            Some(1) => {}
            other => return Err(format!("decision {payment} was made {} times", other.unwrap_or(0))),
        }
    }
    if decided.is_empty() { Ok(()) } else { Err(format!("decisions about nothing: {decided:?}")) }
}

fn published(decide: &[(DecideTask, Vec<Append>)], topic: Topic) -> impl Iterator<Item = &Append> {
    let appends = decide.iter().flat_map(|(_, public)| public);
    appends.filter(move |append| append.destination == Destination::ByKey(topic))
}

/// Each decision that has a label is published with one of its own once; what else there is of labels is handed back or waits.
fn check_labels(
    decisions: &BTreeSet<DecisionId>,
    labels: &BTreeMap<DecisionId, BTreeSet<String>>,
    decide: &[(DecideTask, Vec<Append>)],
) -> Result<(), String> {
    let mut joined = BTreeMap::<String, Vec<String>>::new();
    for append in published(decide, Topic::LabelledFraud) {
        let value = append.value.as_deref().unwrap_or_default();
        let record: LabelledScore<'_> = serde_json::from_slice(value).map_err(|fault| fault.to_string())?;
        joined.entry(record.decision_id.into_owned()).or_default().push(record.label_id.into_owned());
    }
    let (mut waiting, mut others) = (0, 0);
    for (decision, ids) in labels {
        others += ids.len() as u64 - 1;
        if decisions.contains(decision) {
            match joined.remove(&decision.to_string()).as_deref() {
                Some([one]) if ids.contains(one) => {}
                other => {
                    return Err(format!(
                        "decision {decision} has labels {ids:?} and was published with {other:?}"
                    ));
                }
            }
        } else {
            waiting += 1;
        }
    }
    let parked: u64 = decide.iter().map(|(task, _)| task.parked_labels).sum();
    let is_of_a_label = |append: &&Append| append.key.as_deref() != Some(b"rules".as_slice());
    let second = published(decide, Topic::DeadLetter).filter(is_of_a_label).count() as u64;
    if !joined.is_empty() || parked != waiting || second != others {
        return Err(format!(
            "labels: {joined:?} of nothing, {parked} for {waiting} wait, {second} for {others} came second"
        ));
    }
    Ok(())
}

/// The highest version of the rules came into force in every partition.
fn check_rules(highest: u32, decide: &[(DecideTask, Vec<Append>)]) -> Result<(), String> {
    match decide.iter().find(|(task, _)| task.published_rules() != highest) {
        Some((task, _)) => {
            Err(format!("rules of version {} are in force, not {highest}", task.published_rules()))
        }
        None => Ok(()),
    }
}

/// Every decision that has met its label was judged once, or waits for the time at which it is known.
fn check_judged(
    decide: &[(DecideTask, Vec<Append>)],
    monitor: &[(MonitorTask, Vec<Append>)],
) -> Result<(), String> {
    let labelled = published(decide, Topic::LabelledFraud).count() as u64;
    let judged: u64 = monitor.iter().map(|(task, _)| task.judged + task.ahead() as u64).sum();
    if labelled == judged {
        Ok(())
    } else {
        Err(format!("{labelled} scores have labels and {judged} were judged or wait for it"))
    }
}

/// What was published is what a fresh fold gives: the same ids, and for each id the same bytes, once or more.
fn check_published(world: &World, expected: Vec<Append>, stage: &str) -> Result<(), String> {
    let mut wanted = BTreeMap::new();
    let mut topics = BTreeSet::new();
    for append in expected {
        let Destination::ByKey(topic) = append.destination else { continue };
        topics.insert(topic);
        wanted.insert((topic, name_of(&append.headers)), append.value);
    }
    let mut seen = BTreeSet::new();
    for topic in topics {
        for number in 0..world.topology.partitions(topic) {
            for (_, record) in world.read(TopicPartition::new(topic, number)) {
                let name = (topic, name_of(&record.headers));
                match wanted.get(&name) {
                    Some(value) if *value == record.value => {
                        let is_first = seen.insert(name.clone());
                        if !is_first && world.exactly_once.contains(&topic) {
                            return Err(format!("{stage}: {name:?} was published twice"));
                        }
                        is_first
                    }
                    Some(_) => return Err(format!("{stage}: {name:?} was published with other bytes")),
                    None => {
                        return Err(format!(
                            "{stage}: {name:?} was published, and a fresh fold does not give it"
                        ));
                    }
                };
            }
        }
    }
    let missing = wanted.keys().find(|name| !seen.contains(*name));
    missing.map_or(Ok(()), |name| Err(format!("{stage}: {name:?} was never published")))
}

/// Which record it is: its headers in one line.
pub(super) fn name_of(headers: &Headers) -> String {
    let spelled = headers.spelled_out("").into_iter();
    spelled.map(|(name, value)| format!("{name}={} ", String::from_utf8_lossy(&value))).collect()
}
