//! The rows of what a mode would do: each client under each mode.

use std::borrow::Cow;
use std::net::IpAddr;

use engine::compliance::Mode;

use super::super::forecast::{self, MODES, Outlook, Unsaid};
use super::super::observation::Observation;
use super::super::report::{CONNECTS, FAILS, PeerRow, UNDECIDED, WhatIf};
use super::{Book, Span, address};

/// Texts kept of each kind.
const NOTES: usize = 6;

impl Book {
    /// Every client under a mode: the worst first, then by service and address.
    pub(super) fn what_if(&self, mode: Mode) -> WhatIf {
        let at = forecast::place(mode);
        let mut rows: Vec<(u8, Option<IpAddr>, PeerRow)> = (self.peers.index.iter())
            .filter_map(|(key, place)| {
                let peer = self.peers.rows.get(*place)?;
                let (rank, row) = peer.row(key, peer.tallies.get(at)?)?;
                Some((rank, key.peer, row))
            })
            .collect();
        rows.sort_by(|(a_rank, a_peer, a), (b_rank, b_peer, b)| {
            (a_rank, &a.service, a_peer).cmp(&(b_rank, &b.service, b_peer))
        });
        let peers = rows.into_iter().map(|(_, _, row)| row).collect();
        WhatIf { mode: mode.name().to_owned(), peers }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PeerKey<'a> {
    service: Cow<'a, str>,
    peer: Option<IpAddr>,
}

impl<'a> PeerKey<'a> {
    pub(super) fn of(seen: &'a Observation<'_>) -> Self {
        Self { service: Cow::Borrowed(&seen.service), peer: seen.peer }
    }

    pub(super) fn into_owned(self) -> PeerKey<'static> {
        PeerKey { service: Cow::Owned(self.service.into_owned()), peer: self.peer }
    }
}

/// What each mode would have done to the connections of a client.
#[derive(Debug, Default)]
pub(super) struct Peer {
    seen: Span,
    tallies: [Tally; MODES],
}

#[derive(Debug, Default)]
struct Tally {
    failing: u64,
    undecided: u64,
    connecting: u64,
    resumed: u64,
    failed: Span,
    rules: Vec<String>,
    missing: Vec<String>,
    unsaid: Vec<Unsaid>,
}

/// Adds a text that is not there yet, as long as there are few.
fn note(texts: &mut Vec<String>, text: &str) {
    if texts.len() < NOTES && !texts.iter().any(|known| known == text) {
        texts.push(text.to_owned());
    }
}

impl Peer {
    pub(super) fn add(&mut self, seen: &Observation<'_>, outlooks: &[Outlook; MODES]) {
        self.seen.add(seen.time);
        for (tally, outlook) in self.tallies.iter_mut().zip(outlooks) {
            match outlook {
                Outlook::Connects => tally.connecting += 1,
                Outlook::Resumed => tally.resumed += 1,
                Outlook::Undecided(unsaid) => {
                    tally.undecided += 1;
                    if tally.unsaid.len() < NOTES && !tally.unsaid.contains(unsaid) {
                        tally.unsaid.push(*unsaid);
                    }
                }
                Outlook::Fails { rule, missing } => {
                    tally.failing += 1;
                    tally.failed.add(seen.time);
                    note(&mut tally.rules, rule);
                    missing.iter().for_each(|text| note(&mut tally.missing, text));
                }
                Outlook::Silent => {}
            }
        }
    }

    /// The row under one mode, and its rank; none if nothing can be said.
    fn row(&self, key: &PeerKey<'_>, tally: &Tally) -> Option<(u8, PeerRow)> {
        let alone = "only resumed sessions were seen";
        let (rank, outlook, missing) = match tally {
            Tally { failing: 1.., .. } => (0, FAILS, tally.missing.clone()),
            Tally { undecided: 1.., .. } => {
                (1, UNDECIDED, tally.unsaid.iter().map(ToString::to_string).collect())
            }
            Tally { connecting: 1.., .. } => (2, CONNECTS, Vec::new()),
            Tally { resumed: 1.., .. } => (1, UNDECIDED, vec![alone.to_owned()]),
            _ => return None,
        };
        // A session that is resumed follows the handshake that began it.
        let follows = |of: bool| if of { tally.resumed } else { 0 };
        let row = PeerRow {
            peer: address(key.peer),
            service: key.service.to_string(),
            outlook: outlook.to_owned(),
            failing: tally.failing,
            undecided: tally.undecided + follows(rank == 1),
            connecting: tally.connecting + follows(rank == 2),
            rules: tally.rules.clone(),
            missing,
            last_failing: tally.failed.last(),
            last_seen: self.seen.last(),
        };
        Some((rank, row))
    }
}
