//! Whose customer a visitor, a card or a loyalty number is: known from a login or a loyalty card, and from its time on.
//!
//! A link says that the customer who logged in last was there. It ends when nobody has logged in for the horizon, and it
//! says nothing where many come and go: a terminal in a shop must not make one customer of strangers.
//! The other way round, a customer is the visitor as whom it logged in last.
//! Memory: at most 16 logins of an entity each way, about 50 bytes each.

#![expect(clippy::indexing_slicing, reason = "places come from a search in the same list")]

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Logins of an entity that are kept: the newest,
const LOGINS_MAX: usize = 16;
/// and of these the newest of each customer: one who logs in again and again does not hide the others.
const LOGINS_OF_ONE_MAX: usize = 4;
/// How many customers may be told apart, so that one more would be seen.
pub const CUSTOMERS_MOST: u32 = 3;

/// What a link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSettings {
    /// For how long after a login its customer is taken to be there.
    pub horizon: Duration,
    /// Within which time before an event so many customers make an entity a shared one.
    pub shared_within: Duration,
    /// How many customers may log in within that time for an entity to be linked at all.
    pub customers_max: usize,
}

/// Who has logged in at an entity, and, of a customer, where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The timer that is set. First, so that a restore finds it without decoding the rest.
    timer: Option<EventTime>,
    customers: Logins,
    visitors: Logins,
}

/// When, and who or where; in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Logins(Vec<(EventTime, Box<str>)>);

impl Links {
    /// The timer that is set.
    #[must_use]
    pub fn timer(&self) -> Option<EventTime> {
        self.timer
    }

    /// `customer` has logged in here at `time`.
    pub fn add_customer(&mut self, customer: &str, time: EventTime) {
        self.customers.add(customer, time);
    }

    /// This customer has logged in as `visitor` at `time`.
    pub fn add_visitor(&mut self, visitor: &str, time: EventTime) {
        self.visitors.add(visitor, time);
    }

    /// Whose an event at `time` is, as far as is known: the customer of the last login before it, unless that lies more than the
    /// horizon back, or too many customers have logged in within the time that makes an entity a shared one.
    #[must_use]
    pub fn customer(&self, time: EventTime, settings: LinkSettings) -> Option<&str> {
        let customer = self.customers.last(time, settings.horizon)?;
        let most = settings.customers_max;
        let are_few = self.customers.within(time, settings.shared_within) <= most;
        (most > 0 && are_few).then_some(customer)
    }

    /// As which visitor this customer logged in last before `time`, unless that lies more than the horizon back.
    #[must_use]
    pub fn visitor(&self, time: EventTime, settings: LinkSettings) -> Option<&str> {
        self.visitors.last(time, settings.horizon).filter(|_| settings.customers_max > 0)
    }

    /// Sets the timer at which it can be forgotten; returns it where it has moved.
    pub fn arm(&mut self, settings: LinkSettings) -> Option<EventTime> {
        let newest = self.customers.newest().max(self.visitors.newest())?;
        let moves = self.timer.is_none();
        moves.then(|| *self.timer.insert(newest.plus(settings.horizon)))
    }

    /// The timer was fired at `watermark`: what no event is linked by any more is forgotten. Returns the timer to set, none if
    /// nothing is left.
    pub fn forget(&mut self, watermark: EventTime, settings: LinkSettings) -> Option<EventTime> {
        self.timer = None;
        self.customers.forget(watermark, settings.horizon);
        self.visitors.forget(watermark, settings.horizon);
        self.arm(settings)
    }
}

impl Logins {
    fn add(&mut self, who: &str, time: EventTime) {
        let Logins(logins) = self;
        let place = logins.partition_point(|(at, known)| (*at, &**known) < (time, who));
        let is_known = logins.get(place).is_some_and(|(at, known)| *at == time && **known == *who);
        if is_known {
            return;
        }
        logins.insert(place, (time, who.into()));
        let of_one = logins.iter().filter(|(_, known)| **known == *who).count();
        let oldest = logins.iter().position(|(_, known)| of_one <= LOGINS_OF_ONE_MAX || **known == *who);
        if of_one > LOGINS_OF_ONE_MAX || logins.len() > LOGINS_MAX {
            logins.remove(oldest.unwrap_or(0));
        }
    }

    fn newest(&self) -> Option<EventTime> {
        self.0.last().map(|(at, _)| *at)
    }

    /// Those at or before `time`.
    fn before(&self, time: EventTime) -> &[(EventTime, Box<str>)] {
        &self.0[..self.0.partition_point(|(at, _)| *at <= time)]
    }

    /// The last at or before `time`, unless it lies more than the horizon back.
    fn last(&self, time: EventTime, horizon: Duration) -> Option<&str> {
        let (at, who) = self.before(time).last()?;
        (*at >= time.minus(horizon)).then_some(&**who)
    }

    /// How many different ones there are in a span before `time`.
    fn within(&self, time: EventTime, span: Duration) -> usize {
        let recent = self.before(time).iter().rev().take_while(|(at, _)| *at > time.minus(span));
        recent.map(|(_, who)| who).collect::<BTreeSet<_>>().len()
    }

    fn forget(&mut self, watermark: EventTime, horizon: Duration) {
        // an event behind the watermark may still come
        let over = self.0.partition_point(|(at, _)| at.plus(horizon) <= watermark);
        self.0.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const SETTINGS: LinkSettings = LinkSettings {
        horizon: Duration::from_secs(30 * 86_400),
        shared_within: Duration::from_secs(86_400),
        customers_max: 2,
    };

    fn links(logins: &[(&str, i64)]) -> Links {
        let mut links = Links::default();
        for (customer, hour) in logins {
            links.add_customer(customer, EventTime(hour * HOUR));
        }
        links
    }

    fn customer(links: &Links, hour: i64) -> Option<&str> {
        links.customer(EventTime(hour * HOUR), SETTINGS)
    }

    #[test]
    fn a_login_links_from_its_time_on_until_the_next_or_the_horizon() {
        let links = links(&[("ada", 100), ("bob", 200)]);
        let cases = [
            (99, None),
            (100, Some("ada")),
            (199, Some("ada")),
            (200, Some("bob")),
            (200 + 720, Some("bob")),
        ];
        for (hour, expected) in cases {
            assert_eq!(customer(&links, hour), expected, "{hour}");
        }
        assert_eq!(customer(&links, 200 + 721), None);
        let off = LinkSettings { customers_max: 0, ..SETTINGS };
        assert_eq!(
            links.customer(EventTime(300 * HOUR), off),
            None,
            "nor does anything while linking is off"
        );
    }

    #[test]
    fn where_more_than_two_customers_come_and_go_within_a_day_nobody_is_linked() {
        let links = links(&[("ada", 0), ("bob", 1), ("cleo", 2), ("cleo", 30)]);
        let cases = [
            (1, Some("bob")),
            (2, None),
            (23, None),
            // ada's login is a day ago
            (24, Some("cleo")),
            (30, Some("cleo")),
        ];
        for (hour, expected) in cases {
            assert_eq!(customer(&links, hour), expected, "{hour}");
        }
    }

    #[test]
    fn logins_are_kept_alike_in_whatever_order_they_come() {
        let told = [
            ("ada", 1),
            ("ada", 2),
            ("bob", 3),
            ("bob", 9),
            ("ada", 5),
            ("cleo", 40),
            ("cleo", 41),
            ("cleo", 42),
        ];
        let expected: Vec<_> = (0..80).map(|hour| customer(&links(&told), hour).map(str::to_owned)).collect();
        let mut order = told;
        for turn in 0..told.len() {
            order.rotate_left(1);
            order.swap(0, turn);
            let found: Vec<_> =
                (0..80).map(|hour| customer(&links(&order), hour).map(str::to_owned)).collect();
            assert_eq!(found, expected, "{order:?}");
        }
    }

    #[test]
    fn one_who_logs_in_again_and_again_does_not_hide_the_others() {
        let told: Vec<_> = (0..1_000).map(|hour| ("ada", hour)).collect();
        let links = links(&told);
        assert_eq!(links.customers.0.len(), LOGINS_OF_ONE_MAX);
        assert_eq!(customer(&links, 999 + 720), Some("ada"));
        let mut backwards = told.clone();
        backwards.reverse();
        assert_eq!(self::links(&backwards), links);
        let mut kiosk: Vec<_> = (2..22).map(|hour| ("cleo", hour)).collect();
        kiosk.extend([("ada", 0), ("bob", 1)]);
        kiosk.sort_by_key(|(_, hour)| *hour);
        assert_eq!(customer(&self::links(&kiosk), 22), None, "three customers within a day");
    }

    #[test]
    fn it_is_forgotten_when_its_newest_login_is_beyond_the_horizon() {
        let mut links = links(&[("ada", 0), ("bob", 10)]);
        let end = |hour: i64| EventTime((hour + 720) * HOUR);
        assert_eq!(links.arm(SETTINGS), Some(end(10)));
        links.add_customer("ada", EventTime(20 * HOUR));
        assert_eq!(links.arm(SETTINGS), None, "it is looked at when the timer that is set is fired");
        assert_eq!(links.forget(end(10), SETTINGS), Some(end(20)));
        assert_eq!(customer(&links, 20), Some("ada"));
        assert_eq!(links.forget(end(20), SETTINGS), None);
    }

    #[test]
    fn a_customer_is_the_visitor_of_the_last_login_wherever_else_it_logged_in() {
        let mut links = Links::default();
        for (visitor, hour) in [("phone", 1), ("laptop", 2), ("tablet", 3), ("phone", 4)] {
            links.add_visitor(visitor, EventTime(hour * HOUR));
        }
        let visitor = |hour: i64, customers_max| {
            links.visitor(EventTime(hour * HOUR), LinkSettings { customers_max, ..SETTINGS })
        };
        let cases = [(0, None), (2, Some("laptop")), (9, Some("phone")), (724, Some("phone")), (725, None)];
        for (hour, expected) in cases {
            assert_eq!(visitor(hour, 1), expected, "{hour}");
        }
        assert_eq!(visitor(9, 0), None, "linking is off");
        assert_eq!(customer(&links, 9), None, "the two directions are apart");
        let mut both = links.clone();
        both.add_customer("ada", EventTime(8 * HOUR));
        assert_eq!(both.arm(SETTINGS), Some(EventTime((8 + 720) * HOUR)), "the later of both");
    }
}
