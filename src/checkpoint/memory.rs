//! Checkpoints in memory, with everything that can go wrong in storage, on demand.

use super::folder::{Folder, FolderError};
use crate::log::frame::SourceId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Storage that several keepers of one thread share.
pub type SharedStorage = Rc<RefCell<Storage>>;

/// Files by task and name.
#[derive(Debug, Default)]
pub struct Storage {
    files: BTreeMap<(SourceId, String), Vec<u8>>,
    /// Whether whatever is tried fails: the disk is full, or the network away.
    pub fails: bool,
    /// Whether a file that is made is cut off at this many bytes, as by a loss of power.
    pub tears_at: Option<usize>,
}

impl Storage {
    /// To be shared by keepers.
    #[must_use]
    pub fn shared() -> SharedStorage {
        Rc::default()
    }

    /// Every file: task, name, bytes.
    pub fn files(&self) -> impl Iterator<Item = (SourceId, &str, &[u8])> {
        self.files.iter().map(|((task, name), bytes)| (*task, name.as_str(), bytes.as_slice()))
    }

    /// The bytes of a file, to be damaged.
    pub fn file_mut(&mut self, task: SourceId, name: &str) -> Option<&mut Vec<u8>> {
        self.files.get_mut(&(task, name.to_owned()))
    }

    fn answer(&self, what: &'static str, name: &str) -> Result<(), FolderError> {
        if self.fails {
            let fault = "no space left on device".to_owned();
            return Err(FolderError { what, name: name.to_owned(), fault });
        }
        Ok(())
    }
}

/// One keeper's view of the storage.
#[derive(Debug, Clone)]
pub struct MemoryFolder(pub SharedStorage);

impl Folder for MemoryFolder {
    fn names(&mut self, task: SourceId) -> Result<Vec<String>, FolderError> {
        let storage = self.0.borrow();
        storage.answer("listing", "")?;
        Ok(storage.files().filter(|(of, ..)| *of == task).map(|(_, name, _)| name.to_owned()).collect())
    }

    fn read(&mut self, task: SourceId, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let storage = self.0.borrow();
        storage.answer("reading", name)?;
        Ok(storage.files.get(&(task, name.to_owned())).cloned())
    }

    fn create(&mut self, task: SourceId, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let mut storage = self.0.borrow_mut();
        storage.answer("making", name)?;
        let whole = storage.tears_at.unwrap_or(bytes.len()).min(bytes.len());
        let bytes = bytes.get(..whole).unwrap_or_default().to_vec();
        storage.files.entry((task, name.to_owned())).or_insert(bytes);
        Ok(())
    }

    fn delete(&mut self, task: SourceId, name: &str) -> Result<(), FolderError> {
        let mut storage = self.0.borrow_mut();
        storage.answer("deleting", name)?;
        storage.files.remove(&(task, name.to_owned()));
        Ok(())
    }
}
