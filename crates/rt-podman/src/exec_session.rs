//! podman's own record of an exec: the directory of a session, found by the marker.
//!
//! podman keeps `<StaticDir>/<session>/exec-process-*`, the OCI process with its environment, written before conmon is
//! started, and `<StaticDir>/<session>/exec_pid`, the host's pid of the command, written by conmon once the command runs
//! (seen on 4.3.1 and 5.4.2).

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::json;
use rt_process::Marker;

/// The session of one exec.
#[derive(Debug)]
pub(crate) struct ExecSession {
    directory: PathBuf,
}

impl ExecSession {
    /// The session whose command carries `marker`; `None` while there is none, and once podman has cleaned it up.
    pub(crate) fn find(static_dir: &Path, marker: &Marker) -> Option<Self> {
        let entry = format!("{}={}", Marker::NAME, marker.value());
        fs::read_dir(static_dir)
            .ok()?
            .filter_map(Result::ok)
            .filter(|session| is_session_id(&session.file_name().to_string_lossy()))
            .map(|session| session.path())
            .find(|directory| spec_has(directory, &entry))
            .map(|directory| Self { directory })
    }

    /// The host's pid of the command, once it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        let text = read_at_most(&self.directory.join("exec_pid"), 32)?;
        text.trim().parse().ok().filter(|pid| *pid > 1)
    }
}

/// Whether a directory of this name is the record of an exec.
pub(crate) fn is_session_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether the session's process spec sets the marked variable.
fn spec_has(directory: &Path, entry: &str) -> bool {
    let Ok(files) = fs::read_dir(directory) else {
        return false;
    };
    files
        .filter_map(Result::ok)
        .filter(|file| file.file_name().to_string_lossy().starts_with("exec-process-"))
        .filter_map(|file| read_spec(&file.path()))
        .filter_map(|text| serde_json::from_str::<Value>(&text).ok())
        .any(|spec| json::list(&spec, &["env"]).iter().any(|variable| variable.as_str() == Some(entry)))
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
