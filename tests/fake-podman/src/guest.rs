//! The last steps of a process on its way into a container. Each step is a mode of this program,
//! and ends with an exec of the command. So no process in a container runs this program.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::chroot;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::mount::{MountFlags, mount};
use rustix::process::setsid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use crate::spawn::{self, failure_file};

/// A command and its settings, in the form of the OCI runtime specification as far as anybody reads
/// it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) terminal: bool,
    pub(crate) user: ProcessUser,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    /// The program's path in the container; not a field of the specification.
    pub(crate) program: PathBuf,
}

/// Who runs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProcessUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// `@init PROCESS ROOT`: process 1 of a container, in new namespaces.
pub(crate) fn run_init(words: &[String]) -> ExitCode {
    let [process, root] = words else { return ExitCode::FAILURE };
    let root = Path::new(root);
    become_command(Path::new(process), root, || {
        setsid()?;
        let proc = root.join("proc");
        fs::create_dir_all(&proc)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", &proc, "proc", flags, None)?;
        Ok(())
    })
}

/// `@join PROCESS PID PID_FILE`: puts a command into the process namespace of process `PID`, writes
/// down its pid and goes.
///
/// The session is made outside, as the OCI runtimes make it: inside, the command's session and
/// group are 0.
pub(crate) fn run_join(words: &[String]) -> ExitCode {
    let [process, pid, pid_file] = words else { return ExitCode::FAILURE };
    let join = || -> io::Result<()> {
        setsid()?;
        let namespace = File::open(format!("/proc/{pid}/ns/pid"))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
        let child = spawn::own("@enter", [process.as_str(), &format!("/proc/{pid}/root")])?
            .stdin(Stdio::inherit())
            .spawn()?;
        let fresh = format!("{pid_file}.new");
        fs::write(&fresh, child.id().to_string())?;
        fs::rename(fresh, pid_file)
    };
    match join() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report_failure(Path::new(process), &error);
            ExitCode::FAILURE
        }
    }
}

/// `@enter PROCESS ROOT`: becomes a command below the root of a running container.
pub(crate) fn run_enter(words: &[String]) -> ExitCode {
    let [process, root] = words else { return ExitCode::FAILURE };
    become_command(Path::new(process), Path::new(root), || Ok(()))
}

fn report_failure(process: &Path, error: &io::Error) {
    // Nobody is left who could be told about a failure to say that something failed.
    let _ = fs::write(failure_file(process), error.to_string());
}

/// Only returns when it fails.
fn become_command(file: &Path, root: &Path, prepare: impl FnOnce() -> io::Result<()>) -> ExitCode {
    // Opened while it can be reached; closed by the exec.
    let failure = File::create(failure_file(file));
    let become_it = || -> io::Result<()> {
        let process: Process = serde_json::from_slice(&fs::read(file)?)?;
        prepare()?;
        chroot(root)?;
        std::env::set_current_dir("/")?;
        let mut command = Command::new(&process.program);
        command.arg0(&process.args[0]).args(&process.args[1..]).env_clear();
        for variable in &process.env {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            command.env(name, value);
        }
        Err(command.current_dir(&process.cwd).uid(process.user.uid).gid(process.user.gid).exec())
    };
    if let (Err(error), Ok(mut failure)) = (become_it(), failure) {
        // As in `report_failure`.
        let _ = failure.write_all(error.to_string().as_bytes());
    }
    ExitCode::from(127)
}
