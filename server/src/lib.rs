//! The daemon and its commands: sockets, configuration, operation.
//!
//! Invariants: only this crate knows sockets, paths, the command line and the configuration file;
//! `engine` gets bytes and plain values. Nothing here decides anything about cryptography.

pub mod admin;
pub mod admission;
pub mod backend;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod evidence;
pub mod exit;
pub mod fips;
pub mod glue;
pub mod keydb;
pub mod net;
pub mod observe;
pub mod order;
pub mod pacing;
pub mod provider;
pub mod proxy_protocol;
pub mod runtime;
pub mod scheduling;
pub mod snapshot;
pub mod status;

pub use cli::main;
