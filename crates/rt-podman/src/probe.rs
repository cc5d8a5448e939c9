//! Checks that this podman really runs containers here, by running one.
//!
//! A podman on PATH proves nothing: the OCI runtime may reject the host's cgroups, limits may be
//! too low, sub-ids may be missing. The probe needs no image. Its root file system is a directory
//! with one program of about 200 bytes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_protocol::{ContainerName, ContainerRuntimeExt, Error, ErrorKind, Result, Until};

use crate::cli::answer::Answer;
use crate::exec::warm::exec_path::{ColdReason, Warmth};
use crate::lifecycle::remove;
use crate::runtime::PodmanRuntime;
use rt_process::ExecMarker;

const OPERATION: &str = "probe podman with";

/// The program's output.
const GREETING: &str = "rt-probe ok\n";

/// The machine code of the program. Without arguments it writes [`GREETING`] and exits with 0; with
/// any it waits forever. Hand-written assembly, position-independent, two system calls each.
#[cfg(target_arch = "x86_64")]
const PROGRAM: Option<(u16, &[u8])> = Some((
    62,
    b"\x83\x3c\x24\x01\x75\x18\x6a\x01\x58\x89\xc7\x48\x8d\x35\x13\x00\x00\x00\x6a\x0c\x5a\x0f\x05\x6a\x3c\x58\x31\xff\
      \x0f\x05\x6a\x22\x58\x0f\x05\xeb\xf9rt-probe ok\n",
));
#[cfg(target_arch = "aarch64")]
const PROGRAM: Option<(u16, &[u8])> = Some((
    183,
    b"\xe9\x03\x40\xf9\x3f\x05\x00\xf1\x21\x01\x00\x54\x20\x00\x80\xd2\xc1\x01\x00\x10\x82\x01\x80\xd2\x08\x08\x80\xd2\
      \x01\x00\x00\xd4\x00\x00\x80\xd2\xa8\x0b\x80\xd2\x01\x00\x00\xd4\x00\x00\x80\xd2\x01\x00\x80\xd2\x02\x00\x80\xd2\
      \x03\x00\x80\xd2\x28\x09\x80\xd2\x01\x00\x00\xd4\xfa\xff\xff\x17rt-probe ok\n",
));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PROGRAM: Option<(u16, &[u8])> = None;

/// How long the probe waits for podman if the caller sets no limit.
const LIMIT: Duration = Duration::from_secs(60);

impl PodmanRuntime {
    /// Runs a container and a command in it, and removes it again. Takes about half a second and
    /// leaves nothing behind.
    ///
    /// # Errors
    /// The error of the step that failed, with podman's own text.
    /// [`Unsupported`](ErrorKind::Unsupported) on a processor for which the probe has no program
    /// (it has x86-64 and 64-bit ARM).
    pub fn probe(&self, until: &Until) -> Result<()> {
        self.probe_and(until, |_, _| Ok(()))
    }

    /// Does what [`probe`](Self::probe) does, and returns how commands get into such a container:
    /// if warm, one has just run by an agent. Takes about a second.
    ///
    /// # Errors
    /// The errors of [`probe`](Self::probe). Commands that cannot go by an agent are no error.
    pub fn probe_warmth(&self, until: &Until) -> Result<Warmth> {
        self.probe_and(until, |name, until| self.warmth_in(name, until))
    }

    /// Runs `more` in the container before it is removed.
    fn probe_and<T>(
        &self,
        until: &Until,
        more: impl FnOnce(&ContainerName, &Until) -> Result<T>,
    ) -> Result<T> {
        let Some((machine, code)) = PROGRAM else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                OPERATION,
                "a container: no program for this processor",
            )
            .with_hint("run a container of your own to find out"));
        };
        let name = ContainerName::new(format!("rt-probe-{}", ExecMarker::fresh().value()))?;
        let root = RootFileSystem::new(name.as_str(), &elf(machine, code)).map_err(|cause| {
            Error::new(ErrorKind::System, OPERATION, "no root file system can be made").with_source(cause)
        })?;
        let until = until.clone().or_default(LIMIT);
        let outcome = self.run_probe(&name, &root, &until).and_then(|()| more(&name, &until));
        // Even after a deadline: the probe removes what it has created.
        let removed = remove::force_remove(self.shared(), std::slice::from_ref(&name), &Until::forever());
        let outcome = outcome?;
        removed.into_iter().find_map(|result| result.error).map_or(Ok(outcome), Err)
    }

    /// Returns how commands get into the container. Whether an agent that has started also runs
    /// commands is found out with one.
    fn warmth_in(&self, name: &ContainerName, until: &Until) -> Result<Warmth> {
        let refused = |words: String| Ok(Warmth::Cold(ColdReason::Refused(words)));
        let tried = match self.warm_up(name, None, until)? {
            Warmth::Warm => self.exec_in(name.as_str(), ["/probe"], until),
            cold @ Warmth::Cold(_) => return Ok(cold),
        };
        match tried {
            // It may have gone by podman after all.
            Ok(result) if result.stdout == GREETING => self.warm_up(name, None, until),
            Ok(result) => refused(format!("the program did not answer, but said {:?}", result.stdout.text())),
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) => Err(error),
            Err(error) => refused(error.to_string()),
        }
    }

    fn run_probe(&self, name: &ContainerName, root: &RootFileSystem, until: &Until) -> Result<()> {
        let engine = &self.shared().engine;
        let path =
            root.0.to_str().ok_or_else(|| Error::new(ErrorKind::System, OPERATION, "TMPDIR is not UTF-8"))?;
        let run = [
            "run",
            "--detach",
            "--name",
            name.as_str(),
            "--network=none",
            "--rootfs",
            "--",
            path,
            "/probe",
            "wait",
        ];
        let exec = ["exec", "--", name.as_str(), "/probe"];
        for (step, expected) in [(&run[..], None), (&exec[..], Some(GREETING))] {
            let with_container = |error: Error| error.with_subject(step[0]);
            let answer = engine.ask_until(OPERATION, until, step.iter().copied());
            let said = answer.and_then(Answer::text).map_err(with_container)?;
            if expected.is_some_and(|expected| said != expected) {
                let message = format!("the program did not answer, but said {said:?}");
                return Err(with_container(Error::new(ErrorKind::BackendFailed, OPERATION, message)));
            }
        }
        Ok(())
    }
}

/// A directory with the program in it. Dropping it removes it.
struct RootFileSystem(PathBuf);

impl RootFileSystem {
    fn new(name: &str, program: &[u8]) -> io::Result<Self> {
        let root = Self(std::env::temp_dir().join(name));
        // Fails if anything with that name exists.
        fs::create_dir(&root.0)?;
        fs::set_permissions(&root.0, Permissions::from_mode(0o755))?;
        for directory in ["dev", "etc", "proc", "run", "sys"] {
            fs::create_dir(root.0.join(directory))?;
        }
        let file: &Path = &root.0.join("probe");
        fs::write(file, program)?;
        fs::set_permissions(file, Permissions::from_mode(0o755))?;
        Ok(root)
    }
}

impl Drop for RootFileSystem {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary directory stays");
        }
    }
}

/// Builds the smallest executable: an ELF64 header, one segment, and the code (System V ABI,
/// "Object Files").
fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let length = HEADERS + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |size: usize, values: &[u64]| {
        for value in values {
            file.extend_from_slice(&value.to_le_bytes()[..size]);
        }
    };
    put(2, &[2, machine.into()]);
    put(4, &[1]);
    put(8, &[BASE + HEADERS, 64, 0]);
    put(4, &[0]);
    put(2, &[64, 56, 1, 0, 0, 0]);
    put(4, &[1, 5]);
    put(8, &[0, BASE, BASE, length, length, 0x1_0000]);
    file.extend_from_slice(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_runs_on_this_processor() {
        let Some((machine, code)) = PROGRAM else {
            return;
        };
        let root =
            RootFileSystem::new(&format!("rt-probe-{}", ExecMarker::fresh().value()), &elf(machine, code))
                .unwrap();
        let program = rt_process::Program::find(root.0.join("probe")).unwrap();
        let limit = rt_protocol::OutputLimit::UNLIMITED;
        let run = |spec| {
            rt_process::capture(
                &spec,
                rt_protocol::Source::empty(),
                limit,
                limit,
                &Until::after(Duration::from_secs(10)),
            )
        };
        let answer = run(rt_process::ProcessSpec::new(&program)).unwrap();
        assert_eq!(answer.status, Some(rt_process::ExitStatus::Code(0)));
        assert_eq!(answer.stdout_capture, GREETING);
    }
}
