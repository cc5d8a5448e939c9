//! podman's own record of an exec: the directory of a session, found by the marker.
//!
//! podman keeps `<StaticDir>/<session>/exec-process-*`, the OCI process with its environment, written before conmon is
//! started, and `<StaticDir>/<session>/exec_pid`, the host's pid of the command, written once the command runs (seen on
//! 4.3.1 and 5.4.2).

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::json;
use rt_process::ExecMarker;

/// The sessions of one container, looked through for that of one exec.
#[derive(Debug)]
pub(crate) struct ExecSessions {
    static_dir: PathBuf,
    /// Sessions that are those of other execs. A container collects them: each client that was killed leaves one behind.
    others: HashSet<OsString>,
}

impl ExecSessions {
    pub(crate) fn new(static_dir: impl Into<PathBuf>) -> Self {
        Self { static_dir: static_dir.into(), others: HashSet::new() }
    }

    /// The session whose command carries `marker`; `None` while there is none, and once podman has cleaned it up.
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
    /// The session with this directory.
    pub(crate) fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Its id.
    pub(crate) fn id(&self) -> Option<&str> {
        self.directory.file_name()?.to_str()
    }

    /// The host's pid of the command, once it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        read_pid(&self.directory.join("exec_pid"))
    }

    /// Whether podman still has a record of it.
    pub(crate) fn exists(&self) -> bool {
        self.directory.is_dir()
    }

    /// Whether the session's process carries the marker; `None` when it cannot be told (yet).
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

/// The number in a file that conmon or the OCI runtime has written.
pub(crate) fn read_pid(file: &Path) -> Option<u32> {
    read_at_most(file, 32)?.trim().parse().ok().filter(|pid| *pid > 1)
}

/// Whether this is the id of a session, as podman makes them and those of containers.
pub(crate) fn is_session_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The text of a session's process spec.
pub(crate) fn read_spec(path: &Path) -> Option<String> {
    /// Argv and environment of the largest command that Linux starts by default.
    const LARGEST_SPEC: u64 = 8 << 20;
    read_at_most(path, LARGEST_SPEC)
}

/// The exit code that conmon has written, `<session>/exit/<container>`.
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
}
