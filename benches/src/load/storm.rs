//! A closed loop of full handshakes: each client connects anew when it is established.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Events, Poll, Token};
use rustls::client::ClientConfig;

use super::client::{Client, any_certificate};
use crate::{Failure, clock};

/// How far the loop's own thread steps back behind pings and backend, which share its processor.
const NICE: i32 = 19;

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    handshakes: AtomicU64,
    failures: AtomicU64,
}

/// A running storm; ends when dropped.
#[derive(Debug)]
pub struct Storm {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    /// Starts `clients` clients in one thread on the given processors.
    ///
    /// # Errors
    /// Those of the system and of rustls.
    pub fn start(
        address: SocketAddr,
        clients: usize,
        processors: &[usize],
    ) -> Result<Self, Failure> {
        let shared = Arc::new(Shared::default());
        let config = any_certificate()?;
        let poll = Poll::new()?;
        let (inside, processors) = (Arc::clone(&shared), processors.to_vec());
        let thread = std::thread::Builder::new().name("storm".to_owned()).spawn(move || {
            // Not confined or not nice is worse, but still a storm; the table shows its rate.
            let _ = clock::pin(&processors);
            let _ = rustix::process::setpriority_process(None, NICE);
            if run(poll, address, clients, &config, &inside).is_err() {
                inside.failures.fetch_add(1, Relaxed);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Handshakes completed so far.
    #[must_use]
    pub fn handshakes(&self) -> u64 {
        self.shared.handshakes.load(Relaxed)
    }

    /// Handshakes that failed so far.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Relaxed)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed already.
            let _ = thread.join();
        }
    }
}

fn run(
    mut poll: Poll,
    address: SocketAddr,
    count: usize,
    config: &Arc<ClientConfig>,
    shared: &Shared,
) -> Result<(), Failure> {
    let mut clients = Vec::with_capacity(count);
    for key in 0..count {
        clients.push(Client::connect(address, config, poll.registry(), Token(key))?);
    }
    let mut events = Events::with_capacity(256);
    let mut ignored = Vec::new();
    while !shared.stop.load(Relaxed) {
        match poll.poll(&mut events, Some(Duration::from_millis(50))) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            let Token(key) = event.token();
            let Some(client) = clients.get_mut(key) else { continue };
            let counter = match client.advance(&mut ignored) {
                Ok(true) if !client.is_established() => continue,
                Ok(true) => &shared.handshakes,
                Ok(false) | Err(_) => &shared.failures,
            };
            counter.fetch_add(1, Relaxed);
            *client = Client::connect(address, config, poll.registry(), Token(key))?;
            ignored.clear();
        }
    }
    Ok(())
}
