//! Finds the descendants of this process in `/proc`, and signals all of them.
//!
//! A signal never reaches an unrelated process. The kernel confirms that a child is ours, and its
//! number is not reused until we reap it. For a deeper descendant a pidfd is opened first; it is
//! signalled only if it still has the parent that it was found with, or if that one has ended
//! meanwhile, which makes it our child. A process that is missed is found by a later pass.

use core::ffi::CStr;

use crate::kernel::{self, Errno, Fd};

/// How many processes one pass signals, and how many threads and children it looks at. So a process
/// that creates them without end cannot prolong a pass.
pub(crate) const MOST: usize = 16 << 10;

/// The process id of a process and of its parent, as bytes.
pub(crate) type Found = [u8; 8];

/// The highest process id (`PID_MAX_LIMIT` of the kernel).
const HIGHEST: u32 = 4 << 20;

/// How many process ids one call checks.
const STEP: u32 = 64 << 10;

/// Signals all descendants that one pass finds, parents first, and returns how many. `None` if
/// `/proc` cannot be used: it is missing, or belongs to another pid namespace.
pub(crate) fn signal(signal: u32, found: &mut [Found]) -> Option<u32> {
    let me = kernel::pid();
    if !counts_as_we_do(me) {
        return None;
    }
    let (mut count, mut next, mut parent) = (0, 0, me);
    let mut looks = MOST;
    loop {
        let looked = each_child(parent, &mut looks, |child| {
            if let Some(place) = found.get_mut(count) {
                *place = (u64::from(child) | u64::from(parent) << 32).to_le_bytes();
                count += 1;
            }
        });
        if looked.is_none() && parent == me {
            return None;
        }
        let Some((child, _)) = found.get(..count).and_then(|found| found.get(next)).map(pair) else { break };
        (parent, next) = (child, next + 1);
    }
    for (pid, parent) in found.iter().take(count).map(pair) {
        if parent == me {
            if kernel::check_child(pid) != Err(Errno::CHILD) {
                let _ = kernel::kill(pid, signal);
            }
        } else if let Ok(process) = kernel::open_process(pid) {
            if parent_of(pid).is_some_and(|now| now == parent || now == me) {
                kernel::signal_process(process, signal);
            }
            kernel::close(process);
        }
    }
    Some(count as u32)
}

fn pair(found: &Found) -> (u32, u32) {
    let both = u64::from_le_bytes(*found);
    (both as u32, (both >> 32) as u32)
}

/// Kills children without `/proc`, by asking the kernel about [`STEP`] process ids from `first` on.
/// Returns how many it has killed, and where to continue. If there were any, that is the same
/// range, because their children become ours. All ranges together take half a second.
pub(crate) fn kill_children(first: u32) -> (u32, u32) {
    let end = first.saturating_add(STEP);
    let children = (first..end).filter(|pid| kernel::check_child(*pid).is_ok());
    let count = children.filter(|pid| kernel::kill(*pid, kernel::SIGKILL).is_ok()).count();
    let next = if end > HIGHEST { 1 } else { end };
    (count as u32, if count > 0 { first } else { next })
}

/// Returns whether `/proc` belongs to our own pid namespace. It does not if the container has the
/// `/proc` of its host, or of an outer container.
fn counts_as_we_do(me: u32) -> bool {
    let mut wanted = Path::new(b"\nNSpid:\t");
    wanted.push_number(me);
    wanted.push(b"\n");
    let wanted = wanted.bytes.get(..wanted.length).unwrap_or_default();
    let mut buffer = [0; 8192];
    let Ok(file) = kernel::open(c"/proc/self/status") else { return false };
    let length = kernel::read(file, &mut buffer).unwrap_or(0);
    kernel::close(file);
    buffer.get(..length).unwrap_or_default().windows(wanted.len()).any(|part| part == wanted)
}

/// Visits the children of all threads of a process; `None` if it cannot be read.
fn each_child(pid: u32, looks: &mut usize, mut visit: impl FnMut(u32)) -> Option<()> {
    if *looks == 0 {
        return None;
    }
    let mut path = Path::new(b"/proc/");
    path.push_number(pid);
    path.push(b"/task");
    let directory = kernel::open(path.as_c_str()?).ok()?;
    let mut buffer = [0; 1024];
    let mut has_looked = None;
    while *looks > 0
        && let Ok(length @ 1..) = kernel::read_directory(directory, &mut buffer)
    {
        let mut entries = buffer.get(..length).unwrap_or_default();
        while let Some(Entry { name, rest }) = next_entry(entries) {
            entries = rest;
            let Some(thread) = number(name.to_bytes()) else { continue };
            if *looks == 0 {
                break;
            }
            *looks -= 1;
            let mut path = path.clone();
            path.push(b"/");
            path.push_number(thread);
            path.push(b"/children");
            if let Some(file) = path.as_c_str().and_then(|path| kernel::open(path).ok()) {
                each_number(file, looks, &mut visit);
                kernel::close(file);
                has_looked = Some(());
            }
        }
    }
    kernel::close(directory);
    has_looked
}

/// An entry of a directory, and those after it.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a CStr,
    pub(crate) rest: &'a [u8],
}

/// Returns the first entry, in the layout of getdents64(2).
pub(crate) fn next_entry(entries: &[u8]) -> Option<Entry<'_>> {
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    let length = u16::from_le_bytes([*entries.get(LENGTH)?, *entries.get(LENGTH + 1)?]);
    let name = CStr::from_bytes_until_nul(entries.get(NAME..length.into())?).ok()?;
    Some(Entry { name, rest: entries.get(length.into()..)? })
}

fn number(name: &[u8]) -> Option<u32> {
    name.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')))
    })
}

/// Visits the numbers in a file, each followed by a space.
fn each_number(file: Fd, looks: &mut usize, visit: &mut impl FnMut(u32)) {
    let mut buffer = [0; 4096];
    let mut number = 0_u32;
    while *looks > 0
        && let Ok(length @ 1..) = kernel::read(file, &mut buffer)
    {
        for byte in buffer.iter().take(length) {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
            } else {
                visit(number);
                number = 0;
                *looks = looks.saturating_sub(1);
            }
        }
    }
}

/// Returns the parent of a process.
fn parent_of(pid: u32) -> Option<u32> {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid);
    path.push(b"/stat");
    let file = kernel::open(path.as_c_str()?).ok()?;
    let mut buffer = [0; 512];
    let length = kernel::read(file, &mut buffer);
    kernel::close(file);
    // The name is in parentheses and may contain any others; the state and the parent follow it.
    let text = buffer.get(..length.ok()?)?;
    let fields = text.rsplit(|byte| *byte == b')').next()?;
    let parent = fields.split(|byte| *byte == b' ').nth(2)?;
    Some(parent.iter().fold(0, |number, byte| number * 10 + u32::from(byte.wrapping_sub(b'0'))))
}

/// A short path.
#[derive(Clone)]
struct Path {
    /// Zeroed after `length`.
    bytes: [u8; 64],
    length: usize,
}

impl Path {
    fn new(start: &[u8]) -> Self {
        let mut path = Self { bytes: [0; 64], length: 0 };
        path.push(start);
        path
    }

    fn push(&mut self, part: &[u8]) {
        for byte in part {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn push_number(&mut self, number: u32) {
        if number > 9 {
            self.push_number(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }

    fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}
