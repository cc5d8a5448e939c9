//! The API of Docker by the crate bollard: one client, kept, over a socket that podman serves.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::TryStreamExt;
use rt_process::{LineStream, ProcessSpec, Program};
use rt_protocol::{Pull, Until};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::Outcome;
use crate::live::Live;

/// How long the service may take to come up, and bollard may wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of podman's API service, with its async runtime and the service itself. Dropping the
/// session ends all of them.
pub(super) struct BollardSession {
    runtime: Runtime,
    docker: Docker,
    _service: LineStream,
    _directory: TempDir,
}

impl BollardSession {
    pub(super) fn open(live: &Live) -> Outcome<Self> {
        let directory = TempDir::new()?;
        let socket = directory.path().join("podman.sock");
        let address = format!("unix://{}", socket.display());
        // One that is killed drops nothing: then the kernel ends the service.
        let spec = ProcessSpec::new(&Program::find("setpriv")?)
            .arg("--pdeathsig=KILL")
            .arg(&live.podman)
            .args(["system", "service", "--time=0", &address]);
        let mut service = LineStream::spawn(&spec, 4096)?;
        let patience = Until::after(PATIENCE);
        let mut said = String::new();
        while !socket.exists() {
            match service.pull(&Until::after(Duration::from_millis(10)))? {
                Pull::Item(words) => said.push_str(&String::from_utf8_lossy(&words.bytes)),
                Pull::Pending if patience.check().is_ok() => {}
                _ => return Err(format!("podman's service does not come up: {said}").into()),
            }
        }
        // One thread: handing work to another costs more than it brings here.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let docker = Docker::connect_with_unix(&address, PATIENCE.as_secs(), API_DEFAULT_VERSION)?;
        // The version that both speak.
        let docker = runtime.block_on(docker.negotiate_version())?;
        Ok(Self { runtime, docker, _service: service, _directory: directory })
    }

    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Runs a command in a container `times` times. Each time it captures the output and asks for
    /// the exit code.
    pub(super) fn run(&self, container: &str, command: &[&str], times: u32) -> Outcome {
        self.runtime.block_on(async {
            for _ in 0..times {
                let options = CreateExecOptions {
                    attach_stdout: Some(true),
                    attach_stderr: Some(true),
                    cmd: Some(command.to_vec()),
                    ..CreateExecOptions::default()
                };
                let exec = self.docker.create_exec(container, options).await?.id;
                let started = self.docker.start_exec(&exec, None::<StartExecOptions>).await?;
                let StartExecResults::Attached { output, .. } = started else {
                    return Err("nothing is attached".into());
                };
                let _output: Vec<_> = output.try_collect().await?;
                let code = self.docker.inspect_exec(&exec).await?.exit_code;
                if code != Some(0) {
                    return Err(format!("the command ended with {code:?}").into());
                }
            }
            Ok(())
        })
    }
}
