//! When a role may end that was told to stop.

use super::{DRAIN_PATIENCE, Instance};
use crate::config::Role;
use crate::time::Stopwatch;
use std::time::Duration;

/// How long a role that keeps up goes on after those before it have ended, although records still come: then they are
/// from another instance, which goes on, and so will the next owner.
const OTHERS_PATIENCE: Duration = Duration::from_millis(80);
/// So many cycles without a record, in whatever order, and it keeps up.
const EMPTY_CYCLES: u32 = 3;
/// Cycles without a record after which a role counts as having nothing left to read.
const QUIET_CYCLES: u32 = 40;

/// The stop of one role. Roles end in the order of the flow, each once it has read what those before it wrote: then
/// nothing is left that another configuration would find uncommitted.
#[derive(Default)]
pub(super) struct Stopping {
    since: Option<Stopwatch>,
    /// Since when it has been the last role of the flow that works.
    last: Option<Stopwatch>,
    /// How often it has found nothing to read since.
    empty: u32,
}

impl Stopping {
    /// Whether it may end now, after `quiet` cycles without a record in a row, the last of which folded `folded`.
    pub(super) fn may_end(&mut self, instance: &Instance, role: Role, quiet: u32, folded: usize) -> bool {
        let since = self.since.get_or_insert_with(Stopwatch::start).elapsed();
        if role == Role::Ingest || since > DRAIN_PATIENCE {
            return true;
        }
        if !instance.is_last(role) {
            return false;
        }
        let last = self.last.get_or_insert_with(Stopwatch::start).elapsed();
        self.empty += u32::from(folded == 0);
        // a role that is behind finds something to read each time
        quiet >= QUIET_CYCLES || (self.empty >= EMPTY_CYCLES && last > OTHERS_PATIENCE)
    }
}
