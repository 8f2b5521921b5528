//! Reading a record of an internal log, the same for every stage that folds one.

use super::outputs::Outputs;
use super::stage::{FoldError, Stage};
use crate::log::Fetched;
use crate::log::frame::{FrameError, Record};

/// Decodes a record. What was not committed must have been made by this stage's version: another
/// version's positions mean other outputs. Of sources that give nothing it may be anybody's.
///
/// # Errors
///
/// [`FoldError::Frame`] if it is no record of an internal log, [`FoldError::OtherFold`] if its outputs
/// would be kept and another version made it.
pub(super) fn read<'a, S: Stage>(
    stage: &S,
    fetched: &'a Fetched,
    out: &Outputs,
) -> Result<Record<'a>, FoldError> {
    let bytes = fetched.record.value.as_deref().unwrap_or_default();
    let record = Record::decode(bytes).map_err(|source| fault(fetched, source))?;
    let ours = stage.fold_version();
    if out.kept() && record.fold != ours && record.can_give(|source| stage.gives_nothing(source)) {
        let (partition, offset) = (fetched.partition, fetched.offset);
        return Err(FoldError::OtherFold { partition, offset, found: record.fold.0, ours: ours.0 });
    }
    Ok(record)
}

/// A fault of the bytes, with their place.
pub(super) fn fault(fetched: &Fetched, source: FrameError) -> FoldError {
    FoldError::Frame { partition: fetched.partition, offset: fetched.offset, source }
}
