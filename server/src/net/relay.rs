//! Both directions of an established connection.
//!
//! Invariants:
//! - a side is read only when what it sent before has gone to the other side, so that a slow reader
//!   slows the writer and memory stays bounded by the buffers;
//! - the end of one direction does not end the other (half-close both ways): close_notify from the
//!   client becomes a FIN to the backend, a FIN from the backend becomes close_notify and FIN;
//! - a FIN from the client without close_notify is passed on and reported as truncation; where TLS
//!   is spoken with the backend too, each side is told as much as the other has said
//!   (`backend_tls`);
//! - a reset on either side ends both; what the backend said before it reset, and what the client
//!   said before it left in order, is still passed on;
//! - a client without TLS is told by a reset that it does not have everything, and loses what the
//!   kernel still had for it.

use engine::buffer::Buffer;
use engine::connection::{Opened, RECORD_PLAINTEXT};
use engine::member::Member;
use engine::rules;

use super::endpoint::{Endpoint, Moved};
use super::session::{Received, Session, Stage, Step, Turn};

/// Reads from the client, and records of it, in one step.
const READS_PER_STEP: usize = 4;

/// Records of the client that leave for the backend in one write: full ones are as much as is sent
/// at once. Small ones stop here too, or a flood of empty records would hold the loop for
/// milliseconds.
const RECORDS_PER_WRITE: usize = 4;

/// Most that is read of a backend at once. With what sealing adds it fits the largest segment there
/// is (64 KiB less some 50 bytes, on the loopback); a little more would be a segment and a wake-up
/// of the client more.
const READ_BYTES: usize = 64 * 1024 - 512;

impl Session {
    pub(super) fn relay_step(&mut self, turn: &mut Turn<'_>) -> Step {
        if let Some(error) = self.client_lost() {
            self.client_broke(turn, &error);
            if !self.is_relaying() {
                return Step::Moved;
            }
        }
        let from_client = self.client_to_backend(turn);
        if !self.is_relaying() {
            return Step::Moved;
        }
        let from_backend = self.backend_to_client(turn);
        if !self.is_relaying() {
            return Step::Moved;
        }
        let moved = from_client == Step::Moved || from_backend == Step::Moved;
        if moved {
            self.active = turn.now;
        }
        if self.is_through() {
            let by = self.record.close_by.unwrap_or("client");
            self.finish(turn, by);
            if self.client_is_done_with() {
                self.stage = Stage::Closed;
            } else {
                self.client.shut_write();
            }
            return Step::Moved;
        }
        if moved { Step::Moved } else { Step::Blocked }
    }

    pub(super) fn is_relaying(&self) -> bool {
        matches!(self.stage, Stage::Relay)
    }

    /// Whether both directions have ended and everything has left.
    fn is_through(&self) -> bool {
        self.client_done
            && self.backend_done
            && self.pending_to_backend() == 0
            && self.tls.output().is_empty()
    }

    /// The error of a client that nobody needs to be served for any more, whatever is still on its
    /// way; a client that is read finds its error by itself.
    fn client_lost(&self) -> Option<std::io::Error> {
        let error = self.client.failure()?;
        let all_passed_on = self.client_done && self.pending_to_backend() == 0;
        (all_passed_on || !self.client.failed_after_fin()).then_some(error)
    }

    fn client_to_backend(&mut self, turn: &mut Turn<'_>) -> Step {
        let mut step = Step::Blocked;
        for _ in 0..READS_PER_STEP {
            // A PROXY header leaves in one write with the data behind it, when data is there.
            self.header_waits &= !self.client_done;
            if !self.header_waits {
                let before = self.pending_to_backend();
                self.flush_backend();
                if self.pending_to_backend() < before {
                    step = Step::Moved;
                }
                // A backend that takes nothing any more may have said something before: reading
                // it shows how it ended.
                if self.pending_to_backend() > 0 || self.backend_failed() {
                    return step;
                }
            }
            if self.client_done {
                break;
            }
            let opened = match self.backend_tls {
                None => self.open_to_backend(turn),
                Some(_) => self.open_to_tls_backend(turn),
            };
            match opened {
                Opened::Data(_) => {
                    self.header_waits = false;
                    step = Step::Moved;
                }
                Opened::PeerClosed => {
                    self.client_has_ended();
                    step = Step::Moved;
                }
                Opened::Failed => {
                    self.finish(turn, "us");
                    return Step::Moved;
                }
                Opened::NeedInput => match self.read_client(turn) {
                    Step::Moved => step = Step::Moved,
                    // The backend may speak first, as soon as it knows for whom.
                    Step::Blocked if self.header_waits => {
                        self.header_waits = false;
                        step = Step::Moved;
                    }
                    Step::Blocked => break,
                },
            }
            if !self.is_relaying() {
                return Step::Moved;
            }
        }
        if self.client_done && self.pending_to_backend() == 0 {
            self.end_to_backend(turn);
        }
        step
    }

    /// The client's direction has ended, and everything of it has left.
    fn end_to_backend(&mut self, turn: &Turn<'_>) {
        self.close_backend_tls(turn);
        if self.pending_to_backend() == 0
            && let Some(backend) = &mut self.backend
        {
            backend.shut_write();
        }
    }

    fn client_has_ended(&mut self) {
        self.client_done = true;
        self.record.close_by.get_or_insert("client");
    }

    /// Opens the records that are there, as far as there is room to put them together, and sends
    /// them to the backend in one write; what it does not take waits.
    ///
    /// A write costs the kernel far more than the copy: a segment of its own, and a wake-up of the
    /// backend.
    fn open_to_backend(&mut self, turn: &mut Turn<'_>) -> Opened {
        let Self { tls, backend, to_backend, record, .. } = self;
        let Some(backend) = backend else { return Opened::NeedInput };
        let gathered = &mut *turn.scratch;
        gathered.clear();
        let mut opened = Opened::NeedInput;
        for _ in 0..RECORDS_PER_WRITE {
            opened = tls.open_record(gathered);
            let has_room = gathered.room() > RECORD_PLAINTEXT;
            if !matches!(opened, Opened::Data(_)) || !has_room {
                break;
            }
        }
        record.bytes_in += gathered.len() as u64;
        let mut rest = gathered.data();
        while !rest.is_empty() && to_backend.is_empty() {
            match backend.write(rest) {
                Moved::Bytes(count) => rest = &rest[count..],
                // A broken backend shows itself when it is read.
                Moved::Blocked | Moved::Eof | Moved::Broken(_) => break,
            }
        }
        if !rest.is_empty() {
            queue(to_backend, turn.member, rest);
        }
        match opened {
            Opened::NeedInput if !gathered.is_empty() => Opened::Data(gathered.len()),
            other => other,
        }
    }

    /// Puts bytes in line for the backend.
    pub(super) fn queue_for_backend(&mut self, member: &Member, bytes: &[u8]) {
        queue(&mut self.to_backend, member, bytes);
    }

    fn read_client(&mut self, turn: &mut Turn<'_>) -> Step {
        match self.receive(turn) {
            Received::Taken => Step::Moved,
            Received::Nothing => Step::Blocked,
            Received::Eof => {
                // After our own close_notify many clients just close; nothing can be missing then.
                if !self.client_may_just_end() {
                    self.note(
                        &rules::TRUNCATED,
                        "the client sent a FIN without close_notify".to_owned(),
                    );
                }
                self.client_has_ended();
                Step::Moved
            }
            Received::Broken(error) => {
                self.client_broke(turn, &error);
                Step::Moved
            }
        }
    }

    /// Whether a FIN of the client cuts nothing off.
    pub(super) fn client_may_just_end(&self) -> bool {
        self.tls.peer_has_closed() || self.backend_done || self.tls.is_in_clear()
    }

    fn client_broke(&mut self, turn: &mut Turn<'_>, error: &std::io::Error) {
        if self.backend_done && self.tls.output().is_empty() {
            // Everything was sent and taken; a client that resets instead of closing is impolite.
            self.client_has_ended();
            self.forget_to_backend();
            return;
        }
        self.note(&rules::PEER_RESET, format!("the client reset the connection: {error}"));
        if let Some(backend) = &self.backend {
            backend.reset_on_close();
        }
        self.finish(turn, "client");
    }

    pub(super) fn backend_broke(&mut self, turn: &mut Turn<'_>, error: &std::io::Error) {
        if self.backend_done {
            // It had finished and closed; what the client sends after that has no reader.
            self.client_has_ended();
            self.forget_to_backend();
            return;
        }
        self.note(&rules::BACKEND_RESET, format!("the backend reset the connection: {error}"));
        // No close_notify: the client must not take the answer for complete.
        self.finish(turn, "backend");
    }

    /// Bytes that wait for the backend.
    pub(super) fn pending_to_backend(&self) -> usize {
        let sealed = self.backend_tls.as_ref().map_or(0, |tls| tls.output().len());
        self.to_backend.len() + sealed
    }

    fn forget_to_backend(&mut self) {
        self.to_backend.clear();
        if let Some(tls) = &mut self.backend_tls {
            tls.forget_output();
        }
    }

    /// Sends what waits for the backend, or forgets it when the backend takes no more.
    pub(super) fn flush_backend(&mut self) {
        let Some(backend) = &mut self.backend else { return };
        while !self.to_backend.is_empty() {
            match backend.write(self.to_backend.data()) {
                Moved::Bytes(count) => self.to_backend.consume(count),
                Moved::Blocked | Moved::Eof => return,
                Moved::Broken(_) => self.to_backend.clear(),
            }
        }
        let Some(tls) = &mut self.backend_tls else { return };
        while !tls.output().is_empty() {
            match backend.write(tls.output()) {
                Moved::Bytes(count) => tls.sent(count),
                Moved::Blocked | Moved::Eof => return,
                Moved::Broken(_) => tls.forget_output(),
            }
        }
    }

    fn backend_failed(&self) -> bool {
        self.backend.as_ref().is_some_and(|backend| backend.failure().is_some())
    }

    /// Reads from the backend once, up to 64 KiB, when what was sealed before has left.
    fn backend_to_client(&mut self, turn: &mut Turn<'_>) -> Step {
        let before = self.tls.output().len();
        if let Some(error) = self.flush_client() {
            self.client_broke(turn, &error);
            return Step::Moved;
        }
        let left = self.tls.output().len();
        let mut step = if left < before { Step::Moved } else { Step::Blocked };
        if (left == 0 || self.holds_back()) && !self.backend_done {
            let sealed = match self.backend_tls {
                None => self.seal_from_backend(turn),
                Some(_) => self.seal_from_tls_backend(turn),
            };
            if sealed == Step::Moved {
                step = Step::Moved;
            }
            if !self.is_relaying() {
                return Step::Moved;
            }
        }
        if self.backend_done && self.tls.output().is_empty() {
            // At the end of both directions the session itself ends the client's.
            if !self.is_through() {
                self.client.shut_write();
            }
            if self.backend.as_ref().is_some_and(Endpoint::is_gone) && !self.client_done {
                self.client_has_ended();
                self.forget_to_backend();
                step = Step::Moved;
            }
        }
        step
    }

    fn seal_from_backend(&mut self, turn: &mut Turn<'_>) -> Step {
        let Some(backend) = &mut self.backend else { return Step::Blocked };
        let space = turn.scratch.whole();
        let room = self.tls.seal_room().min(space.len()).min(READ_BYTES);
        match backend.read(&mut space[..room]) {
            Moved::Bytes(count) => {
                let end_is_next = backend.end_is_next();
                self.record.bytes_out += count as u64;
                if !self.tls.seal(turn.member, &space[..count]) {
                    self.finish(turn, "us");
                } else if end_is_next && self.tls.seal_room() > 0 {
                    // The last data, close_notify and FIN leave together.
                    self.seal_from_backend(turn);
                }
                Step::Moved
            }
            Moved::Blocked => self.backend_is_quiet(turn),
            Moved::Eof => {
                self.backend_has_ended(turn);
                Step::Moved
            }
            Moved::Broken(error) => {
                self.backend_broke(turn, &error);
                Step::Moved
            }
        }
    }

    /// The backend has sent everything, and said so.
    pub(super) fn backend_has_ended(&mut self, turn: &Turn<'_>) {
        self.backend_done = true;
        self.record.close_by.get_or_insert("backend");
        self.tls.send_close_notify(turn.member);
    }

    /// There is nothing more to read. If nothing can be written either, that is the end.
    pub(super) fn backend_is_quiet(&mut self, turn: &mut Turn<'_>) -> Step {
        let Some(backend) = &self.backend else { return Step::Blocked };
        match backend.failure() {
            Some(error) if !backend.failed_after_fin() => {
                self.backend_broke(turn, &error);
                Step::Moved
            }
            // Behind a FIN a read finds the end; a Unix peer may read no more and still talk.
            _ => Step::Blocked,
        }
    }
}

/// Appends to what waits for a backend. It grows only for a PROXY header with data behind it, whose
/// sizes are bounded each by itself.
fn queue(to_backend: &mut Buffer, member: &Member, bytes: &[u8]) {
    member.supply(to_backend);
    to_backend.grow_to(to_backend.len() + bytes.len());
    to_backend.append(bytes);
}
