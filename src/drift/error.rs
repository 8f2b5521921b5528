//! Why two windows cannot be compared.

/// One of the two windows of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The one that says what is normal.
    Reference,
    /// The one that is judged.
    Current,
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Window::Reference => "reference",
            Window::Current => "current",
        })
    }
}

/// Why a distance or a decision does not exist for this input. None of them passes by itself: the caller skips the
/// comparison and counts it.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DriftError {
    /// Bins or quantiles of two windows go by place, so there must be equally many.
    #[error("{reference} bins in the reference window and {current} in the current one")]
    BinMismatch {
        /// How many the reference window has.
        reference: usize,
        /// How many the current window has.
        current: usize,
    },
    /// Each bin needs one value that stands for it, and they must not fall.
    #[error("{values} rising values for {bins} bins")]
    RepresentativeMismatch {
        /// How many bins there are.
        bins: usize,
        /// How many values were given, up to the first that is below the one before it or not finite.
        values: usize,
    },
    /// A window without a value has no shares.
    #[error("the {window} window holds no value")]
    EmptyWindow {
        /// The window.
        window: Window,
    },
    /// NaN and infinities are counted by the sketch and never compared.
    #[error("value {place} of the {window} window is not finite")]
    NonFinite {
        /// The window.
        window: Window,
        /// Its index among the values.
        place: usize,
    },
    /// Two points can be compared only if they have equally many coordinates.
    #[error("points of {expected} and of {found} dimensions")]
    DimensionMismatch {
        /// How many the first point has.
        expected: usize,
        /// How many another has.
        found: usize,
    },
    /// A p-value lies between 0 and 1.
    #[error("test {place} has the p-value {value}")]
    NotAProbability {
        /// Its index among the tests.
        place: usize,
        /// What was given.
        value: f64,
    },
    /// A weight is finite and not negative, and not all of them are 0.
    #[error("test {place} has the weight {value}")]
    NotAWeight {
        /// Its index among the tests.
        place: usize,
        /// What was given.
        value: f64,
    },
}
