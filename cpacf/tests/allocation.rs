//! Records are sealed and opened without an allocation, and sealed by software without one, too.
//!
//! Counted on the thread of the test, in this crate and those below it that are Rust; what the
//! C library takes for itself does not pass here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use allocation_counter::measure;
use cpacf::aead::{Algorithm, NONCE_LEN, Opener, Sealer, TAG_LEN};
use cpacf::fault::{self, Fault};

const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305];
/// The content type of TLS 1.3 stands behind the data.
const TYPE: [u8; 1] = [23];
const RECORD: usize = 16 * 1024 + TYPE.len();
const RECORDS: u64 = 100;

/// Seals and opens records in both ways, in place and from one buffer to another.
fn records(sealer: &Sealer, opener: &Opener, plain: &mut [u8], sealed: &mut [u8]) {
    for number in 0..RECORDS {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let data = &plain[..RECORD - TYPE.len()];
        sealer.seal_into(&nonce, b"aad", data, &TYPE, sealed).unwrap();
        opener.open_into(&nonce, b"aad", sealed, plain).unwrap();
        nonce[8..].fill(1);
        let tag = sealer.seal(&nonce, b"aad", &mut sealed[..RECORD]);
        sealed[RECORD..].copy_from_slice(&tag);
        opener.open(&nonce, b"aad", sealed).unwrap();
    }
}

/// One test: a function that is broken on purpose is so for the whole process.
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
        let (data, trailer) = plain.split_at(RECORD - TYPE.len());
        assert!(trailer == TYPE && data.iter().all(|byte| *byte == 3));

        fault::inject(algorithm.function(), Fault::Refuse);
        assert!(opener.open(&[0; NONCE_LEN], b"aad", &mut sealed).is_err());
        let mut seal = || sealer.seal_into(&[2; NONCE_LEN], b"aad", data, &TYPE, &mut sealed);
        seal().unwrap();
        let took = measure(|| seal().unwrap());
        assert_eq!(took.count_total, 0, "{algorithm:?} in software");
        fault::repair(algorithm.function());
    }
}

#[test]
fn the_counter_counts() {
    let took = measure(|| drop(std::hint::black_box(vec![0_u8; RECORD])));
    assert_eq!((took.count_total, took.bytes_total), (1, RECORD as u64));
}
