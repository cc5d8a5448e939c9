//! The transport over libssh2: identities, host keys, connections that are kept, and commands on their channels.
//!
//! From the outside in: [`TcpSshTransport`] judges what came of a command; the `session::pool` finds it a connection; a `session`
//! is one connection with the thread that owns it: `connect` makes it, `poll_loop` moves the bytes of its commands (`channel`)
//! over libssh2's channels (`raw`), which only that thread ever touches. `auth` has who is who, `shell` what a guest's shell is
//! given and says.

pub(crate) mod auth;
mod call;
pub(crate) mod channel;
mod kill;
mod login_command;
pub(crate) mod raw;
mod session;
pub(crate) mod shell;
mod tcp_ssh_transport;

pub use auth::algorithms::{CIPHERS, HOST_KEY_ALGORITHMS, KEY_EXCHANGES, MACS};
pub use auth::host_key::{HostKey, HostKeyPolicy};
pub use auth::identity::check_identity;
pub use raw::libssh2::linked_libssh2;
pub use session::pool::{CHANNELS_PER_CONNECTION, CONNECTIONS_PER_GUEST};
pub use shell::remote_command::DEFAULT_WORKDIR;
pub use tcp_ssh_transport::{TcpSshTransport, TcpSshTransportBuilder};
