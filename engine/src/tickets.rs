//! Session tickets and the TLS 1.2 session-ID cache.
//!
//! Purpose: resumption avoids the card altogether, so all members of the pool share one ring of
//! ticket keys. Each service encrypts with a subkey of its own,
//! HKDF(ring key, service, rules of the service): rustls checks only suite, extended master secret
//! and server name when it resumes and does not ask for a client certificate again, so a shared
//! key would let a ticket of one service (or of an older rule set) open another.
//!
//! Invariants: no ticket code suspends a fiber; a key that left the ring opens nothing; a ticket
//! that cannot be opened leads to a full handshake, never to an error. A session ends with the
//! certificate that its client has shown, whatever the lifetime of the ticket.
//!
//! Source: RFC 5077 §4 (ticket form), RFC 8446 §4.6.1, RFC 5246 §7.3 (session IDs).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cpacf::aead::{Algorithm, Opener, Sealer};
use cpacf::{digest, kdf, prno};
use rustls::pki_types::UnixTime;
use rustls::server::{ProducesTickets, StoresServerSessions};
use zeroize::Zeroizing;

use crate::handshake::context::{self, NO_END};

const NAME_LEN: usize = 16;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const TIME_LEN: usize = 8;
const OVERHEAD: usize = NAME_LEN + NONCE_LEN + 2 * TIME_LEN + TAG_LEN;

/// The associated data of a ticket; a change of form gets a new one.
const TICKET_FORM: &[u8] = b"adjunct ticket 3";

/// Bytes of a session that are kept, here or in a ticket. It holds the client's chain, so a client
/// decides how long it is; one with a longer chain gets a full handshake each time. System SSL
/// clients take tickets up to the same size (`GSK_SESSION_TICKET_CLIENT_MAXSIZE`).
const SESSION_BYTES_MAX: usize = 8192;

/// One key of the ring.
struct RingKey {
    name: [u8; NAME_LEN],
    secret: Zeroizing<[u8; 32]>,
    made: Instant,
}

impl RingKey {
    fn generate(now: Instant) -> Result<Self, cpacf::Error> {
        let mut name = [0; NAME_LEN];
        let mut secret = Zeroizing::new([0; 32]);
        prno::fill(&mut name)?;
        prno::fill(secret.as_mut())?;
        Ok(Self { name, secret, made: now })
    }
}

/// Ticket keys shared by all members: the newest encrypts, all of them decrypt.
pub struct TicketRing {
    keys: RwLock<VecDeque<RingKey>>,
    rotate_after: Duration,
    lifetime: Duration,
}

impl fmt::Debug for TicketRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketRing")
            .field("rotate_after", &self.rotate_after)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl TicketRing {
    /// A ring with one fresh key.
    ///
    /// # Errors
    ///
    /// When no random bytes can be had.
    pub fn new(
        rotate_after: Duration,
        lifetime: Duration,
        now: Instant,
    ) -> Result<Arc<Self>, cpacf::Error> {
        let keys = RwLock::new(VecDeque::from([RingKey::generate(now)?]));
        Ok(Arc::new(Self { keys, rotate_after, lifetime }))
    }

    /// Makes a new key when the newest is old enough and retires those whose tickets have expired.
    ///
    /// # Errors
    ///
    /// When no random bytes can be had; the ring then stays as it is.
    pub fn rotate(&self, now: Instant) -> Result<(), cpacf::Error> {
        let due = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.front().is_none_or(|k| now.saturating_duration_since(k.made) >= self.rotate_after)
        };
        if !due {
            return Ok(());
        }
        let fresh = RingKey::generate(now)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.push_front(fresh);
        // A key encrypts for `rotate_after`; its last ticket lives for `lifetime` after that.
        let oldest = self.rotate_after + self.lifetime;
        keys.retain(|k| now.saturating_duration_since(k.made) < oldest);
        Ok(())
    }

    /// Number of keys in the ring.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether the ring has no key; it never has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn newest(&self) -> Option<[u8; NAME_LEN]> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).front().map(|k| k.name)
    }

    /// The subkey of one service under the ring key `name`.
    fn subkey(&self, name: &[u8; NAME_LEN], context: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let ring_key = keys.iter().find(|k| k.name == *name)?;
        let prk = kdf::hkdf_extract(
            digest::Algorithm::Sha256,
            Some(TICKET_FORM),
            ring_key.secret.as_ref(),
        )
        .ok()?;
        let mut subkey = Zeroizing::new([0; 32]);
        prk.expand(&[context], subkey.as_mut()).ok()?;
        Some(subkey)
    }

    fn knows(&self, name: &[u8; NAME_LEN]) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().any(|k| k.name == *name)
    }
}

/// The keys of one service under one ring key, set up once.
struct ServiceKey {
    name: [u8; NAME_LEN],
    sealer: Sealer,
    opener: Opener,
}

/// Makes and opens the tickets of one service.
pub struct ServiceTicketer {
    ring: Arc<TicketRing>,
    /// What separates this service from the others: hash of its name and rules.
    context: digest::Digest,
    derived: RwLock<Vec<Arc<ServiceKey>>>,
}

impl fmt::Debug for ServiceTicketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTicketer").field("ring", &self.ring).finish_non_exhaustive()
    }
}

impl ServiceTicketer {
    /// A ticketer for the service with the given name and rules (client authentication, CA,
    /// policy), in any stable form.
    ///
    /// # Errors
    ///
    /// When SHA-256 is blocked.
    pub fn new(
        ring: Arc<TicketRing>,
        service: &str,
        rules: &[u8],
    ) -> Result<Arc<Self>, cpacf::Error> {
        let mut hash = digest::Context::new(digest::Algorithm::Sha256)?;
        // The length keeps a name from running into the rules.
        hash.update(&(service.len() as u64).to_be_bytes());
        hash.update(service.as_bytes());
        hash.update(rules);
        Ok(Arc::new(Self { ring, context: hash.finish(), derived: RwLock::new(Vec::new()) }))
    }

    /// The service key under the ring key `name`, derived on first use.
    fn key(&self, name: &[u8; NAME_LEN]) -> Option<Arc<ServiceKey>> {
        // The ring is asked first: a retired key opens nothing, even while it is still derived.
        if !self.ring.knows(name) {
            return None;
        }
        {
            let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = derived.iter().find(|k| k.name == *name) {
                return Some(Arc::clone(key));
            }
        }
        let subkey = self.ring.subkey(name, self.context.as_ref())?;
        let key = Arc::new(ServiceKey {
            name: *name,
            sealer: Sealer::new(Algorithm::Aes256Gcm, subkey.as_ref()).ok()?,
            opener: Opener::new(Algorithm::Aes256Gcm, subkey.as_ref()).ok()?,
        });
        let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
        derived.retain(|k| self.ring.knows(&k.name) && k.name != *name);
        derived.push(Arc::clone(&key));
        Some(key)
    }
}

impl ProducesTickets for ServiceTicketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.ring.lifetime.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, UnixTime::now().as_secs())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, UnixTime::now().as_secs())
    }
}

/// Times are in seconds since 1970.
impl ServiceTicketer {
    /// name (16) ‖ nonce (12) ‖ sealed (made (8) ‖ end (8) ‖ session) ‖ tag (16)
    fn seal(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        if plain.len() > SESSION_BYTES_MAX {
            return None;
        }
        let key = self.key(&self.ring.newest()?)?;
        let mut nonce = [0; NONCE_LEN];
        // Not drawn ahead: resumed twice, one snapshot of a machine would use it twice.
        prno::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(OVERHEAD + plain.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(&now.to_be_bytes());
        ticket.extend_from_slice(&session_end().to_be_bytes());
        ticket.extend_from_slice(plain);
        let tag = key.sealer.seal(&nonce, TICKET_FORM, &mut ticket[NAME_LEN + NONCE_LEN..]);
        ticket.extend_from_slice(&tag);
        Some(ticket)
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let key = self.key(name)?;
        let mut sealed = sealed.to_vec();
        let plain_len = key.opener.open(nonce, TICKET_FORM, &mut sealed).ok()?.len();
        sealed.truncate(plain_len);
        let (made, sealed) = sealed.split_first_chunk::<TIME_LEN>()?;
        let (end, session) = sealed.split_first_chunk::<TIME_LEN>()?;
        // The ring keeps a key for as long as its last ticket lives; its first is older then.
        let age = now.saturating_sub(u64::from_be_bytes(*made));
        if age > self.ring.lifetime.as_secs() {
            return None;
        }
        goes_on_until(u64::from_be_bytes(*end)).then(|| session.to_vec())
    }
}

/// When the session of the handshake on this thread ends because a certificate of its client does,
/// in seconds since 1970.
fn session_end() -> u64 {
    context::current().map_or(NO_END, |context| context.session_end())
}

/// Whether a session that ends at `end` can be resumed now. If so, the sessions that come of it
/// end then, too.
fn goes_on_until(end: u64) -> bool {
    if UnixTime::now().as_secs() > end {
        return false;
    }
    if let Some(context) = context::current() {
        context.set_session_end(end);
    }
    true
}

/// What the session cache holds for one session ID.
struct Session {
    state: Zeroizing<Vec<u8>>,
    end: u64,
    stored: Instant,
}

#[derive(Default)]
struct Sessions {
    by_id: HashMap<Vec<u8>, Session>,
    /// Session IDs in the order they were stored; the oldest goes first when the cache is full.
    order: VecDeque<Vec<u8>>,
}

/// Bounded cache of TLS 1.2 sessions by session ID, one per service, shared by all members.
///
/// The SSL server pool of z/VM keeps the same thing in a shared segment (`SSLDCSSM`).
pub struct SessionCache {
    sessions: Mutex<Sessions>,
    capacity: usize,
    lifetime: Duration,
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl SessionCache {
    /// A cache of at most `capacity` sessions, each good for `lifetime`.
    #[must_use]
    pub fn new(capacity: usize, lifetime: Duration) -> Arc<Self> {
        Arc::new(Self { sessions: Mutex::default(), capacity, lifetime })
    }

    fn resume(&self, session: &Session) -> Option<Vec<u8>> {
        let young = session.stored.elapsed() < self.lifetime;
        (young && goes_on_until(session.end)).then(|| session.state.to_vec())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        if self.capacity == 0 || value.len() > SESSION_BYTES_MAX {
            return false;
        }
        let state = Zeroizing::new(value);
        let session = Session { state, end: session_end(), stored: Instant::now() };
        let mut sessions = self.lock();
        if sessions.by_id.insert(key.clone(), session).is_none() {
            sessions.order.push_back(key);
        }
        while sessions.by_id.len() > self.capacity {
            let Some(oldest) = sessions.order.pop_front() else { break };
            sessions.by_id.remove(&oldest);
        }
        // `take` leaves names behind; do not let them pile up.
        if sessions.order.len() > 2 * self.capacity {
            let Sessions { by_id, order } = &mut *sessions;
            order.retain(|id| by_id.contains_key(id));
        }
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let sessions = self.lock();
        self.resume(sessions.by_id.get(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let session = self.lock().by_id.remove(key)?;
        self.resume(&session)
    }

    fn can_cache(&self) -> bool {
        self.capacity > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(now: Instant) -> Arc<TicketRing> {
        TicketRing::new(Duration::from_secs(60), Duration::from_secs(120), now).unwrap()
    }

    #[test]
    fn a_ticket_opens_for_its_own_service_and_rules_only() {
        let ring = ring(Instant::now());
        let a = ServiceTicketer::new(Arc::clone(&ring), "a", b"rules").unwrap();
        let again = ServiceTicketer::new(Arc::clone(&ring), "a", b"rules").unwrap();
        let b = ServiceTicketer::new(Arc::clone(&ring), "b", b"rules").unwrap();
        let stricter = ServiceTicketer::new(ring, "a", b"other rules").unwrap();
        let ticket = a.encrypt(b"session").unwrap();
        assert_eq!(a.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(again.decrypt(&ticket).as_deref(), Some(&b"session"[..]), "another member");
        assert_eq!(b.decrypt(&ticket), None);
        assert_eq!(stricter.decrypt(&ticket), None);
    }

    #[test]
    fn a_service_name_cannot_run_into_its_rules() {
        let ring = ring(Instant::now());
        let a = ServiceTicketer::new(Arc::clone(&ring), "ab", b"c").unwrap();
        let b = ServiceTicketer::new(ring, "a", b"bc").unwrap();
        assert_eq!(b.decrypt(&a.encrypt(b"session").unwrap()), None);
    }

    #[test]
    fn tickets_survive_a_rotation_and_die_with_their_key() {
        let start = Instant::now();
        let ring = ring(start);
        let ticketer = ServiceTicketer::new(Arc::clone(&ring), "a", b"").unwrap();
        let old = ticketer.encrypt(b"session").unwrap();
        ring.rotate(start + Duration::from_secs(59)).unwrap();
        assert_eq!(ring.len(), 1, "not due yet");
        ring.rotate(start + Duration::from_secs(61)).unwrap();
        assert_eq!(ring.len(), 2);
        let new = ticketer.encrypt(b"session").unwrap();
        assert_ne!(old[..NAME_LEN], new[..NAME_LEN]);
        assert!(ticketer.decrypt(&old).is_some());
        ring.rotate(start + Duration::from_secs(181)).unwrap();
        assert!(ticketer.decrypt(&old).is_none());
        assert!(ticketer.decrypt(&new).is_some());
    }

    #[test]
    fn a_ticket_is_not_opened_after_its_lifetime_although_its_key_still_is_there() {
        let ticketer = ServiceTicketer::new(ring(Instant::now()), "a", b"").unwrap();
        let ticket = ticketer.seal(b"session", 1_000).unwrap();
        assert!(ticketer.open(&ticket, 1_120).is_some());
        assert!(ticketer.open(&ticket, 1_121).is_none());
    }

    #[test]
    fn a_damaged_or_short_ticket_is_no_ticket() {
        let ticketer = ServiceTicketer::new(ring(Instant::now()), "a", b"").unwrap();
        let ticket = ticketer.encrypt(b"session").unwrap();
        for position in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[position] ^= 1;
            assert_eq!(ticketer.decrypt(&damaged), None, "byte {position}");
            assert_eq!(ticketer.decrypt(&ticket[..position]), None, "cut at {position}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let ticketer = ServiceTicketer::new(ring(Instant::now()), "a", b"").unwrap();
        let cache = SessionCache::new(2, Duration::from_secs(60));
        for (length, kept) in [(SESSION_BYTES_MAX, true), (SESSION_BYTES_MAX + 1, false)] {
            let session = vec![7; length];
            assert_eq!(ticketer.encrypt(&session).is_some(), kept);
            assert_eq!(cache.put(vec![1], session), kept);
        }
    }

    #[test]
    fn a_session_that_has_ended_does_not_go_on() {
        let now = UnixTime::now().as_secs();
        assert!(goes_on_until(NO_END) && goes_on_until(now + 60));
        assert!(!goes_on_until(now - 1) && !goes_on_until(0));
    }

    #[test]
    fn the_session_cache_is_bounded_and_forgets_the_oldest() {
        let cache = SessionCache::new(2, Duration::from_secs(60));
        for id in 0..3u8 {
            assert!(cache.put(vec![id], vec![id]));
        }
        assert_eq!(cache.get(&[0]), None);
        assert_eq!(cache.get(&[2]), Some(vec![2]));
        assert_eq!(cache.take(&[2]), Some(vec![2]));
        assert_eq!(cache.take(&[2]), None);
        for id in 0..100u8 {
            cache.put(vec![id], vec![id]);
            cache.take(&[id]);
        }
        assert!(cache.lock().order.len() <= 5);
    }

    #[test]
    fn an_expired_session_is_not_resumed() {
        let cache = SessionCache::new(2, Duration::ZERO);
        cache.put(vec![1], vec![1]);
        assert_eq!(cache.get(&[1]), None);
    }
}
