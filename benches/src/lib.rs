//! Micro-benchmarks of the pieces a handshake and a record are made of.
//!
//! Purpose: say what one piece costs, and notice when it starts to cost more. One question per
//! file: `record` (what does a record cost), `handshake` (what does the key schedule cost without
//! the private key), `queue` (what does a signature cost by way of a card).
//!
//! Deliberately not here: claims. Those come from dated reports with host, commands and spread. The
//! cards are simulated: a thread of this host does their work, so a figure of `queue` must not be
//! read as a figure of hardware.

/// Sizes of a record: a keystroke, a screen of a terminal, a full packet, a full record.
pub const RECORD_SIZES: [usize; 4] = [16, 1920, 1400, 16_384];
