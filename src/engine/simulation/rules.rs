//! Each rule of the protocol is needed: taken out, the simulation notices.

use super::run;
use crate::rules_of_the_protocol::{Rule, take_out};

/// Seeds within which a missing rule must be noticed.
const SEEDS: u64 = 300;

const RULES: [Rule; 19] = [
    Rule::Skip,
    Rule::Refusal,
    Rule::ChainPerDestination,
    Rule::ClosingBeforeCommit,
    Rule::CommitAfterAcknowledgement,
    Rule::FailureNoticed,
    Rule::LaterFramesAgain,
    Rule::OrderOfAppends,
    Rule::Max,
    Rule::RefusedChangesNothing,
    Rule::RoutingByTheRecord,
    Rule::IndexInsideOffset,
    Rule::DeadlineArmedAgain,
    Rule::Tombstone,
    Rule::AppliedInCheckpoint,
    Rule::CheckpointNotAhead,
    Rule::PublishedOnce,
    Rule::FlushBeforeTransaction,
    Rule::StableFetch,
];

#[test]
fn each_rule_taken_out_is_noticed() {
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let noticed: Vec<_> = RULES.into_iter().map(|rule| (rule, first_seed_that_notices(rule))).collect();
    std::panic::set_hook(silent);
    for (rule, seed) in &noticed {
        match seed {
            Some((seed, how)) => println!("{rule:?}: noticed at seed {seed}: {how}"),
            None => println!("{rule:?}: not noticed"),
        }
    }
    let missed: Vec<_> = noticed.iter().filter(|(_, seed)| seed.is_none()).map(|(rule, _)| rule).collect();
    assert!(missed.is_empty(), "not noticed within {SEEDS} seeds: {missed:?}");
}

fn first_seed_that_notices(rule: Rule) -> Option<(u64, String)> {
    (1..=SEEDS).find_map(|seed| {
        take_out(Some(rule));
        let outcome = std::panic::catch_unwind(|| run(seed));
        take_out(None);
        match outcome {
            Ok(Ok(_)) => None,
            Ok(Err(how)) => Some((seed, how)),
            Err(_) => Some((seed, "an assertion inside the engine".to_owned())),
        }
    })
}
