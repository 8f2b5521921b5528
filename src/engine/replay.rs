//! A stage once more over a part of its log, away from any worker: what it makes, to be compared with what was
//! appended and published.

#![expect(clippy::indexing_slicing, reason = "a rest is never longer than what it is the rest of")]

use super::arrival::restore_at_once;
use super::outputs::Outputs;
use super::stage::{FoldError, Stage};
use crate::checkpoint::Found;
use crate::event::monitor::MonitorEvent;
use crate::event::{Copy, DecisionEvent};
use crate::log::frame::{FoldVersion, FrameError, Item, Record, SourceId};
use crate::log::position::{Offset, Position};
use crate::log::{Append, Fetched, Topic, TopicPartition};
use crate::progress::sources::{Admission, Sources};
use crate::state::Tracking;
use serde::Deserialize;

/// One partition of a stage's log, folded again.
pub struct Replay<S: Stage> {
    stage: S,
    task: S::Task,
    out: Outputs,
}

impl<S: Stage> Replay<S> {
    /// Begins with the state in `found`, or with none. Outputs of offsets below `from` are dropped.
    ///
    /// # Errors
    ///
    /// [`FoldError::State`] if the checkpoint holds no such state.
    pub fn new(
        stage: S,
        partition: TopicPartition,
        found: &Found,
        from: Offset,
    ) -> Result<Replay<S>, FoldError> {
        let task = restore_at_once(&stage, partition, &found.chain, Tracking::Off)?;
        let destinations = stage.downstream().map_or(0, |(_, partitions)| partitions);
        let short_id = stage.source_of(partition).short_topic();
        let out = Outputs::new(short_id, partition.partition, destinations, from);
        Ok(Replay { task, stage, out })
    }

    /// Folds the next record of the partition.
    ///
    /// # Errors
    ///
    /// [`FoldError`], one of another fold version among them.
    pub fn fold(&mut self, fetched: &Fetched) -> Result<(), FoldError> {
        self.out.begin(fetched.offset);
        self.out.deadlines.clear();
        self.stage.fold(&mut self.task, fetched, &mut self.out)
    }

    /// Takes the public records made since the last call.
    pub fn take_public(&mut self) -> Vec<Append> {
        std::mem::take(&mut self.out.public)
    }

    /// Hands out the events for the next log made since the last call: destination, position, bytes.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: a bug.
    pub fn take_events(&mut self, mut each: impl FnMut(u32, Position, &[u8])) -> Result<(), FrameError> {
        let Some((log, _)) = self.stage.downstream() else { return Ok(()) };
        for (destination, events) in (0..).zip(&mut self.out.events) {
            events_in(log, events.bytes(), |position, bytes| each(destination, position, bytes))?;
            events.clear();
        }
        Ok(())
    }
}

/// Which events a partition of an internal log gives its reader: those that it admits, each once.
pub struct Admitted {
    log: Topic,
    sources: Sources,
    /// The log's beginning is gone: what a source sent before its first frame is taken for applied.
    is_cut: bool,
}

impl Admitted {
    /// Of a partition of `log`, of which `is_cut` says whether its beginning is gone.
    #[must_use]
    pub fn new(log: Topic, is_cut: bool) -> Admitted {
        Admitted { log, sources: Sources::default(), is_cut }
    }

    /// Hands out the events of the next record: the version of the fold that made them, source, position, bytes. Returns
    /// how many frames were refused.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: it is no record of an internal log.
    pub fn fold(
        &mut self,
        value: &[u8],
        mut each: impl FnMut(FoldVersion, SourceId, Position, &[u8]),
    ) -> Result<u64, FrameError> {
        let record = Record::decode(value)?;
        let mut refused = 0;
        for item in &record.items {
            match item {
                Item::Join(sources) => sources.iter().for_each(|source| self.join(*source, record.fold)),
                Item::Deadline(_) => {}
                Item::Frame(frame) => {
                    if self.is_cut {
                        self.join((frame.source, ""), record.fold);
                    }
                    match self.sources.admit(frame, record.fold) {
                        Admission::Refused(_) => refused += 1,
                        Admission::Above(applied) => {
                            events_in(self.log, frame.events, |position, bytes| {
                                if position > applied {
                                    each(record.fold, frame.source, position, bytes);
                                }
                            })?;
                            self.sources.applied(frame, record.fold);
                        }
                    }
                }
            }
        }
        Ok(refused)
    }

    fn join(&mut self, source: (SourceId, &str), fold: FoldVersion) {
        if !self.is_cut {
            self.sources.join(&[source], fold);
        } else if self.sources.source(&source.0).is_none() {
            self.sources.join_in_the_middle(&[source], fold);
        }
    }
}

/// Cuts the events of a frame of `log` up into positions and bytes.
fn events_in(log: Topic, events: &[u8], each: impl FnMut(Position, &[u8])) -> Result<(), FrameError> {
    match log {
        Topic::Decision => cut_up::<DecisionEvent<'_>>(events, each),
        Topic::Monitor => cut_up::<MonitorEvent<'_>>(events, each),
        _ => cut_up::<Copy<'_>>(events, each),
    }
}

fn cut_up<'a, E: Deserialize<'a>>(
    events: &'a [u8],
    mut each: impl FnMut(Position, &[u8]),
) -> Result<(), FrameError> {
    let mut rest = events;
    while !rest.is_empty() {
        let taken = postcard::take_from_bytes::<(Position, E)>(rest);
        let ((position, _), left) = taken.map_err(|fault| FrameError::Body(fault.to_string()))?;
        each(position, &rest[..rest.len() - left.len()]);
        rest = left;
    }
    Ok(())
}
