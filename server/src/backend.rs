//! The places a service's connections go to, and what is known about their health.
//!
//! Purpose: a backend that does not answer costs the clients that try it their time, so it is left
//! alone for a while. The first failure of an attempt puts it at the end of the order and starts a
//! back-off, which doubles with each further try up to a maximum; when it is over, one connection
//! (not all of them) tries the backend again. The first success makes it as good as new.
//!
//! Invariants: the state is shared by all members of the process; a backend that is up costs one
//! relaxed load. That a backend is down only changes the order: when no other one works it is
//! tried all the same, so nothing is refused without an attempt. A change is told to exactly one
//! caller, who logs it.
//!
//! Source: passive health checks as in haproxy (`observe`, `on-error`) and nginx (`fail_timeout`).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use engine::backend::BackendName;

use crate::config::schema::{Backend, BackendAddress, HealthPolicy, TlsBackend};

/// One address of one backend of a service.
#[derive(Debug)]
pub struct Target {
    /// The backend, as configured.
    pub name: Arc<str>,
    /// Where to connect.
    pub address: BackendAddress,
    /// The name its certificate must be for, where TLS is spoken.
    pub tls_name: Option<BackendName>,
    /// Whether that works.
    pub health: Health,
}

/// Each address of each backend, in the order in which they are tried. With `tls` each of them has
/// a name: the one that is configured, or its own; one that could have none is left out.
#[must_use]
pub fn targets(
    backends: &[Backend],
    policy: HealthPolicy,
    tls: Option<&TlsBackend>,
) -> Vec<Target> {
    let of_backend = |backend: &Backend| {
        let name: Arc<str> = backend.text.as_str().into();
        let address = |address: &BackendAddress| Target {
            name: Arc::clone(&name),
            address: address.clone(),
            tls_name: tls.and_then(|tls| tls.name_of(backend)),
            health: Health::new(policy),
        };
        backend.addresses.iter().map(address).collect::<Vec<_>>()
    };
    let targets = backends.iter().flat_map(of_backend);
    targets.filter(|target| tls.is_none() || target.tls_name.is_some()).collect()
}

/// Health of a target.
#[derive(Debug)]
pub struct Health {
    policy: HealthPolicy,
    down: AtomicBool,
    /// Failed attempts since the start.
    failures: AtomicU64,
    /// Looked at only while the target is down, or when that changes.
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    since: SystemTime,
    /// Set while the target is down.
    back_off: Option<BackOff>,
}

#[derive(Debug, Clone, Copy)]
struct BackOff {
    delay: Duration,
    next_try: Instant,
}

/// What is known about a target at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Whether the last attempt came to anything.
    pub up: bool,
    /// Since when.
    pub since: SystemTime,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Time to the next attempt; none when it is up.
    pub next_try: Option<Duration>,
}

impl Health {
    /// A target that has not failed yet.
    #[must_use]
    pub fn new(policy: HealthPolicy) -> Self {
        Self {
            policy,
            down: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            state: Mutex::new(State { since: SystemTime::now(), back_off: None }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing below panics while it holds the lock; the state is whole in any case.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the target's turn in the configured order counts. Of those that ask when a back-off
    /// is over, one is told so; for the others the next, longer one has begun.
    #[must_use]
    pub fn may_try(&self, now: Instant) -> bool {
        if !self.down.load(Ordering::Relaxed) {
            return true;
        }
        match &mut self.state().back_off {
            None => true,
            Some(back_off) if now < back_off.next_try => false,
            Some(back_off) => {
                back_off.delay = (back_off.delay * 2).min(self.policy.retry_max);
                back_off.next_try = now + jittered(back_off.delay);
                true
            }
        }
    }

    /// Notes that an attempt failed. True when the target was up until now.
    #[must_use]
    pub fn failed(&self, now: Instant) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        if state.back_off.is_some() {
            return false;
        }
        let delay = self.policy.retry;
        let next_try = now + jittered(delay);
        *state = State { since: SystemTime::now(), back_off: Some(BackOff { delay, next_try }) };
        self.down.store(true, Ordering::Relaxed);
        true
    }

    /// Notes that an attempt succeeded. True when the target was down until now.
    #[must_use]
    pub fn works(&self) -> bool {
        if !self.down.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state();
        if state.back_off.is_none() {
            return false;
        }
        *state = State { since: SystemTime::now(), back_off: None };
        self.down.store(false, Ordering::Relaxed);
        true
    }

    /// What is known.
    #[must_use]
    pub fn view(&self, now: Instant) -> View {
        let State { since, back_off } = *self.state();
        View {
            up: back_off.is_none(),
            since,
            failures: self.failures.load(Ordering::Relaxed),
            next_try: back_off.map(|b| b.next_try.saturating_duration_since(now)),
        }
    }
}

/// Three quarters of `delay` up to all of it, so that many processes that lost one backend do not
/// come back to it in step. Not a secret, so the seed of a hash map will do.
fn jittered(delay: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let part = u32::try_from(random % 256).unwrap_or_default();
    delay - delay / 4 * part / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: HealthPolicy =
        HealthPolicy { retry: Duration::from_secs(4), retry_max: Duration::from_secs(10) };

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn one_caller_hears_of_a_change() {
        let (health, now) = (Health::new(POLICY), Instant::now());
        assert!(health.may_try(now) && !health.works());
        assert!(health.failed(now));
        assert!(!health.failed(now), "it was down already");
        assert!(health.works());
        assert!(!health.works(), "it was up already");
        let view = health.view(now);
        assert!(view.up && view.failures == 2 && view.next_try.is_none());
    }

    #[test]
    fn after_a_back_off_one_caller_may_try_and_the_next_one_is_twice_as_long() {
        let (health, start) = (Health::new(POLICY), Instant::now());
        assert!(health.failed(start));
        assert!(!health.may_try(at(start, 2)), "three seconds at least");
        assert!(health.may_try(at(start, 4)));
        assert!(!health.may_try(at(start, 4)), "one of them is enough");
        assert!(!health.may_try(at(start, 9)), "six seconds at least");
        assert!(health.may_try(at(start, 12)));
        let next = health.view(at(start, 12)).next_try.unwrap();
        assert!(next <= POLICY.retry_max && next > POLICY.retry_max / 2, "{next:?}");
    }

    #[test]
    fn a_success_forgets_the_back_off() {
        let (health, start) = (Health::new(POLICY), Instant::now());
        assert!(health.failed(start) && health.may_try(at(start, 4)) && health.works());
        assert!(health.failed(at(start, 5)));
        let next = health.view(at(start, 5)).next_try.unwrap();
        assert!(next <= POLICY.retry, "{next:?}");
    }

    #[test]
    fn jitter_takes_at_most_a_quarter_away() {
        for _ in 0..1000 {
            let delay = jittered(Duration::from_secs(4));
            assert!(delay > Duration::from_secs(3) && delay <= Duration::from_secs(4));
        }
    }
}
