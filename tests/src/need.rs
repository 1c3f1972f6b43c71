//! Skipping a test whose tool is not installed, out loud.
//!
//! Purpose: `cargo test --workspace` must pass with a Rust toolchain, cc, make and perl alone;
//! what needs a TLS client is skipped with its reason. Where everything was installed on
//! purpose (`.ci/run`), the variable [`REQUIRE_ALL`] turns every skip into a failure, so that a
//! green run cannot mean "nothing was tried".

use std::io::Write;
use std::path::PathBuf;

/// Set to `1` to make a skipped test fail.
pub const REQUIRE_ALL: &str = "ADJUNCT_REQUIRE_ALL";

/// The path of a command, when it is installed.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|p| p.is_file())
}

/// Reports a skip; fails instead when nothing may be skipped.
pub fn skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let strict = std::env::var(REQUIRE_ALL).is_ok_and(|value| value == "1");
    assert!(!strict, "{test} would be skipped: {reason}, and {REQUIRE_ALL}=1 forbids that");
    // Not eprintln!: the test harness would swallow it.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// Ends the calling test, saying why.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::need::skipped(&format!($($reason)*));
        return;
    }};
}

/// The path of a command, or the end of the calling test.
#[macro_export]
macro_rules! need {
    ($tool:expr) => {
        match $crate::need::tool($tool) {
            Some(path) => path,
            None => $crate::skip!("{} is not installed", $tool),
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_every_machine_has_is_found_and_what_none_has_is_not() {
        assert!(super::tool("sh").is_some());
        assert!(super::tool("no-such-command-anywhere").is_none());
    }
}
