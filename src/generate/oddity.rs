//! What happens to a record on its way: delays, retries, wrong clocks, broken and unknown content.

use super::random::Random;
use super::settings::Shares;

/// What is odd about a record; at most one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oddity {
    Nothing,
    OutOfOrder,
    Late,
    /// It is sent twice. Of its two arrivals, only the second is counted.
    Duplicate,
    Broken(Fault),
    UnknownName,
    UnknownField,
    Future,
}

/// How a record breaks the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Empty,
    NotJson,
    WrongType,
    MissingField,
}

/// What a record is, as far as it decides what may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// A click that only looks; its name may be an unknown one instead.
    Browsing,
    /// A click on the way to a purchase.
    Buying,
    /// A payment attempt or result.
    Paying,
    /// A payment event of a name that the contract does not know.
    Unknown,
    /// Rung up at a till without a connection: it is uploaded hours later.
    Offline,
    /// Part of a planted pattern, or written with care: nothing happens to it.
    Planted,
}

/// When a record happened (as it says itself) and arrives, and what is odd about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) event_time_ms: i64,
    pub(super) arrival_ms: i64,
    pub(super) oddity: Oddity,
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// An ordinary record arrives 20 to 300 ms after it happened. Two events of one actor are at least
/// 300 ms apart, so that ordinary delays leave them in order.
const DELAY_MS: (i64, i64) = (20, 300);
const OUT_OF_ORDER_MS: (i64, i64) = (1_000, 60_000);
const LATE_MS: (i64, i64) = (HOUR_MS, 3 * HOUR_MS);
const FUTURE_MS: (i64, i64) = (DAY_MS, 5 * DAY_MS);

/// How likely each oddity is.
#[derive(Debug, Clone)]
pub(super) struct Odds {
    /// Upper ends in units of 2⁻³²: a draw below the first is broken, else below the second a
    /// duplicate, …
    ladder: [(Kind, u64); 7],
    unknown: u64,
    start_ms: i64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Broken,
    Duplicate,
    OutOfOrder,
    Unknown,
    Future,
    Late,
    /// In the first hours nothing that happened since the start can arrive late yet. What arrives
    /// late then happened before the start: a click whose time is set back.
    LateFromBefore,
}

impl Odds {
    pub(super) fn new(shares: &Shares, start_ms: i64) -> Odds {
        let mut sum = 0;
        let ladder = [
            (Kind::Broken, shares.broken),
            (Kind::Duplicate, shares.duplicate),
            (Kind::OutOfOrder, shares.out_of_order),
            (Kind::Unknown, shares.unknown),
            (Kind::Future, shares.future),
            (Kind::Late, shares.late),
            (Kind::LateFromBefore, shares.late),
        ]
        .map(|(kind, share)| {
            sum += threshold(share);
            (kind, sum)
        });
        Odds { ladder, unknown: threshold(shares.unknown), start_ms }
    }

    /// Whether something that is as likely as an unknown name happens.
    pub(super) fn unknown(&self, random: &mut Random) -> bool {
        random.bits() >> 32 < self.unknown
    }

    /// The fate of a record of that nature which happens at `now_ms`.
    pub(super) fn fate(&self, nature: Nature, now_ms: i64, random: &mut Random) -> Fate {
        let arrival_ms = now_ms + random.between(DELAY_MS.0, DELAY_MS.1);
        let ordinary = |oddity| Fate { event_time_ms: now_ms, arrival_ms, oddity };
        match nature {
            Nature::Planted => return ordinary(Oddity::Nothing),
            Nature::Unknown => return ordinary(Oddity::UnknownName),
            Nature::Offline => {
                let arrival_ms = now_ms + random.between(LATE_MS.0, LATE_MS.1);
                return Fate { arrival_ms, ..ordinary(Oddity::Late) };
            }
            Nature::Browsing | Nature::Buying | Nature::Paying => {}
        }
        let Some(kind) = self.draw(random) else {
            return ordinary(Oddity::Nothing);
        };
        let is_click = nature != Nature::Paying;
        match kind {
            Kind::Broken => {
                let fault =
                    random.pick(&[Fault::Empty, Fault::NotJson, Fault::WrongType, Fault::MissingField]);
                ordinary(Oddity::Broken(fault))
            }
            Kind::Duplicate => ordinary(Oddity::Duplicate),
            Kind::OutOfOrder => {
                let arrival_ms = now_ms + random.between(OUT_OF_ORDER_MS.0, OUT_OF_ORDER_MS.1);
                Fate { arrival_ms, ..ordinary(Oddity::OutOfOrder) }
            }
            Kind::Unknown if nature == Nature::Browsing && random.per_mille(500) => {
                ordinary(Oddity::UnknownName)
            }
            Kind::Unknown => ordinary(Oddity::UnknownField),
            Kind::Future if is_click => {
                let event_time_ms = now_ms + random.between(FUTURE_MS.0, FUTURE_MS.1);
                Fate { event_time_ms, ..ordinary(Oddity::Future) }
            }
            Kind::Late => {
                let arrival_ms = now_ms + random.between(LATE_MS.0, LATE_MS.1);
                Fate { arrival_ms, ..ordinary(Oddity::Late) }
            }
            Kind::LateFromBefore => {
                let event_time_ms = now_ms - random.between(LATE_MS.0, LATE_MS.1);
                if is_click && (0..self.start_ms).contains(&event_time_ms) {
                    Fate { event_time_ms, ..ordinary(Oddity::Late) }
                } else {
                    ordinary(Oddity::Nothing)
                }
            }
            Kind::Future => ordinary(Oddity::Nothing),
        }
    }

    fn draw(&self, random: &mut Random) -> Option<Kind> {
        let drawn = random.bits() >> 32;
        let (_, highest) = self.ladder.last()?;
        if drawn >= *highest {
            return None;
        }
        self.ladder.iter().find(|(_, up_to)| drawn < *up_to).map(|(kind, _)| *kind)
    }
}

/// A share from 0 to 1 in units of 2⁻³².
fn threshold(share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 2³², checked before"
    )]
    let threshold = (share * 4_294_967_296.0) as u64;
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_767_571_200_000;

    fn fates(shares: Shares, nature: Nature, now_ms: i64) -> Vec<Fate> {
        let odds = Odds::new(&shares, START);
        let mut random = Random::new(11);
        (0..2_000).map(|_| odds.fate(nature, now_ms, &mut random)).collect()
    }

    #[test]
    fn without_shares_nothing_odd_happens() {
        for fate in fates(Shares::NONE, Nature::Browsing, START) {
            assert_eq!((fate.oddity, fate.event_time_ms), (Oddity::Nothing, START));
            assert!((20..300).contains(&(fate.arrival_ms - START)));
        }
    }

    #[test]
    fn a_planted_record_is_left_alone() {
        let everything_broken = Shares { broken: 1.0, ..Shares::NONE };
        for fate in fates(everything_broken, Nature::Planted, START) {
            assert_eq!(fate.oddity, Oddity::Nothing);
        }
    }

    #[test]
    fn delays_stay_within_their_bounds() {
        let now = START + 10 * HOUR_MS;
        let cases = [
            (Shares { out_of_order: 1.0, ..Shares::NONE }, Oddity::OutOfOrder, 1_000..60_000),
            (Shares { late: 1.0, ..Shares::NONE }, Oddity::Late, HOUR_MS..3 * HOUR_MS),
        ];
        for (shares, oddity, delays) in cases {
            for fate in fates(shares, Nature::Paying, now) {
                assert_eq!((fate.oddity, fate.event_time_ms), (oddity, now));
                assert!(delays.contains(&(fate.arrival_ms - now)));
            }
        }
    }

    #[test]
    fn a_future_click_says_so_itself() {
        let future = Shares { future: 1.0, ..Shares::NONE };
        for fate in fates(future, Nature::Buying, START) {
            assert!((DAY_MS..5 * DAY_MS).contains(&(fate.event_time_ms - START)));
        }
        assert!(fates(future, Nature::Paying, START).iter().all(|fate| fate.oddity == Oddity::Nothing));
    }

    #[test]
    fn late_clicks_of_the_first_hours_happened_before_the_start() {
        let half_late = Shares { late: 0.5, ..Shares::NONE };
        let set_back = |now_ms: i64| {
            fates(half_late, Nature::Browsing, now_ms)
                .iter()
                .filter(|fate| fate.event_time_ms < now_ms)
                .inspect(|fate| assert!(fate.event_time_ms < START && fate.oddity == Oddity::Late))
                .count()
        };
        let (at_start, after_two_hours, after_three) =
            (set_back(START), set_back(START + 2 * HOUR_MS), set_back(START + 3 * HOUR_MS));
        assert!((900..1_100).contains(&at_start), "{at_start}");
        assert!((430..570).contains(&after_two_hours), "{after_two_hours}");
        assert_eq!(after_three, 0);
    }
}
