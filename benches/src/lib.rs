//! What Adjunct costs: tools for measuring it, shared by the benchmarks of this package.
//!
//! Purpose: say what one piece costs, and notice when it starts to cost more. The criterion files
//! answer one question each about a piece (`record`, `handshake`, `queue`, `hello`, `certs`);
//! `provider` and `fiber` compare in one run; the program `adjunct-bench` puts load on any TLS
//! endpoint, counts instructions and says where the daemon's time goes. How to run and how to read
//! them is in the README of this package.
//!
//! Invariants: what is compared is run alternately in one process, so that a noisy neighbour hits
//! both sides; cost is CPU time from the clocks of threads, not time on the wall; a figure is a
//! median and stands with its quartiles; a benchmark never passes or fails.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`cli`] | the commands of `adjunct-bench` |
//! | [`clock`] | CPU clocks of threads and processes, pinning |
//! | [`cpu`] | CPU time of a process tree by class of thread |
//! | [`cost`] | our daemon with and without each of its means: `adjunct-bench cost` |
//! | [`profile`] | instructions, time and system calls by class of function |
//! | [`report`] | a measurement as a directory: raw lines, summary, page, pictures, comparison |
//! | [`spread`] | medians and quartiles, A/B rounds |
//! | [`table`] | aligned tables |
//! | [`pki`] | throwaway certificates |
//! | [`memory`] | handshakes and records without sockets |
//! | [`provider`] | the two providers and their inline signers |
//! | [`daemon`] | the daemon under test as a child process |
//! | [`load`] | the load: handshakes, bulk data, pings, idle connections, and the backend |
//! | [`outcome`] | what a run of the load came to, as a table and as a line of JSON |
//! | [`peers`] | other servers under the same load |
//! | [`report`] | a measurement as a directory: raw lines, summary, page, pictures, comparison |
//!
//! Deliberately not here: claims. Those come from dated reports with host, commands and spread. The
//! cards are simulated: a thread of this host does their work, so a figure of `queue`, `fiber` or
//! `storm` must not be read as a figure of hardware.

pub mod cli;
pub mod clock;
pub mod cost;
pub mod cpu;
pub mod daemon;
pub mod load;
pub mod memory;
pub mod outcome;
pub mod peers;
pub mod pki;
pub mod profile;
pub mod provider;
pub mod report;
pub mod spread;
pub mod table;

/// Sizes of a record: a keystroke, a screen of a terminal, a full packet, a full record.
pub const RECORD_SIZES: [usize; 4] = [16, 1920, 1400, 16_384];

/// What a benchmark ends with when a precondition is broken: the text says what.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
