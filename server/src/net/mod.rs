//! Sockets: listeners, event loops, connections, backends.
//!
//! One [`worker`] is one pool member: one thread, one epoll, its own listening sockets
//! (`SO_REUSEPORT`), its own connections. Workers share nothing on the data path but counters.
//!
//! The way of a connection: [`listener`] → [`worker`] → [`session`] (handshake through
//! `engine::connection`) → [`dial`] → [`relay`] → one record.

mod admit;
mod backend_tls;
mod company;
mod conversation;
pub mod dial;
mod draft;
mod end;
pub mod endpoint;
mod front;
pub mod gauges;
pub mod ledger;
mod linger;
pub mod listener;
pub mod queues;
pub mod relay;
pub mod session;
mod slice;
mod streams;
pub mod timers;
pub mod watch;
pub mod worker;
