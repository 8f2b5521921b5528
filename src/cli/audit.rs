//! What the stages make of their logs, folded again, beside what was appended and published.

use super::run::{client_settings, group_of, place_of, topic_ids, topology};
use super::{CliError, is_watched};
use crate::checkpoint::Found;
use crate::config::{Config, Role};
use crate::engine::replay::{Admitted, Replay};
use crate::engine::settings::Topology;
use crate::engine::stage::Stage;
use crate::log::frame::{FoldVersion, SourceId};
use crate::log::kafka::{ClientSettings, PartitionReader, Standing, standings};
use crate::log::partitioner::partition_of_key;
use crate::log::position::{Offset, Position};
use crate::log::{Append, Fetched, LogRecord, RecordId, Topic, TopicPartition};
use crate::store::{Place, newest};
use anyhow::Context as _;
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Wrong things that are told in full; the rest is counted.
const TOLD: usize = 20;

/// An application on its broker, from outside.
pub(super) struct Application {
    pub(super) config: Config,
    pub(super) topology: Arc<Topology>,
    client: ClientSettings,
    place: Place,
    progress: ProgressBar,
}

/// What part of a partition is folded again: `[from, to)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) partition: TopicPartition,
    /// Where the folding begins, at or below `from`.
    begins_at: Offset,
    pub(super) from: Offset,
    pub(super) to: Offset,
}

/// What a stage makes of some ranges of its log.
#[derive(Default)]
pub(super) struct Made {
    public: BTreeMap<(Topic, RecordId), Published>,
    /// By source and partition of the next log, in order.
    events: BTreeMap<(SourceId, u32), Vec<(Position, u64)>>,
}

/// A public record, as far as it is compared.
struct Published {
    /// The partition that its key gives it; none without a key.
    partition: Option<u32>,
    bytes: u64,
    key: u64,
    seen: u64,
}

/// What was compared, and what is wrong.
#[derive(Default)]
pub(super) struct Report {
    pub(super) lines: Vec<String>,
    wrong: Vec<String>,
    wrong_count: u64,
}

impl Report {
    pub(super) fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.wrong_count += 1;
        if self.wrong.len() < TOLD {
            self.wrong.push(what());
        }
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.wrong_count > 0
    }

    /// Prints what was compared; an error with the first wrong things if there are any.
    pub(super) fn finish(self) -> Result<(), CliError> {
        for line in &self.lines {
            super::say(line);
        }
        if self.wrong_count == 0 {
            return Ok(());
        }
        let more = self.wrong_count - self.wrong.len() as u64;
        let more = if more == 0 { String::new() } else { format!("\n  and {more} more") };
        Err(anyhow::anyhow!("{} wrong:\n  {}{more}", self.wrong_count, self.wrong.join("\n  ")).into())
    }
}

impl Application {
    pub(super) fn open(config: Config) -> Result<Application, CliError> {
        let place = place_of(&config)?;
        let mut client = client_settings(&config);
        client.slot = None;
        let topology = Arc::new(topology(&client)?);
        client.topic_ids = topic_ids(&topology);
        let progress = if is_watched() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        Ok(Application { config, topology, client, place, progress })
    }

    /// Where the group of `role` stands in each partition of `topics`.
    pub(super) fn standings(&self, role: Role, topics: &[Topic]) -> Result<Vec<Standing>, CliError> {
        let partitions: Vec<_> = self.topology.each_partition(topics).collect();
        let standings = standings(&self.client, &group_of(&self.config, role), &partitions);
        Ok(standings.with_context(|| format!("asking {} for offsets", self.client.brokers))?)
    }

    /// Where the log of every partition begins.
    pub(super) fn first_offsets(&self) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
        let standings = self.standings(Role::Ingest, &Topic::ALL)?;
        Ok(standings.into_iter().map(|standing| (standing.partition, standing.first)).collect())
    }

    /// Of each source of `log`, up to which offset events were made by another version of the fold than `ours`. A
    /// version goes on only where the one before has ended.
    pub(super) fn made_by_others(
        &self,
        log: Topic,
        ours: FoldVersion,
    ) -> Result<BTreeMap<SourceId, Offset>, CliError> {
        let mut until = BTreeMap::new();
        for standing in self.standings(Role::Keyed, &[log])? {
            let partition = standing.partition;
            let mut admitted = Admitted::new(log, standing.first > 0);
            self.read(partition, (0, Offset::MAX), |fetched| {
                let value = fetched.record.value.as_deref().unwrap_or_default();
                let outcome = admitted.fold(value, |fold, source, position, _| {
                    if fold != ours {
                        let until = until.entry(source).or_insert(0);
                        *until = (position.offset + 1).max(*until);
                    }
                });
                outcome.with_context(|| format!("reading {partition} at offset {}", fetched.offset))?;
                Ok(())
            })?;
        }
        Ok(until)
    }

    /// Begins to fold a partition again at or before `from`: at its beginning if that is there and no checkpoint is
    /// wanted, otherwise at the newest checkpoint. Ingest keeps nothing that matters here and begins anywhere.
    pub(super) fn begin<S: Stage>(
        &self,
        role: Role,
        stage: S,
        standing: Standing,
        from: Option<Offset>,
        from_checkpoint: bool,
    ) -> Result<(Replay<S>, Range), CliError> {
        let partition = standing.partition;
        let to = standing.next().context("asking for offsets")?.unwrap_or(0);
        if role == Role::Ingest || (standing.first == 0 && !from_checkpoint) {
            let from = from.unwrap_or(standing.first).max(standing.first);
            let replay = Replay::new(stage, partition, &Found::default(), from);
            let begins_at = if role == Role::Ingest { from } else { 0 };
            return Ok((replay.context("beginning")?, Range { partition, begins_at, from, to }));
        }
        let found = self.newest(role, &stage, partition)?;
        let Some(begins_at) = found.chain.last().map(|newest| newest.head.offset) else {
            return Err(anyhow::anyhow!(
                "{partition} begins at offset {}, and there is no checkpoint to begin with: nothing can be said of it",
                standing.first
            )
            .into());
        };
        let from = from.unwrap_or(begins_at);
        if from < begins_at {
            return Err(CliError::Usage(format!(
                "{partition}: the newest checkpoint is at offset {begins_at}, and what lies before it cannot be folded again"
            )));
        }
        let replay = Replay::new(stage, partition, &found, from).context("putting a checkpoint back")?;
        Ok((replay, Range { partition, begins_at, from, to }))
    }

    /// The newest chain of checkpoints of a task that this stage can use.
    pub(super) fn newest<S: Stage>(
        &self,
        role: Role,
        stage: &S,
        partition: TopicPartition,
    ) -> Result<Found, CliError> {
        let names = self.topology.names();
        let (task, shape) = (stage.source_of(partition), stage.shape());
        Ok(newest(&self.place, &group_of(&self.config, role), names, task, shape)
            .context("looking for checkpoints")?)
    }

    /// Hands the records of a partition in `[from, to)` to `each`.
    pub(super) fn read(
        &self,
        partition: TopicPartition,
        (from, to): (Offset, Offset),
        mut each: impl FnMut(&Fetched) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let reading = || format!("reading {partition}");
        let mut reader =
            PartitionReader::new(&self.client, partition.topic, Some(partition.partition), Some(from))
                .with_context(reading)?;
        while let Some(fetched) = reader.next_record().with_context(reading)? {
            if fetched.offset >= to {
                break;
            }
            self.progress.set_message(format!("{partition} @{}", fetched.offset));
            self.progress.inc(1);
            each(&fetched)?;
        }
        Ok(())
    }

    /// Folds a range again. `keep` is given each public record with its id.
    pub(super) fn fold_again<S: Stage>(
        &self,
        mut replay: Replay<S>,
        range: Range,
        made: &mut Made,
        mut keep: impl FnMut(&Append) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let source = self.topology.source(range.partition);
        self.read(range.partition, (range.begins_at, range.to), |fetched| {
            replay.fold(fetched).with_context(|| {
                format!(
                    "folding {}: only what this version and configuration wrote can be judged (--from-checkpoint judges \
                     what came after the newest checkpoint)",
                    range.partition
                )
            })?;
            for append in replay.take_public() {
                keep(&append)?;
                made.add(&append, &self.topology)?;
            }
            let events = replay.take_events(|destination, position, bytes| {
                made.events.entry((source, destination)).or_default().push((position, xxh3_64(bytes)));
            });
            Ok(events.context("cutting events up")?)
        })
    }

    /// Compares what was made for the next log with what its readers admit.
    pub(super) fn compare_events(
        &self,
        log: Topic,
        ranges: &[Range],
        made: &Made,
        report: &mut Report,
    ) -> Result<(), CliError> {
        let range_of: BTreeMap<SourceId, Range> =
            ranges.iter().map(|range| (self.topology.source(range.partition), *range)).collect();
        let (mut compared, mut refused) = (0_u64, 0_u64);
        for standing in self.standings(Role::Keyed, &[log])? {
            let partition = standing.partition;
            let (number, is_cut) = (partition.partition, standing.first > 0);
            let mut cursors = BTreeMap::<SourceId, usize>::new();
            let mut admitted = Admitted::new(log, is_cut);
            self.read(partition, (0, Offset::MAX), |fetched| {
                let value = fetched.record.value.as_deref().unwrap_or_default();
                let outcome = admitted.fold(value, |_, source, position, bytes| {
                    let Some(range) = range_of.get(&source) else { return };
                    if position.offset < range.from || position.offset >= range.to {
                        return;
                    }
                    let made = made.events.get(&(source, number)).map_or(&[][..], Vec::as_slice);
                    let cursor = cursors.entry(source).or_insert_with(|| {
                        // of a log whose beginning is gone nothing is said before its first event
                        if is_cut { made.partition_point(|(at, _)| *at < position) } else { 0 }
                    });
                    let name = || format!("{} {position} in {partition}", range.partition);
                    while made.get(*cursor).is_some_and(|(at, _)| *at < position) {
                        let lost = made.get(*cursor).map_or(position, |(at, _)| *at);
                        report.wrong(|| format!("missing: event {} {lost} in {partition}", range.partition));
                        *cursor += 1;
                    }
                    match made.get(*cursor) {
                        Some((at, sum)) if *at == position => {
                            *cursor += 1;
                            if *sum == xxh3_64(bytes) {
                                compared += 1;
                            } else {
                                report.wrong(|| format!("differs: event {}", name()));
                            }
                        }
                        _ => report
                            .wrong(|| format!("appended, and the log does not give it: event {}", name())),
                    }
                });
                refused +=
                    outcome.with_context(|| format!("reading {partition} at offset {}", fetched.offset))?;
                Ok(())
            })?;
            for ((source, _), made) in made.events.iter().filter(|((_, at), _)| *at == number) {
                let unseen = if is_cut { made.len() } else { 0 };
                let seen = cursors.get(source).copied().unwrap_or(unseen);
                for (lost, _) in made.iter().skip(seen) {
                    let from = range_of.get(source).map_or(partition, |range| range.partition);
                    report.wrong(|| format!("missing: event {from} {lost} in {partition}"));
                }
            }
        }
        report.lines.push(format!("{log}: {compared} events once and as made; {refused} frames refused"));
        Ok(())
    }

    /// Compares what was made for `topic` with what a reader of committed records sees there.
    pub(super) fn compare_public(
        &self,
        topic: Topic,
        ranges: &[Range],
        made: &mut Made,
        report: &mut Report,
    ) -> Result<(), CliError> {
        let short = |range: &Range| self.topology.source(range.partition).short_topic();
        let range_of: BTreeMap<(u32, u32), Range> =
            ranges.iter().map(|range| ((short(range), range.partition.partition), *range)).collect();
        // of each source, the first that is still in a partition whose beginning is gone
        let mut kept_from = BTreeMap::<((u32, u32), u32), Offset>::new();
        let mut latest = BTreeMap::<u64, RecordId>::new();
        let (mut compared, mut doubled) = (0_u64, 0_u64);
        let standings = self.standings(Role::Ingest, &[topic])?;
        let cut: Vec<bool> = standings.iter().map(|standing| standing.first > 0).collect();
        for standing in standings {
            let partition = standing.partition;
            self.read(partition, (0, Offset::MAX), |fetched| {
                let Some(id) = id_of(&fetched.record) else {
                    report.wrong(|| format!("{partition} @{}: it has no ce_id", fetched.offset));
                    return Ok(());
                };
                let source = (id.topic, id.partition);
                if standing.first > 0 {
                    kept_from.entry((source, partition.partition)).or_insert(id.offset);
                }
                if range_of.get(&source).is_none_or(|range| id.offset < range.from || id.offset >= range.to) {
                    return Ok(());
                }
                let Some(published) = made.public.get_mut(&(topic, id)) else {
                    report.wrong(|| format!("published, and the log does not give it: {topic} {id}"));
                    return Ok(());
                };
                published.seen += 1;
                doubled += u64::from(published.seen > 1);
                if published.seen > 1 && self.config.exactly_once.contains(&topic) {
                    report.wrong(|| format!("twice: {topic} {id}, at {partition} @{}", fetched.offset));
                }
                if published.bytes == bytes_of(fetched.record.key.as_deref(), fetched.record.value.as_deref())
                {
                    compared += u64::from(published.seen == 1);
                } else {
                    report.wrong(|| format!("differs: {topic} {id}, at {partition} @{}", fetched.offset));
                }
                let last = latest.entry(published.key).or_insert(id);
                *last = id.max(*last);
                Ok(())
            })?;
        }
        let is_compacted = topic == Topic::FeaturesSession;
        let mut expired = 0_u64;
        for ((_, id), published) in
            made.public.iter().filter(|((of, _), made)| *of == topic && made.seen == 0)
        {
            let is_cut = match published.partition {
                Some(number) => {
                    let first = kept_from.get(&((id.topic, id.partition), number));
                    let is_cut = cut.get(number as usize).is_some_and(|is_cut| *is_cut);
                    is_cut && first.is_none_or(|first| id.offset <= *first)
                }
                None => cut.contains(&true),
            };
            let is_superseded = is_compacted && latest.get(&published.key).is_some_and(|last| last > id);
            if is_cut || is_superseded {
                expired += 1;
            } else {
                report.wrong(|| format!("missing: {topic} {id}"));
            }
        }
        let mut line = format!("{topic}: {compared} records as made, {doubled} of them again");
        if expired > 0 {
            line.push_str(&format!("; {expired} are gone by retention or compaction"));
        }
        report.lines.push(line);
        Ok(())
    }
}

impl Made {
    /// Takes over what `other` made, of other partitions.
    pub(super) fn append(&mut self, mut other: Made) {
        self.public.append(&mut other.public);
        self.events.append(&mut other.events);
    }

    fn add(&mut self, append: &Append, topology: &Topology) -> Result<(), CliError> {
        let record = LogRecord { headers: append.headers.clone(), ..LogRecord::default() };
        let id = id_of(&record).context("a public record without ce_id: a bug")?;
        let key = append.key.as_deref();
        let bytes = bytes_of(key, append.value.as_deref());
        let partitions = topology.partitions(append.destination.topic());
        let partition = key.map(|key| partition_of_key(key, partitions));
        let published = Published { partition, bytes, key: xxh3_64(key.unwrap_or_default()), seen: 0 };
        self.public.insert((append.destination.topic(), id), published);
        Ok(())
    }
}

/// The `ce_id` of a public record.
pub(super) fn id_of(record: &LogRecord) -> Option<RecordId> {
    if let crate::log::Headers::CloudEvent { id, .. } = &record.headers {
        return Some(*id);
    }
    let headers = record.headers.spelled_out("");
    let (_, id) = headers.iter().find(|(name, _)| name == "ce_id")?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

fn bytes_of(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    let mut bytes = (key.map_or(0, <[u8]>::len) as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(key.unwrap_or_default());
    bytes.push(u8::from(value.is_some()));
    bytes.extend_from_slice(value.unwrap_or_default());
    xxh3_64(&bytes)
}
