//! What a checkpoint of a decide task holds: sources and counts whole; gathers, tombstones and what waits for a label by decision.

use super::DecideTask;
use super::rules::Published;
use crate::checkpoint::{Blocks, Checkpointed, Damage, Table, decode};
use crate::drift::profile::Profiler;
use crate::drift::volume::Volumes;
use crate::event::DecisionId;
use crate::fraud::gather::{Gather, PartOutcome};
use crate::fraud::label::{LabelEnd, Labelling};
use crate::fraud::model::Served;
use crate::log::position::Offset;
use crate::names::Names;
use crate::progress::sources::{Refusal, Sources};
use crate::time::EventTime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

const GATHERS: Table = 0;
const LABELLING: Table = 1;

/// The state that is written whole each time.
#[derive(Serialize, Deserialize)]
struct Whole<'a> {
    sources: Cow<'a, Sources>,
    parts: Cow<'a, BTreeMap<PartOutcome, u64>>,
    refused: Cow<'a, BTreeMap<Refusal, u64>>,
    decided_whole: u64,
    decided_without: u64,
    missing_parts: u64,
    labels: Cow<'a, BTreeMap<LabelEnd, u64>>,
    predictions: u64,
    versions: Cow<'a, BTreeMap<Box<str>, Names>>,
    parked_labels: u64,
    unlabelled: u64,
    served: Cow<'a, Served>,
    published: Option<Published>,
    profiler: Cow<'a, Profiler>,
    volumes: Cow<'a, Volumes>,
}

impl Checkpointed for DecideTask {
    fn cut(&mut self) -> Vec<u8> {
        self.gathers.cut();
        self.labelling.cut();
        let whole = Whole {
            sources: Cow::Borrowed(&self.sources),
            parts: Cow::Borrowed(&self.parts),
            refused: Cow::Borrowed(&self.refused),
            decided_whole: self.decided_whole,
            decided_without: self.decided_without,
            missing_parts: self.missing_parts,
            labels: Cow::Borrowed(&self.labels),
            predictions: self.predictions,
            versions: Cow::Borrowed(&self.versions),
            parked_labels: self.parked_labels,
            unlabelled: self.unlabelled,
            served: Cow::Borrowed(&self.served),
            published: self.published.clone(),
            profiler: Cow::Borrowed(&self.profiler),
            volumes: Cow::Borrowed(&self.volumes),
        };
        postcard::to_stdvec(&whole).expect("state holds nothing that postcard refuses")
    }

    fn encode_some(&mut self, into: &mut Blocks, bytes_max: usize) -> bool {
        into.fill(GATHERS, bytes_max, |entries, bytes_max| self.gathers.encode_some(entries, bytes_max))
            && into.fill(LABELLING, bytes_max, |entries, bytes_max| {
                self.labelling.encode_some(entries, bytes_max)
            })
    }

    fn watermark(&self) -> Option<EventTime> {
        self.sources.watermark()
    }

    fn restore_whole(&mut self, whole: &[u8]) -> Result<(), Damage> {
        let whole: Whole<'_> = decode(whole)?;
        self.sources = whole.sources.into_owned();
        self.parts = whole.parts.into_owned();
        self.refused = whole.refused.into_owned();
        self.decided_whole = whole.decided_whole;
        self.decided_without = whole.decided_without;
        self.missing_parts = whole.missing_parts;
        self.labels = whole.labels.into_owned();
        self.predictions = whole.predictions;
        self.versions = whole.versions.into_owned();
        self.parked_labels = whole.parked_labels;
        self.unlabelled = whole.unlabelled;
        self.served = whole.served.into_owned();
        self.published = whole.published;
        self.profiler = whole.profiler.into_owned();
        self.volumes = whole.volumes.into_owned();
        Ok(())
    }

    fn restore_block(&mut self, table: Table, block: Bytes) -> Result<(), Damage> {
        let DecideTask { gathers, tombstones, restored_open, labelling, label_ends, .. } = self;
        match table {
            GATHERS => gathers.restore(block, |_, (decision, gather)| {
                let decision = decode(decision)?;
                match decode(gather)? {
                    Gather::Closed { forget_at } => tombstones.set(forget_at, decision),
                    Gather::Open(open) => {
                        restored_open.insert(decision, open.opened_at);
                    }
                }
                Ok(())
            }),
            LABELLING => labelling.restore(block, |_, (decision, waiting)| {
                label_ends.set(decode::<Labelling>(waiting)?.until(), decode(decision)?);
                Ok(())
            }),
            other => Err(Damage::Content(format!("no table {other}"))),
        }
    }

    fn restored(&mut self) {
        // a later file may have closed it
        let gathers = &mut self.gathers;
        self.restored_open.retain(|decision, _| matches!(gathers.get(*decision), Some(Gather::Open(_))));
        self.open = self.restored_open.len() as u64;
    }

    fn take_deadlines(&mut self) -> Vec<(DecisionId, Offset)> {
        std::mem::take(&mut self.restored_open).into_iter().collect()
    }
}
