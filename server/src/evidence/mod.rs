//! Evidence: who spoke what with whom, for the person who has to prove it.
//!
//! Purpose: an aggregated report like the summary records of z/OS's zERT (SMF 119, subtype 12): for
//! each combination of service, protocol, suite, group, signature and keys the number of
//! connections and failed handshakes, bytes, and when it was first and last seen; beside it the
//! addresses of those who were served, and of those who were not with the best they offered. It is
//! made from log files, or kept by a running daemon as it goes.
//!
//! Invariants: both ways go through [`Observation`](observation::Observation) and
//! [`Book`], so they agree; memory is bounded whatever clients do, and what found no
//! place is counted; text that a client chose is harmless in every form of the report.
//!
//! What it does not do: know a rule. Verdicts are the records' own, and where a record has none for
//! a mode that is asked about, `engine::compliance` is asked. It reads the JSON log only: the text
//! form is for people.

mod best;
pub mod book;
mod chart;
mod codes;
mod forecast;
pub mod html;
pub mod input;
pub mod observation;
pub mod report;
pub mod since;
pub mod table;
pub mod text;

pub use book::{Book, Limits};
pub use report::Report;
