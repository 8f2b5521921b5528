//! How busy the shop is in each hour of the week.

use std::ops::Range;

const HOUR_MS: f64 = 3_600_000.0;
const HOURS: usize = 168;
const WEEK_MS: f64 = 168.0 * HOUR_MS;

/// Monday to Friday, hour by hour: quiet nights, busy evenings.
const WORKDAY: [u16; 24] = [
    30, 18, 12, 10, 10, 16, 32, 55, 75, 88, 95, 100, 108, 102, 98, 98, 104, 116, 134, 152, 164, 150, 104, 60,
];

/// Saturday and Sunday: later mornings, busy from then on.
const WEEKEND: [u16; 24] = [
    45, 28, 18, 13, 11, 13, 22, 42, 78, 118, 150, 168, 166, 160, 160, 164, 166, 162, 160, 164, 168, 140, 96,
    58,
];

/// The intensity of each hour of the week relative to their mean, from Monday 00:00 UTC on.
///
/// 168 numbers > 0 of mean 1, the same in every week.
#[must_use]
pub fn hour_of_week_intensity() -> [f64; HOURS] {
    let weekdays = [WORKDAY, WORKDAY, WORKDAY, WORKDAY, WORKDAY, WEEKEND, WEEKEND];
    let mut hours = [0.0; HOURS];
    for (hour, weight) in hours.iter_mut().zip(weekdays.concat()) {
        *hour = f64::from(weight);
    }
    let sum: f64 = hours.iter().sum();
    hours.map(|weight| weight * 168.0 / sum)
}

/// Time as the shop feels it: the *mass* of a span is its length in milliseconds, weighted by
/// intensity.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    intensity: [f64; HOURS],
}

impl Profile {
    pub(super) fn new() -> Profile {
        Profile { intensity: hour_of_week_intensity() }
    }

    /// The time (milliseconds since the epoch) at which `mass` has passed since `from`.
    pub(super) fn after(&self, from: f64, mass: f64) -> f64 {
        let weeks = (mass / WEEK_MS).floor();
        let mut left = mass - weeks * WEEK_MS;
        let mut now = from + weeks * WEEK_MS;
        loop {
            let (hour, intensity) = self.hour_of(now);
            let rest = (hour.end - now) * intensity;
            if left < rest {
                return now + left / intensity;
            }
            left -= rest;
            now = hour.end;
        }
    }

    /// The hour around `time`, and its intensity.
    fn hour_of(&self, time: f64) -> (Range<f64>, f64) {
        let hour = (time / HOUR_MS).floor();
        // 1970-01-01 was a Thursday: 72 hours after a Monday.
        let hour_of_week = (hour + 72.0).rem_euclid(168.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number in [0, 168)"
        )]
        let intensity = self.intensity.get(hour_of_week as usize);
        (hour * HOUR_MS..(hour + 1.0) * HOUR_MS, *intensity.expect("the week has 168 hours"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05T00:00:00Z, a Monday.
    const MONDAY: f64 = 1_767_571_200_000.0;

    #[test]
    fn the_profile_has_mean_one_quiet_nights_and_busy_evenings() {
        let week = hour_of_week_intensity();
        assert!((week.iter().sum::<f64>() - 168.0).abs() < 1e-9);
        assert!(week.iter().all(|&hour| hour > 0.0));
        assert!(week[3] < 0.2 && week[20] > 1.5, "Monday at 3 and at 20");
        assert!(week[5 * 24 + 11] > week[11], "Saturday's morning is busier than Monday's");
    }

    #[test]
    fn a_week_of_mass_takes_a_week() {
        let profile = Profile::new();
        for offset in [0.0, 1.0, 5.5 * HOUR_MS, 167.9 * HOUR_MS] {
            let end = profile.after(MONDAY + offset, 2.0 * WEEK_MS);
            assert!((end - MONDAY - offset - 2.0 * WEEK_MS).abs() < 1e-3, "from {offset}");
        }
    }

    #[test]
    fn mass_passes_slowly_at_night_across_the_hour() {
        let profile = Profile::new();
        let week = hour_of_week_intensity();
        let cases = [
            ("within the hour", 0.0, week[0] * HOUR_MS / 2.0, HOUR_MS / 2.0),
            ("to its end", 0.0, week[0] * HOUR_MS, HOUR_MS),
            ("beyond it", 0.0, (week[0] + week[1] / 4.0) * HOUR_MS, 1.25 * HOUR_MS),
            ("across the week", 167.5 * HOUR_MS, (week[167] + week[0]) / 2.0 * HOUR_MS, 168.5 * HOUR_MS),
        ];
        for (name, from, mass, expected) in cases {
            let end = profile.after(MONDAY + from, mass) - MONDAY;
            assert!((end - expected).abs() < 1e-2, "{name}: {end} instead of {expected}");
        }
    }
}
