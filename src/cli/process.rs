//! `tillstream process`: the whole engine over files.

use super::lines::record_of_line;
use super::{CliError, ConfigFile, is_watched, say};
use crate::codec::RejectReason;
use crate::engine::process::{Engine, EngineLedger};
use crate::event::EntityKind;
use crate::fraud::label::LabelEnd;
use crate::ledger::Disposition;
use crate::log::{Destination, LogRecord, Topic, TopicPartition};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Records between two rounds of the stages.
const RECORDS_PER_ROUND: usize = 1_000;
const BUFFER_BYTES: usize = 1 << 20;

/// Reads events line by line (envelopes or bare events, see docs/contracts.md), runs every stage over
/// them on a fixed schedule, each payment behind what stands before it in the file, and writes each public topic to DIR/<topic>.jsonl and the ledger to
/// DIR/ledger.json. Nothing goes to the feature log (`archive`). The same input gives the same bytes. Empty lines are nothing. A FILE that a result would
/// overwrite is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream process day.jsonl --out results
  cat monday.jsonl tuesday.jsonl | tillstream process - --out results --keep-open")]
pub(super) struct Process {
    /// Files of events; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder for the results; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave open sessions open: the end of the input is not the end of time.
    #[arg(long)]
    keep_open: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Process {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let config = self.config.load()?;
        let mut engine =
            Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
        refuse_to_overwrite(&self.files, &self.out)?;
        let inputs = self.files.iter().map(|file| open(file)).collect::<Result<Vec<_>, _>>()?;
        let mut results = Results::create(&self.out, &config.application)?;
        let progress = progress_bar(&self.files);
        let mut reader = Reader {
            engine: &mut engine,
            results: &mut results,
            progress: &progress,
            topic: None,
            waiting: 0,
            number: 0,
        };
        for (file, input) in self.files.iter().zip(inputs) {
            reader.read(file, input)?;
        }
        engine.round().context("running the stages")?;
        if !self.keep_open {
            engine.end_of_time().context("closing what is open")?;
        }
        results.take(&mut engine)?;
        progress.finish_and_clear();
        let ledger = engine.ledger();
        let dead_letters = results.finish(&ledger)?;
        say(&summary(&ledger, dead_letters));
        if !ledger.balances() {
            return Err(anyhow::anyhow!(
                "the ledger does not balance: see {}",
                self.out.join("ledger.json").display()
            )
            .into());
        }
        Ok(())
    }
}

/// What reads files into the engine, one after the other as if they were one.
struct Reader<'e> {
    engine: &'e mut Engine,
    results: &'e mut Results,
    progress: &'e ProgressBar,
    /// The topic of the record before.
    topic: Option<Topic>,
    /// Records since the last round.
    waiting: usize,
    /// Records so far.
    number: u64,
}

impl Reader<'_> {
    fn read(&mut self, file: &Path, mut reader: Box<dyn BufRead>) -> Result<(), CliError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes =
                reader.read_until(b'\n', &mut line).with_context(|| format!("reading {}", file.display()))?;
            if bytes == 0 {
                return Ok(());
            }
            self.progress.inc(bytes as u64);
            let event = line.strip_suffix(b"\n").unwrap_or(&line);
            // an empty line, with either line end, is nothing: not even a broken event
            if !matches!(event, b"" | b"\r") {
                let (topic, record) = record_of_line(event);
                self.take(topic, record)?;
            }
        }
    }

    fn take(&mut self, topic: Topic, record: LogRecord) -> Result<(), CliError> {
        // partitions have no order among each other, so where the topic changes what came before is folded: a payment counts
        // what stands before it in the file, and logins, labels and tills count for what follows them
        if self.topic.replace(topic) != Some(topic) {
            self.engine.fold().context("running ingest and keyed")?;
        }
        self.number += 1;
        if topic == Topic::Rules {
            // partitions of the decision log have no order among each other either
            self.engine.until_quiet().context("running the stages")?;
            append(self.engine, topic, record, self.number);
            self.engine.until_quiet().context("running the stages")?;
            return Ok(());
        }
        append(self.engine, topic, record, self.number);
        self.waiting += 1;
        if self.waiting == RECORDS_PER_ROUND {
            self.waiting = 0;
            self.engine.round().context("running the stages")?;
            self.results.take(self.engine)?;
        }
        Ok(())
    }
}

/// Keyless records go to the partitions in turn.
fn append(engine: &mut Engine, topic: Topic, record: LogRecord, number: u64) {
    let destination = if record.key.is_some() {
        Destination::ByKey(topic)
    } else {
        let partitions = engine.broker().borrow().partitions(topic);
        let turn = u32::try_from(number % u64::from(partitions)).expect("below the number of partitions");
        Destination::Partition(TopicPartition::new(topic, turn))
    };
    engine.append(&destination, record);
}

/// The files of the results, which are truncated before the first event is read.
fn results_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let topics = Topic::of_stages().map(|topic| format!("{topic}.jsonl"));
    topics.chain(["ledger.json".to_owned()]).map(|name| folder.join(name))
}

/// Compares device and inode: a result may be the same file as an input by another name.
fn refuse_to_overwrite(inputs: &[PathBuf], folder: &Path) -> Result<(), CliError> {
    let identity = |file: &Path| std::fs::metadata(file).ok().map(|file| (file.dev(), file.ino()));
    let results: Vec<_> = results_in(folder).filter_map(|file| Some((identity(&file)?, file))).collect();
    for input in inputs {
        let opened = if input == Path::new("-") { Path::new("/dev/stdin") } else { input };
        let input_identity = identity(opened);
        if let Some((_, result)) = results.iter().find(|(identity, _)| Some(*identity) == input_identity) {
            let (input, result) = (input.display(), result.display());
            return Err(CliError::Usage(format!("{input}: the results would overwrite it ({result})")));
        }
    }
    Ok(())
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, std::io::stdin())));
    }
    let opened = File::open(file).map_err(|fault| CliError::Usage(format!("{}: {fault}", file.display())))?;
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, opened)))
}

fn progress_bar(files: &[PathBuf]) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let bytes = files.iter().map(|file| std::fs::metadata(file).map_or(0, |file| file.len())).sum();
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The files of a run's public topics.
struct Results {
    folder: PathBuf,
    application: String,
    files: BTreeMap<Topic, BufWriter<File>>,
    dead_letters: u64,
}

impl Results {
    fn create(folder: &Path, application: &str) -> Result<Results, CliError> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut files = BTreeMap::new();
        for topic in Topic::of_stages() {
            let path = folder.join(format!("{topic}.jsonl"));
            let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
            files.insert(topic, BufWriter::with_capacity(BUFFER_BYTES, file));
        }
        Ok(Results { folder: folder.to_owned(), application: application.to_owned(), files, dead_letters: 0 })
    }

    /// Writes what was published since the last call.
    fn take(&mut self, engine: &mut Engine) -> Result<(), CliError> {
        let mut outcome = Ok(());
        engine.take_public(|partition, record| {
            let file = self.files.get_mut(&partition.topic).expect("every public topic has its file");
            self.dead_letters += u64::from(partition.topic == Topic::DeadLetter);
            if outcome.is_ok() {
                outcome = write_record(file, record, &self.application);
            }
        });
        Ok(outcome.with_context(|| format!("writing to {}", self.folder.display()))?)
    }

    /// Returns how many dead letters there are, of records that were refused and of labels and rules that nothing took.
    fn finish(mut self, ledger: &EngineLedger) -> Result<u64, CliError> {
        for file in self.files.values_mut() {
            file.flush().with_context(|| format!("writing to {}", self.folder.display()))?;
        }
        let path = self.folder.join("ledger.json");
        let json =
            serde_json::to_string_pretty(&ledger_json(ledger)).context("writing the ledger as JSON")?;
        std::fs::write(&path, json + "\n").with_context(|| format!("writing {}", path.display()))?;
        Ok(self.dead_letters)
    }
}

/// One record as a line: key, headers, value. A value that is no UTF-8 is written as an array of bytes.
pub(super) fn write_record(
    file: &mut impl Write,
    record: &LogRecord,
    application: &str,
) -> std::io::Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: serde_json::Map<String, serde_json::Value> = record
        .headers
        .spelled_out(application)
        .into_iter()
        .map(|(name, value)| (name, text(&value).into()))
        .collect();
    file.write_all(b"{\"key\":")?;
    serde_json::to_writer(&mut *file, &record.key.as_deref().map(text))?;
    file.write_all(b",\"headers\":")?;
    serde_json::to_writer(&mut *file, &headers)?;
    file.write_all(b",\"value\":")?;
    let verbatim = matches!(record.headers, crate::log::Headers::CloudEvent { .. });
    match record.value.as_deref() {
        Some(json) if verbatim => file.write_all(json)?,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::to_writer(&mut *file, text)?,
            Err(_) => serde_json::to_writer(&mut *file, bytes)?,
        },
        None => file.write_all(b"null")?,
    }
    file.write_all(b"}\n")
}

fn ledger_json(ledger: &EngineLedger) -> serde_json::Value {
    let ingest = &ledger.ingest;
    let reasons: BTreeMap<_, _> = RejectReason::ALL
        .iter()
        .zip(ingest.dead_lettered)
        .map(|(reason, count)| (reason.name(), count))
        .collect();
    let kinds: BTreeMap<_, _> = EntityKind::ALL
        .into_iter()
        .map(|kind| {
            let mut counts: BTreeMap<&str, u64> =
                Disposition::ALL.into_iter().map(|end| (end.name(), ledger.keyed.ended(kind, end))).collect();
            counts.insert("copies", ledger.copies(kind));
            (kind.name(), counts)
        })
        .collect();
    serde_json::json!({
        "records": ingest.records,
        "routed": ingest.routed,
        "dead_lettered": reasons,
        "clamped": ingest.clamped,
        "unknown_fields": ingest.unknown_fields,
        "unknown_names": ingest.unknown_names,
        "linked": ledger.linked.records,
        "copies": kinds,
        "decisions": {
            "whole": ledger.decisions.whole,
            "without_parts": ledger.decisions.without_parts,
            "open": ledger.decisions.open,
            "foreign_parts": ledger.decisions.foreign_parts,
            "repeated_parts": ledger.decisions.repeated_parts,
            "late_parts": ledger.decisions.late_parts,
        },
        "labels": {
            "ended": LabelEnd::ALL.map(|end| (end.name(), ledger.labels.ended(end))).into_iter().collect::<BTreeMap<_, _>>(),
            "parked": ledger.labels.parked,
            "unlabelled_decisions": ledger.labels.unlabelled,
        },
        "predictions": ledger.predictions,
        "balances": ledger.balances(),
    })
}

fn summary(ledger: &EngineLedger, dead_letters: u64) -> String {
    let ingest = &ledger.ingest;
    format!(
        "{} records: {} routed, {} refused; {} payments scored, {dead_letters} dead letters; the ledger {}",
        ingest.records,
        ingest.routed,
        ingest.dead_lettered_total(),
        ledger.decisions.whole + ledger.decisions.without_parts,
        if ledger.balances() { "balances" } else { "DOES NOT BALANCE" }
    )
}
