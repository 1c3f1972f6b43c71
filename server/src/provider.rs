//! `[cpacf] provider = "portable"`: the process starts itself again, the processor's units masked.
//!
//! Purpose: the library below cpacf reads its mask from the environment before `main`, so the only
//! way to it from a configuration file is to execute the same program once more. Process id, file
//! descriptors, arguments and the rest of the environment stay, so neither a shell nor systemd
//! notices.
//!
//! Invariants: it happens before there is any thread, socket or card; and once at most, because it
//! is not done when the mask is in the environment already.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use engine::crypto::{HAS_PORTABLE, PORTABLE_MASK, PORTABLE_MEANING, Provider, VARIABLE};

use crate::observe::{Event, Level, Log};

/// Makes `wanted` the provider of this process; where that takes a new start, it does not return.
///
/// # Errors
/// The program cannot be executed again; the text says so.
pub fn enter(wanted: Provider) -> Result<(), String> {
    if wanted != Provider::Portable || !HAS_PORTABLE || Provider::in_force() == wanted {
        return Ok(());
    }
    let fail = |error: io::Error| {
        format!(
            "provider \"portable\" needs a new start of the program, and that fails: {error}; set \
             {VARIABLE}={PORTABLE_MASK} in the environment instead"
        )
    };
    let program = std::env::current_exe().map_err(fail)?;
    let mut arguments = std::env::args_os();
    let name: OsString = arguments.next().unwrap_or_else(|| program.clone().into());
    let mut again = Command::new(program);
    again.arg0(name).args(arguments).env(VARIABLE, PORTABLE_MASK);
    Err(fail(again.exec()))
}

/// What is not ordinary about the provider in force, for people; none for `host`.
#[must_use]
pub fn remark(provider: Provider) -> Option<String> {
    match provider {
        Provider::Host => None,
        Provider::Portable => Some(format!(
            "provider portable ({VARIABLE}={PORTABLE_MASK}) is for comparisons: it stands for a \
             machine {PORTABLE_MEANING}"
        )),
    }
}

/// Tells the log.
pub fn report(log: &Log) {
    let provider = Provider::in_force();
    if let Some(text) = remark(provider) {
        let event = Event::new(Level::Warn, "provider", text).with("provider", provider.name());
        log.event(event.with("mask", PORTABLE_MASK));
    }
}
