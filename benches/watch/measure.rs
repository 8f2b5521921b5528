//! The measurements.

use crate::streams::{Random, Stream, Week, suite as streams_of};
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use tillstream::drift::watch::{Change, Kind, Phase, Season, Standing, Watch, WatchSettings};

const MAX_DELAY: usize = 3_000;

pub(crate) fn settings_for(kind: Kind, periods: &[u64]) -> WatchSettings {
    let season = match periods {
        [] => None,
        [_] => Some(Season { days: 1, slots_per_day: 24 }),
        [day, .., cycle] => Some(Season { days: (cycle / day) as u16, slots_per_day: 24 }),
    };
    let mut settings = WatchSettings::new(kind);
    settings.season = season;
    if let Ok(time) = std::env::var("MTFA") {
        settings.samples_between_false_alarms = time.parse().unwrap();
    }
    settings
}

pub(crate) fn watch_for(is_binary: bool, periods: &[u64]) -> Watch {
    Watch::new(settings_for(if is_binary { Kind::Rate } else { Kind::Value }, periods))
}

fn phase(at: usize, periods: &[u64]) -> Option<Phase> {
    periods.last().map(|cycle| Phase::new(at as u64, *cycle))
}

pub(crate) fn alarms(watch: &mut Watch, values: &[f64], periods: &[u64]) -> Vec<usize> {
    (0..values.len()).filter(|at| alarm(watch.update(values[*at], phase(*at, periods))).is_some()).collect()
}

/// As [`phase`], but with nine times as many samples in the busiest hour as in the quietest if the stream is uneven.
fn phase_of(name: &str, at: usize, periods: &[u64]) -> Option<Phase> {
    if !name.contains("uneven") {
        return phase(at, periods);
    }
    let passed = at as f64 / 2_000.0;
    Some(Phase::new(((passed + 0.8 / TAU * (TAU * passed).sin()) * 1e6) as u64, 1_000_000))
}

/// How many alarms there are in so many samples.
pub(crate) fn count_alarms(watch: &mut Watch, samples: usize, mut next: impl FnMut() -> f64) -> usize {
    (0..samples).filter(|_| alarm(watch.update(next(), None)).is_some()).count()
}

fn alarm(change: Option<Change>) -> Option<Change> {
    change.filter(|change| change.standing == Standing::New)
}

#[derive(Default)]
pub(crate) struct Score {
    streams: f64,
    macro_sum: f64,
    windows: usize,
    found: usize,
    wrong: usize,
    outside: usize,
    delays: Vec<f64>,
}

impl Score {
    /// As `score_vectors.py` does it.
    pub(crate) fn add(&mut self, stream: &Stream, alarms: &[usize]) {
        let n = stream.values.len();
        let ends = stream.changes.iter().skip(1).copied().chain([n]);
        let windows: Vec<(usize, usize)> =
            stream.changes.iter().zip(ends).map(|(c, next)| (*c, (c + MAX_DELAY).min(next).min(n))).collect();
        let mut seen = vec![false; windows.len()];
        let mut wrong = 0;
        for at in alarms {
            match windows.iter().position(|(from, to)| (from..to).contains(&at)) {
                None => wrong += 1,
                Some(window) if !seen[window] => {
                    seen[window] = true;
                    self.delays.push((at - windows[window].0) as f64);
                }
                Some(_) => {}
            }
        }
        let found = seen.iter().filter(|is_seen| **is_seen).count();
        self.streams += 1.0;
        self.macro_sum += if windows.is_empty() {
            f64::from(u8::from(wrong == 0))
        } else {
            2.0 * found as f64 / (windows.len() + found + wrong) as f64
        };
        self.windows += windows.len();
        self.found += found;
        self.wrong += wrong;
        self.outside += n - windows.iter().map(|(from, to)| to - from).sum::<usize>();
    }

    /// The mean over streams.
    pub(crate) fn macro_score(&self) -> f64 {
        self.macro_sum / self.streams
    }

    /// Over all streams together.
    pub(crate) fn f1(&self) -> f64 {
        2.0 * self.found as f64 / (self.windows + self.found + self.wrong) as f64
    }

    /// In 10,000 samples outside of what follows changes.
    pub(crate) fn false_alarms(&self) -> f64 {
        1e4 * self.wrong as f64 / self.outside as f64
    }

    fn print(&self, name: &str) {
        println!(
            "{name:16} macro {:.3}  F1 {:.3}  precision {:.3}  recall {:.3}  FA/10k {:.3}  median delay {:.0}  mean {:.0}",
            self.macro_score(),
            self.f1(),
            self.found as f64 / (self.found + self.wrong) as f64,
            self.found as f64 / self.windows as f64,
            self.false_alarms(),
            at_share(&self.delays, 0.5),
            self.delays.iter().sum::<f64>() / self.delays.len() as f64,
        );
    }
}

/// Own streams of the kinds of the vectors.
pub(crate) fn suite(seeds: u64, first: u64) {
    for ((is_other, name), score) in &scores_of(seeds, first) {
        score.print(&format!("{} {name}", if *is_other { "o" } else { "b" }));
    }
}

pub(crate) fn scores_of(seeds: u64, first: u64) -> BTreeMap<(bool, &'static str), Score> {
    let mut scores: BTreeMap<(bool, &str), Score> = BTreeMap::new();
    for seed in first..first + seeds {
        for stream in streams_of(seed) {
            let at =
                alarms(&mut watch_for(stream.is_binary, &stream.periods), &stream.values, &stream.periods);
            for name in [stream.kind, "= all"] {
                scores.entry((!stream.is_binary, name)).or_default().add(&stream, &at);
            }
        }
    }
    scores
}

/// Mean time between false alarms on streams that never change.
pub(crate) fn quiet(samples: u64, seeds: u64) {
    let only = std::env::var("ONLY").unwrap_or_default();
    let measure =
        |name: &str, kind: Kind, periods: &[u64], make: &dyn Fn(u64) -> Box<dyn FnMut(usize) -> f64>| {
            if !name.contains(&only) {
                return;
            }
            let (mut count, mut directions) = (0_u64, BTreeMap::<String, u64>::new());
            for seed in 1..=seeds {
                let mut next = make(seed);
                let mut watch = Watch::new(settings_for(kind, periods));
                for at in 0..samples as usize {
                    if let Some(change) = alarm(watch.update(next(at), phase_of(name, at, periods))) {
                        count += 1;
                        *directions.entry(format!("{:?}", change.direction)).or_default() += 1;
                        let octave = 64 - change.onset_samples_ago.leading_zeros();
                        *directions.entry(format!("2^{octave:02}")).or_default() += 1;
                    }
                }
            }
            println!(
                "{name:26} {count:5} alarms in {:.1e}: one per {:9.3e}  {directions:?}",
                (samples * seeds) as f64,
                (samples * seeds) as f64 / count.max(1) as f64
            );
        };
    for p in [0.001, 0.005, 0.02, 0.1, 0.3, 0.5, 0.9] {
        measure(&format!("rate {p}"), Kind::Rate, &[], &|seed| {
            let mut r = Random(seed * 7_919);
            Box::new(move |_| r.hit(p))
        });
    }
    for mean in [0.05, 1.0, 20.0] {
        measure(&format!("counts {mean}"), Kind::Count, &[], &|seed| {
            let mut r = Random(seed * 7_919);
            Box::new(move |_| r.poisson(mean))
        });
    }
    measure("overdispersed counts", Kind::Count, &[], &|seed| {
        let mut r = Random(seed * 7_919);
        Box::new(move |_| {
            let mean = 10.0 * (0.4 * r.normal()).exp();
            r.poisson(mean)
        })
    });
    let value = |name: &str, make: fn(&mut Random, &mut f64) -> f64| {
        measure(name, Kind::Value, &[], &|seed| {
            let (mut r, mut last) = (Random(seed * 7_919), 0.0);
            Box::new(move |_| make(&mut r, &mut last))
        });
    };
    value("value normal", |r, _| r.normal());
    value("value uniform", |r, _| r.uniform());
    value("value lognormal 1", |r, _| r.normal().exp());
    value("value cauchy", |r, _| r.normal() / r.normal());
    value("value poisson 3", |r, _| r.poisson(3.0));
    value("value poisson .2", |r, _| r.poisson(0.2));
    value("value outliers", |r, _| r.normal() * if r.uniform() < 0.01 { 20.0 } else { 1.0 });
    value("value autoregressive .5", |r, last| {
        *last = 0.5 * *last + r.normal();
        *last
    });
    value("value autoregressive .9", |r, last| {
        *last = 0.9 * *last + r.normal();
        *last
    });
    value("value autoregressive .97", |r, last| {
        *last = 0.97 * *last + r.normal();
        *last
    });
    value("value volatile", |r, last| {
        *last = 0.95 * *last + 0.2 * r.normal();
        r.normal() * last.exp()
    });
    measure("rate seasonal", Kind::Rate, &[2_000], &|seed| {
        let mut r = Random(seed * 7_919);
        Box::new(move |at| r.hit(0.05 * (1.0 + 0.6 * (TAU * at as f64 / 2_000.0).sin())))
    });
    measure("rate seasonal, uneven", Kind::Rate, &[2_000], &|seed| {
        let mut r = Random(seed * 7_919);
        Box::new(move |at| r.hit(0.05 * (1.0 + 0.6 * (TAU * at as f64 / 2_000.0).sin())))
    });
    for kind in [Kind::Count, Kind::Value] {
        measure(&format!("{kind:?} weekly counts"), kind, &[288, 2_016], &|seed| {
            let mut r = Random(seed * 7_919);
            let week = Week::new(&mut r);
            Box::new(move |at| week.count(&mut r, at, 1.0))
        });
    }
}

/// What came of one change in each of many streams.
#[derive(Default)]
pub(crate) struct Delays {
    delays: Vec<f64>,
    onset_off: Vec<f64>,
    missed: usize,
    early: usize,
    streams: usize,
    directions: BTreeMap<String, usize>,
}

impl Delays {
    pub(crate) fn mean(&self) -> f64 {
        self.delays.iter().sum::<f64>() / self.delays.len() as f64
    }

    /// Whether every change was found.
    pub(crate) fn found_all(&self) -> bool {
        self.missed == 0
    }

    /// For a table.
    pub(crate) fn in_short(&self) -> String {
        let (mean, late) = (self.mean(), self.at(0.95));
        let others = match (self.missed, self.early) {
            (0, 0) => String::new(),
            (missed, early) => format!(" ({missed} missed, {early} told before, of {})", self.streams),
        };
        format!("{mean:.0} in the mean, {late:.0} at 95 %{others}")
    }

    fn at(&self, share: f64) -> f64 {
        at_share(&self.delays, share)
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            to,
            "mean {:6.0}  median {:6.0}  95 % {:6.0}  onset off by (median) {:4.0}  missed {}  false before {}  of {}  {:?}",
            self.mean(),
            self.at(0.5),
            self.at(0.95),
            at_share(&self.onset_off, 0.5),
            self.missed,
            self.early,
            self.streams,
            self.directions
        )
    }
}

fn at_share(of: &[f64], share: f64) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((of.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(f64::NAN)
}

/// A stream's place of change, and its length after that.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pub(crate) at: usize,
    pub(crate) after: usize,
}

/// The first alarm after the change in streams of `seeds` seeds.
pub(crate) fn delays_of(
    kind: Kind,
    periods: &[u64],
    places: Places,
    seeds: u64,
    make: impl Fn(&mut Random, usize) -> f64,
) -> Delays {
    let mut all = Delays { streams: seeds as usize, ..Delays::default() };
    for seed in 1..=seeds {
        let mut r = Random(seed * 104_729);
        let mut watch = Watch::new(settings_for(kind, periods));
        let mut found = None;
        for i in 0..places.at + places.after {
            let change = alarm(watch.update(make(&mut r, i), phase(i, periods)));
            if i < places.at {
                all.early += usize::from(change.is_some());
            } else if let Some(change) = change {
                found = Some((i - places.at + 1, change));
                break;
            }
        }
        let Some((delay, change)) = found else {
            all.missed += 1;
            continue;
        };
        all.delays.push(delay as f64);
        all.onset_off.push((delay as f64 - change.onset_samples_ago as f64).abs());
        *all.directions.entry(format!("{:?}", change.direction)).or_default() += 1;
    }
    all
}

pub(crate) fn rate_delays(from: f64, to: f64, places: Places, seeds: u64) -> Delays {
    delays_of(Kind::Rate, &[], places, seeds, |r, i| r.hit(if i < places.at { from } else { to }))
}

pub(crate) fn weekly(r: &mut Random, i: usize) -> f64 {
    // 20 per five minutes in the mean, as in the project's streams
    let week = if (i / 288) % 7 >= 5 { 1.3 } else { 0.9 };
    r.poisson(weekly_mean(i, week))
}

fn weekly_mean(i: usize, week: f64) -> f64 {
    20.0 * (1.0 + 0.6 * (TAU * (i as f64 / 288.0 - 0.35)).sin()) * week
}

pub(crate) fn weekly_delays(kind: Kind, factor: f64, at: usize, seeds: u64) -> Delays {
    delays_of(kind, &[288, 2_016], Places { at, after: 2_000 }, seeds, |r, i| {
        let week = if (i / 288) % 7 >= 5 { 1.3 } else { 0.9 };
        r.poisson(weekly_mean(i, week) * if i < at { 1.0 } else { factor })
    })
}

/// Delays after one change, and how many were missed or came too early.
pub(crate) fn delays(seeds: u64) {
    let places = Places { at: 30_000, after: 60_000 };
    for (p, q) in FRAUD {
        println!("{:36}{}", format!("fraud {p} -> {q} after 30,000"), rate_delays(p, q, places, seeds));
    }
    let places = Places { at: 10_000, after: 20_000 };
    for (p, q) in [(0.1, 0.2), (0.2, 0.5), (0.1, 0.12), (0.02, 0.04), (0.3, 0.1), (0.04, 0.02)] {
        println!("{:36}{}", format!("rate {p} -> {q} after 10,000"), rate_delays(p, q, places, seeds));
    }
    let places = Places { at: 5_000, after: 5_000 };
    let after = |i: usize| i >= places.at;
    for shift in [0.25, 0.5, 1.0, 3.0] {
        let delays = delays_of(Kind::Value, &[], places, seeds, |r, i| {
            r.normal() + if after(i) { shift } else { 0.0 }
        });
        println!("{:36}{delays}", format!("normal, mean +{shift} after 5,000"));
    }
    for scale in [1.5, 2.0, 3.0, 0.667] {
        let delays = delays_of(Kind::Value, &[], places, seeds, |r, i| {
            r.normal() * if after(i) { scale } else { 1.0 }
        });
        println!("{:36}{delays}", format!("normal, spread x{scale} after 5,000"));
    }
    let delays = delays_of(Kind::Value, &[], places, seeds, |r, i| {
        (3.0 + 0.8 * r.normal()).exp() * if after(i) { 1.25 } else { 1.0 }
    });
    println!("{:36}{delays}", "lognormal price x1.25 after 5,000");
    for (kind, factor) in [(Kind::Count, 0.75), (Kind::Count, 1.25), (Kind::Value, 0.75), (Kind::Value, 1.25)]
    {
        for at in [14 * 288 + 700, 21 * 288 + 700, 21 * 288 + 1_000] {
            println!(
                "{:36}{}",
                format!("{kind:?} weekly x{factor} at {at}"),
                weekly_delays(kind, factor, at, seeds)
            );
        }
    }
    let places = Places { at: 14_000, after: 10_000 };
    for (mean, drop) in [(0.05, 0.6), (0.05, 1.4), (0.1, 0.6), (0.1, 0.5), (0.1, 1.4), (0.1, 1.5)] {
        let delays = delays_of(Kind::Rate, &[2_000], places, seeds, |r, i| {
            let rate = mean * (1.0 + 0.6 * (TAU * i as f64 / 2_000.0).sin());
            r.hit(rate * if i < places.at { 1.0 } else { drop })
        });
        println!("{:36}{delays}", format!("daily rate {mean} x{drop} after 14,000"));
    }
}

const FRAUD: [(f64, f64); 6] =
    [(0.005, 0.01), (0.01, 0.005), (0.005, 0.02), (0.02, 0.005), (0.005, 0.0025), (0.001, 0.002)];

/// Time per update without alarms.
pub(crate) fn speed() {
    println!("a watch without what it has on the heap: {} bytes", size_of::<Watch>());
    for (name, kind, periods) in [
        ("rate", Kind::Rate, &[][..]),
        ("value", Kind::Value, &[]),
        ("count", Kind::Count, &[]),
        ("rate in a season", Kind::Rate, &[288, 2_016]),
        ("count in a season", Kind::Count, &[288, 2_016]),
        ("value in a season", Kind::Value, &[288, 2_016]),
    ] {
        let mut r = Random(5);
        let values: Vec<f64> = (0..1_000_000)
            .map(|_| match kind {
                Kind::Rate => r.hit(0.05),
                Kind::Value => r.normal(),
                Kind::Count => r.poisson(20.0),
            })
            .collect();
        let mut best = f64::MAX;
        let mut count = 0;
        for _ in 0..9 {
            let mut watch = Watch::new(settings_for(kind, periods));
            let start = processor_nanos();
            count = alarms(&mut watch, &values, periods).len();
            best = best.min((processor_nanos() - start) / values.len() as f64);
        }
        let size = serde_json::to_string(&Watch::new(settings_for(kind, periods))).unwrap().len();
        println!("{name:20} {best:.0} ns per update ({count} alarms), {size} bytes of JSON at the start");
    }
}

/// Time this process has had a processor: the machine is shared.
fn processor_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
