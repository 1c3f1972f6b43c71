//! What the fuzz targets do with their bytes.
//!
//! The same functions serve coverage-guided fuzzing (tests/fuzz) and the smoke run in
//! the ordinary tests, which feeds the seed corpus and its mutations on stable Rust. Each checks
//! more than "does not panic": an invariant that a wrong reader would break.

use std::net::SocketAddr;
use std::path::Path;

use adjunct::config::{self, Severity};
use adjunct::proxy_protocol::{self, Origin};
use engine::hello::{DEFAULT_MAX_LEN, HelloReader, Progress};

/// The ClientHello reader: however the bytes are cut, the verdict is the same.
pub fn client_hello(data: &[u8]) {
    let at_once = HelloReader::new(DEFAULT_MAX_LEN).read(data);
    let mut reader = HelloReader::new(DEFAULT_MAX_LEN);
    let step = data.first().map_or(1, |b| usize::from(*b % 7) + 1);
    let mut piecewise = None;
    for end in (step..data.len()).step_by(step).chain([data.len()]) {
        match reader.read(&data[..end]) {
            Progress::NeedMore { hint } => assert!(hint > 0, "a hint of nothing"),
            done => {
                piecewise = Some(done);
                break;
            }
        }
    }
    match (&at_once, &piecewise) {
        (Progress::NeedMore { .. }, None) => {}
        (Progress::Hello(a), Some(Progress::Hello(b))) => assert_eq!(a, b),
        (Progress::Refuse(a), Some(Progress::Refuse(b))) => assert_eq!(a.rule, b.rule),
        (Progress::NotTls(a), Some(Progress::NotTls(b))) => assert_eq!(a, b),
        (a, b) => panic!("at once {a:?}, piece by piece {b:?}"),
    }
    if let Progress::Hello(hello) = at_once {
        let offer = hello.offer();
        assert_eq!(offer.suites.len(), hello.suites.len());
        assert!(hello.len <= DEFAULT_MAX_LEN);
    }
}

/// The configuration: a text is taken without errors or refused with at least one.
///
/// A name in `backend` would be looked up; inputs that could hold one are passed over, so that a
/// run never leaves this machine.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let keys = text.replace("tls_backend", "");
    let harmless =
        keys.matches("backend").count() == keys.matches("backend = \"127.0.0.1:23\"").count();
    if !harmless || text.contains('\\') {
        return;
    }
    let report = config::parse(Path::new("fuzz.toml"), text);
    let errors = report.faults.iter().filter(|f| f.severity == Severity::Error).count();
    assert_eq!(report.config.is_some(), errors == 0, "{:?}", report.faults);
    for fault in &report.faults {
        assert!(!fault.to_string().is_empty());
    }
}

/// PROXY headers: however the bytes are cut the verdict is the same, no proper prefix of a header
/// is taken for one, and the addresses that come out come out again when they are sent on.
pub fn proxy_header(data: &[u8]) {
    let at_once = proxy_protocol::decode(data);
    for end in 0..=data.len().min(proxy_protocol::MAX_HEADER) {
        let verdict = proxy_protocol::decode(&data[..end]);
        match &verdict {
            proxy_protocol::Progress::NeedMore { hint } => {
                assert!(*hint > 0, "a hint of nothing");
                if let proxy_protocol::Progress::Header(header) = &at_once {
                    assert!(end + hint <= header.len, "{hint} at {end} of {}", header.len);
                }
                continue;
            }
            proxy_protocol::Progress::Header(header) => assert_eq!(header.len, end),
            proxy_protocol::Progress::Refuse(_) => {}
        }
        assert_eq!(verdict, at_once, "after {end} bytes");
        break;
    }
    let proxy_protocol::Progress::Header(header) = at_once else { return };
    assert!((1..=proxy_protocol::MAX_HEADER.min(data.len())).contains(&header.len));
    if let Origin::Client(ends) = header.origin {
        let again = proxy_protocol::v2::Header { ends: Some(ends), ..Default::default() };
        let again = again.encode();
        let proxy_protocol::Progress::Header(again) = proxy_protocol::decode(&again) else {
            panic!("a header of ours is refused");
        };
        let Origin::Client(sent) = again.origin else { panic!("a header of ours has no client") };
        let canonical = |at: SocketAddr| (at.ip().to_canonical(), at.port());
        assert_eq!(canonical(sent.source), canonical(ends.source));
        assert_eq!(canonical(sent.destination), canonical(ends.destination));
    }
}

/// AP messages: decoding any bytes ends, and says yes or no.
pub fn ap_message(data: &[u8]) {
    let _ = cex::msg::is_well_formed(data);
}
