//! Windows of event time that are open: what comes is added to the window that holds it, until the watermark says that the window is over.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What has come so far, by the beginning of its window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWindows<T> {
    open: BTreeMap<EventTime, T>,
    /// Windows that begin before this are over.
    over: Option<EventTime>,
}

impl<T> Default for OpenWindows<T> {
    fn default() -> Self {
        OpenWindows { open: BTreeMap::new(), over: None }
    }
}

impl<T: Default> OpenWindows<T> {
    /// The window that begins at `start`; none if it is over.
    pub fn at(&mut self, start: EventTime) -> Option<&mut T> {
        if self.over.is_some_and(|over| start < over) {
            return None;
        }
        Some(self.open.entry(start).or_default())
    }

    /// Takes out the windows of that length that have been over for `allowed_lateness` by the watermark, in their order.
    pub fn close(
        &mut self,
        watermark: EventTime,
        allowed_lateness: Duration,
        length: Duration,
    ) -> BTreeMap<EventTime, T> {
        // windows that begin before this ended before the watermark less the lateness
        let over = watermark.minus(allowed_lateness).floor(length);
        if self.over.is_some_and(|known| known >= over) {
            return BTreeMap::new();
        }
        self.over = Some(over);
        let left = self.open.split_off(&over);
        std::mem::replace(&mut self.open, left)
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_taken_out_once_and_takes_nothing_afterwards() {
        const MINUTE: Duration = Duration::from_secs(60);
        const LATENESS: Duration = Duration::from_secs(5);
        let mut windows = OpenWindows::<u32>::default();
        for start in [0, 60_000, 0] {
            *windows.at(EventTime(start)).expect("it is open") += 1;
        }
        assert!(windows.close(EventTime(64_999), LATENESS, MINUTE).is_empty());
        let closed = windows.close(EventTime(65_000), LATENESS, MINUTE);
        assert_eq!((closed, windows.len()), (BTreeMap::from([(EventTime(0), 2)]), 1));
        assert_eq!(windows.at(EventTime(0)), None);
        assert!(windows.close(EventTime(3), LATENESS, MINUTE).is_empty(), "time does not go back");
        assert_eq!(windows.at(EventTime(60_000)), Some(&mut 1));
    }
}
