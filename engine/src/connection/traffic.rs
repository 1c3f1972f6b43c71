//! Application data: opening and sealing records.
//!
//! Invariants: rustls remembers the place of an incomplete handshake message in the input, so every
//! call gets at least the records that it has seen and not discarded; a call that only wants to
//! send gets exactly those and can therefore never receive. Records that bring no data are
//! rationed: a client gets no work for nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};

use super::{Connection, PeerClosed, Phase};
use crate::buffer::{BUFFER_BYTES, Buffer};
use crate::failure;
use crate::handshake::flight::{encode, encode_after_failure};
use crate::member::Member;
use crate::record::Outcome;
use crate::rules;

/// Most plaintext in one record (RFC 8446 §5.1).
const RECORD_PLAINTEXT: usize = 16 * 1024;

/// Upper bound of what protection adds to a record: header, explicit nonce, type, tag.
const RECORD_OVERHEAD: usize = 32;

/// Room kept for what rustls puts in front of data (a KeyUpdate of its own).
const RESERVE: usize = 256;

/// Records without data that a client may send, beside those it pays for. rustls bounds each kind
/// by itself; taking turns between them a client would stay below its bounds for ever, and a
/// KeyUpdate costs a key schedule.
const BARREN_RECORDS: u32 = 64;

/// Data that pays for one record without, beside the one that a record of data always pays for.
const DATA_PER_BARREN_RECORD: usize = 1024;

/// Something that puts bytes for the client into the given space.
type Write<'a> = dyn FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError> + 'a;

type Traffic<'a> = WriteTraffic<'a, ServerConnectionData>;

/// What came out of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// This many bytes of plaintext were given to the sink.
    Data(usize),
    /// No complete record waits.
    NeedInput,
    /// The client has sent close_notify: all its data has come. Reported once.
    PeerClosed,
    /// The connection is broken; the output may hold an alert.
    Failed,
}

/// How one call into rustls ended.
enum Call {
    /// Output was queued; call again.
    Again,
    Opened(Opened),
    Failed(rustls::Error),
}

impl Connection {
    /// Opens the next record and hands its plaintext to `sink`.
    pub fn open_record(&mut self, sink: &mut dyn FnMut(&[u8])) -> Opened {
        match self.peer_closed {
            PeerClosed::No => {}
            PeerClosed::Unreported => {
                self.peer_closed = PeerClosed::Reported;
                return Opened::PeerClosed;
            }
            PeerClosed::Reported => {
                // RFC 8446 §6.1: whatever follows close_notify is ignored.
                self.forget_input();
                return Opened::NeedInput;
            }
        }
        self.guarded(|connection, tls| connection.open_with(tls, sink)).unwrap_or(Opened::Failed)
    }

    /// Plaintext that [`Self::seal`] surely takes without growing the output.
    #[must_use]
    pub fn seal_room(&self) -> usize {
        let capacity = if self.output.has_memory() { self.output.room() } else { BUFFER_BYTES };
        let room = capacity.saturating_sub(RESERVE);
        let record = RECORD_PLAINTEXT + RECORD_OVERHEAD;
        let rest = (room % record).saturating_sub(RECORD_OVERHEAD);
        (room / record) * RECORD_PLAINTEXT + rest
    }

    /// Seals plaintext for the client into the output. False when the connection is broken.
    pub fn seal(&mut self, member: &Member, plaintext: &[u8]) -> bool {
        if plaintext.is_empty() {
            return self.is_established();
        }
        member.supply(&mut self.output);
        self.send(&mut |traffic, space| traffic.encrypt(plaintext, space))
    }

    /// Queues close_notify: no more data for the client.
    pub fn send_close_notify(&mut self, member: &Member) -> bool {
        if self.close_notify_sent {
            return true;
        }
        member.supply(&mut self.output);
        self.close_notify_sent = self.send(&mut |traffic, space| traffic.queue_close_notify(space));
        self.close_notify_sent
    }

    /// Whether the client has sent close_notify.
    #[must_use]
    pub fn peer_has_closed(&self) -> bool {
        self.peer_closed != PeerClosed::No
    }

    /// Runs `work` on the rustls connection; a panic ends this connection alone.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut UnbufferedServerConnection) -> T,
    ) -> Option<T> {
        let Phase::Established(mut tls) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return None;
        };
        // After a panic neither the TLS state nor the buffers are used again: `fail_panicked`
        // clears the input, and the phase stays ended.
        match catch_unwind(AssertUnwindSafe(|| work(self, &mut tls))) {
            Ok(result) => {
                // A failure inside has set a refusal; the connection then stays ended.
                if self.refusal.is_none() {
                    self.phase = Phase::Established(tls);
                }
                Some(result)
            }
            Err(payload) => {
                self.fail_panicked(payload.as_ref());
                None
            }
        }
    }

    fn open_with(
        &mut self,
        tls: &mut UnbufferedServerConnection,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Opened {
        loop {
            let shown = self.window.show(self.input.data());
            let UnbufferedStatus { discard, state } =
                tls.process_tls_records(&mut self.input.data_mut()[..shown]);
            let mut queued = Vec::new();
            let call = match state {
                Ok(ConnectionState::ReadTraffic(mut records)) => {
                    let mut count = 0;
                    while let Some(Ok(record)) = records.next_record() {
                        count += record.payload.len();
                        sink(record.payload);
                    }
                    Call::Opened(Opened::Data(count))
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut queued);
                    Call::Again
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    sent.done();
                    Call::Again
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = PeerClosed::Reported;
                    Call::Opened(Opened::PeerClosed)
                }
                Ok(_) => Call::Opened(Opened::NeedInput),
                Err(error) => Call::Failed(error),
            };
            self.input.consume(discard);
            self.window.discard(discard);
            self.push_output(&queued);
            match call {
                Call::Again => {}
                Call::Opened(opened) => {
                    let whole_record = self.window.read();
                    match opened {
                        Opened::Data(count) => self.pay_with_data(count),
                        // It brought nothing; there may be another one behind it.
                        Opened::NeedInput if whole_record && self.may_be_barren() => continue,
                        Opened::NeedInput if whole_record => return Opened::Failed,
                        _ => {}
                    }
                    return opened;
                }
                Call::Failed(error) => {
                    self.fail_traffic(tls, &error);
                    return Opened::Failed;
                }
            }
        }
    }

    fn pay_with_data(&mut self, bytes: usize) {
        let paid = u32::try_from(1 + bytes / DATA_PER_BARREN_RECORD).unwrap_or(u32::MAX);
        self.barren = self.barren.saturating_sub(paid);
    }

    /// Counts a record without data; one too many ends the connection.
    fn may_be_barren(&mut self) -> bool {
        self.barren += 1;
        if self.barren <= BARREN_RECORDS {
            return true;
        }
        let reason = format!("{} records without data", self.barren);
        self.fail(rules::RECORD_FLOOD.refusal(reason), rules::RECORD_FLOOD.outcome);
        false
    }

    /// Calls `write` in the state in which rustls takes data for the client.
    fn send(&mut self, write: &mut Write<'_>) -> bool {
        self.guarded(|connection, tls| connection.send_with(tls, write)).unwrap_or(false)
    }

    fn send_with(&mut self, tls: &mut UnbufferedServerConnection, write: &mut Write<'_>) -> bool {
        loop {
            let shown = self.window.shown();
            let UnbufferedStatus { discard, state } =
                tls.process_tls_records(&mut self.input.data_mut()[..shown]);
            let mut queued = Vec::new();
            let mut done = None;
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    done = Some(write_into(&mut self.output, |space| write(&mut traffic, space)));
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut queued),
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = PeerClosed::Unreported,
                Ok(_) => done = Some(false),
                Err(error) => {
                    self.fail_traffic(tls, &error);
                    return false;
                }
            }
            self.input.consume(discard);
            self.window.discard(discard);
            self.push_output(&queued);
            if let Some(done) = done {
                return done;
            }
        }
    }

    /// Ends the connection on an error of rustls, with the alert it has queued.
    fn fail_traffic(&mut self, tls: &mut UnbufferedServerConnection, error: &rustls::Error) {
        let mut output = Vec::new();
        // Behind our close_notify nothing is sent any more, not even an alert (RFC 8446 §6.1).
        if !self.close_notify_sent {
            encode_after_failure(tls, &mut self.input, &mut output);
            self.push_output(&output);
        }
        let mut refusal = failure::traffic_refusal(error);
        if output.is_empty() {
            refusal.alert_sent = None;
        }
        // Rules of the handshake refuse; here it had succeeded.
        self.fail(refusal, Outcome::Aborted);
    }
}

/// Runs `write` on the free space of `output`, which grows once if rustls asks for more.
fn write_into(
    output: &mut Buffer,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> bool {
    let needed = match write(output.space()) {
        Ok(written) => {
            output.filled(written);
            return true;
        }
        Err(EncryptError::InsufficientSize(size)) => size.required_size,
        Err(EncryptError::EncryptExhausted) => return false,
    };
    output.grow_to(output.len() + needed);
    match write(output.space()) {
        Ok(written) => {
            output.filled(written);
            true
        }
        Err(_) => false,
    }
}
