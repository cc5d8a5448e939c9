//! sshd in a podman container, beside the container's own command: an image, and containers of it
//! with a published port.

use std::io::{Cursor, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use rt_protocol::{
    Container, ContainerExt, ImageRef, LaunchSpec, LaunchSpecBuilder, OciRuntime, PortMapping, Until,
};
use tempfile::TempDir;

use super::guest;
use super::key::KeyPair;
use super::{GUEST_PORT, Result, TIMEOUT, answer, answered_text};
use crate::live::Live;
use crate::sandbox::Sandbox;

/// Starts sshd, then becomes the container's command.
const ENTRY: &str = "#!/bin/sh\n/usr/sbin/sshd -p 2222\nexec \"$@\"\n";

/// An image of BusyBox and this machine's sshd, with a host key in it.
#[derive(Debug)]
pub struct GuestImage {
    reference: ImageRef,
    host_key: KeyPair,
    _directory: TempDir,
}

impl GuestImage {
    /// Makes and imports the image. The identity can log into its containers.
    ///
    /// # Errors
    /// When something is missing or podman refuses.
    pub fn import(live: &Live, sshd: &Path, identity: &KeyPair) -> Result<Self> {
        let directory = TempDir::new()?;
        let host_key = KeyPair::generate(directory.path())?;
        let mut tree = guest::base(identity);
        guest::add_host_key(&mut tree, &host_key)?;
        guest::add_busybox(&mut tree, &live.busybox)?;
        guest::add_sshd(&mut tree, sshd)?;
        tree.file("/bin/beside-sshd", 0o755, ENTRY);
        let reference = ImageRef::new("localhost/rt-test:sshd")?;
        let changes = [
            r#"ENTRYPOINT ["/bin/beside-sshd"]"#,
            r#"CMD ["/bin/sh"]"#,
            "LABEL made-by=rt-tests",
            "ENV RT_IMAGE=image",
        ];
        live.runtime.import_image(Cursor::new(tree.tar()?), &reference, &changes, &Until::after(TIMEOUT))?;
        Ok(Self { reference, host_key, _directory: directory })
    }

    /// The image.
    pub fn reference(&self) -> &ImageRef {
        &self.reference
    }

    /// The key that the containers show.
    pub fn host_key(&self) -> &KeyPair {
        &self.host_key
    }

    /// The beginning of a description: the OCI runtime `krun`, sshd on a port of loopback, and a
    /// command that waits.
    ///
    /// # Errors
    /// Never in practice: `krun` is a name.
    pub fn spec(&self) -> Result<LaunchSpecBuilder> {
        Ok(LaunchSpec::builder(Sandbox::fresh_name(), self.reference.as_str())
            .oci_runtime(OciRuntime::new("krun")?)
            .port(PortMapping::any_port_on_loopback(GUEST_PORT))
            .command(["sleep", "777777"]))
    }
}

/// Where the guest's sshd is reached on this host.
///
/// # Errors
/// When the container is not running, or publishes no such port.
pub fn published_address(container: &dyn Container) -> Result<SocketAddr> {
    let ports = container.ports(Until::forever())?.unwrap_or_default();
    let found = ports.iter().find(|port| port.container_port == GUEST_PORT);
    let port = found.ok_or("the container does not publish the guest's port")?.host_port;
    Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

/// Waits until sshd says who it is. A connection alone means little: podman's helpers may accept it
/// before the guest does.
///
/// # Errors
/// When nobody says it.
pub fn wait_for_banner(address: SocketAddr) -> Result<()> {
    let patience = Until::after(TIMEOUT);
    loop {
        let mut banner = [0; 8];
        let read = TcpStream::connect(address).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.read_exact(&mut banner)
        });
        match read {
            Ok(()) if banner == *b"SSH-2.0-" => return Ok(()),
            Ok(()) => return Err(format!("{address} is no SSH server: {banner:?}").into()),
            Err(error) if patience.sleep(Duration::from_millis(50)).is_err() => {
                return Err(format!("{address} shows no banner: {error}").into());
            }
            Err(_) => {}
        }
    }
}

/// Sends a signal to the container's first process, whatever it is: `STOP` freezes a virtual
/// machine, `KILL` ends it.
///
/// # Errors
/// When podman refuses.
pub fn send_signal(live: &Live, container: &dyn Container, signal: &str) -> Result<()> {
    answer(&live.podman, ["kill", "--signal", signal, "--", container.key().name.as_str()]).map(drop)
}

/// What a command says that podman runs in the container, whatever the container's OCI runtime is.
///
/// # Errors
/// When podman refuses, or the command fails.
pub fn exec_beside<'a>(
    live: &Live,
    container: &'a dyn Container,
    command: impl IntoIterator<Item = &'a str>,
) -> Result<String> {
    let name = container.key().name.as_str();
    answered_text(&live.podman, ["exec", "--", name].into_iter().chain(command))
}
