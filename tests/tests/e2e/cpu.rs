//! What the daemon says about its own CPU time, compared with what the system counts.
//!
//! No figure is asserted: the account must add up, and work must be charged to its class.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use adjunct::snapshot::{CardRow, MemberRow, Status};
use adjunct_bench::cpu::{HOST, usage_of_tree};
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::free_address;
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::process::Process;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, bulk, need, wait_until};
use rustix::process::{Pid, Signal, kill_process};

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

/// Runs a program as `/usr/bin/time` does and writes what the system charges it with.
const TIME: &str = "import os, sys\n\
    child = os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:])\n\
    usage = os.wait4(child, 0)[2]\n\
    open(sys.argv[1], 'w').write(f'{usage.ru_utime} {usage.ru_stime}')\n";

/// Each with a signature of RSA-3072: enough that the grain of the clocks (a tick is 1 to 10 ms)
/// and what comes after the last look at them are far below the 5 %.
const CHARGED: usize = 2_000;

/// The daemon below the program that takes its time, ended by its own id whatever happens.
struct Timed {
    daemon: Pid,
    wrapper: Option<Process>,
}

impl Timed {
    fn start(python: &Path, config: &Path, socket: &Path, times: &Path) -> Self {
        let daemon = adjunct!().command(&["run", "-c", config.to_str().unwrap()]);
        let mut command = Command::new(python);
        command.args(["-c", TIME]).arg(times).arg(daemon.get_program()).args(daemon.get_args());
        let wrapper = Process::start(&mut command);
        let mut status = None;
        wait_until("the daemon answers", || {
            status = adjunct::admin::ask::<Status>(socket, "status").ok();
            status.is_some()
        });
        let pid = status.and_then(|status| i32::try_from(status.pid).ok()).and_then(Pid::from_raw);
        Self { daemon: pid.unwrap(), wrapper: Some(wrapper) }
    }

    fn pid(&self) -> u32 {
        u32::try_from(self.daemon.as_raw_nonzero().get()).unwrap()
    }

    /// Lets it drain and waits for both.
    fn stop(mut self) {
        kill_process(self.daemon, Signal::TERM).unwrap();
        let _ = self.wrapper.take().unwrap().finish().success();
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        if self.wrapper.is_some() {
            let _ = kill_process(self.daemon, Signal::KILL);
        }
    }
}

#[test]
fn attribution_agrees_with_what_the_system_charges_the_daemon_with() {
    let python = need!("python3");
    let (echo, pki) = (Backend::echo(), Pki::new());
    let leaf = pki.issue("leaf", &Leaf::new(Kind::Rsa3072, &[NAME]));
    let [config, socket, times] =
        ["adjunct.toml", "admin.sock", "times"].map(|name| pki.path().join(name));
    let address = free_address();
    let admin = format!("[admin]\nsocket = \"{}\"\n", socket.display());
    let text = file(&[Service::new("plain", address, echo.address, &leaf)]) + &admin;
    std::fs::write(&config, text).unwrap();
    let daemon = Timed::start(&python, &config, &socket, &times);
    let client = Client::new(&pki).forgetful();
    for _ in 0..CHARGED {
        client.connect(address, NAME).and_then(|tls| tls.end()).unwrap();
    }
    let members = || adjunct::admin::ask::<Vec<MemberRow>>(&socket, "members").unwrap();
    wait_until("nothing is open", || members().iter().all(|row| row.connections == 0));
    let attributed = usage_of_tree(daemon.pid()).unwrap();
    let told = members().iter().map(|row| row.cpu_total_us).sum();
    daemon.stop();

    let times = std::fs::read_to_string(&times).unwrap();
    let charged: Vec<f64> = times.split(' ').map(|seconds| seconds.parse().unwrap()).collect();
    let within = |a: f64, b: f64| (a - b).abs() <= 0.05 * b;
    let total = attributed.total().as_secs_f64();
    assert!(within(total, charged[0] + charged[1]), "{attributed:?}, charged {charged:?}");
    // The division is sampled by the same clock, but at another moment.
    assert!(within(attributed.user.as_secs_f64(), charged[0]), "{attributed:?}, {charged:?}");
    let host = attributed.class(HOST).as_secs_f64();
    assert!(within(Duration::from_micros(told).as_secs_f64(), host), "{told} us, {attributed:?}");
}
