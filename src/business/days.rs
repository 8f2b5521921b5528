//! The operator of a store's days: key = store, state = its open business days.
//!
//! A transaction is added to its business day, whenever it comes. A timer publishes a day that has changed when the
//! watermark reaches the next full hour, and makes it final when the watermark has passed its end in UTC by 36 h
//! and the allowed lateness: a store's day may end 12 h after that of UTC, and tills upload hours later.
//! Memory: some hundred bytes per open day, of which there are at most 64: one more makes the oldest final early.

use super::day::{Kind, StoreDay};
use crate::event::BasketCopy;
use crate::ledger::Disposition;
use crate::operator::{Context, KeyedOperator};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Open days of a store at most. Three or four are usual; there are as many where a till's clock or calendar is wrong,
/// or where a slow source holds the watermark back for two months.
pub const OPEN_MAX: usize = 64;
/// How long after its end in UTC, besides the allowed lateness, transactions of a day are waited for.
pub const FINAL_AFTER: Duration = Duration::from_secs(36 * 3_600);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What decides when a day is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySettings {
    /// The allowed lateness of the sessions.
    pub allowed_lateness: Duration,
}

impl DaySettings {
    /// The watermark at which a day is final.
    #[must_use]
    pub fn final_at(self, business_day: i32) -> EventTime {
        let end = EventTime((i64::from(business_day) + 1) * DAY_MS);
        end.plus(FINAL_AFTER).plus(self.allowed_lateness)
    }
}

/// What is kept of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDays {
    /// The timer that is set. First, so that a restore finds it without decoding the rest.
    timer: Option<EventTime>,
    /// By business day, all later than `closed_through`.
    open: BTreeMap<i32, OpenDay>,
    /// The latest day that was made final early: none up to it is open any more. It needs to be known for no longer
    /// than later days are open.
    closed_through: Option<i32>,
}

/// A day that may still change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OpenDay {
    figures: StoreDay,
    /// How often it was published.
    revision: u32,
    /// The watermark at which what has changed is published; none if nothing has.
    publish_at: Option<EventTime>,
}

/// Whether a published day may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A further transaction may give a further revision.
    Open,
    /// No transaction of it is waited for any longer.
    Final,
    /// Final before its time, to make room: the store had more than [`OPEN_MAX`] days open.
    FinalEarly,
}

/// What comes out of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayOutput {
    /// A revision to publish.
    Revision {
        /// The day, counted from 1970-01-01.
        business_day: i32,
        /// Counted from 1 per day.
        revision: u32,
        /// Whether a further one may come.
        standing: Standing,
        /// What its transactions say.
        figures: Box<StoreDay>,
    },
    /// The transaction came too late.
    Late {
        /// The watermark, or what is as good as one for this store.
        over: EventTime,
    },
}

impl DayOutput {
    /// Whether it is a day that was made final before its time.
    #[must_use]
    pub fn is_closed_early(&self) -> bool {
        matches!(self, DayOutput::Revision { standing: Standing::FinalEarly, .. })
    }
}

/// A transaction, as the operator takes it.
#[derive(Debug, Clone, Copy)]
pub struct BasketInput<'a> {
    /// When it ended.
    pub time: EventTime,
    /// What.
    pub basket: &'a BasketCopy<'a>,
}

/// The operator of a store's days.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// What decides when a day is final.
    pub settings: DaySettings,
}

impl KeyedOperator for Days {
    type Input<'a> = BasketInput<'a>;
    type State = StoreDays;
    type Output = DayOutput;

    fn on_event(
        &self,
        _store: &str,
        input: BasketInput<'_>,
        state: &mut Option<StoreDays>,
        cx: &mut Context<'_, DayOutput>,
    ) -> Disposition {
        let BasketInput { time, basket } = input;
        let closed_through = state.as_ref().and_then(|days| days.closed_through);
        if let Some(over) = self.over(closed_through, cx.watermark())
            && self.settings.final_at(basket.business_day) <= over
        {
            // a day may lie before 1970, the time in a late record does not
            cx.emit(DayOutput::Late { over: over.max(EventTime(0)) });
            return Disposition::Late;
        }
        if Kind::of(basket) != Kind::Nothing {
            let days = state.get_or_insert_default();
            days.fold(basket, time, cx.watermark());
            days.close_early().into_iter().for_each(|closed| cx.emit(closed));
            self.set_timer(days, cx);
        }
        Disposition::folded(time, cx.watermark())
    }

    fn on_timer(&self, _store: &str, state: &mut Option<StoreDays>, cx: &mut Context<'_, DayOutput>) {
        let (Some(days), Some(watermark)) = (state.as_mut(), cx.watermark()) else { return };
        days.timer = None;
        days.due(watermark, self.settings).into_iter().for_each(|due| cx.emit(due));
        if days.open.is_empty() {
            *state = None;
        } else {
            self.set_timer(days, cx);
        }
    }
}

impl Days {
    /// Up to which watermark it is as if time had come for this store.
    fn over(&self, closed_through: Option<i32>, watermark: Option<EventTime>) -> Option<EventTime> {
        watermark.max(closed_through.map(|day| self.settings.final_at(day)))
    }

    /// Asks for the next call that these days need, unless one is set that comes no later.
    fn set_timer(&self, days: &mut StoreDays, cx: &mut Context<'_, DayOutput>) {
        if let Some(next) = days.next_due(self.settings) {
            cx.call_at(next, &mut days.timer);
        }
    }
}

impl StoreDays {
    /// The timer that is set.
    #[must_use]
    pub fn timer(&self) -> Option<EventTime> {
        self.timer
    }

    /// How many days are open.
    #[must_use]
    pub fn open_days(&self) -> usize {
        self.open.len()
    }

    /// Adds a transaction that ended at `time` to its day, which is not final; the day is to be published at the next
    /// full hour.
    pub fn fold(&mut self, basket: &BasketCopy<'_>, time: EventTime, watermark: Option<EventTime>) {
        let day = self.open.entry(basket.business_day).or_default();
        day.figures.add(basket, time);
        let hour = next_hour(watermark.map_or(time, |watermark| watermark.max(time)));
        day.publish_at = Some(day.publish_at.map_or(hour, |known| known.min(hour)));
    }

    /// What is to be published now that the watermark has come so far, in the order of the days; lets go of those that
    /// are final.
    pub fn due(&mut self, watermark: EventTime, settings: DaySettings) -> Vec<DayOutput> {
        let mut due = Vec::new();
        self.open.retain(|business_day, day| {
            let is_final = settings.final_at(*business_day) <= watermark;
            if is_final {
                due.push(day.publish(*business_day, Standing::Final));
            } else if day.publish_at.is_some_and(|at| at <= watermark) {
                due.push(day.publish(*business_day, Standing::Open));
            }
            !is_final
        });
        due
    }

    /// The watermark at which something is due next.
    fn next_due(&self, settings: DaySettings) -> Option<EventTime> {
        let due = |(business_day, day): (&i32, &OpenDay)| {
            let final_at = settings.final_at(*business_day);
            day.publish_at.map_or(final_at, |at| at.min(final_at))
        };
        self.open.iter().map(due).min()
    }

    /// Makes the oldest day final if there are too many.
    fn close_early(&mut self) -> Option<DayOutput> {
        if self.open.len() <= OPEN_MAX {
            return None;
        }
        let (business_day, mut oldest) = self.open.pop_first()?;
        self.closed_through = self.closed_through.max(Some(business_day));
        Some(oldest.publish(business_day, Standing::FinalEarly))
    }
}

impl OpenDay {
    /// The next revision.
    fn publish(&mut self, business_day: i32, standing: Standing) -> DayOutput {
        self.revision += 1;
        self.publish_at = None;
        // nothing is added to a final day any more
        let figures =
            if standing == Standing::Open { self.figures.clone() } else { std::mem::take(&mut self.figures) };
        DayOutput::Revision { business_day, revision: self.revision, standing, figures: Box::new(figures) }
    }
}

/// The first full hour after `time`.
fn next_hour(time: EventTime) -> EventTime {
    EventTime((time.0.div_euclid(HOUR_MS) + 1).saturating_mul(HOUR_MS)).min(EventTime::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const DAYS: Days = Days { settings: DaySettings { allowed_lateness: Duration::from_secs(5 * 60) } };
    /// 2026-01-05.
    const MONDAY: i32 = 20_458;
    const SALE: BasketCopy<'static> = BasketCopy {
        business_day: MONDAY,
        currency: "EUR",
        is_void: false,
        is_training: false,
        is_offline: false,
        sold_minor: 100,
        returned_minor: 0,
        sold_items: 1,
        returned_items: 0,
        discount_minor: 0,
        coupons: 0,
    };

    /// A store, its timer fired as soon as the watermark has reached it.
    #[derive(Default)]
    struct Store {
        state: Option<StoreDays>,
        watermark: Option<EventTime>,
        out: Vec<DayOutput>,
    }

    impl Store {
        fn sell(&mut self, time: EventTime, basket: BasketCopy<'_>) -> Disposition {
            let mut cx = Context::new(self.watermark, &mut self.out);
            DAYS.on_event("s", BasketInput { time, basket: &basket }, &mut self.state, &mut cx)
        }

        fn advance(&mut self, watermark: EventTime) {
            self.watermark = Some(watermark);
            while self.state.as_ref().and_then(StoreDays::timer).is_some_and(|timer| timer <= watermark) {
                DAYS.on_timer("s", &mut self.state, &mut Context::new(Some(watermark), &mut self.out));
            }
        }

        /// Day, revision, standing and baskets of what has come out since the last call.
        fn published(&mut self) -> Vec<(i32, u32, Standing, u64)> {
            let revision = |output: DayOutput| match output {
                DayOutput::Revision { business_day, revision, standing, figures } => {
                    Some((business_day, revision, standing, figures.baskets))
                }
                DayOutput::Late { .. } => None,
            };
            self.out.drain(..).filter_map(revision).collect()
        }

        fn open(&self) -> usize {
            self.state.as_ref().map_or(0, StoreDays::open_days)
        }
    }

    /// A time of Monday.
    fn at(hour: i64, minute: i64) -> EventTime {
        EventTime(i64::from(MONDAY) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS)
    }

    fn before(time: EventTime) -> EventTime {
        EventTime(time.0 - 1)
    }

    #[test]
    fn a_day_that_has_changed_is_published_at_the_next_full_hour_and_not_again_without_a_change() {
        let mut store = Store::default();
        store.sell(at(9, 10), SALE);
        store.sell(at(9, 50), SALE);
        store.advance(before(at(10, 0)));
        assert!(store.published().is_empty());
        store.advance(at(10, 0));
        assert_eq!(store.published(), [(MONDAY, 1, Standing::Open, 2)]);
        store.advance(at(15, 0));
        assert!(store.published().is_empty());
        store.sell(at(15, 0), SALE);
        store.advance(at(17, 30));
        assert_eq!(store.published(), [(MONDAY, 2, Standing::Open, 3)]);
    }

    #[test]
    fn what_is_uploaded_late_waits_for_the_next_hour_of_the_watermark() {
        let mut store = Store::default();
        store.advance(at(30, 20));
        assert_eq!(store.sell(at(9, 0), SALE), Disposition::LateApplied);
        store.advance(before(at(31, 0)));
        assert!(store.published().is_empty());
        store.advance(at(31, 0));
        assert_eq!(store.published(), [(MONDAY, 1, Standing::Open, 1)]);
    }

    #[test]
    fn a_day_is_final_when_its_end_has_passed_by_36_hours_and_the_allowed_lateness() {
        let mut store = Store::default();
        store.sell(at(9, 10), SALE);
        store.advance(at(10, 0));
        store.published();
        let end = at(24 + 36, 5);
        assert_eq!(DAYS.settings.final_at(MONDAY), end);
        store.advance(before(end));
        assert_eq!(store.sell(at(9, 0), SALE), Disposition::LateApplied);
        assert_eq!((store.published(), store.open()), (vec![], 1));
        store.advance(end);
        assert_eq!(store.published(), [(MONDAY, 2, Standing::Final, 2)]);
        assert_eq!(store.state, None, "nothing is kept of a store without open days");
    }

    #[test]
    fn a_transaction_of_a_final_day_is_late_and_leaves_nothing_behind() {
        let mut store = Store::default();
        let end = DAYS.settings.final_at(MONDAY);
        store.advance(end);
        // whenever it ended: the day decides
        assert_eq!(store.sell(end, SALE), Disposition::Late);
        assert_eq!((store.out.as_slice(), &store.state), ([DayOutput::Late { over: end }].as_slice(), &None));
        let tuesday = BasketCopy { business_day: MONDAY + 1, ..SALE };
        assert_eq!(store.sell(end, tuesday), Disposition::Applied);
    }

    #[test]
    fn where_the_watermark_passes_both_at_once_only_the_final_revision_is_published() {
        let mut store = Store::default();
        store.sell(at(9, 10), SALE);
        store.advance(EventTime::MAX);
        assert_eq!(store.published(), [(MONDAY, 1, Standing::Final, 1)]);
    }

    #[test]
    fn days_are_published_each_by_itself() {
        let mut store = Store::default();
        store.sell(at(23, 30), SALE);
        store.sell(at(23, 50), BasketCopy { business_day: MONDAY + 1, ..SALE });
        store.sell(at(25, 10), SALE);
        store.advance(at(24, 0));
        let [monday, tuesday] = [MONDAY, MONDAY + 1];
        assert_eq!(
            store.published(),
            [(monday, 1, Standing::Open, 2), (tuesday, 1, Standing::Open, 1)],
            "what has come counts, even of the hour that begins"
        );
    }

    #[test]
    fn a_day_of_voids_and_trainings_is_published_and_one_of_nothing_is_not_there() {
        let mut store = Store::default();
        let nothing = BasketCopy { sold_items: 0, sold_minor: 0, ..SALE };
        assert_eq!(store.sell(at(9, 10), nothing), Disposition::Applied);
        assert_eq!(store.state, None);
        store.sell(at(9, 10), BasketCopy { is_void: true, ..SALE });
        store.advance(at(10, 0));
        assert_eq!(store.published(), [(MONDAY, 1, Standing::Open, 0)]);
    }

    #[test]
    fn one_day_too_many_makes_the_oldest_final_early() {
        let max = i32::try_from(OPEN_MAX).unwrap();
        for (days, closed) in [(max - 1, 0), (max, 0), (max + 1, 1), (max + 2, 2)] {
            let mut store = Store::default();
            for day in 0..days {
                store.sell(at(0, 0), BasketCopy { business_day: MONDAY + day, ..SALE });
            }
            assert!(store.out.iter().all(DayOutput::is_closed_early));
            let expected: Vec<_> =
                (0..closed).map(|day| (MONDAY + day, 1, Standing::FinalEarly, 1)).collect();
            assert_eq!(store.published(), expected, "{days}");
            assert_eq!(store.open(), OPEN_MAX.min(usize::try_from(days).unwrap()), "{days}");
        }
    }

    #[test]
    fn a_transaction_up_to_a_day_that_was_closed_early_is_late() {
        let max = i32::try_from(OPEN_MAX).unwrap();
        for (day, disposition) in [(-1, Disposition::Late), (0, Disposition::Late), (1, Disposition::Applied)]
        {
            let mut store = Store::default();
            for open in 0..=max {
                store.sell(at(0, 0), BasketCopy { business_day: MONDAY + open, ..SALE });
            }
            let basket = BasketCopy { business_day: MONDAY + day, ..SALE };
            assert_eq!(store.sell(at(0, 0), basket), disposition, "{day}");
            if disposition == Disposition::Late {
                let over = DAYS.settings.final_at(MONDAY);
                assert_eq!(store.out.last(), Some(&DayOutput::Late { over }));
            }
        }
    }

    #[test]
    fn a_late_record_of_days_before_1970_has_a_time_all_the_same() {
        let mut store = Store::default();
        for day in -100..=-36 {
            store.sell(at(0, 0), BasketCopy { business_day: day, ..SALE });
        }
        assert_eq!(store.sell(at(0, 0), BasketCopy { business_day: -100, ..SALE }), Disposition::Late);
        assert_eq!(store.out.last(), Some(&DayOutput::Late { over: EventTime(0) }));
        let open = BasketCopy { business_day: -99, ..SALE };
        assert_eq!(store.sell(at(0, 0), open), Disposition::Applied, "a day that is open");
    }

    #[test]
    fn the_state_begins_with_its_timer() {
        let mut store = Store::default();
        store.sell(at(9, 10), SALE);
        let state = store.state.expect("a day is open");
        let bytes = postcard::to_stdvec(&state).unwrap();
        let (timer, _): (Option<EventTime>, _) = postcard::take_from_bytes(&bytes).unwrap();
        assert_eq!(timer, Some(at(10, 0)));
        assert_eq!(postcard::from_bytes::<StoreDays>(&bytes).unwrap(), state);
    }
}
