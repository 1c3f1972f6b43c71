//! Counts connections by what was negotiated and by who was there.
//!
//! Purpose: the figures of zERT's summary records (one row for each combination of protocol
//! parameters, with counts, bytes and times), and beside them the addresses: who was served how,
//! and who was refused by which rule with what in its offer.
//!
//! Invariants: memory is bounded by [`Limits`] whatever clients do. A table that is full takes no
//! new row; what it had to leave out is counted in [`Overflow`], rows that are there count on, and
//! the totals are always right. No row is ever given up for another, so strangers cannot push out
//! of the book what was seen before them; and they cannot take all places of the refused, since
//! clients that never spoke TLS get at most half of these.

mod peers;
mod rows;
#[cfg(test)]
pub(super) mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::SystemTime;

use engine::compliance::Mode;

use super::forecast::{self, Outlook};
use super::observation::Observation;
use super::report::{
    ClientRow, Negotiated, Overflow, RefusedRow, Report, SessionRow, Totals as TotalsRow,
};
use crate::observe::time::rfc3339;
use peers::{Peer, PeerKey};
use rows::{Client, Refused, RefusedKey, Session, SessionKey};

/// Most rows of each table.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Combinations of parameters.
    pub sessions: usize,
    /// Clients that were served, by address and combination.
    pub clients: usize,
    /// Clients that were not, by address, service and rule.
    pub refused: usize,
    /// Clients under each mode, by address and service.
    pub peers: usize,
}

impl Limits {
    /// Of a daemon: about 10 MiB when every table is full.
    pub const DAEMON: Self = Self { sessions: 1024, clients: 4096, refused: 4096, peers: 4096 };
    /// Of a report from files: a few hundred MiB at worst, in a process that ends.
    pub const FILES: Self =
        Self { sessions: 65_536, clients: 262_144, refused: 262_144, peers: 262_144 };
}

/// The book.
#[derive(Debug)]
pub struct Book {
    limits: Limits,
    totals: Totals,
    sessions: Shelf<SessionKey<'static>, Session>,
    clients: Shelf<(usize, Option<IpAddr>), Client>,
    refused: Shelf<RefusedKey<'static>, Refused>,
    peers: Shelf<PeerKey<'static>, Peer>,
    overflow: Overflow,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            totals: Totals::default(),
            sessions: Shelf::default(),
            clients: Shelf::default(),
            refused: Shelf::default(),
            peers: Shelf::default(),
            overflow: Overflow::default(),
        }
    }

    /// Enters a connection.
    pub fn add(&mut self, seen: &Observation<'_>) {
        self.totals.add(seen);
        // What never was TLS negotiated nothing.
        let session = if seen.is_noise() { None } else { self.session(seen) };
        // Who was served without TLS was served.
        let was_served = seen.established || (seen.in_clear && seen.rule.is_empty());
        if !was_served {
            self.add_refused(seen);
        } else if let Some(session) = session {
            self.add_client(session, seen);
        }
        self.add_outlooks(seen);
    }

    /// What each mode would have done.
    fn add_outlooks(&mut self, seen: &Observation<'_>) {
        let outlooks = forecast::outlooks(seen);
        if outlooks.iter().all(|outlook| *outlook == Outlook::Silent) {
            return;
        }
        let key = PeerKey::of(seen);
        let found = find(&self.peers, &key);
        let make = || (key.into_owned(), Peer::default());
        match found.or_else(|| self.peers.put(self.limits.peers, make)) {
            Some(at) => {
                self.peers.rows.get_mut(at).into_iter().for_each(|row| row.add(seen, &outlooks));
            }
            None => self.overflow.what_if += 1,
        }
    }

    /// The row of what was negotiated.
    fn session(&mut self, seen: &Observation<'_>) -> Option<usize> {
        let key = SessionKey::of(seen);
        let found = find(&self.sessions, &key);
        let make = || (key.into_owned(), Session::default());
        let Some(at) = found.or_else(|| self.sessions.put(self.limits.sessions, make)) else {
            self.overflow.sessions += 1;
            return None;
        };
        self.sessions.rows.get_mut(at)?.add(seen);
        Some(at)
    }

    fn add_client(&mut self, session: usize, seen: &Observation<'_>) {
        let key = (session, seen.peer);
        let found = find(&self.clients, &key);
        let make = || (key, Client::default());
        match found.or_else(|| self.clients.put(self.limits.clients, make)) {
            Some(at) => self.clients.rows.get_mut(at).into_iter().for_each(|row| row.add(seen)),
            None => self.overflow.clients += 1,
        }
    }

    fn add_refused(&mut self, seen: &Observation<'_>) {
        let key = RefusedKey::of(seen);
        let found = find(&self.refused, &key);
        let heard = seen.offer.is_some();
        let limit = if heard { self.limits.refused } else { self.limits.refused / 2 };
        let make = || (key.into_owned(), Refused::default());
        match found.or_else(|| self.refused.put(limit, make)) {
            Some(at) => self.refused.rows.get_mut(at).into_iter().for_each(|row| row.add(seen)),
            None => self.overflow.refused += 1,
        }
    }

    /// Everything in the book, in an order that does not depend on chance: sessions by the number
    /// of their connections, the others by service, protocol or rule, and address. `what_if` adds
    /// what a mode would do.
    #[must_use]
    pub fn report(&self, what_if: Option<Mode>) -> Report {
        let names: Vec<(Negotiated, usize)> =
            self.sessions.index.iter().map(|(key, at)| (key.negotiated(), *at)).collect();
        let mut by_place = vec![Negotiated::default(); names.len()];
        for (negotiated, at) in &names {
            if let Some(place) = by_place.get_mut(*at) {
                place.clone_from(negotiated);
            }
        }
        let mut sessions: Vec<SessionRow> = names
            .into_iter()
            .filter_map(|(key, at)| Some(self.sessions.rows.get(at)?.row(key)))
            .collect();
        sessions.sort_by(|a, b| {
            let most = (b.connections + b.failed).cmp(&(a.connections + a.failed));
            most.then_with(|| a.negotiated.cmp(&b.negotiated))
        });
        let mut clients: Vec<(Option<IpAddr>, ClientRow)> = (self.clients.index.iter())
            .filter_map(|(&(session, peer), at)| {
                let negotiated = by_place.get(session)?.clone();
                Some((peer, self.clients.rows.get(*at)?.row(address(peer), negotiated)))
            })
            .collect();
        clients.sort_by(|(at, a), (bt, b)| {
            let (a, b) = (&a.negotiated, &b.negotiated);
            (&a.service, &a.protocol, at, a).cmp(&(&b.service, &b.protocol, bt, b))
        });
        let mut refused: Vec<(Option<IpAddr>, RefusedRow)> = (self.refused.index.iter())
            .filter_map(|(key, at)| Some((key.peer, self.refused.rows.get(*at)?.row(key))))
            .collect();
        refused
            .sort_by(|(at, a), (bt, b)| (&a.service, &a.rule, at).cmp(&(&b.service, &b.rule, bt)));
        Report {
            made: rfc3339(SystemTime::now()),
            totals: self.totals.row(),
            sessions,
            clients: clients.into_iter().map(|(_, row)| row).collect(),
            refused: refused.into_iter().map(|(_, row)| row).collect(),
            what_if: what_if.map(|mode| self.what_if(mode)),
            overflow: self.overflow,
            ..Report::default()
        }
    }
}

/// An address for a reader.
fn address(peer: Option<IpAddr>) -> String {
    peer.map_or_else(String::new, |peer| peer.to_string())
}

/// Rows that are found by a key and never taken away.
#[derive(Debug)]
struct Shelf<K, V> {
    index: HashMap<K, usize>,
    rows: Vec<V>,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { index: HashMap::new(), rows: Vec::new() }
    }
}

impl<K: Hash + Eq, V> Shelf<K, V> {
    /// A new row, unless there are `limit` already.
    fn put(&mut self, limit: usize, make: impl FnOnce() -> (K, V)) -> Option<usize> {
        let at = self.rows.len();
        if at >= limit {
            return None;
        }
        let (key, value) = make();
        self.index.insert(key, at);
        self.rows.push(value);
        Some(at)
    }
}

/// The place of a row. Not a method: behind a shared reference the shelf of owned keys is one of
/// borrowed keys too, so that nothing is copied only to look.
fn find<K: Hash + Eq, V>(shelf: &Shelf<K, V>, key: &K) -> Option<usize> {
    shelf.index.get(key).copied()
}

/// When something was seen.
#[derive(Debug, Clone, Copy, Default)]
struct Span(Option<(SystemTime, SystemTime)>);

impl Span {
    fn add(&mut self, time: SystemTime) {
        let (first, last) = self.0.unwrap_or((time, time));
        self.0 = Some((first.min(time), last.max(time)));
    }

    /// Whether nothing later than `time` was seen yet. Files may come in any order.
    fn is_latest(&self, time: SystemTime) -> bool {
        self.0.is_none_or(|(_, last)| last <= time)
    }

    fn first(self) -> String {
        self.0.map_or_else(String::new, |(first, _)| rfc3339(first))
    }

    fn last(self) -> String {
        self.0.map_or_else(String::new, |(_, last)| rfc3339(last))
    }
}

#[derive(Debug, Default)]
struct Totals {
    counts: TotalsRow,
    seen: Span,
}

impl Totals {
    fn add(&mut self, seen: &Observation<'_>) {
        let counts = &mut self.counts;
        counts.connections += 1;
        if seen.established {
            counts.established += 1;
            counts.resumed += u64::from(seen.resumed);
        } else if seen.is_noise() {
            counts.noise += 1;
        } else {
            counts.failed += 1;
        }
        counts.bytes_in = counts.bytes_in.saturating_add(seen.bytes_in);
        counts.bytes_out = counts.bytes_out.saturating_add(seen.bytes_out);
        self.seen.add(seen.time);
    }

    fn row(&self) -> TotalsRow {
        TotalsRow {
            first_seen: self.seen.first(),
            last_seen: self.seen.last(),
            ..self.counts.clone()
        }
    }
}
