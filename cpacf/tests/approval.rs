//! A function that is not approved refuses calls. Approval is never given back, so what is tried
//! here stays in a process of its own.

use cpacf::agreement::{self, Ephemeral, Group};
use cpacf::approval::{Approval, of, restrict};
use cpacf::{Error, Function, aead, selftest, stats};

fn blocked(function: Function) -> u64 {
    stats::snapshot().iter().find(|row| row.function == function).map_or(0, |row| row.blocked)
}

#[test]
fn what_is_not_approved_is_refused_and_counted_and_the_rest_goes_on() {
    let function = Function::ChaCha20Poly1305;
    restrict(function, Approval::None);
    restrict(function, Approval::Full);
    assert_eq!(of(function), Approval::None, "approval does not come back");
    let before = blocked(function);
    let refused = aead::Sealer::new(aead::Algorithm::ChaCha20Poly1305, &[0; 32]).unwrap_err();
    assert_eq!(refused, Error::NotApproved { function });
    assert_eq!(blocked(function), before + 1);
    assert!(aead::Sealer::new(aead::Algorithm::Aes256Gcm, &[0; 32]).is_ok());

    // As the second half of the hybrid X25519 still works, and alone it does not.
    let x25519 = Function::PccScalarMultiplyX25519;
    restrict(x25519, Approval::Hybrid);
    let refused = Some(Error::NotApproved { function: x25519 });
    assert_eq!(Ephemeral::generate(Group::X25519).err(), refused);
    assert_eq!(agreement::respond(Group::X25519, &[9; 32]).err(), refused);
    let client = Ephemeral::generate(Group::X25519MlKem768).unwrap();
    let (share, server) = agreement::respond(Group::X25519MlKem768, client.public()).unwrap();
    assert_eq!(client.agree(&share).unwrap().as_ref(), server.as_ref());
    let client = Ephemeral::generate(Group::X25519MlKem768).unwrap();
    assert_eq!(client.agree_hybrid_component(&[9; 32]).err(), refused);

    // What nobody may call is not tested, and has not failed.
    let result = selftest::run(function);
    assert_eq!((result.outcome, result.source), (Ok(()), "not approved, so not called"));
    assert!(!selftest::is_blocked(function));

    restrict(x25519, Approval::None);
    assert_eq!(Ephemeral::generate(Group::X25519MlKem768).err(), refused);
}
