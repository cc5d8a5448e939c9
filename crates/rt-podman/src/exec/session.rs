//! podman's own record of an exec: the directory of a session, found by the marker.
//!
//! podman writes `<StaticDir>/<session>/exec-process-*`, the OCI process with its environment,
//! before conmon is started, and `<StaticDir>/<session>/exec_pid`, the host's pid of the command,
//! once the command runs (seen on 4.3.1 and 5.4.2). `<StaticDir>/<session>/ctl` is a fifo that
//! conmon reads.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_process::ExecMarker;
use rt_protocol::{TerminalSize, Until};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde_json::Value;

use crate::cli::answer::Answer;
use crate::cli::engine::Engine;
use crate::cli::json;

/// The pause between two looks at what conmon has not read yet.
const READ_STEP: Duration = Duration::from_millis(1);

/// The sessions of one container, in which one exec's session is searched.
#[derive(Debug)]
pub(crate) struct ExecSessions {
    static_dir: PathBuf,
    /// Sessions of other execs. A container accumulates them: each killed client leaves one behind.
    others: HashSet<OsString>,
}

impl ExecSessions {
    pub(crate) fn new(static_dir: impl Into<PathBuf>) -> Self {
        Self { static_dir: static_dir.into(), others: HashSet::new() }
    }

    /// Returns the session whose command carries `marker`; `None` before there is one, and after
    /// podman has removed it.
    pub(crate) fn find(&mut self, marker: &ExecMarker) -> Option<ExecSession> {
        let sessions = fs::read_dir(&self.static_dir).ok()?.filter_map(Result::ok);
        for name in sessions.map(|session| session.file_name()) {
            if self.others.contains(&name) || !is_session_id(&name.to_string_lossy()) {
                continue;
            }
            let session = ExecSession { directory: self.static_dir.join(&name) };
            match session.carries(marker) {
                Some(true) => return Some(session),
                Some(false) => {
                    self.others.insert(name);
                }
                // Not written yet.
                None => {}
            }
        }
        None
    }
}

/// The session of one exec.
#[derive(Clone, Debug)]
pub(crate) struct ExecSession {
    directory: PathBuf,
}

impl ExecSession {
    /// Returns the session with this directory.
    pub(crate) fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Returns its id.
    pub(crate) fn id(&self) -> Option<&str> {
        self.directory.file_name()?.to_str()
    }

    /// Returns the host's pid of the command, once it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        read_pid(&self.directory.join("exec_pid"))
    }

    /// Asks conmon for another size of the command's terminal, as podman does it. conmon ignores
    /// this before it has the terminal. The same size again changes nothing, and after the
    /// command's end nobody is asked.
    ///
    /// Of several lines that conmon reads at once, it obeys the first alone (seen on 2.1.6), so
    /// each one waits until the one before was read.
    pub(crate) fn resize(&self, size: TerminalSize, until: &Until) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fifo = match rustix::fs::open(self.directory.join("ctl"), flags, Mode::empty()) {
            Err(Errno::NXIO | Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        while rustix::io::ioctl_fionread(&fifo)? > 0 {
            until.check().map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "conmon takes no size"))?;
            std::thread::sleep(READ_STEP);
        }
        fs::File::from(fifo).write_all(format!("1 {} {}\n", size.rows(), size.columns()).as_bytes())
    }

    /// Returns whether podman still has a record of it.
    pub(crate) fn exists(&self) -> bool {
        self.directory.is_dir()
    }

    /// Has podman forget the session of a command that was ended without its client's clean-up:
    /// what was to be run stands in its record, the environment too.
    pub(crate) fn forget(&self, engine: &Engine, container_id: &str, until: &Until) {
        let Some(id) = self.id() else { return };
        // With `--rm` podman 4.3.1 removes the id alone, and the record stays.
        for remove in [&[][..], &["--rm"]] {
            let words = [&["container", "cleanup", "--exec", id], remove, &["--", container_id]].concat();
            // Where the client has done it, podman knows no such session.
            match engine.ask_until("clean up in", until, words).and_then(Answer::printed) {
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => {
                    tracing::debug!(stderr = %refusal.stderr, "an exec session was not forgotten");
                }
                Err(error) => tracing::debug!(%error, "an exec session was not forgotten"),
            }
        }
    }

    /// Returns whether the session's process carries the marker; `None` if that is not known (yet).
    pub(crate) fn carries(&self, marker: &ExecMarker) -> Option<bool> {
        let variable = format!("{}={}", ExecMarker::NAME, marker.value());
        fs::read_dir(&self.directory)
            .ok()?
            .filter_map(Result::ok)
            .filter(|file| file.file_name().to_string_lossy().starts_with("exec-process-"))
            .filter_map(|file| read_spec(&file.path()))
            .filter_map(|text| serde_json::from_str::<Value>(&text).ok())
            .map(|spec| json::list(&spec, &["env"]).iter().any(|entry| entry.as_str() == Some(&variable)))
            .reduce(|one, other| one || other)
    }
}

/// Returns the number in a file that conmon or the OCI runtime has written.
pub(crate) fn read_pid(file: &Path) -> Option<u32> {
    read_at_most(file, 32)?.trim().parse().ok().filter(|pid| *pid > 1)
}

/// Returns whether this is an id in podman's format of session and container ids.
pub(crate) fn is_session_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the text of a session's process spec.
pub(crate) fn read_spec(path: &Path) -> Option<String> {
    /// Argv and environment of the largest command that Linux starts by default.
    const LARGEST_SPEC: u64 = 8 << 20;
    read_at_most(path, LARGEST_SPEC)
}

/// Returns the exit code that conmon has written, `<session>/exit/<container>`.
pub(crate) fn read_exit_code(path: &Path) -> Option<i32> {
    read_at_most(path, 32)?.trim().parse().ok()
}

fn read_at_most(path: &Path, limit: u64) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(limit).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_marker_once_its_process_is_written() {
        let container = tempfile::tempdir().unwrap();
        let (marker, mut sessions) = (ExecMarker::fresh(), ExecSessions::new(container.path()));
        let write = |session: &str, text: &str| {
            let directory = container.path().join(session);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("exec-process-123"), text).unwrap();
        };
        let spec = format!(r#"{{"args":["x"],"env":["A=b","{}={}"]}}"#, ExecMarker::NAME, marker.value());
        write(&"a".repeat(64), r#"{"env":["A=b"]}"#);
        write(&"b".repeat(64), &spec[..20]);
        write("artifacts", &spec);
        assert!(sessions.find(&marker).is_none());
        write(&"b".repeat(64), &spec);
        let session = sessions.find(&marker).unwrap();
        assert_eq!((session.id(), session.pid()), (Some(&*"b".repeat(64)), None));
        fs::write(session.directory.join("exec_pid"), "4242\n").unwrap();
        assert_eq!(session.pid(), Some(4242));
        assert!(session.exists() && sessions.others.len() == 1);
        fs::remove_dir_all(&session.directory).unwrap();
        assert!(sessions.find(&marker).is_none() && !session.exists());
    }

    #[test]
    fn a_size_waits_until_the_one_before_was_read() {
        let container = tempfile::tempdir().unwrap();
        let session = ExecSession::at(container.path());
        let size = |rows| TerminalSize::new(rows, 80).unwrap();
        let limit = |millis| Until::after(Duration::from_millis(millis));
        // Nobody is asked after the end.
        session.resize(size(1), &limit(0)).unwrap();
        let fifo = container.path().join("ctl");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        session.resize(size(1), &limit(0)).unwrap();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut conmon = fs::File::from(rustix::fs::open(&fifo, flags, Mode::empty()).unwrap());
        let mut read = || {
            let mut text = [0; 100];
            let count = conmon.read(&mut text).unwrap();
            String::from_utf8(text[..count].to_vec()).unwrap()
        };
        session.resize(size(1), &limit(0)).unwrap();
        let stuck = session.resize(size(2), &limit(20)).unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
        std::thread::scope(|scope| {
            let next = scope.spawn(|| session.resize(size(3), &limit(60_000)));
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(read(), "1 1 80\n");
            next.join().unwrap().unwrap();
        });
        assert_eq!(read(), "1 3 80\n");
    }
}
