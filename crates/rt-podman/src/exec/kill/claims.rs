//! The processes of commands that are being ended at this moment, so that none of them is taken for another command's.
//!
//! A command's first process may end long before its children: then nothing in `/proc` tells any more which exec they are of.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rt_process::procfs::ProcessEntry;

/// What the execs of one runtime have claimed, by pid and start.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<(u32, u64)>>);

impl Claims {
    pub(crate) fn add(&self, member: &ProcessEntry) {
        self.all().insert((member.pid, member.start_time));
    }

    pub(crate) fn remove(&self, members: &[ProcessEntry]) {
        let mut all = self.all();
        for member in members {
            all.remove(&(member.pid, member.start_time));
        }
    }

    pub(crate) fn has(&self, entry: &ProcessEntry) -> bool {
        self.all().contains(&(entry.pid, entry.start_time))
    }

    fn all(&self) -> MutexGuard<'_, HashSet<(u32, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
