//! OpenSSH's client, told by a configuration of its own how to get into the guest.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::bench::outcome::Outcome;
use crate::krun::LoopbackGuest;
use crate::ssh_lab::DEV;

/// The guest by its name in the configuration: a connection for each command.
pub(super) const GUEST: &str = "guest";

/// The same guest through a `ControlMaster`, which the first command starts.
pub(super) const SHARED_GUEST: &str = "shared-guest";

/// A configuration file, gone when this is dropped; a `ControlMaster` ends by itself after a minute
/// without commands.
#[derive(Debug)]
pub(super) struct SshConfig {
    directory: TempDir,
}

impl SshConfig {
    pub(super) fn write(guest: &LoopbackGuest<'_>) -> Outcome<Self> {
        let directory = TempDir::new()?;
        let file = |name: &str| directory.path().join(name);
        let address = guest.sshd.address();
        let (ip, port) = (address.ip(), address.port());
        let known = format!("[{ip}]:{port} {}\n", guest.sshd.host_key().type_and_key());
        fs::write(file("known_hosts"), known)?;
        let text = format!(
            "Host {SHARED_GUEST}\n ControlMaster auto\n ControlPath {control}\n ControlPersist 60\n\
             Host *\n HostName {ip}\n Port {port}\n User {DEV}\n IdentityFile {identity}\n IdentitiesOnly yes\n \
             IdentityAgent none\n UserKnownHostsFile {known}\n StrictHostKeyChecking yes\n BatchMode yes\n LogLevel ERROR\n",
            control = file("control").display(),
            identity = guest.identity.private().display(),
            known = file("known_hosts").display(),
        );
        fs::write(file("config"), text)?;
        Ok(Self { directory })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("config")
    }
}
