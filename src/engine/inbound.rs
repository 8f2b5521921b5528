//! Reading a record of an internal log, the same for every stage that folds one.

use super::outputs::Outputs;
use super::stage::FoldError;
use crate::log::Fetched;
use crate::log::frame::{FoldVersion, FrameError, Item, Record, SourceId};

/// Decodes a record. What was not committed must have been made by `ours`: another version's
/// positions mean other outputs.
///
/// # Errors
///
/// [`FoldError::Frame`] if it is no record of an internal log, [`FoldError::OtherFold`] if its outputs
/// would be kept and another version made it.
pub(super) fn read<'a>(
    fetched: &'a Fetched,
    ours: FoldVersion,
    out: &Outputs,
) -> Result<Record<'a>, FoldError> {
    read_beside(fetched, ours, out, |_| false)
}

/// As [`read`]; frames of sources for which `gives_nothing` holds lead to no output, whoever made them.
///
/// # Errors
///
/// As [`read`].
pub(super) fn read_beside<'a>(
    fetched: &'a Fetched,
    ours: FoldVersion,
    out: &Outputs,
    gives_nothing: impl Fn(SourceId) -> bool,
) -> Result<Record<'a>, FoldError> {
    let bytes = fetched.record.value.as_deref().unwrap_or_default();
    let record = Record::decode(bytes).map_err(|source| fault(fetched, source))?;
    let matters = |item: &Item<'_>| match item {
        Item::Join(_) => false,
        Item::Frame(frame) => !gives_nothing(frame.source),
        Item::Deadline(_) => true,
    };
    if out.kept() && record.fold != ours && record.items.iter().any(matters) {
        let (partition, offset) = (fetched.partition, fetched.offset);
        return Err(FoldError::OtherFold { partition, offset, found: record.fold.0, ours: ours.0 });
    }
    Ok(record)
}

/// A fault of the bytes, with their place.
pub(super) fn fault(fetched: &Fetched, source: FrameError) -> FoldError {
    FoldError::Frame { partition: fetched.partition, offset: fetched.offset, source }
}
