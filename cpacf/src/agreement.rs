//! Ephemeral key agreement: PCC-Scalar-Multiply, ML-KEM-768 in software, and the hybrids of both.
//!
//! A client generates an [`Ephemeral`], sends its public share and agrees with the answer. A server
//! may do the same with the classic groups, or use [`respond`], which is the only way with a
//! hybrid group: there the server has no key pair, it encapsulates.
//!
//! The halves of the two hybrids lie in different orders: SP 800-56C lets another secret follow an
//! approved one, so P-256 leads the one hybrid and ML-KEM, not X25519, the other:
//!
//! | | client share | server share | secret |
//! |---|---|---|---|
//! | X25519MLKEM768 | key (1184) ‖ u (32) | ciphertext (1088) ‖ u | ML-KEM (32) ‖ X25519 (32) |
//! | SecP256r1MLKEM768 | point (65) ‖ key (1184) | point ‖ ciphertext | ECDH (32) ‖ ML-KEM (32) |
//!
//! where *key* is the encapsulation key.
//!
//! Every share comes from a peer. A wrong length is [`Error::Length`]; a point off the curve and
//! the all-zero result of X25519 are condition code 2 of PCC; points have to be uncompressed. An
//! ML-KEM ciphertext cannot be wrong in any other way than by its length (implicit rejection).
//!
//! Source: SP 800-56A; RFC 8446 section 4.2.8.2 and 7.4.2; RFC 7748; FIPS 203;
//! draft-ietf-tls-ecdhe-mlkem.

mod together;

use core::fmt;

use zeroize::Zeroizing;

use crate::dispatch::Call;
use crate::provider::host::curve::{Curve, Decapsulator, Scalar, encapsulate};
use crate::{ConditionCode, Error, Function};

pub use together::Together;

/// The first byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;
const X25519_LEN: usize = 32;
/// Of a private key of X25519 and of P-256.
const SCALAR_LEN: usize = 32;
const ENCAPSULATION_KEY_LEN: usize = 1184;
const DECAPSULATION_KEY_LEN: usize = 2400;
const CIPHERTEXT_LEN: usize = 1088;
/// Where the encapsulation key lies inside a decapsulation key (FIPS 203, algorithm 16).
const ENCAPSULATION_KEY_AT: usize = 1152;

/// The groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// NIST P-256 (secp256r1).
    P256,
    /// NIST P-384 (secp384r1).
    P384,
    /// NIST P-521 (secp521r1).
    P521,
    /// Curve25519.
    X25519,
    /// ML-KEM-768 with X25519.
    X25519MlKem768,
    /// NIST P-256 with ML-KEM-768.
    P256MlKem768,
}

/// In what order the halves of a hybrid share or secret are written.
#[derive(Clone, Copy)]
enum Halves {
    MlKemFirst,
    ClassicFirst,
}

impl Halves {
    fn join(self, mlkem: &[u8], classic: &[u8]) -> Vec<u8> {
        let (first, second) = match self {
            Self::MlKemFirst => (mlkem, classic),
            Self::ClassicFirst => (classic, mlkem),
        };
        // At full capacity from the start: growing would leave a copy of a secret behind.
        let mut joined = Vec::with_capacity(first.len() + second.len());
        joined.extend_from_slice(first);
        joined.extend_from_slice(second);
        joined
    }

    /// The half of ML-KEM, `mlkem_len` bytes of a share that was measured, and the classic half.
    fn split(self, share: &[u8], mlkem_len: usize) -> (&[u8], &[u8]) {
        match self {
            Self::MlKemFirst => share.split_at(mlkem_len),
            Self::ClassicFirst => {
                let (classic, mlkem) = share.split_at(share.len() - mlkem_len);
                (mlkem, classic)
            }
        }
    }
}

impl Group {
    /// The function of the classic half, of the only half of a classic group.
    #[must_use]
    pub const fn function(self) -> Function {
        match self {
            Self::P256 | Self::P256MlKem768 => Function::PccScalarMultiplyP256,
            Self::P384 => Function::PccScalarMultiplyP384,
            Self::P521 => Function::PccScalarMultiplyP521,
            Self::X25519 | Self::X25519MlKem768 => Function::PccScalarMultiplyX25519,
        }
    }

    /// Whether ML-KEM is one half of it. Such a group is defined for TLS 1.3 alone.
    #[must_use]
    pub const fn is_hybrid(self) -> bool {
        self.halves().is_some()
    }

    /// The classic group that is a half of it, or that it is.
    #[must_use]
    pub const fn classic(self) -> Self {
        match self {
            Self::X25519MlKem768 => Self::X25519,
            Self::P256MlKem768 => Self::P256,
            Self::P256 | Self::P384 | Self::P521 | Self::X25519 => self,
        }
    }

    /// Bytes of a client's share.
    #[must_use]
    pub const fn client_share_len(self) -> usize {
        self.point_len() + if self.is_hybrid() { ENCAPSULATION_KEY_LEN } else { 0 }
    }

    /// Bytes of a server's share.
    #[must_use]
    pub const fn server_share_len(self) -> usize {
        self.point_len() + if self.is_hybrid() { CIPHERTEXT_LEN } else { 0 }
    }

    const fn halves(self) -> Option<Halves> {
        match self {
            Self::X25519MlKem768 => Some(Halves::MlKemFirst),
            Self::P256MlKem768 => Some(Halves::ClassicFirst),
            Self::P256 | Self::P384 | Self::P521 | Self::X25519 => None,
        }
    }

    const fn point_len(self) -> usize {
        match self {
            Self::P256 | Self::P256MlKem768 => 65,
            Self::P384 => 97,
            Self::P521 => 133,
            Self::X25519 | Self::X25519MlKem768 => X25519_LEN,
        }
    }

    const fn curve(self) -> Curve {
        match self {
            Self::P256 | Self::P256MlKem768 => Curve::P256,
            Self::P384 => Curve::P384,
            Self::P521 => Curve::P521,
            Self::X25519 | Self::X25519MlKem768 => Curve::X25519,
        }
    }
}

/// A shared secret; overwritten when dropped, shows nothing in `Debug`.
pub struct Secret(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// A key pair for one agreement.
pub struct Ephemeral {
    group: Group,
    point: Point,
    mlkem: Option<(Halves, Decapsulator)>,
    share: Vec<u8>,
}

impl Ephemeral {
    /// Generates a key pair.
    ///
    /// # Errors
    /// [`Error::Blocked`] if a function of the group is blocked, [`Error::NotApproved`] if the
    /// policy of this process does not approve it; [`Error::ConditionCode`] of PRNO
    /// if no random data can be had.
    pub fn generate(group: Group) -> Result<Self, Error> {
        let point = Point::generate(group)?;
        let Some(halves) = group.halves() else {
            let share = point.public.clone();
            return Ok(Self { group, point, mlkem: None, share });
        };
        let call = Call::begin_in_hybrid(Function::MlKem768)?;
        let mlkem = Decapsulator::generate().map_err(|_| no_random_data())?;
        let key = mlkem.public().map_err(|_| mlkem_failed())?;
        call.done(0);
        let share = halves.join(&key, &point.public);
        Ok(Self { group, point, mlkem: Some((halves, mlkem)), share })
    }

    /// Takes a known private key: for known-answer tests, never for a handshake.
    ///
    /// It is the big-endian scalar, the 32 bytes of X25519, or for a hybrid group the ML-KEM
    /// decapsulation key (2400) ‖ the key of the classic half (32).
    ///
    /// # Errors
    /// [`Error::InvalidKey`] if it is no key of the group; [`Error::Length`] for a hybrid group.
    pub fn from_private_key(group: Group, private: &[u8]) -> Result<Self, Error> {
        let Some(halves) = group.halves() else {
            let point = Point::import(group, private)?;
            let share = point.public.clone();
            return Ok(Self { group, point, mlkem: None, share });
        };
        let len = DECAPSULATION_KEY_LEN + SCALAR_LEN;
        expect_len(Function::MlKem768, "private key", len, private)?;
        let (mlkem, classic) = private.split_at(DECAPSULATION_KEY_LEN);
        let point = Point::import(group, classic)?;
        let reason = "not accepted by the provider";
        let decapsulator = Decapsulator::import(mlkem)
            .map_err(|_| Error::InvalidKey { function: Function::MlKem768, reason })?;
        let key = &mlkem[ENCAPSULATION_KEY_AT..][..ENCAPSULATION_KEY_LEN];
        let share = halves.join(key, &point.public);
        Ok(Self { group, point, mlkem: Some((halves, decapsulator)), share })
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> Group {
        self.group
    }

    /// The public share, as a client sends it.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.share
    }

    /// The classic half of a hybrid pair and its share, for a peer that knows only that.
    #[must_use]
    pub fn hybrid_component(&self) -> Option<(Group, &[u8])> {
        self.mlkem.is_some().then_some((self.group.classic(), self.point.public.as_slice()))
    }

    /// Agrees with the peer's share.
    ///
    /// # Errors
    /// See the module text.
    pub fn agree(self, peer: &[u8]) -> Result<Secret, Error> {
        let Some((halves, mlkem)) = &self.mlkem else { return self.point.multiply(peer) };
        let function = Function::MlKem768;
        expect_len(function, "server share", self.group.server_share_len(), peer)?;
        let (ciphertext, point) = halves.split(peer, CIPHERTEXT_LEN);
        let call = Call::begin_in_hybrid(function)?;
        let mut secret = mlkem.decapsulate(ciphertext).map_err(|_| mlkem_failed())?;
        call.corrupt(&mut secret);
        call.done(0);
        let classic = self.point.multiply(point)?;
        Ok(Secret(Zeroizing::new(halves.join(&secret, &classic.0))))
    }

    /// Agrees with a peer that chose the classic half of a hybrid pair.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] if this is no hybrid pair; otherwise see the module text.
    pub fn agree_hybrid_component(self, peer: &[u8]) -> Result<Secret, Error> {
        if self.mlkem.is_none() {
            let function = self.group.function();
            return Err(Error::InvalidKey { function, reason: "not a hybrid key pair" });
        }
        // What was generated for the hybrid would now be used alone.
        let _ = Call::begin(self.group.function())?;
        self.point.multiply(peer)
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ephemeral").field("group", &self.group).finish_non_exhaustive()
    }
}

/// The server's side in one step: takes the client's share, returns the server's share and the
/// secret.
///
/// # Errors
/// See the module text; [`Error::Blocked`] if a function of the group is blocked.
pub fn respond(group: Group, client_share: &[u8]) -> Result<(Vec<u8>, Secret), Error> {
    let response = Response::begin(group, client_share)?;
    let multiplied = response.point.multiply()?;
    Ok(response.finish(multiplied))
}

/// The server's side but for the two multiplications, which [`Together`] may do meanwhile.
#[derive(Debug)]
pub struct Response {
    point: PeerPoint,
    mlkem: Option<Encapsulated>,
}

/// The half of ML-KEM: ciphertext and secret.
struct Encapsulated {
    halves: Halves,
    ciphertext: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Encapsulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encapsulated").finish_non_exhaustive()
    }
}

/// The classic half of a client's share.
#[derive(Clone, Debug)]
pub struct PeerPoint {
    group: Group,
    bytes: Vec<u8>,
}

/// A key pair made for a client's point, and what it agrees to.
#[derive(Debug)]
pub struct Multiplied {
    public: Vec<u8>,
    secret: Secret,
}

impl Response {
    /// Takes the client's share.
    ///
    /// # Errors
    /// See the module text; [`Error::Blocked`] if ML-KEM is needed and blocked.
    pub fn begin(group: Group, client_share: &[u8]) -> Result<Self, Error> {
        let Some(halves) = group.halves() else {
            let point = PeerPoint { group, bytes: client_share.to_vec() };
            expect_len(group.function(), "public point", group.point_len(), client_share)?;
            return Ok(Self { point, mlkem: None });
        };
        let function = Function::MlKem768;
        expect_len(function, "client share", group.client_share_len(), client_share)?;
        let (key, peer_point) = halves.split(client_share, ENCAPSULATION_KEY_LEN);
        let call = Call::begin_in_hybrid(function)?;
        let reason = "fails the modulus check of FIPS 203";
        let (ciphertext, mut secret) =
            encapsulate(key).map_err(|_| Error::InvalidKey { function, reason })?;
        call.corrupt(&mut secret);
        call.done(0);
        let point = PeerPoint { group, bytes: peer_point.to_vec() };
        Ok(Self { point, mlkem: Some(Encapsulated { halves, ciphertext, secret }) })
    }

    /// What is to be multiplied.
    #[must_use]
    pub const fn point(&self) -> &PeerPoint {
        &self.point
    }

    /// The server's share and the secret.
    #[must_use]
    pub fn finish(self, multiplied: Multiplied) -> (Vec<u8>, Secret) {
        let Multiplied { public, secret: classic } = multiplied;
        let Some(Encapsulated { halves, ciphertext, secret }) = self.mlkem else {
            return (public, classic);
        };
        let share = halves.join(&ciphertext, &public);
        (share, Secret(Zeroizing::new(halves.join(&secret, &classic.0))))
    }
}

impl PeerPoint {
    /// Makes a key pair and agrees with the point, by the library.
    ///
    /// # Errors
    /// See the module text; [`Error::Blocked`] if the function is blocked.
    pub fn multiply(&self) -> Result<Multiplied, Error> {
        let point = Point::generate(self.group)?;
        let secret = point.multiply(&self.bytes)?;
        Ok(Multiplied { public: point.public, secret })
    }

    /// The u coordinate of a point of X25519.
    fn coordinate(&self) -> [u8; X25519_LEN] {
        self.bytes.first_chunk().copied().unwrap_or_default()
    }
}

/// A scalar on one curve with the point that belongs to it.
struct Point {
    group: Group,
    scalar: Scalar,
    public: Vec<u8>,
}

impl Point {
    /// Asks the gate.
    fn call(group: Group) -> Result<Call, Error> {
        if group.is_hybrid() {
            Call::begin_in_hybrid(group.function())
        } else {
            Call::begin(group.function())
        }
    }

    /// One multiplication, with the base point.
    fn generate(group: Group) -> Result<Self, Error> {
        let function = group.function();
        let call = Self::call(group)?;
        let failed = |_| Error::ConditionCode { function, cc: ConditionCode::One };
        let scalar = Scalar::generate(group.curve()).map_err(|_| no_random_data())?;
        let public = scalar.public().map_err(failed)?;
        call.done(0);
        Ok(Self { group, scalar, public })
    }

    fn import(group: Group, private: &[u8]) -> Result<Self, Error> {
        let function = group.function();
        let failed = |_| Error::InvalidKey { function, reason: "not a private key of the curve" };
        let scalar = Scalar::import(group.curve(), private).map_err(failed)?;
        let public = scalar.public().map_err(failed)?;
        Ok(Self { group, scalar, public })
    }

    fn multiply(&self, peer: &[u8]) -> Result<Secret, Error> {
        let function = self.group.function();
        expect_len(function, "public point", self.group.point_len(), peer)?;
        let call = Self::call(self.group)?;
        let refused = Error::ConditionCode { function, cc: ConditionCode::Two };
        // The library would also take the hybrid form, which no version of TLS has.
        if self.group.curve() != Curve::X25519 && peer.first() != Some(&UNCOMPRESSED) {
            return Err(refused);
        }
        let product = self.scalar.multiply(peer);
        call.done(0);
        let mut secret = product.map_err(|_| refused)?;
        call.corrupt(&mut secret);
        Ok(Secret(secret))
    }
}

/// The only way in which making a key pair can fail.
fn no_random_data() -> Error {
    Error::ConditionCode { function: Function::PrnoSha512Drng, cc: ConditionCode::One }
}

fn mlkem_failed() -> Error {
    Error::ConditionCode { function: Function::MlKem768, cc: ConditionCode::One }
}

fn expect_len(
    function: Function,
    what: &'static str,
    expected: usize,
    operand: &[u8],
) -> Result<(), Error> {
    if operand.len() == expected {
        Ok(())
    } else {
        Err(Error::Length { function, what, expected, actual: operand.len() })
    }
}
