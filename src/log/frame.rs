//! The records of internal logs: frames, joins and deadlines, and their bytes.
//!
//! A record is a header (magic, format version, length, CRC-32C, life, fold version) and a body of
//! items, encoded with postcard. One record bundles the frames of all sources of one life for one
//! partition. A reader takes the current format version; an unknown one stops it.

#![expect(clippy::indexing_slicing, reason = "the header's length is checked before it is cut up")]

use super::position::Position;
use crate::event::Deadline;
use crate::time::EventTime;
use serde::{Deserialize, Serialize, Serializer};

/// The format that is written.
pub const FORMAT_VERSION: u8 = 9;

const MAGIC: [u8; 2] = *b"tF";
/// magic 2, version 1, reserved 1, body length 4, CRC-32C of the rest and the body 4, life 8, fold 8.
const HEADER_BYTES: usize = 28;

/// One producer instance from one start. Rebuilt producers are new lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Life(pub u64);

/// The version of the fold (code and configuration) that made a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FoldVersion(pub u64);

/// An upstream partition, named with its topic's id, so that a topic deleted and made again is a
/// new source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId {
    /// The topic's id (Kafka's UUID).
    pub topic: u128,
    /// The partition.
    pub partition: u32,
}

impl SourceId {
    /// The first 32 bits of the topic's id, as in a [`RecordId`](super::RecordId).
    #[must_use]
    pub fn short_topic(&self) -> u32 {
        u32::try_from(self.topic >> 96).expect("the upper 32 of 128 bits")
    }
}

/// What a source promises about event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Promise {
    /// Nothing yet: it holds time back.
    Unknown,
    /// Nothing earlier than this is expected from it.
    Watermark(EventTime),
    /// Its partition has been read to the end and stayed there.
    Idle {
        /// The highest event time seen in it, if it ever held an event.
        highest: Option<EventTime>,
        /// For how long, in milliseconds, counted between completed fetches only.
        idle_ms: u64,
    },
}

/// All events of one source for one partition in `(from, to]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<'a> {
    /// The upstream partition it speaks for.
    pub source: SourceId,
    /// Exclusive lower end of what it covers: the `to` of this life's previous frame to this destination.
    pub from: Position,
    /// Inclusive upper end.
    pub to: Position,
    /// The source's promise, counted after the events.
    pub promise: Promise,
    /// How many events.
    pub count: u32,
    /// The events, see [`EventsWriter`] and [`Frame::events`].
    #[serde(serialize_with = "at_once")]
    pub events: &'a [u8],
}

/// Bytes in one piece: serde writes a slice of bytes byte by byte, which comes to the same and takes a few per cent of all time.
fn at_once<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// One thing in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item<'a> {
    /// These sources, all that write this log, count in the watermark from here on; those already joined are left as they
    /// are. Sources of the same topics under another id retire: those topics were deleted and made again.
    Join(#[serde(borrow)] Vec<(SourceId, &'a str)>),
    /// Events.
    Frame(#[serde(borrow)] Frame<'a>),
    /// A decision has waited long enough.
    Deadline(Deadline),
}

/// A decoded record of an internal log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Who wrote it.
    pub life: Life,
    /// What made it.
    pub fold: FoldVersion,
    /// Its items, in order.
    pub items: Vec<Item<'a>>,
}

/// Why bytes are not a record of an internal log. Always: stop. Somebody else writes there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header, or than the header says.
    #[error("record is cut off: {has} bytes of {wants}")]
    Truncated {
        /// Bytes there are.
        has: usize,
        /// Bytes there should be.
        wants: usize,
    },
    /// Not written by tillstream.
    #[error("record does not begin with the magic of a tillstream frame")]
    NotAFrame,
    /// Written by a newer (or much older) tillstream.
    #[error("format version {found} is not known; this program reads version {FORMAT_VERSION}")]
    UnknownVersion {
        /// The version found.
        found: u8,
    },
    /// Damaged.
    #[error("checksum does not match")]
    Checksum,
    /// The checksum is right and the content is not: a bug.
    #[error("body cannot be decoded: {0}")]
    Body(String),
}

impl Record<'_> {
    /// The record's bytes.
    ///
    /// # Panics
    ///
    /// If the body is larger than 4 GiB, which the limits on batches exclude.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body_guess = self.items.iter().map(Item::bytes_at_most).sum::<usize>();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body_guess);
        bytes.resize(HEADER_BYTES, 0);
        bytes = postcard::to_extend(&self.items, bytes).expect("items hold nothing that postcard refuses");
        let body = u32::try_from(bytes.len() - HEADER_BYTES).expect("a record is smaller than 4 GiB");
        bytes[..2].copy_from_slice(&MAGIC);
        bytes[2] = FORMAT_VERSION;
        bytes[4..8].copy_from_slice(&body.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.life.0.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.fold.0.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

impl Record<'_> {
    /// Whether anything in it can lead to an output, frames of sources for which `gives_nothing` holds left out.
    pub fn can_give(&self, gives_nothing: impl Fn(SourceId) -> bool) -> bool {
        self.items.iter().any(|item| match item {
            Item::Join(_) => false,
            Item::Frame(frame) => !gives_nothing(frame.source),
            Item::Deadline(_) => true,
        })
    }
}

impl Item<'_> {
    fn bytes_at_most(&self) -> usize {
        match self {
            Item::Frame(frame) => 96 + frame.events.len(),
            Item::Join(sources) => 16 + sources.iter().map(|(_, name)| 32 + name.len()).sum::<usize>(),
            Item::Deadline(_) => 48,
        }
    }
}

impl<'a> Record<'a> {
    /// Reads a record; its items borrow from `bytes`.
    ///
    /// # Errors
    ///
    /// [`FrameError`], whose every variant means: stop, for somebody else writes to this topic or
    /// it is damaged.
    pub fn decode(bytes: &'a [u8]) -> Result<Record<'a>, FrameError> {
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(FrameError::Truncated { has: bytes.len(), wants: HEADER_BYTES });
        };
        if header[..2] != MAGIC {
            return Err(FrameError::NotAFrame);
        }
        if header[2] != FORMAT_VERSION {
            return Err(FrameError::UnknownVersion { found: header[2] });
        }
        let wants = le_u32(&header[4..8]) as usize;
        if body.len() != wants {
            return Err(FrameError::Truncated { has: body.len(), wants });
        }
        if crc32c::crc32c(&bytes[12..]) != le_u32(&header[8..12]) {
            return Err(FrameError::Checksum);
        }
        let items = postcard::from_bytes(body).map_err(|fault| FrameError::Body(fault.to_string()))?;
        Ok(Record { life: Life(le_u64(&header[12..20])), fold: FoldVersion(le_u64(&header[20..28])), items })
    }
}

fn le_u32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("a slice of four bytes"))
}

fn le_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a slice of eight bytes"))
}

/// Collects the events of a frame: for each, the position and its bytes.
#[derive(Debug, Clone, Default)]
pub struct EventsWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl EventsWriter {
    /// Appends an event.
    pub fn push<E: Serialize>(&mut self, position: Position, event: &E) {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(&(position, event), bytes)
            .expect("events hold nothing that postcard refuses");
        self.count += 1;
    }

    /// How many events.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets them, keeping the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

impl<'a> Frame<'a> {
    /// The events in order, each with its position.
    ///
    /// Yields an error, and nothing after it, where the bytes are no event of type `E`.
    pub fn events<E: Deserialize<'a>>(&self) -> Events<'a, E> {
        Events { rest: self.events, left: self.count, event: std::marker::PhantomData }
    }
}

/// Iterator over the events of a frame.
#[derive(Debug)]
pub struct Events<'a, E> {
    rest: &'a [u8],
    left: u32,
    event: std::marker::PhantomData<E>,
}

impl<'a, E: Deserialize<'a>> Iterator for Events<'a, E> {
    type Item = Result<(Position, E), FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        match postcard::take_from_bytes::<(Position, E)>(self.rest) {
            Ok((event, rest)) => {
                self.rest = rest;
                self.left -= 1;
                Some(Ok(event))
            }
            Err(fault) => {
                self.left = 0;
                Some(Err(FrameError::Body(fault.to_string())))
            }
        }
    }
}
