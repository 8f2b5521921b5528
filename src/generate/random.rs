//! A small random number generator, so that the same seed gives the same bytes everywhere and
//! forever.
//!
//! xoshiro256++ 1.0 by David Blackman and Sebastiano Vigna (2019, public domain,
//! prng.di.unimi.it/xoshiro256plusplus.c), seeded by SplitMix64 as its authors advise. Not for
//! secrets.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random([u64; 4]);

impl Random {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random([1_u64, 2, 3, 4].map(|step| mix(seed.wrapping_add(step.wrapping_mul(GOLDEN_GAMMA)))))
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let (c_mixed, d_mixed) = (c ^ a, d ^ b);
        self.0 = [a ^ d_mixed, b ^ c_mixed, c_mixed ^ (b << 17), d_mixed.rotate_left(45)];
        a.wrapping_add(d).rotate_left(23).wrapping_add(a)
    }

    /// A number in `[0, bound)`; 0 if `bound` is 0.
    ///
    /// Without Lemire's rejection step: the bias is at most `bound` ÷ 2⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        let scaled = (u128::from(self.bits()) * u128::from(bound)) >> 64;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// A number in `[low, high)`; `low` if that is empty.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        low.saturating_add_unsigned(self.below(width))
    }

    /// Whether something happens that happens `share` times in a thousand.
    pub(super) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// Whether something happens of which that is the share, from 0 to 1.
    pub(super) fn share(&mut self, share: f64) -> bool {
        ((self.bits() >> 32) as f64) < share * 4_294_967_296.0
    }

    /// One of `choices`, each as likely as the others. `choices` is not empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        pick(choices, self.bits())
    }

    /// One of `choices`, as likely as its weight. The weights sum to 1000.
    pub(super) fn weighted<T: Copy>(&mut self, choices: &[(T, u64)]) -> T {
        let mut left = self.below(1000);
        for (choice, weight) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        unreachable!("the weights sum to 1000")
    }

    /// At least `least` milliseconds, and an exponentially distributed time of mean `mean` more.
    pub(super) fn exponential_ms(&mut self, least: u32, mean: u32) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a few dozen times a 32-bit number at most")]
        let more = self.exponential(f64::from(mean)) as i64;
        i64::from(least) + more
    }

    /// An exponentially distributed number of mean `mean`.
    ///
    /// By comparisons alone, so that no logarithm's last bit can differ between machines. Source:
    /// von Neumann 1951, "Various techniques used in connection with random digits": among uniform
    /// numbers falling from the first, x, an odd run has probability e⁻ˣ; each even run adds one.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        let mut whole = 0.0;
        loop {
            let first = self.bits() >> 32;
            let (mut previous, mut run_is_odd) = (first, true);
            loop {
                let following = self.bits() >> 32;
                if following >= previous {
                    break;
                }
                (previous, run_is_odd) = (following, !run_is_odd);
            }
            if run_is_odd {
                return mean * (whole + first as f64 / 4_294_967_296.0);
            }
            whole += 1.0;
        }
    }
}

/// One of `choices`, decided by `bits`. `choices` is not empty.
pub(super) fn pick<T: Copy>(choices: &[T], bits: u64) -> T {
    let place = (u128::from(bits) * choices.len() as u128) >> 64;
    *usize::try_from(place)
        .ok()
        .and_then(|place| choices.get(place))
        .expect("place < length, and there is a choice")
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Scatters `number` over 64 bits; no two numbers meet (the finaliser of SplitMix64, a bijection).
pub(super) fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation from the state 1, 2, 3, 4.
    #[test]
    fn xoshiro256_plus_plus_gives_the_numbers_of_its_reference() {
        let mut random = Random([1, 2, 3, 4]);
        let expected = [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386,
            9_228_616_714_210_784_205,
            9_973_669_472_204_895_162,
        ];
        assert_eq!(expected.map(|_| random.bits()), expected);
    }

    /// The first outputs of the reference implementation of SplitMix64 for the seed 1234567.
    #[test]
    fn the_seed_is_expanded_by_splitmix64() {
        let Random([first, second, third, _]) = Random::new(1_234_567);
        assert_eq!(
            [first, second, third],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn exponential_numbers_have_their_mean_and_their_tail() {
        let mut random = Random::new(7);
        let drawn: Vec<f64> = (0..200_000).map(|_| random.exponential(1.0)).collect();
        let mean = drawn.iter().sum::<f64>() / 200_000.0;
        let beyond = |x: f64| drawn.iter().filter(|&&d| d > x).count();
        assert!((0.99..1.01).contains(&mean), "mean {mean}");
        // e⁻¹ = 0.36788, e⁻³ = 0.049787; standard deviations 216 and 97.
        assert!((72_900..74_250).contains(&beyond(1.0)), "{}", beyond(1.0));
        assert!((9_600..10_300).contains(&beyond(3.0)), "{}", beyond(3.0));
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::new(1);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
        assert_eq!(random.between(5, 5), 5);
        assert!((0..1000).all(|_| (-3..4).contains(&random.between(-3, 4))));
        assert!((0..1000).map(|_| random.weighted(&[('a', 0), ('b', 1000)])).all(|c| c == 'b'));
    }
}
