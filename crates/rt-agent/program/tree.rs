//! The descendants of this process, as `/proc` shows them, and signals for all of them.
//!
//! A signal never reaches a stranger. A child of ours keeps its number until we reap it. Whoever is deeper is held by a
//! pidfd first, and signalled only if it has the parent that it was found with. Who is missed in the hurry is met again:
//! when the parent is gone, it is a child of ours.

use core::ffi::CStr;

use crate::kernel;

/// How many are signalled in one pass.
const MOST: usize = 1024;

/// Signals all descendants that are found in one pass, parents first; how many these are.
pub(crate) fn signal(signal: u32) -> u32 {
    let me = kernel::pid();
    let mut found = [(me, 0); MOST];
    let mut count = 1;
    let mut next = 0;
    while let Some((parent, _)) = found.get(..count).and_then(|found| found.get(next)).copied() {
        each_child(parent, |child| {
            if let Some(place) = found.get_mut(count) {
                *place = (child, parent);
                count += 1;
            }
        });
        next += 1;
    }
    for (pid, parent) in found.iter().take(count).skip(1).copied() {
        if parent == me {
            kernel::kill(pid, signal);
        } else if let Ok(process) = kernel::open_process(pid) {
            if parent_of(pid) == Some(parent) {
                kernel::signal_process(process, signal);
            }
            kernel::close(process);
        }
    }
    (count - 1) as u32
}

/// Visits the children of a process's first thread. Those of others become ours when it has ended.
fn each_child(pid: u32, mut visit: impl FnMut(u32)) {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid);
    path.push(b"/task/");
    path.push_number(pid);
    path.push(b"/children");
    let Some(file) = path.as_c_str().and_then(|path| kernel::open(path).ok()) else { return };
    let mut buffer = [0; 4096];
    let mut number = 0_u32;
    while let Ok(length @ 1..) = kernel::read(file, &mut buffer) {
        for byte in buffer.iter().take(length) {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
            } else {
                visit(number);
                number = 0;
            }
        }
    }
    kernel::close(file);
}

/// The parent of a process.
fn parent_of(pid: u32) -> Option<u32> {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid);
    path.push(b"/stat");
    let file = kernel::open(path.as_c_str()?).ok()?;
    let mut buffer = [0; 512];
    let length = kernel::read(file, &mut buffer);
    kernel::close(file);
    // Its name stands in brackets, and may hold any others; the state and the parent come behind it.
    let text = buffer.get(..length.ok()?)?;
    let fields = text.rsplit(|byte| *byte == b')').next()?;
    let parent = fields.split(|byte| *byte == b' ').nth(2)?;
    Some(parent.iter().fold(0, |number, byte| number * 10 + u32::from(byte.wrapping_sub(b'0'))))
}

/// A short path.
struct Path {
    /// Zeroed behind `length`.
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
