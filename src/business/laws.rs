//! Laws of a store's days over random transactions: order decides nothing, what is final stays, and what was not late
//! is counted once.

use super::day::{Kind, StoreDay};
use super::days::{BasketInput, DayOutput, DaySettings, Days, Standing, StoreDays};
use crate::event::BasketCopy;
use crate::ledger::Disposition;
use crate::operator::{Context, KeyedOperator};
use crate::time::EventTime;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR_MS: i64 = 3_600_000;
const DAYS: Days = Days { settings: DaySettings { allowed_lateness: Duration::from_secs(5 * 60) } };

type Transaction = (BasketCopy<'static>, EventTime);

/// A revision that came out: its number, how it stands, and its figures.
type Revision = (u32, Standing, StoreDay);

/// A transaction of one of the first `days` days, that ended within `hours` hours of 1970.
fn transaction(days: i32, hours: i64) -> impl Strategy<Value = Transaction> {
    let facts = (0..days, select(vec!["EUR", "SEK", "USD"]), 0..8_u8, 0..20_u8);
    let sums = (0..9_000_i64, 0..9_000_i64, 0..5_u32, 0..3_u32, 0..700_i64, 0..4_u32);
    (facts, sums, 0..hours * HOUR_MS).prop_map(
        |(
            (business_day, currency, is_odd, is_offline),
            (sold, returned, pieces, back, discount, coupons),
            time,
        )| {
            let basket = BasketCopy {
                business_day,
                currency,
                is_void: is_odd == 1,
                is_training: is_odd == 2,
                is_offline: is_offline == 0,
                sold_minor: if pieces > 0 { sold } else { 0 },
                returned_minor: if back > 0 { returned } else { 0 },
                sold_items: pieces,
                returned_items: back,
                discount_minor: discount,
                coupons,
            };
            (basket, EventTime(time))
        },
    )
}

/// A transaction and the hours by which the watermark moves after it.
fn steps() -> impl Strategy<Value = Vec<(Transaction, u8)>> {
    let moves = prop_oneof![4 => Just(0_u8), 4 => 1..5_u8, 1 => 20..60_u8];
    prop::collection::vec((transaction(6, 200), moves), 1..80)
}

/// A store as a task has it: its timer is fired when the watermark has reached it.
#[derive(Default)]
struct Store {
    state: Option<StoreDays>,
    watermark: Option<EventTime>,
    out: Vec<DayOutput>,
}

impl Store {
    fn fold(&mut self, (basket, time): &Transaction) -> Disposition {
        let mut cx = Context::new(self.watermark, &mut self.out);
        DAYS.on_event("s", BasketInput { time: *time, basket }, &mut self.state, &mut cx)
    }

    fn advance(&mut self, watermark: EventTime) {
        self.watermark = Some(watermark);
        while self.state.as_ref().and_then(StoreDays::timer).is_some_and(|timer| timer <= watermark) {
            DAYS.on_timer("s", &mut self.state, &mut Context::new(Some(watermark), &mut self.out));
        }
    }

    /// By day, the revisions in the order in which they came out.
    fn revisions(&self) -> BTreeMap<i32, Vec<Revision>> {
        let mut revisions = BTreeMap::<i32, Vec<Revision>>::new();
        for output in &self.out {
            if let DayOutput::Revision { business_day, revision, standing, figures } = output {
                let of_day = revisions.entry(*business_day).or_default();
                of_day.push((*revision, *standing, (**figures).clone()));
            }
        }
        revisions
    }
}

/// Folds every step, then the end of time. Returns the store and what of the transactions was not late.
fn run(steps: &[(Transaction, u8)]) -> (Store, Vec<Transaction>) {
    let (mut store, mut counted, mut hours) = (Store::default(), Vec::new(), 0_i64);
    for (transaction, moves) in steps {
        if store.fold(transaction) != Disposition::Late {
            counted.push(*transaction);
        }
        hours += i64::from(*moves);
        if hours > 0 {
            store.advance(EventTime(hours * HOUR_MS));
        }
    }
    store.advance(EventTime::MAX);
    (store, counted)
}

/// What each day should say of these transactions.
fn sums(transactions: &[Transaction]) -> BTreeMap<i32, StoreDay> {
    let mut days = BTreeMap::<i32, StoreDay>::new();
    for (basket, time) in transactions.iter().filter(|(basket, _)| Kind::of(basket) != Kind::Nothing) {
        days.entry(basket.business_day).or_default().add(basket, *time);
    }
    days
}

proptest! {
    #[test]
    fn the_order_of_transactions_does_not_matter(
        (transactions, shuffled) in prop::collection::vec(transaction(9, 200), 1..60)
            .prop_flat_map(|transactions| (Just(transactions.clone()), Just(transactions).prop_shuffle())),
        hours in prop::option::of(0..60_i64),
    ) {
        let state = |transactions: &[Transaction]| {
            let watermark = hours.map(|hours| EventTime(hours * HOUR_MS));
            let mut store = Store { watermark, ..Store::default() };
            transactions.iter().for_each(|transaction| { store.fold(transaction); });
            (store.state, store.out.len())
        };
        prop_assert_eq!(state(&transactions), state(&shuffled));
    }

    #[test]
    fn the_final_revision_says_all_that_was_not_late_and_nothing_else(steps in steps()) {
        let (store, counted) = run(&steps);
        prop_assert_eq!(&store.state, &None);
        let last = |mut revisions: Vec<Revision>| revisions.pop().map(|(.., figures)| figures);
        let published: BTreeMap<i32, StoreDay> = store
            .revisions()
            .into_iter()
            .filter_map(|(day, revisions)| Some((day, last(revisions)?)))
            .collect();
        prop_assert_eq!(published, sums(&counted));
    }

    #[test]
    fn revisions_count_from_one_and_only_the_last_is_final(steps in steps()) {
        let (store, _) = run(&steps);
        for revisions in store.revisions().values() {
            for (place, (revision, standing, _)) in revisions.iter().enumerate() {
                prop_assert_eq!(u64::from(*revision), place as u64 + 1);
                let is_last = place + 1 == revisions.len();
                prop_assert_eq!(*standing, if is_last { Standing::Final } else { Standing::Open });
            }
        }
    }

    #[test]
    fn a_final_day_never_changes(steps in steps(), afterwards in transaction(6, 200)) {
        let mut store = Store::default();
        let mut hours = 0_i64;
        for (transaction, moves) in &steps {
            store.fold(transaction);
            hours += i64::from(*moves);
            store.advance(EventTime(hours * HOUR_MS));
            let is_final = |(_, standing, _): &Revision| *standing != Standing::Open;
            let revisions = store.revisions();
            let of_day = revisions.get(&afterwards.0.business_day);
            if of_day.is_some_and(|revisions| revisions.iter().any(is_final)) {
                let before = store.state.clone();
                prop_assert_eq!(store.fold(&afterwards), Disposition::Late);
                prop_assert_eq!(&store.state, &before);
            }
        }
    }

    #[test]
    fn a_day_is_published_at_most_once_an_hour_of_the_watermark(steps in steps()) {
        let (mut store, mut hours) = (Store::default(), 0_i64);
        for (transaction, moves) in &steps {
            store.fold(transaction);
            hours += i64::from(*moves);
            let before = store.revisions();
            store.advance(EventTime(hours * HOUR_MS));
            for (day, revisions) in store.revisions() {
                let known = before.get(&day).map_or(0, Vec::len);
                prop_assert!(revisions.len() <= known + usize::from(*moves > 0), "{day}");
            }
        }
    }

    #[test]
    fn as_many_days_are_open_as_the_bound_allows(days in prop::collection::vec(0..400_i32, 1..200)) {
        let mut store = Store::default();
        let basket = |business_day| BasketCopy {
            business_day,
            currency: "EUR",
            is_void: false,
            is_training: false,
            is_offline: false,
            sold_minor: 1,
            returned_minor: 0,
            sold_items: 1,
            returned_items: 0,
            discount_minor: 0,
            coupons: 0,
        };
        let mut counted = 0;
        for day in days {
            counted += u64::from(store.fold(&(basket(day), EventTime(0))) != Disposition::Late);
            let open = store.state.as_ref().map_or(0, StoreDays::open_days);
            prop_assert!(open <= super::days::OPEN_MAX, "{open}");
        }
        store.advance(EventTime::MAX);
        let revisions = store.revisions();
        prop_assert!(revisions.values().all(|revisions| revisions.len() == 1), "each is final once");
        let published: u64 = revisions.values().flatten().map(|(.., figures)| figures.baskets).sum();
        prop_assert_eq!(published, counted);
    }
}
