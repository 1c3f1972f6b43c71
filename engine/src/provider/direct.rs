//! Application data that rustls judges and does not carry.
//!
//! Purpose: rustls hands out what a record held in memory of its own, and takes what it sends from
//! memory of its own: for each record an allocation, and a copy or two. The ciphers are ours and
//! are called in between. Where [`crate::connection::wire`] asks for it, they open data straight
//! into the buffer it leaves from and give rustls one byte as a token, and they seal straight into
//! the output and give rustls an empty record to encode. Sequence numbers, limits of keys, types,
//! states and alerts stay with rustls.
//!
//! Invariants:
//! - only application data goes this way, never a message of a handshake or an alert;
//! - what was opened counts only if rustls hands out its token;
//! - it holds for one call on one thread: each begins with nothing of another, and leaves nothing.
//!
//! Source: RFC 8446 §5.2, §5.4; rustls `crypto::cipher`.

use std::cell::Cell;
use std::thread::LocalKey;

use rustls::ContentType;
use rustls::crypto::cipher::{
    OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
};

use crate::buffer::Buffer;

/// Type, version and length of a record.
pub(crate) const HEADER: usize = 5;

/// Bytes of a token: rustls counts empty records, and refuses many.
pub(super) const TOKEN: usize = 1;

thread_local! {
    static OPENED: Cell<Option<Buffer>> = const { Cell::new(None) };
    static OUTPUT: Cell<Option<Buffer>> = const { Cell::new(None) };
}

/// A buffer that the ciphers have for a call.
type Place = LocalKey<Cell<Option<Buffer>>>;

/// Takes it back, however the call ends: after a panic with what it held before.
struct Lent<'a> {
    place: &'static Place,
    buffer: &'a mut Buffer,
    before: usize,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.buffer = self.place.take().unwrap_or_default();
        if std::thread::panicking() {
            self.buffer.truncate(self.before);
        }
    }
}

fn lend<T>(place: &'static Place, buffer: &mut Buffer, call: impl FnOnce() -> T) -> T {
    let before = buffer.len();
    place.set(Some(std::mem::take(buffer)));
    let _lent = Lent { place, buffer, before };
    call()
}

/// A buffer in use by a cipher; it goes back to its place even after a panic.
struct Taken {
    place: &'static Place,
    buffer: Buffer,
}

impl Taken {
    /// None where no buffer is lent.
    fn from(place: &'static Place) -> Option<Self> {
        place.take().map(|buffer| Self { place, buffer })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.place.set(Some(std::mem::take(&mut self.buffer)));
    }
}

/// Runs `call`, which opens one record with data at most, straight into `opened`.
pub(crate) fn opening<T>(opened: &mut Buffer, call: impl FnOnce() -> T) -> T {
    lend(&OPENED, opened, call)
}

/// Runs `call`, which seals one record with data at most, straight into `output`.
pub(crate) fn sealing<T>(output: &mut Buffer, call: impl FnOnce() -> T) -> T {
    lend(&OUTPUT, output, call)
}

/// What a decrypter finds in a record when it opens it elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// This many bytes of application data: they stay where they are.
    Data(usize),
    /// Something that rustls has to see; it is not kept.
    Other,
}

/// Has a decrypter open a record whose plaintext takes `length` bytes elsewhere. `None` where it is
/// to be opened in place: nobody has asked, or there is no room.
pub(super) fn open<E>(
    length: usize,
    open: impl FnOnce(&mut [u8]) -> Result<Found, E>,
) -> Option<Result<Found, E>> {
    let mut opened = Taken::from(&OPENED)?;
    let found = opened.buffer.space().get_mut(..length).map(open);
    if let Some(Ok(Found::Data(count))) = found {
        opened.buffer.filled(count);
    }
    found
}

/// What an encrypter gives rustls for data that `fill` has sealed into the output: `length` bytes
/// behind the header. `None` where it is to be sealed as always.
pub(super) fn place(
    message: &OutboundPlainMessage<'_>,
    length: usize,
    fill: impl FnOnce(&[u8], &mut [u8]),
) -> Option<OutboundOpaqueMessage> {
    let OutboundChunks::Single(plaintext) = message.payload else { return None };
    if message.typ != ContentType::ApplicationData {
        return None;
    }
    let mut output = Taken::from(&OUTPUT)?;
    let record = output.buffer.space().get_mut(..HEADER + length)?;
    let (header, payload) = record.split_at_mut(HEADER);
    // RFC 8446 §5.1: protected records always carry the version of TLS 1.2.
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    header.copy_from_slice(&[u8::from(ContentType::ApplicationData), 3, 3, high, low]);
    fill(plaintext, payload);
    output.buffer.filled(HEADER + length);
    let empty = PrefixedPayload::with_capacity(0);
    Some(OutboundOpaqueMessage::new(message.typ, message.version, empty))
}
