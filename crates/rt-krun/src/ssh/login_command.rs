//! The arguments of an `ssh` that gives a person a terminal in a guest. They use nothing of the
//! user's own configuration, and bind the host key to the transport's pin without a file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rt_protocol::Result;

use super::auth::host_key::{HostKey, known_hosts_name};
use super::auth::identity::IdentityFile;
use crate::{SshUser, TcpEndpoint};

/// The parts of a login.
pub(super) struct Login<'a> {
    pub(super) ssh: &'a OsStr,
    pub(super) endpoint: &'a TcpEndpoint,
    pub(super) user: &'a SshUser,
    pub(super) identity: &'a IdentityFile,
    pub(super) host_key: &'a HostKey,
}

/// The constant options. ssh uses the first value that it reads for an option, so later ones cannot
/// override these.
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
    /// Returns the arguments, `remote` last.
    ///
    /// # Errors
    /// `BadIdentity` for a path that cannot be passed to ssh.
    pub(super) fn words(&self, remote: OsString) -> Result<Vec<OsString>> {
        let mut words = vec![self.ssh.to_owned()];
        words.extend(["-F", "none", "-p"].map(OsString::from));
        words.push(self.endpoint.port().to_string().into());
        words.push("-o".into());
        words.push(identity_option(self.identity.path()).ok_or_else(|| self.identity.not_for_ssh())?);
        words.push("-tt".into());
        // Every accepted name is free of blanks, quotes and percent signs, which ssh would
        // interpret.
        let name = known_hosts_name(self.endpoint);
        let known = format!("KnownHostsCommand=/bin/echo {name} {}", self.host_key);
        let algorithms = format!("HostKeyAlgorithms={}", self.host_key.algorithms().join(","));
        for option in OPTIONS.iter().copied().chain([known.as_str(), algorithms.as_str()]) {
            words.extend(["-o", option].map(OsString::from));
        }
        words.push(format!("{}@{}", self.user, self.endpoint.host()).into());
        words.push("--".into());
        words.push(remote);
        Ok(words)
    }
}

/// Returns the option that names exactly this file. It is not `-i`: ssh looks for that file before
/// it expands the name, and continues without it if it does not exist. `None` if ssh would read a
/// variable in the path, which cannot be prevented.
fn identity_option(path: &Path) -> Option<OsString> {
    // Absolute, so that it starts neither with `~` nor with the word `none`.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = path.as_os_str().as_bytes();
    if path.windows(2).any(|two| two == b"${") {
        return None;
    }
    let mut option = b"IdentityFile=\"".to_vec();
    for byte in path {
        match byte {
            b'%' => option.push(b'%'),
            b'"' | b'\\' => option.push(b'\\'),
            _ => {}
        }
        option.push(*byte);
    }
    option.push(b'"');
    Some(OsString::from_vec(option))
}

#[cfg(test)]
mod tests {
    use rt_process::{ProcessSpec, Program, capture};
    use rt_protocol::{OutputLimit, Source, Until};

    use super::*;

    #[test]
    fn a_path_is_named_so_that_ssh_expands_nothing_in_it() {
        let option =
            |path: &str| identity_option(Path::new(path)).map(|option| option.into_string().unwrap());
        assert_eq!(option("/a b/key").as_deref(), Some("IdentityFile=\"/a b/key\""));
        assert_eq!(option("/%h/$HOME/\"\\").as_deref(), Some(r#"IdentityFile="/%%h/$HOME/\"\\""#));
        assert_eq!(option("/a/${HOME}/key"), None);
        let here = std::env::current_dir().unwrap();
        for relative in ["~/key", "none", "-x"] {
            let absolute = here.join(relative);
            assert_eq!(identity_option(Path::new(relative)), identity_option(&absolute));
        }
    }

    /// `ssh -G` tells what it has read, before it expands it.
    #[test]
    fn the_real_ssh_reads_the_path_as_one_word() {
        let Ok(ssh) = Program::find("ssh") else { return };
        for path in ["/a b/%d #c/'d\"e\\f", "/end\\", "/blank "] {
            let option = identity_option(Path::new(path)).unwrap();
            let spec = ProcessSpec::new(&ssh).args(["-F", "none", "-G", "-o"]).arg(option).arg("host");
            let limit = OutputLimit::UNLIMITED;
            let done = capture(&spec, Source::empty(), limit, limit, &Until::forever()).unwrap();
            let line = format!("identityfile {}\n", path.replace('%', "%%"));
            assert!(done.stdout_capture.text().contains(&line), "{line} {done:?}");
        }
    }
}
