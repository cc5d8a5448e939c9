//! The krun backend of the `rt` workspace: microVMs whose life is podman's, and which only SSH can enter.

mod container;
mod endpoint;
mod fake_transport;
mod launch;
mod quoting;
mod remote_command;
mod remote_failure;
mod resolver;
mod runtime;
mod ssh_user;
mod transport;

pub use container::KrunContainer;
pub use endpoint::{DEFAULT_GUEST_SSHD_PORT, DEFAULT_SSH_HOST, TcpEndpoint};
pub use fake_transport::{FakeExec, FakeKrunTransport};
pub use launch::KrunLaunchExt;
pub use remote_command::DEFAULT_WORKDIR;
pub use resolver::{EndpointResolver, PodmanPortResolver};
pub use runtime::KrunRuntime;
pub use ssh_user::{DEFAULT_SSH_USER, SshUser};
pub use transport::KrunTransport;
