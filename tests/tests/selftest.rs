//! A cpacf function that computes wrongly is caught when the daemon starts, and does no work.
//!
//! A test binary of its own: the fault holds for the whole process, as a broken unit would.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken precondition ends the test")]

use adjunct::config;
use adjunct::daemon::Daemon;
use adjunct::observe::Log;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::free_address;
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::NAME;
use cpacf::Function;

#[test]
fn a_broken_function_is_caught_at_start_and_its_suites_are_not_offered() {
    cpacf::fault::break_function(Function::KmaGcmAes128);
    let (echo, pki, address) = (Backend::echo(), Pki::new(), free_address());
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let directory = tempfile::TempDir::new().unwrap();
    let (path, log_file) = (directory.path().join("a.toml"), directory.path().join("a.log"));
    let log = format!("[server]\nlog = {{ target = \"{}\" }}\n", log_file.display());
    let services = file(&[Service::new("plain", address, echo.address, &leaf)]);
    let text = services.replacen("[server]\n", &log, 1);
    std::fs::write(&path, &text).unwrap();

    let report = config::load_without_files(&path);
    let config = report.config.unwrap_or_else(|| panic!("{:?}\n{text}", report.faults));
    let (log, writer) = Log::start(&config.server.log).unwrap();
    let daemon = Daemon::start(&config, &log).unwrap();
    let tls = Client::new(&pki).connect(address, NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.drain();
    daemon.join();
    writer.finish();

    let lines = std::fs::read_to_string(&log_file).unwrap();
    assert!(lines.contains("\"event\":\"self-test-failed\""), "{lines}");
    assert!(lines.contains("\"function\":\"KMA-GCM-AES-128\""), "{lines}");
    assert!(lines.contains("\"tls.cipher\":\"TLS_AES_256_GCM_SHA384\""), "{lines}");
}
