//! Who may come in: counters of what is open, and places in them.
//!
//! Purpose: the limits of `[server]` hold for all members together, so what they count is shared.
//! A place is taken by entering a counter and given back when it is dropped: however a session
//! ends, in order or by a panic, its places go with it.
//!
//! Invariants: a counter says how many places of it exist; the map of peers holds only peers with
//! a connection open, so it is bounded by the connections.
//!
//! Deliberately not here: limits of a service, which are known only when the client has named it
//! (`Session::admit`).

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::rules::{self, Rule};

use crate::config::schema::ServerLimits;

/// How many of something there are.
#[derive(Debug, Default)]
pub struct Counter(AtomicUsize);

impl Counter {
    /// How many there are now.
    #[must_use]
    pub fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes a place; how many are taken with it.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> (Place, usize) {
        let taken = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        (Place(Arc::clone(self)), taken)
    }
}

/// A place in a [`Counter`].
#[derive(Debug)]
pub struct Place(Arc<Counter>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one peer: an IPv4 address, or the 64 bits that one network has in IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Peer(IpAddr);

impl Peer {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        })
    }
}

/// Members rarely meet in one of so many parts.
const SHARDS: usize = 16;

/// How many connections each peer has.
#[derive(Debug, Default)]
pub struct Peers {
    shards: [Mutex<HashMap<Peer, usize>>; SHARDS],
    hasher: RandomState,
}

impl Peers {
    fn shard(&self, peer: Peer) -> MutexGuard<'_, HashMap<Peer, usize>> {
        // The remainder is less than the number of shards.
        let hash = self.hasher.hash_one(peer) % SHARDS as u64;
        let shard = &self.shards[usize::try_from(hash).unwrap_or_default()];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a peer; how many it has with it.
    #[must_use]
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> (PeerPlace, usize) {
        let peer = Peer::of(address);
        let mut shard = self.shard(peer);
        let count = shard.entry(peer).or_default();
        *count += 1;
        (PeerPlace { peers: Arc::clone(self), peer }, *count)
    }

    /// Peers with a place.
    #[must_use]
    pub fn len(&self) -> usize {
        let held = |shard: &Mutex<HashMap<Peer, usize>>| {
            shard.lock().unwrap_or_else(PoisonError::into_inner).len()
        };
        self.shards.iter().map(held).sum()
    }

    /// Whether no peer has a place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A place of a peer.
#[derive(Debug)]
pub struct PeerPlace {
    peers: Arc<Peers>,
    peer: Peer,
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.peers.shard(self.peer).entry(self.peer) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What all members count together.
#[derive(Debug, Default)]
pub struct Admission {
    limits: ServerLimits,
    members: usize,
    /// Connections, closing ones included: each has a descriptor.
    pub connections: Arc<Counter>,
    /// Connections that have not sent a complete ClientHello.
    pub hellos: Arc<Counter>,
    /// Connections by peer; used only when there is a limit.
    pub peers: Arc<Peers>,
}

/// The places of one connection.
#[derive(Debug, Default)]
pub struct Places {
    #[expect(dead_code, reason = "held until it is dropped")]
    connection: Option<Place>,
    hello: Option<Place>,
    peer: Option<PeerPlace>,
    /// Among the connections of its service.
    pub service_peer: Option<PeerPlace>,
}

impl Places {
    /// The client has said who it is, or is gone.
    pub fn leave_hello(&mut self) {
        self.hello = None;
    }

    /// Whether the ClientHello is still waited for.
    #[must_use]
    pub fn awaits_hello(&self) -> bool {
        self.hello.is_some()
    }
}

/// Why a connection may not come in.
pub type Denial = (&'static Rule, String);

impl Admission {
    /// Counters for these limits, shared by so many members.
    #[must_use]
    pub fn new(limits: ServerLimits, members: usize) -> Self {
        Self { limits, members, ..Self::default() }
    }

    /// Counts a new connection in, and says what is against it. It is counted in either case, until
    /// its places are dropped.
    #[must_use]
    pub fn enter(&self) -> (Places, Option<Denial>) {
        let (connection, open) = self.connections.enter();
        let (hello, _) = self.hellos.enter();
        let places =
            Places { connection: Some(connection), hello: Some(hello), ..Places::default() };
        let limit = self.limits.connections;
        let denial = (open > limit).then(|| {
            let reason = format!(
                "the process has as many connections as server.limits.connections allows: {limit}"
            );
            (&rules::TOO_MANY_CONNECTIONS, reason)
        });
        (places, denial)
    }

    /// Counts a connection for its client, whose address a PROXY header may have told later.
    #[must_use]
    pub fn enter_peer(&self, places: &mut Places, client: IpAddr) -> Option<Denial> {
        let limit = self.limits.per_peer?;
        let (place, count) = self.peers.enter(client);
        places.peer = Some(place);
        (count > limit).then(|| {
            let reason = format!(
                "the client has as many connections as server.limits.per_peer allows: {limit}"
            );
            (&rules::TOO_MANY_FROM_PEER, reason)
        })
    }

    /// Whether a member that has `own` clients which have not sent a ClientHello must let one go;
    /// the limit then.
    ///
    /// A member knows only its own clients, and one with less than its share keeps them: the flood
    /// is elsewhere then, and so is the client that nobody will miss.
    #[must_use]
    pub fn hellos_exceed(&self, own: usize) -> Option<usize> {
        let limit = self.limits.hello;
        let share = limit / self.members.max(1);
        (self.hellos.now() > limit && own > share).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_counted_until_they_are_dropped() {
        let limits = ServerLimits { connections: 2, per_peer: None, hello: 1 };
        let admission = Admission::new(limits, 1);
        let (mut first, denied) = admission.enter();
        assert!(denied.is_none() && admission.hellos_exceed(1).is_none());
        assert!(admission.enter_peer(&mut first, address("192.0.2.1")).is_none());
        let (second, denied) = admission.enter();
        assert!(denied.is_none());
        assert_eq!(admission.hellos_exceed(2), Some(1));
        assert_eq!(admission.hellos_exceed(1), None, "a member within its share");
        first.leave_hello();
        assert!(!first.awaits_hello() && second.awaits_hello());
        assert_eq!(admission.hellos_exceed(2), None);
        let (third, denied) = admission.enter();
        assert_eq!(denied.unwrap().0.name, "too-many-connections");
        drop((first, second, third));
        assert_eq!((admission.connections.now(), admission.hellos.now()), (0, 0));
        assert!(admission.peers.is_empty());
    }

    fn with_one_per_peer() -> Admission {
        Admission::new(ServerLimits { per_peer: Some(1), ..ServerLimits::default() }, 2)
    }

    /// A connection of a client, and the rule that is against it.
    fn enter(admission: &Admission, client: &str) -> (Places, Option<&'static str>) {
        let (mut places, denied) = admission.enter();
        assert!(denied.is_none());
        let denied = admission.enter_peer(&mut places, address(client));
        (places, denied.map(|(rule, _)| rule.name))
    }

    #[test]
    fn a_peer_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        let admission = with_one_per_peer();
        for (first, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"),
        ] {
            let (held, denied) = enter(&admission, first);
            assert_eq!(denied, None);
            let (refused, denied) = enter(&admission, same);
            assert_eq!(denied, Some("too-many-from-peer"), "{same}");
            assert_eq!(enter(&admission, other).1, None, "{other}");
            drop(refused);
            assert_eq!(admission.peers.len(), 1);
            drop(held);
            assert!(admission.peers.is_empty());
        }
    }

    #[test]
    fn counting_is_exact_when_many_threads_do_it() {
        let admission = with_one_per_peer();
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let admission = &admission;
                scope.spawn(move || {
                    for round in 0..2000_u32 {
                        let last = u8::try_from(round % 5).unwrap() + thread % 2;
                        let (mut places, _) = admission.enter();
                        let client = IpAddr::from([192, 0, 2, last]);
                        let _ = admission.enter_peer(&mut places, client);
                    }
                });
            }
        });
        assert_eq!((admission.connections.now(), admission.peers.len()), (0, 0));
    }
}
