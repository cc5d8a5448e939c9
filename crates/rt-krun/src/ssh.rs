//! The transport over libssh2: identities, host keys, connections that are kept, and commands on their channels.
//!
//! From the outside in: [`TcpSshTransport`] judges what came of a command; the `pool` finds it a connection; a `session`
//! is one connection with the thread that owns it; its `connection` made it; its `loop` moves the bytes of its `command`s
//! over `libssh2`'s channels, which only that thread ever touches.

mod algorithms;
mod banner;
mod begin_filter;
mod call;
mod command;
mod connection;
mod drain;
mod host_key;
mod identity;
mod inbox;
mod job;
mod kill;
mod libssh2;
mod login_command;
mod login_shell;
mod outbox;
mod pool;
mod private_key;
mod question;
mod quoting;
mod remote_command;
mod remote_failure;
mod server;
mod session;
mod session_loop;
mod stdin;
mod tcp;
mod tcp_ssh_transport;
mod words;

pub use algorithms::{CIPHERS, HOST_KEY_ALGORITHMS, KEY_EXCHANGES, MACS};
pub use host_key::{HostKey, HostKeyPolicy};
pub use identity::check_identity;
pub use libssh2::linked_libssh2;
pub use pool::{CHANNELS_PER_CONNECTION, CONNECTIONS_PER_GUEST};
pub use remote_command::DEFAULT_WORKDIR;
pub use tcp_ssh_transport::{TcpSshTransport, TcpSshTransportBuilder};
