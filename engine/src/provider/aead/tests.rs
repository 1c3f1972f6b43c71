//! Data that is opened and sealed past rustls comes out as it does through rustls.
//!
//! Source: RFC 8446 §5.2, §5.4; RFC 5288; RFC 7905.

use rustls::PeerMisbehaved;
use rustls::crypto::cipher::OutboundChunks;

use super::*;
use crate::buffer::Buffer;

const SEQ: u64 = 7;
const KEY: [u8; 32] = [0x42; 32];

/// A protocol and a cipher, both ends of it.
struct Ends {
    version: ProtocolVersion,
    sealer: Box<dyn MessageEncrypter>,
    opener: Box<dyn MessageDecrypter>,
}

fn all_ends() -> Vec<Ends> {
    let tls12 = ProtocolVersion::TLSv1_2;
    let mut all = Vec::new();
    for algorithm in [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305] {
        let key = &KEY[..key_len(algorithm)];
        let sealer = || Sealer::new(algorithm, key).unwrap();
        let opener = || Opener::new(algorithm, key).unwrap();
        let iv = || Iv::new([3; NONCE_LEN]);
        all.push(Ends {
            version: ProtocolVersion::TLSv1_3,
            sealer: Box::new(Tls13Sealer { sealer: sealer(), iv: iv() }),
            opener: Box::new(Tls13Opener { opener: opener(), iv: iv() }),
        });
        all.push(match algorithm {
            Algorithm::ChaCha20Poly1305 => Ends {
                version: tls12,
                sealer: Box::new(Tls12ChaChaSealer { sealer: sealer(), iv: iv() }),
                opener: Box::new(Tls12ChaChaOpener { opener: opener(), iv: iv() }),
            },
            _ => Ends {
                version: tls12,
                sealer: Box::new(Tls12GcmSealer { sealer: sealer(), iv: iv() }),
                opener: Box::new(Tls12GcmOpener { opener: opener(), salt: [3; GCM_SALT_LEN] }),
            },
        });
    }
    all
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(length).collect()
}

impl Ends {
    fn seal(&mut self, typ: ContentType, contents: &[u8]) -> Vec<u8> {
        // The version of the record, as rustls gives it.
        let version = ProtocolVersion::TLSv1_2;
        let payload = OutboundChunks::Single(contents);
        self.sealer.encrypt(OutboundPlainMessage { typ, version, payload }, SEQ).unwrap().encode()
    }

    /// What rustls gets of a record.
    fn open(&mut self, record: &[u8]) -> Result<(ContentType, ProtocolVersion, Vec<u8>), Error> {
        let mut payload = record[direct::HEADER..].to_vec();
        let typ = ContentType::from(record[0]);
        let sealed = InboundOpaqueMessage::new(typ, ProtocolVersion::TLSv1_2, &mut payload);
        let opened = self.opener.decrypt(sealed, SEQ)?;
        Ok((opened.typ, opened.version, opened.payload.to_vec()))
    }

    /// The same while `into` is open for data.
    fn open_into(
        &mut self,
        record: &[u8],
        into: &mut Buffer,
    ) -> Result<(ContentType, ProtocolVersion, Vec<u8>), Error> {
        direct::opening(into, || self.open(record))
    }
}

#[test]
fn data_is_sealed_into_the_output_as_it_is_elsewhere() {
    for mut ends in all_ends() {
        for length in [1, 16, 1000, MAX_FRAGMENT_LEN] {
            let data = pattern(length);
            let expected = ends.seal(ContentType::ApplicationData, &data);
            let mut output = Buffer::with_capacity(20_000);
            output.append(b"before");
            let left =
                direct::sealing(&mut output, || ends.seal(ContentType::ApplicationData, &data));
            assert_eq!(left.len(), direct::HEADER, "nothing but a header is left for rustls");
            assert_eq!(output.data(), [b"before", &*expected].concat());
        }
    }
}

#[test]
fn what_is_no_data_or_has_no_room_is_sealed_by_rustls_way() {
    for mut ends in all_ends() {
        let alert = ends.seal(ContentType::Alert, &[1, 0]);
        let mut output = Buffer::with_capacity(1000);
        let sealed = direct::sealing(&mut output, || ends.seal(ContentType::Alert, &[1, 0]));
        assert_eq!((sealed, output.len()), (alert, 0));
        let data = ends.seal(ContentType::ApplicationData, &[1; 990]);
        let sealed =
            direct::sealing(&mut output, || ends.seal(ContentType::ApplicationData, &[1; 990]));
        assert_eq!((sealed, output.len(), output.room()), (data, 0, 1000));
    }
}

#[test]
fn data_is_opened_elsewhere_and_rustls_sees_a_token() {
    for mut ends in all_ends() {
        for length in [0, 1, 2, 1000, MAX_FRAGMENT_LEN] {
            let data = pattern(length);
            let record = ends.seal(ContentType::ApplicationData, &data);
            let (typ, version, contents) = ends.open(&record).unwrap();
            assert_eq!((typ, version), (ContentType::ApplicationData, ends.version));
            assert_eq!(contents, data);
            let mut into = Buffer::with_capacity(20_000);
            into.append(b"before");
            let (typ, version, token) = ends.open_into(&record, &mut into).unwrap();
            assert_eq!((typ, version), (ContentType::ApplicationData, ends.version));
            assert_eq!(token.len(), length.min(1), "an empty record stays one");
            assert_eq!(into.data(), [b"before", &*data].concat());
        }
    }
}

#[test]
fn what_is_no_data_or_has_no_room_is_opened_in_place() {
    for mut ends in all_ends() {
        let mut into = Buffer::with_capacity(1000);
        let alert = ends.seal(ContentType::Alert, &[1, 0]);
        let opened = ends.open_into(&alert, &mut into).unwrap();
        assert_eq!(opened, (ContentType::Alert, ends.version, vec![1, 0]));
        let data = ends.seal(ContentType::ApplicationData, &[1; 1001]);
        let opened = ends.open_into(&data, &mut into).unwrap();
        assert_eq!(opened, (ContentType::ApplicationData, ends.version, vec![1; 1001]));
        assert_eq!((into.len(), into.room()), (0, 1000));
    }
}

#[test]
fn what_was_tampered_with_leaves_nothing() {
    for mut ends in all_ends() {
        let record = ends.seal(ContentType::ApplicationData, &[1; 100]);
        // Also one that is too short for a tag.
        for broken in [direct::HEADER, 40, record.len() - 1] {
            let mut tampered = record.clone();
            tampered[broken] ^= 1;
            let mut into = Buffer::with_capacity(1000);
            let short = &record[..direct::HEADER + 10];
            assert_eq!(ends.open_into(&tampered, &mut into), Err(Error::DecryptError));
            assert_eq!(ends.open_into(short, &mut into), Err(Error::DecryptError));
            assert_eq!((into.len(), into.room()), (0, 1000));
        }
    }
}

/// A record of TLS 1.3 with this inner plaintext (RFC 8446 §5.2).
fn record_of(inner: &[u8]) -> Vec<u8> {
    let sealer = Sealer::new(Algorithm::Aes128Gcm, &KEY[..16]).unwrap();
    let length = inner.len() + TAG_LEN;
    let mut payload = inner.to_vec();
    let nonce = Nonce::new(&Iv::new([3; NONCE_LEN]), SEQ).0;
    let tag = sealer.seal(&nonce, &make_tls13_aad(length), &mut payload);
    let length = u16::try_from(length).unwrap().to_be_bytes();
    [&[23, 3, 3], &length[..], &payload, &tag].concat()
}

#[test]
fn padding_is_taken_off_and_what_is_not_allowed_is_refused_as_in_place() {
    let mut ends = all_ends().remove(0);
    let data = [5; 300];
    let padded = |typ: u8, zeros: usize| [&data[..], &[typ], &vec![0; zeros]].concat();
    let mut into = Buffer::with_capacity(20_000);
    for zeros in [0, 1, 1000, MAX_FRAGMENT_LEN - data.len()] {
        let token = ends.open_into(&record_of(&padded(23, zeros)), &mut into).unwrap();
        assert_eq!((token.2.len(), into.data()), (1, &data[..]));
        into.clear();
    }
    for refused in [
        vec![0; 20],
        padded(20, 3),
        padded(23, MAX_FRAGMENT_LEN),
        [&[1; MAX_FRAGMENT_LEN + 1][..], &[23]].concat(),
    ] {
        let record = record_of(&refused);
        let in_place = ends.open(&record).unwrap_err();
        assert_eq!(ends.open_into(&record, &mut into), Err(in_place.clone()));
        assert!(into.is_empty());
        let reasons = [
            PeerMisbehaved::IllegalTlsInnerPlaintext.into(),
            PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
            Error::PeerSentOversizedRecord,
        ];
        assert!(reasons.contains(&in_place), "{in_place}");
    }
}

fn escape() {
    std::panic::resume_unwind(Box::new("escaped"))
}

#[test]
fn a_panic_gives_the_buffers_back_as_they_were_and_ends_what_was_asked() {
    let mut ends = all_ends().remove(0);
    let record = ends.seal(ContentType::ApplicationData, &[1; 100]);
    let (mut into, mut output) = (Buffer::with_capacity(1000), Buffer::with_capacity(1000));
    into.append(b"before");
    output.append(b"before");
    for work in [true, false] {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            direct::opening(&mut into, || {
                direct::sealing(&mut output, || {
                    if work {
                        ends.open(&record).unwrap();
                        ends.seal(ContentType::ApplicationData, &[1; 100]);
                    }
                    escape();
                });
            });
        }));
        assert!(panicked.is_err());
        assert_eq!((into.data(), into.room()), (&b"before"[..], 994));
        assert_eq!((output.data(), output.room()), (&b"before"[..], 994));
    }
    // Within a cipher, too.
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        direct::opening(&mut into, || {
            direct::open::<Error>(10, |_| {
                escape();
                Ok(Found::Other)
            })
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((into.data(), into.room()), (&b"before"[..], 994));
    assert_eq!(ends.open(&record).unwrap().2, [1; 100], "no buffer is open any more");
}
