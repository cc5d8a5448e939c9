//! SSH in Rust by the crate russh: one session, without delays.

use std::sync::Arc;

use russh::ChannelMsg;
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use tokio::runtime::{Builder, Runtime};

use crate::bench::outcome::Outcome;
use crate::krun::LoopbackGuest;
use crate::ssh_lab::DEV;

/// A session of the user who is not root, and the async runtime that it needs.
pub(super) struct RusshSession {
    runtime: Runtime,
    handle: Handle<AnyHostKey>,
}

/// Nobody else is on this port.
struct AnyHostKey;

impl client::Handler for AnyHostKey {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl RusshSession {
    pub(super) fn open(guest: &LoopbackGuest<'_>) -> Outcome<Self> {
        // One thread: handing work to another costs more than it brings here.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let config = Arc::new(client::Config { nodelay: true, ..client::Config::default() });
        let key = Arc::new(load_secret_key(guest.identity.private(), None)?);
        let handle = runtime.block_on(async {
            let mut handle = client::connect(config, guest.sshd.address(), AnyHostKey).await?;
            let answer = handle.authenticate_publickey(DEV, PrivateKeyWithHashAlg::new(key, None)).await?;
            if answer.success() { Ok(handle) } else { Err(russh::Error::NotAuthenticated) }
        })?;
        Ok(Self { runtime, handle })
    }

    /// Runs a command so many times, and catches its output.
    pub(super) fn run(&self, command: &str, times: u32) -> Outcome {
        self.runtime.block_on(async {
            for _ in 0..times {
                let mut channel = self.handle.channel_open_session().await?;
                channel.exec(true, command).await?;
                let (mut code, mut output) = (None, Vec::new());
                while let Some(message) = channel.wait().await {
                    match message {
                        ChannelMsg::Data { data } => output.extend_from_slice(&data),
                        ChannelMsg::ExitStatus { exit_status } => code = Some(exit_status),
                        _ => {}
                    }
                }
                if code != Some(0) {
                    return Err(format!("the command ended with {code:?}").into());
                }
            }
            Ok(())
        })
    }
}
