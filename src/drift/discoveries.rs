//! Which of a window's many tests are worth an alert: control of the share of false ones among those reported.
//!
//! A hundred features tested at 5 % raise an alarm in nearly every window in which nothing has happened. Here the tests of a
//! window are judged together: among those reported at level q, at most the share q are false in the mean, and if nothing has
//! drifted at all, something is reported in at most the share q of windows.

use super::DriftError;

/// How the tests of a window hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependence {
    /// Independent, or such that one small p-value makes others smaller rather than larger: several measures of one feature,
    /// features that move together. Benjamini & Hochberg 1995; positive dependence: Benjamini & Yekutieli 2001, theorem 1.2.
    Positive,
    /// Any at all. Costs a factor of 1 + 1/2 + … + 1/m: 5 for a hundred tests. Benjamini & Yekutieli 2001, theorem 1.3.
    Arbitrary,
}

/// A test to be judged together with others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// How often chance alone does that much, in [0, 1].
    pub p_value: f64,
    /// How much it matters beside the others: of two features, that of weight 2 is reported at twice the p-value. It is chosen
    /// before the p-value is seen. 0: never to be reported. Only the ratios count.
    pub weight: f64,
}

/// The p-values of the tests of a window, each adjusted for all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Discoveries {
    adjusted: Vec<f64>,
}

impl Discoveries {
    /// Of tests that matter equally. O(m log m).
    ///
    /// # Errors
    ///
    /// [`DriftError::NotAProbability`] for NaN and what lies outside [0, 1].
    pub fn of(p_values: &[f64], dependence: Dependence) -> Result<Discoveries, DriftError> {
        check(p_values.iter().copied())?;
        Ok(Discoveries { adjusted: step_up(p_values, dependence) })
    }

    /// Of tests that matter differently: each p-value is divided by its weight over the mean weight. O(m log m).
    ///
    /// # Errors
    ///
    /// [`DriftError::NotAProbability`] for NaN and what lies outside [0, 1]; [`DriftError::NotAWeight`] for weights that are
    /// negative or not finite, and for the first if all are 0.
    ///
    /// Source: Genovese, Roeder & Wasserman 2006.
    pub fn of_weighted(tests: &[Test], dependence: Dependence) -> Result<Discoveries, DriftError> {
        check(tests.iter().map(|test| test.p_value))?;
        for (place, test) in tests.iter().enumerate() {
            if !test.weight.is_finite() || test.weight < 0.0 {
                return Err(DriftError::NotAWeight { place, value: test.weight });
            }
        }
        // halved before they are summed, so that no sum of finite weights is infinite
        let mean = tests.iter().map(|test| test.weight / tests.len() as f64).sum::<f64>();
        if mean <= 0.0 && !tests.is_empty() {
            return Err(DriftError::NotAWeight { place: 0, value: 0.0 });
        }
        let weigh = |test: &Test| {
            if test.weight > 0.0 { test.p_value / (test.weight / mean) } else { f64::INFINITY }
        };
        let weighted: Vec<f64> = tests.iter().map(weigh).collect();
        Ok(Discoveries { adjusted: step_up(&weighted, dependence) })
    }

    /// For each test, in the order given, the lowest level at which it is a discovery, in [0, 1].
    #[must_use]
    pub fn adjusted(&self) -> &[f64] {
        &self.adjusted
    }

    /// The tests that are discoveries at `level`, the share of false ones that is put up with: by index, rising.
    pub fn at(&self, level: f64) -> impl Iterator<Item = usize> {
        // a test that is never to be reported, or has a p-value of 1, is none at the level 1 either
        let is_found = move |p: f64| p <= level && p < 1.0;
        self.adjusted.iter().enumerate().filter(move |(_, p)| is_found(**p)).map(|(place, _)| place)
    }
}

fn check(p_values: impl Iterator<Item = f64>) -> Result<(), DriftError> {
    for (place, value) in p_values.enumerate() {
        if !(0.0..=1.0).contains(&value) {
            return Err(DriftError::NotAProbability { place, value });
        }
    }
    Ok(())
}

/// From the largest p-value down, the least of m · c · p / rank so far, at most 1.
fn step_up(p_values: &[f64], dependence: Dependence) -> Vec<f64> {
    let count = p_values.len() as f64;
    let factor = match dependence {
        Dependence::Positive => count,
        Dependence::Arbitrary => count * (1..=p_values.len()).map(|rank| 1.0 / rank as f64).sum::<f64>(),
    };
    let mut falling: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    falling.sort_unstable_by(|(_, one), (_, other)| other.total_cmp(one));
    let (mut adjusted, mut least, mut rank) = (vec![1.0; p_values.len()], 1.0_f64, count);
    for (place, p) in falling {
        least = least.min(p * factor / rank);
        adjusted.get_mut(place).into_iter().for_each(|slot| *slot = least);
        rank -= 1.0;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(p_values: &[f64], dependence: Dependence, level: f64) -> Vec<usize> {
        Discoveries::of(p_values, dependence).unwrap().at(level).collect()
    }

    /// The example of Benjamini & Hochberg 1995, section 3.2.
    const PUBLISHED: [f64; 15] = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
        0.6528, 0.7590, 1.0,
    ];

    #[test]
    fn the_published_example_has_four_discoveries() {
        assert_eq!(found(&PUBLISHED, Dependence::Positive, 0.05), [0, 1, 2, 3]);
        assert_eq!(found(&PUBLISHED, Dependence::Arbitrary, 0.05), [0, 1, 2]);
    }

    #[test]
    fn adjusted_p_values_are_those_computed_elsewhere() {
        // scipy 1.17.1, stats.false_discovery_control(method="bh"), ("by")
        let near = |dependence, expected: [f64; 5]| {
            let all = Discoveries::of(&PUBLISHED, dependence).unwrap();
            for (value, expected) in all.adjusted().iter().zip(expected) {
                assert!((value - expected).abs() < 1e-12, "{value} {expected}");
            }
        };
        near(Dependence::Positive, [0.0015, 0.003, 0.0095, 0.035625, 0.0603]);
        near(
            Dependence::Arbitrary,
            [
                0.004977343489843491,
                0.009954686979686982,
                0.03152317543567544,
                0.11821190788378289,
                0.20008920829170831,
            ],
        );
    }

    #[test]
    fn a_hundred_features_in_which_nothing_happens_raise_an_alarm_in_a_twentieth_of_windows() {
        let mut seed = 1_u64;
        let mut uniform = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut is_alarm = || {
            let p_values: Vec<f64> = (0..100).map(|_| uniform()).collect();
            !found(&p_values, Dependence::Positive, 0.05).is_empty()
        };
        let alarms = (0..2_000).filter(|_| is_alarm()).count();
        // 5 % of 2,000 and three standard deviations
        assert!((71..=129).contains(&alarms), "{alarms}");
    }

    #[test]
    fn no_test_and_a_single_test_are_judged_as_such() {
        assert!(found(&[], Dependence::Positive, 0.5).is_empty());
        assert_eq!(Discoveries::of(&[0.03], Dependence::Arbitrary).unwrap().adjusted(), [0.03]);
    }

    #[test]
    fn what_is_no_probability_or_no_weight_is_refused_with_its_place() {
        let of = |value| Discoveries::of(&[0.5, value], Dependence::Positive).err();
        assert_eq!(of(1.5), Some(DriftError::NotAProbability { place: 1, value: 1.5 }));
        assert!(of(f64::NAN).is_some() && of(-0.1).is_some() && of(0.0).is_none() && of(1.0).is_none());
        let weigh = |weight| {
            let tests = [Test { p_value: 0.1, weight: 0.0 }, Test { p_value: 0.1, weight }];
            Discoveries::of_weighted(&tests, Dependence::Positive).err()
        };
        assert_eq!(weigh(-1.0), Some(DriftError::NotAWeight { place: 1, value: -1.0 }));
        assert_eq!(weigh(0.0), Some(DriftError::NotAWeight { place: 0, value: 0.0 }));
        assert!(weigh(f64::INFINITY).is_some() && weigh(f64::MAX).is_none());
    }

    #[test]
    fn a_feature_that_matters_more_is_found_earlier_and_one_of_weight_0_never() {
        let of = |weights: [f64; 4]| {
            let tests = weights.map(|weight| Test { p_value: 0.02, weight });
            Discoveries::of_weighted(&tests, Dependence::Positive).unwrap()
        };
        assert_eq!(of([1.0; 4]).adjusted(), [0.02; 4]);
        let different = of([2.0, 1.0, 1.0, 0.0]);
        assert!(different.adjusted()[0] <= different.adjusted()[1]);
        assert_eq!(different.at(1.0).collect::<Vec<_>>(), [0, 1, 2]);
    }

    fn p_values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![0.0_f64..=1.0, 0.0_f64..0.01, Just(0.0), Just(0.05)], 1..40)
    }

    fn dependences() -> impl Strategy<Value = Dependence> {
        prop_oneof![Just(Dependence::Positive), Just(Dependence::Arbitrary)]
    }

    proptest! {
        #[test]
        fn fewer_are_found_as_the_level_falls(ps in p_values(), how in dependences(), one in 0.0_f64..1.0, other in 0.0_f64..1.0) {
            let (strict, lax) = (found(&ps, how, one.min(other)), found(&ps, how, one.max(other)));
            prop_assert!(strict.iter().all(|place| lax.contains(place)));
        }

        #[test]
        fn the_order_of_the_tests_does_not_matter(ps in p_values(), how in dependences(), turn in 0_usize..40) {
            let turn = turn % ps.len();
            let mut turned = ps.clone();
            turned.rotate_left(turn);
            let mut adjusted = Discoveries::of(&ps, how).unwrap().adjusted;
            adjusted.rotate_left(turn);
            prop_assert_eq!(adjusted, Discoveries::of(&turned, how).unwrap().adjusted);
        }

        #[test]
        fn adjusted_p_values_keep_the_order_and_lie_between_the_raw_and_bonferronis(ps in p_values(), how in dependences()) {
            let all = Discoveries::of(&ps, how).unwrap();
            let pairs: Vec<(f64, f64)> = ps.iter().copied().zip(all.adjusted().iter().copied()).collect();
            let bonferroni = |p: f64| if how == Dependence::Positive { p * ps.len() as f64 } else { 1.0 };
            for (p, adjusted) in &pairs {
                prop_assert!(*adjusted >= p * (1.0 - 1e-12) && *adjusted <= (bonferroni(*p) * (1.0 + 1e-12)).min(1.0));
                for (other, other_adjusted) in &pairs {
                    prop_assert!(p > other || adjusted <= other_adjusted);
                }
            }
        }

        #[test]
        fn what_is_found_is_what_the_step_up_procedure_says(ps in p_values(), level in 0.001_f64..0.5) {
            // by definition: the k smallest, for the largest k whose p-value is at most k·q/m
            let mut sorted = ps.clone();
            sorted.sort_by(f64::total_cmp);
            let count = ps.len() as f64;
            let is_below = |(rank, p): (usize, &f64)| *p * count / ((rank + 1) as f64) <= level;
            let most = (0..sorted.len()).rev().find(|rank| is_below((*rank, &sorted[*rank])));
            let expected = most.map_or(0, |rank| sorted.iter().filter(|p| **p <= sorted[rank]).count());
            prop_assert_eq!(found(&ps, Dependence::Positive, level).len(), expected);
        }

        #[test]
        fn any_dependence_finds_a_part_of_what_a_positive_one_does(ps in p_values(), level in 0.0_f64..1.0) {
            let (any, positive) = (found(&ps, Dependence::Arbitrary, level), found(&ps, Dependence::Positive, level));
            prop_assert!(any.iter().all(|place| positive.contains(place)));
        }

        #[test]
        fn a_smaller_p_value_loses_no_discovery(ps in p_values(), how in dependences(), which in 0_usize..40, level in 0.0_f64..1.0) {
            let before = found(&ps, how, level);
            let mut smaller = ps.clone();
            let which = which % ps.len();
            smaller[which] /= 2.0;
            let after = found(&smaller, how, level);
            prop_assert!(before.iter().all(|place| after.contains(place)));
        }

        #[test]
        fn equal_weights_are_as_good_as_none(ps in p_values(), how in dependences(), weight in 0.01_f64..100.0) {
            let tests: Vec<Test> = ps.iter().map(|p| Test { p_value: *p, weight }).collect();
            let (weighted, plain) = (Discoveries::of_weighted(&tests, how).unwrap(), Discoveries::of(&ps, how).unwrap());
            for (one, other) in weighted.adjusted().iter().zip(plain.adjusted()) {
                prop_assert!((one - other).abs() <= 1e-9 * other);
            }
        }
    }
}
