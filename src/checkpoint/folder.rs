//! Where a task's files lie: names and bytes, made once and never changed.

use crate::log::frame::SourceId;

/// Something went wrong with the storage, not with the file. Try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name}: {fault}")]
pub struct FolderError {
    /// What was tried.
    pub what: &'static str,
    /// With which file or folder.
    pub name: String,
    /// What the storage says.
    pub fault: String,
}

/// Storage of checkpoints, a folder for each task.
pub trait Folder {
    /// The names in the folder of `task`; none if there is no such folder.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: try again.
    fn names(&mut self, task: SourceId) -> Result<Vec<String>, FolderError>;

    /// The bytes of a file; none if it is not there (any more).
    ///
    /// # Errors
    ///
    /// [`FolderError`]: try again.
    fn read(&mut self, task: SourceId, name: &str) -> Result<Option<Vec<u8>>, FolderError>;

    /// Makes a file. It appears whole or not at all, as far as the storage can promise that; a file of that name
    /// that is there already is left as it is.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: it may or may not be there; try again.
    fn create(&mut self, task: SourceId, name: &str, bytes: &[u8]) -> Result<(), FolderError>;

    /// Deletes a file that may be there.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: try again.
    fn delete(&mut self, task: SourceId, name: &str) -> Result<(), FolderError>;

    /// Deletes what a `create` that was cut off has left, where that leaves anything that is not a file of its own.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: try again.
    fn sweep(&mut self, _task: SourceId) -> Result<(), FolderError> {
        Ok(())
    }
}
