//! Sessions whose backend speaks TLS: its handshake, and the records of both directions.
//!
//! Invariants:
//! - the handshake belongs to the attempt: it ends with the deadline of the attempt, and a backend
//!   that fails in it is passed over like one that does not accept, since it has got nothing of the
//!   client's data (a PROXY header goes ahead in clear);
//! - plaintext is sealed from the buffer it was opened in, one way and the other;
//! - close_notify is passed on from either side. A FIN without it becomes a FIN without it: neither
//!   side may take for complete what is not.

use engine::backend::{BackendFailure, Progress};
use engine::connection::{Opened, RECORD_PLAINTEXT};
use engine::rules;

use super::end::closer;
use super::endpoint::Moved;
use super::session::{Session, Step, Turn};

impl Session {
    /// One step of the handshake with a backend that has accepted the connection.
    pub(super) fn backend_handshake_step(&mut self, turn: &mut Turn<'_>) -> Step {
        let Some(tls) = &mut self.backend_tls else { return Step::Moved };
        let progress = tls.advance(turn.member);
        self.flush_backend();
        match progress {
            Progress::Established => self.begin_relay(turn),
            Progress::Failed => self.backend_not_accepted(turn),
            Progress::NeedInput => return self.read_backend_handshake(turn),
        }
        Step::Moved
    }

    fn read_backend_handshake(&mut self, turn: &mut Turn<'_>) -> Step {
        let (Some(tls), Some(backend)) = (&mut self.backend_tls, &mut self.backend) else {
            return Step::Moved;
        };
        let space = tls.input_space(turn.member);
        let reason = if space.is_empty() {
            "a message of the backend's handshake fills our buffer".to_owned()
        } else {
            match backend.read(space) {
                Moved::Bytes(count) => {
                    tls.received(count);
                    return Step::Moved;
                }
                Moved::Blocked => match backend.failure() {
                    None => return Step::Blocked,
                    Some(error) => broken_in_handshake(&error),
                },
                Moved::Eof => "the backend closed in the middle of the TLS handshake".to_owned(),
                Moved::Broken(error) => broken_in_handshake(&error),
            }
        };
        self.backend_refused(turn, &BackendFailure { rule: &rules::BACKEND_TLS, reason });
        Step::Moved
    }

    fn backend_not_accepted(&mut self, turn: &mut Turn<'_>) {
        let failure = self.backend_tls.as_ref().and_then(|tls| tls.failure().cloned());
        if let Some(failure) = failure {
            self.backend_refused(turn, &failure);
        }
    }

    /// Opens one record of the client and seals it for the backend.
    pub(super) fn open_to_tls_backend(&mut self, turn: &mut Turn<'_>) -> Opened {
        let Self { tls, backend_tls, record, .. } = self;
        let Some(backend) = backend_tls else { return Opened::NeedInput };
        let plaintext = &mut *turn.scratch;
        plaintext.clear();
        let opened = tls.open_record(plaintext);
        record.bytes_in += plaintext.len() as u64;
        if !backend.seal(turn.member, plaintext.data()) {
            self.backend_tls_broke(turn);
        }
        opened
    }

    /// Opens what has come from the backend and seals it for the client, up to what the client's
    /// buffer takes.
    pub(super) fn seal_from_tls_backend(&mut self, turn: &mut Turn<'_>) -> Step {
        let mut step = Step::Blocked;
        loop {
            let Self { tls, backend_tls, record, .. } = self;
            let Some(backend) = backend_tls else { return Step::Blocked };
            let plaintext = &mut *turn.scratch;
            plaintext.clear();
            let opened = backend.open_record(plaintext);
            record.bytes_out += plaintext.len() as u64;
            if !plaintext.is_empty() && !tls.seal(turn.member, plaintext.data()) {
                self.finish(turn, "us");
                return Step::Moved;
            }
            match opened {
                Opened::Data(_) if self.tls.seal_room() < RECORD_PLAINTEXT => return Step::Moved,
                Opened::Data(_) => step = Step::Moved,
                Opened::PeerClosed => {
                    self.backend_has_ended(turn);
                    return Step::Moved;
                }
                Opened::Failed => {
                    self.backend_tls_broke(turn);
                    return Step::Moved;
                }
                Opened::NeedInput if step == Step::Moved => return step,
                Opened::NeedInput => return self.read_tls_backend(turn),
            }
        }
    }

    fn read_tls_backend(&mut self, turn: &mut Turn<'_>) -> Step {
        // A record without data may have asked for an answer (KeyUpdate).
        self.flush_backend();
        let (Some(tls), Some(backend)) = (&mut self.backend_tls, &mut self.backend) else {
            return Step::Blocked;
        };
        let space = tls.input_space(turn.member);
        if space.is_empty() {
            self.note(&rules::BACKEND_TLS, "a message of the backend fills our buffer".to_owned());
            self.finish(turn, "backend");
            return Step::Moved;
        }
        match backend.read(space) {
            Moved::Bytes(count) => tls.received(count),
            Moved::Blocked => return self.backend_is_quiet(turn),
            Moved::Eof => {
                let reason = "the backend sent a FIN without close_notify".to_owned();
                self.note(&rules::BACKEND_TRUNCATED, reason);
                // No close_notify: the client must not take the answer for complete.
                self.finish(turn, "backend");
            }
            Moved::Broken(error) => self.backend_broke(turn, &error),
        }
        Step::Moved
    }

    /// Tells the backend that the client has sent everything, if the client has said so or could
    /// not any more.
    pub(super) fn close_backend_tls(&mut self, turn: &Turn<'_>) {
        if self.client_may_just_end()
            && let Some(tls) = &mut self.backend_tls
        {
            tls.send_close_notify(turn.member);
            self.flush_backend();
        }
    }

    /// TLS with the backend has failed in the middle of the data.
    fn backend_tls_broke(&mut self, turn: &mut Turn<'_>) {
        // An alert may be there for it.
        self.flush_backend();
        let failure = self.backend_tls.as_ref().and_then(|tls| tls.failure().cloned());
        let Some(BackendFailure { rule, reason }) = failure else { return };
        self.note(rule, reason);
        self.finish(turn, closer(rule));
    }
}

fn broken_in_handshake(error: &std::io::Error) -> String {
    format!("the backend broke the connection in the TLS handshake: {error}")
}
