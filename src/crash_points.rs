//! Places where a process can be made to die, for tests of recovery: compiled in with the feature `chaos` only.
//!
//! `TILLSTREAM_CRASH_AT=commit.after:3` ends the process when it comes to that place for the third time, as kill -9
//! does: nothing is flushed, nothing is said. `TILLSTREAM_HANG_AT` makes the thread that comes there go no further.

/// Every place, in the order in which one cycle comes to them.
pub const POINTS: [&str; 16] = [
    "poll.before",
    "poll.after",
    "fold.before",
    "fold.after",
    "send.before",
    "send.after",
    "acknowledged.before",
    "acknowledged.after",
    "commit.before",
    "commit.after",
    "transaction.begun",
    "transaction.offsets_sent",
    "transaction.after",
    "checkpoint.before",
    "checkpoint.after",
    "checkpoint.delete",
];

/// This is `point`.
#[cfg(not(feature = "chaos"))]
#[inline(always)]
pub fn reach(_point: &'static str) {}

/// This is `point`; the process ends here if it was told to.
#[cfg(feature = "chaos")]
pub fn reach(point: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(bool, String, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);
    debug_assert!(POINTS.contains(&point), "{point} is not in the list");
    let wanted = WANTED.get_or_init(|| {
        let crashes = std::env::var("TILLSTREAM_CRASH_AT").ok();
        let is_crash = crashes.is_some();
        let told = crashes.or_else(|| std::env::var("TILLSTREAM_HANG_AT").ok())?;
        let (point, times) = told.split_once(':')?;
        Some((is_crash, point.to_owned(), times.parse().ok()?))
    });
    if let Some((is_crash, at, times)) = wanted
        && at == point
        && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == *times
    {
        tracing::error!(point, times, is_crash, "crashing or hanging, as told");
        if *is_crash {
            std::process::abort();
        }
        loop {
            std::thread::park();
        }
    }
}
