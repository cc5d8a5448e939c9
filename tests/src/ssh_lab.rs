//! Guests for tests of SSH: real OpenSSH servers on loopback, in a container and in a virtual
//! machine, and faults on the network to them. The tests are in `live/`. `cargo xtask` checks that
//! the machine has the required programs.
//!
//! | guest | sshd is reached by | what is real |
//! | --- | --- | --- |
//! | [`Loopback`](loopback::Loopback) | a port of 127.0.0.1 | sshd and the host's own userland, in namespaces of their own |
//! | [`GuestImage`](container::GuestImage) | a published port of a podman container | and podman's life cycle and `podman port` |
//! | [`MachineFiles`](machine::MachineFiles) | a published port, then the emulated network card | and a kernel of its own: `podman exec` does not get in |
//!
//! All of them have the users `root` and `dev` (1000), a directory `/workspace` of `dev`, and one
//! authorised key for both.

pub mod client;
pub mod container;
mod guest;
pub mod impostor;
pub mod key;
pub mod loopback;
pub mod machine;
pub mod machine_parts;
pub mod other_server;
pub mod proxy;
mod tree;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{OutputLimit, Source, Until};

/// The port on which sshd listens inside a container and inside a virtual machine. Above 1024,
/// because passt forwards no other to a krun guest (containers/crun#2251).
pub const GUEST_PORT: u16 = 2222;

/// The guest's user who is not root.
pub const DEV: &str = "dev";

/// The number of this user, and of its group.
pub const DEV_ID: u32 = 1000;

/// What the laboratory answers; its errors are for people.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Longer than anything takes that is not broken, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a program writes to its standard output; it must end with 0.
pub(crate) fn answer<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>> {
    let spec = ProcessSpec::new(&Program::find(program)?).args(arguments);
    let limit = OutputLimit::UNLIMITED;
    let finished = rt_process::capture(&spec, Source::empty(), limit, limit, &Until::after(TIMEOUT))?;
    if finished.status != Some(ExitStatus::Code(0)) {
        let said = finished.stderr_capture.text().into_owned();
        return Err(format!("{spec} ended with {:?}: {said}", finished.status).into());
    }
    Ok(finished.stdout_capture.into_bytes())
}

/// The same as text.
fn answered_text<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
    Ok(String::from_utf8(answer(program, arguments)?)?)
}
