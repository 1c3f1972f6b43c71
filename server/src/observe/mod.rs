//! What the daemon says: one record per connection, and events of the daemon itself.
//!
//! Purpose: turn `engine::record::Record` and [`Event`] into JSON lines or readable text and write
//! them where the configuration says, without ever holding up an event loop. Field names follow
//! OpenTelemetry's TLS registry where it has one; docs/reference/log.md lists them.
//!
//! Invariants: text that a peer chose (server name, ALPN) cannot break a line, move the cursor of a
//! terminal or grow without bound ([`escape`]). No key material, ticket or payload is in a record,
//! so none can be written. A full channel loses records, never time; the loss is counted and
//! written as an event.

pub mod escape;
pub mod event;
pub mod json;
pub mod log;
pub mod text;
pub mod time;

pub use event::{Event, Level};
pub use log::{Log, Writer};
