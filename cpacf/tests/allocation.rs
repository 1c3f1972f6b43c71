//! Records are sealed and opened without an allocation, whoever computes.
//!
//! Counted on the thread of the test, in this crate and those below it that are Rust; what the
//! C library takes for itself does not pass here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use allocation_counter::measure;
use cpacf::aead::{Algorithm, NONCE_LEN, Opener, Sealer, TAG_LEN};

const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305];
const RECORD: usize = 16 * 1024;
const RECORDS: u64 = 100;

/// Seals and opens records in both ways, in place and from one buffer to another.
fn records(sealer: &Sealer, opener: &Opener, plain: &mut [u8], sealed: &mut [u8]) {
    for number in 0..RECORDS {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        sealer.seal_into(&nonce, b"aad", plain, b"", sealed).unwrap();
        opener.open_into(&nonce, b"aad", sealed, plain).unwrap();
        nonce[8..].fill(1);
        let tag = sealer.seal(&nonce, b"aad", &mut sealed[..RECORD]);
        sealed[RECORD..].copy_from_slice(&tag);
        opener.open(&nonce, b"aad", sealed).unwrap();
    }
}

#[test]
fn no_record_allocates() {
    for algorithm in ALGORITHMS {
        let key = vec![7; algorithm.key_len()];
        let sealer = Sealer::new(algorithm, &key).unwrap();
        let opener = Opener::new(algorithm, &key).unwrap();
        let (mut plain, mut sealed) = (vec![3; RECORD], vec![0; RECORD + TAG_LEN]);
        // The first call makes the counters of the thread.
        records(&sealer, &opener, &mut plain, &mut sealed);
        let took = measure(|| records(&sealer, &opener, &mut plain, &mut sealed));
        assert_eq!(took.count_total, 0, "{algorithm:?}");
        assert_eq!(plain, vec![3; RECORD]);
    }
}

#[test]
fn the_counter_counts() {
    let took = measure(|| drop(std::hint::black_box(vec![0_u8; RECORD])));
    assert_eq!((took.count_total, took.bytes_total), (1, RECORD as u64));
}
