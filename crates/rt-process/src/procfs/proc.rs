//! The process table on Linux: `/proc` read as proc(5) says, and pidfds.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::pipe_end::PipeEnd;
use super::process_entry::ProcessEntry;
use super::signal::Signal;

pub(crate) fn snapshot() -> io::Result<Vec<ProcessEntry>> {
    let mut entries = Vec::new();
    for item in fs::read_dir("/proc")? {
        let Some(pid) = item?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match entry(pid) {
            Ok(found) => entries.extend(found),
            // hidepid=1 lists processes of others and lets nobody read them.
            Err(hidden) if hidden.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

pub(crate) fn entry(pid: u32) -> io::Result<Option<ProcessEntry>> {
    let Some(stat) = none_if_gone(fs::read(format!("/proc/{pid}/stat")))? else { return Ok(None) };
    parse_stat(pid, &stat).map(Some).ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidData, format!("/proc/{pid}/stat is not as proc(5) says"))
    })
}

pub(crate) fn pids_since(pid: u32) -> io::Result<Vec<u32>> {
    // The last field is the number that was given last. Whatever comes meanwhile is younger still.
    let load = fs::read_to_string("/proc/loadavg")?;
    let last = load.split_ascii_whitespace().last().and_then(|last| last.parse::<u32>().ok());
    let last =
        last.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "/proc/loadavg is not as proc(5) says"))?;
    let is_since = |number: u32| if last >= pid { number > pid } else { number > pid || number <= last };
    let mut numbers = Vec::new();
    for item in fs::read_dir("/proc")? {
        numbers.extend(
            item?.file_name().to_str().and_then(|name| name.parse().ok()).filter(|number| is_since(*number)),
        );
    }
    Ok(numbers)
}

pub(crate) fn pipe_ends(pid: u32) -> io::Result<Option<Vec<PipeEnd>>> {
    let Some(descriptors) = none_if_gone(fs::read_dir(format!("/proc/{pid}/fd")))? else { return Ok(None) };
    let mut ends = Vec::new();
    for item in descriptors {
        let path = item?.path();
        let Some(fd) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Some(target) = none_if_gone(fs::read_link(&path))? else { continue };
        let pipe =
            target.to_str().and_then(|target| target.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok());
        let Some(pipe) = pipe else { continue };
        let Some(metadata) = none_if_gone(fs::symlink_metadata(&path))? else { continue };
        // The link's own mode shows how it is open: proc(5), `/proc/pid/fd`.
        ends.push(PipeEnd { fd, pipe, is_written: metadata.mode() & 0o200 != 0 });
    }
    Ok(Some(ends))
}

pub(crate) fn is_stopped(pid: u32) -> io::Result<bool> {
    Ok(field(pid, 3)?.is_some_and(|state| matches!(state.as_str(), "T" | "t")))
}

pub(crate) fn is_exiting(pid: u32) -> io::Result<bool> {
    /// `PF_EXITING` of the kernel's `include/linux/sched.h`, in field 9 of proc(5).
    const EXITING: u64 = 0x4;
    let flags = field(pid, 9)?.and_then(|flags| flags.parse::<u64>().ok());
    Ok(flags.is_none_or(|flags| flags & EXITING != 0))
}

pub(crate) fn is_being_killed(pid: u32) -> io::Result<bool> {
    /// Signal 9 in a mask of signals, where signal 1 is bit 0.
    const KILL: u64 = 1 << 8;
    let Some(status) = none_if_gone(fs::read(format!("/proc/{pid}/status")))? else { return Ok(true) };
    let is_pending = |line: &[u8]| {
        let mask = line.strip_prefix(b"SigPnd:").or_else(|| line.strip_prefix(b"ShdPnd:"))?;
        u64::from_str_radix(std::str::from_utf8(mask).ok()?.trim(), 16).ok().filter(|mask| mask & KILL != 0)
    };
    Ok(status.split(|byte| *byte == b'\n').find_map(is_pending).is_some() || is_exiting(pid)?)
}

/// A field of `/proc/PID/stat` behind the name, as proc(5) counts them; `None` when the process is gone.
fn field(pid: u32, number: usize) -> io::Result<Option<String>> {
    let Some(stat) = none_if_gone(fs::read(format!("/proc/{pid}/stat")))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&stat);
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    Ok(rest.split_ascii_whitespace().nth(number - 3).map(str::to_owned))
}

pub(crate) fn environment_has(pid: u32, name: &str, value: &str) -> io::Result<Option<bool>> {
    let wanted = format!("{name}={value}");
    let environment = none_if_gone(fs::read(format!("/proc/{pid}/environ")))?;
    match environment {
        Some(bytes) if !bytes.is_empty() => {
            Ok(Some(bytes.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())))
        }
        // Kernels differ in what they show of a process without memory of its own: nothing, or ESRCH.
        _ => Ok(entry(pid)?.filter(|entry| !entry.is_zombie).map(|_| false)),
    }
}

pub(crate) fn pid_namespace(pid: u32) -> io::Result<Option<u64>> {
    namespace(pid, "pid")
}

pub(crate) fn mount_namespace(pid: u32) -> io::Result<Option<u64>> {
    namespace(pid, "mnt")
}

fn namespace(pid: u32, kind: &str) -> io::Result<Option<u64>> {
    Ok(none_if_gone(fs::metadata(format!("/proc/{pid}/ns/{kind}")))?.map(|metadata| metadata.ino()))
}

pub(crate) fn is_namespace_init(pid: u32) -> io::Result<Option<bool>> {
    let Some(status) = none_if_gone(fs::read(format!("/proc/{pid}/status")))? else { return Ok(None) };
    // Its numbers from the outermost to the innermost namespace. The name above them has its newlines escaped.
    let numbers = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"));
    let innermost = numbers.and_then(|line| line.rsplit(u8::is_ascii_whitespace).next());
    Ok(Some(innermost == Some(b"1")))
}

pub(crate) fn cgroups(pid: u32) -> io::Result<Option<Vec<String>>> {
    let Some(text) = none_if_gone(fs::read(format!("/proc/{pid}/cgroup")))? else { return Ok(None) };
    // hierarchy:controllers:path
    let path = |line: &str| line.splitn(3, ':').nth(2).map(str::to_owned);
    Ok(Some(String::from_utf8_lossy(&text).lines().filter_map(path).collect()))
}

pub(crate) fn command_line(pid: u32) -> io::Result<Option<Vec<String>>> {
    let Some(words) = none_if_gone(fs::read(format!("/proc/{pid}/cmdline")))? else { return Ok(None) };
    let words = words.strip_suffix(&[0]).unwrap_or(&words);
    if words.is_empty() {
        return Ok(Some(Vec::new()));
    }
    Ok(Some(words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()))
}

pub(crate) fn environment_value(pid: u32, name: &str) -> io::Result<Option<String>> {
    let Some(environment) = none_if_gone(fs::read(format!("/proc/{pid}/environ")))? else { return Ok(None) };
    let value = |entry: &[u8]| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    Ok(environment.split(|byte| *byte == 0).find_map(value))
}

pub(crate) fn signal(meant: &ProcessEntry, signal: Signal) -> io::Result<bool> {
    let Some(pid) = i32::try_from(meant.pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
    let Some(pidfd) = none_if_gone(pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from))? else {
        return Ok(false);
    };
    // The pidfd stands for one process for good. If the number still leads to the process that was meant, now that the
    // pidfd is held, then the pidfd stands for that one.
    match entry(meant.pid)? {
        Some(now) if now.start_time == meant.start_time && !now.is_zombie => {}
        _ => return Ok(false),
    }
    let signal = match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
        Signal::Stop => rustix::process::Signal::STOP,
        Signal::Cont => rustix::process::Signal::CONT,
    };
    Ok(none_if_gone(pidfd_send_signal(&pidfd, signal).map_err(io::Error::from))?.is_some())
}

/// A process that ends between two looks shows as a missing file (ENOENT) or, in a file that was open, as ESRCH.
fn none_if_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `pid (comm) state ppid pgrp session … starttime …`. The comm is the process's own choice and may hold spaces,
/// parentheses and newlines; nothing after it holds a parenthesis.
fn parse_stat(pid: u32, stat: &[u8]) -> Option<ProcessEntry> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Numbers of fields as proc(5) counts them; the state is field 3.
    let field = |number: usize| fields.get(number - 3).copied();
    // A process on its way out shows -1 for its group and session.
    let id = |number| {
        field(number).and_then(|text| text.parse::<i64>().ok()).map(|id| u32::try_from(id).unwrap_or(0))
    };
    let has_more_threads = field(20)?.parse::<u32>().is_ok_and(|threads| threads > 1);
    Some(ProcessEntry {
        pid,
        parent: id(4)?,
        group: id(5)?,
        session: id(6)?,
        start_time: field(22)?.parse().ok()?,
        name,
        // A process whose first thread has ended shows as a zombie while others of its threads live on.
        is_zombie: matches!(field(3)?, "X" | "x") || field(3)? == "Z" && !has_more_threads,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "R 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 10";

    #[test]
    fn a_name_may_hold_anything() {
        for name in ["sh", "a b", ") S 1 1 (", "line\nbreak", "(", "))", ""] {
            let entry = parse_stat(7, format!("7 ({name}) {REST}").as_bytes()).unwrap();
            assert_eq!(entry.name, name);
            assert_eq!((entry.parent, entry.group, entry.session), (10, 20, 30));
            assert_eq!((entry.start_time, entry.is_zombie), (123_456, false));
        }
        let entry = parse_stat(7, b"7 (\xff) Z 0 -1 -1 0 -1 1 1 2 3 4 5 6 7 8 20 0 1 0 5\n").unwrap();
        assert_eq!((entry.name.as_str(), entry.group, entry.is_zombie), ("\u{fffd}", 0, true));
    }

    #[test]
    fn a_process_whose_other_threads_live_on_has_not_ended() {
        let state = |state: &str, threads: u32| {
            let stat = format!("7 (sh) {state} 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 5 6 7");
            let entry = parse_stat(7, stat.as_bytes()).unwrap();
            entry.is_zombie
        };
        assert_eq!([state("Z", 1), state("Z", 2), state("X", 0)], [true, false, true]);
        assert_eq!([state("T", 2), state("t", 1), state("S", 1)], [false; 3]);
    }

    #[test]
    fn a_process_tells_its_words_its_namespaces_and_its_groups() {
        let own = std::process::id();
        let words = command_line(own).unwrap().unwrap();
        assert_eq!(words, std::env::args().collect::<Vec<_>>());
        assert!(
            mount_namespace(own).unwrap().is_some()
                && mount_namespace(own).unwrap() != pid_namespace(own).unwrap()
        );
        assert!(cgroups(own).unwrap().unwrap().iter().all(|path| path.starts_with('/')));
        assert_eq!(
            (is_namespace_init(1).unwrap(), is_namespace_init(own).unwrap()),
            (Some(true), Some(own == 1))
        );
        let (name, value) = std::env::vars().next().unwrap();
        assert_eq!(environment_value(own, &name).unwrap(), Some(value));
        assert_eq!(environment_value(own, &name[..name.len() - 1]).unwrap(), None);
        let gone = u32::MAX / 2;
        assert_eq!((command_line(gone).unwrap(), cgroups(gone).unwrap()), (None, None));
    }

    #[test]
    fn what_is_no_stat_is_refused() {
        for text in ["", "7", "7 (sh)", "7 (sh R 1", "7 (sh) R 1 2 3", &format!("7 )sh( {REST}")] {
            assert_eq!(parse_stat(7, text.as_bytes()), None, "{text}");
        }
    }
}
