//! A range of offsets of one public partition, while its records are gathered. It begins where the last one in the
//! archive ended. Knows no clock and no storage.

use super::rows::Row;
use crate::log::RecordId;
use crate::log::position::Offset;
use crate::time::ProcessingTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// When a range is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeLimits {
    /// When it holds so many records: of 60 features each takes about 1.5 KB.
    pub records_max: usize,
    /// When its first record has waited for so long.
    pub interval: Duration,
}

/// The highest id that was seen of one partition of what publishes: all at or below it have been archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in RecordId")]
pub struct Mark {
    pub topic: u32,
    pub partition: u32,
    pub offset: Offset,
    pub index: u32,
}

/// The marks of a public partition. Within it, the ids of what publishes grow: an id at or below its mark comes again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<(u32, u32), (Offset, u32)>);

impl Marks {
    /// Those of a manifest.
    #[must_use]
    pub fn new(marks: &[Mark]) -> Marks {
        let place = |mark: &Mark| ((mark.topic, mark.partition), (mark.offset, mark.index));
        Marks(marks.iter().map(place).collect())
    }

    /// Those for a manifest, in order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Mark> {
        let mark = |(&(topic, partition), &(offset, index)): (&(u32, u32), &(Offset, u32))| Mark {
            topic,
            partition,
            offset,
            index,
        };
        self.0.iter().map(mark).collect()
    }

    /// Notes an id; false if it, or a later one, was noted before.
    fn note(&mut self, id: RecordId) -> bool {
        let (source, place) = ((id.topic, id.partition), (id.offset, id.index));
        if self.0.get(&source).is_some_and(|mark| place <= *mark) {
            return false;
        }
        self.0.insert(source, place);
        true
    }
}

/// A record that is held.
#[derive(Debug)]
struct Held {
    offset: Offset,
    id: RecordId,
    row: Row,
}

/// A range that gathers.
#[derive(Debug)]
pub struct Range {
    from: Offset,
    /// The next offset to take.
    to: Offset,
    /// As they were at `from`.
    marks: Marks,
    /// What came again is held too: which it is depends on who has archived what comes before, and is judged at the
    /// end.
    held: Vec<Held>,
    begun_at: Option<ProcessingTime>,
}

/// What a range comes to.
#[derive(Debug)]
pub struct Closed<'r> {
    /// Its first offset.
    pub from: Offset,
    /// The offset behind its last.
    pub to: Offset,
    /// What did not come again, in the order of the log.
    pub rows: Vec<&'r Row>,
    /// The marks at its end.
    pub marks: Marks,
}

impl Range {
    /// Begins at `from`, where these are the marks.
    #[must_use]
    pub fn new(from: Offset, marks: Marks) -> Range {
        Range { from, to: from, marks, held: Vec::new(), begun_at: None }
    }

    /// The next offset to take.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.to
    }

    /// When its first record came; none if none has come.
    #[must_use]
    pub fn begun_at(&self) -> Option<ProcessingTime> {
        self.begun_at
    }

    /// Takes what stands at `offset`, `None` if that is no record of its contract. What was taken or archived before is
    /// left out.
    pub fn take(&mut self, offset: Offset, content: Option<(RecordId, Row)>, now: ProcessingTime) {
        if offset < self.to {
            return;
        }
        self.to = offset + 1;
        self.begun_at.get_or_insert(now);
        self.held.extend(content.map(|(id, row)| Held { offset, id, row }));
    }

    /// Whether it holds as much as it may.
    #[must_use]
    pub fn is_full(&self, limits: RangeLimits) -> bool {
        self.held.len() >= limits.records_max
    }

    /// Whether it is time to close it.
    #[must_use]
    pub fn is_due(&self, limits: RangeLimits, now: ProcessingTime) -> bool {
        self.is_full(limits) || self.begun_at.is_some_and(|begun_at| now.since(begun_at) >= limits.interval)
    }

    /// What it comes to if it is closed here; none if it has nothing.
    #[must_use]
    pub fn closed(&self) -> Option<Closed<'_>> {
        self.begun_at?;
        let mut marks = self.marks.clone();
        let rows = self.held.iter().filter(|held| marks.note(held.id)).map(|held| &held.row).collect();
        Some(Closed { from: self.from, to: self.to, rows, marks })
    }

    /// Everything below `from` is archived, and these are the marks there: drops it and goes on.
    pub fn go_on(&mut self, from: Offset, marks: Marks) {
        self.held.retain(|held| held.offset >= from);
        self.from = from;
        self.marks = marks;
        if self.to <= from {
            self.to = from;
            self.begun_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::rows::LabelRow;
    use crate::event::{DecisionId, LabelOutcome};
    use crate::generate::random::Random;
    use crate::time::EventTime;

    const LIMITS: RangeLimits = RangeLimits { records_max: 3, interval: Duration::from_millis(100) };

    fn at(ms: i64) -> ProcessingTime {
        ProcessingTime(ms)
    }

    /// A record of source partition 0.
    fn record(offset: Offset) -> Option<(RecordId, Row)> {
        let row = LabelRow {
            decision_id: DecisionId(u128::from(offset.unsigned_abs())),
            outcome: LabelOutcome::Fraud,
            known_at: EventTime(0),
            source: "chargeback".into(),
            label_id: "l".into(),
            event_time: EventTime(0),
        };
        Some((RecordId { topic: 7, partition: 0, offset, index: 0 }, Row::Label(row)))
    }

    fn decisions(closed: &Closed<'_>) -> Vec<u128> {
        let id = |row: &&Row| match row {
            Row::Label(row) => row.decision_id.0,
            Row::Vector(row) => row.decision_id.0,
        };
        closed.rows.iter().map(id).collect()
    }

    #[test]
    fn a_range_is_due_when_it_holds_enough_or_its_first_record_has_waited_enough() {
        let mut range = Range::new(10, Marks::default());
        assert!(!range.is_due(LIMITS, at(1_000)), "it has nothing");
        range.take(10, record(1), at(0));
        range.take(11, record(2), at(90));
        assert!(!range.is_due(LIMITS, at(99)));
        assert!(range.is_due(LIMITS, at(100)), "its first record has waited");
        range.take(15, record(3), at(91));
        assert!(range.is_due(LIMITS, at(91)), "it holds three");
        let closed = range.closed().expect("it has records");
        assert_eq!((closed.from, closed.to), (10, 16));
        assert_eq!(decisions(&closed), [1, 2, 3]);
    }

    #[test]
    fn what_is_no_record_moves_the_range_on_and_is_in_no_row() {
        let mut range = Range::new(0, Marks::default());
        range.take(4, None, at(0));
        assert!(range.is_due(LIMITS, at(100)));
        let closed = range.closed().expect("it has an offset");
        assert_eq!((closed.to, closed.rows.len()), (5, 0));
    }

    #[test]
    fn what_comes_again_is_skipped_within_a_range_and_behind_it() {
        let mut range = Range::new(0, Marks::default());
        for (offset, source) in [1, 2, 3, 2, 3, 4].into_iter().enumerate() {
            range.take(offset.try_into().expect("small"), record(source), at(0));
        }
        let closed = range.closed().expect("it has records");
        assert_eq!(decisions(&closed), [1, 2, 3, 4]);
        let (to, marks) = (closed.to, closed.marks);
        range.go_on(to, Marks::new(&marks.to_vec()));
        assert!(range.closed().is_none());
        range.take(6, record(4), at(1));
        range.take(7, record(5), at(1));
        assert_eq!(decisions(&range.closed().expect("it has records")), [5]);
    }

    #[test]
    fn what_somebody_else_has_archived_is_dropped_and_the_rest_goes_on() {
        let mut range = Range::new(0, Marks::default());
        for offset in 0..6 {
            range.take(offset, record(offset), at(0));
        }
        let theirs = Marks::new(&[Mark { topic: 7, partition: 0, offset: 3, index: 0 }]);
        range.go_on(4, theirs.clone());
        assert_eq!(decisions(&range.closed().expect("two are left")), [4, 5]);
        range.go_on(9, theirs);
        assert!(range.closed().is_none());
        range.take(8, record(8), at(0));
        assert!(range.closed().is_none(), "it lies below what is archived");
        assert_eq!(range.next(), 9);
    }

    #[test]
    fn every_id_is_in_one_range_wherever_a_log_with_repetitions_is_cut() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let (mut log, mut next) = (Vec::new(), 0_i64);
            while next < 40 {
                log.push(next);
                next += 1;
                if random.below(5) == 0 {
                    next -= i64::try_from(random.below(6)).expect("small").min(next);
                }
            }
            let (mut range, mut found) = (Range::new(0, Marks::default()), Vec::new());
            for (offset, source) in (0..).zip(&log) {
                range.take(offset, record(*source), at(0));
                if random.below(4) == 0 {
                    let closed = range.closed().expect("it has a record");
                    found.extend(decisions(&closed));
                    let (to, marks) = (closed.to, closed.marks);
                    range.go_on(to, marks);
                }
            }
            found.extend(range.closed().iter().flat_map(decisions));
            assert_eq!(found, (0..40).collect::<Vec<u128>>(), "seed {seed}");
        }
    }
}
