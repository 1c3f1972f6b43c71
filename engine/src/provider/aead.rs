//! Record protection for TLS 1.3 and TLS 1.2 over `cpacf::aead`.
//!
//! Invariants: application data is opened and sealed straight into the buffers it leaves from
//! ([`direct`]), anything else in the buffer it came in and in memory of rustls'; sealing cannot
//! fail (rustls unwraps the result of an encrypter).
//!
//! Source: RFC 8446 §5.2–5.3, RFC 5288, RFC 7905; rustls `crypto::cipher`.

use cpacf::aead::{Algorithm, Opener, Sealer};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage,
    PrefixedPayload, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
    make_tls12_aad, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

use super::direct::{self, Found};
use super::escape;

const TAG_LEN: usize = 16;
const GCM_EXPLICIT_NONCE_LEN: usize = 8;
const GCM_SALT_LEN: usize = 4;
const MAX_FRAGMENT_LEN: usize = 16_384;

pub(super) fn key_len(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Aes128Gcm => 16,
        Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => 32,
    }
}

fn sealer(algorithm: Algorithm, key: &AeadKey) -> Sealer {
    Sealer::new(algorithm, key.as_ref()).unwrap_or_else(|e| escape(&e))
}

fn opener(algorithm: Algorithm, key: &AeadKey) -> Opener {
    Opener::new(algorithm, key.as_ref()).unwrap_or_else(|e| escape(&e))
}

/// Seals plaintext and trailer into `out`, which is as long as they and the tag are.
fn seal_into(
    sealer: &Sealer,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    (plaintext, trailer): (&[u8], &[u8]),
    out: &mut [u8],
) {
    sealer.seal_into(nonce, aad, plaintext, trailer, out).unwrap_or_else(|e| escape(&e));
}

fn traffic_secrets(algorithm: Algorithm, key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets {
    match algorithm {
        Algorithm::Aes128Gcm => ConnectionTrafficSecrets::Aes128Gcm { key, iv },
        Algorithm::Aes256Gcm => ConnectionTrafficSecrets::Aes256Gcm { key, iv },
        Algorithm::ChaCha20Poly1305 => ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv },
    }
}

/// TLS 1.3 record protection with one of the algorithms.
#[derive(Debug)]
pub(super) struct Tls13Aead(pub(super) Algorithm);

impl Tls13AeadAlgorithm for Tls13Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Tls13Sealer { sealer: sealer(self.0, &key), iv })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Tls13Opener { opener: opener(self.0, &key), iv })
    }

    fn key_len(&self) -> usize {
        key_len(self.0)
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(traffic_secrets(self.0, key, iv))
    }
}

struct Tls13Sealer {
    sealer: Sealer,
    iv: Iv,
}

impl MessageEncrypter for Tls13Sealer {
    fn encrypt(
        &mut self,
        msg: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let total_len = self.encrypted_payload_len(msg.payload.len());
        let nonce = Nonce::new(&self.iv, seq).0;
        let aad = make_tls13_aad(total_len);
        let typ = msg.typ.to_array();
        let placed = direct::place(&msg, total_len, |plaintext, space| {
            seal_into(&self.sealer, &nonce, &aad, (plaintext, &typ), space);
        });
        if let Some(placed) = placed {
            return Ok(placed);
        }
        let mut payload = PrefixedPayload::with_capacity(total_len);
        payload.extend_from_chunks(&msg.payload);
        payload.extend_from_slice(&typ);
        let tag = self.sealer.seal(&nonce, &aad, payload.as_mut());
        payload.extend_from_slice(&tag);

        // RFC 8446 §5.1: protected records always carry the version of TLS 1.2.
        Ok(OutboundOpaqueMessage::new(
            ContentType::ApplicationData,
            ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + 1 + TAG_LEN
    }
}

struct Tls13Opener {
    opener: Opener,
    iv: Iv,
}

impl MessageDecrypter for Tls13Opener {
    fn decrypt<'a>(
        &mut self,
        mut msg: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut msg.payload;
        if payload.len() < TAG_LEN {
            return Err(Error::DecryptError);
        }
        let nonce = Nonce::new(&self.iv, seq).0;
        let aad = make_tls13_aad(payload.len());
        let elsewhere = direct::open(payload.len() - TAG_LEN, |space| {
            self.opener.open_into(&nonce, &aad, payload, space)?;
            let found = inner_data(space).map_or(Found::Other, Found::Data);
            if found == Found::Other {
                payload[..space.len()].copy_from_slice(space);
            }
            Ok(found)
        });
        let plain_len = match elsewhere {
            None => self.opener.open(&nonce, &aad, payload).map(|plaintext| plaintext.len()),
            Some(Ok(Found::Data(count))) => return Ok(token(msg, ProtocolVersion::TLSv1_3, count)),
            Some(Ok(Found::Other)) => Ok(payload.len() - TAG_LEN),
            Some(Err(error)) => Err(error),
        };
        payload.truncate(plain_len.map_err(|_| Error::DecryptError)?);
        msg.into_tls13_unpadded_message()
    }
}

/// How much of an inner plaintext is application data, when it is that and no longer than a record
/// may be (RFC 8446 §5.4): anything else is rustls' to judge.
fn inner_data(inner: &[u8]) -> Option<usize> {
    let length = inner.iter().rposition(|byte| *byte != 0)?;
    let is_data = inner[length] == u8::from(ContentType::ApplicationData);
    (is_data && inner.len() <= MAX_FRAGMENT_LEN + 1).then_some(length)
}

/// What rustls sees of `count` bytes of data that were opened elsewhere. The bytes of it are those
/// of the ciphertext.
fn token(
    mut msg: InboundOpaqueMessage<'_>,
    version: ProtocolVersion,
    count: usize,
) -> InboundPlainMessage<'_> {
    (msg.typ, msg.version) = (ContentType::ApplicationData, version);
    msg.payload.truncate(count.min(direct::TOKEN));
    msg.into_plain_message()
}

/// TLS 1.2 record protection with AES-GCM (explicit nonce, RFC 5288).
#[derive(Debug)]
pub(super) struct Tls12Gcm(pub(super) Algorithm);

impl Tls12Gcm {
    /// The whole nonce: salt from the key block, explicit part from the peer-visible bytes.
    fn iv(write_iv: &[u8], explicit: &[u8]) -> Iv {
        let mut iv = [0u8; NONCE_LEN];
        iv[..GCM_SALT_LEN].copy_from_slice(write_iv);
        iv[GCM_SALT_LEN..].copy_from_slice(explicit);
        Iv::new(iv)
    }
}

impl Tls12AeadAlgorithm for Tls12Gcm {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Tls12GcmSealer { sealer: sealer(self.0, &key), iv: Self::iv(iv, extra) })
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        let mut salt = [0u8; GCM_SALT_LEN];
        salt.copy_from_slice(iv);
        Box::new(Tls12GcmOpener { opener: opener(self.0, &key), salt })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: key_len(self.0),
            fixed_iv_len: GCM_SALT_LEN,
            explicit_nonce_len: GCM_EXPLICIT_NONCE_LEN,
        }
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(traffic_secrets(self.0, key, Self::iv(iv, explicit)))
    }
}

struct Tls12GcmSealer {
    sealer: Sealer,
    iv: Iv,
}

impl MessageEncrypter for Tls12GcmSealer {
    fn encrypt(
        &mut self,
        msg: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let total_len = self.encrypted_payload_len(msg.payload.len());

        // As in TLS 1.3 the explicit part is a random start xor the sequence number: unique per
        // key, and it does not tell an observer more than a counter would.
        let nonce = Nonce::new(&self.iv, seq).0;
        let aad = make_tls12_aad(seq, msg.typ, msg.version, msg.payload.len());
        let placed = direct::place(&msg, total_len, |plaintext, space| {
            let (explicit, sealed) = space.split_at_mut(GCM_EXPLICIT_NONCE_LEN);
            explicit.copy_from_slice(&nonce[GCM_SALT_LEN..]);
            seal_into(&self.sealer, &nonce, &aad, (plaintext, &[]), sealed);
        });
        if let Some(placed) = placed {
            return Ok(placed);
        }
        let mut payload = PrefixedPayload::with_capacity(total_len);
        payload.extend_from_slice(&nonce[GCM_SALT_LEN..]);
        payload.extend_from_chunks(&msg.payload);
        let tag = self.sealer.seal(&nonce, &aad, &mut payload.as_mut()[GCM_EXPLICIT_NONCE_LEN..]);
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(msg.typ, msg.version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + GCM_EXPLICIT_NONCE_LEN + TAG_LEN
    }
}

struct Tls12GcmOpener {
    opener: Opener,
    salt: [u8; GCM_SALT_LEN],
}

impl MessageDecrypter for Tls12GcmOpener {
    fn decrypt<'a>(
        &mut self,
        mut msg: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut msg.payload;
        let overhead = GCM_EXPLICIT_NONCE_LEN + TAG_LEN;
        if payload.len() < overhead {
            return Err(Error::DecryptError);
        }
        let mut nonce = [0u8; NONCE_LEN];
        nonce[..GCM_SALT_LEN].copy_from_slice(&self.salt);
        nonce[GCM_SALT_LEN..].copy_from_slice(&payload[..GCM_EXPLICIT_NONCE_LEN]);
        let aad = make_tls12_aad(seq, msg.typ, msg.version, payload.len() - overhead);
        let sealed = &mut payload[GCM_EXPLICIT_NONCE_LEN..];
        let plain_len = match open_tls12(&self.opener, &nonce, &aad, msg.typ, sealed)? {
            Opened::Elsewhere(count) => {
                let version = msg.version;
                return Ok(token(msg, version, count));
            }
            Opened::InPlace(length) => length,
        };
        Ok(msg.into_plain_message_range(GCM_EXPLICIT_NONCE_LEN..GCM_EXPLICIT_NONCE_LEN + plain_len))
    }
}

/// Where a record of TLS 1.2 was opened, and how many bytes there are.
enum Opened {
    Elsewhere(usize),
    InPlace(usize),
}

/// Opens a record of TLS 1.2, ciphertext and tag: application data elsewhere if it can.
fn open_tls12(
    opener: &Opener,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    typ: ContentType,
    sealed: &mut [u8],
) -> Result<Opened, Error> {
    let length = sealed.len() - TAG_LEN;
    let is_data = typ == ContentType::ApplicationData && length <= MAX_FRAGMENT_LEN;
    let elsewhere = is_data.then(|| {
        direct::open(length, |space| {
            opener.open_into(nonce, aad, sealed, space).map(|()| Found::Data(length))
        })
    });
    let opened = match elsewhere.flatten() {
        Some(found) => found.map(|_| Opened::Elsewhere(length)),
        None => opener.open(nonce, aad, sealed).map(|plaintext| Opened::InPlace(plaintext.len())),
    };
    match opened.map_err(|_| Error::DecryptError)? {
        Opened::InPlace(length) if length > MAX_FRAGMENT_LEN => Err(Error::PeerSentOversizedRecord),
        opened => Ok(opened),
    }
}

/// TLS 1.2 record protection with ChaCha20-Poly1305 (implicit nonce, RFC 7905); software.
#[derive(Debug)]
pub(super) struct Tls12ChaCha;

impl Tls12AeadAlgorithm for Tls12ChaCha {
    fn encrypter(&self, key: AeadKey, iv: &[u8], _: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Tls12ChaChaSealer {
            sealer: sealer(Algorithm::ChaCha20Poly1305, &key),
            iv: Iv::copy(iv),
        })
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Tls12ChaChaOpener {
            opener: opener(Algorithm::ChaCha20Poly1305, &key),
            iv: Iv::copy(iv),
        })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape { enc_key_len: 32, fixed_iv_len: NONCE_LEN, explicit_nonce_len: 0 }
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(traffic_secrets(Algorithm::ChaCha20Poly1305, key, Iv::copy(iv)))
    }
}

struct Tls12ChaChaSealer {
    sealer: Sealer,
    iv: Iv,
}

impl MessageEncrypter for Tls12ChaChaSealer {
    fn encrypt(
        &mut self,
        msg: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let total_len = self.encrypted_payload_len(msg.payload.len());
        let nonce = Nonce::new(&self.iv, seq).0;
        let aad = make_tls12_aad(seq, msg.typ, msg.version, msg.payload.len());
        let placed = direct::place(&msg, total_len, |plaintext, space| {
            seal_into(&self.sealer, &nonce, &aad, (plaintext, &[]), space);
        });
        if let Some(placed) = placed {
            return Ok(placed);
        }
        let mut payload = PrefixedPayload::with_capacity(total_len);
        payload.extend_from_chunks(&msg.payload);
        let tag = self.sealer.seal(&nonce, &aad, payload.as_mut());
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(msg.typ, msg.version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + TAG_LEN
    }
}

struct Tls12ChaChaOpener {
    opener: Opener,
    iv: Iv,
}

impl MessageDecrypter for Tls12ChaChaOpener {
    fn decrypt<'a>(
        &mut self,
        mut msg: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut msg.payload;
        if payload.len() < TAG_LEN {
            return Err(Error::DecryptError);
        }
        let nonce = Nonce::new(&self.iv, seq).0;
        let aad = make_tls12_aad(seq, msg.typ, msg.version, payload.len() - TAG_LEN);
        match open_tls12(&self.opener, &nonce, &aad, msg.typ, payload)? {
            Opened::Elsewhere(count) => {
                let version = msg.version;
                Ok(token(msg, version, count))
            }
            Opened::InPlace(length) => {
                payload.truncate(length);
                Ok(msg.into_plain_message())
            }
        }
    }
}

#[cfg(test)]
mod tests;
