//! Functions that the modes of the process do not approve: direct calls are refused with 8/BFE.
//!
//! Approval does not come back within a process; the other tests of this program need none of the
//! functions that lose it here.

use std::sync::Arc;

use cpacf::agreement::{self, Ephemeral, Group};
use cpacf::{Error, Function, aead, stats};
use engine::compliance::{Mode, ModeSet, PolicySet};
use engine::crypto::{Crypto, CryptoConfig};
use engine::icsf::from_cpacf;

/// Service, return code and reason code of a failed call.
fn codes(error: &Error) -> String {
    from_cpacf::failure(error).to_string()
}

#[test]
fn a_direct_call_of_a_blocked_function_gives_8_bfe() {
    let modes = ModeSet::from_iter([Mode::Fips1403]);
    let config = CryptoConfig { modes: modes.clone(), ..CryptoConfig::default() };
    let crypto: Arc<Crypto> = Crypto::start(&config).unwrap();
    assert_eq!(crypto.self_test().failed().count(), 0);
    let count = |function| {
        let row = stats::snapshot().into_iter().find(|row| row.function == function);
        row.map_or(0, |row| row.blocked)
    };
    let (chacha, x25519) = (Function::ChaCha20Poly1305, Function::PccScalarMultiplyX25519);
    let before = (count(chacha), count(x25519));
    let refused = aead::Sealer::new(aead::Algorithm::ChaCha20Poly1305, &[0; 32]).unwrap_err();
    let sentence =
        |service| format!("ICSF service failure: {service} retCode = 0x8, rsnCode = 0xbfe");
    assert_eq!(codes(&refused), sentence("CSFPSKE"));
    assert_eq!(codes(&Ephemeral::generate(Group::X25519).unwrap_err()), sentence("CSFPDVK"));
    let refused = agreement::respond(Group::X25519, &[9; 32]).unwrap_err();
    assert_eq!(codes(&refused), sentence("CSFPDVK"));
    assert_eq!((count(chacha), count(x25519)), (before.0 + 1, before.1 + 2));
    // The other half of the hybrid is approved.
    let client = Ephemeral::generate(Group::X25519MlKem768).unwrap();
    assert!(agreement::respond(Group::X25519MlKem768, client.public()).is_ok());
    assert!(aead::Sealer::new(aead::Algorithm::Aes256Gcm, &[0; 32]).is_ok());
    // Exactly what the policy says, and no more.
    let policy = PolicySet::new(&modes);
    for function in Function::ALL {
        let full = cpacf::approval::of(function) == cpacf::approval::Approval::Full;
        assert_eq!(full, policy.function(function).is_yes(), "{function}");
    }
    crypto.shutdown();
}
