//! Which places of the shop are watched, and when their windows are over.

use super::place::{Beside, Place, subject_of};
use crate::alert::{About, Episodes};
use crate::drift::DriftSettings;
use crate::event::alert::{Alert, Finding};
use crate::event::business::{Figures, ShopPlace};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Stores that are watched at most, and those of which it is seen whether enough is sold: names come from outside.
const STORES_MAX: usize = 300;
const PLACES_MAX: usize = 10_000;
/// A time in which nothing comes from anywhere is not counted beyond this.
const SILENT_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Channels (no store), and their stores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Places {
    places: BTreeMap<ShopPlace, Place>,
    /// When the next window is over.
    next: Option<EventTime>,
    /// The beginning of the newest minute.
    newest: Option<EventTime>,
}

impl Places {
    /// Counts a minute that begins at `start`. What ended before has been judged.
    pub(super) fn count(&mut self, at: ShopPlace, start: EventTime, figures: &Figures) {
        self.newest = self.newest.max(Some(start));
        if let Some(place) = self.places.get_mut(&at) {
            place.count(figures);
        } else if at.store.is_none() || self.places.len() < PLACES_MAX {
            let mut place = Place::new(&at, start);
            place.count(figures);
            self.next = Some(self.next.map_or(place.end(), |next| next.min(place.end())));
            self.places.insert(at, place);
        }
    }

    /// Judges the windows that are over by `now`, in their order. Returns the revisions of episodes that are to be published.
    pub(super) fn judge(
        &mut self,
        now: EventTime,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let Some(newest) = self.newest else { return alerts };
        let over = now.min(newest.plus(SILENT_MAX));
        while let Some(end) = self.next.filter(|end| *end <= over) {
            self.judge_windows(end, settings, episodes, &mut alerts);
            self.places.retain(|at, place| at.store.is_none() || !place.is_idle());
            self.next = self.places.values().map(Place::end).min();
        }
        if self.next.is_some_and(|end| end <= now) {
            self.places.values_mut().for_each(|place| place.skip_to(now));
            self.next = self.places.values().map(Place::end).min();
        }
        alerts
    }

    /// Judges the windows that end at `end`: those of channels before those of their stores, which say nothing of what their channel does.
    fn judge_windows(
        &mut self,
        end: EventTime,
        settings: &DriftSettings,
        episodes: &mut Episodes,
        alerts: &mut Vec<Alert>,
    ) {
        let mut stores = self.stores();
        let mut channels: BTreeMap<&str, (f64, Vec<Finding>)> = BTreeMap::new();
        for (at, place) in &mut self.places {
            let is_store = at.store.is_some();
            if place.end() == end {
                let channel = channels.get(&*at.channel).filter(|_| is_store);
                let share = channel.map_or(1.0, |(baskets, _)| place.baskets() / baskets.max(1.0));
                let of_channel = channel.map_or(&[][..], |(_, findings)| findings);
                let may_begin = !is_store || stores < STORES_MAX;
                let was_watched = place.is_watched();
                let beside = Beside { share, of_channel, may_begin };
                alerts.extend(place.judge(at, beside, settings, episodes));
                stores += usize::from(is_store && place.is_watched() && !was_watched);
            }
            if !is_store {
                channels.insert(&at.channel, (place.baskets(), place.findings()));
            }
        }
    }

    /// How many stores are watched.
    fn stores(&self) -> usize {
        self.places.iter().filter(|(at, place)| at.store.is_some() && place.is_watched()).count()
    }

    /// What is news of the place that the episode is about is as it should be.
    pub(super) fn expect(&mut self, about: &About) {
        let place = self.places.iter_mut().find(|(at, _)| subject_of(at) == about.subject);
        if let Some((_, place)) = place {
            place.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::{AlertStatus, Severity};
    use std::collections::BTreeSet;

    /// Monday at 0:00 UTC.
    const MONDAY_MS: i64 = 4 * 86_400_000;
    const MINUTE_MS: i64 = 60_000;
    const HOUR_MS: i64 = 60 * MINUTE_MS;
    const DAYS: i64 = 21;

    struct Shop {
        places: Places,
        episodes: Episodes,
        told: Vec<Alert>,
    }

    impl Shop {
        /// Ten stores that sell sixty baskets an hour each by day and none by night, for three weeks.
        fn of_three_weeks() -> Shop {
            let (places, episodes) = (Places::default(), Episodes::default());
            let mut shop = Shop { places, episodes, told: Vec::new() };
            shop.play(0..DAYS * 24, |_, _| 1);
            assert_eq!(shop.told.first().map(|alert| &alert.title), None, "as ever");
            shop
        }

        /// Plays hours, in which stores sell so many times as much as usual.
        fn play(&mut self, hours: std::ops::Range<i64>, times: impl Fn(i64, usize) -> u64) {
            for minute in hours.start * 60..hours.end * 60 {
                let start = EventTime(MONDAY_MS + minute * MINUTE_MS);
                self.judge(start);
                let mut channel = Figures::default();
                for store in 0..10_usize {
                    let baskets = baskets(minute, store) * times(minute / 60, store);
                    if baskets > 0 {
                        let figures = Figures { baskets, ..Figures::default() };
                        channel.add(&figures);
                        self.places.count(at(Some(&format!("s{store}"))), start, &figures);
                    }
                }
                if channel.baskets > 0 {
                    self.places.count(at(None), start, &channel);
                }
            }
            self.judge(EventTime(MONDAY_MS + hours.end * HOUR_MS));
        }

        fn judge(&mut self, now: EventTime) {
            let alerts = self.places.judge(now, &DriftSettings::hourly(), &mut self.episodes);
            self.told.extend(alerts);
        }

        fn told_of(&self, subject: &str) -> Option<&Alert> {
            self.told.iter().find(|alert| alert.subject == subject)
        }

        fn subjects(&self) -> BTreeSet<&str> {
            self.told.iter().map(|alert| &*alert.subject).collect()
        }
    }

    fn at(store: Option<&str>) -> ShopPlace {
        ShopPlace { channel: "store".into(), store: store.map(Into::into) }
    }

    /// One a minute from 8:00 to 20:00, and now and then two or none.
    fn baskets(minute: i64, store: usize) -> u64 {
        if !(8..20).contains(&(minute / 60 % 24)) {
            return 0;
        }
        match (minute * 7_919 + i64::try_from(store).expect("few") * 104_729) % 10 {
            0 => 2,
            1 => 0,
            _ => 1,
        }
    }

    /// The hours of the last day, from one to another.
    fn hours(from: i64, until: i64) -> std::ops::Range<i64> {
        DAYS * 24 + from..DAYS * 24 + until
    }

    #[test]
    fn a_store_that_sells_nothing_is_told_by_its_name_within_hours_and_again_when_it_sells() {
        let mut shop = Shop::of_three_weeks();
        shop.play(hours(0, 10), |_, _| 1);
        shop.play(hours(10, 24), |_, store| u64::from(store != 3));
        let first = shop.told_of("business store/s3").expect("it sells nothing");
        let after = first.detected_ms.0 - MONDAY_MS - (DAYS * 24 + 10) * HOUR_MS;
        assert!(after <= 4 * HOUR_MS, "{} minutes later", after / MINUTE_MS);
        assert_eq!(first.findings.first().map(|finding| &*finding.feature), Some("baskets"));
        assert!((first.share - 0.1).abs() < 0.01, "{}", first.share);
        assert!(first.command.contains("store_id=s3"), "{}", first.command);
        assert!(shop.subjects().is_subset(&BTreeSet::from(["business store", "business store/s3"])));
        let is_channel = |alert: &&Alert| alert.subject == "business store";
        let pages = shop.told.iter().filter(is_channel).filter(|alert| alert.severity == Severity::Page);
        assert_eq!(pages.count(), 0, "a tenth of the channel");
        shop.play(hours(24, 48), |_, _| 1);
        let last = shop.told.iter().rfind(|alert| alert.subject == "business store/s3");
        assert_eq!(last.map(|alert| alert.status), Some(AlertStatus::Resolved));
    }

    #[test]
    fn what_all_stores_do_is_told_of_their_channel() {
        let mut shop = Shop::of_three_weeks();
        shop.play(hours(0, 24), |hour, _| u64::from(hour < DAYS * 24 + 10));
        assert_eq!(shop.subjects(), BTreeSet::from(["business store"]));
    }

    #[test]
    fn a_store_that_is_silent_while_its_channel_is_busy_is_told() {
        let mut shop = Shop::of_three_weeks();
        shop.play(hours(0, 24), |_, store| if store == 3 { 0 } else { 2 });
        assert!(shop.told_of("business store").is_some(), "it sells twice as much");
        assert!(shop.told_of("business store/s3").is_some(), "{:?}", shop.subjects());
        assert_eq!(shop.told_of("business store/s4").map(|alert| &alert.title), None);
    }

    #[test]
    fn a_page_about_the_channel_leaves_what_began_with_it_at_a_store_a_ticket() {
        let mut shop = Shop::of_three_weeks();
        // the others sell half
        shop.play(hours(0, 20), |hour, store| match hour - DAYS * 24 {
            ..10 => 1,
            _ => u64::from(store > 4),
        });
        let severity = |subject| {
            let of_it = shop.told.iter().filter(|alert| alert.subject == subject);
            of_it.map(|alert| alert.severity).max()
        };
        assert_eq!(severity("business store"), Some(Severity::Page));
        assert_eq!(severity("business store/s3"), Some(Severity::Ticket));
    }

    #[test]
    fn a_week_of_nothing_is_judged_and_no_more() {
        let mut shop = Shop::of_three_weeks();
        let year = MONDAY_MS + (DAYS + 365) * 24 * HOUR_MS;
        shop.judge(EventTime(year));
        let last = shop.told.last().expect("nothing is sold any more").as_of_ms;
        assert!(last.0 <= MONDAY_MS + (DAYS + 8) * 24 * HOUR_MS, "{}", (last.0 - MONDAY_MS) / HOUR_MS);
        assert!(shop.places.next.is_some_and(|next| next.0 > year), "{:?}", shop.places.next);
    }

    #[test]
    fn what_is_expected_of_a_store_is_told_no_more() {
        let mut shop = Shop::of_three_weeks();
        shop.play(hours(0, 16), |_, store| u64::from(store != 3));
        let about = About::new(crate::event::alert::AlertKind::Business, "business store/s3");
        assert!(shop.told_of(&about.subject).is_some());
        shop.places.expect(&about);
        let told = shop.told.len();
        shop.play(hours(16, 24), |_, store| u64::from(store != 3));
        let later: Vec<_> = shop.told[told..].iter().filter(|alert| alert.subject == about.subject).collect();
        assert!(later.iter().all(|alert| alert.status == AlertStatus::Resolved), "{later:?}");
    }

    #[test]
    fn a_store_of_which_little_is_sold_is_not_watched_and_forgotten_after_weeks() {
        let mut places = Places::default();
        let mut episodes = Episodes::default();
        let mut play = |places: &mut Places, minutes: std::ops::Range<i64>, is_small_open: bool| {
            for minute in minutes {
                let start = EventTime(MONDAY_MS + minute * MINUTE_MS);
                places.judge(start, &DriftSettings::hourly(), &mut episodes);
                let one = Figures { baskets: 1, ..Figures::default() };
                places.count(at(Some("large")), start, &one);
                if is_small_open && minute % 5 == 0 {
                    places.count(at(Some("small")), start, &one);
                }
            }
        };
        let day = 24 * 60;
        play(&mut places, 0..day, true);
        let small = at(Some("small"));
        assert_eq!((places.stores(), places.places.contains_key(&small)), (1, true));
        play(&mut places, day..day * 28, false);
        assert_eq!((places.stores(), places.places.contains_key(&small)), (1, false));
    }
}
