//! What a checkpoint of a decide task holds: sources and counts whole; gathers and tombstones by decision.

use super::DecideTask;
use crate::checkpoint::{Blocks, Checkpointed, Damage, Table, decode};
use crate::event::DecisionId;
use crate::fraud::gather::{Gather, PartOutcome};
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
        self.gathers.restore(block, |_, _| Ok(()))
    }

    fn restored(&mut self) {
        self.open = 0;
        for (decision, gather) in self.gathers.iter() {
            match gather {
                Gather::Open(_) => self.open += 1,
                Gather::Closed { forget_at } => self.tombstones.set(forget_at, decision),
            }
        }
    }

    fn deadlines(&self) -> Vec<(DecisionId, i64)> {
        let open = |(decision, gather): (DecisionId, Gather)| match gather {
            Gather::Open(open) => Some((decision, open.opened_at)),
            Gather::Closed { .. } => None,
        };
        self.gathers.iter().filter_map(open).collect()
    }
}
