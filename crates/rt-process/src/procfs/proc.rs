//! The process table on Linux: `/proc` as described in proc(5), and pidfds.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rt_protocol::Signal;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::pipe_end::PipeEnd;
use super::process_entry::ProcessEntry;

pub(crate) fn snapshot() -> io::Result<Vec<ProcessEntry>> {
    let mut entries = Vec::new();
    for pid in pids()? {
        match entry(pid) {
            Ok(found) => entries.extend(found),
            // hidepid=1 lists other users' processes but forbids reading them.
            Err(hidden) if hidden.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

pub(crate) fn entry(pid: u32) -> io::Result<Option<ProcessEntry>> {
    let Some(stat) = read(pid, "stat")? else { return Ok(None) };
    parsed(pid, &stat).map(Some)
}

pub(crate) fn pids_since(pid: u32) -> io::Result<Vec<u32>> {
    // The last field is the number that was given last. Later processes are younger still.
    let load = fs::read_to_string("/proc/loadavg")?;
    let last = load.split_ascii_whitespace().last().and_then(|last| last.parse::<u32>().ok());
    let last =
        last.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "/proc/loadavg is not as proc(5) says"))?;
    let is_since = |number: u32| if last >= pid { number > pid } else { number > pid || number <= last };
    Ok(pids()?.into_iter().filter(|number| is_since(*number)).collect())
}

fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for item in fs::read_dir("/proc")? {
        pids.extend(item?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
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
        // The link's own mode shows how it was opened: proc(5), `/proc/pid/fd`.
        ends.push(PipeEnd { fd, pipe, is_written: metadata.mode() & 0o200 != 0 });
    }
    Ok(Some(ends))
}

pub(crate) fn is_stopped(pid: u32) -> io::Result<bool> {
    Ok(text(pid, "stat")?.is_some_and(|stat| matches!(field(&stat, 3), Some("T" | "t"))))
}

pub(crate) fn is_running(process: &ProcessEntry) -> io::Result<bool> {
    let Some(stat) = read(process.pid, "stat")? else { return Ok(false) };
    let now = parsed(process.pid, &stat)?;
    let is_same = now.start_time == process.start_time && !now.is_zombie;
    Ok(is_same && !is_exiting(&String::from_utf8_lossy(&stat)))
}

/// Returns whether `/proc/PID/stat` shows a process that is exiting.
fn is_exiting(stat: &str) -> bool {
    /// `PF_EXITING`.
    const EXITING: u64 = 0x4;
    flags(stat).is_none_or(|flags| flags & EXITING != 0)
}

pub(crate) fn has_executed(pid: u32) -> io::Result<Option<bool>> {
    /// `PF_FORKNOEXEC`.
    const FORKED: u64 = 0x40;
    Ok(text(pid, "stat")?.and_then(|stat| flags(&stat)).map(|flags| flags & FORKED == 0))
}

/// Returns field 9 of proc(5). Its bits are those of the kernel's `include/linux/sched.h`.
fn flags(stat: &str) -> Option<u64> {
    field(stat, 9)?.parse().ok()
}

pub(crate) fn is_being_killed(pid: u32) -> io::Result<bool> {
    /// Signal 9 in a mask of signals, where signal 1 is bit 0.
    const KILL: u64 = 1 << 8;
    let Some(status) = text(pid, "status")? else { return Ok(true) };
    let pending = ["SigPnd:", "ShdPnd:"].map(|name| mask(&status, name).unwrap_or(0));
    Ok(pending.iter().any(|mask| mask & KILL != 0) || text(pid, "stat")?.is_none_or(|stat| is_exiting(&stat)))
}

pub(crate) fn capability_bounds(pid: u32) -> io::Result<Option<u64>> {
    let Some(status) = text(pid, "status")? else { return Ok(None) };
    mask(&status, "CapBnd:").map(Some).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// Returns a mask of `/proc/PID/status`. The process's name, which is above all masks, has its
/// newlines escaped.
fn mask(status: &str, name: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Returns a field of `/proc/PID/stat` after the name, numbered as in proc(5).
fn field(stat: &str, number: usize) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(number - 3)
}

pub(crate) fn environment_has(pid: u32, name: &str, value: &str) -> io::Result<Option<bool>> {
    let wanted = format!("{name}={value}");
    match read(pid, "environ")? {
        Some(bytes) if !bytes.is_empty() => {
            Ok(Some(bytes.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())))
        }
        // For a process without memory of its own, some kernels return nothing, others ESRCH.
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
    let Some(status) = text(pid, "status")? else { return Ok(None) };
    // Its numbers from the outermost to the innermost namespace. The name above them has its
    // newlines escaped.
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    Ok(Some(numbers.and_then(|numbers| numbers.split_ascii_whitespace().last()) == Some("1")))
}

pub(crate) fn cgroups(pid: u32) -> io::Result<Option<Vec<String>>> {
    let Some(text) = text(pid, "cgroup")? else { return Ok(None) };
    // hierarchy:controllers:path
    let path = |line: &str| line.splitn(3, ':').nth(2).map(str::to_owned);
    Ok(Some(text.lines().filter_map(path).collect()))
}

pub(crate) fn command_line(pid: u32) -> io::Result<Option<Vec<String>>> {
    let Some(words) = text(pid, "cmdline")? else { return Ok(None) };
    // Every word ends with a zero byte, unless the process has overwritten them.
    Ok(Some(words.split_terminator('\0').map(str::to_owned).collect()))
}

pub(crate) fn environment_value(pid: u32, name: &str) -> io::Result<Option<String>> {
    let Some(environment) = text(pid, "environ")? else { return Ok(None) };
    let value = |entry: &str| entry.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    Ok(environment.split('\0').find_map(value))
}

pub(crate) fn signal(meant: &ProcessEntry, signal: Signal) -> io::Result<bool> {
    let Some(pidfd) = pidfd_of(meant)? else { return Ok(false) };
    let number = signal.number().cast_signed();
    let signal = rustix::process::Signal::from_named_raw(number).ok_or(ErrorKind::Unsupported)?;
    Ok(none_if_gone(pidfd_send_signal(&pidfd, signal).map_err(io::Error::from))?.is_some())
}

/// Returns a pidfd of exactly this process; `None` if it is gone or a zombie.
pub(crate) fn pidfd_of(meant: &ProcessEntry) -> io::Result<Option<OwnedFd>> {
    let Some(pidfd) = open_pidfd(meant.pid)? else { return Ok(None) };
    // A pidfd stands for one process forever. If the number still belongs to the intended process
    // after the pidfd was opened, the pidfd stands for that process.
    let now = entry(meant.pid)?;
    let is_meant = |now: &ProcessEntry| now.start_time == meant.start_time && !now.is_zombie;
    Ok(now.filter(is_meant).map(|_| pidfd))
}

/// Returns a pidfd of the process that has this number now; `None` if none has.
pub(crate) fn open_pidfd(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    none_if_gone(pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from))
}

/// Reads a file of a process; `None` if the process is gone.
fn read(pid: u32, file: &str) -> io::Result<Option<Vec<u8>>> {
    none_if_gone(File::open(format!("/proc/{pid}/{file}")).and_then(|file| {
        // Such a file tells no size, so std would begin with small reads, and each command has some
        // of these to wait for.
        let mut bytes = Vec::with_capacity(1024);
        while rustix::io::retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))? > 0 {
            bytes.reserve(1024);
        }
        Ok(bytes)
    }))
}

/// Reads a file of a process as a text. Lossy.
fn text(pid: u32, file: &str) -> io::Result<Option<String>> {
    Ok(read(pid, file)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A process that ends between two reads causes ENOENT, or ESRCH if a file was open.
fn none_if_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parsed(pid: u32, stat: &[u8]) -> io::Result<ProcessEntry> {
    parse_stat(pid, stat).ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidData, format!("/proc/{pid}/stat is not as proc(5) says"))
    })
}

/// `pid (comm) state ppid pgrp session … starttime …`. The process chooses its comm, which may
/// contain spaces, parentheses and newlines. Nothing after it contains a parenthesis.
fn parse_stat(pid: u32, stat: &[u8]) -> Option<ProcessEntry> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field numbers as in proc(5); the state is field 3.
    let field = |number: usize| fields.get(number - 3).copied();
    // An exiting process has -1 for its group and session.
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
        // A process whose first thread has ended looks like a zombie while other threads of it
        // live.
        is_zombie: matches!(field(3)?, "X" | "x") || field(3)? == "Z" && !has_more_threads,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::{Child, ChildStdio, ProcessSpec, Program};

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
    fn a_fork_has_executed_nothing() {
        let spec =
            ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", "(sleep 300; :) & echo $!; wait"]);
        let mut shell = Child::spawn(&spec, ChildStdio::piped()).unwrap();
        let mut fork = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut fork).unwrap();
        assert_eq!(has_executed(fork.trim().parse().unwrap()).unwrap(), Some(false));
        assert_eq!(has_executed(shell.pid()).unwrap(), Some(true));
        assert_eq!(has_executed(u32::MAX / 2).unwrap(), None);
        shell.end(std::time::Duration::ZERO).unwrap();
    }

    #[test]
    fn what_is_no_stat_is_refused() {
        for text in ["", "7", "7 (sh)", "7 (sh R 1", "7 (sh) R 1 2 3", &format!("7 )sh( {REST}")] {
            assert_eq!(parse_stat(7, text.as_bytes()), None, "{text}");
        }
    }
}
