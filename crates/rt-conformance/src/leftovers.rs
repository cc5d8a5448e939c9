//! What a case leaves behind in this process: descriptors, threads and children, counted before and
//! after each case.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rt_protocol::Until;

/// One count. Each entry has a number and a text for people.
#[derive(Debug)]
pub(crate) struct ResourceSnapshot {
    descriptors: BTreeMap<u64, String>,
    threads: BTreeMap<u64, String>,
    children: BTreeMap<u64, String>,
}

/// How long leftovers may take to disappear: a detached thread that is ending, a child that is
/// being reaped.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often this is checked. The kernel gives no notice when a thread is gone.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

impl ResourceSnapshot {
    /// Counts; `None` if the system has no `/proc`.
    pub(crate) fn take() -> Option<Self> {
        let read_link = |path: &Path| fs::read_link(path).ok().map(|link| link.display().to_string());
        let mut descriptors = numbered("/proc/self/fd", read_link)?;
        // The directory that is being read.
        descriptors.retain(|_, link| !link.ends_with("/fd"));
        let comm =
            |path: &Path| fs::read_to_string(path.join("comm")).ok().map(|name| name.trim_end().to_owned());
        let threads = numbered("/proc/self/task", comm)?;
        let own = u64::from(std::process::id());
        let children = numbered("/proc", |path| child_of(own, path))?;
        Some(Self { descriptors, threads, children })
    }

    /// Waits, within a limit, until nothing is left that this count does not contain.
    ///
    /// # Errors
    /// What is left.
    pub(crate) fn wait_for_release(&self) -> Result<(), String> {
        let timeout = Until::after(RELEASE_TIMEOUT);
        loop {
            let Some(now) = Self::take() else { return Ok(()) };
            let left = now.leftovers_since(self);
            if left.is_empty() {
                return Ok(());
            }
            if timeout.sleep(POLL_INTERVAL).is_err() {
                return Err(format!("left behind: {}", left.join(", ")));
            }
        }
    }

    fn leftovers_since(&self, before: &Self) -> Vec<String> {
        let mut left = Vec::new();
        for (what, now, before) in [
            ("descriptor", &self.descriptors, &before.descriptors),
            ("thread", &self.threads, &before.threads),
            ("child process", &self.children, &before.children),
        ] {
            // An entry may be replaced, such as a log file that is reopened or a helper that is
            // restarted. Only an additional entry is a leak.
            if now.len() > before.len() {
                let fresh = now.iter().filter(|(number, _)| !before.contains_key(number));
                left.extend(fresh.map(|(number, text)| format!("{what} {number} ({text})")));
            }
        }
        left
    }
}

/// Returns the entries of a directory whose names are numbers. Entries that vanish while it is read
/// do not count.
fn numbered(directory: &str, describe: impl Fn(&Path) -> Option<String>) -> Option<BTreeMap<u64, String>> {
    let entries = fs::read_dir(directory).ok()?;
    Some(
        entries
            .flatten()
            .filter_map(|entry| {
                let number = entry.file_name().to_str()?.parse().ok()?;
                Some((number, describe(&entry.path())?))
            })
            .collect(),
    )
}

/// Returns the name and state of a process if `parent` is its parent. proc(5): `PID (NAME) STATE
/// PPID …`. A name may contain any character, including parentheses.
fn child_of(parent: u64, path: &Path) -> Option<String> {
    let stat = fs::read(path.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (name, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    (fields.next()?.parse() == Ok(parent))
        .then(|| format!("{}), {state}", name.split_once(' ').map_or(name, |it| it.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_seen_and_what_is_gone_is_not() {
        let Some(before) = ResourceSnapshot::take() else { return };
        let held = fs::File::open("/dev/null").unwrap();
        let now = ResourceSnapshot::take().unwrap();
        assert!(now.descriptors.values().any(|link| link == "/dev/null"), "{now:?}");
        drop(held);
        assert!(!before.threads.is_empty(), "{before:?}");
    }
}
