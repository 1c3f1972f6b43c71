//! Collects the ClientHello message from the client's records.
//!
//! The caller hands in the same growing buffer each time; what has been read is remembered, so a
//! client that sends one byte per record costs no more than its bytes.

use std::borrow::Cow;

use super::client::ClientHello;
use super::decode::{self, Fault};
use super::explain::explain_protocol_too_old;
use super::preface::{self, Preface};
use super::wire::Cursor;
use crate::alert::Alert;
use crate::iana;
use crate::record::Refusal;
use crate::rules::{self, Rule};

const RECORD_HEADER_LEN: usize = 5;
/// Longest plaintext fragment (RFC 8446 §5.1).
const MAX_FRAGMENT_LEN: usize = 1 << 14;
/// Type and three-byte length of a handshake message.
pub(super) const MESSAGE_HEADER_LEN: usize = 4;
const CLIENT_HELLO: u8 = 1;

/// Content types of records (RFC 8446 §5.1, RFC 6520).
mod content_type {
    pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(super) const ALERT: u8 = 21;
    pub(super) const HANDSHAKE: u8 = 22;
    pub(super) const APPLICATION_DATA: u8 = 23;
    pub(super) const HEARTBEAT: u8 = 24;
}

/// Why no hello can be had from these bytes.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The rule that refuses.
    pub rule: &'static Rule,
    /// Alert to send; none when the client would not understand one, or sent one itself.
    pub alert: Option<Alert>,
    /// Alert the client sent.
    pub received: Option<Alert>,
    /// What is wrong, in one sentence.
    pub reason: Cow<'static, str>,
    /// What the client offered, when that much could be read.
    pub hello: Option<Box<ClientHello>>,
}

impl Refused {
    fn by(rule: &'static Rule, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { rule, alert: rule.alert, received: None, reason: reason.into(), hello: None }
    }

    /// The form the connection record takes.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let mut refusal = self.rule.refusal(self.reason.clone());
        refusal.alert_sent = self.alert;
        refusal.alert_received = self.received;
        if let Some(received) = self.received {
            refusal.gsk = Some(received.gsk());
        }
        refusal
    }
}

/// What is known after some bytes.
#[derive(Debug, Clone)]
pub enum Progress {
    /// More bytes are needed; at least `hint` of them.
    NeedMore {
        /// Bytes missing at least; never 0.
        hint: usize,
    },
    /// A hello that TLS 1.2 or 1.3 can answer.
    Hello(Box<ClientHello>),
    /// TLS (or SSL), but a rule refuses it.
    Refuse(Box<Refused>),
    /// Not TLS: close without a word.
    NotTls(Preface),
}

impl Progress {
    fn refuse(rule: &'static Rule, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Refuse(Box::new(Refused::by(rule, reason)))
    }
}

/// Reads the hello of one connection.
#[derive(Debug)]
pub struct HelloReader {
    max_len: usize,
    /// Bytes of the caller's buffer that have been read, always a whole number of records.
    read: usize,
    /// Fragments of the handshake message so far.
    message: Vec<u8>,
}

impl Default for HelloReader {
    fn default() -> Self {
        Self::new(super::DEFAULT_MAX_LEN)
    }
}

impl HelloReader {
    /// A reader that looks at no more than `max_len` bytes of a connection.
    #[must_use]
    pub fn new(max_len: usize) -> Self {
        Self { max_len, read: 0, message: Vec::new() }
    }

    /// Reads on. `bytes` is everything the client has sent so far, from its first byte; nothing is
    /// taken from it. After anything but [`Progress::NeedMore`] the reader is done.
    pub fn read(&mut self, bytes: &[u8]) -> Progress {
        if self.read == 0
            && let Some(progress) = first_bytes(bytes)
        {
            return progress;
        }
        loop {
            match self.record(bytes.get(self.read..).unwrap_or_default()) {
                Ok(()) => {}
                Err(progress) => return progress,
            }
        }
    }

    /// Reads one whole record from the front of `rest`, or says why that is not to be.
    fn record(&mut self, rest: &[u8]) -> Result<(), Progress> {
        let fragment = self.fragment(rest)?;
        self.read += RECORD_HEADER_LEN + fragment.len();
        self.message.extend_from_slice(fragment);
        let Some(wanted) = self.message_len()? else { return Ok(()) };
        let Some(body) = self.message.get(MESSAGE_HEADER_LEN..wanted) else { return Ok(()) };
        Err(judge(decode::decode(body)))
    }

    /// The fragment of the record at the front of `rest`.
    fn fragment<'a>(&self, rest: &'a [u8]) -> Result<&'a [u8], Progress> {
        let Some((&[kind, major, _, high, low], payload)) = rest.split_first_chunk() else {
            return Err(self.need(RECORD_HEADER_LEN - rest.len()));
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if major != 3 {
            return Err(Progress::refuse(
                &rules::UNDECODABLE_HELLO,
                "the hello continues in bytes that are no TLS record",
            ));
        }
        if len > MAX_FRAGMENT_LEN {
            let reason = format!("a record of {len} bytes; {MAX_FRAGMENT_LEN} are allowed");
            return Err(Progress::refuse(&rules::RECORD_OVERFLOW, reason));
        }
        if kind != content_type::HANDSHAKE {
            return Err(self.other_record(kind, len, payload));
        }
        if len == 0 {
            return Err(Progress::refuse(
                &rules::UNDECODABLE_HELLO,
                "a handshake record without contents, which the protocol forbids",
            ));
        }
        // Of a message that can only be refused the rest need not be awaited.
        if self.message.is_empty()
            && let Some(first) = payload.first()
            && *first != CLIENT_HELLO
        {
            return Err(self.wrong_message(*first));
        }
        payload.get(..len).ok_or_else(|| self.need(len - payload.len()))
    }

    /// Length of the whole message with its header, once the header is there.
    fn message_len(&self) -> Result<Option<usize>, Progress> {
        let Some(&[kind, a, b, c]) = self.message.first_chunk() else {
            return match self.message.first() {
                Some(kind) if *kind != CLIENT_HELLO => Err(self.wrong_message(*kind)),
                _ => Ok(None),
            };
        };
        if kind != CLIENT_HELLO {
            return Err(self.wrong_message(kind));
        }
        let body = u32::from_be_bytes([0, a, b, c]);
        // A 24-bit number fits a usize on every target this builds for.
        let len = usize::try_from(body).unwrap_or(usize::MAX).saturating_add(MESSAGE_HEADER_LEN);
        if len > self.max_len.saturating_sub(RECORD_HEADER_LEN) {
            let reason = format!("a hello of {len} bytes; we read up to {}", self.max_len);
            return Err(Progress::refuse(&rules::HELLO_TOO_LARGE, reason));
        }
        Ok(Some(len))
    }

    fn wrong_message(&self, kind: u8) -> Progress {
        Progress::refuse(
            &rules::UNEXPECTED_MESSAGE,
            format!("the handshake opens with message type {kind} instead of a ClientHello"),
        )
    }

    /// `hint` more bytes, unless that is past what we read.
    fn need(&self, hint: usize) -> Progress {
        if self.read.saturating_add(hint) > self.max_len {
            let reason = format!("no complete hello within {} bytes", self.max_len);
            return Progress::refuse(&rules::HELLO_TOO_LARGE, reason);
        }
        Progress::NeedMore { hint }
    }

    /// A record that carries no handshake message.
    fn other_record(&self, kind: u8, len: usize, payload: &[u8]) -> Progress {
        let name = match kind {
            content_type::ALERT => return self.alert_record(len, payload),
            content_type::CHANGE_CIPHER_SPEC => "ChangeCipherSpec",
            content_type::APPLICATION_DATA => "application data",
            content_type::HEARTBEAT => "a heartbeat",
            _ => "a record of unknown type",
        };
        let place = if self.message.is_empty() { "instead of" } else { "in the middle of" };
        let reason = format!("{name} (type {kind}) {place} a ClientHello");
        Progress::refuse(&rules::UNEXPECTED_MESSAGE, reason)
    }

    fn alert_record(&self, len: usize, payload: &[u8]) -> Progress {
        if len != 2 {
            return Progress::refuse(
                &rules::UNDECODABLE_HELLO,
                "an alert record that does not hold one alert",
            );
        }
        let [_level, description, ..] = payload else {
            return self.need(len - payload.len());
        };
        let received = Alert(*description);
        let mut refused = Refused::by(
            &rules::PEER_ALERT,
            format!("the client sent {received} instead of a ClientHello"),
        );
        refused.received = Some(received);
        Progress::Refuse(Box::new(refused))
    }
}

/// What can be said from the very first bytes. None when they begin a TLS record.
fn first_bytes(bytes: &[u8]) -> Option<Progress> {
    let need = |hint| Some(Progress::NeedMore { hint });
    match bytes {
        [] => need(RECORD_HEADER_LEN),
        [20..=24] => need(RECORD_HEADER_LEN - 1),
        [20..=24, 3, ..] => None,
        [0x80..=0xBF, ..] => sslv2(bytes),
        _ => match preface::name(bytes) {
            Some(kind) => Some(Progress::NotTls(kind)),
            None => need(1),
        },
    }
}

/// Largest SSLv2 hello that is waited for so that its offer can be recorded.
const MAX_SSLV2_LEN: usize = 1024;
const SSLV2_CLIENT_HELLO: u8 = 1;
/// Type, version and the three lengths of an SSLv2 hello.
const SSLV2_FIXED_LEN: usize = 9;

/// A hello in SSLv2 format (RFC 5246 E.2): a two-byte header with the high bit set.
fn sslv2(bytes: &[u8]) -> Option<Progress> {
    let Some((&[high, low, kind, major, minor], _)) = bytes.split_first_chunk() else {
        return Some(Progress::NeedMore { hint: 5 - bytes.len() });
    };
    let version = u16::from_be_bytes([major, minor]);
    if kind != SSLV2_CLIENT_HELLO || !(version == 0x0002 || major == 3) {
        return Some(Progress::NotTls(Preface::Other));
    }
    let len = usize::from(u16::from_be_bytes([high & 0x7F, low]));
    let mut refused = Refused::by(
        &rules::SSLV2_HELLO,
        format!("a hello in SSLv2 format, for {} at most", iana::version_name(version)),
    );
    let message = bytes.get(2..).unwrap_or_default();
    if (SSLV2_FIXED_LEN..=MAX_SSLV2_LEN).contains(&len) {
        if message.len() < len {
            return Some(Progress::NeedMore { hint: len - message.len() });
        }
        refused.hello = sslv2_offer(version, message).map(Box::new);
    }
    Some(Progress::Refuse(Box::new(refused)))
}

/// Version and TLS suites of an SSLv2 hello; kinds of SSLv2 alone have no number in the registry.
fn sslv2_offer(version: u16, message: &[u8]) -> Option<ClientHello> {
    let mut cursor = Cursor::new(message.get(3..)?);
    let specs_len = cursor.u16().ok()?;
    let session_id_len = cursor.u16().ok()?;
    cursor.u16().ok()?;
    let (specs, _) = cursor.take(specs_len.into()).ok()?.as_chunks::<3>();
    let mut hello = ClientHello {
        legacy_version: version,
        versions: vec![version],
        session_id_len: u8::try_from(session_id_len).unwrap_or(u8::MAX),
        len: message.len(),
        ..ClientHello::default()
    };
    for [kind, high, low] in specs {
        let suite = u16::from_be_bytes([*high, *low]);
        if *kind == 0 && !iana::is_signalling(suite) {
            hello.suites.push(suite);
        }
    }
    Some(hello)
}

/// Whether a decoded hello can be answered at all.
fn judge(decoded: Result<ClientHello, Fault>) -> Progress {
    let hello = match decoded {
        Ok(hello) => hello,
        Err(Fault::Message) => {
            return Progress::refuse(
                &rules::UNDECODABLE_HELLO,
                "a length within the ClientHello does not agree with its contents",
            );
        }
        Err(Fault::Extension(kind)) => {
            let reason = format!("extension {kind} of the ClientHello is malformed");
            return Progress::refuse(&rules::UNDECODABLE_HELLO, reason);
        }
        Err(Fault::Duplicate(kind)) => {
            let reason = format!("extension {kind} stands twice in the ClientHello");
            return Progress::refuse(&rules::ILLEGAL_PARAMETER, reason);
        }
    };
    if hello.best_version() < iana::TLS12 {
        let mut refused = Refused::by(&rules::PROTOCOL_TOO_OLD, explain_protocol_too_old(&hello));
        refused.hello = Some(Box::new(hello));
        return Progress::Refuse(Box::new(refused));
    }
    Progress::Hello(Box::new(hello))
}
