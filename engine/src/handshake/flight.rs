//! One flight of a handshake: from the bytes the peer sent to the bytes it gets.
//!
//! Purpose: drive rustls' unbuffered state machine until it needs more input, is done, or fails.
//! Towards a client this is what runs on the fiber; the signer below it may suspend. Towards a
//! backend it runs on the loop: nothing is signed there.
//!
//! Invariants: everything rustls queues is encoded, also what it queues while *reading* (alerts,
//! tickets); after rustls has returned an error no further record is given to it; a record behind
//! the last message of the handshake is not looked at, since it is no part of it.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};

use super::unbuffered::Unbuffered;
use crate::buffer::Buffer;
use crate::records::Window;

/// How a flight ended.
#[derive(Debug)]
pub(crate) enum FlightEnd {
    /// rustls waits for more bytes.
    NeedInput,
    /// The handshake is complete.
    Established,
    /// rustls refused.
    Failed(rustls::Error),
}

/// A connection on its way through a flight, with the buffers it works on.
pub(crate) struct Flight {
    pub(crate) tls: Box<UnbufferedServerConnection>,
    pub(crate) input: Buffer,
    /// Bytes at the front of `input` that rustls has seen and wants to see again.
    pub(crate) seen: usize,
    /// How much of `input` rustls has been shown.
    pub(crate) window: Window,
    /// Handshake messages for the client. A flight is as long as its certificate chain.
    pub(crate) output: Vec<u8>,
    pub(crate) end: FlightEnd,
}

impl Flight {
    pub(crate) fn new(tls: Box<UnbufferedServerConnection>, input: Buffer, window: Window) -> Self {
        let end = FlightEnd::NeedInput;
        Self { tls, input, seen: 0, window, output: Vec::new(), end }
    }

    /// Runs to the end of the flight.
    pub(crate) fn run(mut self) -> Self {
        let Self { tls, input, window, output, .. } = &mut self;
        self.end = run(&mut **tls, input, window, output);
        self.seen = self.input.len();
        self
    }
}

/// Calls rustls until a flight has ended; what it has for the peer goes to `output`.
pub(crate) fn run(
    tls: &mut impl Unbuffered,
    input: &mut Buffer,
    window: &mut Window,
    output: &mut Vec<u8>,
) -> FlightEnd {
    loop {
        let shown = window.show(input.data());
        let UnbufferedStatus { discard, state } = tls.process(&mut input.data_mut()[..shown]);
        let mut end = None;
        match state {
            Ok(ConnectionState::EncodeTlsData(data)) => encode(data, output),
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            // Behind a whole record there may be another one.
            Ok(ConnectionState::BlockedHandshake) if window.read() => {}
            Ok(ConnectionState::BlockedHandshake) => end = Some(FlightEnd::NeedInput),
            Ok(ConnectionState::WriteTraffic(_)) => {
                window.read();
                end = Some(FlightEnd::Established);
            }
            // Early data is off, and other data cannot come before the handshake is complete; a
            // state of a later rustls is not for us either.
            Ok(_) => end = Some(FlightEnd::Failed(unexpected_state())),
            Err(error) => end = Some(FlightEnd::Failed(error)),
        }
        input.consume(discard);
        window.discard(discard);
        if let Some(end) = end {
            return end;
        }
    }
}

/// Encodes what rustls queued before it failed: the alert, at last.
///
/// Each call pops one queued record before it looks at input, and everything in the queue comes
/// from the one message that failed, so the alert is the last of it. Nothing is asked for behind
/// the alert: the call would look at the input again, which rustls, having sent its fatal alert,
/// does not expect (it asserts, and in a release build queues another alert).
pub(crate) fn encode_after_failure(
    tls: &mut impl Unbuffered,
    input: &mut Buffer,
    output: &mut Vec<u8>,
) {
    for _ in 0..MAX_QUEUED_AFTER_FAILURE {
        match tls.process(input.data_mut()).state {
            Ok(ConnectionState::EncodeTlsData(data)) => {
                let start = output.len();
                encode(data, output);
                if is_alert(&output[start..]) {
                    return;
                }
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            _ => return,
        }
    }
}

/// Whether a record of ours holds an alert. Protection in TLS 1.3 hides the type, but nothing else
/// has two bytes of contents (to which it adds the type and 16 bytes of tag).
fn is_alert(record: &[u8]) -> bool {
    matches!(record, [21, ..] | [23, _, _, 0, 19, ..])
}

/// Records that can be queued when rustls fails: a whole flight and an alert.
const MAX_QUEUED_AFTER_FAILURE: usize = 64;

fn unexpected_state() -> rustls::Error {
    rustls::Error::General("rustls reached a state that this product does not use".to_owned())
}

/// Appends one queued record to `output`.
pub(crate) fn encode<Data>(mut data: EncodeTlsData<'_, Data>, output: &mut Vec<u8>) {
    let end = output.len();
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        // An empty record, or one already taken: nothing to send.
        Ok(_) | Err(EncodeError::AlreadyEncoded) => return,
    };
    output.resize(end + needed, 0);
    match data.encode(&mut output[end..]) {
        Ok(written) => output.truncate(end + written),
        Err(_) => output.truncate(end),
    }
}
