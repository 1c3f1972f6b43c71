//! What computes, what of it is validated and what is enforced: facts that do not imply each other.
//!
//! Purpose: the same rows for `adjunct crypto` and `adjunct --version --verbose`, as text and as
//! JSON. A mode that is on does not make a module validated, and a FIPS module that is linked does
//! not put a mode on.

use engine::compliance::ModeSet;
use engine::crypto::{Module, linked_module};
use serde::{Deserialize, Serialize};

/// The facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The cryptographic module below everything.
    pub module: String,
    /// Its version.
    pub version: String,
    /// Whether it is a FIPS module in its approved mode, as it says itself.
    pub fips_module: bool,
    /// Whether it is validated.
    pub validated: String,
    /// Modes that are enforced for some service; none without a configuration.
    pub modes: Vec<String>,
    /// Whether TLS is computed by the module alone.
    pub module_alone: bool,
    /// What computes outside of it.
    pub outside: Vec<String>,
}

/// What is said of AWS-LC itself.
const NOT_VALIDATED: &str = "no";
/// What can be said of the FIPS module.
const NOT_ESTABLISHED: &str = "not established: whether this version has a certificate for this \
                               platform stands in the lists of the CMVP";

/// Computes in every build, whatever the mode.
const KEY_DATABASE: &str = "key database: its encryption (PBES2: PBKDF2, AES-256-CBC) and the \
                            derivation of the keys of its MACs";
/// Compute as long as the module is not alone.
const NOT_ALONE: [&str; 4] = [
    "cards: batches of RSA in vector lanes",
    "cards: padding for accelerators",
    "cpacf: X25519 in vector lanes",
    "cpacf: fall-backs for calls that must not fail",
];

impl Facts {
    /// The facts of this program where `modes` are on.
    #[must_use]
    pub fn of(modes: &ModeSet) -> Self {
        Self::new(linked_module(), modes)
    }

    fn new(module: Module, modes: &ModeSet) -> Self {
        let module_alone = module.fips && modes.any_fips();
        let others = NOT_ALONE.into_iter().filter(|_| !module_alone);
        Self {
            module: module.name.to_owned(),
            version: module.version.to_owned(),
            fips_module: module.fips,
            validated: if module.fips { NOT_ESTABLISHED } else { NOT_VALIDATED }.to_owned(),
            modes: modes.iter().map(|mode| mode.to_string()).collect(),
            module_alone,
            outside: others.chain([KEY_DATABASE]).map(str::to_owned).collect(),
        }
    }

    /// Name and value of each fact, for people.
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let modes = match self.modes.as_slice() {
            [] => "none".to_owned(),
            modes => modes.join(", "),
        };
        let mut rows = vec![
            ("module", format!("{} {}", self.module, self.version)),
            ("FIPS module", yes(self.fips_module)),
            ("validated", self.validated.clone()),
            ("modes", modes),
            ("module alone", yes(self.module_alone)),
        ];
        rows.extend(self.outside.iter().map(|what| ("outside", what.clone())));
        rows
    }
}

/// Whether the module must compute alone: it is the FIPS module, and a FIPS mode is on.
#[must_use]
pub fn module_alone(modes: &ModeSet) -> bool {
    linked_module().fips && modes.any_fips()
}

/// Why cards do no batches, and accelerators nothing at all.
pub const WHY_ALONE: &str = "a FIPS mode is on and the FIPS module signs alone, with its own \
                             padding: no batches in vector lanes, and nothing for accelerators";

#[cfg(test)]
mod tests {
    use engine::compliance::Mode;

    use super::*;

    const FIPS: Module = Module { name: "AWS-LC FIPS module", version: "4.2.0", fips: true };
    const PLAIN: Module = Module { name: "AWS-LC", version: "5.12.0", fips: false };

    #[test]
    fn a_mode_and_a_module_are_facts_of_their_own() {
        let fips: ModeSet = [Mode::Fips1403].into_iter().collect();
        let nist: ModeSet = [Mode::Nist800131a].into_iter().collect();
        let alone = |module, modes: &ModeSet| Facts::new(module, modes).module_alone;
        assert!(alone(FIPS, &fips));
        assert!(!alone(FIPS, &nist) && !alone(FIPS, &ModeSet::default()) && !alone(PLAIN, &fips));

        let enforced = Facts::new(PLAIN, &fips);
        assert_eq!((enforced.validated.as_str(), enforced.fips_module), ("no", false));
        assert_eq!(enforced.modes, ["fips-140-3"]);
        assert_eq!(enforced.outside.len(), 5);
        let linked = Facts::new(FIPS, &ModeSet::default());
        assert!(linked.validated.starts_with("not established") && linked.fips_module);
        assert_eq!(linked.rows()[3], ("modes", "none".to_owned()));
        assert_eq!(Facts::new(FIPS, &fips).outside, [KEY_DATABASE]);
    }
}
