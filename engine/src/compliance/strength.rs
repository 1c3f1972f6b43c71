//! Security strength of a key by its type and size.
//!
//! Source: `engine/policies/strength-2026-11-21.toml` (SP 800-57 part 1 rev. 5, table 2).

use std::sync::LazyLock;

use serde::Deserialize;

use super::facts::KeyFacts;

const TEXT: &str = include_str!("../../policies/strength-2026-11-21.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    strength_bits: u32,
    rsa_bits: u32,
    ec_bits: u32,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| super::policy::parse(TEXT));

/// The text of the table, which a policy's hash covers too.
pub(super) fn text() -> &'static str {
    TEXT
}

/// Strength in bits of a public key; 0 for one of a type that the table does not know.
#[must_use]
pub fn strength_bits(key: &KeyFacts) -> u32 {
    let last = |reaches: &dyn Fn(&Row) -> bool| {
        TABLE.row.iter().rev().find(|row| reaches(row)).map_or(0, |row| row.strength_bits)
    };
    match key {
        KeyFacts::Rsa { bits } | KeyFacts::Dsa { bits } => last(&|row| *bits >= row.rsa_bits),
        KeyFacts::Ec { bits, .. } => last(&|row| *bits >= row.ec_bits),
        // RFC 8032 §8.5: about as strong as a curve of NIST of 256 and 448 bits.
        KeyFacts::Ed25519 => last(&|row| 256 >= row.ec_bits),
        KeyFacts::Ed448 => last(&|row| 448 >= row.ec_bits),
        KeyFacts::Other { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_sp_800_57() {
        let rsa = |bits| strength_bits(&KeyFacts::Rsa { bits });
        let sizes = [512, 1023, 1024, 2047, 2048, 3072, 4096, 7680, 15360];
        assert_eq!(sizes.map(rsa), [0, 0, 80, 80, 112, 128, 128, 192, 256]);
        let ec = |bits| strength_bits(&KeyFacts::Ec { curve: "P".into(), bits });
        assert_eq!([159, 192, 224, 256, 384, 521].map(ec), [0, 80, 112, 128, 192, 256]);
        assert_eq!(strength_bits(&KeyFacts::Ed25519), 128);
    }
}
