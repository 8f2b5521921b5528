//! The Mersenne Twister, seeded and drawn from as Python does it: what [`super::kswin`] draws its samples with.
//!
//! Sources: Matsumoto and Nishimura, *Mersenne Twister* (ACM TOMACS 8, 1998), MT19937 with its initialisation by an
//! array; Python 3.11's documentation and behaviour of `random.Random(seed)` and `random.sample`. Not for secrets.

#![expect(
    clippy::indexing_slicing,
    reason = "places are taken modulo the number of words, or below the population"
)]

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Words of state.
const WORDS: usize = 624;
/// How far ahead the word is that a word is mixed with.
const AHEAD: usize = 397;
const UPPER_BIT: u32 = 0x8000_0000;
const TWIST: u32 = 0x9908_b0df;

/// `random.Random(seed)` for a whole number as the seed. 2.5 KB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MersenneTwister {
    words: Vec<u32>,
    /// Which word is the next to be given out.
    next: usize,
}

impl MersenneTwister {
    /// The generator of `random.Random(seed)`.
    #[must_use]
    pub fn new(seed: u64) -> MersenneTwister {
        let mut words = vec![0; WORDS];
        fill(&mut words, 19_650_218);
        let halves = [low_half(seed), low_half(seed >> 32)];
        let key = if halves[1] == 0 { &halves[..1] } else { &halves };
        mix_in(&mut words, key);
        MersenneTwister { words, next: WORDS }
    }

    /// 32 random bits.
    pub fn next_word(&mut self) -> u32 {
        if self.next >= WORDS {
            twist(&mut self.words);
            self.next = 0;
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number below `limit`, which is at least 1: as many bits as `limit` has, drawn again while they are too many.
    pub fn below(&mut self, limit: u32) -> u32 {
        debug_assert!(limit > 0, "there is no number below 0");
        let unused = limit.leading_zeros();
        loop {
            let drawn = self.next_word() >> unused;
            if drawn < limit {
                return drawn;
            }
        }
    }

    /// Puts into `drawn` what `random.sample(range(population), count)` gives: `count` different numbers below
    /// `population`, in the order of Python. `count` is at most `population`. O(population), or O(count) with a set's
    /// worth of memory where the population is much larger.
    pub fn sample(&mut self, population: u32, count: u32, drawn: &mut Vec<u32>) {
        debug_assert!(count <= population, "{count} of {population}");
        drawn.clear();
        if u64::from(population) <= pool_max(count) {
            self.sample_from_pool(population, count, drawn);
        } else {
            self.sample_again_if_known(population, count, drawn);
        }
    }

    /// Every number that is drawn leaves the pool, and the last one of the pool takes its place. The pool lies in
    /// `drawn` from its end to its beginning, so that what is drawn gathers in front.
    fn sample_from_pool(&mut self, population: u32, count: u32, drawn: &mut Vec<u32>) {
        drawn.extend((0..population).rev());
        let last = population.saturating_sub(1) as usize;
        for (place, left) in (0..count as usize).zip((1..=population).rev()) {
            let chosen = last - self.below(left) as usize;
            drawn.swap(place, chosen);
        }
        drawn.truncate(count as usize);
    }

    fn sample_again_if_known(&mut self, population: u32, count: u32, drawn: &mut Vec<u32>) {
        let mut known = BTreeSet::new();
        while drawn.len() < count as usize {
            let number = self.below(population);
            if known.insert(number) {
                drawn.push(number);
            }
        }
    }
}

/// Up to this population Python draws from a pool: about what a set of `count` numbers would take.
fn pool_max(count: u32) -> u64 {
    let powers_of_four = std::iter::successors(Some(1_u64), |power| Some(power * 4));
    let table = powers_of_four.into_iter().find(|power| *power >= 3 * u64::from(count));
    21 + table.filter(|_| count > 5).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is dropped on purpose")]
fn low_half(seed: u64) -> u32 {
    seed as u32
}

/// The initialisation by one word.
fn fill(words: &mut [u32], seed: u32) {
    let mut word = seed;
    for (place, slot) in (1..).zip(words) {
        *slot = word;
        word = 1_812_433_253_u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(place);
    }
}

/// The initialisation by an array, over words that are filled already: one round per word, then another without `key`.
fn mix_in(words: &mut [u32], key: &[u32]) {
    let mut place = 1;
    let numbers = (0..).zip(key).cycle();
    for (number, word) in numbers.take(WORDS) {
        place = mix(words, place, 1_664_525, word.wrapping_add(number));
    }
    for _ in 1..WORDS {
        place = mix(words, place, 1_566_083_941, low_half(place as u64).wrapping_neg());
    }
    words[0] = UPPER_BIT;
}

/// Mixes the word at `place` with the one before it; gives the place of the next, and the first stands in for the last.
fn mix(words: &mut [u32], place: usize, factor: u32, addend: u32) -> usize {
    let before = words[place - 1];
    words[place] = (words[place] ^ (before ^ (before >> 30)).wrapping_mul(factor)).wrapping_add(addend);
    if place + 1 < WORDS {
        return place + 1;
    }
    words[0] = words[WORDS - 1];
    1
}

/// The next `WORDS` words.
fn twist(words: &mut [u32]) {
    for place in 0..WORDS {
        let joined = (words[place] & UPPER_BIT) | (words[(place + 1) % WORDS] & !UPPER_BIT);
        let odd = if joined & 1 == 1 { TWIST } else { 0 };
        words[place] = words[(place + AHEAD) % WORDS] ^ (joined >> 1) ^ odd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_python() {
        // CPython 3.11.7: random.Random(seed).getrandbits(32), the first three and the 1,001st
        for (seed, first, later) in [
            (0, [3_626_764_237, 1_654_615_998, 3_255_389_356], 126_175_447),
            (1, [577_090_037, 2_444_712_010, 3_639_700_191], 2_160_508_093),
            (42, [2_746_317_213, 478_163_327, 107_420_369], 2_672_573_305),
            (u64::from(u32::MAX), [2_728_839_433, 2_661_025_012, 872_737_089], 2_478_953_446),
            (u64::from(u32::MAX) + 1, [485_306_839, 1_508_871_100, 1_794_561_286], 1_608_289_731),
            (u64::MAX, [93_740_670, 1_068_495_656, 1_452_108_352], 888_869_258),
        ] {
            let mut twister = MersenneTwister::new(seed);
            assert_eq!([(); 3].map(|()| twister.next_word()), first, "seed {seed}");
            (3..1_000).for_each(|_| {
                twister.next_word();
            });
            assert_eq!(twister.next_word(), later, "seed {seed}");
        }
    }

    #[test]
    fn samples_are_those_of_python_from_a_pool_and_from_a_range_that_is_much_larger() {
        // CPython 3.11.7: random.Random(seed).sample(range(population), count)
        for (seed, population, expected) in [
            (7, 10, vec![5, 2, 6]),
            (7, 21, vec![10, 4, 12, 1, 2]),
            (7, 22, vec![10, 4, 12, 20, 1]),
            (7, 85, vec![41, 19, 50, 6, 9, 68]),
            (7, 86, vec![41, 19, 50, 83, 6, 9]),
            (9, 1_000, vec![474, 627, 382, 273, 141, 190, 887, 692, 6, 346, 514, 919]),
            (9, 5, vec![3, 2, 1, 0, 4]),
            (9, 1, vec![0]),
            (9, 1, vec![]),
            (9, 0, vec![]),
        ] {
            let mut drawn = vec![99];
            let count = u32::try_from(expected.len()).unwrap();
            MersenneTwister::new(seed).sample(population, count, &mut drawn);
            assert_eq!(drawn, expected, "{count} of {population}, seed {seed}");
        }
    }

    #[test]
    fn a_restored_generator_goes_on_where_it_was() {
        let mut twister = MersenneTwister::new(5);
        (0..700).for_each(|_| {
            twister.next_word();
        });
        let written = serde_json::to_string(&twister).unwrap();
        let mut restored: MersenneTwister = serde_json::from_str(&written).unwrap();
        assert!((0..2_000).all(|_| restored.next_word() == twister.next_word()));
    }
}
