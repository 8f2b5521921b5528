//! Where ranges lie: their files by day, and a manifest for each, which alone makes its files count.
//!
//! ```text
//! vectors/day=2026-01-05/<partition>-<from>-<to>-<hash>.parquet
//! vectors/ranges/<partition>-<from, 20 digits>.json
//! labels/…
//! ```

use super::day::Day;
use super::range::Mark;
use super::rows::Set;
use crate::log::position::Offset;
use crate::store::Place;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Requests to an object store that wait at once.
const READS_AT_ONCE: usize = 16;
/// The folder of a set's manifests.
const RANGES: &str = "ranges";

/// Why the archive could not be read or written. Nothing is lost; try again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The storage does not answer, or refuses.
    #[error("{doing} {path}: {fault}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Where.
        path: String,
        /// What was reported.
        fault: object_store::Error,
    },
    /// A manifest is damaged, or somebody else's.
    #[error("{path} is no manifest of this archive: {fault}")]
    Manifest {
        /// Where.
        path: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A file that counts is gone.
    #[error("{path} is not there, and its manifest names it")]
    Missing {
        /// Which.
        path: String,
    },
    /// A file is no Parquet, or has columns that its manifest does not know.
    #[error("{path}: {fault}")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it.
        fault: ParquetError,
    },
}

/// What a range came to. Made once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The public partition.
    pub partition: u32,
    /// The first offset of the range.
    pub from: Offset,
    /// The offset behind its last: the next range begins here.
    pub to: Offset,
    /// The files, relative to the folder of the set.
    pub files: Vec<String>,
    /// How many rows they have in all.
    pub rows: u64,
    /// The features that have a column in any of them.
    #[serde(default)]
    pub features: Vec<String>,
    /// Of what publishes, the last that was seen up to `to`.
    pub marks: Vec<Mark>,
}

impl Manifest {
    fn path(&self) -> String {
        manifest_path(self.partition, self.from)
    }
}

fn manifest_path(partition: u32, from: Offset) -> String {
    format!("{RANGES}/{partition}-{from:020}.json")
}

/// Partition and first offset, out of the name of a manifest.
fn place_of_manifest(name: &str) -> Option<(u32, Offset)> {
    let (partition, from) = name.strip_suffix(".json")?.split_once('-')?;
    Some((partition.parse().ok()?, from.parse().ok()?))
}

/// Partition and first offset, out of the name of a file.
fn place_of_file(name: &str) -> Option<(u32, Offset)> {
    let mut parts = name.strip_suffix(".parquet")?.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn day_folder(day: Day) -> String {
    format!("day={day}")
}

/// The path of the file with the rows of `day` of a range, relative to the folder of the set. Other bytes have another path: a
/// writer of another version, or one that found less of the log, never writes over a file that counts.
#[must_use]
pub fn file_path(day: Day, partition: u32, (from, to): (Offset, Offset), bytes: &[u8]) -> String {
    format!("{}/{partition}-{from}-{to}-{:016x}.parquet", day_folder(day), xxh3_64(bytes))
}

/// The day in whose folder a path within a set lies.
pub(super) fn day_of(path: &str) -> Option<Day> {
    path.split_once('/')?.0.strip_prefix("day=")?.parse().ok()
}

/// Where a writer puts ranges.
pub trait RangeStore {
    /// The manifest of the last range of every partition.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]; try again.
    fn newest(&mut self, set: Set) -> Result<BTreeMap<u32, Manifest>, ArchiveError>;

    /// Puts a file at `path` within the set, in place of what may be there.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]; try again.
    fn put(&mut self, set: Set, path: &str, bytes: Vec<u8>) -> Result<(), ArchiveError>;

    /// Makes a manifest, unless its range has one: then that is returned.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]; nobody knows whether it was made; try again.
    fn create(&mut self, set: Set, manifest: &Manifest) -> Result<Option<Manifest>, ArchiveError>;
}

/// An archive in a folder or an object store.
#[derive(Debug)]
pub struct ObjectArchive {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    runtime: tokio::runtime::Runtime,
}

/// A file of a day, with the partition of its range and the offset at which that begins.
type FileOfRange = (String, (u32, Offset));

impl ObjectArchive {
    /// The archive at `place`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// If the system gives no runtime.
    pub fn open(place: &Place) -> std::io::Result<ObjectArchive> {
        let (store, prefix) = place.root();
        ObjectArchive::new(store, prefix)
    }

    /// The archive below `prefix` of `store`.
    ///
    /// # Errors
    ///
    /// If the system gives no runtime.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: ObjectPath) -> std::io::Result<ObjectArchive> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(ObjectArchive { store, prefix, runtime })
    }

    fn at(&self, set: Set, path: &str) -> ObjectPath {
        path.split('/').fold(self.prefix.clone().join(set.name()), |folder, part| folder.join(part))
    }

    /// The names of all that lies in a folder of `set`.
    fn names(&self, set: Set, folder: &str) -> Result<Vec<String>, ArchiveError> {
        let path = self.at(set, folder);
        let listed = self.runtime.block_on(async {
            self.store.list(Some(&path)).map_ok(|meta| meta.location).try_collect::<Vec<_>>().await
        });
        let locations = listed.map_err(|fault| storage("listing", &path, fault))?;
        Ok(locations.iter().filter_map(|location| location.filename().map(str::to_owned)).collect())
    }

    /// What lies at these paths within `set`, in their order; none where nothing does.
    fn read_all(&self, set: Set, paths: &[String]) -> Result<Vec<Option<Bytes>>, ArchiveError> {
        let locations: Vec<ObjectPath> = paths.iter().map(|path| self.at(set, path)).collect();
        self.runtime.block_on(async {
            let reads = locations.iter().map(|location| read(&*self.store, location));
            futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
        })
    }

    fn parsed(&self, set: Set, path: &str, bytes: &[u8]) -> Result<Manifest, ArchiveError> {
        let fault = |fault: String| ArchiveError::Manifest { path: self.at(set, path).to_string(), fault };
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|why| fault(why.to_string()))?;
        if manifest.path() != path || manifest.to <= manifest.from {
            return Err(fault("it is of another range".to_owned()));
        }
        Ok(manifest)
    }

    /// The manifests of these ranges, by partition and first offset; those that have none are left out.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]: the storage fails, or a manifest is damaged.
    pub fn manifests(
        &self,
        set: Set,
        ranges: &[(u32, Offset)],
    ) -> Result<BTreeMap<(u32, Offset), Manifest>, ArchiveError> {
        let paths: Vec<String> =
            ranges.iter().map(|(partition, from)| manifest_path(*partition, *from)).collect();
        let found = self.read_all(set, &paths)?;
        let mut manifests = BTreeMap::new();
        for ((range, path), bytes) in ranges.iter().zip(&paths).zip(found) {
            if let Some(bytes) = bytes {
                manifests.insert(*range, self.parsed(set, path, &bytes)?);
            }
        }
        Ok(manifests)
    }

    /// The files that lie in the folder of a day, whether they count or not: path within the set, and the range that
    /// they are of. In the order of ranges.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]: the storage fails.
    pub fn files_of(&self, set: Set, day: Day) -> Result<Vec<FileOfRange>, ArchiveError> {
        let folder = day_folder(day);
        let names = self.names(set, &folder)?;
        let file = |name: &String| Some((format!("{folder}/{name}"), place_of_file(name)?));
        let mut files: Vec<_> = names.iter().filter_map(file).collect();
        files.sort_unstable_by(|(one, of_one), (other, of_other)| (of_one, one).cmp(&(of_other, other)));
        Ok(files)
    }

    /// The files at these paths within `set`.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Missing`], or the storage fails.
    pub fn read_files(&self, set: Set, paths: &[String]) -> Result<Vec<Bytes>, ArchiveError> {
        let found = self.read_all(set, paths)?;
        let there = |(path, bytes): (&String, Option<Bytes>)| {
            bytes.ok_or_else(|| ArchiveError::Missing { path: self.at(set, path).to_string() })
        };
        paths.iter().zip(found).map(there).collect()
    }
}

fn storage(doing: &'static str, path: &ObjectPath, fault: object_store::Error) -> ArchiveError {
    ArchiveError::Storage { doing, path: path.to_string(), fault }
}

async fn read(store: &dyn ObjectStore, location: &ObjectPath) -> Result<Option<Bytes>, ArchiveError> {
    let read = async { store.get(location).await?.bytes().await };
    match read.await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(fault) => Err(storage("reading", location, fault)),
    }
}

impl RangeStore for ObjectArchive {
    fn newest(&mut self, set: Set) -> Result<BTreeMap<u32, Manifest>, ArchiveError> {
        let mut newest = BTreeMap::<u32, Offset>::new();
        for (partition, from) in self.names(set, RANGES)?.iter().filter_map(|name| place_of_manifest(name)) {
            let known = newest.entry(partition).or_insert(from);
            *known = from.max(*known);
        }
        let ranges: Vec<(u32, Offset)> = newest.into_iter().collect();
        let manifests = self.manifests(set, &ranges)?;
        match ranges.iter().find(|range| !manifests.contains_key(*range)) {
            Some((partition, from)) => {
                let path = self.at(set, &manifest_path(*partition, *from)).to_string();
                Err(ArchiveError::Missing { path })
            }
            None => {
                Ok(manifests.into_iter().map(|((partition, _), manifest)| (partition, manifest)).collect())
            }
        }
    }

    fn put(&mut self, set: Set, path: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        let location = self.at(set, path);
        let put = self.runtime.block_on(self.store.put(&location, PutPayload::from(bytes)));
        put.map(drop).map_err(|fault| storage("writing", &location, fault))
    }

    fn create(&mut self, set: Set, manifest: &Manifest) -> Result<Option<Manifest>, ArchiveError> {
        let path = manifest.path();
        let location = self.at(set, &path);
        let json = serde_json::to_vec(manifest).expect("a manifest has only texts and numbers");
        let options = PutOptions::from(PutMode::Create);
        let put = self.store.put_opts(&location, PutPayload::from(json), options);
        match self.runtime.block_on(put) {
            Ok(_) => Ok(None),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let there = self.read_files(set, std::slice::from_ref(&path))?;
                there.first().map(|bytes| self.parsed(set, &path, bytes)).transpose()
            }
            Err(fault) => Err(storage("making", &location, fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn archive() -> ObjectArchive {
        ObjectArchive::new(Arc::new(InMemory::new()), ObjectPath::from("shop")).expect("a runtime")
    }

    fn manifest(partition: u32, from: Offset, to: Offset) -> Manifest {
        let marks = vec![Mark { topic: 1, partition: 0, offset: to, index: 0 }];
        Manifest { partition, from, to, files: Vec::new(), rows: 0, features: Vec::new(), marks }
    }

    #[test]
    fn a_range_has_one_manifest_and_who_comes_second_is_given_it() {
        let mut archive = archive();
        let (first, second) = (manifest(0, 5, 9), manifest(0, 5, 12));
        assert_eq!(archive.create(Set::Labels, &first).expect("memory answers"), None);
        assert_eq!(archive.create(Set::Labels, &second).expect("memory answers"), Some(first.clone()));
        assert_eq!(archive.create(Set::Vectors, &second).expect("memory answers"), None, "another set");
        assert_eq!(archive.newest(Set::Labels).expect("memory answers"), BTreeMap::from([(0, first)]));
    }

    #[test]
    fn the_newest_range_of_each_partition_is_that_of_the_highest_offset() {
        let mut archive = archive();
        for (partition, from) in [(0, 0), (0, 9), (0, 10), (10, 0), (10, 100), (2, 7)] {
            archive.create(Set::Vectors, &manifest(partition, from, from + 1)).expect("memory answers");
        }
        let newest = archive.newest(Set::Vectors).expect("memory answers");
        let from: Vec<_> = newest.iter().map(|(partition, manifest)| (*partition, manifest.from)).collect();
        assert_eq!(from, [(0, 10), (2, 7), (10, 100)]);
        assert!(archive.newest(Set::Labels).expect("memory answers").is_empty());
    }

    #[test]
    fn a_manifest_that_is_damaged_or_of_another_range_is_an_error() {
        let mut archive = archive();
        let other = serde_json::to_vec(&manifest(0, 6, 7)).expect("texts and numbers");
        for bytes in [b"{".to_vec(), other] {
            archive.put(Set::Vectors, &manifest_path(0, 5), bytes).expect("memory answers");
            let found = archive.newest(Set::Vectors);
            assert!(matches!(found, Err(ArchiveError::Manifest { .. })), "{found:?}");
        }
    }

    #[test]
    fn files_of_a_day_are_listed_with_their_range_and_read_back() {
        let mut archive = archive();
        let day: Day = "2026-01-05".parse().expect("a day");
        let later = file_path(day, 2, (10, 12), b"later");
        let first = file_path(day, 2, (9, 10), b"first");
        assert_ne!(first, file_path(day, 2, (9, 10), b"other"), "other bytes are another file");
        for path in [&later, &first] {
            archive.put(Set::Vectors, path, path.clone().into_bytes()).expect("memory answers");
        }
        archive.put(Set::Vectors, "day=2026-01-06/2-9-10.parquet", Vec::new()).expect("memory answers");
        archive.put(Set::Vectors, "day=2026-01-05/notes.txt", Vec::new()).expect("memory answers");
        let files = archive.files_of(Set::Vectors, day).expect("memory answers");
        assert_eq!(files, [(first.clone(), (2, 9)), (later.clone(), (2, 10))]);
        let read = archive.read_files(Set::Vectors, &[later.clone(), first]).expect("memory answers");
        assert_eq!(read.first().map(|bytes| &**bytes), Some(later.as_bytes()));
        let gone = archive.read_files(Set::Vectors, &[file_path(day, 3, (0, 1), b"")]);
        assert!(matches!(gone, Err(ArchiveError::Missing { .. })), "{gone:?}");
    }
}
