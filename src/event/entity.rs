//! The kinds of entity that events are routed to, and the hash that places a key.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Whom an event concerns. The number is part of the frame format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EntityKind {
    /// A browser or app installation; has sessions.
    Visitor = 0,
    /// A known customer (a pseudonym).
    Customer = 1,
    /// A payment card (a pseudonym of its token).
    Card = 2,
    /// A device fingerprint.
    Device = 3,
    /// An address on the network (a pseudonym).
    Ip = 4,
    /// A shop.
    Store = 5,
    /// A till or card terminal.
    Terminal = 6,
    /// A payment itself, by its decision's id: labels are routed to it. It has no views and owes no part.
    Payment = 7,
    /// What runs the shop's scoring: rules are routed to it, under one key. It has no views and owes no part.
    Control = 8,
}

impl EntityKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [EntityKind; 9] = [
        EntityKind::Visitor,
        EntityKind::Customer,
        EntityKind::Card,
        EntityKind::Device,
        EntityKind::Ip,
        EntityKind::Store,
        EntityKind::Terminal,
        EntityKind::Payment,
        EntityKind::Control,
    ];

    /// The kinds that views can be about.
    pub fn viewed() -> impl Iterator<Item = EntityKind> {
        EntityKind::ALL.into_iter().filter(|kind| !matches!(kind, EntityKind::Payment | EntityKind::Control))
    }

    /// The name used in configuration, records and metric labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EntityKind::Visitor => "visitor",
            EntityKind::Customer => "customer",
            EntityKind::Card => "card",
            EntityKind::Device => "device",
            EntityKind::Ip => "ip",
            EntityKind::Store => "store",
            EntityKind::Terminal => "terminal",
            EntityKind::Payment => "payment",
            EntityKind::Control => "control",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<EntityKind> {
        EntityKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its place in [`EntityKind::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for EntityKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntitySet(pub u16);

impl EntitySet {
    /// The set with `kind` added.
    #[must_use]
    pub fn with(self, kind: EntityKind) -> EntitySet {
        EntitySet(self.0 | 1 << kind as u16)
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: EntitySet) -> EntitySet {
        EntitySet(self.0 | other.0)
    }

    /// Whether `kind` is in it.
    #[must_use]
    pub fn contains(self, kind: EntityKind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Whether every kind of `other` is in it.
    #[must_use]
    pub fn covers(self, other: EntitySet) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in `self` but not in `other`.
    #[must_use]
    pub fn without(self, other: EntitySet) -> EntitySet {
        EntitySet(self.0 & !other.0)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its kinds, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = EntityKind> {
        EntityKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<EntityKind> for EntitySet {
    fn from_iter<I: IntoIterator<Item = EntityKind>>(kinds: I) -> EntitySet {
        kinds.into_iter().fold(EntitySet::default(), EntitySet::with)
    }
}

/// The hash of a key, computed once at ingest and carried with every copy: XXH3 of the id, seeded
/// with the kind. It places the key in a partition and in the tables of keyed state.
#[must_use]
pub fn key_hash(kind: EntityKind, id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), kind as u64)
}

/// The partition of an internal topic that a hash belongs to: its upper 32 bits, scaled. The number
/// of partitions is part of the topic's format.
#[must_use]
pub fn partition_of(hash: u64, partitions: u32) -> u32 {
    let scaled = (hash >> 32) * u64::from(partitions);
    u32::try_from(scaled >> 32).expect("the product of two 32-bit numbers, shifted by 32")
}
