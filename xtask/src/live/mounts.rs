//! Mount points below a directory. They matter before a directory is removed: a bind mount that is
//! still there would lead the removal into somebody's files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::Task;
use crate::failure::{Failure, Result};

/// Unmounts everything below `dir`; an error names what stays.
pub(super) fn release(dir: &Path) -> Result<()> {
    // Plainly first; a mount that is busy is then taken out of sight and goes with its last user.
    for flags in [&[][..], &["-l"][..]] {
        for point in current(dir) {
            let words = flags.iter().map(OsString::from).chain([point.into_os_string()]);
            let _ =
                Task::new("umount").args(words).limit(Duration::from_secs(20)).ignore_signals().captured();
        }
    }
    match current(dir).first() {
        None => Ok(()),
        Some(point) => Err(Failure::new(format!("{} is still mounted", point.display()))),
    }
}

/// The mount points below `dir`, the deepest and latest first.
fn current(dir: &Path) -> Vec<PathBuf> {
    below(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(), dir)
}

fn below(mountinfo: &str, dir: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    let mut points: Vec<_> = points.filter(|point| point.starts_with(dir) && point != dir).collect();
    // The kernel lists a mount after the one it stands on.
    points.reverse();
    points
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let (b'\\', Some(decoded)) = (byte, code) {
            out.push(decoded);
            at += 4;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_counts_and_the_latest_comes_first() {
        let text = "\
22 1 0:20 / / rw - ext4 /dev/vda rw
30 22 0:30 / /tmp/s rw - tmpfs tmpfs rw
31 30 0:30 /o /tmp/s/root/overlay rw - tmpfs tmpfs rw
32 31 0:31 / /tmp/s/root/overlay/a\\040b/merged rw shared:1 - overlay overlay rw
33 22 0:33 / /tmp/sibling rw - tmpfs tmpfs rw
";
        let points = below(text, Path::new("/tmp/s"));
        assert_eq!(points, ["/tmp/s/root/overlay/a b/merged", "/tmp/s/root/overlay"].map(PathBuf::from));
    }
}
