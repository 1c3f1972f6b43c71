//! The handshake self-test at start: every kind of handshake a service is configured for, once, on
//! a painted stack. Where flights do not run on fibers the stack is left out.
//!
//! Purpose: find out before the first client comes that the cards sign, that the client's view of
//! the signature agrees, and that a handshake uses less than half of its stack. A stack that is too
//! small would otherwise show itself as a crash at the guard region under the first unusual client.
//! Where clients are asked for certificates, the verification of theirs is part of it (`client`).

mod client;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use cex::KeyKind;
use rustls::client::ClientConnection;
use rustls::{NamedGroup, SignatureScheme};

use crate::certs::{Certificate, ClientAuth};
use crate::connection::{Connection, Progress};
use crate::crypto::Crypto;
use crate::error::Error;
use crate::handshake::execution::Execution;
use crate::handshake::stack::STACK_BYTES;
use crate::member::Member;
use crate::probe::Probe;
use crate::provider::sign::schemes;
use crate::rules;
use crate::service::{Service, ServiceSet};
use client::Chain;

/// A card that has not answered a single request by then does not work.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rounds of a handshake in memory; a real one needs four.
const ROUNDS_MAX: usize = 32;

/// What the self-test of one service found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StackUse {
    /// Handshakes made.
    pub handshakes: usize,
    /// Bytes of stack used by the deepest of them.
    pub bytes_max: usize,
}

/// Kinds of handshakes that were made already: key, TLS 1.3 or 1.2, group, chain of the client.
#[derive(Debug, Default)]
pub struct Tested(HashSet<(KeyKind, bool, Option<u16>, Option<&'static str>)>);

/// Makes one handshake of each kind `service` is configured for, if another service has not made
/// it before: hundreds of services of one kind do not make a start slower.
///
/// # Errors
///
/// When one does not succeed or uses more than half of its stack (on fibers).
pub fn handshakes(
    crypto: &Arc<Crypto>,
    execution: &Execution,
    service: &Arc<Service>,
    tested: &mut Tested,
) -> Result<StackUse, Error> {
    handshakes_within(STACK_BYTES / 2, crypto, execution, service, tested)
}

/// The same with another bound for the stack.
fn handshakes_within(
    stack_max: usize,
    crypto: &Arc<Crypto>,
    execution: &Execution,
    service: &Arc<Service>,
    tested: &mut Tested,
) -> Result<StackUse, Error> {
    let (member, woken) = a_member(crypto, execution);
    let on_fibers = matches!(execution, Execution::Fiber);
    let bench = Bench { member: &member, woken: &woken, on_fibers };
    let mut stack_use = StackUse::default();
    let asks = !matches!(service.client_auth(), ClientAuth::None);
    for certificate in service.certificates() {
        for (tls13, group) in kinds(service, certificate) {
            let mut made = |chain: Option<&'static Chain>| {
                let name = chain.map(|chain| chain.name);
                // The client's certificate comes in a flight of its own: the group is no matter.
                let group = group.filter(|_| chain.is_none());
                if !tested.0.insert((certificate.kind, tls13, group.map(u16::from), name)) {
                    return Ok(());
                }
                let kind = Kind { tls13, group, schemes: schemes(certificate.kind), chain };
                bench.make(service, &kind).map_err(|what| failed(service, &what))?;
                stack_use.handshakes += 1;
                if on_fibers {
                    stack_use.bytes_max = stack_use.bytes_max.max(member.stack_bytes_used());
                }
                Ok(())
            };
            made(None)?;
            for chain in client::CHAINS.iter().filter(|chain| asks && !chain.is_blocked()) {
                made(Some(chain))?;
            }
        }
    }
    if stack_use.bytes_max > stack_max {
        let what = format!(
            "a handshake used {} of {STACK_BYTES} bytes of stack, where {stack_max} are allowed",
            stack_use.bytes_max
        );
        return Err(failed(service, &what));
    }
    Ok(stack_use)
}

/// A pool member for one connection, and what wakes it.
fn a_member(crypto: &Arc<Crypto>, execution: &Execution) -> (Member, Receiver<()>) {
    let (wake, woken) = sync_channel(1);
    let wake = move || {
        // A full channel means that the wake-up is there already.
        let _ = wake.try_send(());
    };
    let (crypto, execution) = (Arc::clone(crypto), execution.clone());
    (Member::new("self-test".to_owned(), crypto, execution, 1, wake), woken)
}

fn failed(service: &Service, what: &str) -> Error {
    Error::StackSelfTest { what: format!("service `{}`: {what}", service.name) }
}

/// Version and group of each handshake to be tried with a certificate.
fn kinds(service: &Service, certificate: &Certificate) -> Vec<(bool, Option<NamedGroup>)> {
    let mut kinds = Vec::new();
    if service.tls13 {
        let groups = service.tls.crypto_provider().kx_groups.iter();
        kinds.extend(groups.map(|group| (true, Some(group.name()))));
    }
    if service.serves_tls12(certificate) {
        // In TLS 1.2 the groups of the client also say which curves its certificates may be on.
        kinds.push((false, None));
    }
    kinds
}

/// One kind of handshake.
struct Kind {
    tls13: bool,
    group: Option<NamedGroup>,
    schemes: &'static [SignatureScheme],
    /// What the client shows, if anything.
    chain: Option<&'static Chain>,
}

/// Where handshakes are made.
struct Bench<'a> {
    member: &'a Member,
    woken: &'a Receiver<()>,
    /// A thread has a stack of megabytes and a guard of its own.
    on_fibers: bool,
}

impl Bench<'_> {
    /// Makes one handshake with a fresh painted stack.
    fn make(&self, service: &Arc<Service>, kind: &Kind) -> Result<(), String> {
        let (demand, shown) = match kind.chain {
            None => (ClientAuth::None, None),
            Some(chain) => (chain.demand()?, Some(chain.client()?)),
        };
        let probe = Probe::for_self_test(kind.tls13, kind.group, kind.schemes, shown)
            .map_err(|e| e.to_string())?;
        let service = &service.with_client_auth(demand).map_err(|e| e.to_string())?;
        if self.on_fibers {
            self.member.paint_a_stack().map_err(|e| e.to_string())?;
        }
        let handshake = Handshake { member: self.member, woken: self.woken, service };
        let (_, server) = handshake.run(&probe)?;
        match (server.refusal(), kind.chain) {
            (None, None) => Ok(()),
            (Some(refusal), Some(_)) if refusal.rule == rules::CLIENT_CERT_UNPROVEN.name => Ok(()),
            (Some(refusal), _) => Err(format!("{}: {}", refusal.rule, refusal.reason)),
            (None, Some(chain)) => Err(format!(
                "a client without the key of its {} certificate was let in",
                chain.name
            )),
        }
    }
}

/// A client and a server in memory.
struct Handshake<'a> {
    member: &'a Member,
    woken: &'a Receiver<()>,
    service: &'a Arc<Service>,
}

impl Handshake<'_> {
    /// Both ends, established or the client refused.
    fn run(&self, probe: &Probe) -> Result<(ClientConnection, Connection), String> {
        let name = self.service.a_name();
        let mut client = probe.connection(&name).map_err(|e| e.to_string())?;
        let set = ServiceSet::new(vec![Arc::clone(self.service)]);
        let mut server = Connection::new(set, 0);
        for _ in 0..ROUNDS_MAX {
            self.to_server(&mut client, &mut server)?;
            let progress = self.advance(&mut server)?;
            if progress == Progress::Failed {
                return Ok((client, server));
            }
            to_client(&mut server, &mut client)?;
            if progress == Progress::Established && !client.is_handshaking() {
                return Ok((client, server));
            }
        }
        Err(format!("the handshake was not complete after {ROUNDS_MAX} rounds"))
    }

    fn to_server(
        &self,
        client: &mut ClientConnection,
        server: &mut Connection,
    ) -> Result<(), String> {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).map_err(|e| e.to_string())?;
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let space = server.input_space(self.member);
            let count = space.len().min(rest.len());
            if count == 0 {
                return Err("the hello does not fit the buffer".to_owned());
            }
            space[..count].copy_from_slice(&rest[..count]);
            server.received(count);
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Advances the server until it wants the client again.
    fn advance(&self, server: &mut Connection) -> Result<Progress, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut progress = server.advance(self.member);
        loop {
            match progress {
                Progress::HelloRead => progress = server.advance(self.member),
                Progress::Suspended => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if self.woken.recv_timeout(left).is_err() {
                        return Err(format!("no card answered within {PATIENCE:?}"));
                    }
                    for reply in self.member.replies(PATIENCE) {
                        progress = server.complete(self.member, reply);
                    }
                }
                other => return Ok(other),
            }
        }
    }
}

pub(crate) fn to_client(
    server: &mut Connection,
    client: &mut ClientConnection,
) -> Result<(), String> {
    while !server.output().is_empty() {
        let mut output = server.output();
        let count = client.read_tls(&mut output).map_err(|e| e.to_string())?;
        server.sent(count);
        client.process_new_packets().map_err(|e| format!("the client says: {e}"))?;
    }
    Ok(())
}
