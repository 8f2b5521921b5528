//! What a keyed operator is: a pure step that folds inputs into the state of their key.

use crate::ledger::Disposition;
use crate::time::EventTime;

/// A step of the topology that folds events into the state of their key.
///
/// Pure: no clock, no I/O, no randomness. It cannot fail: what could fail was decided while
/// decoding. The engine owns the state, marks every change of it, and fires due timers in
/// order of time, then the key's hash, after each frame.
pub trait KeyedOperator {
    /// What is folded.
    type Input<'a>;
    /// What is kept per key.
    type State;
    /// What comes out.
    type Output;

    /// Folds `input`. Leaving `None` behind deletes the key.
    fn on_event(
        &self,
        key: &str,
        input: Self::Input<'_>,
        state: &mut Option<Self::State>,
        cx: &mut Context<'_, Self::Output>,
    ) -> Disposition;

    /// The watermark has reached a timer that this operator set for the key.
    fn on_timer(&self, key: &str, state: &mut Option<Self::State>, cx: &mut Context<'_, Self::Output>);
}

/// What an operator may see and do besides its state.
#[derive(Debug)]
pub struct Context<'c, O> {
    watermark: Option<EventTime>,
    timer: Option<EventTime>,
    outputs: &'c mut Vec<O>,
}

impl<'c, O> Context<'c, O> {
    /// A context at this watermark; outputs are appended to `outputs`.
    pub fn new(watermark: Option<EventTime>, outputs: &'c mut Vec<O>) -> Context<'c, O> {
        Context { watermark, timer: None, outputs }
    }

    /// The task's watermark; unknown is not zero.
    #[must_use]
    pub fn watermark(&self) -> Option<EventTime> {
        self.watermark
    }

    /// Whether the watermark has reached `time`.
    #[must_use]
    pub fn reached(&self, time: EventTime) -> bool {
        self.watermark.is_some_and(|watermark| watermark >= time)
    }

    /// Puts something out.
    pub fn emit(&mut self, output: O) {
        self.outputs.push(output);
    }

    /// Asks to be called for this key when the watermark reaches `at`, unless `set`, what its state says of the timer that
    /// is set, comes no later. Once per call.
    pub fn call_at(&mut self, at: EventTime, set: &mut Option<EventTime>) {
        self.timer = sooner(set, at).or(self.timer);
    }

    /// The timer that was asked for.
    #[must_use]
    pub fn timer(&self) -> Option<EventTime> {
        self.timer
    }
}

/// Moves the timer that is `set` to `at`, unless it comes no later; returns it where it has moved.
pub fn sooner(set: &mut Option<EventTime>, at: EventTime) -> Option<EventTime> {
    let moves = set.is_none_or(|set| at < set);
    moves.then(|| *set.insert(at))
}
