//! Notices a role that hangs: a member that no longer polls loses its partitions after half a minute, but a process
//! whose thread hangs would go on answering probes, and nobody would take its place.

use crate::config::Role;
use crate::time::Stopwatch;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longer than any call to the client library may take while a broker is away.
pub(super) const HANG_PATIENCE: Duration = Duration::from_secs(120);

/// When each role last began a cycle.
pub(super) struct Heartbeats {
    since: Stopwatch,
    /// In milliseconds since `since`, and one more; 0: it has no cycles now.
    beats: [AtomicU64; Role::ALL.len()],
}

impl Heartbeats {
    pub(super) fn new() -> Heartbeats {
        Heartbeats { since: Stopwatch::start(), beats: Default::default() }
    }

    /// The role goes on.
    pub(super) fn beat(&self, role: Role) {
        self.set(role, self.now() + 1);
    }

    /// The role has ended.
    pub(super) fn rest(&self, role: Role) {
        self.set(role, 0);
    }

    /// A role that should have gone on within `patience`, and for how long it has not.
    pub(super) fn hangs(&self, patience: Duration) -> Option<(&'static str, Duration)> {
        let now = self.now();
        Role::ALL.iter().find_map(|(name, role)| {
            let beat = self.beats.get(*role as usize)?.load(Ordering::Relaxed);
            let silence = Duration::from_millis(now.saturating_sub(beat.checked_sub(1)?));
            (silence > patience).then_some((*name, silence))
        })
    }

    fn set(&self, role: Role, value: u64) {
        if let Some(beat) = self.beats.get(role as usize) {
            beat.store(value, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_hangs_if_it_has_begun_and_not_gone_on_for_so_long() {
        let mut heartbeats = Heartbeats::new();
        assert_eq!(heartbeats.hangs(Duration::ZERO), None, "none has begun");
        heartbeats.beat(Role::Keyed);
        heartbeats.beat(Role::Decide);
        assert_eq!(heartbeats.hangs(Duration::from_secs(100)), None);
        heartbeats.since = Stopwatch::started_before(Duration::from_secs(101));
        heartbeats.beat(Role::Decide);
        let (name, silence) = heartbeats.hangs(Duration::from_secs(100)).expect("keyed hangs");
        assert_eq!((name, silence.as_secs()), ("keyed", 101));
        heartbeats.rest(Role::Keyed);
        assert_eq!(heartbeats.hangs(Duration::from_secs(100)), None);
    }
}
