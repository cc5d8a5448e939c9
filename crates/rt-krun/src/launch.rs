//! Additions to a launch for a guest that is entered over SSH: the published port and the
//! authorized keys.

use std::path::PathBuf;

use rt_protocol::{BindMount, InvalidValue, LaunchSpecBuilder, PortMapping};

/// Adds what a guest needs for SSH to a launch.
///
/// ```
/// use rt_krun::KrunLaunchExt;
/// use rt_protocol::LaunchSpec;
///
/// let spec = LaunchSpec::builder("vm-1", "localhost/guest")
///     .ssh_port(2222)
///     .authorized_keys("/home/me/.ssh/guest.pub", "/etc/ssh/authorized_keys")?
///     .build()?;
/// assert_eq!(spec.ports()[0].container_port(), 2222);
/// assert!(spec.mounts()[0].is_read_only());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
pub trait KrunLaunchExt: Sized {
    /// Publishes the guest's sshd on a port of 127.0.0.1 that podman chooses, so that two guests
    /// cannot compete for one. `PodmanPortResolver` finds the port.
    ///
    /// With passt, krun cannot forward guest ports below 1024.
    #[must_use]
    fn ssh_port(self, guest_port: u16) -> Self;

    /// Mounts a file of public keys, read-only, at the path where the guest's sshd reads them (its
    /// `AuthorizedKeysFile`).
    ///
    /// # Errors
    /// A path that is not absolute or contains a NUL byte.
    fn authorized_keys(
        self,
        host_file: impl Into<PathBuf>,
        guest_file: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue>;
}

impl KrunLaunchExt for LaunchSpecBuilder {
    fn ssh_port(self, guest_port: u16) -> Self {
        self.port(PortMapping::any_port_on_loopback(guest_port))
    }

    fn authorized_keys(
        self,
        host_file: impl Into<PathBuf>,
        guest_file: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue> {
        Ok(self.mount(BindMount::read_only(host_file, guest_file)?))
    }
}
