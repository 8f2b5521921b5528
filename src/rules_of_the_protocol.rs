//! The rules of the frame protocol as switches, so that a test can take one out and see it missed.
//!
//! Outside tests nothing can be taken out: [`without`] is a constant.

/// A rule whose absence the simulation must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "some rules are taken out in code that only tests have"))]
pub(crate) enum Rule {
    Skip,
    Refusal,
    ChainPerDestination,
    ClosingBeforeCommit,
    CommitAfterAcknowledgement,
    FailureNoticed,
    LaterFramesAgain,
    OrderOfAppends,
    Max,
    RefusedChangesNothing,
    RoutingByTheRecord,
    IndexInsideOffset,
    DeadlineArmedAgain,
    Tombstone,
    AppliedInCheckpoint,
    CheckpointNotAhead,
    PublishedOnce,
    FlushBeforeTransaction,
    StableFetch,
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn without(_rule: Rule) -> bool {
    false
}

#[cfg(test)]
pub(crate) use for_tests::{take_out, without};

#[cfg(test)]
mod for_tests {
    use super::Rule;
    use std::cell::Cell;

    thread_local! {
        static TAKEN_OUT: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    pub(crate) fn without(rule: Rule) -> bool {
        TAKEN_OUT.get() == Some(rule)
    }

    /// Takes `rule` out (or none) for the current thread.
    pub(crate) fn take_out(rule: Option<Rule>) {
        TAKEN_OUT.set(rule);
    }
}
