//! Notices a role whose lives end again and again: each begins well, so that by itself it looks ready.

use crate::time::Stopwatch;
use std::time::Duration;

/// A life that lasts for so long has got over what ended the one before.
const LONG: Duration = Duration::from_secs(30);
/// So many short ones in a row are no accident.
const MANY: u32 = 3;

/// The short lives in a row, and why the last one ended.
#[derive(Default)]
pub(super) struct ShortLives {
    count: u32,
    reason: String,
    begun: Option<Stopwatch>,
}

impl ShortLives {
    pub(super) fn begins(&mut self) {
        self.begun = Some(Stopwatch::start());
    }

    pub(super) fn ended(&mut self, reason: String) {
        self.count = if self.is_long() { 1 } else { self.count + 1 };
        self.reason = reason;
        self.begun = None;
    }

    /// Why the role cannot be called ready.
    pub(super) fn trouble(&self) -> Option<String> {
        (self.count >= MANY && !self.is_long()).then(|| {
            format!("its lives end again and again, {} by now; the last: {}", self.count, self.reason)
        })
    }

    fn is_long(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.elapsed() >= LONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_short_lives_are_trouble_until_one_is_long() {
        let mut lives = ShortLives::default();
        for number in 1..=3 {
            assert_eq!(lives.trouble(), None);
            lives.begins();
            lives.ended(format!("fault {number}"));
        }
        lives.begins();
        let trouble = lives.trouble().expect("three in a row");
        assert!(trouble.contains("3 by now; the last: fault 3"), "{trouble}");
        lives.begun = Some(Stopwatch::started_before(LONG));
        assert_eq!(lives.trouble(), None);
        lives.ended("fault 4".to_owned());
        assert_eq!(lives.trouble(), None, "the first in a row again");
    }
}
