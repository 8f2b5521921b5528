//! What `/metrics` shows: every metric by name, unit and meaning, and how a stage's tasks become samples.
//!
//! Workers leave samples behind after a cycle; a scrape turns the latest ones of every role into
//! Prometheus' text format. Labels never hold the id of an entity.

use crate::codec::RejectReason;
use crate::engine::checkpointing::SavedSoFar;
use crate::engine::decide::DecideTask;
use crate::engine::ingest::IngestTask;
use crate::engine::keyed::KeyedTask;
use crate::engine::monitor::MonitorTask;
use crate::engine::worker::{Left, Restore};
use crate::event::EntityKind;
use crate::fraud::gather::PartOutcome;
use crate::fraud::label::LabelEnd;
use crate::ledger::Disposition;
use crate::log::TopicPartition;
use crate::log::position::Offset;
use crate::progress::sources::{Refusal, Sources};
use crate::time::ProcessingTime;
use prometheus::core::Collector;
use prometheus::{CounterVec, Encoder, GaugeVec, Opts, Registry, TextEncoder};
use std::collections::BTreeMap;

/// Whether a metric only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while its process lives.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A metric: name with unit, labels, meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with the unit at the end.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*
        /// Every metric.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    RECORDS = "tillstream_records_total" Counter ["topic", "disposition"] "Raw records read, by what became of them: routed or dead_lettered.";
    DEAD_LETTERS = "tillstream_dead_letters_total" Counter ["topic", "reason"] "Raw records refused, by reason.";
    CLAMPED = "tillstream_clamped_timestamps_total" Counter ["topic"] "Events whose time lay too far beyond their record's timestamp.";
    UNKNOWN_FIELDS = "tillstream_unknown_fields_total" Counter ["topic"] "Fields that no contract knows.";
    UNKNOWN_NAMES = "tillstream_unknown_event_names_total" Counter ["topic"] "Events whose name no contract knows.";
    COPIES_SENT = "tillstream_copies_sent_total" Counter ["kind"] "Copies of events sent to entities, by kind.";
    COPIES = "tillstream_copies_total" Counter ["kind", "disposition"] "Copies of events that ended applied, late_applied, late or duplicate.";
    WATERMARK = "tillstream_watermark_timestamp_seconds" Gauge ["stage", "partition"] "Event time up to which a task expects nothing more, in seconds since the Unix epoch.";
    WATERMARK_HOLDER = "tillstream_watermark_holder" Gauge ["stage", "partition", "source_topic", "source_partition"] "1 for the source that holds a task's watermark back.";
    REFUSED = "tillstream_refused_frames_total" Counter ["stage", "partition", "reason"] "Frames refused because something before them is missing.";
    OLDEST_OPEN_CHAIN = "tillstream_oldest_open_chain_seconds" Gauge ["stage"] "Age of the oldest append that is not acknowledged.";
    OPEN_GATHERS = "tillstream_open_gathers" Gauge ["partition"] "Decisions that wait for parts.";
    DECISIONS = "tillstream_decisions_total" Counter ["outcome"] "Decisions made with every part (whole) or at their deadline (without_parts).";
    MISSING_PARTS = "tillstream_missing_parts_total" Counter [] "Parts that had not come when their decision was made.";
    PARTS = "tillstream_parts_total" Counter ["outcome"] "Parts by what they did: opened, added, repeated, foreign, late.";
    LABELS = "tillstream_labels_total" Counter ["end"] "Labels by where they ended: joined, repeated, second_label, no_decision.";
    RULES_VERSION = "tillstream_rules_version" Gauge ["partition"] "The version of the rules that were published last and accepted; 0 where those of the configuration were never replaced.";
    PARKED_LABELS = "tillstream_parked_labels" Gauge ["partition"] "Labels that wait for their decision.";
    UNLABELLED = "tillstream_unlabelled_decisions" Gauge ["partition"] "Decisions that wait for their label.";
    JUDGED = "tillstream_judged_scores_total" Counter [] "Scores judged by their label.";
    PREDICTIONS = "tillstream_predictions_total" Counter [] "What models that run elsewhere have said.";
    UNWATCHED = "tillstream_unwatched_total" Counter ["what"] "Records and windows of models and features beyond those that are watched.";
    JUDGED_TOO_LATE = "tillstream_labels_after_the_end_total" Counter [] "Labelled scores whose day was final already.";
    LABELS_AHEAD = "tillstream_labels_ahead" Gauge ["partition"] "Labelled scores that wait for payments to be scored up to the time at which their label was known.";
    OPEN_DAYS = "tillstream_open_dates" Gauge ["partition"] "Days of payments for which labels are still waited for.";
    MODEL_VERSION = "tillstream_model_version" Gauge [] "The version of the model's weights that went out last.";
    MODEL_LABELS = "tillstream_model_labels_total" Counter [] "Labels that the model has learned from.";
    VISITORS = "tillstream_visitors" Gauge ["partition"] "Visitors with an open or lately closed session.";
    CLOSED_EARLY = "tillstream_sessions_closed_early_total" Counter [] "Sessions made final before their time, because their visitor had too many open while the watermark stood.";
    DAYS_CLOSED_EARLY = "tillstream_dates_closed_early_total" Counter [] "Days of stores made final before their time, because their store had too many open.";
    LINKED = "tillstream_linked_entities" Gauge ["partition"] "Visitors, cards, loyalty numbers and customers of whom a login is known.";
    FORWARDED = "tillstream_forwarded_events_total" Counter [] "Events that went on to the customer or the visitor whom their entity is linked to.";
    FEATURE_ENTITIES = "tillstream_feature_entities" Gauge ["partition"] "Entities with windowed features.";
    REMEMBERED_IDS = "tillstream_remembered_event_ids" Gauge ["partition"] "Event ids remembered for de-duplication.";
    LEDGER_BALANCED = "tillstream_ledger_balanced" Gauge ["stage", "partition"] "1 while the ledger of the partition balances.";
    CHECKPOINT_AGE = "tillstream_checkpoint_age_seconds" Gauge ["stage", "partition"] "Time since the newest checkpoint was saved, or since the task was taken over.";
    CHECKPOINT_OFFSET = "tillstream_checkpoint_offset" Gauge ["topic", "partition"] "Offset of the newest checkpoint that is saved.";
    CHECKPOINTS = "tillstream_checkpoints_total" Counter ["stage"] "Checkpoints saved.";
    CHECKPOINT_BYTES = "tillstream_checkpoint_bytes_total" Counter ["stage"] "Bytes of checkpoints saved.";
    CHECKPOINT_FAILURES = "tillstream_checkpoint_storage_failures_total" Counter ["stage"] "Requests that the storage of checkpoints refused or did not answer; they are made again.";
    RESTORING = "tillstream_restoring_partitions" Gauge ["stage"] "Partitions that are not yet where their group has committed.";
    RESTORE_BYTES = "tillstream_restore_remaining_bytes" Gauge ["stage"] "Bytes of checkpoints that are still to be put back.";
    RESTORE_RECORDS = "tillstream_restore_remaining_records" Gauge ["stage"] "Records that are still to be read to restore tasks.";
    RESTORE_SECONDS = "tillstream_restore_remaining_seconds" Gauge ["stage"] "For how long the slowest restore goes on, at its pace so far.";
    NEXT_OFFSET = "tillstream_next_offset" Gauge ["topic", "partition"] "Next offset to fold.";
    COMMITTED_OFFSET = "tillstream_committed_offset" Gauge ["topic", "partition"] "Offset committed by this instance.";
    LAG = "tillstream_lag_records" Gauge ["topic", "partition"] "Records of a partition that were not read yet, as far as the broker has said where it ends.";
    VIEW_LAG = "tillstream_view_lag_records" Gauge [] "Published records that the view has not read yet.";
    VIEW_LAG_AGE = "tillstream_view_lag_age_seconds" Gauge [] "How long ago it was found out how many published records the view has not read.";
    VIEW_UNREADABLE = "tillstream_view_unreadable_records_total" Counter ["topic"] "Published records that the view left out, because they are not what it knows of their contract.";
    PUSHED = "tillstream_pushed_recommendations_total" Counter [] "Records of recommendations that were pushed.";
    VIEW_ENTRIES = "tillstream_view_entries" Gauge ["of"] "What the view knows: visitors, entities, decisions, sessions, catalogue, popular_items.";
    INTENT_SESSIONS = "tillstream_intent_sessions_total" Counter [] "Sessions that it was learned from what running ones will come to.";
    INTENT_LOG_LOSS = "tillstream_intent_log_loss" Gauge ["of"] "Mean loss of what was said of purchases, by the model and by one who says the rate each time.";
    MACHINE_SESSIONS = "tillstream_machine_sessions_total" Counter [] "Sessions that nothing is recommended from, because a machine clicked.";
    NOTIFY_IS_TELLING = "tillstream_notify_is_telling" Gauge [] "1 at the instance that tells the receivers of alerts, 0 at those that stand by.";
    NOTIFY_EPISODES = "tillstream_notify_episodes" Gauge ["receiver"] "Episodes that a receiver of alerts is kept informed of.";
    NOTIFY_WAITING = "tillstream_notify_waiting" Gauge ["receiver"] "Messages to a receiver of alerts that wait, the one on its way among them.";
    NOTIFY_REQUESTS = "tillstream_notify_requests_total" Counter ["receiver", "outcome"] "Requests to a receiver of alerts that it took, or that failed and are made again.";
    NOTIFY_DEAD = "tillstream_notify_dead_total" Counter ["receiver"] "Messages to a receiver of alerts that will not arrive; the log has them.";
    ARCHIVED_ROWS = "tillstream_archived_rows_total" Counter ["set"] "Rows that this instance has put into the feature log: vectors or labels.";
    ARCHIVED_RANGES = "tillstream_archived_ranges_total" Counter ["set"] "Ranges of offsets that this instance has put into the feature log.";
    ARCHIVE_UNREADABLE = "tillstream_archive_unreadable_records_total" Counter ["set"] "Published records that are not archived, because they are not what is known of their contract.";
    ARCHIVE_FAILURES = "tillstream_archive_storage_failures_total" Counter [] "Ranges that the storage of the archive did not take; they are tried again.";
    ARCHIVE_LAG = "tillstream_archive_lag_records" Gauge [] "Published records that the archive has not read yet.";
    ARCHIVE_OLDEST = "tillstream_archive_oldest_record_seconds" Gauge [] "For how long the oldest record that was read waits to be archived.";
    READY = "tillstream_ready" Gauge ["role"] "1 while a role does its work, 0 while it waits for something; /readyz says for what.";
    PARTITIONS_LOST = "tillstream_partitions_lost_total" Counter ["stage"] "Partitions that went to others before this member could finish them: what it had published may be published again.";
    LIVES = "tillstream_lives_total" Counter ["stage"] "Lives begun: 1, and one more after each failure.";
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of which metric.
    pub metric: Metric,
    /// The values of its labels, in their order.
    pub labels: Vec<String>,
    /// The value.
    pub value: f64,
}

/// Collects samples; those of equal labels are summed.
#[derive(Debug, Clone, Default)]
pub struct Samples(BTreeMap<(&'static str, Vec<String>), Sample>);

impl Samples {
    /// Each sample: name of the metric, labels with their values, value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Vec<(&'static str, String)>, f64)> {
        self.0.values().map(|sample| {
            let labels = sample.metric.labels.iter().copied().zip(sample.labels.iter().cloned());
            (sample.metric.name, labels.collect(), sample.value)
        })
    }

    /// Adds a value.
    pub fn add(&mut self, metric: Metric, labels: &[&str], value: f64) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let sample = Sample { metric, labels: labels.clone(), value: 0.0 };
        self.0.entry((metric.name, labels)).or_insert(sample).value += value;
    }

    /// Adds a count.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; exact to 2^53")]
    pub fn count(&mut self, metric: Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, count as f64);
    }

    /// Of an ingest task.
    pub fn ingest(&mut self, partition: TopicPartition, task: &IngestTask) {
        let (topic, ledger) = (partition.topic.name(), &task.ledger);
        self.count(RECORDS, &[topic, "routed"], ledger.routed);
        self.count(RECORDS, &[topic, "dead_lettered"], ledger.dead_lettered_total());
        for (reason, count) in RejectReason::ALL.iter().zip(ledger.dead_lettered) {
            self.count(DEAD_LETTERS, &[topic, reason.name()], count);
        }
        self.count(CLAMPED, &[topic], ledger.clamped);
        self.count(UNKNOWN_FIELDS, &[topic], ledger.unknown_fields);
        self.count(UNKNOWN_NAMES, &[topic], ledger.unknown_names);
        for (kind, count) in EntityKind::ALL.iter().zip(ledger.copies) {
            self.count(COPIES_SENT, &[kind.name()], count);
        }
        let place = partition.to_string();
        self.count(LEDGER_BALANCED, &["ingest", &place], u64::from(ledger.balances()));
    }

    /// Of a keyed task.
    pub fn keyed(&mut self, partition: TopicPartition, task: &KeyedTask) {
        let number = partition.partition.to_string();
        for kind in EntityKind::ALL {
            for end in Disposition::ALL {
                self.count(COPIES, &[kind.name(), end.name()], task.ledger.ended(kind, end));
            }
        }
        self.sources("keyed", &number, &task.sources, &task.refused);
        self.count(VISITORS, &[&number], task.visitors() as u64);
        self.count(CLOSED_EARLY, &[], task.sessions_closed_early);
        self.count(DAYS_CLOSED_EARLY, &[], task.days_closed_early);
        self.count(LINKED, &[&number], task.linked() as u64);
        self.count(FORWARDED, &[], task.forwarded);
        self.count(FEATURE_ENTITIES, &[&number], task.entities() as u64);
        self.count(REMEMBERED_IDS, &[&number], task.remembered_ids() as u64);
        self.count(LEDGER_BALANCED, &["keyed", &partition.to_string()], u64::from(task.ledger.balances()));
    }

    /// Of a decide task.
    pub fn decide(&mut self, partition: TopicPartition, task: &DecideTask) {
        let number = partition.partition.to_string();
        self.sources("decide", &number, &task.sources, &task.refused);
        self.count(OPEN_GATHERS, &[&number], task.open_gathers());
        self.count(DECISIONS, &["whole"], task.decided_whole);
        self.count(DECISIONS, &["without_parts"], task.decided_without);
        self.count(MISSING_PARTS, &[], task.missing_parts);
        for outcome in PartOutcome::ALL {
            self.count(PARTS, &[outcome.name()], task.parts.get(&outcome).copied().unwrap_or(0));
        }
        for end in LabelEnd::ALL {
            self.count(LABELS, &[end.name()], task.labels.get(&end).copied().unwrap_or(0));
        }
        self.count(RULES_VERSION, &[&number], task.published_rules().into());
        self.count(PARKED_LABELS, &[&number], task.parked_labels);
        self.count(UNLABELLED, &[&number], task.unlabelled);
        self.count(PREDICTIONS, &[], task.predictions);
        self.count(UNWATCHED, &["records"], task.profiler.unwatched);
    }

    /// Of a monitor task.
    pub fn monitor(&mut self, partition: TopicPartition, task: &MonitorTask) {
        let number = partition.partition.to_string();
        self.sources("monitor", &number, &task.sources, &task.refused);
        self.count(JUDGED, &[], task.judged);
        self.count(UNWATCHED, &["labels"], task.unwatched);
        self.count(UNWATCHED, &["windows"], task.windows.unwatched);
        self.count(JUDGED_TOO_LATE, &[], task.after_the_end);
        self.count(LABELS_AHEAD, &[&number], task.ahead() as u64);
        self.count(OPEN_DAYS, &[&number], task.open_days() as u64);
        if let Some((version, labels)) = task.model() {
            self.count(MODEL_VERSION, &[], u64::from(version));
            self.count(MODEL_LABELS, &[], labels);
        }
    }

    /// Of a partition's offsets.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; exact to 2^53")]
    pub fn offsets(&mut self, partition: TopicPartition, next: Offset, committed: Offset) {
        let number = partition.partition.to_string();
        self.add(NEXT_OFFSET, &[partition.topic.name(), &number], next as f64);
        self.add(COMMITTED_OFFSET, &[partition.topic.name(), &number], committed as f64);
    }

    /// Of what a partition has that was not read.
    pub fn lag(&mut self, partition: TopicPartition, records: u64) {
        self.count(LAG, &[partition.topic.name(), &partition.partition.to_string()], records);
    }

    /// Of the tasks that are being restored.
    pub fn restores(&mut self, stage: &str, restores: &[Restore]) {
        let (mut bytes, mut records) = (0, 0);
        for restore in restores {
            match restore.left {
                Left::Search => {}
                Left::CheckpointBytes(left) => bytes += left,
                Left::Records(left) => records += left,
            }
        }
        let seconds = restores.iter().filter_map(|restore| restore.seconds_left).fold(0.0, f64::max);
        self.count(RESTORING, &[stage], restores.len() as u64);
        self.count(RESTORE_BYTES, &[stage], bytes);
        self.count(RESTORE_RECORDS, &[stage], records);
        self.add(RESTORE_SECONDS, &[stage], seconds);
    }

    /// Of a partition's checkpoints.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; exact to 2^53")]
    pub fn checkpoints(
        &mut self,
        stage: &str,
        partition: TopicPartition,
        saved: SavedSoFar,
        now: ProcessingTime,
    ) {
        let number = partition.partition.to_string();
        self.add(CHECKPOINT_AGE, &[stage, &partition.to_string()], now.since(saved.at).as_secs_f64());
        self.add(CHECKPOINT_OFFSET, &[partition.topic.name(), &number], saved.offset as f64);
        self.count(CHECKPOINTS, &[stage], saved.count);
        self.count(CHECKPOINT_BYTES, &[stage], saved.bytes);
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; exact to 2^53")]
    fn sources(&mut self, stage: &str, partition: &str, sources: &Sources, refused: &BTreeMap<Refusal, u64>) {
        if let Some(watermark) = sources.watermark() {
            self.add(WATERMARK, &[stage, partition], watermark.0 as f64 / 1_000.0);
        }
        if let Some((id, source)) = sources.holder() {
            self.count(WATERMARK_HOLDER, &[stage, partition, &source.topic, &id.partition.to_string()], 1);
        }
        for refusal in Refusal::ALL {
            self.count(
                REFUSED,
                &[stage, partition, refusal.name()],
                refused.get(&refusal).copied().unwrap_or(0),
            );
        }
    }

    /// The samples of all of `parts` in Prometheus' text format, version 0.0.4.
    ///
    /// # Panics
    ///
    /// If a metric is declared wrongly, which a test excludes.
    #[must_use]
    pub fn exposition(parts: &[Samples]) -> String {
        let registry = Registry::new();
        for metric in ALL {
            let samples: Vec<&Sample> = parts
                .iter()
                .flat_map(|part| part.0.values())
                .filter(|sample| sample.metric == *metric)
                .collect();
            if !samples.is_empty() {
                registry.register(collector(*metric, &samples)).expect("every metric is declared once");
            }
        }
        text_of(&registry)
    }
}

/// What a registry has gathered, in Prometheus' text format.
#[must_use]
pub fn text_of(registry: &Registry) -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).expect("writing to memory does not fail");
    String::from_utf8(text).expect("the text format is UTF-8")
}

fn collector(metric: Metric, samples: &[&Sample]) -> Box<dyn Collector> {
    let options = Opts::new(metric.name, metric.help);
    let declared = "a metric is declared with valid names";
    match metric.kind {
        Kind::Counter => {
            let vector = CounterVec::new(options, metric.labels).expect(declared);
            for sample in samples {
                let labels: Vec<&str> = sample.labels.iter().map(String::as_str).collect();
                vector.with_label_values(&labels).inc_by(sample.value);
            }
            Box::new(vector)
        }
        Kind::Gauge => {
            let vector = GaugeVec::new(options, metric.labels).expect(declared);
            for sample in samples {
                let labels: Vec<&str> = sample.labels.iter().map(String::as_str).collect();
                vector.with_label_values(&labels).add(sample.value);
            }
            Box::new(vector)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_declared_with_valid_names_and_counters_end_in_total() {
        let mut samples = Samples::default();
        for metric in ALL {
            samples.count(*metric, &vec!["x"; metric.labels.len()], 1);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
        }
        let text = Samples::exposition(&[samples.clone(), samples]);
        for metric in ALL {
            assert!(text.contains(&format!("# HELP {} ", metric.name)), "{}", metric.name);
        }
    }
}
