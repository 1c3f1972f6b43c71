//! Cards that fail under the load of real clients, broken from outside as an operator would.
//!
//! Source: the retry loop of the Linux zcrypt driver.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{self, Service, file, loops_stand_still};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::process::{Process, run};
use adjunct_tests::record::Record;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, daemon, wait_until};

/// Clients of each kind of key.
const CLIENTS: usize = 10;

/// Clients that shake hands without a pause.
struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    done: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    fn start(rig: &Rig, address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let client = Client::new(&rig.pki).forgetful();
        let run = || {
            let (shared, client) = (Arc::clone(&shared), client.clone());
            std::thread::spawn(move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    match client.connect(address, NAME).and_then(|tls| tls.talk(b"hello")) {
                        Ok(answer) => assert_eq!(answer, b"hello"),
                        Err(error) => shared.failures.lock().unwrap().push(error.to_string()),
                    }
                    shared.done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = (0..CLIENTS).map(|_| run()).collect();
        Self { shared, threads }
    }

    fn done(&self) -> usize {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// Lets so many more handshakes come to an end.
    fn go_on(&self, more: usize) {
        let until = self.done() + more;
        wait_until("the load goes on", || self.done() >= until);
    }

    #[track_caller]
    fn without_failure(&self, when: &str) {
        let failures = self.shared.failures.lock().unwrap().clone();
        assert_eq!(failures, Vec::<String>::new(), "{when}");
    }

    fn end(self) -> (usize, Vec<String>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let failures = std::mem::take(&mut *self.shared.failures.lock().unwrap());
        (self.shared.done.load(Ordering::Relaxed), failures)
    }
}

/// Faults, and whether requests that meet them have to be tried again.
const FAULTS: [(&str, bool); 13] = [
    ("deconfigured", false),
    ("checkstopped", false),
    ("offline", false),
    ("wrong-result", true),
    ("lost-reply", true),
    ("forgotten", true),
    ("slow 50ms", false),
    ("queue-full", true),
    ("reset", false),
    ("response 05", true),
    ("response 07", true),
    ("error-reply 10", true),
    ("error-reply 90", true),
];

/// A loop that stands still while it waits for a reply that never comes would take hours.
fn can_be_waited_for(fault: &str) -> bool {
    !(loops_stand_still() && ["lost-reply", "forgotten"].contains(&fault))
}

/// Replies that are late are missed sooner than by default.
const IMPATIENT: &str = "[cex]\nreply = \"500ms\"\n";

/// Every signature is verified, and clients wait for as long as a fault takes.
fn thorough() -> Plan<'static> {
    Plan {
        route: "verify = \"all\"",
        tables: IMPATIENT,
        service: &["timeouts = { handshake = \"60s\" }"],
        ..Plan::default()
    }
}

#[test]
fn a_fault_of_one_queue_goes_unnoticed_by_every_client() {
    let echo = Backend::echo();
    let rig = Rig::start(&adjunct!(), echo.address, &thorough());
    let loads = [Load::start(&rig, rig.rsa()), Load::start(&rig, rig.ec())];
    let mut records = Vec::new();
    for (fault, retried) in FAULTS.into_iter().filter(|fault| can_be_waited_for(fault.0)) {
        loads.iter().for_each(|load| load.go_on(CLIENTS));
        let before = records.len();
        for apqn in ["00.0006", "02.0006"] {
            rig.order(&format!("fault {apqn} {fault}"));
        }
        loads.iter().for_each(|load| load.go_on(3 * CLIENTS));
        if retried {
            wait_until("a record shows the retry", || {
                records.extend(rig.records());
                tried_again(&records[before..], "rsa") && tried_again(&records[before..], "ec")
            });
        }
        rig.order("repair all");
        let taken = ["00.0006", "02.0006"].map(|apqn| (apqn, rig.requests(apqn)));
        for (apqn, requests) in taken {
            wait_until("the repaired queue is used again", || rig.requests(apqn) > requests);
            assert_eq!(rig.queue(apqn, "status"), "online", "{fault}");
        }
        loads.iter().for_each(|load| load.without_failure(fault));
    }
    let mut done = 0;
    for load in loads {
        let (count, failures) = load.end();
        assert_eq!(failures, Vec::<String>::new());
        done += count;
    }
    records.extend(rig.wait_records(done - records.len()));
    assert_eq!(records.len(), done, "one record for each connection");
    assert!(records.iter().all(|record| record.outcome() == "completed"));
    rig.daemon.stop();
}

/// Whether a signature of `service` was made by another queue than the one tried first.
fn tried_again(records: &[Record], service: &str) -> bool {
    let mut of_service = records.iter().filter(|record| record.service() == service);
    of_service.any(|record| record.number("key_op.tries") > 1)
}

/// Lets each kind of client shake hands a few times; what became of them, and the records.
fn a_few(rig: &Rig) -> (BTreeMap<String, usize>, Vec<Record>) {
    let _ = rig.records();
    let outcome = |address| {
        let client = Client::new(&rig.pki).forgetful();
        std::thread::spawn(move || {
            let answer = client.connect(address, NAME).and_then(|tls| tls.talk(b"hello"));
            answer.map_or_else(|error| error.to_string(), |_| "served".to_owned())
        })
    };
    let threads: Vec<_> = (0..CLIENTS).flat_map(|_| [rig.rsa(), rig.ec()]).map(outcome).collect();
    let count = threads.len();
    let mut outcomes = BTreeMap::new();
    for thread in threads {
        *outcomes.entry(thread.join().unwrap()).or_default() += 1;
    }
    (outcomes, rig.wait_records(count))
}

/// Faults of every card, with return and reason code of what the clients run into.
const EVERYWHERE: [(&str, &str, &str); 9] = [
    ("deconfigured", "0xc", "0xad00"),
    ("checkstopped", "0xc", "0xad00"),
    ("offline", "0xc", "0xad00"),
    ("wrong-result", "0xc", "0xad00"),
    ("queue-full", "0xc", "0xad01"),
    ("response 05", "0xc", "0xad0a"),
    ("response 15", "0x8", "0xad0f"),
    ("error-reply 10", "0xc", "0x3eb8"),
    ("lost-reply", "0xc", "0xad04"),
];

#[test]
fn a_fault_of_every_card_is_told_with_alert_and_codes() {
    let echo = Backend::echo();
    let rig = Rig::start(&adjunct!(), echo.address, &thorough());
    for (fault, rc, rsn) in EVERYWHERE.into_iter().filter(|fault| can_be_waited_for(fault.0)) {
        for card in ["00", "01", "02", "03"] {
            rig.order(&format!("fault {card} {fault}"));
        }
        let (outcomes, records) = a_few(&rig);
        let internal = |text: &String| text.to_lowercase().contains("internal");
        assert!(outcomes.keys().all(internal), "{fault}: {outcomes:?}");
        for record in records {
            record.expect("rule", "signing-failed");
            assert_eq!(record.alert_sent(), Some(80), "{fault}");
            let found = (record.text("rc"), record.text("rsn"));
            assert_eq!(found, (rc, rsn), "{fault}: {}", record.to_text());
        }
        rig.order("repair all");
        let (outcomes, _) = a_few(&rig);
        assert_eq!(outcomes, BTreeMap::from([("served".to_owned(), 2 * CLIENTS)]), "{fault}");
    }
    rig.daemon.stop();
}

#[test]
fn without_a_card_software_signs_where_the_configuration_says_so() {
    let echo = Backend::echo();
    let plan = Plan { route: "no_card = \"software\"\nverify = \"all\"", ..Plan::default() };
    let rig = Rig::start(&adjunct!(), echo.address, &plan);
    for fault in ["deconfigured", "checkstopped", "offline", "wrong-result", "error-reply 10"] {
        for card in ["00", "01", "02", "03"] {
            rig.order(&format!("fault {card} {fault}"));
        }
        let (outcomes, records) = a_few(&rig);
        assert_eq!(outcomes, BTreeMap::from([("served".to_owned(), 2 * CLIENTS)]), "{fault}");
        for record in records {
            record.expect("crypto_path", "software");
        }
        rig.order("repair all");
        let (_, records) = a_few(&rig);
        assert!(records.iter().all(|record| record.text("crypto_path") == "cex"), "{fault}");
    }
    rig.daemon.stop();
}

#[test]
fn a_wrong_ecdsa_result_is_the_client_s_to_find_unless_all_is_verified() {
    let echo = Backend::echo();
    let rig = Rig::start(&adjunct!(), echo.address, &Plan::default());
    for card in ["00", "01", "02", "03"] {
        rig.order(&format!("fault {card} wrong-result"));
    }
    let client = Client::new(&rig.pki).forgetful();
    let error = client.connect(rig.ec(), NAME).unwrap_err();
    assert!(error.to_string().to_lowercase().contains("signature"), "{error}");
    let [record] = &rig.wait_records(1)[..] else { panic!("one record") };
    record.expect("rule", "peer-alert");
    // RSA is verified always, and a wrong result gives the key away.
    let error = client.connect(rig.rsa(), NAME).unwrap_err();
    assert!(error.to_string().to_lowercase().contains("internal"), "{error}");
    rig.wait_records(1)[0].expect("rule", "signing-failed");
    rig.daemon.stop();
}

/// The engine of card 00 as the daemon shows it.
fn engine(rig: &Rig) -> serde_json::Value {
    let rows = rig.ask("cards");
    rows.as_array().unwrap().iter().find(|row| row["domain"].is_null()).unwrap()["engine"].clone()
}

#[test]
fn handshakes_at_once_are_signed_in_batches() {
    if loops_stand_still() {
        // A loop that waits for its signature asks for one at a time: there is no batch to see.
        return;
    }
    let echo = Backend::echo();
    let cards: [(&str, &[u8]); 2] = [("CEX8A", &[6]), ("CEX8C", &[6])];
    let rig = Rig::start(&adjunct!(), echo.address, &Plan { cards: &cards, ..thorough() });
    let load = Load::start(&rig, rig.rsa());
    let single = !cex::Cex::batches() || config::engine() == "single" || daemon::runner().is_some();
    if single {
        load.go_on(3 * CLIENTS);
        assert_eq!(engine(&rig)["name"], "single");
    } else {
        let full = || engine(&rig)["batches"][3].as_u64().unwrap();
        wait_until("full batches have been signed", || full() > 2);
        let engine = engine(&rig);
        assert_eq!((&engine["name"], &engine["refused"]), (&"batch".into(), &0.into()));
        assert_eq!(engine["self_test"]["failed"], 0);
        assert!(engine["self_test"]["passed"].as_u64() > Some(0), "{engine}");
        assert_eq!(engine["gains"][0]["bits"], 2048);
    }
    load.without_failure("in batches");
    let (_, failures) = load.end();
    assert_eq!(failures, Vec::<String>::new());
    let socket = rig.socket();
    let line = ["cards", "--socket", socket.to_str().unwrap()];
    let table = adjunct!().run(&line).success().output();
    let shown = if single { "engine single" } else { "self-test of RSA keys" };
    assert!(table.contains(shown), "{table}");
    rig.daemon.stop();
}

#[test]
fn a_queue_goes_offline_and_online_by_order_without_a_loss() {
    let echo = Backend::echo();
    let rig = Rig::start(&adjunct!(), echo.address, &Plan::default());
    let load = Load::start(&rig, rig.rsa());
    for what in ["00.0006", "00"] {
        load.go_on(CLIENTS);
        rig.order(&format!("offline {what}"));
        assert_eq!(rig.queue("00.0006", "status"), "offline");
        let requests = rig.requests("00.0006");
        load.go_on(CLIENTS);
        assert_eq!(rig.requests("00.0006"), requests, "no request reaches it");
        rig.order(&format!("online {what}"));
        wait_until("it is used again", || rig.requests("00.0006") > requests);
    }
    assert_eq!(load.end().1, Vec::<String>::new());
    rig.daemon.stop();
}

#[test]
fn a_daemon_that_was_not_told_so_refuses_to_be_broken() {
    let echo = Backend::echo();
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let socket = pki.path().join("admin.sock");
    let socket = socket.to_str().unwrap();
    let daemon = adjunct!().start(|[at]| {
        let services = file(&[Service::new("plain", at, echo.address, &leaf)]);
        format!("{services}\n[admin]\nsocket = \"{socket}\"\n")
    });
    let order = |words: &[&str]| {
        let mut line = vec!["cards"];
        line.extend(words);
        line.extend(["--socket", socket]);
        adjunct!().run(&line)
    };
    for words in [&["fault", "00", "offline"][..], &["repair", "all"]] {
        let _ = order(words).exit(78).says("does not inject faults");
    }
    // What an administrator may do is another matter.
    let _ = order(&["offline", "00"]).success().says("00 is offline");
    let _ = order(&["online", "00"]).success().says("00 is online");
    let _ = order(&["online", "07"]).exit(78).says("no card or queue 07");
    let client = Client::new(&pki);
    assert_eq!(client.connect(daemon.address(), NAME).unwrap().talk(b"hello").unwrap(), b"hello");
    daemon.stop();
}

#[test]
fn the_lines_that_the_demo_prints_break_its_cards_and_repair_them() {
    let _ = adjunct_tests::need!("curl");
    let demo = Process::start(&mut adjunct!().command(&["demo"]));
    let text = demo.stdout.wait(|text| {
        let end = text.find("repair all\n")?;
        Some(text[..end + 11].to_owned())
    });
    let text = text.expect("the demo prints what can be pasted");
    let (_, lines) = text.split_once("export").expect("the line with the socket");
    // As one script: an alert that a client gets does not end it.
    let script = format!("export{lines}");
    let done = run(std::process::Command::new("sh").args(["-c", &script]), b"");
    let _ = done.success().says("wrong-result").says("all cards are repaired");
    let told = demo.stdout.wait(|text| {
        // Which of the two coprocessors signs first depends on what they did at the start.
        let two = text.contains("2 tries") && !text.contains("card 00.0006");
        (two && text.contains("card 02.0006") && text.contains("signing-failed")).then_some(())
    });
    assert!(told.is_some(), "{}", demo.stdout.text());
    demo.signal(rustix::process::Signal::INT);
    let _ = demo.finish().success();
}
