//! `[cpacf] provider`: the daemon that starts itself again without the units of the processor.

use adjunct::snapshot::FunctionRow;
use adjunct_tests::adjunct;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::Daemon;
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::NAME;
use serde_json::Value;

/// The variable as the system shows it.
const MASK: &str = "OPENSSL_ia32cap=~0x200000200000000:~0x60020000000";

/// A daemon with `provider`, a connection made through it, and its functions.
fn serve(provider: &str) -> (Daemon<1>, Vec<FunctionRow>, String) {
    let (echo, pki) = (Backend::echo(), Pki::new());
    let leaf = pki.issue("leaf", &Leaf::new(Kind::Rsa2048, &[NAME]));
    let socket = pki.path().join("admin.sock");
    let mut daemon = adjunct!().start(|[at]| {
        let tables = format!(
            "[admin]\nsocket = \"{}\"\n[cpacf]\nprovider = \"{provider}\"\n",
            socket.display()
        );
        file(&[Service::new("plain", at, echo.address, &leaf)]) + &tables
    });
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    drop(tls);
    let _ = daemon.record();
    let shown = |more: &[&str]| {
        let place = socket.display().to_string();
        let arguments = [&["crypto", "--socket", place.as_str()], more].concat();
        adjunct!().run(&arguments).success().stdout.clone()
    };
    let answer: Value = serde_json::from_str(&shown(&["--json"])).unwrap();
    let rows = serde_json::from_value(answer["functions"].clone()).unwrap();
    (daemon, rows, shown(&[]))
}

fn environment<const N: usize>(daemon: &Daemon<N>) -> String {
    let bytes = std::fs::read(format!("/proc/{}/environ", daemon.id())).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The function that seals the records of the connection.
fn sealing(rows: &[FunctionRow]) -> &FunctionRow {
    let busiest = rows.iter().filter(|row| row.function.starts_with("KMA-GCM"));
    busiest.max_by_key(|row| row.calls).unwrap()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn portable_masks_the_units_once_and_says_so() {
    let (daemon, rows, table) = serve("portable");
    let environment = environment(&daemon);
    assert_eq!(environment.matches(MASK).count(), 1, "{environment:?}");
    let row = sealing(&rows);
    assert_eq!((row.provider.as_str(), row.hardware), ("portable", 0), "{row:?}");
    assert!(row.software > 0 && row.host_unit == "vector integer code", "{row:?}");
    assert!(rows.iter().all(|row| row.hardware == 0), "CPACF is not there: {rows:?}");
    assert!(table.contains(MASK) && table.contains("60 times"), "{table}");
    let log = daemon.log();
    let event = log.lines().find(|line| line.contains("\"event\":\"provider\"")).expect("said");
    assert!(event.contains("~0x200000200000000:~0x60020000000") && event.contains("60 times"));
    assert_eq!(log.matches("\"event\":\"start\"").count(), 1, "{log}");
    daemon.stop();
}

#[test]
fn host_leaves_the_environment_and_the_counters_alone() {
    let (daemon, rows, table) = serve("host");
    assert!(!environment(&daemon).contains(MASK));
    let row = sealing(&rows);
    assert_eq!((row.provider.as_str(), row.software), ("host", 0), "{row:?}");
    assert!(row.hardware > 0, "{row:?}");
    assert!(!table.contains("portable (") && !daemon.log().contains("\"event\":\"provider\""));
    daemon.stop();
}

#[test]
fn a_provider_that_is_none_is_an_error_with_a_remedy() {
    let pki = Pki::new();
    let config = pki.path().join("adjunct.toml");
    std::fs::write(&config, "[cpacf]\nprovider = \"portabel\"\n").unwrap();
    let refused = adjunct!().with_file("run", &config);
    assert_eq!(refused.code, Some(78), "{refused:?}");
    let errors = &refused.stderr;
    assert!(errors.contains("cpacf.provider") && errors.contains("did you mean"), "{errors}");
}
