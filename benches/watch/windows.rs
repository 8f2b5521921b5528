//! A hundred fields under the engine's own eyes: whole windows, from profiles to alerts.

use crate::streams::Random;
use std::path::Path;
use std::time::Duration;
use tillstream::alert::Episodes;
use tillstream::config::{Tree, resolve};
use tillstream::drift::DriftSettings;
use tillstream::drift::profile::{Observed, Profile, WindowProfile};
use tillstream::event::alert::AlertStatus;
use tillstream::monitor::drift::{Fields, Windows};
use tillstream::time::EventTime;

const FIELDS: u32 = 100;
/// Records in a window of an hour.
const RECORDS: usize = 500;
const WEEK: i64 = 168;

/// A stream of which nothing is known but its values.
struct Plain;

impl Fields for Plain {}

#[derive(Clone)]
struct Shop {
    random: Random,
    names: Vec<String>,
    settings: DriftSettings,
    windows: Windows,
    episodes: Episodes,
    hour: i64,
}

impl Shop {
    fn new(seed: u64) -> Shop {
        let names = (0..FIELDS).map(|id| format!("field_{id}")).collect();
        let settings =
            resolve(&Tree::default(), Path::new(".")).expect("the defaults are good").fold.drift.clone();
        let (windows, episodes) = (Windows::default(), Episodes::default());
        Shop { random: Random(seed), names, settings, windows, episodes, hour: 0 }
    }

    /// Plays an hour in which the first field is shifted by so many standard deviations. Whether it, and whether another, is in an alert.
    fn hour(&mut self, shift: f64) -> [bool; 2] {
        let mut profile = Profile::default();
        for _ in 0..RECORDS {
            let random = &mut self.random;
            let value = |id: u32| (id, Observed::Number(random.normal() + if id == 0 { shift } else { 0.0 }));
            profile.add((0..FIELDS).map(value), None, |id| &self.names[id as usize]);
        }
        let start =
            EventTime(0).plus(Duration::from_secs(3_600) * u32::try_from(self.hour).expect("some weeks"));
        self.hour += 1;
        self.windows.take(WindowProfile { stream: "shop".into(), start, segment: None, profile });
        let watermark = start.plus(self.settings.window).plus(self.settings.allowed_lateness);
        let judged = self.windows.judge(watermark, &self.settings, &mut self.episodes, &Plain);
        let open = judged.alerts.iter().filter(|alert| alert.status == AlertStatus::Open);
        let mut told = [false; 2];
        for finding in open.flat_map(|alert| &alert.findings) {
            told[usize::from(finding.feature != self.names[0])] = true;
        }
        told
    }
}

/// Of four weeks after two, in how many windows an alert stands; and after how many windows one field of a hundred that shifts by half a
/// deviation is told of, in so many tries.
pub(crate) struct Reached {
    pub(crate) windows: usize,
    pub(crate) with_alert: usize,
    pub(crate) found_after: Vec<Option<usize>>,
}

pub(crate) fn hundred_fields(tries: u64) -> Reached {
    let mut shop = Shop::new(32_452_843);
    for _ in 0..2 * WEEK {
        shop.hour(0.0);
    }
    let learned = shop.clone();
    let told = (0..4 * WEEK).filter(|_| shop.hour(0.0).contains(&true)).count();
    let after = |seed: u64| {
        let mut shop = Shop { random: Random(49_979_687 + seed), ..learned.clone() };
        (1..=24).find(|_| shop.hour(0.5)[0])
    };
    Reached { windows: 4 * WEEK as usize, with_alert: told, found_after: (0..tries).map(after).collect() }
}
