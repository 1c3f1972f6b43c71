//! Adjunct beside the servers that do the same work.
//!
//! Purpose: cost of a handshake, of a megabyte, of an idle connection, in the same run, with the
//! same certificates, clients and backend, on the same processor as haproxy, nginx, hitch, stunnel
//! and whatever else a file describes.
//!
//! Invariants: one server lives at a time; rounds go through all servers, their order rotated, so
//! that a busy neighbour falls on all of them; a ratio is taken within a round; what a server
//! cannot do is told with its reason, never left out or filled with a number.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`definition`] | what a peer is: one TOML file |
//! | [`server`], [`group`] | a peer as a running server, a process group of its own |
//! | [`contender`] | who is compared: a peer, or Adjunct in one of its ways |
//! | [`scenario`] | what is compared, how much of it, and the targets |
//! | [`measure`] | one run |
//! | [`rounds`] | all runs of a scenario, and ratios |
//! | [`page`] | the report |
//!
//! Deliberately not here: claims. The simulated cards of Adjunct are threads on the same processor;
//! their time is in every total, and shown apart.

pub mod contender;
pub mod definition;
pub mod group;
pub mod measure;
pub mod page;
pub mod rounds;
pub mod scenario;
pub mod server;

/// The name of Adjunct in tables, and the beginning of those of its other ways.
pub const ADJUNCT: &str = "adjunct";
