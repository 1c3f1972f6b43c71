//! Opening and sealing records, towards clients and backends alike.
//!
//! Invariants: rustls remembers the place of an incomplete handshake message in the input, so every
//! call gets at least the records that it has seen and not discarded; a call that only wants to
//! send gets exactly those and can therefore never receive. Records are opened and sealed into the
//! buffers that they leave from; their data does not pass through rustls ([`direct`]). Records that
//! bring no data are rationed: a peer gets no work for nothing.

use std::cell::RefCell;

use rustls::Error;
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};

use crate::buffer::{BUFFER_BYTES, Buffer, SMALL_BUFFER_BYTES};
use crate::handshake::flight::{encode, encode_after_failure};
use crate::handshake::unbuffered::Unbuffered;
use crate::member::Member;
use crate::provider::direct;
use crate::records::Window;

/// Most plaintext in one record (RFC 8446 §5.1).
pub const RECORD_PLAINTEXT: usize = 16 * 1024;

/// Upper bound of what protection adds to a record: header, explicit nonce, type, tag.
const RECORD_OVERHEAD: usize = 32;

/// Room kept for what rustls puts in front of data (a KeyUpdate of its own).
const RESERVE: usize = 256;

/// Records without data that a peer may send, beside those it pays for. rustls bounds each kind
/// by itself; taking turns between them a peer would stay below its bounds for ever, and a
/// KeyUpdate costs a key schedule.
const BARREN_RECORDS: u32 = 64;

/// Data that pays for one record without, beside the one that a record of data always pays for.
const DATA_PER_BARREN_RECORD: usize = 1024;

/// What came out of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// This many bytes of plaintext were appended.
    Data(usize),
    /// No complete record waits.
    NeedInput,
    /// The peer has sent close_notify: all its data has come. Reported once.
    PeerClosed,
    /// The connection is broken; the output may hold an alert.
    Failed,
}

/// Whether the peer has sent close_notify, and whether that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum PeerClosed {
    #[default]
    No,
    Unreported,
    Reported,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outgoing<'a> {
    /// Plaintext to be sealed.
    Data(&'a [u8]),
    /// The end of our direction.
    CloseNotify,
}

/// Why no more records can be opened or sealed.
#[derive(Debug)]
pub(crate) enum Broken {
    /// rustls says so.
    Tls(Error),
    /// This many records came without data.
    Flood(u32),
}

/// The buffers of a connection and what is known about them.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) input: Buffer,
    /// How much of `input` rustls has been shown.
    pub(crate) window: Window,
    pub(crate) output: Buffer,
    /// Records since the handshake that brought no data, less those that data has paid for.
    barren: u32,
    peer_closed: PeerClosed,
}

/// How one call into rustls ended.
enum Call {
    /// Output was queued; call again.
    Again,
    Opened(Opened),
}

impl Wire {
    /// Whether the peer has sent close_notify.
    pub(crate) fn peer_has_closed(&self) -> bool {
        self.peer_closed != PeerClosed::No
    }

    /// Drops what has come and will not be read.
    pub(crate) fn forget_input(&mut self) {
        self.input.clear();
        self.window = Window::default();
    }

    /// Gives buffers that hold nothing back to the member.
    pub(crate) fn release_idle_memory(&mut self, member: &Member) {
        member.reclaim(&mut self.input);
        member.reclaim(&mut self.output);
    }

    /// Appends to the output; a full buffer grows once by what is needed, which only handshake
    /// flights and alerts can cause.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.output.room() < bytes.len() {
            let needed = self.output.len() + bytes.len();
            let is_small = needed <= SMALL_BUFFER_BYTES;
            let size = if is_small { SMALL_BUFFER_BYTES } else { needed.max(BUFFER_BYTES) };
            self.output.grow_to(size);
        }
        self.output.append(bytes);
    }

    /// Puts the alert that rustls has queued for its own error into the output; false when there
    /// is none.
    pub(crate) fn push_alert(&mut self, tls: &mut impl Unbuffered) -> bool {
        let mut queued = Vec::new();
        encode_after_failure(tls, &mut self.input, &mut queued);
        self.push(&queued);
        !queued.is_empty()
    }

    /// Plaintext that can surely be sealed into the output, once it has the memory of a whole
    /// buffer, without growing it.
    pub(crate) fn seal_room(&self) -> usize {
        let whole = BUFFER_BYTES.saturating_sub(self.output.len());
        let room = whole.max(self.output.room()).saturating_sub(RESERVE);
        let record = RECORD_PLAINTEXT + RECORD_OVERHEAD;
        let rest = (room % record).saturating_sub(RECORD_OVERHEAD);
        (room / record) * RECORD_PLAINTEXT + rest
    }

    /// What can be said without rustls, once the peer has ended its direction.
    pub(crate) fn after_close(&mut self) -> Option<Opened> {
        match self.peer_closed {
            PeerClosed::No => None,
            PeerClosed::Unreported => {
                self.peer_closed = PeerClosed::Reported;
                Some(Opened::PeerClosed)
            }
            PeerClosed::Reported => {
                // RFC 8446 §6.1: whatever follows close_notify is ignored.
                self.forget_input();
                Some(Opened::NeedInput)
            }
        }
    }

    /// Opens the next record and appends its plaintext to `into`.
    pub(crate) fn open(
        &mut self,
        tls: &mut impl Unbuffered,
        into: &mut Buffer,
    ) -> Result<Opened, Broken> {
        loop {
            let Call::Opened(opened) = self.open_step(tls, into).map_err(Broken::Tls)? else {
                continue;
            };
            let whole_record = self.window.read();
            match opened {
                Opened::Data(count) => self.pay_with_data(count),
                // It brought nothing; there may be another one behind it.
                Opened::NeedInput if whole_record => {
                    self.count_barren()?;
                    continue;
                }
                _ => {}
            }
            return Ok(opened);
        }
    }

    fn open_step(&mut self, tls: &mut impl Unbuffered, into: &mut Buffer) -> Result<Call, Error> {
        let shown = self.window.show(self.input.data());
        let input = &mut self.input.data_mut()[..shown];
        let before = into.len();
        let UnbufferedStatus { discard, state } = direct::opening(into, || tls.process(input));
        let opened = into.len();
        into.truncate(before);
        let mut queued = Vec::new();
        let call = match state {
            Ok(ConnectionState::ReadTraffic(mut records)) => {
                while let Some(Ok(record)) = records.next_record() {
                    if opened > before {
                        // The token of what was opened into it.
                        into.filled(opened - before);
                    } else {
                        into.grow_to(into.len() + record.payload.len());
                        into.append(record.payload);
                    }
                }
                Ok(Call::Opened(Opened::Data(into.len() - before)))
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, &mut queued);
                Ok(Call::Again)
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                Ok(Call::Again)
            }
            Ok(ConnectionState::PeerClosed) => {
                self.peer_closed = PeerClosed::Reported;
                Ok(Call::Opened(Opened::PeerClosed))
            }
            Ok(_) => Ok(Call::Opened(Opened::NeedInput)),
            Err(error) => Err(error),
        };
        self.input.consume(discard);
        self.window.discard(discard);
        self.push(&queued);
        call
    }

    fn pay_with_data(&mut self, bytes: usize) {
        let paid = u32::try_from(1 + bytes / DATA_PER_BARREN_RECORD).unwrap_or(u32::MAX);
        self.barren = self.barren.saturating_sub(paid);
    }

    /// Counts a record without data; one too many ends the connection.
    fn count_barren(&mut self) -> Result<(), Broken> {
        self.barren += 1;
        if self.barren <= BARREN_RECORDS { Ok(()) } else { Err(Broken::Flood(self.barren)) }
    }

    /// Sends in the state in which rustls takes data. False when that state cannot be reached.
    pub(crate) fn send(
        &mut self,
        tls: &mut impl Unbuffered,
        outgoing: Outgoing<'_>,
    ) -> Result<bool, Broken> {
        loop {
            let shown = self.window.shown();
            let UnbufferedStatus { discard, state } =
                tls.process(&mut self.input.data_mut()[..shown]);
            let mut queued = Vec::new();
            let mut done = None;
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    done = Some(match outgoing {
                        Outgoing::Data(plaintext) => {
                            seal(&mut self.output, &mut traffic, plaintext)
                        }
                        Outgoing::CloseNotify => {
                            write_into(&mut self.output, |to| traffic.queue_close_notify(to))
                        }
                    });
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut queued),
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = PeerClosed::Unreported,
                Ok(_) => done = Some(false),
                Err(error) => return Err(Broken::Tls(error)),
            }
            self.input.consume(discard);
            self.window.discard(discard);
            self.push(&queued);
            if let Some(done) = done {
                return Ok(done);
            }
        }
    }
}

/// Seals data into `output`, a record at a time.
fn seal<Data>(output: &mut Buffer, traffic: &mut WriteTraffic<'_, Data>, plaintext: &[u8]) -> bool {
    plaintext.chunks(RECORD_PLAINTEXT).all(|data| {
        output.grow_to(output.len() + data.len() + RECORD_OVERHEAD + RESERVE);
        let begin = output.len();
        BESIDE.with_borrow_mut(|beside| {
            beside.clear();
            let sealed =
                direct::sealing(output, || write_into(beside, |to| traffic.encrypt(data, to)));
            if output.len() > begin {
                // What is left of the record itself is its header.
                beside.truncate(beside.len().saturating_sub(direct::HEADER));
            }
            // What rustls sends before the data, a KeyUpdate as a rule.
            output.insert(begin, beside.data());
            sealed
        })
    })
}

thread_local! {
    /// Where rustls encodes what it sends beside data that is sealed directly.
    static BESIDE: RefCell<Buffer> = RefCell::new(Buffer::with_capacity(
        RECORD_PLAINTEXT + RECORD_OVERHEAD + RESERVE,
    ));
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

#[cfg(test)]
mod tests;
