//! The policies as text, compared with what is kept: a change of the data, of a registry behind it
//! or of the way it is read is seen as a difference of lines.
//!
//! `ADJUNCT_REGENERATE=1` writes the texts instead; that is for a new policy. A dated policy does
//! not change any more.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken precondition ends the test")]

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use cpacf::Function;
use engine::compliance::{Allowed, strength_bits};
use engine::compliance::{CardRule, KeyFacts, Mode, ModeSet, Policy, PolicySet, VerifyRule};
use engine::iana::{self, KeyExchange, Protection};

/// Set to `1`, the tests write the texts instead of comparing them.
const REGENERATE: &str = "ADJUNCT_REGENERATE";

fn snapshot(policy: &Policy) -> String {
    let hex: String = policy.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = format!("{}: {}\nhash {hex}\n", policy.dated_name(), policy.title());
    let mut line = |name: &str, value: String| writeln!(text, "{name} {value}").unwrap();
    line("fips", policy.is_fips().to_string());
    line("strength", format!("{} bits", policy.strength_bits()));
    line("extended master secret", policy.extended_master_secret().to_string());
    line("key usage", policy.key_usage().to_string());
    line("no card", format!("{:?}", policy.no_card()));
    line("verify", format!("{:?}", policy.verify()));
    line("key database for FIPS", policy.keydb_fips().to_string());
    line("keys", policy.keys().join(", "));
    for name in policy.certificate_signatures() {
        line("certificate signature", name.clone());
    }
    let mut codes = |what: &str, codes: &[u16], name: fn(u16) -> Cow<'static, str>| {
        codes.iter().for_each(|code| line(what, format!("{code:04X} {}", name(*code))));
    };
    codes("version", policy.versions(), iana::version_name);
    codes("suite", policy.suites(), iana::suite_name);
    codes("group", policy.groups(), iana::group_name);
    codes("scheme", policy.schemes(), iana::scheme_name);
    for function in Function::ALL {
        let word = match policy.function(function.name()) {
            (true, _) => "approved",
            (false, true) => "in a hybrid",
            (false, false) => "blocked",
        };
        line("function", format!("{function}: {word}"));
    }
    text
}

#[test]
fn a_dated_policy_does_not_change() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies");
    for policy in Policy::all() {
        let file = directory.join(format!("{}.txt", policy.dated_name()));
        let made = snapshot(policy);
        if std::env::var(REGENERATE).is_ok_and(|value| value == "1") {
            std::fs::write(&file, &made).unwrap();
            continue;
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        let differs = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
        assert!(made == kept, "{}: {differs:?}", file.display());
    }
}

/// The names in a list of the data, as the file has them.
fn listed(file: &toml::Table, table: &str, key: &str) -> usize {
    file[table][key].as_array().map_or(0, Vec::len)
}

#[test]
fn every_name_in_the_data_is_known() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for policy in Policy::all() {
        let text = std::fs::read_to_string(directory.join(format!("{}.toml", policy.dated_name())));
        let file: toml::Table = text.unwrap().parse().unwrap();
        assert_eq!(policy.mode().name(), file["name"].as_str().unwrap());
        assert_eq!(policy.versions().len(), listed(&file, "protocols", "versions"));
        assert_eq!(policy.suites().len(), listed(&file, "suites", "names"));
        assert_eq!(policy.groups().len(), listed(&file, "groups", "names"));
        assert_eq!(policy.schemes().len(), listed(&file, "signatures", "handshake"));
        let known: Vec<&str> = Function::ALL.iter().map(|function| function.name()).collect();
        for key in ["approved", "hybrid"] {
            for name in file["cpacf"][key].as_array().unwrap() {
                assert!(known.contains(&name.as_str().unwrap()), "{name:?}");
            }
        }
    }
    for mode in Mode::ALL {
        assert_eq!(Policy::of(mode).mode(), mode);
    }
}

#[test]
fn what_is_approved_has_the_strength_that_is_demanded() {
    for policy in Policy::all() {
        let least = policy.strength_bits();
        for code in policy.suites() {
            let suite = iana::suite(*code).unwrap();
            let strength = match suite.protection {
                Protection::TripleDes => 112,
                _ => u32::from(suite.key_bits),
            };
            assert!(strength >= least && !suite.export, "{}", suite.name);
            let anonymous = suite.authentication == iana::Authentication::Anonymous;
            assert!(!anonymous && suite.key_exchange != KeyExchange::Psk, "{}", suite.name);
        }
        for (name, bits) in [("P-224", 224), ("P-256", 256), ("P-384", 384), ("P-521", 521)] {
            if policy.keys().iter().any(|known| known == name) {
                let key = KeyFacts::Ec { curve: name.into(), bits };
                assert!(strength_bits(&key) >= least, "{name:?}");
            }
        }
    }
}

#[test]
fn what_this_program_offers_and_a_mode_approves_runs_on_approved_functions() {
    use Function as F;
    let groups: [(&str, &[F]); 5] = [
        ("secp256r1", &[F::PccScalarMultiplyP256]),
        ("secp384r1", &[F::PccScalarMultiplyP384]),
        ("secp521r1", &[F::PccScalarMultiplyP521]),
        ("x25519", &[F::PccScalarMultiplyX25519]),
        ("X25519MLKEM768", &[F::PccScalarMultiplyX25519, F::MlKem768]),
    ];
    for mode in Mode::ALL {
        let policy = PolicySet::new(&ModeSet::from_iter([mode]));
        let direct = |function: F| policy.function(function).is_yes();
        for (name, functions) in groups {
            let approved = policy.group(iana::group_code(name).unwrap()) == Allowed::Yes;
            let works = functions.iter().all(|function| {
                direct(*function)
                    || (functions.len() > 1 && policy.hybrid_function(*function).is_yes())
            });
            assert_eq!(approved, works, "{name} in {mode}");
        }
        let chacha = iana::suite_code("TLS_CHACHA20_POLY1305_SHA256").unwrap();
        assert_eq!(policy.suite(chacha).is_yes(), direct(F::ChaCha20Poly1305));
        let hashing = [F::KimdSha256, F::KlmdSha384, F::KmacHmacSha256, F::Tls12PrfSha384];
        let ours = [F::KmaGcmAes128, F::KmaGcmAes256, F::PrnoSha512Drng, F::HkdfSha256];
        assert!(hashing.into_iter().chain(ours).all(direct), "{mode}");
    }
}

#[test]
fn a_fips_mode_asks_more_of_cards_and_keys() {
    for policy in Policy::all() {
        assert_eq!(policy.is_fips(), policy.mode().is_fips());
        assert_eq!(policy.no_card() == CardRule::Fail, policy.is_fips());
        assert_eq!(policy.verify() == VerifyRule::All, policy.is_fips());
        assert_eq!(policy.keydb_fips(), policy.is_fips());
    }
}
