//! What the log says of a restore: how far it is, now and then, and how long it took.

use crate::engine::worker::Restore;
use crate::time::Stopwatch;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(5);

/// Says it.
#[derive(Default)]
pub(super) struct RestoreLog {
    begun: Option<Stopwatch>,
    said: Option<Stopwatch>,
}

impl RestoreLog {
    pub(super) fn tell(&mut self, role: &'static str, restores: impl Iterator<Item = Restore>) {
        let restores: Vec<Restore> = restores.collect();
        let Some(first) = restores.first() else {
            if let Some(begun) = self.begun.take() {
                tracing::info!(role, seconds = begun.elapsed().as_secs_f64(), "restored");
            }
            self.said = None;
            return;
        };
        self.begun.get_or_insert_with(Stopwatch::start);
        if self.said.as_ref().is_none_or(|said| said.elapsed() >= INTERVAL) {
            tracing::info!(role, partitions = restores.len(), "{first}");
            self.said = Some(Stopwatch::start());
        }
    }
}
