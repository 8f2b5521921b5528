//! The smallest storm that still goes wrong under a seed: fewer kinds of trouble, then fewer steps.

use super::run_part;
use super::world::{STEPS, TROUBLES};

/// What is left of the storm, in words.
pub(super) fn shrink(seed: u64) -> String {
    let (steps, without) = smallest(|steps, without| fails(seed, steps, without));
    let left = TROUBLES.iter().enumerate().filter(|(bit, _)| without & (1 << bit) == 0);
    let left: Vec<_> = left.map(|(_, name)| *name).collect();
    format!(
        "it still goes wrong with {steps} of {STEPS} steps and only: {}\nrun it again with TILLSTREAM_FIRST_SEED={seed} \
         TILLSTREAM_SEEDS=1 TILLSTREAM_STEPS={steps} TILLSTREAM_WITHOUT={without}",
        left.join(", ")
    )
}

fn fails(seed: u64, steps: u64, without: u16) -> bool {
    // an assertion inside the engine counts as well
    std::panic::catch_unwind(|| run_part(seed, steps, without)).map_or(true, |outcome| outcome.is_err())
}

/// Leaves out one kind of trouble after the other, and then ever smaller numbers of steps, while it still fails.
fn smallest(fails: impl Fn(u64, u16) -> bool) -> (u64, u16) {
    let (mut steps, mut without) = (STEPS, 0);
    for bit in 0..TROUBLES.len() {
        if fails(steps, without | (1 << bit)) {
            without |= 1 << bit;
        }
    }
    let mut cut = steps / 2;
    while cut > 0 {
        if fails(steps - cut, without) {
            steps -= cut;
            cut = cut.min(steps / 2);
        } else {
            cut /= 2;
        }
    }
    (steps, without)
}

#[test]
fn a_storm_is_shrunk_to_what_its_failure_needs() {
    // fails from step 137 on, as long as there are crashes
    let (steps, without) = smallest(|steps, without| steps >= 137 && without & (1 << 6) == 0);
    assert_eq!((steps, without), (137, 0b11_1011_1111));
}

#[test]
fn a_storm_without_a_rule_is_shrunk_and_still_goes_wrong() {
    use crate::rules_of_the_protocol::{Rule, take_out};
    take_out(Some(Rule::Skip));
    let (steps, without) = smallest(|steps, without| fails(1, steps, without));
    let still = fails(1, steps, without);
    take_out(None);
    assert!(still && steps < STEPS && without != 0, "{steps} steps without {without:b}");
}
