//! Where the instructions, the time and the system calls go.
//!
//! Purpose: two instruments. [`count`] counts the instructions of hot paths in memory under
//! callgrind: the same on every machine, so a trend. [`daemon`] divides the CPU time of the running
//! daemon among kernel, cryptography, rustls and ourselves by samples of perf, and counts its
//! system calls by strace.
//!
//! Invariants: functions are classed in one place ([`class`]); a count is the difference of a run
//! and one of twice the length, so that what happens once is in neither; a tool that is missing is
//! named with its package.
//!
//! What it does not do: it judges nothing. Which saving is promising is for a reader to say.

pub mod callgrind;
pub mod class;
pub mod count;
pub mod daemon;
pub mod page;
pub mod path;
pub mod perf;
pub mod strace;
