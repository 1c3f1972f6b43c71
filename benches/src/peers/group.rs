//! A process group of our own: a server with all its workers.
//!
//! Invariants: the group is made by the child's start and named by the child's id, so ending it
//! reaches everything the server has started and nothing else; a group that lives is in a list, so
//! that a signal to the benchmark takes it along ([`end_all`]): a group of its own does not get the
//! Ctrl-C of the terminal.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::Failure;

/// How long the members of an ended group may take to disappear.
const PATIENCE: Duration = Duration::from_secs(5);

static LIVING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A child and everything it starts.
#[derive(Debug)]
pub struct Group {
    child: Child,
}

impl Group {
    /// Starts the command as the first of a new group.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(command: &mut Command) -> Result<Self, Failure> {
        // The lock is held meanwhile: a signal finds either no child or one in the list.
        let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.process_group(0).spawn()?;
        living.insert(child.id());
        Ok(Self { child })
    }

    /// The id of the first process, and of the group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the first process has ended, if it has.
    ///
    /// # Errors
    /// Those of the system.
    pub fn status(&mut self) -> Result<Option<ExitStatus>, Failure> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.id();
        end(id);
        // The first one is ours to wait for; the others are adopted by init.
        let _ = self.child.wait();
        let deadline = Instant::now() + PATIENCE;
        while lives(id) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        LIVING.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Ends every group that lives: for a signal handler's thread, before the process exits.
pub fn end_all() {
    for id in LIVING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        end(*id);
    }
}

fn as_group(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// Nothing a server of ours holds is worth a farewell: its directory is temporary.
fn end(id: u32) {
    if let Some(group) = as_group(id) {
        // It may have ended already; there is nobody to tell.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn lives(id: u32) -> bool {
    as_group(id).is_some_and(|group| test_kill_process_group(group).is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The group in a line of `/proc/PID/stat`: the third field behind the name in parentheses.
    fn group_of(stat: &str) -> Option<u32> {
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(2)?.parse().ok()
    }

    #[test]
    fn what_a_child_has_started_ends_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & sleep 60 & wait"]);
        let group = Group::start(&mut command).unwrap();
        let id = group.id();
        let deadline = Instant::now() + PATIENCE;
        let members = || {
            let stats = fs::read_dir("/proc").unwrap().flatten();
            stats
                .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
                .filter(|stat| group_of(stat) == Some(id))
                .count()
        };
        while members() < 3 {
            assert!(Instant::now() < deadline, "three processes");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(lives(id));
        drop(group);
        assert!(!lives(id));
        assert_eq!(members(), 0);
    }
}
