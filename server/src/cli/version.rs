//! `adjunct --version`, and with `--verbose` what a bug report should say.

use std::fmt::Write as _;

use crate::config::schema::{Limits, TicketRing};

pub(super) fn text(verbose: bool) -> String {
    let mut out = format!("adjunct {}\n", env!("CARGO_PKG_VERSION"));
    if !verbose {
        return out;
    }
    let on = |on: bool| if on { "on" } else { "off" };
    let limits = Limits::default();
    let rows = [
        ("commit", option_env!("ADJUNCT_COMMIT").unwrap_or("not recorded").to_owned()),
        ("target", format!("{} {}", std::env::consts::ARCH, std::env::consts::OS)),
        ("features", format!("fault-injection {}", on(cfg!(feature = "fault-injection")))),
        ("crypto module", "AWS-LC through aws-lc-rs, not the FIPS module".to_owned()),
        ("modes", "none enforced by this version".to_owned()),
        ("cards", "simulated: threads of this host".to_owned()),
        (
            "limits",
            format!(
                "{} connections, {} handshakes per service by default; tickets live {} s",
                limits.connections,
                limits.handshakes,
                TicketRing::default().lifetime.as_secs()
            ),
        ),
    ];
    for (name, value) in rows {
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {name:<14}{value}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_short_form_is_one_line() {
        assert_eq!(text(false), format!("adjunct {}\n", env!("CARGO_PKG_VERSION")));
        assert!(text(true).contains("not the FIPS module"));
    }
}
