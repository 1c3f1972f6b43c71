//! The evidence of a run with many kinds of clients, from its log and from the running daemon.
//!
//! Each kind of client comes from a loopback address of its own, so that the report can be asked
//! about it by address, as an operator would.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod clients;
mod page;
mod questions;
mod site;
mod what_if;
