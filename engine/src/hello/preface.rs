//! What the first bytes of a connection are when they are no TLS record.
//!
//! Scanners, health checks and clients with TLS switched off are told apart so that the record can
//! name them; nothing of what they sent is kept.

/// What speaks on the connection instead of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preface {
    /// An HTTP request line, or HTTP/2 with prior knowledge.
    PlainHttp,
    /// An SSH banner.
    Ssh,
    /// A PROXY protocol header, version 1 or 2.
    Proxy,
    /// Telnet commands: a TN3270 or FTP client with TLS switched off.
    Telnet,
    /// Anything else.
    Other,
}

impl Preface {
    /// The word for it in a sentence.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PlainHttp => "an HTTP request",
            Self::Ssh => "an SSH banner",
            Self::Proxy => "a PROXY protocol header",
            Self::Telnet => "Telnet commands",
            Self::Other => "no protocol we know",
        }
    }
}

const PREFACES: &[(&[u8], Preface)] = &[
    (b"GET ", Preface::PlainHttp),
    (b"HEAD ", Preface::PlainHttp),
    (b"POST ", Preface::PlainHttp),
    (b"PUT ", Preface::PlainHttp),
    (b"DELETE ", Preface::PlainHttp),
    (b"OPTIONS ", Preface::PlainHttp),
    (b"CONNECT ", Preface::PlainHttp),
    (b"TRACE ", Preface::PlainHttp),
    (b"PATCH ", Preface::PlainHttp),
    (b"PRI * HTTP/2", Preface::PlainHttp),
    (b"SSH-", Preface::Ssh),
    (b"PROXY ", Preface::Proxy),
    (b"\r\n\r\n\0\r\nQUIT\n", Preface::Proxy),
    // IAC followed by WILL, WONT, DO, DONT or a subnegotiation.
    (b"\xFF\xFA", Preface::Telnet),
    (b"\xFF\xFB", Preface::Telnet),
    (b"\xFF\xFC", Preface::Telnet),
    (b"\xFF\xFD", Preface::Telnet),
    (b"\xFF\xFE", Preface::Telnet),
];

/// Names the protocol of `bytes`, which begin no TLS record. None while they could still become one
/// of several; they never can for more than a dozen bytes.
pub(super) fn name(bytes: &[u8]) -> Option<Preface> {
    let known = PREFACES.iter().find(|(preface, _)| bytes.starts_with(preface));
    if let Some((_, kind)) = known {
        return Some(*kind);
    }
    let undecided = PREFACES.iter().any(|(preface, _)| preface.starts_with(bytes));
    if undecided { None } else { Some(Preface::Other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_prefaces_are_named_whatever_follows() {
        assert_eq!(name(b"GET / HTTP/1.1\r\n"), Some(Preface::PlainHttp));
        assert_eq!(name(b"PRI * HTTP/2.0\r\n"), Some(Preface::PlainHttp));
        assert_eq!(name(b"SSH-2.0-OpenSSH"), Some(Preface::Ssh));
        assert_eq!(name(b"PROXY TCP4 "), Some(Preface::Proxy));
        assert_eq!(name(b"\r\n\r\n\0\r\nQUIT\n\x21"), Some(Preface::Proxy));
        assert_eq!(name(b"\xFF\xFB\x18"), Some(Preface::Telnet));
        assert_eq!(name(b"EHLO there"), Some(Preface::Other));
    }

    #[test]
    fn a_beginning_is_not_decided_too_early() {
        assert_eq!(name(b"P"), None);
        assert_eq!(name(b"PR"), None);
        assert_eq!(name(b"PRO"), None);
        assert_eq!(name(b"PX"), Some(Preface::Other));
        assert_eq!(name(b"\r\n"), None);
        assert_eq!(name(b"\r\nx"), Some(Preface::Other));
    }

    #[test]
    fn every_preface_is_decided_within_a_dozen_bytes() {
        for (preface, kind) in PREFACES {
            assert!(preface.len() <= 12);
            assert_eq!(name(preface), Some(*kind));
        }
    }
}
