//! The ingest stage: raw topics to the entity log. Stateless per record; a task keeps the highest
//! event time of its partition and its ledger.

#![expect(clippy::indexing_slicing, reason = "arrays are as long as the enum that indexes them")]

use super::outputs::Outputs;
use super::settings::{FoldSettings, Topology, shape};
use super::stage::{FoldError, Stage};
use crate::checkpoint::{Blocks, Checkpointed, Damage, Table, decode};
use crate::codec::accounts::Account;
use crate::codec::alerts::AlertControl;
use crate::codec::catalogue::CatalogueItem;
use crate::codec::changes::AnnouncedChange;
use crate::codec::clickstream::Click;
use crate::codec::labels::Label;
use crate::codec::orders::Order;
use crate::codec::payments::Payment;
use crate::codec::pos::Transaction;
use crate::codec::predictions::Prediction;
use crate::codec::rules::RulesPublished;
use crate::codec::{Reject, RejectReason};
use crate::event::entity::partition_of;
use crate::event::{ClickName, Copy, Forwarded};
use crate::fault::Fault;
use crate::fraud::RuleSet;
use crate::ingest::dead_letter::dead_letter;
use crate::ingest::route::Router;
use crate::ledger::IngestLedger;
use crate::log::frame::{FoldVersion, Promise, SourceId};
use crate::log::position::Offset;
use crate::log::{Fetched, Start, Topic, TopicPartition};
use crate::state::Tracking;
use crate::time::{EventTime, millis};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The ingest stage.
#[derive(Debug, Clone)]
pub struct Ingest {
    settings: Arc<FoldSettings>,
    topology: Arc<Topology>,
    fold: FoldVersion,
    /// What a partition is read from that the group has never committed.
    first_start: Start,
    /// For the mutation of rule 10 in tests: added to the partition.
    #[cfg(test)]
    pub(crate) misroute: u32,
}

/// The state of one raw partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct IngestTask {
    /// The highest event time seen, after clamping.
    pub highest: Option<EventTime>,
    /// What became of the records.
    pub ledger: IngestLedger,
}

impl Ingest {
    /// Over these topics; partitions without a commit are read from `first_start`.
    #[must_use]
    pub fn new(settings: Arc<FoldSettings>, topology: Arc<Topology>, first_start: Start) -> Ingest {
        let fold = settings.fold_version(&topology);
        Ingest {
            settings,
            topology,
            fold,
            first_start,
            #[cfg(test)]
            misroute: 0,
        }
    }

    fn take(&self, task: &mut IngestTask, fetched: &Fetched, out: &mut Outputs) -> Result<(), Reject> {
        let producer = producer(fetched);
        match fetched.partition.topic {
            Topic::Clickstream => {
                let click = self.read(task, fetched, Click::decode)?;
                let known = ClickName::from_wire(click.event_name.as_str()) != ClickName::Other;
                task.ledger.unknown_names += u64::from(!known);
                let time = self.event_time(task, click.event_time_ms, fetched);
                self.router().click(&click, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            Topic::Payments => {
                let Some(payment) = self.read_known(task, fetched, Payment::decode)? else { return Ok(()) };
                let time = self.event_time(task, payment.time_ms, fetched);
                self.router()
                    .payment(&payment, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            Topic::Labels => {
                let Some(label) = self.read_known(task, fetched, Label::decode)? else { return Ok(()) };
                let time = self.event_time(task, label.fields.known_at_ms, fetched);
                self.router().label(&label, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            Topic::Predictions => {
                let Some(said) = self.read_known(task, fetched, Prediction::decode)? else { return Ok(()) };
                if self.settings.model.as_ref().is_some_and(|own| own.name() == said.model.as_str()) {
                    let message = "is the name of the model that learns here (model.yaml)";
                    return Err(Reject::at(RejectReason::OutOfRange, "model", message));
                }
                let time = self.event_time(task, said.event_time_ms, fetched);
                self.router()
                    .prediction(&said, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            Topic::Orders => {
                let Some(order) = self.read_known(task, fetched, Order::decode)? else { return Ok(()) };
                let time = self.event_time(task, order.fields.event_time_ms, fetched);
                self.router().order(&order, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            Topic::Pos => {
                let Some(basket) = self.read_known(task, fetched, Transaction::decode)? else {
                    return Ok(());
                };
                let time = self.event_time(task, basket.event_time_ms, fetched);
                self.router().basket(&basket, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            Topic::Accounts => {
                let Some(account) = self.read_known(task, fetched, Account::decode)? else { return Ok(()) };
                let time = self.event_time(task, account.fields.event_time_ms, fetched);
                self.router()
                    .account(&account, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            Topic::Rules => {
                let Some(published) = self.read_known(task, fetched, RulesPublished::decode)? else {
                    return Ok(());
                };
                let rules = RuleSet::read(published.rules.as_str(), &self.settings.plan.feature_names())
                    .map_err(|faults| refused(&faults))?;
                let time = self.event_time(task, published.event_time_ms, fetched);
                let router = self.router();
                router.rules(&published, rules.version(), time, |copy| {
                    self.send(copy, producer, &mut task.ledger, out)
                });
            }
            Topic::AlertsControl => {
                if let Some(change) = self.read(task, fetched, AnnouncedChange::decode)? {
                    let time = self.event_time(task, change.event_time_ms, fetched);
                    self.router()
                        .announced(&change, time, |copy| self.send(copy, producer, &mut task.ledger, out));
                } else if let Some(control) = self.read_known(task, fetched, AlertControl::decode)? {
                    let time = self.event_time(task, control.event_time_ms, fetched);
                    self.router()
                        .alert(&control, time, |copy| self.send(copy, producer, &mut task.ledger, out));
                }
            }
            Topic::Linked => {
                let forwarded: Forwarded<'_> = postcard::from_bytes(payload(fetched)).map_err(|fault| {
                    Reject::at(RejectReason::WrongType, "$", format!("no copy of this program's: {fault}"))
                })?;
                if forwarded.fold != self.fold.0 {
                    let message = "was made under another configuration, and means nothing under this one";
                    return Err(Reject::at(RejectReason::OtherFold, "$", message));
                }
                self.router().forwarded(&forwarded, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            // an item that left
            Topic::Catalogue if payload(fetched).is_empty() && fetched.record.key.is_some() => {}
            // who serves what the shop sells reads the topic itself; that an item changes may be why something else does
            Topic::Catalogue => {
                let item = self.read(task, fetched, CatalogueItem::decode)?;
                let time = self.bounded(item.event_time_ms, fetched).unwrap_or(EventTime(item.event_time_ms));
                self.router().item(&item, time, |copy| self.send(copy, producer, &mut task.ledger, out));
            }
            other => unreachable!("{other:?} is not a raw topic"),
        }
        Ok(())
    }

    /// Decodes the payload, and counts the fields that its contract does not know.
    fn read<'f, T>(
        &self,
        task: &mut IngestTask,
        fetched: &'f Fetched,
        decode: impl FnOnce(&'f [u8], usize) -> Result<(T, u32), Reject>,
    ) -> Result<T, Reject> {
        let (event, unknown_fields) = decode(payload(fetched), self.settings.payload_bytes_max)?;
        task.ledger.unknown_fields += u64::from(unknown_fields);
        Ok(event)
    }

    /// As [`Ingest::read`]; an event whose name no contract knows is counted.
    fn read_known<'f, T>(
        &self,
        task: &mut IngestTask,
        fetched: &'f Fetched,
        decode: impl FnOnce(&'f [u8], usize) -> Result<(Option<T>, u32), Reject>,
    ) -> Result<Option<T>, Reject> {
        let event = self.read(task, fetched, decode)?;
        task.ledger.unknown_names += u64::from(event.is_none());
        Ok(event)
    }

    fn router(&self) -> Router<'_> {
        Router { plan: &self.settings.plan, pseudonyms: &self.settings.pseudonyms }
    }

    /// The event's time, clamped to the bound beyond its record's timestamp.
    fn event_time(&self, task: &mut IngestTask, time_ms: i64, fetched: &Fetched) -> EventTime {
        let bound = self.bounded(time_ms, fetched);
        task.ledger.clamped += u64::from(bound.is_some());
        let time = bound.unwrap_or(EventTime(time_ms));
        task.highest = task.highest.max(Some(time));
        time
    }

    /// The bound beyond the record's timestamp, if the time lies beyond it.
    fn bounded(&self, time_ms: i64, fetched: &Fetched) -> Option<EventTime> {
        let bound = fetched.record.timestamp_ms?.saturating_add(millis(self.settings.future_bound));
        (time_ms > bound).then(|| EventTime(bound.max(0)))
    }

    fn send(&self, copy: &Copy<'_>, producer: Option<&str>, ledger: &mut IngestLedger, out: &mut Outputs) {
        ledger.copies[copy.kind.index()] += 1;
        match producer {
            Some(_) => out.event(self.destination(copy.hash), &Copy { producer, ..copy.clone() }),
            None => out.event(self.destination(copy.hash), copy),
        }
    }

    #[cfg(not(test))]
    fn destination(&self, hash: u64) -> u32 {
        partition_of(hash, self.topology.partitions(Topic::Entity))
    }

    #[cfg(test)]
    fn destination(&self, hash: u64) -> u32 {
        let partitions = self.topology.partitions(Topic::Entity);
        (partition_of(hash, partitions) + self.misroute) % partitions
    }
}

/// Of one record in so many it is told who produced it.
const PRODUCER_EVERY: i64 = 32;

/// Who produced a record, if its place says that this is told: by the place alone, so that whoever reads it again says the same.
fn producer(fetched: &Fetched) -> Option<&str> {
    let is_told = fetched.offset % PRODUCER_EVERY == 0 && fetched.partition.topic != Topic::Linked;
    is_told.then(|| fetched.record.headers.source()).flatten()
}

/// Faults that a refusal names.
const FAULTS_MAX: usize = 10;

/// Why rules are refused: the place of the first fault and what it is, then the others.
fn refused(faults: &[Fault]) -> Reject {
    let (path, mut message) =
        faults.first().map_or(("rules", String::new()), |first| (&first.path, first.message.clone()));
    for Fault { path, message: other } in faults.iter().take(FAULTS_MAX).skip(1) {
        message.push_str(&format!("; {path}: {other}"));
    }
    let more = faults.len().saturating_sub(FAULTS_MAX);
    if more > 0 {
        message.push_str(&format!(" (and {more} more)"));
    }
    Reject::at(RejectReason::BadRules, path, message)
}

fn payload(fetched: &Fetched) -> &[u8] {
    fetched.record.value.as_deref().unwrap_or_default()
}

impl Stage for Ingest {
    type Task = IngestTask;

    const PUBLISHES: &'static [Topic] = &[Topic::DeadLetter];

    fn downstream(&self) -> Option<(Topic, u32)> {
        Some((Topic::Entity, self.topology.partitions(Topic::Entity)))
    }

    fn sources(&self) -> Vec<(SourceId, &'static str)> {
        self.topology.sources(&Topic::RAW)
    }

    fn source_of(&self, partition: TopicPartition) -> SourceId {
        self.topology.source(partition)
    }

    fn open(&self, _tracking: Tracking) -> IngestTask {
        IngestTask::default()
    }

    fn start(&self, committed: Option<Offset>) -> Start {
        committed.map_or(self.first_start, Start::At)
    }

    fn fold(&self, task: &mut IngestTask, fetched: &Fetched, out: &mut Outputs) -> Result<(), FoldError> {
        task.ledger.records += 1;
        match self.take(task, fetched, out) {
            Ok(()) => task.ledger.routed += 1,
            Err(reject) => {
                let place = RejectReason::ALL.iter().position(|reason| *reason == reject.reason);
                task.ledger.dead_lettered[place.expect("every reason is in the list")] += 1;
                out.publish_verbatim(Topic::DeadLetter, |id| dead_letter(fetched, &reject, id));
            }
        }
        if !task.ledger.balances() {
            return Err(FoldError::Ledger { partition: fetched.partition, offset: fetched.offset });
        }
        Ok(())
    }

    fn promise(&self, task: &IngestTask, idle: Option<Duration>) -> Promise {
        match (idle, task.highest) {
            (Some(idle), highest) => {
                Promise::Idle { highest, idle_ms: u64::try_from(millis(idle)).unwrap_or_default() }
            }
            (None, Some(highest)) => Promise::Watermark(highest.minus(self.settings.out_of_orderness)),
            (None, None) => Promise::Unknown,
        }
    }

    fn fold_version(&self) -> FoldVersion {
        self.fold
    }

    fn shape(&self) -> u64 {
        shape(&self.topology, Topic::Entity, ())
    }
}

/// All of it is small.
impl Checkpointed for IngestTask {
    fn cut(&mut self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("state holds nothing that postcard refuses")
    }

    fn encode_some(&mut self, _into: &mut Blocks, _bytes_max: usize) -> bool {
        true
    }

    fn watermark(&self) -> Option<EventTime> {
        self.highest
    }

    fn restore_whole(&mut self, whole: &[u8]) -> Result<(), Damage> {
        *self = decode(whole)?;
        Ok(())
    }

    fn restore_block(&mut self, table: Table, _block: bytes::Bytes) -> Result<(), Damage> {
        Err(Damage::Content(format!("no table {table}")))
    }

    fn restored(&mut self) {}
}
