//! The partition that Java clients choose for a key.

/// The partition of `key` among `partitions`, as Kafka's Java clients choose it.
///
/// Source: `org.apache.kafka.clients.producer` (`toPositive(murmur2(key)) % partitions`).
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// MurmurHash2 (Appleby 2008), 32 bits, with the seed that Kafka uses.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let length = u32::try_from(data.len()).expect("a key is smaller than 4 GiB");
    let mut chunks = data.chunks_exact(4);
    let mut hash = chunks.by_ref().fold(SEED ^ length, |hash, chunk| {
        let word = u32::from_le_bytes(chunk.try_into().expect("a chunk of four bytes"));
        let mixed = word.wrapping_mul(M);
        hash.wrapping_mul(M) ^ (mixed ^ (mixed >> R)).wrapping_mul(M)
    });
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the unit tests of Kafka's Java client (`UtilsTest.testMurmur2`).
    #[test]
    fn murmur2_gives_what_the_java_client_gives() {
        for (key, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }
}
