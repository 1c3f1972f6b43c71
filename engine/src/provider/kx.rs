//! Key agreement over `cpacf::agreement` (PCC scalar multiplication, ML-KEM in software).
//!
//! In TLS 1.3 a handshake on a fiber that is not alone has its two multiplications of X25519 done
//! together with those of others (`handshake::gathering`); no lock is held and no frame of the C
//! library is below when it suspends.
//!
//! Source: RFC 8446 §4.2.8, RFC 8422, draft-ietf-tls-ecdhe-mlkem.

use cpacf::agreement::{Ephemeral, Group, Multiplied, PeerPoint, Response, Together};
use cpacf::approval::{self, Approval};
use cpacf::{ConditionCode, Function};
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

use crate::handshake::context;
use crate::handshake::fiber::{self, Resume};
use crate::icsf;

/// All groups in our order of preference: the hybrids first, then the cheap ones. The hybrid with
/// X25519 leads because more clients know it.
pub(super) const ALL: &[&dyn SupportedKxGroup] = &[
    &Exchange { group: Group::X25519MlKem768, name: NamedGroup::X25519MLKEM768 },
    &Exchange { group: Group::P256MlKem768, name: NamedGroup::secp256r1MLKEM768 },
    &Exchange { group: Group::X25519, name: NamedGroup::X25519 },
    &Exchange { group: Group::P256, name: NamedGroup::secp256r1 },
    &Exchange { group: Group::P384, name: NamedGroup::secp384r1 },
    &Exchange { group: Group::P521, name: NamedGroup::secp521r1 },
];

/// Whether the policy of this process, rather than a fault, keeps a group from working.
pub(super) fn is_restricted(name: NamedGroup) -> bool {
    let wants = |function, least: &[Approval]| !least.contains(&approval::of(function));
    let alone = |group: Group| wants(group.function(), &[Approval::Full]);
    let half = |function| wants(function, &[Approval::Full, Approval::Hybrid]);
    match name {
        NamedGroup::X25519 => alone(Group::X25519),
        NamedGroup::secp256r1 => alone(Group::P256),
        NamedGroup::secp384r1 => alone(Group::P384),
        NamedGroup::secp521r1 => alone(Group::P521),
        NamedGroup::secp256r1MLKEM768 => {
            half(Function::MlKem768) || half(Function::PccScalarMultiplyP256)
        }
        _ => half(Function::MlKem768) || half(Function::PccScalarMultiplyX25519),
    }
}

/// One group.
#[derive(Debug)]
struct Exchange {
    group: Group,
    name: NamedGroup,
}

/// A share of a wrong length or value is the peer's fault, everything else is ours: blaming the
/// peer for random numbers that could not be had would send the operator to the wrong place.
fn error(e: &cpacf::Error) -> Error {
    match e {
        cpacf::Error::Length { .. }
        | cpacf::Error::InvalidKey { .. }
        | cpacf::Error::ConditionCode { cc: ConditionCode::Two, .. } => {
            Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare)
        }
        _ => Error::General(icsf::from_cpacf::failure(e).to_string()),
    }
}

/// Lets the event loop multiply for this handshake and others; suspends meanwhile. None where
/// there is no company.
fn multiply_together(group: Group, point: &PeerPoint) -> Option<Result<Multiplied, Error>> {
    if !Together::serves(group) {
        return None;
    }
    let context = context::current()?;
    if !context.offload.gathering.as_ref()?.join(context.token, point) {
        return None;
    }
    Some(match fiber::suspend()? {
        Resume::Agreed(result) => result.map_err(|e| error(&e)),
        // Nobody will see this: the connection is being ended.
        Resume::Start | Resume::Signed(_) | Resume::Cancelled => {
            Err(Error::General("the handshake was given up during its key agreement".to_owned()))
        }
    })
}

impl SupportedKxGroup for Exchange {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        match Ephemeral::generate(self.group) {
            Ok(ephemeral) => Ok(Box::new(Active { ephemeral, name: self.name })),
            Err(e) => Err(Error::General(icsf::from_cpacf::failure(&e).to_string())),
        }
    }

    fn start_and_complete(&self, peer_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let response = Response::begin(self.group, peer_share).map_err(|e| error(&e))?;
        let multiplied = match multiply_together(self.group, response.point()) {
            Some(result) => result?,
            None => response.point().multiply().map_err(|e| error(&e))?,
        };
        let (share, secret) = response.finish(multiplied);
        Ok(CompletedKeyExchange {
            group: self.name,
            pub_key: share,
            secret: SharedSecret::from(secret.as_ref()),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.name
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        // The hybrids are defined for TLS 1.3 alone.
        !self.group.is_hybrid() || version == ProtocolVersion::TLSv1_3
    }
}

struct Active {
    ephemeral: Ephemeral,
    name: NamedGroup,
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        let secret = self.ephemeral.agree(peer_share).map_err(|e| error(&e))?;
        Ok(SharedSecret::from(secret.as_ref()))
    }

    fn pub_key(&self) -> &[u8] {
        self.ephemeral.public()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_share_is_the_peers_fault() {
        let peers = |e: cpacf::Error| matches!(error(&e), Error::PeerMisbehaved(_));
        let function = Function::PccScalarMultiplyX25519;
        assert!(peers(cpacf::Error::Length { function, what: "share", expected: 32, actual: 3 }));
        assert!(peers(cpacf::Error::InvalidKey { function: Function::MlKem768, reason: "test" }));
        assert!(peers(cpacf::Error::ConditionCode { function, cc: ConditionCode::Two }));
        let function = Function::PrnoSha512Drng;
        for ours in [
            cpacf::Error::ConditionCode { function, cc: ConditionCode::One },
            cpacf::Error::Blocked { function },
            cpacf::Error::NotInstalled { function },
        ] {
            assert!(!peers(ours), "{ours}");
        }
    }

    #[test]
    fn a_share_that_is_no_point_is_refused_by_every_group() {
        for group in ALL {
            let len = group.start().unwrap().pub_key().len();
            for share in [vec![], vec![4; len - 1], vec![0; len]] {
                let result = group.start_and_complete(&share).map(|_| ());
                assert!(matches!(result, Err(Error::PeerMisbehaved(_))), "{group:?}: {result:?}");
            }
        }
    }
}
