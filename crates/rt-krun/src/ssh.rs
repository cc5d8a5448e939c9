//! The transport over libssh2: identities, host keys, kept connections, and commands on their
//! channels.
//!
//! [`TcpSshTransport`] decides the outcome of a command. `session::pool` finds a connection for it.
//! A command goes by the agent of its guest (`warm`), or else on a channel of its own (`call`).
//! A `session` is one connection and the thread that owns it: `connect` makes it, and `poll_loop`
//! moves the bytes of its commands (`channel`) through libssh2 (`raw`), which only that thread
//! uses. `auth` handles identities and host keys, `shell` the login shell of a guest.

pub(crate) mod auth;
mod call;
pub(crate) mod channel;
mod exec;
mod guest_command;
mod guest_script;
mod kill;
mod login_command;
pub(crate) mod raw;
mod session;
pub(crate) mod shell;
mod signal;
mod tcp_ssh_transport;
mod warm;

pub use auth::algorithms::{CIPHERS, HOST_KEY_ALGORITHMS, KEY_EXCHANGES, MACS};
pub use auth::host_key::{HostKey, HostKeyPolicy};
pub use auth::identity::check_identity;
pub use raw::libssh2::linked_libssh2;
pub use session::pool::{CHANNELS_PER_CONNECTION, CONNECTIONS_PER_GUEST};
pub use shell::remote_command::DEFAULT_WORKDIR;
pub use tcp_ssh_transport::{TcpSshTransport, TcpSshTransportBuilder};
