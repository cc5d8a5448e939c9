//! conmon, podman's monitor of one container or one exec, recognised by its command line.
//!
//! podman starts one for each container and one for each exec:
//! `conmon -c CONTAINER -u SESSION -b DIRECTORY -p PIDFILE …`. For a container's own conmon,
//! `SESSION` equals `CONTAINER` (4.3.1, 5.4.2 and 6.1.1). The OCI runtime and the first process are
//! its children. If the container has no pid namespace of its own, conmon adopts their orphans.

use std::path::PathBuf;

use rt_process::procfs;

use crate::exec::session::is_session_id;

/// What a conmon monitors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conmon {
    /// The full id of the container.
    pub(crate) container: String,
    /// The id of the exec session; the container's id for its main process.
    pub(crate) session: String,
    /// The directory of the session's files.
    pub(crate) directory: PathBuf,
    /// The file with the pid of the first process.
    pub(crate) pid_file: Option<PathBuf>,
}

impl Conmon {
    /// Reads the command line of a process; `None` if it is not a conmon.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&procfs::command_line(pid).ok()??)
    }

    /// Returns whether it monitors the main process of its container.
    pub(crate) fn is_of_main_process(&self) -> bool {
        self.container == self.session
    }

    fn parse(words: &[String]) -> Option<Self> {
        // What follows is podman's command line for the clean-up.
        let end = words.iter().position(|word| word == "--exit-command").unwrap_or(words.len());
        let value = |option: &str| {
            let at = words[..end].iter().skip(1).position(|word| word == option)?;
            words[..end].get(at + 2)
        };
        Some(Self {
            container: value("-c").filter(|id| is_session_id(id))?.clone(),
            session: value("-u").filter(|id| is_session_id(id))?.clone(),
            directory: value("-b")?.into(),
            pid_file: value("-p").map(Into::into),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_of_conmon_tells_container_and_session() {
        let (container, session) = ("c".repeat(64), "5".repeat(64));
        let parse = |text: &str| Conmon::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let line = format!(
            "/usr/bin/conmon --api-version 1 -c {container} -u {session} -r /usr/bin/crun -b /s/{session} -p /s/exec_pid \
             -n web -e --exec-attach --exit-command /usr/bin/podman --exit-command-arg -c"
        );
        let conmon = parse(&line).unwrap();
        assert!(!conmon.is_of_main_process());
        assert_eq!((&conmon.container, &conmon.session), (&container, &session));
        assert_eq!(conmon.directory, PathBuf::from(format!("/s/{session}")));
        assert_eq!(conmon.pid_file, Some(PathBuf::from("/s/exec_pid")));
        assert!(parse(&line.replace(&session, &container)).unwrap().is_of_main_process());
        for other in
            ["", "conmon", "sleep 60", "conmon -c 7 -u 7 -b /s", &format!("conmon -c {container} -u")]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
