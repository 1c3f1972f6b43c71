//! A smoke run of the fuzz targets on stable Rust: the seed corpus and mutations of it.
//!
//! The mutations come from a fixed sequence, so a failure repeats. Long runs with coverage guidance
//! use tests/fuzz.

#![allow(clippy::unwrap_used, reason = "a seed that cannot be read ends the test")]

use std::path::Path;

use adjunct_tests::fuzz;

/// Mutations of each seed.
const ROUNDS: u32 = 5000;

/// xorshift64*: good enough to pick bytes, the same on every machine.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

/// Changes, removes, repeats or adds a few bytes.
fn mutate(seed: &[u8], sequence: &mut Sequence) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=sequence.below(4) {
        let at = sequence.below(bytes.len());
        match sequence.below(6) {
            0 if !bytes.is_empty() => bytes[at] = sequence.byte(),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << sequence.below(8),
            2 => bytes.truncate(at),
            3 if !bytes.is_empty() => drop(bytes.remove(at)),
            4 => bytes.insert(at, sequence.byte()),
            _ => {
                let end = at + sequence.below(bytes.len() - at + 1);
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn smoke(target: &str, run: fn(&[u8]), more_seeds: &[Vec<u8>]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> =
        folder.read_dir().map(|d| d.map(|e| e.unwrap().path()).collect()).unwrap_or_default();
    files.sort();
    let mut seeds: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
    seeds.extend_from_slice(more_seeds);
    assert!(!seeds.is_empty(), "no seeds for {target}");
    let mut sequence = Sequence(0x9E37_79B9_7F4A_7C15);
    for seed in &seeds {
        run(seed);
        for _ in 0..ROUNDS {
            run(&mutate(seed, &mut sequence));
        }
    }
}

#[test]
fn the_hello_reader_gives_the_same_verdict_however_bytes_are_cut() {
    smoke("client_hello", fuzz::client_hello, &[]);
}

#[test]
fn a_configuration_is_taken_or_refused_with_a_reason() {
    smoke("configuration", fuzz::configuration, &[]);
}

#[test]
fn ap_messages_of_any_bytes_are_decoded_to_yes_or_no() {
    // A type 50 request header with its key block, a type 6 header, and an error reply.
    let mut type50 = vec![0, 0x50, 0x01, 0x90, 0, 0, 0, 0, 0, 0x12];
    type50.resize(400, 0);
    let mut type6 = vec![0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x58];
    type6.resize(512, 0);
    type6[12..14].copy_from_slice(b"CA");
    let reply = vec![0, 0x88, 0, 16, 0x22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    smoke("ap_message", fuzz::ap_message, &[type50, type6, reply]);
}

#[test]
fn a_proxy_header_gets_the_same_verdict_however_bytes_are_cut() {
    smoke("proxy_header", fuzz::proxy_header, &[]);
}
