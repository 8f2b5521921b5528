//! What a checkpoint of a keyed task holds: sources, ledger and counts whole; sessions, features, days, links and event ids by
//! key. Timers follow from all but the event ids.

use super::{KeyedTask, Operator};
use crate::business::catalogue::CatalogueHours;
use crate::business::minutes::Minutes;
use crate::checkpoint::file::EXPIRING;
use crate::checkpoint::{Blocks, Checkpointed, Damage, Table, decode, decode_first, entries_of};
use crate::drift::volume::Volumes;
use crate::ledger::KeyedLedger;
use crate::names::Producers;
use crate::progress::sources::{Refusal, Sources};
use crate::state::Dedup;
use crate::time::EventTime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

const SESSIONS: Table = 0;
const FEATURES: Table = 1;
const DAYS: Table = 2;
const LINKS: Table = 3;
const EVENT_IDS: Table = EXPIRING;

/// The state that is written whole each time.
#[derive(Serialize, Deserialize)]
struct Whole<'a> {
    sources: Cow<'a, Sources>,
    ledger: Cow<'a, KeyedLedger>,
    refused: Cow<'a, BTreeMap<Refusal, u64>>,
    sessions_closed_early: u64,
    days_closed_early: u64,
    forwarded: u64,
    volumes: Cow<'a, Volumes>,
    producers: Cow<'a, Producers>,
    catalogue: Cow<'a, CatalogueHours>,
    minutes: Cow<'a, Minutes>,
}

impl Checkpointed for KeyedTask {
    fn cut(&mut self) -> Vec<u8> {
        self.sessions.cut();
        self.features.cut();
        self.days.cut();
        self.links.cut();
        self.dedup.cut();
        let whole = Whole {
            sources: Cow::Borrowed(&self.sources),
            ledger: Cow::Borrowed(&self.ledger),
            refused: Cow::Borrowed(&self.refused),
            sessions_closed_early: self.sessions_closed_early,
            days_closed_early: self.days_closed_early,
            forwarded: self.forwarded,
            volumes: Cow::Borrowed(&self.volumes),
            producers: Cow::Borrowed(&self.producers),
            catalogue: Cow::Borrowed(&self.catalogue),
            minutes: Cow::Borrowed(&self.minutes),
        };
        postcard::to_stdvec(&whole).expect("state holds nothing that postcard refuses")
    }

    fn encode_some(&mut self, into: &mut Blocks, bytes_max: usize) -> bool {
        into.fill(SESSIONS, bytes_max, |entries, bytes_max| self.sessions.encode_some(entries, bytes_max))
            && into
                .fill(FEATURES, bytes_max, |entries, bytes_max| self.features.encode_some(entries, bytes_max))
            && into.fill(DAYS, bytes_max, |entries, bytes_max| self.days.encode_some(entries, bytes_max))
            && into.fill(LINKS, bytes_max, |entries, bytes_max| self.links.encode_some(entries, bytes_max))
            && into
                .fill(EVENT_IDS, bytes_max, |entries, bytes_max| self.dedup.encode_some(entries, bytes_max))
    }

    fn watermark(&self) -> Option<EventTime> {
        self.sources.watermark()
    }

    fn restore_whole(&mut self, whole: &[u8]) -> Result<(), Damage> {
        let whole: Whole<'_> = decode(whole)?;
        self.sources = whole.sources.into_owned();
        #[cfg(test)]
        if crate::rules_of_the_protocol::without(crate::rules_of_the_protocol::Rule::AppliedInCheckpoint) {
            self.sources.forget_applied();
        }
        self.ledger = whole.ledger.into_owned();
        self.refused = whole.refused.into_owned();
        self.sessions_closed_early = whole.sessions_closed_early;
        self.days_closed_early = whole.days_closed_early;
        self.forwarded = whole.forwarded;
        self.volumes = whole.volumes.into_owned();
        self.producers = whole.producers.into_owned();
        self.catalogue = whole.catalogue.into_owned();
        self.minutes = whole.minutes.into_owned();
        Ok(())
    }

    fn restore_block(&mut self, table: Table, block: Bytes) -> Result<(), Damage> {
        let KeyedTask { sessions, features, days, links, timers, dedup, .. } = self;
        let mut set = |operator, hash, value: &[u8]| {
            if let Some(at) = decode_first::<Option<EventTime>>(value)? {
                timers.set(at, (operator, hash));
            }
            Ok(())
        };
        match table {
            SESSIONS => sessions.restore(block, |hash, (_, value)| set(Operator::Sessions, hash, value)),
            FEATURES => features.restore(block, |hash, (_, value)| set(Operator::Features, hash, value)),
            DAYS => days.restore(block, |hash, (_, value)| set(Operator::Days, hash, value)),
            LINKS => links.restore(block, |hash, (_, value)| set(Operator::Links, hash, value)),
            EVENT_IDS => restore_event_ids(dedup, &block),
            other => Err(Damage::Content(format!("no table {other}"))),
        }
    }

    fn restored(&mut self) {
        if let Some(watermark) = self.sources.watermark() {
            self.dedup.forget(watermark);
        }
    }
}

fn restore_event_ids(dedup: &mut Dedup, block: &[u8]) -> Result<(), Damage> {
    for entry in entries_of(block) {
        let (id, until) = entry?;
        if !until.is_some_and(|until| dedup.restore(id, until)) {
            return Err(Damage::Content("an event id without its end".to_owned()));
        }
    }
    Ok(())
}
