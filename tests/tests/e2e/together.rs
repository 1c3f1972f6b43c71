//! Handshakes that come at once, and what is computed for several of them together.

use std::net::TcpStream;

use adjunct::snapshot::{FunctionRow, LanesRow};
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::offload;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, wait_until};

/// More than one batch of eight, and not a multiple.
const STAYING: usize = 21;
/// Clients that send their hello and leave.
const LEAVING: usize = 5;

/// Calls of X25519, and what of it was done in lanes.
fn x25519(rig: &Rig) -> (u64, LanesRow) {
    let rows: Vec<FunctionRow> = serde_json::from_value(rig.ask("crypto")).unwrap();
    let row = rows.into_iter().find(|row| row.lanes.is_some()).unwrap();
    assert!(row.function.contains("X25519"), "{row:?}");
    (row.calls, row.lanes.unwrap())
}

#[test]
fn handshakes_that_come_at_once_agree_together() {
    let echo = Backend::echo();
    let rig = Rig::start(&adjunct!(), echo.address, &Plan { workers: Some(1), ..Plan::default() });
    let client = Client::new(&rig.pki).forgetful();
    let (calls_before, lanes_before) = x25519(&rig);
    let sockets: Vec<_> =
        (0..STAYING + LEAVING).map(|_| TcpStream::connect(rig.ec()).unwrap()).collect();
    wait_until("all are accepted", || rig.ask("members")[0]["connections"] == STAYING + LEAVING);
    // What they say is there at once when the daemon goes on.
    let mut clients: Vec<_> = rig.daemon.frozen(|| {
        let hello = |mut socket: TcpStream| {
            let mut tls = client.connection(NAME);
            while tls.wants_write() {
                tls.write_tls(&mut socket).unwrap();
            }
            (socket, tls)
        };
        sockets.into_iter().map(hello).collect()
    });
    clients.truncate(STAYING);
    for (mut socket, mut tls) in clients {
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        tls.send_close_notify();
        tls.complete_io(&mut socket).unwrap();
    }
    wait_until("all are gone", || rig.ask("members")[0]["connections"] == 0);
    let (calls, lanes) = x25519(&rig);
    // A key pair and an agreement each, however they were computed.
    assert!(calls >= calls_before + 2 * STAYING as u64, "{calls_before} {calls}");
    assert_eq!(rig.ask("members")[0]["suspended"], 0);
    let together = lanes.agreements - lanes_before.agreements;
    if lanes.used && offload() == "fiber" {
        assert!(together >= 2, "{lanes:?}");
        assert!(lanes.batches < lanes.agreements, "{lanes:?}");
    } else {
        assert_eq!((together, lanes.batches), (0, 0), "{lanes:?}");
    }
    let shown = adjunct!().run(&["crypto", "--socket", rig.socket().to_str().unwrap()]);
    let table = shown.success().output();
    assert!(table.contains("in eight vector lanes"), "{table}");
    rig.daemon.stop();
}
