//! Hellos that are complete and absurd.
//!
//! Source: RFC 8446 §4.1.2, §4.2; RFC 6066 §3; RFC 8701.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Mutex;

use adjunct_tests::adjunct;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::hello::{SERVER_HELLO, collect, connect};
use adjunct_tests::scene::NAME;
use adjunct_tests::siege::Siege;
use adjunct_tests::wild::{Wild, extension, host_name, record, vector8, vector16};
use engine::rules;
use rustls::version::TLS12;

/// A first flight, and what becomes of it.
pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) bytes: Vec<u8>,
    /// The rule that refuses it; `served` when a ServerHello answers.
    pub(super) rule: &'static str,
}

/// Rules of a client that has left after the ServerHello.
const LEFT: [&str; 2] = ["peer-closed", "peer-reset"];

/// Sends every flight, with good clients meanwhile, and asserts what becomes of it.
#[track_caller]
pub(super) fn judge(siege: &mut Siege, cases: &[Case]) {
    let sent = Mutex::new(HashMap::new());
    let rules: Vec<&str> = rules::ALL.iter().map(|rule| rule.name).collect();
    let records = siege.attack(&rules, |siege| {
        for case in cases {
            let mut stream = connect(siege.address());
            let from = stream.local_addr().unwrap().to_string();
            let _ = stream.write_all(&case.bytes);
            let mut first = [0; 6];
            if case.rule != "served" {
                let _ = stream.shutdown(Shutdown::Write);
                let _ = collect(&mut stream);
            } else if stream.read_exact(&mut first).is_err() {
                first = [0; 6];
            }
            sent.lock().unwrap().insert(from, (case, (first[0], first[5])));
        }
        cases.len()
    });
    let sent = sent.into_inner().unwrap();
    let mut wrong = Vec::new();
    for record in records {
        let (case, first) = sent.get(record.text("peer")).expect("one of ours");
        let rule = record.text("rule");
        let as_expected = match case.rule {
            "served" => LEFT.contains(&rule) && *first == SERVER_HELLO,
            expected => rule == expected,
        };
        if !as_expected {
            wrong.push(format!("{}: {rule} ({})", case.what, record.text("reason")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The hello of a rustls client, ready to be changed.
fn good(siege: &Siege) -> Wild {
    Wild::of(&Client::new(siege.pki()).first_flight(NAME))
}

/// That of a client which speaks TLS 1.2 only.
fn old(siege: &Siege) -> Wild {
    let offer = Offer { versions: vec![&TLS12], ..Offer::default() };
    Wild::of(&Client::offering(siege.pki(), offer).first_flight(NAME))
}

fn case(what: &'static str, hello: &Wild, rule: &'static str) -> Case {
    Case { what, bytes: hello.records(), rule }
}

fn words(values: impl IntoIterator<Item = u16>) -> Vec<u8> {
    values.into_iter().flat_map(u16::to_be_bytes).collect()
}

#[test]
fn huge_hellos_are_served_or_refused_by_a_rule() {
    use extension::{ALPN, GROUPS, KEY_SHARE, PADDING, SESSION_TICKET, SIGNATURES};
    let mut siege = Siege::start(&adjunct!(), &[]);
    let (good, old) = (good(&siege), old(&siege));
    let unknown = |count: u16| {
        let mut hello = good.clone();
        hello.extensions.extend((0..count).map(|n| (0x4000 + n, vec![7; 20])));
        hello
    };
    let suites = |count: u16| {
        let filler = words((0..count).map(|n| 0xd000_u16.wrapping_add(n)));
        Wild { suites: [filler, good.suites.clone()].concat(), ..good.clone() }
    };
    let block: usize = good.extensions.iter().map(|(_, content)| 4 + content.len()).sum();
    let to_the_brim = usize::from(u16::MAX) - block - 4;
    let padded = |size: usize| good.clone().with(PADDING, &vec![0; size]);
    let names: Vec<u8> = (0..3000).flat_map(|n: u32| vector8(n.to_string().as_bytes())).collect();
    let one_group = good.clone().with(GROUPS, &vector16(&words([0x001d])));
    let share = |group: u16, size: usize| {
        let entry = [&group.to_be_bytes()[..], &vector16(&vec![9; size])].concat();
        one_group.clone().with(KEY_SHARE, &vector16(&entry))
    };
    judge(
        &mut siege,
        &[
            case("200 unknown extensions", &unknown(200), "served"),
            case("1,000 unknown extensions", &unknown(1_000), "undecodable-hello"),
            case("10,000 suites", &suites(10_000), "served"),
            case("60 KiB", &padded(60_000), "served"),
            case("almost 64 KiB", &padded(64_000), "served"),
            case("64 KiB", &padded(to_the_brim), "hello-too-large"),
            Case {
                what: "12,000 records",
                bytes: padded(10_500).fragments(1),
                rule: "hello-too-large",
            },
            Case { what: "8,000 records", bytes: padded(6_500).fragments(1), rule: "served" },
            case("huge ticket", &old.clone().with(SESSION_TICKET, &[7; 60_000]), "served"),
            case("3,000 protocols", &good.clone().with(ALPN, &vector16(&names)), "served"),
            case("huge share", &share(0x001d, 50_000), "illegal-parameter"),
            case("short share", &share(0x001d, 31), "illegal-parameter"),
            case("unknown share", &share(0x2b2b, 50_000), "served"),
            case(
                "5,000 groups",
                &good.clone().with(GROUPS, &vector16(&words(0x2000..0x3388))),
                "no-common-group",
            ),
            case(
                "5,000 schemes",
                &good.clone().with(SIGNATURES, &vector16(&words(0x9000..0xa388))),
                "no-common-signature",
            ),
        ],
    );
    siege.end();
}

#[test]
fn broken_extensions_are_refused_by_a_rule() {
    use extension::{ALPN, GROUPS, KEY_SHARE, SIGNATURES, VERSIONS};
    let mut siege = Siege::start(&adjunct!(), &[]);
    let good = good(&siege);
    let twice = |kind: u16| {
        let content = good.extensions.iter().find(|(k, _)| *k == kind).unwrap().1.clone();
        good.clone().ending_with(kind, &content)
    };
    let lying = |kind: u16, by: i16| {
        let mut hello = good.clone();
        let content = &mut hello.extensions.iter_mut().find(|(k, _)| *k == kind).unwrap().1;
        let length = i16::from_be_bytes([content[0], content[1]]) + by;
        content[..2].copy_from_slice(&length.to_be_bytes());
        hello
    };
    let behind = |rest: &[u8]| Wild { rest: rest.to_vec(), ..good.clone() };
    let empty = |kind: u16| good.clone().with(kind, &[0, 0]);
    let mut cases = vec![
        case("groups twice", &twice(GROUPS), "illegal-parameter"),
        case(
            "unknown twice",
            &good.clone().with(999, &[]).ending_with(999, &[]),
            "illegal-parameter",
        ),
        case("half an extension", &behind(&[0x40]), "undecodable-hello"),
        case("an extension too long", &behind(&[0x40, 0, 0xff, 0xff]), "undecodable-hello"),
        case("no contents of a list", &good.clone().with(GROUPS, &[]), "undecodable-hello"),
        case("half a group", &good.clone().with(GROUPS, &[0, 1, 0]), "undecodable-hello"),
        case("no groups", &empty(GROUPS), "undecodable-hello"),
        case("no schemes", &empty(SIGNATURES), "undecodable-hello"),
        case("no protocols", &empty(ALPN), "undecodable-hello"),
        case("an empty protocol", &good.clone().with(ALPN, &[0, 1, 0]), "undecodable-hello"),
        case("no versions", &good.clone().with(VERSIONS, &[0]), "undecodable-hello"),
        case("half a version", &good.clone().with(VERSIONS, &[1, 3]), "undecodable-hello"),
        case("no shares", &empty(KEY_SHARE), "served"),
        case("no suites", &Wild { suites: Vec::new(), ..good.clone() }, "undecodable-hello"),
        case("half a suite", &Wild { suites: vec![0x13], ..good.clone() }, "undecodable-hello"),
        case(
            "no compression",
            &Wild { compression: Vec::new(), ..good.clone() },
            "undecodable-hello",
        ),
        case("deflate", &Wild { compression: vec![1], ..good.clone() }, "illegal-parameter"),
        case("long session", &Wild { session: vec![7; 33], ..good.clone() }, "undecodable-hello"),
        case(
            "no extensions",
            &Wild { extensions: Vec::new(), ..good.clone() },
            "missing-extension",
        ),
    ];
    for (kind, by) in [(GROUPS, 2), (GROUPS, -2), (SIGNATURES, 2), (KEY_SHARE, 1), (KEY_SHARE, -1)]
    {
        cases.push(case("a list that lies", &lying(kind, by), "undecodable-hello"));
    }
    judge(&mut siege, &cases);
    siege.end();
}

#[test]
fn grease_everywhere_is_served() {
    use extension::{ALPN, GROUPS, KEY_SHARE, SIGNATURES, VERSIONS};
    let mut siege = Siege::start(&adjunct!(), &[]);
    let mut hello = good(&siege);
    let grease = || (0..16).map(|n: u16| 0x0a0a + n * 0x1010);
    hello.suites.splice(0..0, words(grease()));
    for (kind, content) in &mut hello.extensions {
        match *kind {
            GROUPS | SIGNATURES => {
                *content = vector16(&[words(grease()), content[2..].to_vec()].concat());
            }
            VERSIONS => *content = vector8(&[words(grease()), content[1..].to_vec()].concat()),
            KEY_SHARE => {
                let shares: Vec<u8> =
                    grease().flat_map(|n| [words([n]), vector16(&[0])].concat()).collect();
                *content = vector16(&[shares, content[2..].to_vec()].concat());
            }
            _ => {}
        }
    }
    hello.extensions.splice(0..0, grease().map(|n| (n, vec![0])));
    let names: Vec<u8> = grease().flat_map(|n| vector8(&n.to_be_bytes())).collect();
    let hello = hello.with(ALPN, &vector16(&names));
    judge(&mut siege, &[case("GREASE", &hello, "served")]);
    siege.end();
}

#[test]
fn sessions_that_are_none_are_not_resumed() {
    use extension::{EARLY_DATA, PRE_SHARED_KEY, PSK_MODES, SESSION_TICKET};
    let mut siege = Siege::start(&adjunct!(), &[]);
    let old = old(&siege);
    let good = good(&siege).without(PRE_SHARED_KEY).with(PSK_MODES, &[1, 1]);
    let psk = |identities: usize, size: usize, binders: usize, binder: usize| {
        let identity = [vector16(&vec![0x5a; size]), vec![0, 0, 0, 1]].concat();
        let binder = vector8(&vec![0xa5; binder]);
        vector16(&identity.repeat(identities))
            .into_iter()
            .chain(vector16(&binder.repeat(binders)))
            .collect::<Vec<u8>>()
    };
    let with_psk = |content: &[u8]| good.clone().ending_with(PRE_SHARED_KEY, content);
    let early = with_psk(&psk(1, 100, 1, 32)).with(EARLY_DATA, &[]);
    let early_sent = [early.records(), record(23, &[7; 100])].concat();
    let not_last = good.clone().with(PRE_SHARED_KEY, &psk(1, 100, 1, 32));
    let no_modes = with_psk(&psk(1, 100, 1, 32)).without(PSK_MODES);
    judge(
        &mut siege,
        &[
            case("a garbled session", &with_psk(&psk(1, 150, 1, 32)), "served"),
            case("1,000 identities", &with_psk(&psk(1_000, 16, 1_000, 32)), "served"),
            case("a huge identity", &with_psk(&psk(1, 60_000, 1, 32)), "served"),
            case("too few binders", &with_psk(&psk(2, 100, 1, 32)), "illegal-parameter"),
            case("too many binders", &with_psk(&psk(1, 100, 2, 32)), "illegal-parameter"),
            case("a short binder", &with_psk(&psk(1, 100, 1, 31)), "served"),
            case("no identity", &with_psk(&psk(0, 1, 0, 32)), "undecodable-hello"),
            case("an empty identity", &with_psk(&psk(1, 0, 1, 32)), "undecodable-hello"),
            case("not the last", &not_last, "undecodable-hello"),
            case("no modes", &no_modes, "illegal-parameter"),
            case("early data announced", &early, "served"),
            Case { what: "early data sent", bytes: early_sent, rule: "served" },
            case("a garbled ticket", &old.clone().with(SESSION_TICKET, &[7; 200]), "served"),
            case("a made-up session", &Wild { session: vec![7; 32], ..old.clone() }, "served"),
        ],
    );
    siege.end();
}

#[test]
fn server_names_that_are_none_are_refused_and_shown() {
    let mut siege = Siege::start(&adjunct!(), &[]);
    let good = good(&siege);
    let to = |name: &[u8]| good.clone().to(name);
    let list = |names: &[u8]| good.clone().with(extension::SERVER_NAME, &vector16(names));
    let thousand: Vec<u8> =
        (0..1_000).flat_map(|n| host_name(format!("n{n}.test").as_bytes())).collect();
    let label = [&b"a".repeat(64)[..], b".test"].concat();
    let long = [&b"abcdefgh.".repeat(29)[..], b"test"].concat();
    judge(
        &mut siege,
        &[
            case("upper case", &to(b"A.TEST"), "served"),
            case("trailing dot", &to(b"a.test."), "served"),
            case("another name", &to(b"no.such.name"), "served"),
            case("address", &to(b"127.0.0.1"), "served"),
            case("NUL", &to(b"a.test\0.evil"), "illegal-parameter"),
            case("not ASCII", &to("ä.test".as_bytes()), "illegal-parameter"),
            case("not UTF-8", &to(b"\xff\xfe.test"), "illegal-parameter"),
            case("blank", &to(b"a .test"), "illegal-parameter"),
            case("empty", &to(b""), "undecodable-hello"),
            case("only dots", &to(b"..."), "illegal-parameter"),
            case("long label", &to(&label), "illegal-parameter"),
            case("long name", &to(&long), "illegal-parameter"),
            case("huge name", &to(&[b'a'; 60_000]), "illegal-parameter"),
            case("1,000 names", &list(&thousand), "undecodable-hello"),
            case("no name", &list(&[]), "undecodable-hello"),
            case("no list", &good.clone().with(extension::SERVER_NAME, &[]), "undecodable-hello"),
        ],
    );
    let evil = to(b"a.test\0.evil").records();
    let records = siege.attack(&["illegal-parameter"], |siege| {
        let mut stream = connect(siege.address());
        stream.write_all(&evil).unwrap();
        collect(&mut stream).alerts().len()
    });
    assert_eq!(records.len(), 1);
    records[0].expect("sni", "a.test\\x00.evil").explains("host name");
    siege.end();
}

#[test]
fn a_thousand_names_in_a_row_leave_nothing_behind() {
    let mut siege = Siege::start(&adjunct!(), &[]);
    let good = good(&siege);
    let records = siege.attack(&LEFT, |siege| {
        for n in 0..1_000 {
            let mut stream = connect(siege.address());
            let hello = good.clone().to(format!("name-{n}.test").as_bytes());
            stream.write_all(&hello.records()).unwrap();
            stream.read_exact(&mut [0; 6]).unwrap();
        }
        1_000
    });
    let mut names: Vec<&str> = records.iter().map(|record| record.text("sni")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 1_000);
    siege.end();
}
