//! The crate openssh: a `ControlMaster` of OpenSSH's, and commands over its socket without a
//! process each.

use openssh::{KnownHosts, Session, SessionBuilder};
use tokio::runtime::{Builder, Runtime};

use super::ssh_config::{GUEST, SshConfig};
use crate::bench::outcome::Outcome;

/// A session, and the async runtime that it needs.
#[derive(Debug)]
pub(super) struct MuxSession {
    runtime: Runtime,
    session: Session,
}

impl MuxSession {
    pub(super) fn open(config: &SshConfig) -> Outcome<Self> {
        // One thread: handing work to another costs more than it brings here.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut builder = SessionBuilder::default();
        builder.config_file(config.path()).known_hosts_check(KnownHosts::Strict);
        let session = runtime.block_on(builder.connect_mux(GUEST))?;
        Ok(Self { runtime, session })
    }

    /// Runs a command so many times, and catches its output.
    pub(super) fn run(&self, command: &str, times: u32) -> Outcome {
        self.runtime.block_on(async {
            for _ in 0..times {
                let output = self.session.raw_command(command).output().await?;
                if !output.status.success() {
                    return Err(format!("the command ended with {}", output.status).into());
                }
            }
            Ok(())
        })
    }

    /// Ends the `ControlMaster`.
    pub(super) fn close(self) -> Outcome {
        Ok(self.runtime.block_on(self.session.close())?)
    }
}
