//! rt-krun over the guests of the laboratory: what enters which guest as whom.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt_krun::{KrunContainer, KrunRuntime, TcpEndpoint, TcpSshTransport, TcpSshTransportBuilder};
use rt_protocol::{Container, ContainerRuntime, Until};
use tempfile::TempDir;

use crate::leftovers::Leftovers;
use crate::live::{self, Live};
use crate::sandbox::Sandbox;
use crate::ssh_lab::Result;
use crate::ssh_lab::key::KeyPair;
use crate::ssh_lab::loopback::{Loopback, Settings};

/// A transport into whatever listens at `address`, for whichever container. Its commands go by the
/// chosen path, and on channels if none was chosen.
pub fn transport_to(address: SocketAddr, identity: &Path) -> TcpSshTransportBuilder {
    let resolver = move |_: &dyn Container| Ok(TcpEndpoint::on_loopback(address.port())?);
    TcpSshTransport::builder(identity, resolver).exec_path(live::exec_path())
}

/// Waits until a krun container can be entered.
///
/// # Errors
/// Why it cannot, and when it is a container of another runtime.
pub fn wait_until_reachable(container: &dyn Container, until: &Until) -> Result<()> {
    let container = container.as_any().downcast_ref::<KrunContainer>().ok_or("it is no krun container")?;
    Ok(container.wait_until_reachable(until)?)
}

/// A guest on loopback, and the handle that enters it. Its container is one of podman's, whose life
/// stands for the guest's.
#[derive(Debug)]
pub struct LoopbackGuest<'a> {
    /// The guest.
    pub sshd: Loopback,
    /// Who may log in.
    pub identity: KeyPair,
    /// What enters.
    pub runtime: KrunRuntime,
    /// How it enters.
    pub transport: Arc<TcpSshTransport>,
    /// The handle.
    pub container: Arc<dyn Container>,
    /// podman's container.
    pub sandbox: Sandbox<'a>,
    _keys: TempDir,
}

impl<'a> LoopbackGuest<'a> {
    /// Starts one; `dev`, the default user, enters it, straight through its port.
    ///
    /// # Errors
    /// When the guest, the container or the transport cannot be made.
    pub fn start(live: &'a Live, settings: Settings) -> Result<Self> {
        Self::start_through(live, settings, |sshd| Ok(sshd.address()), |builder| builder)
    }

    /// Starts a guest. `way` returns the address through which it is reached, and `finish` changes
    /// the default transport.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_through(
        live: &'a Live,
        settings: Settings,
        way: impl FnOnce(&Loopback) -> Result<SocketAddr>,
        finish: impl FnOnce(TcpSshTransportBuilder) -> TcpSshTransportBuilder,
    ) -> Result<Self> {
        let keys = TempDir::new()?;
        let identity = KeyPair::generate(keys.path())?;
        let sshd = Loopback::start(live.sshd()?, &identity, settings)?;
        let transport = Arc::new(finish(transport_to(way(&sshd)?, identity.private())).build());
        let runtime = KrunRuntime::on(live.runtime.clone(), Arc::clone(&transport) as _);
        let sandbox = Sandbox::idle(live)?;
        let container = runtime.container(&sandbox.name);
        Ok(Self { sshd, identity, runtime, transport, container, sandbox, _keys: keys })
    }
    /// Ends its connections, and waits until neither side has any: this process may still end the
    /// thread of one that its guest has ended. No other guest may be connected.
    ///
    /// # Errors
    /// When a connection stays.
    pub fn disconnect(&self) -> Result<()> {
        self.runtime.transport().forget(&self.sandbox.name);
        let has_thread = || Leftovers::now().threads.iter().any(|name| name == "rt-krun-ssh");
        let patience = Until::after(Duration::from_secs(20));
        while !self.sshd.sessions().is_empty() || has_thread() {
            patience.sleep(Duration::from_millis(10)).map_err(|_| "a connection stays")?;
        }
        Ok(())
    }
}
