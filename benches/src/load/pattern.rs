//! Bytes that depend on their position, made once and compared by `memcmp`.
//!
//! Invariants: the period is prime, so that no record, page or chunk begins twice at the same
//! place: bytes that were dropped, doubled or moved are seen. No byte is zero, so that data of the
//! pattern never looks like the [head](super::protocol) of a request.

use std::sync::LazyLock;

/// Period in bytes: the largest prime below 1 MiB.
pub const PERIOD: usize = 1_048_573;
/// Longest slice that is given at once.
pub const SLICE_MAX: usize = 256 * 1024;

static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut table: Vec<u8> = (0..PERIOD)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3].max(1)
        })
        .collect();
    table.extend_from_within(..SLICE_MAX);
    table
});

/// Where the data of a connection begins: each is of its own.
#[must_use]
pub fn seed(connection: u64) -> u32 {
    let place = connection.wrapping_mul(7919) % PERIOD as u64;
    u32::try_from(place).unwrap_or_default()
}

/// The pattern at a position, as much as is wanted but at most [`SLICE_MAX`].
#[must_use]
pub fn slice(seed: u32, position: u64, wanted: usize) -> &'static [u8] {
    let start = (u64::from(seed) + position) % PERIOD as u64;
    let start = usize::try_from(start).unwrap_or_default();
    &TABLE[start..start + wanted.min(SLICE_MAX)]
}

/// Compares what came with what belongs at a position.
///
/// # Errors
/// The first difference in words.
pub fn check(seed: u32, position: u64, came: &[u8]) -> Result<(), String> {
    let mut at = position;
    for part in came.chunks(SLICE_MAX) {
        let expected = slice(seed, at, part.len());
        if part != expected {
            let differs = expected.iter().zip(part).position(|(a, b)| a != b).unwrap_or_default();
            return Err(format!(
                "wrong data at byte {}: expected {:#04x}, came {:#04x}",
                at + differs as u64,
                expected[differs],
                part[differs]
            ));
        }
        at += part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_or_one_missing_byte_is_seen_where_it_is() {
        let seed = seed(17);
        let position = PERIOD as u64 - 100;
        let mut data = slice(seed, position, 4096).to_vec();
        assert_eq!(check(seed, position, &data), Ok(()));
        assert!(!data.contains(&0));
        data[200] ^= 4;
        let place = (position + 200).to_string();
        assert!(check(seed, position, &data).unwrap_err().contains(&place));
        data[200] ^= 4;
        data.remove(1000);
        assert!(check(seed, position, &data).is_err());
        assert!(check(super::seed(18), position, &data[..64]).is_err());
    }
}
