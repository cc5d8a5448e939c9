//! The processes of commands that are being ended now, so that none of them is taken for another
//! command's.
//!
//! A command's first process may end long before its children. Then nothing in `/proc` shows which
//! exec they belong to.

use std::collections::HashSet;
use std::sync::Mutex;

use rt_process::procfs::ProcessEntry;
use rt_protocol::sync::lock;

/// The processes claimed by the execs of one runtime, by pid and start time.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<(u32, u64)>>);

impl Claims {
    pub(crate) fn add(&self, member: &ProcessEntry) {
        lock(&self.0).insert((member.pid, member.start_time));
    }

    pub(crate) fn remove(&self, members: &[ProcessEntry]) {
        let mut all = lock(&self.0);
        for member in members {
            all.remove(&(member.pid, member.start_time));
        }
    }

    pub(crate) fn has(&self, entry: &ProcessEntry) -> bool {
        lock(&self.0).contains(&(entry.pid, entry.start_time))
    }
}
