//! The chain of files of each task: found at a start, added to, folded into a new base when it grows long.

use super::Blocks;
use super::file::{Checkpoint, Damage, EXPIRING, Head, Parent, Sum, Table, Writer};
use super::folder::{Folder, FolderError};
use crate::log::frame::{FoldVersion, Life, SourceId};
use crate::log::position::Offset;
use crate::state::entries::{self, Entries};
use crate::time::EventTime;
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use std::collections::BTreeMap;

/// A chain of more files is folded into a base: a restore reads them all.
pub const CHAIN_MAX: u32 = 8;
/// Bases that are kept: the newest, and the one before in case the newest is damaged.
const BASES_KEPT: usize = 2;

/// What a checkpoint says of itself before its blocks are there.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The next offset to fold.
    pub offset: Offset,
    /// Who writes it.
    pub life: Life,
    /// What folded it.
    pub fold: FoldVersion,
    /// The shape of the state, see [`Head::shape`].
    pub shape: u64,
    /// The task's watermark at the cut.
    pub watermark: Option<EventTime>,
    /// The state that is written whole.
    pub whole: Vec<u8>,
}

/// What was found for a task.
#[derive(Debug, Default)]
pub struct Found {
    /// Base first, newest delta last; empty if there is nothing that can be used.
    pub chain: Vec<Checkpoint>,
    /// Files that cannot be used, with the reason: for the log.
    pub passed_over: Vec<(String, Unusable)>,
}

/// Why a file was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// It is of another task, or its parent is another file than it says.
    #[error("it does not belong to this chain")]
    Foreign,
    /// The file it adds to is not there, or cannot be used.
    #[error("its parent {0} cannot be used")]
    Parent(String),
    /// The state has another shape.
    #[error(
        "it holds state of another shape (the views or the format of the program's state were changed, or the log that the \
         task writes was made again)"
    )]
    OtherShape,
}

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The offset of the checkpoint.
    pub offset: Offset,
    /// The bytes of its file.
    pub bytes: usize,
}

/// The newest file of a task's chain.
#[derive(Debug, Clone)]
struct Tip {
    parent: Parent,
    chain: u32,
}

/// Finds and keeps the chains of an instance's tasks.
#[derive(Debug)]
pub struct Keeper<F> {
    folder: F,
    tips: BTreeMap<SourceId, Tip>,
    /// Files that are being written, in memory.
    unsaved: BTreeMap<SourceId, File>,
}

/// A file in memory.
#[derive(Debug)]
enum File {
    /// Its blocks are coming.
    Open(Head, Writer),
    /// It is whole.
    Whole(Head, Vec<u8>, Sum),
}

impl<F: Folder> Keeper<F> {
    /// Over `folder`.
    pub fn new(folder: F) -> Keeper<F> {
        Keeper { folder, tips: BTreeMap::new(), unsaved: BTreeMap::new() }
    }

    /// Finds the newest chain of `task` that is whole and of this `shape`; later deltas add to it.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: the storage does not answer; try again.
    pub fn find(&mut self, task: SourceId, shape: u64) -> Result<Found, FolderError> {
        // whatever is known of it is from before somebody else had the task
        self.tips.remove(&task);
        self.unsaved.remove(&task);
        let mut names = self.folder.names(task)?;
        names.sort_unstable_by(|one, other| order(other).cmp(&order(one)));
        let mut found = Found::default();
        for name in names {
            match self.chain_of(task, &name, Some(shape))? {
                Ok(chain) => {
                    let tip = chain.last().expect("a chain has a file");
                    let parent = Parent { name, sum: tip.sum };
                    self.tips.insert(task, Tip { parent, chain: tip.head.chain });
                    found.chain = chain;
                    break;
                }
                Err(unusable) => found.passed_over.push((name, unusable)),
            }
        }
        Ok(found)
    }

    /// The file `name` and all that it rests on, base first.
    fn chain_of(
        &mut self,
        task: SourceId,
        name: &str,
        shape: Option<u64>,
    ) -> Result<Result<Vec<Checkpoint>, Unusable>, FolderError> {
        let mut chain = Vec::new();
        let mut wanted = Some((name.to_owned(), None::<Sum>));
        while let Some((name, sum)) = wanted {
            let of_parent = |unusable| if sum.is_some() { Unusable::Parent(name.clone()) } else { unusable };
            let Some(bytes) = self.folder.read(task, &name)? else {
                return Ok(Err(of_parent(Unusable::Foreign)));
            };
            let checkpoint = match Checkpoint::read(bytes) {
                Ok(checkpoint) => checkpoint,
                Err(damage) => return Ok(Err(of_parent(damage.into()))),
            };
            if checkpoint.head.task != task || sum.is_some_and(|sum| sum != checkpoint.sum) {
                return Ok(Err(of_parent(Unusable::Foreign)));
            }
            if shape.is_some_and(|shape| checkpoint.head.shape != shape) {
                return Ok(Err(Unusable::OtherShape));
            }
            wanted = checkpoint.head.parent.as_ref().map(|parent| (parent.name.clone(), Some(parent.sum)));
            chain.push(checkpoint);
        }
        chain.reverse();
        Ok(Ok(chain))
    }

    /// The next file of `task` adds to none: it is a base.
    pub fn forget(&mut self, task: SourceId) {
        self.tips.remove(&task);
    }

    /// Begins the next file of the chain of `task`, in place of one that was begun and not saved.
    pub fn begin(&mut self, task: SourceId, cut: Cut) {
        let tip = self.tips.get(&task).cloned();
        let chain = tip.as_ref().map_or(0, |tip| tip.chain) + 1;
        let Cut { offset, life, fold, shape, watermark, whole } = cut;
        let parent = tip.map(|tip| tip.parent);
        let head = Head { task, offset, life, fold, shape, watermark, parent, chain, whole };
        let writer = Writer::new(&head);
        self.unsaved.insert(task, File::Open(head, writer));
    }

    /// Adds what changed since the file before. Compresses it: a millisecond per block.
    pub fn add(&mut self, task: SourceId, blocks: &Blocks) {
        if let Some(File::Open(_, writer)) = self.unsaved.get_mut(&task) {
            for (table, entries) in blocks.iter() {
                writer.block(table, entries);
            }
        }
    }

    /// Saves the file that was begun. Nothing if there is none: its task went to somebody else.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: nothing is lost; try again.
    pub fn save(&mut self, task: SourceId) -> Result<Option<Saved>, FolderError> {
        let (head, bytes, sum) = match self.unsaved.remove(&task) {
            None => return Ok(None),
            Some(File::Whole(head, bytes, sum)) => (head, bytes, sum),
            Some(File::Open(head, writer)) => {
                let (bytes, sum) = writer.finish();
                (head, bytes, sum)
            }
        };
        let name = file_name(&head);
        if let Err(fault) = self.create(task, &name, &bytes, sum) {
            self.unsaved.insert(task, File::Whole(head, bytes, sum));
            return Err(fault);
        }
        self.tips.insert(task, Tip { parent: Parent { name, sum }, chain: head.chain });
        Ok(Some(Saved { offset: head.offset, bytes: bytes.len() }))
    }

    /// Makes a file and reads it again: what follows rests on it.
    fn create(&mut self, task: SourceId, name: &str, bytes: &[u8], sum: Sum) -> Result<(), FolderError> {
        self.folder.create(task, name, bytes)?;
        let found = self.folder.read(task, name)?;
        match found.map(Checkpoint::read) {
            Some(Ok(checkpoint)) if checkpoint.sum == sum => Ok(()),
            _ => {
                self.folder.delete(task, name)?;
                let fault = "what was written is not what is there".to_owned();
                Err(FolderError { what: "verifying", name: name.to_owned(), fault })
            }
        }
    }

    /// Folds the chain of `task` into a base, if it has grown long, and deletes what is older than the base before it.
    /// The live state is not touched.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: the chain goes on as it was; try again after the next checkpoint.
    pub fn tidy(&mut self, task: SourceId) -> Result<(), FolderError> {
        let Some(tip) = self.tips.get(&task).filter(|tip| tip.chain > CHAIN_MAX).cloned() else {
            return Ok(());
        };
        let unusable = |fault: String| FolderError {
            what: "folding the chain of",
            name: tip.parent.name.clone(),
            fault,
        };
        let chain = self.chain_of(task, &tip.parent.name, None)?.map_err(|why| unusable(why.to_string()))?;
        let (name, bytes, sum) = folded(&chain).map_err(|damage| unusable(damage.to_string()))?;
        self.create(task, &name, &bytes, sum)?;
        self.tips.insert(task, Tip { parent: Parent { name: name.clone(), sum }, chain: 1 });
        self.delete_old(task, &name)
    }

    /// Deletes what no restore can need: all that is older than the oldest of the bases that are kept, and what was cut off.
    /// Those that count are `tip` and what its own stage wrote before it: bases of another shape lie beyond it while a
    /// task is made again, and rest on nothing here.
    fn delete_old(&mut self, task: SourceId, tip: &str) -> Result<(), FolderError> {
        self.folder.sweep(task)?;
        let mut names = self.folder.names(task)?;
        names.sort_unstable_by(|one, other| order(other).cmp(&order(one)));
        let is_kept =
            |name: &&String| is_base(name) && shape_of(name) == shape_of(tip) && order(name) <= order(tip);
        let Some(oldest) = names.iter().filter(is_kept).nth(BASES_KEPT - 1).cloned() else {
            return Ok(());
        };
        for name in names.iter().filter(|name| order(name) < order(&oldest)) {
            self.folder.delete(task, name)?;
        }
        Ok(())
    }
}

/// A file's name: offset, life, shape, kind. No two lives and no two offsets share one.
fn file_name(head: &Head) -> String {
    let kind = if head.parent.is_none() { "base" } else { "delta" };
    format!("{:020}-{:016x}-{:016x}-{kind}", head.offset, head.life.0, head.shape)
}

fn shape_of(name: &str) -> Option<&str> {
    name.split('-').nth(2)
}

/// Newest last: by offset; of one offset a base after a delta, for it says the same in one file.
fn order(name: &str) -> (&str, bool, &str) {
    (name.get(..20).unwrap_or_default(), is_base(name), name)
}

fn is_base(name: &str) -> bool {
    name.ends_with("-base")
}

/// A base that holds what the chain holds.
fn folded(chain: &[Checkpoint]) -> Result<(String, Vec<u8>, Sum), Damage> {
    let newest = chain.last().ok_or_else(|| Damage::Content("an empty chain".to_owned()))?;
    let head = Head { parent: None, chain: 1, ..newest.head.clone() };
    let mut writer = Writer::new(&head);
    let mut later = Later::default();
    // newest first: an entry that a later file names is out of date in an earlier one
    for checkpoint in chain.iter().rev() {
        for block in checkpoint.blocks() {
            let block = block?;
            let kept = later.filter(block.table, &block.entries, head.watermark)?;
            if !kept.is_empty() {
                writer.block(block.table, kept.bytes());
            }
        }
        later.end_of_file();
    }
    let (bytes, sum) = writer.finish();
    Ok((file_name(&head), bytes, sum))
}

/// The keys that later files have named.
#[derive(Default)]
struct Later {
    keys: HashSet<(Table, Box<[u8]>), FixedState>,
    of_this_file: Vec<(Table, Box<[u8]>)>,
}

impl Later {
    /// The entries of a block that a base needs: not named by a later file, not deleted, not expired.
    fn filter(
        &mut self,
        table: Table,
        block: &[u8],
        watermark: Option<EventTime>,
    ) -> Result<Entries, Damage> {
        let mut kept = Entries::default();
        for entry in entries::read(block) {
            let (key, value) = entry.map_err(|cut_off| Damage::Content(cut_off.to_string()))?;
            let name = (table, Box::<[u8]>::from(key));
            if self.keys.contains(&name) {
                continue;
            }
            if value.is_some_and(|value| table < EXPIRING || !is_over(value, watermark)) {
                kept.put_raw(key, value);
            }
            self.of_this_file.push(name);
        }
        Ok(kept)
    }

    fn end_of_file(&mut self) {
        self.keys.extend(self.of_this_file.drain(..));
    }
}

/// Whether the watermark has reached the time with which the value of an expiring entry begins.
fn is_over(value: &[u8], watermark: Option<EventTime>) -> bool {
    let until = value.first_chunk().map(|bytes| EventTime(i64::from_le_bytes(*bytes)));
    until.zip(watermark).is_some_and(|(until, watermark)| until <= watermark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::memory::{MemoryFolder, SharedStorage, Storage};
    use crate::generate::random::Random;

    const TASK: SourceId = SourceId { topic: 7, partition: 3 };
    const SHAPE: u64 = 1;

    type Values = BTreeMap<u32, u32>;

    fn keeper(storage: &SharedStorage) -> Keeper<MemoryFolder> {
        Keeper::new(MemoryFolder(storage.clone()))
    }

    /// A checkpoint of changes to table 0: key and value, or no value for a deleted key.
    fn begin(keeper: &mut Keeper<MemoryFolder>, offset: Offset, changes: &[(u32, Option<u32>)]) {
        begin_of(SHAPE, keeper, offset, changes);
    }

    fn begin_of(
        shape: u64,
        keeper: &mut Keeper<MemoryFolder>,
        offset: Offset,
        changes: &[(u32, Option<u32>)],
    ) {
        let cut = Cut {
            offset,
            life: Life(5),
            fold: FoldVersion(9),
            shape,
            watermark: Some(EventTime(1_000)),
            whole: offset.to_le_bytes().to_vec(),
        };
        keeper.begin(TASK, cut);
        let mut blocks = Blocks::default();
        blocks.fill(0, usize::MAX, |entries, _| {
            changes.iter().for_each(|(key, value)| entries.put(key, value.as_ref()));
            true
        });
        keeper.add(TASK, &blocks);
    }

    fn save(keeper: &mut Keeper<MemoryFolder>, offset: Offset, changes: &[(u32, Option<u32>)]) {
        begin(keeper, offset, changes);
        assert!(keeper.save(TASK).unwrap().is_some());
    }

    /// What a chain holds of table 0.
    fn values(chain: &[Checkpoint]) -> Values {
        let mut values = Values::new();
        for block in chain.iter().flat_map(Checkpoint::blocks) {
            for entry in entries::read(&block.unwrap().entries) {
                let (key, value) = entry.unwrap();
                let key = postcard::from_bytes(key).unwrap();
                match value {
                    Some(value) => values.insert(key, postcard::from_bytes(value).unwrap()),
                    None => values.remove(&key),
                };
            }
        }
        values
    }

    /// Saves `count` checkpoints of random changes; returns what each offset held.
    fn saved(
        keeper: &mut Keeper<MemoryFolder>,
        random: &mut Random,
        count: Offset,
    ) -> BTreeMap<Offset, Values> {
        let (mut model, mut at) = (Values::new(), BTreeMap::new());
        for offset in 1..=count {
            let key = |random: &mut Random| u32::try_from(random.below(40)).unwrap();
            let changes: BTreeMap<_, _> =
                (0..10).map(|_| (key(random), (random.below(4) > 0).then(|| key(random)))).collect();
            for (key, value) in &changes {
                match value {
                    Some(value) => model.insert(*key, *value),
                    None => model.remove(key),
                };
            }
            let changes: Vec<_> = changes.into_iter().collect();
            save(keeper, offset, &changes);
            keeper.tidy(TASK).unwrap();
            at.insert(offset, model.clone());
        }
        at
    }

    #[test]
    fn a_task_that_is_made_again_keeps_its_own_files_below_those_of_another_shape() {
        let (storage, other) = (Storage::shared(), SHAPE + 1);
        let mut before = keeper(&storage);
        for offset in 900..930 {
            save(&mut before, offset, &[(1, Some(1))]);
            before.tidy(TASK).unwrap();
        }
        let names = |storage: &SharedStorage| -> Vec<String> {
            storage.borrow().files().map(|(_, name, _)| name.to_owned()).collect()
        };
        let of_before = names(&storage);
        let mut again = keeper(&storage);
        assert!(again.find(TASK, other).unwrap().chain.is_empty());
        for offset in 1..40 {
            begin_of(other, &mut again, offset, &[(2, Some(u32::try_from(offset).unwrap()))]);
            assert!(again.save(TASK).unwrap().is_some());
            again.tidy(TASK).unwrap();
            let found = keeper(&storage).find(TASK, other).unwrap();
            assert_eq!(values(&found.chain)[&2], u32::try_from(offset).unwrap());
        }
        let left = names(&storage);
        assert!(of_before.iter().all(|name| left.contains(name)), "a way back as long as they are ahead");
        // once it has passed them they go as old files do
        for offset in 1_000..1_030 {
            begin_of(other, &mut again, offset, &[(2, Some(3))]);
            assert!(again.save(TASK).unwrap().is_some());
            again.tidy(TASK).unwrap();
        }
        assert!(names(&storage).iter().all(|name| !of_before.contains(name)));
    }

    #[test]
    fn the_newest_chain_holds_what_was_saved_last_however_often_it_was_folded() {
        for count in 1..40 {
            let storage = Storage::shared();
            let at = saved(&mut keeper(&storage), &mut Random::new(1), count);
            let found = keeper(&storage).find(TASK, SHAPE).unwrap();
            assert_eq!(values(&found.chain), at[&count], "after {count}");
            assert_eq!(found.chain.last().unwrap().head.whole, count.to_le_bytes());
            assert!(found.chain.len() <= CHAIN_MAX as usize && found.passed_over.is_empty());
            let files = storage.borrow().files().count();
            assert!(files <= 3 * CHAIN_MAX as usize + 2, "{files} files after {count}");
        }
    }

    #[test]
    fn damage_is_always_noticed_and_the_newest_whole_chain_is_used() {
        let mut random = Random::new(2);
        for round in 0..1_000 {
            let storage = Storage::shared();
            let at = saved(&mut keeper(&storage), &mut random, 14);
            let names: Vec<String> = storage.borrow().files().map(|(_, name, _)| name.to_owned()).collect();
            let pick =
                |random: &mut Random, bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
            let name = &names[pick(&mut random, names.len())];
            {
                let mut storage = storage.borrow_mut();
                let bytes = storage.file_mut(TASK, name).unwrap();
                let place = pick(&mut random, bytes.len());
                if round % 2 == 0 {
                    bytes[place] ^= 1 << random.below(8);
                } else {
                    bytes.truncate(place);
                }
            }
            let found = keeper(&storage).find(TASK, SHAPE).unwrap();
            let newest = found.chain.last().expect("the base before is kept").head.offset;
            assert_eq!(values(&found.chain), at[&newest], "round {round}: a damaged file was served");
            assert!(newest == 14 || !found.passed_over.is_empty(), "what is passed over is named");
        }
    }

    #[test]
    fn a_delta_whose_parent_is_another_file_than_it_says_is_passed_over() {
        let storage = Storage::shared();
        let mut one = keeper(&storage);
        save(&mut one, 1, &[(1, Some(1))]);
        save(&mut one, 2, &[(2, Some(2))]);
        let other = Storage::shared();
        save(&mut keeper(&other), 1, &[(9, Some(9))]);
        let foreign = other.borrow().files().next().map(|(_, _, bytes)| bytes.to_vec()).unwrap();
        let base = storage.borrow().files().find(|(_, name, _)| is_base(name)).unwrap().1.to_owned();
        *storage.borrow_mut().file_mut(TASK, &base).unwrap() = foreign;
        let found = keeper(&storage).find(TASK, SHAPE).unwrap();
        assert_eq!(found.passed_over.len(), 1);
        assert_eq!(values(&found.chain), Values::from([(9, 9)]));
    }

    #[test]
    fn storage_that_fails_loses_nothing() {
        let storage = Storage::shared();
        let mut keeper = keeper(&storage);
        save(&mut keeper, 1, &[(1, Some(1))]);
        begin(&mut keeper, 2, &[(2, Some(2))]);
        for (fails, tears_at) in [(true, None), (false, Some(20))] {
            (storage.borrow_mut().fails, storage.borrow_mut().tears_at) = (fails, tears_at);
            assert!(keeper.save(TASK).is_err());
        }
        (storage.borrow_mut().fails, storage.borrow_mut().tears_at) = (false, None);
        assert_eq!(keeper.save(TASK).unwrap().map(|saved| saved.offset), Some(2));
        let found = keeper.find(TASK, SHAPE).unwrap();
        assert_eq!(values(&found.chain), Values::from([(1, 1), (2, 2)]));
    }

    #[test]
    fn state_of_another_shape_is_passed_over_and_named() {
        let storage = Storage::shared();
        save(&mut keeper(&storage), 1, &[(1, Some(1))]);
        let found = keeper(&storage).find(TASK, SHAPE + 1).unwrap();
        assert!(found.chain.is_empty());
        assert!(matches!(found.passed_over.as_slice(), [(_, Unusable::OtherShape)]));
    }

    #[test]
    fn what_has_expired_is_left_out_of_a_new_base() {
        let storage = Storage::shared();
        let mut keeper = keeper(&storage);
        for offset in 1..=i64::from(CHAIN_MAX) + 1 {
            begin(&mut keeper, offset, &[]);
            let mut blocks = Blocks::default();
            blocks.fill(EXPIRING, usize::MAX, |entries, _| {
                entries.put_raw(&offset.to_le_bytes(), Some(&(offset * 200).to_le_bytes()));
                true
            });
            keeper.add(TASK, &blocks);
            keeper.save(TASK).unwrap();
        }
        keeper.tidy(TASK).unwrap();
        let found = keeper.find(TASK, SHAPE).unwrap();
        let kept: usize =
            found.chain[0].blocks().map(|block| entries::read(&block.unwrap().entries).count()).sum();
        // 200 to 1,000 are at or below the watermark of 1,000
        assert_eq!((found.chain.len(), kept), (1, CHAIN_MAX as usize + 1 - 5));
    }
}
