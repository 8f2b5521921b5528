//! `tillstream generate`: seeded traffic.

use super::run::{client_settings, look_up};
use super::{CliError, ConfigFile, is_watched, say};
use crate::generate::{Change, GenerateSettings, GeneratedRecord, Generator, RawTopic, write_line};
use crate::log::kafka::KafkaFeed;
use crate::log::{Headers, Topic};
use crate::time::{Clock, EventTime, SystemClock};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Generates seeded retail traffic: clicks, payments, labels, orders, tills, logins and changes of the catalogue, with planted
/// patterns (card testing, a bot), some of it out of order, late, twice or broken. The same seed gives the same bytes. The truth about what was planted goes to FILE.truth.jsonl.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream generate --seed 7 --events 100000 --out day.jsonl
  tillstream generate --events 3600000 --events-per-second 2 --drift unit:at=15d,segment=channel=store --out weeks.jsonl
  tillstream generate --events 300000 --kafka --config shop.yaml --per-second 5000")]
pub(super) struct Generate {
    /// Decides everything.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many records; the catalogue, which comes first, is not counted.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// The file to write; `-` is standard output (without the truth).
    #[arg(long, value_name = "FILE", required_unless_present = "kafka", conflicts_with = "kafka")]
    out: Option<PathBuf>,
    /// Produce to the raw topics instead.
    #[arg(long)]
    kafka: bool,
    /// The share of payments of which a label says, 5 to 60 minutes later, what they were: from 0 (no labels) to 1.
    /// Those of planted card testers are all labelled.
    #[arg(long, default_value_t = 0.3, value_name = "SHARE")]
    labelled: f64,
    /// Event time at which the traffic begins. To a file: Monday, 2026-01-05. To Kafka: a day ago, for
    /// a broker deletes records that are older than a topic's retention, and refuses those from the future.
    #[arg(long, value_name = "TIME")]
    start: Option<jiff::Timestamp>,
    /// With --kafka: records per second; as fast as possible if not given.
    #[arg(long, value_name = "N", requires = "kafka", value_parser = clap::value_parser!(u32).range(1..))]
    per_second: Option<u32>,
    /// With --kafka: where to write the truth.
    #[arg(long, value_name = "FILE", requires = "kafka")]
    truth: Option<PathBuf>,
    /// Records per second of event time, on average over a week. With 2, a day is 172,800 records.
    #[arg(long, default_value_t = GenerateSettings::default().events_per_second, value_name = "N")]
    events_per_second: f64,
    /// The share of payments that are fraud without a planted pattern (large, by night, online); labelled like all.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    ordinary_fraud: f64,
    /// Somebody else's model of that name predicts of payments whether what was paid for comes back (topic `predictions`), and labels
    /// say what came of it.
    #[arg(long, value_name = "NAME")]
    foreign_model: Option<String>,
    /// Plant a change that is to be found. May be given several times. Of all kinds: `at=` a time after the start (15d, 36h) or
    /// a time, `for=` how long (till the end), `strength=` weak, middle, strong or a number, mostly `segment=` channel=, country= or
    /// store= and a value.
    /// unit: amounts of payments by a factor. missing: a `field=` of payments, in a share of them. categories: a `field=` of payments is
    /// another (`to=`), in a share of them. silent: a share of a topic (`source=`) does not come. price_level: all prices by a factor. fraud_moves: a share of
    /// ordinary fraud is elsewhere. fraud_rate: there is more of it, by a factor. intent: a share of carts no longer leads to the checkout.
    /// terminal: a share of the payments in stores is made with stolen cards at one terminal (labels tell). degrades: a share of the foreign model's scores is noise.
    #[arg(long, value_name = "KIND:KEY=VALUE,...", value_parser = Change::drift)]
    drift: Vec<Change>,
    /// Plant a change that is no drift, written in the same way. sale_day: a day of more traffic, by a factor, and lower prices. season:
    /// slowly more traffic, and more of it at tills. new_store: a store opens and has a share of the payments in stores.
    #[arg(long, value_name = "KIND:KEY=VALUE,...", value_parser = Change::honest)]
    honest: Vec<Change>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Generate {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let (seed, events, start) = (self.seed, self.events, self.start());
        let settings = GenerateSettings {
            seed,
            events,
            start,
            labelled: self.labelled,
            is_whole: true,
            events_per_second: self.events_per_second,
            ordinary_fraud: self.ordinary_fraud,
            foreign_model: self.foreign_model.clone(),
            changes: [&self.drift[..], &self.honest[..]].concat(),
            ..GenerateSettings::default()
        };
        settings.check().map_err(|fault| CliError::Usage(fault.to_string()))?;
        // how long the traffic is follows from chance as well: what begins this late will certainly not come
        let end = start.plus(Duration::from_secs_f64(2.0 * events as f64 / self.events_per_second));
        if let Some(late) = settings.changes.iter().position(|change| change.start(start) > end) {
            let text = format!("change {}: begins long after the traffic has ended", late + 1);
            return Err(CliError::Usage(text));
        }
        let mut generator = Generator::new(settings);
        match &self.out {
            Some(file) if file == Path::new("-") => {
                write_all(&mut generator, &mut std::io::stdout().lock(), self.events)?
            }
            Some(file) => {
                let opened = File::create(file).with_context(|| format!("writing {}", file.display()))?;
                write_all(&mut generator, &mut BufWriter::with_capacity(1 << 20, opened), self.events)?;
                let mut truth = file.clone().into_os_string();
                truth.push(".truth.jsonl");
                write_truth(&generator, Path::new(&truth))?;
            }
            None => {
                self.produce(&mut generator)?;
                if let Some(file) = &self.truth {
                    write_truth(&generator, file)?;
                }
            }
        }
        Ok(())
    }

    fn start(&self) -> EventTime {
        match self.start {
            Some(start) => EventTime(start.as_millisecond()),
            None if self.kafka => EventTime(SystemClock.now().0).minus(Duration::from_secs(86_400)),
            None => GenerateSettings::default().start,
        }
    }

    fn produce(&self, generator: &mut Generator) -> Result<(), CliError> {
        let config = self.config.load()?;
        let client = client_settings(&config);
        // a producer would wait for a broker without end and without a word
        look_up(&client, &Topic::RAW)?;
        let mut feed = KafkaFeed::new(&client).context("making a producer")?;
        let progress = progress_bar(self.events);
        let begun = crate::time::Stopwatch::start();
        for record in generator.catalogue() {
            send(&mut feed, record)?;
        }
        for (number, record) in generator.enumerate() {
            if let Some(per_second) = self.per_second {
                let due = Duration::from_secs_f64(number as f64 / f64::from(per_second));
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
            send(&mut feed, record)?;
            progress.inc(1);
        }
        feed.finish().context("producing")?;
        progress.finish_and_clear();
        say(&format!("{} records produced to {}", self.events, config.kafka.brokers));
        Ok(())
    }
}

fn send(feed: &mut KafkaFeed, record: GeneratedRecord) -> Result<(), CliError> {
    let GeneratedRecord { topic, timestamp_ms, source, key, value } = record;
    let headers = Headers::of_source(source);
    Ok(feed
        .send_with(topic_of(topic), timestamp_ms, key.as_bytes(), &value, &headers)
        .context("producing")?)
}

/// The topic of that name.
pub(super) fn topic_of(topic: RawTopic) -> Topic {
    Topic::from_name(topic.name()).expect("traffic goes to topics of ours")
}

fn write_all(generator: &mut Generator, out: &mut impl Write, events: u64) -> Result<(), CliError> {
    let progress = progress_bar(events);
    let mut line = Vec::new();
    let mut write = |record: &GeneratedRecord| {
        line.clear();
        write_line(record, &mut line);
        out.write_all(&line).context("writing events")
    };
    for record in generator.catalogue() {
        write(&record)?;
    }
    for record in generator {
        write(&record)?;
        progress.inc(1);
    }
    out.flush().context("writing events")?;
    progress.finish_and_clear();
    Ok(())
}

fn write_truth(generator: &Generator, file: &Path) -> Result<(), CliError> {
    let opened = File::create(file).with_context(|| format!("writing {}", file.display()))?;
    let mut out = BufWriter::new(opened);
    for truth in generator.truth() {
        serde_json::to_writer(&mut out, truth).context("writing the truth")?;
        out.write_all(b"\n").context("writing the truth")?;
    }
    out.flush().context("writing the truth")?;
    Ok(())
}

fn progress_bar(events: u64) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}");
    ProgressBar::new(events).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
