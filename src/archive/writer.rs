//! Writes the archive: gathers the records of each public partition into ranges, and closes those that are due.
//!
//! Closing puts the files first and then makes the manifest, if its range has none. A writer that dies before that
//! leaves files that count for nothing, and the next one reads the same offsets again. If the range has a manifest, of
//! another writer or of this one before it could hear of it, that one holds: what was put is left behind, and the
//! writer goes on where that range ended. So a decision is neither missing nor doubled, whoever dies where, and however
//! many write.

use super::day::Day;
use super::range::{Closed, Marks, Range, RangeLimits};
use super::rows::{Names, Row, Set, features_in, file_of, read};
use super::store::{ArchiveError, Manifest, RangeStore, file_path};
use crate::log::kafka::{Behind, Tail};
use crate::log::position::Offset;
use crate::log::{Fetched, LogError};
use crate::time::{Clock, ProcessingTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a poll waits for the first record.
const POLL: Duration = Duration::from_millis(20);
/// Between two attempts at storage that fails: doubled from the first to the last.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(10);

/// What brings the records of the archived topics.
pub trait Source {
    /// The next record; none if there is none within `wait`.
    ///
    /// # Errors
    ///
    /// [`LogError`]; another source may go on.
    fn poll(&mut self, wait: Duration) -> Result<Option<Fetched>, LogError>;

    /// How far behind it is, as far as it was told.
    fn behind(&self) -> Option<Behind> {
        None
    }

    /// Whether it is to bring nothing for now. It is polled on meanwhile: it has more to do than bring records.
    ///
    /// # Errors
    ///
    /// [`LogError`]; another source may go on.
    fn hold(&mut self, _is_held: bool) -> Result<(), LogError> {
        Ok(())
    }
}

impl Source for Tail {
    fn poll(&mut self, wait: Duration) -> Result<Option<Fetched>, LogError> {
        Tail::poll(self, wait)
    }

    fn behind(&self) -> Option<Behind> {
        Tail::behind(self)
    }

    fn hold(&mut self, is_held: bool) -> Result<(), LogError> {
        Tail::hold(self, is_held)
    }
}

/// What a writer has done to a set so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in files that count.
    pub rows: u64,
    /// Ranges that were closed here.
    pub ranges: u64,
    /// Records that are none of their contract, and were left out.
    pub unreadable: u64,
}

/// A writer.
#[derive(Debug)]
pub struct Writer<S> {
    store: S,
    limits: RangeLimits,
    names: Names,
    ranges: BTreeMap<(Set, u32), Range>,
    counts: BTreeMap<Set, Counts>,
    trouble: Option<Trouble>,
    failures: u64,
    /// The range that was to be closed last.
    tried: Option<(Set, u32)>,
}

/// Storage that failed when it was last asked.
#[derive(Debug)]
struct Trouble {
    fault: String,
    pause: Duration,
    until: ProcessingTime,
}

impl<S: RangeStore> Writer<S> {
    /// Goes on where the archive ends.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]; try again.
    pub fn begin(mut store: S, limits: RangeLimits) -> Result<Writer<S>, ArchiveError> {
        let mut ranges = BTreeMap::new();
        for set in Set::ALL {
            for (partition, last) in store.newest(set)? {
                ranges.insert((set, partition), Range::new(last.to, Marks::new(&last.marks)));
            }
        }
        let names = Names::default();
        let counts = BTreeMap::new();
        Ok(Writer { store, limits, names, ranges, counts, trouble: None, failures: 0, tried: None })
    }

    /// The archive, without what was gathered.
    #[cfg(test)]
    pub(super) fn into_store(self) -> S {
        self.store
    }

    /// The next offset to read of each partition of `set` that has been read before.
    #[must_use]
    pub fn next_offsets(&self, set: Set) -> BTreeMap<u32, Offset> {
        let of_set = self.ranges.iter().filter(|((of, _), _)| *of == set);
        of_set.map(|((_, partition), range)| (*partition, range.next())).collect()
    }

    /// What it has done to `set`.
    #[must_use]
    pub fn counts(&self, set: Set) -> Counts {
        self.counts.get(&set).copied().unwrap_or_default()
    }

    /// What the storage said when it last failed, until it answers again.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| &*trouble.fault)
    }

    /// How often the storage has failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// When the oldest record came that is not archived yet.
    #[must_use]
    pub fn oldest(&self) -> Option<ProcessingTime> {
        self.ranges.values().filter_map(Range::begun_at).min()
    }

    /// Takes a record of an archived topic. The first range of a partition begins at offset 0, whatever is left of it:
    /// two that find different beginnings must write the same range.
    pub fn take(&mut self, fetched: &Fetched, now: ProcessingTime) {
        let Some(set) = Set::of(fetched.partition.topic) else { return };
        let of_partition = (set, fetched.partition.partition);
        let range = self.ranges.entry(of_partition).or_insert_with(|| Range::new(0, Marks::default()));
        if fetched.offset < range.next() {
            return;
        }
        let content = read(set, &fetched.record, &mut self.names).ok();
        if content.is_none() {
            let (partition, offset) = (fetched.partition, fetched.offset);
            tracing::warn!(%partition, offset, "a record is not what its topic promises: it is not archived");
            self.counts.entry(set).or_default().unreadable += 1;
        }
        range.take(fetched.offset, content, now);
    }

    /// Whether a range holds as much as it may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ranges.values().any(|range| range.is_full(self.limits))
    }

    /// Closes one of the ranges that are due, in turns, so that one which cannot be closed holds up no other; false if none is.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]: what was gathered is kept; try again.
    pub fn close_one_due(&mut self, now: ProcessingTime) -> Result<bool, ArchiveError> {
        let due = self.ranges.iter().filter(|(_, range)| range.is_due(self.limits, now));
        // those behind the last one first
        let Some((set, partition)) =
            due.map(|(place, _)| *place).min_by_key(|place| (Some(*place) <= self.tried, *place))
        else {
            return Ok(false);
        };
        self.tried = Some((set, partition));
        self.close(set, partition)?;
        Ok(true)
    }

    /// Closes all ranges.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]: what was gathered is kept; try again.
    pub fn close_all(&mut self) -> Result<(), ArchiveError> {
        let all: Vec<_> = self.ranges.keys().copied().collect();
        all.into_iter().try_for_each(|(set, partition)| self.close(set, partition))
    }

    fn close(&mut self, set: Set, partition: u32) -> Result<(), ArchiveError> {
        let Some(range) = self.ranges.get_mut(&(set, partition)) else { return Ok(()) };
        let manifest = match range.closed() {
            None => return Ok(()),
            Some(closed) => written(&mut self.store, set, partition, &closed)?,
        };
        match self.store.create(set, &manifest)? {
            None => {
                let counts = self.counts.entry(set).or_default();
                counts.rows += manifest.rows;
                counts.ranges += 1;
                range.go_on(manifest.to, Marks::new(&manifest.marks));
            }
            Some(there) => {
                let (set, from, to) = (set.name(), there.from, there.to);
                tracing::info!(set, partition, from, to, "a range was archived before; going on behind it");
                range.go_on(there.to, Marks::new(&there.marks));
            }
        }
        Ok(())
    }

    /// Gathers what `source` brings and closes what is due, until `may_end`. Storage that fails is tried again, ever
    /// more slowly; meanwhile it reads on, until a range is full. After each step it tells `listener` how it stands.
    ///
    /// # Errors
    ///
    /// [`LogError`]: the source is at its end; what was gathered is kept.
    pub fn gather(
        &mut self,
        source: &mut dyn Source,
        clock: &dyn Clock,
        may_end: &dyn Fn() -> bool,
        listener: &mut dyn FnMut(&Writer<S>, Option<Behind>),
    ) -> Result<(), LogError> {
        let mut is_held = None;
        while !may_end() {
            let now = clock.now();
            if self.try_to_close(now) {
                continue;
            }
            let is_full = self.is_full();
            if is_held.replace(is_full) != Some(is_full) {
                source.hold(is_full)?;
            }
            if let Some(fetched) = source.poll(POLL)? {
                self.take(&fetched, now);
            }
            listener(self, source.behind());
        }
        Ok(())
    }

    /// Closes one of the ranges that are due, unless the storage has just failed; false if there was nothing to be
    /// done.
    fn try_to_close(&mut self, now: ProcessingTime) -> bool {
        if self.trouble.as_ref().is_some_and(|trouble| now < trouble.until) {
            return false;
        }
        match self.close_one_due(now) {
            Ok(has_closed) => {
                if has_closed {
                    self.trouble = None;
                }
                has_closed
            }
            Err(fault) => {
                tracing::warn!(%fault, "the storage of the archive fails; trying again");
                self.failures += 1;
                let before = self.trouble.as_ref().map(|trouble| trouble.pause);
                let pause = before.map_or(RETRY_FIRST, |pause| (pause * 2).min(RETRY_LAST));
                self.trouble = Some(Trouble { fault: fault.to_string(), pause, until: now.plus(pause) });
                false
            }
        }
    }
}

/// Puts the files of a range, one per day; returns the manifest that is to name them.
fn written(
    store: &mut impl RangeStore,
    set: Set,
    partition: u32,
    closed: &Closed<'_>,
) -> Result<Manifest, ArchiveError> {
    let mut days = BTreeMap::<Day, Vec<&Row>>::new();
    for row in &closed.rows {
        days.entry(Day::of(row.event_time())).or_default().push(row);
    }
    let mut files = Vec::new();
    for (day, rows) in days {
        let place = format!("{set:?} {day} {partition} {}", closed.from);
        let bytes = file_of(set, &rows).map_err(|fault| ArchiveError::File { path: place, fault })?;
        let path = file_path(day, partition, (closed.from, closed.to), &bytes);
        store.put(set, &path, bytes)?;
        files.push(path);
    }
    Ok(Manifest {
        partition,
        from: closed.from,
        to: closed.to,
        files,
        rows: closed.rows.len() as u64,
        features: features_in(&closed.rows).iter().map(ToString::to_string).collect(),
        marks: closed.marks.to_vec(),
    })
}

#[cfg(test)]
mod tests;
