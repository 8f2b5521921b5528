//! What a checkpoint of a decide task holds: sources and counts whole; gathers and tombstones by decision.

use super::DecideTask;
use crate::checkpoint::{Blocks, Checkpointed, Damage, Table, decode};
use crate::event::DecisionId;
use crate::fraud::gather::{Gather, PartOutcome};
use crate::log::position::Offset;
use crate::progress::sources::{Refusal, Sources};
use crate::time::EventTime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

const GATHERS: Table = 0;

/// The state that is written whole each time.
#[derive(Serialize, Deserialize)]
struct Whole<'a> {
    sources: Cow<'a, Sources>,
    parts: Cow<'a, BTreeMap<PartOutcome, u64>>,
    refused: Cow<'a, BTreeMap<Refusal, u64>>,
    decided_whole: u64,
    decided_without: u64,
    missing_parts: u64,
}

impl Checkpointed for DecideTask {
    fn cut(&mut self) -> Vec<u8> {
        self.gathers.cut();
        let whole = Whole {
            sources: Cow::Borrowed(&self.sources),
            parts: Cow::Borrowed(&self.parts),
            refused: Cow::Borrowed(&self.refused),
            decided_whole: self.decided_whole,
            decided_without: self.decided_without,
            missing_parts: self.missing_parts,
        };
        postcard::to_stdvec(&whole).expect("state holds nothing that postcard refuses")
    }

    fn encode_some(&mut self, into: &mut Blocks, bytes_max: usize) -> bool {
        into.fill(GATHERS, bytes_max, |entries, bytes_max| self.gathers.encode_some(entries, bytes_max))
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
        Ok(())
    }

    fn restore_block(&mut self, table: Table, block: Bytes) -> Result<(), Damage> {
        if table != GATHERS {
            return Err(Damage::Content(format!("no table {table}")));
        }
        let DecideTask { gathers, tombstones, restored_open, .. } = self;
        gathers.restore(block, |_, (decision, gather)| {
            let decision = decode(decision)?;
            match decode(gather)? {
                Gather::Closed { forget_at } => tombstones.set(forget_at, decision),
                Gather::Open(open) => {
                    restored_open.insert(decision, open.opened_at);
                }
            }
            Ok(())
        })
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
