//! Two of a kind, one from each window.

/// What the reference window and the current window have of something. Always written with both names, so that the two
/// cannot be swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pair<T> {
    /// Of the window that says what is normal.
    pub reference: T,
    /// Of the window that is judged.
    pub current: T,
}

impl<T> Pair<T> {
    /// The same of both.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> Pair<U> {
        Pair { reference: of(self.reference), current: of(self.current) }
    }
}

impl Pair<u64> {
    /// How many both have together; at most `u64::MAX`.
    #[must_use]
    pub fn total(self) -> u64 {
        self.reference.saturating_add(self.current)
    }
}
