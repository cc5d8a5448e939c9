//! The krun backend of the `rt` workspace: microVMs whose life is podman's, and which only SSH can enter.

mod container;
mod endpoint;
mod fake_transport;
mod launch;
mod resolver;
mod runtime;
#[cfg(feature = "libssh2")]
mod ssh;
mod ssh_user;
mod transport;

pub use container::KrunContainer;
pub use endpoint::{DEFAULT_GUEST_SSHD_PORT, DEFAULT_SSH_HOST, TcpEndpoint};
pub use fake_transport::{FakeExec, FakeKrunTransport};
pub use launch::KrunLaunchExt;
pub use resolver::{EndpointResolver, PodmanPortResolver};
pub use runtime::KrunRuntime;
#[cfg(feature = "libssh2")]
pub use ssh::{
    CHANNELS_PER_CONNECTION, CIPHERS, CONNECTIONS_PER_GUEST, DEFAULT_WORKDIR, HOST_KEY_ALGORITHMS, HostKey,
    HostKeyPolicy, KEY_EXCHANGES, MACS, TcpSshTransport, TcpSshTransportBuilder, linked_libssh2,
};
pub use ssh_user::{DEFAULT_SSH_USER, SshUser};
pub use transport::KrunTransport;
