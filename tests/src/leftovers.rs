//! What a call may leave behind in this process: descriptors, threads, children.

use std::fs;
use std::time::{Duration, Instant};

/// Counts of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// Open descriptors and what they are open on.
    pub descriptors: Vec<String>,
    /// The names of the threads.
    pub threads: Vec<String>,
    /// Children, zombies included: pid and name.
    pub children: Vec<String>,
}

impl Leftovers {
    /// What there is now.
    pub fn now() -> Self {
        let listed = |path: &str| fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let mut descriptors: Vec<_> = listed("/proc/self/fd")
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            // The listing itself.
            .filter(|target| !target.ends_with("/fd"))
            .map(|target| target.split(':').next().unwrap_or_default().to_owned())
            .collect();
        descriptors.sort();
        let mut threads: Vec<_> = listed("/proc/self/task")
            .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .collect();
        threads.sort();
        let own = std::process::id();
        let children = rt_process::procfs::snapshot()
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| entry.parent == own)
            .map(|entry| format!("{} {}", entry.pid, entry.name))
            .collect();
        Self { descriptors, threads, children }
    }

    /// Whether this moment's counts come back to `before`; a thread that is just ending gets a
    /// moment.
    ///
    /// # Errors
    /// What is left.
    pub fn check_against(before: &Self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let now = Self::now();
            if now == *before {
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(3) {
                return Err(format!("left behind: before {before:?}, now {now:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
