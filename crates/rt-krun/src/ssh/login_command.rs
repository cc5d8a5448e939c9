//! The argv of an `ssh` that gives a person a terminal in a guest: nothing of the user's own configuration, and the host
//! key bound to the transport's pin, without a file.

use std::ffi::{OsStr, OsString};

use super::host_key::{HostKey, known_hosts_name};
use super::identity::IdentityFile;
use crate::{SshUser, TcpEndpoint};

/// What a login is made of.
pub(super) struct Login<'a> {
    pub(super) ssh: &'a OsStr,
    pub(super) endpoint: &'a TcpEndpoint,
    pub(super) user: &'a SshUser,
    pub(super) identity: &'a IdentityFile,
    pub(super) host_key: &'a HostKey,
}

/// Options that do not depend on anything. The first value that ssh reads for an option counts, so nothing can undo them.
const OPTIONS: &[&str] = &[
    "BatchMode=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "CertificateFile=none",
    "PreferredAuthentications=publickey",
    "PubkeyAuthentication=yes",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "HostbasedAuthentication=no",
    "GSSAPIAuthentication=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "Tunnel=no",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "ProxyJump=none",
    "ControlMaster=no",
    "ControlPath=none",
    "UpdateHostKeys=no",
    "CanonicalizeHostname=no",
    "StrictHostKeyChecking=yes",
    "UserKnownHostsFile=/dev/null",
    "GlobalKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
];

impl Login<'_> {
    /// The words, `remote` last.
    pub(super) fn words(&self, remote: OsString) -> Vec<OsString> {
        let mut words = vec![self.ssh.to_owned()];
        words.extend(["-F", "none", "-p"].map(OsString::from));
        words.push(self.endpoint.port().to_string().into());
        words.push("-i".into());
        words.push(self.identity.path().into());
        words.push("-tt".into());
        // Every accepted name is free of blanks, quotes and percent signs, which ssh would read.
        let name = known_hosts_name(self.endpoint);
        let known = format!("KnownHostsCommand=/bin/echo {name} {}", self.host_key);
        let algorithms = format!("HostKeyAlgorithms={}", self.host_key.algorithms().join(","));
        for option in OPTIONS.iter().copied().chain([known.as_str(), algorithms.as_str()]) {
            words.extend(["-o", option].map(OsString::from));
        }
        words.push(format!("{}@{}", self.user, self.endpoint.host()).into());
        words.push("--".into());
        words.push(remote);
        words
    }
}
