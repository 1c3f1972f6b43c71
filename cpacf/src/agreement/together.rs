//! X25519 for several handshakes at once: the server's key pair and its agreement with each peer.
//!
//! Whoever serves many clients on one thread collects their points and has them multiplied
//! together, in the lanes of [`crate::x25519`]. Key pairs do not depend on a peer: they are made
//! eight at a time, ahead, and each is used once. What is below the measured break-even is done by
//! the library, one by one, as [`super::respond`] does.
//!
//! Invariants: gate, counts, refusals and faults are the same as one by one; a key pair leaves the
//! store before it is used; what is left of the store is overwritten when it is dropped.

use core::fmt;

use zeroize::Zeroizing;

use super::{Group, Multiplied, PeerPoint, Point, Secret, no_random_data};
use crate::x25519::{self, LANES, LEN, Unit};
use crate::{ConditionCode, Error};

/// A key pair made ahead.
struct Pair {
    scalar: Zeroizing<[u8; LEN]>,
    public: [u8; LEN],
}

/// Does what several handshakes need, together where that is cheaper.
pub struct Together {
    unit: Unit,
    /// Fewest that are done in lanes.
    least: usize,
    pairs: Vec<Pair>,
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").field("pairs", &self.pairs.len()).finish_non_exhaustive()
    }
}

impl Together {
    /// None where lanes do not pay or are not to be used.
    #[must_use]
    pub fn new() -> Option<Self> {
        let (unit, least) = x25519::in_force()?;
        Some(Self { unit, least, pairs: Vec::with_capacity(LANES) })
    }

    /// Whether it can be done for this group.
    #[must_use]
    pub const fn serves(group: Group) -> bool {
        matches!(group.classic(), Group::X25519)
    }

    /// A key pair and an agreement for each point, in their order.
    pub fn multiply(&mut self, points: &[PeerPoint]) -> Vec<Result<Multiplied, Error>> {
        let mut results = Vec::with_capacity(points.len());
        for some in points.chunks(LANES) {
            if some.len() < self.least {
                results.extend(some.iter().map(PeerPoint::multiply));
            } else {
                self.multiply_in_lanes(some, &mut results);
            }
        }
        results
    }

    /// Up to eight.
    fn multiply_in_lanes(
        &mut self,
        points: &[PeerPoint],
        results: &mut Vec<Result<Multiplied, Error>>,
    ) {
        let mut scalars = Zeroizing::new([[0; LEN]; LANES]);
        let mut coordinates = [[0; LEN]; LANES];
        let mut begun = Vec::with_capacity(points.len());
        for ((scalar, coordinate), point) in scalars.iter_mut().zip(&mut coordinates).zip(points) {
            begun.push(self.begin(point).map(|(calls, pair)| {
                *scalar = *pair.scalar;
                *coordinate = point.coordinate();
                (calls, pair.public)
            }));
        }
        let products = self.unit.multiply(&scalars, &coordinates);
        x25519::count(points.len());
        for ((begun, product), point) in begun.into_iter().zip(products.iter()).zip(points) {
            results.push(begun.and_then(|(call, public)| {
                call.done(0);
                // A point of small order; in constant time, though it is the peer's to know.
                if product.iter().fold(0, |all, byte| all | byte) == 0 {
                    let function = point.group.function();
                    return Err(Error::ConditionCode { function, cc: ConditionCode::Two });
                }
                let mut secret = Zeroizing::new(product.to_vec());
                call.corrupt(&mut secret);
                Ok(Multiplied { public: public.to_vec(), secret: Secret(secret) })
            }));
        }
    }

    /// A key pair, counted as made now, and the permission to use it.
    fn begin(&mut self, point: &PeerPoint) -> Result<(crate::dispatch::Call, Pair), Error> {
        let made = Point::call(point.group)?;
        let pair = self.pair()?;
        made.done(0);
        Ok((Point::call(point.group)?, pair))
    }

    fn pair(&mut self) -> Result<Pair, Error> {
        if self.pairs.is_empty() {
            let (scalars, publics) = self.unit.pairs().map_err(|_| no_random_data())?;
            let pair = |(scalar, public): (&[u8; LEN], &[u8; LEN])| Pair {
                scalar: Zeroizing::new(*scalar),
                public: *public,
            };
            self.pairs.extend(scalars.iter().zip(&publics).map(pair));
        }
        self.pairs.pop().ok_or_else(no_random_data)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ephemeral, Response, respond};
    use super::*;

    fn lanes() -> Vec<Together> {
        let portable = Together { unit: Unit::Portable, least: 2, pairs: Vec::new() };
        std::iter::once(portable).chain(Together::new()).collect()
    }

    #[test]
    fn every_number_of_handshakes_agrees_with_its_clients() {
        for mut together in lanes() {
            for count in [1, 2, 7, 8, 9, 17] {
                let group = |i: usize| [Group::X25519, Group::X25519MlKem768][i % 2];
                let clients: Vec<_> =
                    (0..count).map(|i| Ephemeral::generate(group(i)).unwrap()).collect();
                let responses: Vec<_> = clients
                    .iter()
                    .map(|client| Response::begin(client.group(), client.public()).unwrap())
                    .collect();
                let points: Vec<_> = responses.iter().map(|r| r.point().clone()).collect();
                let multiplied = together.multiply(&points);
                assert_eq!(multiplied.len(), count);
                let mut shares = std::collections::BTreeSet::new();
                for ((client, response), multiplied) in
                    clients.into_iter().zip(responses).zip(multiplied)
                {
                    let (share, secret) = response.finish(multiplied.unwrap());
                    assert_eq!(client.agree(&share).unwrap().as_ref(), secret.as_ref());
                    assert!(shares.insert(share), "a key pair was used twice");
                }
            }
        }
    }

    #[test]
    fn a_point_of_small_order_is_refused_and_its_neighbours_are_not() {
        for mut together in lanes() {
            let good = Ephemeral::generate(Group::X25519).unwrap();
            let mut one = [0; LEN];
            one[0] = 1;
            let shares = [good.public(), &[0; LEN], good.public(), &one];
            let begin = |share| Response::begin(Group::X25519, share).unwrap().point().clone();
            let results = together.multiply(&shares.map(begin));
            for (share, result) in shares.iter().zip(results) {
                assert_eq!(result.err(), respond(Group::X25519, share).err());
                assert_eq!(share == &good.public(), respond(Group::X25519, share).is_ok());
            }
        }
    }
}
