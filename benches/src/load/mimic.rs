//! The work of a TLS client, without TLS.
//!
//! Purpose: what TLS costs a server is the difference between two runs, and those must not differ
//! in anything else. A client that encrypts leaves the server less of a core, of a cache, of a
//! machine, and has it wait more often; so one without TLS does the same work for nothing.

use cpacf::aead::{Algorithm, NONCE_LEN, Sealer, TAG_LEN};

/// Most plaintext in one record (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;
/// Bytes of a record's header, which are authenticated with it.
const HEADER: usize = 5;

/// Seals data and throws it away.
pub(super) struct Mimic {
    sealer: Sealer,
    record: Vec<u8>,
    /// Bytes sealed so far.
    pub(super) sealed: u64,
}

impl Mimic {
    /// With AES-128-GCM.
    ///
    /// # Errors
    /// The function is blocked.
    pub(super) fn new() -> Result<Self, cpacf::Error> {
        let sealer = Sealer::new(Algorithm::Aes128Gcm, &[0; 16])?;
        Ok(Self { sealer, record: vec![0; RECORD + TAG_LEN], sealed: 0 })
    }

    /// What opening or sealing `data` takes, a record at a time. One nonce will do: nobody gets it.
    pub(super) fn work(&mut self, data: &[u8]) {
        for plaintext in data.chunks(RECORD) {
            let record = &mut self.record[..plaintext.len() + TAG_LEN];
            let (nonce, header) = ([0; NONCE_LEN], [0; HEADER]);
            let sealed = self.sealer.seal_into(&nonce, &header, plaintext, &[], record);
            assert!(sealed.is_ok(), "the record is as long as it has to be");
            std::hint::black_box(record);
            self.sealed += plaintext.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_sealed_a_record_at_a_time() {
        let mut mimic = Mimic::new().unwrap();
        mimic.work(&[7; RECORD + 100]);
        // The last record stands in front of what the one before it has left.
        let behind = &mimic.record[100 + TAG_LEN..];
        assert!(behind.iter().filter(|byte| **byte == 0).count() < behind.len() / 100);
        assert_eq!(mimic.sealed, RECORD as u64 + 100);
        let last = mimic.record.clone();
        mimic.work(&[8; 100]);
        assert_ne!(mimic.record[..100 + TAG_LEN], last[..100 + TAG_LEN]);
        assert_eq!(mimic.record[100 + TAG_LEN..], last[100 + TAG_LEN..]);
        mimic.work(&[]);
        assert_eq!(mimic.sealed, RECORD as u64 + 200);
    }
}
