//! Streams with known changes, made from a seed.

use std::f64::consts::TAU;

/// Pseudo-random numbers (SplitMix64: Steele, Lea & Flood 2014), for streams only.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// In (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    pub(crate) fn hit(&mut self, rate: f64) -> f64 {
        if self.uniform() < rate { 1.0 } else { 0.0 }
    }

    /// Poisson; by inversion for small means, in parts for large ones.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 30.0 {
            return self.poisson(mean / 2.0) + self.poisson(mean / 2.0);
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.bits() as usize % of.len();
        of[at]
    }
}

/// A stream: its values, where they change (as in the vectors), and its seasonal periods.
pub(crate) struct Stream {
    pub(crate) kind: &'static str,
    pub(crate) is_binary: bool,
    pub(crate) values: Vec<f64>,
    pub(crate) changes: Vec<usize>,
    pub(crate) periods: Vec<u64>,
}

fn binary(
    kind: &'static str,
    n: usize,
    changes: Vec<usize>,
    random: &mut Random,
    rate: impl Fn(usize) -> f64,
) -> Stream {
    let values = (0..n).map(|at| random.hit(rate(at))).collect();
    Stream { kind, is_binary: true, values, changes, periods: Vec::new() }
}

fn real(kind: &'static str, n: usize, changes: Vec<usize>, mut value: impl FnMut(usize) -> f64) -> Stream {
    Stream { kind, is_binary: false, values: (0..n).map(&mut value).collect(), changes, periods: Vec::new() }
}

/// One stream of each kind that the vectors have, with other parameters for each seed.
pub(crate) fn suite(seed: u64) -> Vec<Stream> {
    let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
    let r = &mut random;
    let mut all = Vec::new();
    for _ in 0..3 {
        let p = r.one_of(&[0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.005, 0.002]);
        all.push(binary("stationary", r.one_of(&[5_000, 10_000, 20_000, 30_000]), vec![], r, |_| p));
    }
    all.push(binary("all zero", 2_000, vec![], r, |_| 0.0));
    for _ in 0..4 {
        let pairs = [
            (0.2_f64, 0.3_f64),
            (0.05, 0.1),
            (0.5, 0.2),
            (0.005, 0.02),
            (0.1, 0.2),
            (0.3, 0.15),
            (0.02, 0.06),
            (0.2, 0.5),
            (0.1, 0.04),
        ];
        let ((p, q), at) = (r.one_of(&pairs), r.one_of(&[3_000, 5_000, 8_000, 12_000, 20_000]));
        let at = if p.min(q) < 0.03 { at.max(12_000) } else { at };
        all.push(binary("abrupt", at + at.max(4_000), vec![at], r, |i| if i < at { p } else { q }));
    }
    {
        let (p, q) = r.one_of(&[(0.1, 0.3), (0.1, 0.2), (0.3, 0.1), (0.2, 0.4), (0.05, 0.2)]);
        let (at, width) = (r.one_of(&[8_000, 10_000]), r.one_of(&[1_000.0, 2_000.0]));
        let share = |i: usize| 1.0 / (1.0 + (-4.0 * (i as f64 - at as f64) / width).exp());
        all.push(binary("gradual", 2 * at, vec![at], r, |i| p + (q - p) * share(i)));
    }
    {
        let (p, q) = r.one_of(&[(0.1, 0.25), (0.1, 0.3), (0.3, 0.1), (0.05, 0.2)]);
        let (at, length) = (6_000, r.one_of(&[4_000.0, 6_000.0, 8_000.0]));
        let share = |i: usize| ((i as f64 - at as f64) / length).clamp(0.0, 1.0);
        all.push(binary("incremental", 20_000, vec![at], r, |i| p + (q - p) * share(i)));
    }
    {
        let ((p, q), every) =
            (r.one_of(&[(0.1, 0.3), (0.2, 0.5), (0.1, 0.2), (0.3, 0.15)]), r.one_of(&[3_000, 4_000, 5_000]));
        let changes = (1..6).map(|k| k * every).collect();
        all.push(binary("recurring", 6 * every, changes, r, |i| if (i / every) % 2 == 0 { p } else { q }));
    }
    for drop in [1.0, r.one_of(&[0.6, 0.5, 1.4, 1.5])] {
        let (p, swing, days) = (r.between(0.03, 0.1), r.between(0.3, 0.7), if drop < 1.0 { 12 } else { 10 });
        let at = 14_000;
        let rate = |i: usize| {
            p * (1.0 + swing * (TAU * (i as f64 / 2_000.0 - 0.3)).sin()) * if i < at { 1.0 } else { drop }
        };
        let changed = (drop - 1.0_f64).abs() > 0.01;
        let mut stream = binary(
            if changed { "seasonal drop" } else { "seasonal" },
            2_000 * days,
            if changed { vec![at] } else { vec![] },
            r,
            rate,
        );
        stream.periods = vec![2_000];
        all.push(stream);
    }
    prequential(r, &mut all);
    reals(r, &mut all);
    all
}

/// Errors of classifiers that learn: they fall at the start, jump at a change, and fall again.
fn prequential(r: &mut Random, all: &mut Vec<Stream>) {
    let (floor, start, jump) = (r.between(0.08, 0.16), r.between(0.05, 0.3), r.between(0.0, 0.06));
    let (warm, slow) = (r.between(50.0, 400.0), r.between(1_500.0, 6_000.0));
    all.push(binary("preq small", 12_000, vec![6_000], r, |i| {
        let i = i as f64;
        floor
            + start * (-i / warm).exp()
            + if i < 6_000.0 { 0.0 } else { jump * (-(i - 6_000.0) / slow).exp() }
    }));
    let steps: Vec<(f64, f64)> = {
        let (mut at, mut p, mut steps) = (0.0, r.between(0.12, 0.3), Vec::new());
        for _ in 0..4 {
            steps.push((at, p));
            at += r.between(300.0, 1_800.0);
            p *= r.between(0.1, 0.95);
        }
        steps
    };
    let (high, low, hold, slow) =
        (r.between(0.3, 0.55), r.between(0.05, 0.2), r.between(200.0, 2_500.0), r.between(300.0, 1_500.0));
    all.push(binary("preq tree", 16_000, vec![8_000], r, |i| {
        let i = i as f64;
        if i < 8_000.0 {
            return steps.iter().rev().find(|(at, _)| i >= *at).map_or(0.5, |(_, p)| *p);
        }
        let since = i - 8_000.0;
        low + (high - low) * (-(since - hold).max(0.0) / slow).exp()
    }));
    let (floor, high, slow) = (r.between(0.05, 0.15), r.between(0.3, 0.6), r.between(2_000.0, 9_000.0));
    all.push(binary("preq jump", 6_000, vec![3_000], r, |i| {
        let since = i as f64 - 3_000.0;
        if since < 0.0 {
            floor + 0.3 * (-(i as f64) / 40.0).exp()
        } else {
            floor + (high - floor) * (-since / slow).exp()
        }
    }));
}

fn reals(r: &mut Random, all: &mut Vec<Stream>) {
    all.push(real("normal", 20_000, vec![], |_| r.normal()));
    all.push(real("uniform", 10_000, vec![], |_| r.uniform()));
    let spread = r.between(0.4, 1.0);
    all.push(real("lognormal", 12_000, vec![], |_| (3.0 + spread * r.normal()).exp()));
    let (shift, at) = (r.one_of(&[0.5, -0.5, 1.0, 0.7]), r.one_of(&[3_000, 5_000]));
    all.push(real("shift", 2 * at, vec![at], |i| r.normal() + if i < at { 0.0 } else { shift }));
    all.push(real("large shift", 4_000, vec![2_000], |i| r.normal() + if i < 2_000 { 0.0 } else { 3.0 }));
    let scale = r.one_of(&[3.0, 2.0, 1.5, 0.5]);
    all.push(real("scale", 8_000, vec![4_000], |i| r.normal() * if i < 4_000 { 1.0 } else { scale }));
    let every = r.one_of(&[2_000, 2_500, 3_000]);
    let changes = (1..6).map(|k| k * every).collect();
    all.push(real("recurring", 6 * every, changes, |i| r.normal() + ((i / every) % 2) as f64));
    let (share, size) = (r.one_of(&[0.001, 0.003, 0.01]), r.between(5.0, 50.0));
    all.push(real("outliers", 10_000, vec![], |_| r.normal() * if r.uniform() < share { size } else { 1.0 }));
    let (mean, swing) = (r.between(8.0, 60.0), r.between(0.3, 0.7));
    let mut daily = real("daily counts", 14 * 288, vec![], |i| {
        r.poisson(mean * (1.0 + swing * (TAU * (i as f64 / 288.0 - 0.3)).sin()))
    });
    daily.periods = vec![288];
    all.push(daily);
    let mut last = 0.0;
    all.push(real("autoregressive", 20_000, vec![], |_| {
        last = 0.9 * last + r.normal();
        last
    }));
    let mut week = Week::new(r);
    let mut weekly = real("weekly counts", 42 * 288, vec![], |i| week.count(r, i, 1.0));
    weekly.periods = vec![288, 2_016];
    all.push(weekly);
    let factor = r.one_of(&[0.75, 1.3, 0.6]);
    week = Week::new(r);
    let at = 21 * 288 + r.one_of(&[100, 1_000, 1_500]);
    let mut drop =
        real("weekly drop", 42 * 288, vec![at], |i| week.count(r, i, if i < at { 1.0 } else { factor }));
    drop.periods = vec![288, 2_016];
    all.push(drop);
}

/// Counts per five minutes with a daily and a weekly shape.
pub(crate) struct Week {
    mean: f64,
    swing: f64,
    second: f64,
    days: [f64; 7],
}

impl Week {
    pub(crate) fn new(r: &mut Random) -> Self {
        let mut days = [1.0; 7];
        days.iter_mut().for_each(|day| *day = r.between(0.75, 1.25));
        Self { mean: r.between(15.0, 60.0), swing: r.between(0.4, 0.75), second: r.between(0.0, 0.2), days }
    }

    pub(crate) fn count(&self, r: &mut Random, at: usize, factor: f64) -> f64 {
        let day = TAU * (at as f64 / 288.0 - 0.35);
        let shape = 1.0 + self.swing * day.sin() + self.second * (2.0 * day).sin();
        r.poisson(self.mean * shape.max(0.05) * self.days[(at / 288) % 7] * factor)
    }
}
