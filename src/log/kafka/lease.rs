//! What one of all instances has: whoever a group gives the first partition of a topic.
//!
//! For work that must not be done twice and that has no partitions of its own. A group gives the partition to another when who had it has
//! left or has said nothing for [`SESSION_TIMEOUT`]; who is cut off from the group, or stands still, notices after the same time, by its own
//! clock, and has it no more. What it had begun by then is still under way.

use super::client::{ClientSettings, SESSION_TIMEOUT};
use super::shared::SharedReader;
use crate::log::{LogError, Topic, TopicPartition};
use crate::time::Stopwatch;
use std::cell::Cell;
use std::time::Duration;

/// What it is a matter of: a topic of few records, which are read and dropped.
const OF: Topic = Topic::Rules;

/// Who stands still for so long may have been given up by its group meanwhile, which waits from the last heartbeat on.
const STOOD_STILL: Duration = SESSION_TIMEOUT.checked_div(2).expect("two is not nothing");

/// A member of a group that has one thing to give.
pub struct Lease {
    reader: SharedReader,
    asked: Cell<Stopwatch>,
}

impl Lease {
    /// Joins `group`.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the settings.
    pub fn join(settings: &ClientSettings, group: &str) -> Result<Lease, LogError> {
        let reader = SharedReader::join(settings, group, OF)?;
        Ok(Lease { reader, asked: Cell::new(Stopwatch::start()) })
    }

    /// Whether this instance has it; waits as long as `wait` for news of that.
    ///
    /// # Errors
    ///
    /// [`LogError`] if that is not known, as after five seconds in which nobody asked. Another lease may be joined.
    pub fn is_held(&self, wait: Duration) -> Result<bool, LogError> {
        if self.asked.replace(Stopwatch::start()).elapsed() >= STOOD_STILL {
            return Err(LogError::Kafka("it stood still, and another may have been given it".to_owned()));
        }
        drop(self.reader.poll(wait)?);
        self.reader.has(TopicPartition::new(OF, 0))
    }
}
