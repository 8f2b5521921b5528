//! Storage of checkpoints as a worker sees it: nothing waits; what was asked for has ended by some later call.

use crate::checkpoint::file::{Block, Checkpoint, Damage, Head};
use crate::checkpoint::keeper::Saved;
use crate::checkpoint::{Blocks, Cut, Folder, FolderError, Found, Keeper};
use crate::log::frame::SourceId;
use std::collections::VecDeque;

/// Finds and saves checkpoints.
pub trait Checkpoints {
    /// Asks for the newest chain of `task` that is whole and of this shape.
    fn find(&mut self, task: SourceId, shape: u64);

    /// What was found of `task` is not what it began with: its next checkpoint is a base.
    fn forget(&mut self, task: SourceId);

    /// Begins the next checkpoint of `task`.
    fn begin(&mut self, task: SourceId, cut: Cut);

    /// Adds to it.
    fn add(&mut self, task: SourceId, blocks: Blocks);

    /// It is whole, and the group has accepted its offset: it is tried until it is saved.
    fn save(&mut self, task: SourceId);

    /// Appends what has ended since the last call to `into`.
    fn ended(&mut self, into: &mut Vec<Ended>);
}

/// What has ended.
#[derive(Debug)]
pub enum Ended {
    /// The search for a task's chain: its newest file, if there is one, and the bytes of all its files. Blocks follow.
    Found(SourceId, Option<Head>, usize),
    /// The reading of the next block of it.
    Read(SourceId, Result<Block, Damage>),
    /// The reading of the last.
    ReadAll(SourceId),
    /// A save.
    Saved(SourceId, Saved),
}

/// No storage: every task begins without history.
#[derive(Debug, Default)]
pub struct NoCheckpoints {
    asked: Vec<SourceId>,
}

impl Checkpoints for NoCheckpoints {
    fn find(&mut self, task: SourceId, _shape: u64) {
        self.asked.push(task);
    }

    fn forget(&mut self, _task: SourceId) {}

    fn begin(&mut self, _task: SourceId, _cut: Cut) {}

    fn add(&mut self, _task: SourceId, _blocks: Blocks) {}

    fn save(&mut self, _task: SourceId) {}

    fn ended(&mut self, into: &mut Vec<Ended>) {
        for task in self.asked.drain(..) {
            hand_out(task, &Found::default(), |ended| into.push(ended));
        }
    }
}

/// What a worker asks of its storage.
#[derive(Debug)]
pub enum Request {
    /// [`Checkpoints::find`].
    Find(SourceId, u64),
    /// [`Checkpoints::forget`].
    Forget(SourceId),
    /// [`Checkpoints::begin`].
    Begin(SourceId, Cut),
    /// [`Checkpoints::add`].
    Add(SourceId, Blocks),
    /// [`Checkpoints::save`].
    Save(SourceId),
}

impl Request {
    /// Does what is asked, and hands out what that ends; nothing ends with the parts of a checkpoint that is not yet
    /// saved.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: the storage fails, and nothing was handed out; try again.
    pub fn carry_out<F: Folder>(&mut self, keeper: &mut Keeper<F>) -> Result<Outcome, FolderError> {
        match self {
            Request::Find(task, shape) => {
                keeper.find(*task, *shape).map(|found| Outcome::Found(*task, found))
            }
            Request::Forget(task) => {
                keeper.forget(*task);
                Ok(Outcome::Nothing)
            }
            Request::Begin(task, cut) => {
                keeper.begin(*task, cut.clone());
                Ok(Outcome::Nothing)
            }
            Request::Add(task, blocks) => {
                keeper.add(*task, blocks);
                Ok(Outcome::Nothing)
            }
            Request::Save(task) => {
                let saved = keeper.save(*task)?;
                Ok(saved.map_or(Outcome::Nothing, |saved| Outcome::Saved(*task, saved)))
            }
        }
    }
}

/// What carrying out a request gave.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing that the worker waits for.
    Nothing,
    /// A chain, to be read for the worker.
    Found(SourceId, Found),
    /// A checkpoint.
    Saved(SourceId, Saved),
}

/// Reads what was found, block by block: decompressing them is most of the work of a restore.
pub fn hand_out(task: SourceId, found: &Found, mut give: impl FnMut(Ended)) {
    let newest = found.chain.last().map(|newest| newest.head.clone());
    give(Ended::Found(task, newest, found.chain.iter().map(Checkpoint::len).sum()));
    found.chain.iter().flat_map(Checkpoint::blocks).for_each(|block| give(Ended::Read(task, block)));
    give(Ended::ReadAll(task));
}

/// Storage that is asked on the spot, in order; while it fails, requests wait for the next call.
#[derive(Debug)]
pub struct OnTheSpot<F> {
    keeper: Keeper<F>,
    requests: VecDeque<Request>,
}

impl<F: Folder> OnTheSpot<F> {
    /// Over `folder`.
    pub fn new(folder: F) -> OnTheSpot<F> {
        OnTheSpot { keeper: Keeper::new(folder), requests: VecDeque::new() }
    }
}

impl<F: Folder> Checkpoints for OnTheSpot<F> {
    fn find(&mut self, task: SourceId, shape: u64) {
        self.requests.push_back(Request::Find(task, shape));
    }

    fn forget(&mut self, task: SourceId) {
        self.requests.push_back(Request::Forget(task));
    }

    fn begin(&mut self, task: SourceId, cut: Cut) {
        self.requests.push_back(Request::Begin(task, cut));
    }

    fn add(&mut self, task: SourceId, blocks: Blocks) {
        self.requests.push_back(Request::Add(task, blocks));
    }

    fn save(&mut self, task: SourceId) {
        self.requests.push_back(Request::Save(task));
    }

    fn ended(&mut self, into: &mut Vec<Ended>) {
        while let Some(request) = self.requests.front_mut()
            && let Ok(outcome) = request.carry_out(&mut self.keeper)
        {
            match outcome {
                Outcome::Nothing => {}
                Outcome::Found(task, found) => hand_out(task, &found, |ended| into.push(ended)),
                Outcome::Saved(task, saved) => {
                    // a chain that stays long is folded after a later checkpoint
                    drop(self.keeper.tidy(task));
                    into.push(Ended::Saved(task, saved));
                }
            }
            self.requests.pop_front();
        }
    }
}
