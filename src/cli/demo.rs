//! `tillstream demo`: the whole engine on generated traffic, live on the terminal.

mod found;
mod learned;
mod page;
mod shown;
mod tally;

use super::generate::topic_of;
use super::{CliError, ConfigFile, is_watched, say, start_logging};
use crate::config::MODEL_OF_THE_PROGRAM;
use crate::engine::process::Engine;
use crate::generate::{Change, GenerateSettings, GeneratedRecord, Generator, Truth};
use crate::log::{Destination, Headers, LogRecord};
use crate::time::{Clock, Stopwatch, SystemClock};
use anyhow::Context as _;
use found::Found;
use indicatif::{ProgressBar, ProgressStyle};
use learned::Learned;
use page::{Page, TOKEN};
use shown::Shown;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tally::Tally;

/// How long the engine works between two looks at the clock.
const TICK: Duration = Duration::from_millis(2);
const DAY_SECONDS: f64 = 86_400.0;
/// Whose predictions are watched beside our own: somebody else's model.
const FOREIGN_MODEL: &str = "returns";
/// The share of payments that is fraud without a pattern.
const ORDINARY_FRAUD: f64 = 0.01;
/// How often the summary is drawn.
const REDRAW: Duration = Duration::from_millis(250);

/// Plays four days of a shop at many times real speed through the whole engine in one process, without a
/// broker, and shows what it finds, on the terminal and on a page: card testers and bots are planted, and the truth about them is known.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream demo
  tillstream demo --duration 60s --rate 50000 --seed 7
  tillstream demo --stay --listen 127.0.0.1:9310")]
pub(super) struct Demo {
    /// How long.
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Events per second.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Decides the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many days of the shop are played in that time. The first half of them is learned from, before anything is told of drift.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    days: u32,
    /// Plant these changes of the traffic, as `tillstream generate --drift` takes them, in place of those that are planted otherwise: amounts of
    /// payments in stores in another unit, somebody else's model whose scores lose their sense, and a feature of it that goes missing.
    #[arg(long, value_name = "KIND:KEY=VALUE,...", value_parser = Change::drift)]
    drift: Vec<Change>,
    /// Plant no change.
    #[arg(long, conflicts_with = "drift")]
    no_drift: bool,
    /// Where the page is served; port 0 is one that is free.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Go on serving the page when all is played, until Ctrl-C.
    #[arg(long)]
    stay: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Demo {
    pub(super) fn execute(self) -> Result<(), CliError> {
        // so few days have labels enough to watch a model learn
        let learn = format!("{}h", self.days * 12);
        let config = self.config.load_with(|tree| {
            // it reads the views that come with the program
            if !tree.contains_key("features") {
                tree.entry("model").or_insert_with(|| MODEL_OF_THE_PROGRAM.into());
            }
            tree.entry("drift").or_insert_with(|| serde_json::json!({ "learn": learn }));
        })?;
        start_logging(config.log_format);
        let events = (self.duration.as_secs_f64() * f64::from(self.rate)).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive count of records"
        )]
        let events = events as u64;
        let settings = GenerateSettings {
            seed: self.seed,
            events,
            events_per_second: events as f64 / (DAY_SECONDS * f64::from(self.days)),
            labelled: 0.3,
            is_whole: true,
            ordinary_fraud: ORDINARY_FRAUD,
            foreign_model: Some(FOREIGN_MODEL.to_owned()),
            changes: self.changes(),
            ..GenerateSettings::default()
        };
        let mut generator = Generator::new(settings);
        let mut engine =
            Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
        let stopped = interrupted()?;
        let page = Page::open(&config, self.listen, &stopped)?;
        say(&format!("the page: http://{}/ (token `{TOKEN}`)", page.address));
        let mut audience = Audience {
            tally: Tally::default(),
            learned: config.fold.model.as_ref().map(|model| Learned::of(model.name())),
            shown: Shown::new(page.live.clone()),
            found: Found::default(),
        };
        let screen = screen(self.duration);
        let clock = Stopwatch::start();
        for record in generator.catalogue() {
            audience.shown.arrived(&record);
            feed(&mut engine, &mut audience.tally, record, Duration::ZERO);
        }
        let (mut produced, mut drawn, mut is_told) = (0_u64, Duration::ZERO, false);
        loop {
            let now = clock.elapsed();
            let due = now.min(self.duration).as_secs_f64() * f64::from(self.rate);
            while (produced as f64) < due {
                let Some(record) = generator.next() else { break };
                produced += 1;
                audience.shown.arrived(&record);
                feed(&mut engine, &mut audience.tally, record, clock.elapsed());
            }
            for (topic, record) in page.mailbox.take() {
                audience.shown.said(topic, &record);
                engine.append(&Destination::ByKey(topic), record);
            }
            engine.broker().borrow_mut().set_now(SystemClock.now());
            engine.until_quiet().context("running the stages")?;
            audience.hear(&mut engine, &clock);
            page.is_up_to_date();
            if now >= drawn + REDRAW {
                drawn = now;
                engine.trim();
                // once it is told, nothing changes any more
                if !is_told {
                    screen.set_position(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
                    screen.set_message(audience.tally.summary(&engine, generator.truth(), now));
                }
            }
            let is_played = now >= self.duration;
            if stopped.load(Ordering::Relaxed) || (is_played && !self.stay) {
                break;
            }
            if is_played && !is_told {
                is_told = true;
                screen.finish_and_clear();
                tell(&audience.report(&engine, generator.truth(), now))?;
                say("all is played; the page stays until Ctrl-C");
            }
            std::thread::sleep(TICK.saturating_sub(clock.elapsed().saturating_sub(now)));
        }
        let ran = clock.elapsed();
        engine.end_of_time().context("closing what is open")?;
        audience.hear(&mut engine, &clock);
        screen.finish_and_clear();
        if !is_told {
            tell(&audience.report(&engine, generator.truth(), ran))?;
        }
        if !engine.ledger().balances() {
            return Err(anyhow::anyhow!("the ledger does not balance").into());
        }
        Ok(())
    }
}

impl Demo {
    /// What is planted, each at its time: when half of the days and a quarter of the others are over.
    fn changes(&self) -> Vec<Change> {
        if self.no_drift || !self.drift.is_empty() {
            return self.drift.clone();
        }
        let at = |part: f64| (f64::from(self.days) * 24.0 * 60.0 * part).round();
        let planted = [
            format!("unit:at={}m,segment=channel=store", at(0.64)),
            format!("degrades:at={}m,strength=strong", at(0.7)),
            format!("missing:at={}m,source=predictions,field=returns_90d,strength=strong", at(0.8)),
        ];
        planted.iter().map(|text| Change::drift(text).expect("a change")).collect()
    }
}

/// Those who hear what is published, each for a part of the report.
struct Audience {
    tally: Tally,
    learned: Option<Learned>,
    shown: Shown,
    found: Found,
}

impl Audience {
    /// Everything that was published since the last time.
    fn hear(&mut self, engine: &mut Engine, clock: &Stopwatch) {
        engine.take_public(|partition, record| {
            self.tally.published(partition.topic, record, clock.elapsed());
            self.shown.published(partition, record);
            self.found.published(partition.topic, record);
            self.learned.iter_mut().for_each(|learned| learned.published(partition.topic, record));
        });
    }

    fn report(&self, engine: &Engine, truth: &[Truth], ran: Duration) -> String {
        let lines = self.learned.iter().flat_map(Learned::lines).chain(self.shown.lines());
        let lines: Vec<String> = lines.chain(self.found.lines(truth)).collect();
        self.tally.report(engine, truth, &lines, ran)
    }
}

/// Prints the report.
fn tell(report: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout();
    out.write_all(report.as_bytes()).and_then(|()| out.flush()).context("printing")?;
    Ok(())
}

/// Ctrl-C ends the demo with its report.
fn interrupted() -> Result<Arc<AtomicBool>, CliError> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
    let wait = move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            set.store(true, Ordering::Relaxed);
        }
    };
    std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(wait).context("starting a thread")?;
    Ok(flag)
}

fn feed(engine: &mut Engine, tally: &mut Tally, record: GeneratedRecord, now: Duration) {
    let GeneratedRecord { topic, timestamp_ms, source, key, value } = record;
    let topic = topic_of(topic);
    tally.produced(topic, &value, now);
    let record = LogRecord {
        key: Some(key.into_bytes()),
        value: Some(value),
        headers: Headers::of_source(source),
        timestamp_ms: Some(timestamp_ms),
    };
    engine.append(&Destination::ByKey(topic), record);
}

fn screen(duration: Duration) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:60}\n{msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
