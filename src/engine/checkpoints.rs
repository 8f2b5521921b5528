//! Storage of checkpoints as a worker sees it: nothing waits; what was asked for has ended by some later call.

use crate::checkpoint::keeper::Saved;
use crate::checkpoint::{Folder, Found, Keeper, Unsaved};
use crate::log::frame::SourceId;
use std::collections::VecDeque;

/// Finds and saves checkpoints.
pub trait Checkpoints {
    /// Asks for the newest chain of `task` that is whole and of this shape.
    fn find(&mut self, task: SourceId, shape: u64);

    /// Hands over a checkpoint whose offset the group has accepted. It is tried until it is saved.
    fn save(&mut self, task: SourceId, unsaved: Unsaved);

    /// Appends what has ended since the last call to `into`.
    fn ended(&mut self, into: &mut Vec<Ended>);
}

/// What has ended.
#[derive(Debug)]
pub enum Ended {
    /// The search for a task's chain.
    Found(SourceId, Found),
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

    fn save(&mut self, _task: SourceId, _unsaved: Unsaved) {}

    fn ended(&mut self, into: &mut Vec<Ended>) {
        into.extend(self.asked.drain(..).map(|task| Ended::Found(task, Found::default())));
    }
}

/// A request that has not ended.
#[derive(Debug)]
enum Request {
    Find(SourceId, u64),
    Save(SourceId, Unsaved),
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

    fn save(&mut self, task: SourceId, unsaved: Unsaved) {
        self.requests.push_back(Request::Save(task, unsaved));
    }

    fn ended(&mut self, into: &mut Vec<Ended>) {
        while let Some(request) = self.requests.front() {
            let ended = match request {
                Request::Find(task, shape) => {
                    self.keeper.find(*task, *shape).map(|found| Ended::Found(*task, found))
                }
                Request::Save(task, unsaved) => {
                    let saved = self.keeper.save(*task, unsaved);
                    saved.map(|saved| {
                        // a chain that stays long is folded after a later checkpoint
                        drop(self.keeper.tidy(*task));
                        Ended::Saved(*task, saved)
                    })
                }
            };
            let Ok(ended) = ended else { break };
            self.requests.pop_front();
            into.push(ended);
        }
    }
}
