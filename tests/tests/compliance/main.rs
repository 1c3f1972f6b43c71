//! Modes with teeth: what each of them lets through, checked through real sockets.
//!
//! The matrices are made from the policy data, so a new policy is tried as soon as it is there; the
//! data itself is held against expectations written by hand ([`expectations`]).
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod audit;
mod backends;
mod certificates;
mod expectations;
mod functions;
mod load;
mod negotiation;
mod revocation;
mod unchosen;

use engine::compliance::{Mode, ModeSet, PolicySet};

/// Every mode alone, and the two of the z/VM SSL server together.
fn sets() -> Vec<ModeSet> {
    let mut sets: Vec<ModeSet> = Mode::ALL.iter().map(|mode| ModeSet::from_iter([*mode])).collect();
    sets.push(ModeSet::from_iter([Mode::Fips1402, Mode::Nist800131a]));
    sets
}

/// `mode = ["fips-140-2", "nist-800-131a"]`.
fn line(key: &str, modes: &ModeSet) -> String {
    format!("{key} = {:?}", modes.iter().map(Mode::name).collect::<Vec<_>>())
}

/// A configuration in which these modes hold for the server.
fn in_modes(text: &str, modes: &ModeSet) -> String {
    let server = format!("[server]\n{}\n", line("mode", modes));
    text.replacen("[server]\n", &server, 1)
}

fn policy(modes: &ModeSet) -> PolicySet {
    PolicySet::new(modes)
}
