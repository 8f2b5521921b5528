//! The monitor stage: the monitor log to what is known of models. A task judges scores day by day as labels become known, and
//! publishes what it has found once an hour of event time; and it learns the model, whose weights go back into every
//! partition of the decision log.

mod checkpoint;
mod learning;

use self::learning::Learning;
use super::inbound;
use super::outputs::Outputs;
use super::settings::{FoldSettings, Topology, shape};
use super::stage::{FoldError, Stage};
use crate::alert::{Episodes, OF_A_TOPIC};
use crate::event::DecisionEvent;
use crate::event::alert::{Alert, AlertCommand, AlertKind, Change};
use crate::event::entity::partition_of;
use crate::event::monitor::{FRAUD, LabelledDecision, MODEL_SCORE, MonitorEvent, SCORE, SHOP, monitor_hash};
use crate::feature::Aggregate;
use crate::log::frame::{FoldVersion, Frame, FrameError, Item, Promise, SourceId};
use crate::log::position::Offset;
use crate::log::{Fetched, Start, Topic, TopicPartition};
use crate::monitor::business::ShopMinutes;
use crate::monitor::concept::{Concept, Decided};
use crate::monitor::drift::{Fields, Follows, Judged, WindowScores, Windows};
use crate::monitor::expected::Expected;
use crate::monitor::pattern::Patterns;
use crate::monitor::quality::{Day, day_of, end_of};
use crate::monitor::volume::VolumeWatch;
use crate::progress::sources::{Admission, Refusal, Sources};
use crate::state::Tracking;
use crate::time::EventTime;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const HOUR_MS: i64 = 3_600_000;
/// Scores of so many names are watched: those of models elsewhere come from outside.
const MODELS_MAX: usize = 100;

/// The monitor stage.
#[derive(Debug, Clone)]
pub struct Monitor {
    settings: Arc<FoldSettings>,
    topology: Arc<Topology>,
    fold: FoldVersion,
    /// Rules and models by the feature that they read.
    readers: BTreeMap<String, Vec<String>>,
}

/// The state of one partition of the monitor log.
#[derive(Debug, Clone, Default)]
pub struct MonitorTask {
    /// The sources and the watermark.
    pub sources: Sources,
    /// Frames refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Labelled scores of models beyond those that are watched.
    pub unwatched: u64,
    /// Labelled scores that counted.
    pub judged: u64,
    /// Of these, those whose day was final already: learned from, and judged no more.
    pub after_the_end: u64,
    /// Labelled scores that the watermark has not reached: by when the label was known, then as they came.
    ahead: BTreeMap<EventTime, Vec<LabelledDecision<'static>>>,
    /// By name of the score and day of the payment, until no label is waited for any longer.
    days: BTreeMap<(Cow<'static, str>, i64), Day>,
    /// How good scores are expected to be, by name of the score.
    expected: BTreeMap<Cow<'static, str>, Expected>,
    /// What the model has learned.
    learning: Option<Learning>,
    /// The hour of event time of the last publication.
    published: Option<i64>,
    /// Whether scores and outcomes go together as they did, by name of the score.
    concepts: BTreeMap<Cow<'static, str>, Concept>,
    /// How many records come, and should.
    pub volumes: VolumeWatch,
    /// What the shop did, by minute.
    pub minutes: ShopMinutes,
    /// What rules react to, by entity.
    pub patterns: Patterns,
    /// What values look like, and should.
    pub windows: Windows,
    /// What is not as it should be.
    pub episodes: Episodes,
}

impl MonitorTask {
    /// The version of the model's weights that went out last, and from how many labels it has learned.
    #[must_use]
    pub fn model(&self) -> Option<(u32, u64)> {
        self.learning.as_ref().map(|learning| (learning.version, learning.labels))
    }

    /// A time at which something was said, as it is in the log that is folded: whoever says something of last year's says it by a clock of
    /// today. Before anything has come it is the beginning of time.
    fn by_now(&self, time: EventTime) -> EventTime {
        time.min(self.sources.watermark().unwrap_or_default())
    }

    /// Labelled scores that wait for the watermark to reach the time at which their label was known.
    #[must_use]
    pub fn ahead(&self) -> usize {
        self.ahead.values().map(Vec::len).sum()
    }

    /// Days that labels are still waited for.
    #[must_use]
    pub fn open_days(&self) -> usize {
        self.days.len()
    }

    /// Whether two tasks are in the same state.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &MonitorTask) -> bool {
        self.sources == other.sources
            && self.refused == other.refused
            && self.judged == other.judged
            && self.unwatched == other.unwatched
            && self.after_the_end == other.after_the_end
            && self.ahead == other.ahead
            && self.days == other.days
            && self.expected == other.expected
            && self.published == other.published
            && self.learning == other.learning
            && self.concepts == other.concepts
            && self.windows == other.windows
            && self.volumes == other.volumes
            && self.minutes == other.minutes
            && self.patterns == other.patterns
            && self.episodes == other.episodes
    }
}

impl Monitor {
    /// Over these topics.
    #[must_use]
    pub fn new(settings: Arc<FoldSettings>, topology: Arc<Topology>) -> Monitor {
        let fold = settings.fold_version(&topology);
        let readers = readers(&settings);
        Monitor { settings, topology, fold, readers }
    }

    fn fold_frame(
        &self,
        task: &mut MonitorTask,
        frame: &Frame<'_>,
        fold: FoldVersion,
        out: &mut Outputs,
    ) -> Result<(), FrameError> {
        match task.sources.admit(frame, fold) {
            Admission::Refused(refusal) => *task.refused.entry(refusal).or_default() += 1,
            Admission::Above(applied) => {
                for event in frame.events::<MonitorEvent<'_>>() {
                    let (position, event) = event?;
                    if position > applied {
                        self.take(task, event, out);
                    }
                }
                task.sources.applied(frame, fold);
                self.judge_known(task);
                let hour_has_begun = self.publish(task, out);
                self.send_weights(task, hour_has_begun, out);
                if hour_has_begun {
                    self.look_at_concepts(task, out);
                }
                self.judge_windows(task, out);
                if hour_has_begun {
                    self.publish_expected(task, out);
                }
            }
        }
        Ok(())
    }

    fn take(&self, task: &mut MonitorTask, event: MonitorEvent<'_>, out: &mut Outputs) {
        match event {
            MonitorEvent::Labelled(labelled) => {
                task.ahead.entry(labelled.known_at).or_default().push(labelled.into_owned());
            }
            MonitorEvent::Profile(profile) => task.windows.take(profile),
            MonitorEvent::Volume(volume) => task.volumes.take(volume),
            MonitorEvent::Minute(part) => task.minutes.take(&part),
            MonitorEvent::Suspect(suspect) => {
                if let Some(alert) = task.patterns.take(&suspect, &mut task.episodes) {
                    publish_alert(&alert, out);
                }
            }
            MonitorEvent::Command(mut command) => {
                command.time = task.by_now(command.time);
                self.obey(task, &command, out);
            }
            MonitorEvent::Changed(change) => task.episodes.changed(change),
            MonitorEvent::Announced(mut said) => {
                said.time = task.by_now(said.time);
                task.episodes.announce(&said);
            }
        }
    }

    /// Somebody has said something of an episode.
    fn obey(&self, task: &mut MonitorTask, command: &AlertCommand, out: &mut Outputs) {
        if let Some(about) = task.episodes.about(&command.fingerprint).cloned() {
            match about.kind {
                AlertKind::ConceptDrift => {
                    task.concepts
                        .get_mut(&*about.subject)
                        .into_iter()
                        .for_each(|concept| concept.command(command));
                }
                AlertKind::Volume => task.volumes.command(&about, command),
                AlertKind::Business => task.minutes.command(&about, command),
                AlertKind::FraudPattern => task.patterns.command(&about, command),
                AlertKind::DataDrift => task.windows.command(&about, command, &self.settings.drift),
            }
        }
        if let Some(alert) = task.episodes.command(command) {
            publish_alert(&alert, out);
        }
    }

    /// Says what is known of scores and outcomes by the hour that has begun.
    fn look_at_concepts(&self, task: &mut MonitorTask, out: &mut Outputs) {
        let Some(hour) = task.published else { return };
        let at = EventTime(hour.saturating_mul(HOUR_MS));
        let (drift, windows) = (&self.settings.drift, &task.windows);
        for (name, concept) in &mut task.concepts {
            let since = |since| windows.came_since(name, since, drift);
            let decided = Decided { since: &since, by: self.makers(name) };
            if let Some(alert) = concept.look(name, at, decided, drift, &mut task.episodes) {
                publish_alert(&alert, out);
            }
        }
    }

    /// What a score is made of.
    fn makers(&self, score: &str) -> Vec<String> {
        if score != FRAUD {
            return vec![format!("model {score}")];
        }
        let model = self.settings.model.iter().map(|model| format!("model {}", model.name()));
        model.chain(std::iter::once("rules".to_owned())).collect()
    }

    /// Judges the windows that are over, and publishes the minutes.
    fn judge_windows(&self, task: &mut MonitorTask, out: &mut Outputs) {
        let Some(watermark) = task.sources.watermark() else { return };
        let drift = &self.settings.drift;
        let Judged { mut alerts, windows, scores } =
            task.windows.judge(watermark, drift, &mut task.episodes, self);
        for window in &windows {
            let key = format!("{}/{}", window.stream, window.feature);
            out.publish(Topic::DriftFeatures, "tillstream.feature_window.v1", &key, window);
        }
        scores.iter().for_each(|scores| self.expect(task, scores));
        let volumes = task.volumes.judge(watermark, drift, &mut task.episodes);
        volumes.iter().filter(|alert| alert.revision == 1).for_each(|alert| self.tell_of(alert, out));
        alerts.extend(volumes);
        alerts.extend(task.patterns.judge(watermark, &mut task.episodes));
        for minute in task.minutes.close(watermark, drift, &mut task.episodes, &mut alerts) {
            out.publish(
                Topic::BusinessMinutes,
                "tillstream.business_minute.v1",
                &minute.key(),
                &minute.record(),
            );
        }
        alerts.iter().for_each(|alert| publish_alert(alert, out));
    }

    /// Takes note of the scores of a window, of which it is not known yet what they were about.
    fn expect(&self, task: &mut MonitorTask, scores: &WindowScores) {
        let name = match (&*scores.stream, scores.field) {
            (FRAUD, SCORE) => Cow::Borrowed(FRAUD),
            (FRAUD, MODEL_SCORE) => match &self.settings.model {
                Some(model) => Cow::Owned(model.name().to_owned()),
                None => return,
            },
            (elsewhere, SCORE) => Cow::Owned(elsewhere.to_owned()),
            _ => return,
        };
        task.expected.entry(name).or_default().scored(scores.start, &scores.scores);
    }

    /// That far more or fewer records of a topic come may be why of alerts about anything, which stand elsewhere.
    fn tell_of(&self, volume: &Alert, out: &mut Outputs) {
        let topic = volume.subject.split(' ').next().unwrap_or_default();
        let (kind, what) = (OF_A_TOPIC.into(), volume.title.as_str().into());
        let change = Change { kind, subject: topic.into(), what, at: volume.since_ms };
        let partition = partition_of(monitor_hash(SHOP), self.topology.partitions(Topic::Decision));
        out.event(partition, &DecisionEvent::Changed(change));
    }

    /// Publishes the days that have changed, if an hour has begun since, and ends those no label is waited for any longer.
    /// Returns whether an hour has begun.
    fn publish(&self, task: &mut MonitorTask, out: &mut Outputs) -> bool {
        let Some(watermark) = task.sources.watermark() else { return false };
        let hour = watermark.0.div_euclid(HOUR_MS);
        if task.published.is_some_and(|published| published >= hour) {
            return false;
        }
        task.published = Some(hour);
        let as_of = EventTime(hour.saturating_mul(HOUR_MS));
        task.days.retain(|(score, day), quality| {
            let is_final = self.is_over(*day, hour);
            if let Some(record) = quality.publish(score, *day, as_of, is_final) {
                out.publish(Topic::QualityFraud, "tillstream.score_quality.v1", score, &record);
            }
            !is_final
        });
        true
    }

    /// Publishes how good scores are expected to be by the hour that has begun, those of the windows that are over with it among them.
    fn publish_expected(&self, task: &mut MonitorTask, out: &mut Outputs) {
        let Some(hour) = task.published else { return };
        let as_of = EventTime(hour.saturating_mul(HOUR_MS));
        for (score, expected) in &mut task.expected {
            for record in expected.publish(score, as_of, |day| self.is_over(day, hour)) {
                out.publish(Topic::QualityExpected, "tillstream.expected_quality.v1", score, &record);
            }
        }
    }

    /// Takes into account what was known by the watermark, which is that of every partition of the decision log: each has
    /// scored what came before with weights that did not know it yet.
    fn judge_known(&self, task: &mut MonitorTask) {
        let Some(watermark) = task.sources.watermark() else { return };
        while let Some(known) = task.ahead.first_entry().filter(|first| *first.key() <= watermark) {
            known.remove().iter().for_each(|labelled| self.judge(task, labelled));
        }
    }

    /// Judges the score that decided and the model's own, then learns from the label. A model elsewhere is only judged.
    fn judge(&self, task: &mut MonitorTask, labelled: &LabelledDecision<'_>) {
        let of: Cow<'static, str> = match &*labelled.of {
            FRAUD => Cow::Borrowed(FRAUD),
            elsewhere if task.concepts.len() >= MODELS_MAX && !task.concepts.contains_key(elsewhere) => {
                task.unwatched += 1;
                return;
            }
            elsewhere => Cow::Owned(elsewhere.to_owned()),
        };
        task.judged += 1;
        let day = day_of(labelled.time);
        let drift = &self.settings.drift;
        // what was decided while an announced change lasted was decided about others than usual
        let is_usual = !task.episodes.announced().has(labelled.time);
        let concept = task.concepts.entry(of.clone()).or_default();
        if is_usual {
            concept.take(labelled, drift);
        }
        let is_open = !task.published.is_some_and(|hour| self.is_over(day, hour));
        let is_positive = labelled.outcome.is_positive();
        let expected = task.expected.entry(of.clone()).or_default();
        expected.labelled(day, labelled.score, is_positive, is_open);
        if is_open {
            task.days.entry((of, day)).or_default().add(labelled);
        } else {
            task.after_the_end += 1;
        }
        if labelled.of != FRAUD {
            return;
        }
        let Some(model) = &self.settings.model else { return };
        let said = labelled.model.as_ref().filter(|input| input.model == model.hash());
        if let Some(score) = said.and_then(|input| input.score) {
            let of_model = LabelledDecision { score, model: None, ..labelled.clone() };
            if is_usual {
                let concept = task.concepts.entry(Cow::Owned(model.name().to_owned())).or_default();
                concept.take_score(&of_model, drift);
            }
            let expected = task.expected.entry(Cow::Owned(model.name().to_owned())).or_default();
            expected.labelled(day, score, is_positive, is_open);
            if is_open {
                task.days.entry((Cow::Owned(model.name().to_owned()), day)).or_default().add(&of_model);
            }
        }
        let learning = task.learning.take().filter(|learning| learning.is_of(model));
        task.learning.insert(learning.unwrap_or_else(|| Learning::new(model))).learn(labelled);
    }

    /// Whether no label of a day is waited for any longer when an hour of event time has begun.
    fn is_over(&self, day: i64, hour: i64) -> bool {
        end_of(day).plus(self.settings.label_horizon) <= EventTime(hour.saturating_mul(HOUR_MS))
    }

    fn send_weights(&self, task: &mut MonitorTask, hour_has_begun: bool, out: &mut Outputs) {
        let (Some(model), Some(learning)) = (&self.settings.model, &mut task.learning) else { return };
        if learning.is_of(model) && learning.is_due(model, hour_has_begun) {
            learning.send(self.topology.partitions(Topic::Decision), out);
        }
    }
}

/// Rules and models by what they read.
fn readers(settings: &FoldSettings) -> BTreeMap<String, Vec<String>> {
    let mut readers = BTreeMap::<String, Vec<String>>::new();
    let mut read = |name: &str, by: String| readers.entry(name.to_owned()).or_default().push(by);
    settings.rules.reads().for_each(|(rule, name)| read(name, format!("rule {rule}")));
    if let Some(model) = &settings.model {
        model.inputs().for_each(|name| read(name, format!("model {}", model.name())));
    }
    readers
}

impl Fields for Monitor {
    fn readers(&self, stream: &str, name: &str) -> Vec<String> {
        if stream != FRAUD {
            return vec![format!("model {stream}")];
        }
        self.readers.get(name).cloned().unwrap_or_default()
    }

    fn looks_back(&self, stream: &str, name: &str) -> Duration {
        let window = || self.settings.plan.window_of(name);
        (stream == FRAUD).then(window).flatten().unwrap_or_default()
    }

    fn follows(&self, stream: &str, name: &str) -> Follows {
        let feature = self.settings.plan.feature(name).filter(|_| stream == FRAUD);
        match feature.map(|feature| feature.aggregate) {
            Some(Aggregate::Count | Aggregate::Distinct(_)) => Follows::Count,
            Some(Aggregate::Sum(_)) => Follows::Sum,
            _ => Follows::Nothing,
        }
    }
}

fn publish_alert(alert: &Alert, out: &mut Outputs) {
    let topic = match alert.kind {
        AlertKind::Business => Topic::AlertsBusiness,
        AlertKind::FraudPattern => Topic::AlertsFraud,
        _ => Topic::AlertsDrift,
    };
    out.publish(topic, "tillstream.alert.v1", &alert.fingerprint, alert);
}

impl Stage for Monitor {
    type Task = MonitorTask;

    const PUBLISHES: &'static [Topic] = &[
        Topic::QualityFraud,
        Topic::QualityExpected,
        Topic::DriftFeatures,
        Topic::BusinessMinutes,
        Topic::AlertsDrift,
        Topic::AlertsFraud,
        Topic::AlertsBusiness,
    ];

    fn downstream(&self) -> Option<(Topic, u32)> {
        Some((Topic::Decision, self.topology.partitions(Topic::Decision)))
    }

    fn sources(&self) -> Vec<(SourceId, &'static str)> {
        self.topology.sources(&[Topic::Monitor])
    }

    fn source_of(&self, partition: TopicPartition) -> SourceId {
        self.topology.source(partition)
    }

    fn open(&self, _tracking: Tracking) -> MonitorTask {
        MonitorTask::default()
    }

    fn open_in_the_middle(&self, tracking: Tracking) -> MonitorTask {
        let mut task = self.open(tracking);
        task.sources.join_in_the_middle(&self.topology.sources(&[Topic::Decision]), self.fold);
        task
    }

    fn start(&self, _committed: Option<Offset>) -> Start {
        Start::Beginning
    }

    fn fold(&self, task: &mut MonitorTask, fetched: &Fetched, out: &mut Outputs) -> Result<(), FoldError> {
        let record = inbound::read(self, fetched, out)?;
        for item in &record.items {
            match item {
                Item::Join(sources) => task.sources.join(sources, record.fold),
                Item::Frame(frame) => self
                    .fold_frame(task, frame, record.fold, out)
                    .map_err(|fault| inbound::fault(fetched, fault))?,
                Item::Deadline(_) => {}
            }
        }
        Ok(())
    }

    fn promise(&self, _task: &MonitorTask, _idle: Option<Duration>) -> Promise {
        Promise::Unknown
    }

    fn fold_version(&self) -> FoldVersion {
        self.fold
    }

    /// What is counted means the same whatever the views and rules; what another model has learned is dropped when the next
    /// label comes.
    fn shape(&self) -> u64 {
        shape(&self.topology, Topic::Decision, ())
    }
}
