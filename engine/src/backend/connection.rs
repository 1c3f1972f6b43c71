//! One TLS connection to a backend.
//!
//! The shape is that of [`crate::connection::Connection`], less what only a server has: bytes of
//! the backend go into [`BackendConnection::input_space`], bytes for it come out of
//! [`BackendConnection::output`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;

use super::failure::BackendFailure;
use super::modes::BackendModes;
use super::{BackendName, BackendTls, server_hello, verifier};
use crate::buffer::{BUFFER_BYTES, Buffer};
use crate::certs::ClientCertificate;
use crate::compliance::judge::{self, Used};
use crate::connection::wire::{Broken, Opened, Outgoing, Wire};
use crate::handshake::flight::{self, FlightEnd};
use crate::iana;
use crate::member::Member;
use crate::provider;
use crate::record::BackendSession;
use crate::rules;

/// Content types with which a server can begin: alert and handshake (RFC 8446 §5.1).
const FIRST_TYPES: [u8; 2] = [21, 22];

/// How far the handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes from the backend are needed.
    NeedInput,
    /// The backend is verified: records can be opened and sealed.
    Established,
    /// It is refused or broken; the output may hold an alert.
    Failed,
}

/// One connection.
pub struct BackendConnection {
    /// None after a failure.
    tls: Option<Box<UnbufferedClientConnection>>,
    name: String,
    established: bool,
    /// Whether the first byte of the backend was looked at.
    heard: bool,
    /// Whether it has agreed to the extended master secret; none before its hello was read.
    extended_master_secret: Option<bool>,
    /// The scheme of its signature.
    scheme: Option<u16>,
    modes: Arc<BackendModes>,
    wire: Wire,
    close_notify_sent: bool,
    failure: Option<BackendFailure>,
}

impl std::fmt::Debug for BackendConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendConnection")
            .field("name", &self.name)
            .field("established", &self.established)
            .field("input", &self.wire.input.len())
            .field("output", &self.wire.output.len())
            .finish_non_exhaustive()
    }
}

impl BackendConnection {
    /// A connection to the backend whose certificate must be for `name`.
    #[must_use]
    pub fn new(trust: &BackendTls, name: &BackendName) -> Self {
        let mut connection = Self {
            tls: None,
            name: name.to_string(),
            established: false,
            heard: false,
            extended_master_secret: None,
            scheme: None,
            modes: Arc::clone(&trust.modes),
            wire: Wire::default(),
            close_notify_sent: false,
            failure: None,
        };
        let begin = || UnbufferedClientConnection::new(Arc::clone(&trust.config), name.0.clone());
        match catch_unwind(AssertUnwindSafe(begin)) {
            Ok(Ok(tls)) => connection.tls = Some(Box::new(tls)),
            Ok(Err(error)) => {
                connection.fail(BackendFailure::of_tls(&error, &connection.name.clone()));
            }
            Err(payload) => connection.panicked(payload.as_ref()),
        }
        connection
    }

    /// Where to put bytes from the backend; empty after a failure, or when the buffer is full.
    pub fn input_space(&mut self, member: &Member) -> &mut [u8] {
        if self.failure.is_some() {
            return &mut [];
        }
        member.supply(&mut self.wire.input);
        self.wire.input.grow_to(BUFFER_BYTES);
        self.wire.input.space()
    }

    /// Says that `count` bytes were put into [`Self::input_space`].
    pub fn received(&mut self, count: usize) {
        self.wire.input.filled(count);
    }

    /// Whether the beginning of a record waits for its end.
    #[must_use]
    pub fn holds_input(&self) -> bool {
        !self.wire.input.is_empty()
    }

    /// Bytes for the backend.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.wire.output.data()
    }

    /// Says that `count` bytes of [`Self::output`] were sent.
    pub fn sent(&mut self, count: usize) {
        self.wire.output.consume(count);
    }

    /// Forgets what a backend that takes nothing any more would have got.
    pub fn forget_output(&mut self) {
        self.wire.output.clear();
    }

    /// Gives buffers that hold nothing back to the member.
    pub fn release_idle_memory(&mut self, member: &Member) {
        self.wire.release_idle_memory(member);
    }

    /// Why the backend was refused or lost, if it was.
    #[must_use]
    pub fn failure(&self) -> Option<&BackendFailure> {
        self.failure.as_ref()
    }

    /// Goes on with the handshake, as far as the input allows.
    pub fn advance(&mut self, member: &Member) -> Progress {
        if !self.heard
            && let Some(first) = self.wire.input.data().first().copied()
        {
            self.heard = true;
            if !FIRST_TYPES.contains(&first) {
                self.fail(BackendFailure::new(
                    &rules::BACKEND_NOT_TLS,
                    "the backend answers in clear text, not in TLS",
                ));
            }
        }
        if self.extended_master_secret.is_none() && self.modes.judges() {
            self.extended_master_secret = server_hello::agrees(self.wire.input.data());
        }
        member.supply_for(&mut self.wire.output, 1);
        self.guarded(Self::fly).unwrap_or(Progress::Failed)
    }

    fn fly(&mut self, tls: &mut UnbufferedClientConnection) -> Progress {
        let mut output = Vec::new();
        let Wire { input, window, .. } = &mut self.wire;
        let (end, scheme) = verifier::noting(|| flight::run(tls, input, window, &mut output));
        self.scheme = self.scheme.or(scheme);
        self.wire.push(&output);
        match end {
            FlightEnd::NeedInput => Progress::NeedInput,
            FlightEnd::Established => {
                self.established = true;
                Progress::Established
            }
            FlightEnd::Failed(error) => {
                self.fail_tls(tls, &Broken::Tls(error));
                Progress::Failed
            }
        }
    }

    /// What was agreed, for the record.
    #[must_use]
    pub fn session(&self) -> Option<BackendSession> {
        let tls = self.tls.as_ref()?;
        let version = u16::from(tls.protocol_version()?);
        let suite = u16::from(tls.negotiated_cipher_suite()?.suite());
        let group = tls.negotiated_key_exchange_group().map(|group| u16::from(group.name()));
        let chain = tls.peer_certificates().unwrap_or_default();
        let leaf = chain.first().and_then(|leaf| ClientCertificate::read(leaf, true));
        let verdict = self.modes.judges().then(|| {
            self.modes.judge(&Used {
                version,
                suite,
                group,
                scheme: self.scheme,
                extended_master_secret: self.extended_master_secret == Some(true),
                peer_chain: match chain {
                    [leaf, others @ ..] => judge::path(leaf, others),
                    [] => Vec::new(),
                },
            })
        });
        Some(BackendSession {
            version: iana::version_name(version),
            suite: iana::suite_name(suite),
            resumed: tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            group: group.map(iana::group_name),
            signature_scheme: self.scheme.map(iana::scheme_name),
            subject: leaf.map(|leaf| leaf.subject),
            verdict,
        })
    }

    /// Opens the next record and appends its plaintext to `into`.
    pub fn open_record(&mut self, into: &mut Buffer) -> Opened {
        if let Some(opened) = self.wire.after_close() {
            return opened;
        }
        let open = |connection: &mut Self, tls: &mut UnbufferedClientConnection| {
            let opened = connection.wire.open(tls, into);
            opened.unwrap_or_else(|broken| {
                connection.fail_tls(tls, &broken);
                Opened::Failed
            })
        };
        self.guarded(open).unwrap_or(Opened::Failed)
    }

    /// Seals plaintext for the backend into the output. False when the connection is broken.
    pub fn seal(&mut self, member: &Member, plaintext: &[u8]) -> bool {
        plaintext.is_empty() || self.send(member, Outgoing::Data(plaintext))
    }

    /// Queues close_notify, once: no more data for the backend.
    pub fn send_close_notify(&mut self, member: &Member) {
        if !self.close_notify_sent {
            self.close_notify_sent = true;
            self.send(member, Outgoing::CloseNotify);
        }
    }

    fn send(&mut self, member: &Member, outgoing: Outgoing<'_>) -> bool {
        // Before the handshake is complete rustls would take nothing; it is not even asked.
        if !self.established {
            return false;
        }
        member.supply(&mut self.wire.output);
        let send = |connection: &mut Self, tls: &mut UnbufferedClientConnection| {
            let sent = connection.wire.send(tls, outgoing);
            match sent {
                Ok(true) => return true,
                Ok(false) => connection.fail(BackendFailure::new(
                    &rules::BACKEND_TLS,
                    "nothing more can be sealed for the backend",
                )),
                Err(broken) => connection.fail_tls(tls, &broken),
            }
            false
        };
        self.guarded(send).unwrap_or(false)
    }

    /// Runs `work` on the rustls connection; a failure or a panic ends it.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut UnbufferedClientConnection) -> T,
    ) -> Option<T> {
        let mut tls = self.tls.take()?;
        // After a panic neither the TLS state nor the input is used again.
        match catch_unwind(AssertUnwindSafe(|| work(self, &mut tls))) {
            Ok(result) => {
                if self.failure.is_none() {
                    self.tls = Some(tls);
                }
                Some(result)
            }
            Err(payload) => {
                self.panicked(payload.as_ref());
                None
            }
        }
    }

    /// Ends the connection, with the alert that rustls has queued.
    fn fail_tls(&mut self, tls: &mut UnbufferedClientConnection, broken: &Broken) {
        if matches!(broken, Broken::Tls(_)) && !self.close_notify_sent {
            self.wire.push_alert(tls);
        }
        self.fail(BackendFailure::of_wire(broken, &self.name));
    }

    fn panicked(&mut self, payload: &(dyn Any + Send)) {
        self.fail(match provider::escaped(payload) {
            Some(icsf) => BackendFailure::of_function(icsf),
            None => BackendFailure::new(&rules::INTERNAL_ERROR, "a panic was contained"),
        });
    }

    /// The first word counts.
    fn fail(&mut self, failure: BackendFailure) {
        self.failure.get_or_insert(failure);
        self.tls = None;
        self.wire.forget_input();
    }
}
