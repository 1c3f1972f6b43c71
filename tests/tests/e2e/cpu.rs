//! What the daemon says about its own CPU time, compared with what the system counts.
//!
//! No figure is asserted: the account must add up, and work must be charged to its class.

use std::time::Duration;

use adjunct::snapshot::{CardRow, MemberRow};
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, bulk, wait_until};

const HANDSHAKES: usize = 100;
const BYTES: u64 = 32 << 20;
/// What a thread may have used since the end of its last turn: the poll.
const SINCE_THE_TURN: Duration = Duration::from_millis(2);

/// The only member's row, and what the system counts for its thread, while nothing happens.
fn at_rest(rig: &Rig) -> (MemberRow, Duration) {
    let row = || rig.ask("members")[0].clone();
    wait_until("nothing is open", || row()["connections"] == 0);
    let mut last = rig.daemon.thread_cpu("adj00001");
    wait_until("the loop sleeps", || {
        std::thread::sleep(Duration::from_millis(100));
        let now = rig.daemon.thread_cpu("adj00001");
        std::mem::replace(&mut last, now) == now
    });
    (serde_json::from_value(row()).unwrap(), last)
}

fn check_sum(row: &MemberRow, counted: Duration) {
    let sum = row.cpu_handshake_us + row.cpu_relay_us + row.cpu_overhead_us;
    assert_eq!(sum, row.cpu_total_us, "{row:?}");
    let off = counted.abs_diff(Duration::from_micros(sum));
    assert!(off <= counted.mul_f64(0.05) + SINCE_THE_TURN, "{counted:?}, but {row:?}");
}

#[test]
fn a_member_accounts_for_the_cpu_time_of_its_thread() {
    let echo = Backend::echo();
    let plan = Plan { workers: Some(1), ..Plan::default() };
    let rig = Rig::start(&adjunct!(), echo.address, &plan);
    let client = Client::new(&rig.pki).forgetful();
    for _ in 0..HANDSHAKES {
        client.connect(rig.rsa(), NAME).and_then(|tls| tls.end()).unwrap();
    }
    let (shaken, counted) = at_rest(&rig);
    check_sum(&shaken, counted);
    assert!(shaken.cpu_handshake_us > shaken.cpu_relay_us, "{shaken:?}");

    let tls = client.connect(rig.rsa(), NAME).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bulk::send(&mut &tls, 1, BYTES, |_| {}).unwrap();
            tls.end().unwrap();
        });
        assert_eq!(bulk::receive(&mut &tls, 1, |_| {}).unwrap(), BYTES);
    });
    drop(tls);
    let (relayed, counted) = at_rest(&rig);
    check_sum(&relayed, counted);
    let handshake = relayed.cpu_handshake_us - shaken.cpu_handshake_us;
    let relay = relayed.cpu_relay_us - shaken.cpu_relay_us;
    assert!(relay > 5 * handshake, "one handshake and much data: {shaken:?}, then {relayed:?}");

    let cards: Vec<CardRow> = serde_json::from_value(rig.ask("cards")).unwrap();
    for card in cards {
        assert_eq!(card.cpu_us.is_some(), card.domain.is_none(), "{card:?}");
        let counted = rig.daemon.thread_cpu(&format!("cex-{:02x}", card.card));
        let told = Duration::from_micros(card.cpu_us.unwrap_or_default());
        let slack = counted.mul_f64(0.05) + SINCE_THE_TURN;
        assert!(card.domain.is_some() || counted.abs_diff(told) <= slack, "{counted:?}: {card:?}");
    }
    rig.daemon.stop();
}
