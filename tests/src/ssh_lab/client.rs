//! OpenSSH's own client, as a second opinion on a guest: what a test of the laboratory itself asks
//! with.

use std::net::SocketAddr;

use rt_process::{Finished, ProcessSpec, Program};
use rt_protocol::{OutputLimit, Source, Until};

use super::key::KeyPair;
use super::{Result, TIMEOUT};

/// Runs a command line in a guest, whose key must be `host_key`. The client's own failures end
/// with 255.
///
/// # Errors
/// When there is no client, or it does not end.
pub fn ssh(
    address: SocketAddr,
    user: &str,
    identity: &KeyPair,
    host_key: &KeyPair,
    command: &str,
) -> Result<Finished> {
    let known = format!("[{}]:{} {}", address.ip(), address.port(), host_key.type_and_key());
    let spec = ProcessSpec::new(&Program::find("ssh")?)
        // Nothing of the user's configuration, and nothing but what stands here.
        .args([
            "-F",
            "none",
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
        ])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "GlobalKnownHostsFile=/dev/null", "-o"])
        .arg(format!("KnownHostsCommand=/bin/echo {known}"))
        .arg("-i")
        .arg(identity.private())
        .args(["-p", &address.port().to_string()])
        .arg(format!("{user}@{}", address.ip()))
        .args(["--", command]);
    let limit = OutputLimit::UNLIMITED;
    Ok(rt_process::capture(&spec, Source::empty(), limit, limit, &Until::after(TIMEOUT))?)
}
