//! Storage of checkpoints as a worker sees it: nothing waits; what was asked for has ended by some later call.

use crate::checkpoint::file::{Block, Checkpoint, Damage, Head};
use crate::checkpoint::keeper::Saved;
use crate::checkpoint::{Blocks, Cut, Folder, FolderError, Found, Keeper};
use crate::log::frame::SourceId;
use std::collections::VecDeque;

/// One search for the chain of a task: whoever lost it and has it again searches again, and what an earlier search
/// still finds is not meant for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// Of this task.
    pub task: SourceId,
    /// Of its own among the searches of a worker.
    pub number: u64,
}

/// Finds and saves checkpoints.
pub trait Checkpoints {
    /// Asks for something. Nothing waits for it here.
    fn ask(&mut self, request: Request);

    /// Appends what has ended since the last call to `into`.
    fn ended(&mut self, into: &mut Vec<Ended>);
}

/// What has ended.
#[derive(Debug)]
pub enum Ended {
    /// A search for a task's chain: its newest file, if there is one, and the bytes of all its files. Blocks follow.
    Found(Search, Option<Head>, usize),
    /// The reading of the next block of it.
    Read(Search, Result<Block, Damage>),
    /// The reading of the last.
    ReadAll(Search),
    /// A save.
    Saved(SourceId, Saved),
}

/// No storage: every task begins without history.
#[derive(Debug, Default)]
pub struct NoCheckpoints {
    asked: Vec<Search>,
}

impl Checkpoints for NoCheckpoints {
    fn ask(&mut self, request: Request) {
        if let Request::Find(search, _) = request {
            self.asked.push(search);
        }
    }

    fn ended(&mut self, into: &mut Vec<Ended>) {
        for search in self.asked.drain(..) {
            hand_out(search, &Found::default(), |ended| into.push(ended));
        }
    }
}

/// What a worker asks of its storage.
#[derive(Debug)]
pub enum Request {
    /// The newest chain of a task that is whole and of this shape.
    Find(Search, u64),
    /// What was found of the task is not what it began with: its next checkpoint is a base.
    Forget(SourceId),
    /// The next checkpoint of the task begins.
    Begin(SourceId, Cut),
    /// More of it.
    Add(SourceId, Blocks),
    /// It is whole, and the group has accepted its offset: it is tried until it is saved.
    Save(SourceId),
}

impl Request {
    fn task(&self) -> SourceId {
        match self {
            Request::Find(search, _) => search.task,
            Request::Forget(task) | Request::Begin(task, _) | Request::Add(task, _) | Request::Save(task) => {
                *task
            }
        }
    }

    /// Does what is asked, and hands out what that ends; nothing ends with the parts of a checkpoint that is not yet
    /// saved.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: the storage fails, and nothing was handed out; try again.
    pub fn carry_out<F: Folder>(&mut self, keeper: &mut Keeper<F>) -> Result<Outcome, FolderError> {
        match self {
            Request::Find(search, shape) => {
                keeper.find(search.task, *shape).map(|found| Outcome::Found(*search, found))
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

/// Requests in the order in which they are to be carried out: searches first, for a partition that arrives must not wait for a
/// file that cannot be written; all others as they were made. A search ends what was asked for its task before: that was
/// for an owner who has gone since.
#[derive(Debug, Default)]
pub struct Requests(VecDeque<Request>);

impl Requests {
    /// Adds one.
    pub fn push(&mut self, request: Request) {
        let Request::Find(search, _) = &request else { return self.0.push_back(request) };
        self.0.retain(|earlier| earlier.task() != search.task);
        let searches = self.0.iter().take_while(|request| matches!(request, Request::Find(..))).count();
        self.0.insert(searches, request);
    }

    /// The one to carry out next.
    pub fn first(&mut self) -> Option<&mut Request> {
        self.0.front_mut()
    }

    /// It was carried out.
    pub fn done(&mut self) {
        self.0.pop_front();
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What carrying out a request gave.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing that the worker waits for.
    Nothing,
    /// A chain, to be read for the worker.
    Found(Search, Found),
    /// A checkpoint.
    Saved(SourceId, Saved),
}

/// Reads what was found, block by block: decompressing them is most of the work of a restore.
pub fn hand_out(search: Search, found: &Found, mut give: impl FnMut(Ended)) {
    let newest = found.chain.last().map(|newest| newest.head.clone());
    give(Ended::Found(search, newest, found.chain.iter().map(Checkpoint::len).sum()));
    found.chain.iter().flat_map(Checkpoint::blocks).for_each(|block| give(Ended::Read(search, block)));
    give(Ended::ReadAll(search));
}

/// Storage that is asked on the spot, in order; while it fails, requests wait for the next call.
#[derive(Debug)]
pub struct OnTheSpot<F> {
    keeper: Keeper<F>,
    requests: Requests,
    ended: VecDeque<Ended>,
    /// What each call tells at most: one that is slow tells of a chain in many calls.
    per_call: usize,
}

impl<F: Folder> OnTheSpot<F> {
    /// Over `folder`; each call tells of so many things at most.
    pub fn new(folder: F, per_call: usize) -> OnTheSpot<F> {
        let (requests, ended) = (Requests::default(), VecDeque::new());
        OnTheSpot { keeper: Keeper::new(folder), requests, ended, per_call }
    }
}

impl<F: Folder> Checkpoints for OnTheSpot<F> {
    fn ask(&mut self, request: Request) {
        self.requests.push(request);
    }

    fn ended(&mut self, into: &mut Vec<Ended>) {
        while let Some(request) = self.requests.first()
            && let Ok(outcome) = request.carry_out(&mut self.keeper)
        {
            match outcome {
                Outcome::Nothing => {}
                Outcome::Found(search, found) => {
                    hand_out(search, &found, |ended| self.ended.push_back(ended));
                }
                Outcome::Saved(task, saved) => {
                    // a chain that stays long is folded after a later checkpoint
                    drop(self.keeper.tidy(task));
                    self.ended.push_back(Ended::Saved(task, saved));
                }
            }
            self.requests.done();
        }
        into.extend(self.ended.drain(..self.per_call.min(self.ended.len())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_before_what_cannot_be_saved_and_ends_what_was_asked_for_its_task() {
        let task = |partition| SourceId { topic: 1, partition };
        let search = |partition, number| Search { task: task(partition), number };
        let mut requests = Requests::default();
        requests.push(Request::Save(task(0)));
        requests.push(Request::Forget(task(1)));
        requests.push(Request::Find(search(2, 1), 0));
        requests.push(Request::Save(task(1)));
        requests.push(Request::Find(search(1, 2), 0));
        let mut order = Vec::new();
        while let Some(request) = requests.first() {
            order.push((matches!(request, Request::Find(..)), request.task().partition));
            requests.done();
        }
        assert_eq!(order, [(true, 2), (true, 1), (false, 0)]);
        assert!(requests.is_empty());
    }
}
