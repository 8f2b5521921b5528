//! What a checkpoint of a monitor task holds: everything, whole each time. A day is some thousand numbers, and there are
//! at most as many as the label horizon has; a model has some ten thousand weights.

use super::MonitorTask;
use super::learning::Learning;
use crate::alert::Episodes;
use crate::checkpoint::{Blocks, Checkpointed, Damage, Table, decode};
use crate::event::monitor::LabelledDecision;
use crate::monitor::business::ShopMinutes;
use crate::monitor::concept::Concept;
use crate::monitor::drift::Windows;
use crate::monitor::expected::Expected;
use crate::monitor::pattern::Patterns;
use crate::monitor::quality::Day;
use crate::monitor::volume::VolumeWatch;
use crate::progress::sources::{Refusal, Sources};
use crate::time::EventTime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct Whole<'a> {
    sources: Cow<'a, Sources>,
    refused: Cow<'a, BTreeMap<Refusal, u64>>,
    judged: u64,
    unwatched: u64,
    after_the_end: u64,
    #[serde(borrow)]
    ahead: Cow<'a, BTreeMap<EventTime, Vec<LabelledDecision<'a>>>>,
    days: Cow<'a, BTreeMap<(Cow<'static, str>, i64), Day>>,
    expected: Cow<'a, BTreeMap<Cow<'static, str>, Expected>>,
    learning: Cow<'a, Option<Learning>>,
    published: Option<i64>,
    concepts: Cow<'a, BTreeMap<Cow<'static, str>, Concept>>,
    windows: Cow<'a, Windows>,
    volumes: Cow<'a, VolumeWatch>,
    minutes: Cow<'a, ShopMinutes>,
    patterns: Cow<'a, Patterns>,
    episodes: Cow<'a, Episodes>,
}

impl Checkpointed for MonitorTask {
    fn cut(&mut self) -> Vec<u8> {
        let whole = Whole {
            sources: Cow::Borrowed(&self.sources),
            refused: Cow::Borrowed(&self.refused),
            judged: self.judged,
            unwatched: self.unwatched,
            after_the_end: self.after_the_end,
            ahead: Cow::Borrowed(&self.ahead),
            days: Cow::Borrowed(&self.days),
            expected: Cow::Borrowed(&self.expected),
            learning: Cow::Borrowed(&self.learning),
            published: self.published,
            concepts: Cow::Borrowed(&self.concepts),
            windows: Cow::Borrowed(&self.windows),
            volumes: Cow::Borrowed(&self.volumes),
            minutes: Cow::Borrowed(&self.minutes),
            patterns: Cow::Borrowed(&self.patterns),
            episodes: Cow::Borrowed(&self.episodes),
        };
        postcard::to_stdvec(&whole).expect("state holds nothing that postcard refuses")
    }

    fn encode_some(&mut self, _into: &mut Blocks, _bytes_max: usize) -> bool {
        true
    }

    fn watermark(&self) -> Option<EventTime> {
        self.sources.watermark()
    }

    fn restore_whole(&mut self, whole: &[u8]) -> Result<(), Damage> {
        let whole: Whole<'_> = decode(whole)?;
        self.sources = whole.sources.into_owned();
        self.refused = whole.refused.into_owned();
        self.judged = whole.judged;
        self.unwatched = whole.unwatched;
        self.after_the_end = whole.after_the_end;
        let owned = |labelled: Vec<LabelledDecision<'_>>| {
            labelled.into_iter().map(LabelledDecision::into_owned).collect()
        };
        self.ahead = whole
            .ahead
            .into_owned()
            .into_iter()
            .map(|(known_at, labelled)| (known_at, owned(labelled)))
            .collect();
        self.days = whole.days.into_owned();
        self.expected = whole.expected.into_owned();
        self.learning = whole.learning.into_owned();
        self.published = whole.published;
        self.concepts = whole.concepts.into_owned();
        self.windows = whole.windows.into_owned();
        self.volumes = whole.volumes.into_owned();
        self.minutes = whole.minutes.into_owned();
        self.patterns = whole.patterns.into_owned();
        self.episodes = whole.episodes.into_owned();
        Ok(())
    }

    fn restore_block(&mut self, table: Table, _block: Bytes) -> Result<(), Damage> {
        Err(Damage::Content(format!("no table {table}")))
    }

    fn restored(&mut self) {}
}
