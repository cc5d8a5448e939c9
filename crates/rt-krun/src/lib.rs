//! The krun backend of the `rt` workspace: microVMs that podman manages, with commands over SSH.
//!
//! podman with the OCI runtime `krun` runs a container in a virtual machine of its own. `podman
//! exec` would start a process next to that machine, not in it. So a [`KrunRuntime`] uses podman
//! for everything except commands. Commands go through a [`KrunTransport`]; [`TcpSshTransport`]
//! connects to an sshd in the guest.
//!
#![cfg_attr(feature = "libssh2", doc = "```no_run")]
#![cfg_attr(not(feature = "libssh2"), doc = "```ignore")]
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rt_krun::{KrunLaunchExt, KrunRuntime, PodmanPortResolver, TcpSshTransport};
//! use rt_podman::PodmanRuntime;
//! use rt_protocol::{ContainerRuntimeExt, ExecRequest, LaunchSpec, Until};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let podman = PodmanRuntime::new()?;
//! let resolver = PodmanPortResolver::new(podman.clone()).guest_port(2222)?;
//! let transport = TcpSshTransport::builder("/home/me/.ssh/guest", resolver).build();
//! let runtime = KrunRuntime::on(podman, Arc::new(transport));
//!
//! let spec = LaunchSpec::builder("vm-1", "localhost/guest")
//!     .ssh_port(2222)
//!     .authorized_keys("/home/me/.ssh/guest.pub", "/etc/ssh/authorized_keys")?
//!     .build()?;
//! let minute = Until::after(Duration::from_secs(60));
//! let vm = runtime.launch(&spec, &minute)?;
//! runtime.transport().wait_until_reachable(&vm, &minute)?;
//! println!("{}", vm.exec(&ExecRequest::new(["uname", "-r"])?, &minute)?.stdout);
//! # Ok(())
//! # }
//! ```
//!
//! For tests without a guest, use [`FakeKrunTransport`]. [`KrunHost`] checks whether a host has
//! what guests need. What does not work is listed in [`limitations`].
//!
//! # Requirements for a guest
//!
//! - An SSH server (OpenSSH, Dropbear or another one) on a port that the container publishes
//!   ([`KrunLaunchExt::ssh_port`]), and the public key of the identity in the file that the server
//!   reads ([`KrunLaunchExt::authorized_keys`]).
//! - A POSIX shell as the user's login shell. Each connection first checks the shell. If `nologin`,
//!   sshd's `ForceCommand` or a start-up file that exits takes its place, the result is an error
//!   with the text that was received. Output of start-up files before the command is not part of
//!   the command's output; it is logged at level debug.
//! - The workdir: [`DEFAULT_WORKDIR`], `/workspace`, unless the transport or the request sets
//!   another one.
//! - `sh`, `grep` and `/proc`, to find and end the processes of a command.
//! - For commands by an agent: `head`, `wc`, `chmod`, `rm` and `uname`, an x86-64 or `AArch64`
//!   processor like the host's, and a directory that takes a file that may be executed. Without
//!   them, each command has a channel of its own.
//!
//! # How a command runs
//!
//! A command goes **by an agent** where there can be one, and **on a channel** elsewhere.
//! [`exec_path`](TcpSshTransportBuilder::exec_path) chooses; [`TcpSshTransport::warmth`] returns
//! which it is, and why there is no agent. Both give the same results, except as listed in
//! [`limitations`](limitations#agents).
//!
//! ## By an agent
//!
//! The first command of a user sends a static program of 36 KB to the guest, on a channel. A script
//! writes it to a file of that user alone, in the first of `/run`, `/dev/shm`, `/tmp` and the home
//! that may execute it, and becomes the program, which removes the file. From then on this one
//! channel carries the streams of all commands of the user, in packets. A command costs one
//! exchange and a fork and an exec in the guest: no channel, no process of sshd, no login shell.
//! The program is the one of `rt-agent`, whose guarantees hold within the guest:
//!
//! - A command runs once, or has certainly not run. If the connection ends, those that the agent
//!   was told of are [`Lost`](rt_protocol::ExitOutcome::Lost).
//! - The outcome is that of wait(2). A command that is ended is ended with all its descendants, and
//!   the guest's kernel proves that they are gone.
//! - If the connection ends, also because the host program was killed, the agent ends its commands
//!   and their descendants, and itself. What a finished command has left behind runs on.
//!
//! The agent has the environment, the limits and the groups that sshd gives a login. It ends with
//! its connection, so also when that was idle. If the guest gives no agent, that is tried again
//! after a second, and after twice as long each time, up to a minute.
//!
//! ## On a channel
//!
//! 1. It gets a connection. A connection belongs to one container and one user, has a thread and a
//!    socket of its own, and is kept. A command is a channel on it. The container's id, state and
//!    endpoint are only looked up when a connection is made.
//! 2. The request is sent as one text for the login shell: it changes to the workdir, exports the
//!    variables and becomes the command by `exec`. Each argument is quoted; bytes that are not
//!    UTF-8 are passed unchanged. The shell reads a text longer than 8,000 bytes from its stdin. A
//!    command without a stdin has `/dev/null`, as with podman.
//! 3. If the shell ends before it becomes the command, it reports the failed step in a line of
//!    stderr with a random number, which only this request has. The caller does not see the line.
//!    This distinguishes `CommandNotFound`, `CommandNotExecutable` and `BadWorkdir` from a
//!    command's own 126 and 127.
//! 4. The outcome is what the guest's sshd sends: an exit status, a signal (`unknown` for signals
//!    without a name in OpenSSH, such as `XCPU`), or nothing. Nothing is
//!    [`Lost`](rt_protocol::ExitOutcome::Lost), and so is a status if the output did not come to
//!    its end.
//! 5. The outputs are read to the end of the channel. An output that a child of the command holds
//!    open is [`LeftOpen`](rt_protocol::StreamEnd::LeftOpen) once the guest has shown that it holds
//!    nothing back: after half a second without a byte in which it answered four requests and
//!    renewed no keys; after 2 s if the child writes a little; or after 6 MiB if it writes much,
//!    which is more than can have been in transit.
//! 6. If a guest does not answer for one command, other commands do not wait for it. After 1 s they
//!    use another connection. After three keepalive intervals the command is `Lost`.
//!
//! A request that was sent is never sent again. If a kept connection turns out to be dead before
//! the request is sent, it is replaced, once.
//!
//! # Connections and limits
//!
//! All commands by an agent share one connection; an agent runs up to 200 at once. On channels, at
//! most 8 commands share a connection ([`CHANNELS_PER_CONNECTION`]; OpenSSH allows 10 channels). A
//! user of a guest has at most 8 connections ([`CONNECTIONS_PER_GUEST`]), which are made one
//! after another. If a guest's sshd accepts fewer channels, fewer are used. Further commands wait,
//! each with its own [`Until`](rt_protocol::Until).
//!
//! | limit | value | set by |
//! | --- | --- | --- |
//! | TCP, key exchange, login and the check of the login shell together | 15 s | `connect_limit` |
//! | silence of a guest with running commands before a keepalive request | 10 s | `keepalive` |
//! | silence after which the guest counts as gone and its commands as `Lost` | 30 s, three times the above | |
//! | the same of an agent in a guest that answers | 40 s, four times the above | |
//! | time that a connection without commands is kept | 5 min | `idle_limit` |
//! | bytes of one channel in transit from the guest | 2 MiB | |
//!
//! Starting, stopping or removing a container through its runtime closes its connections. So does a
//! new container with the same name.
//!
//! # Host keys
//!
//! The guest's host key is checked before anything else is sent. A [`HostKeyPolicy`] is a known
//! key, a fingerprint, a line of a `known_hosts` file, or the first key that a container shows. The
//! first key is pinned to the container's id until this process ends, and only accepted on
//! loopback. A wrong key is [`HostKeyMismatch`](rt_protocol::ErrorKind::HostKeyMismatch); nothing
//! was sent.
//!
//! The offered algorithms are [`KEY_EXCHANGES`], [`HOST_KEY_ALGORITHMS`], [`CIPHERS`] and [`MACS`].
//! SHA-1, CBC and older algorithms are not offered, and nothing is compressed. Login is by public
//! key only. No agent, no password and no configuration of the user is used.
//!
//! # Variables and secrets
//!
//! A command gets the variables of its container, as with podman: those of the image, overridden by
//! those of the launch, overridden by those of the request. podman reports them together with the
//! container's id when a connection is made. A variable that podman's command line did not show
//! counts as secret. `HOME` and `HOSTNAME` only count if the launch set them. `SSH_…`, `USER`,
//! `LOGNAME`, `SHELL` and `MAIL` come from the login. Variables with names that a shell cannot
//! export are left out. If the handle is not one of `rt-podman`, all variables of the container are
//! left out.
//!
//! To an agent, the variables of a request go as a message. On channels, and for the variables of
//! the container at an agent's start, secret ones go through the channel's stdin, to a `read` of
//! the shell, before the caller's own bytes. They appear in no command line of the guest and in no
//! log of its sshd. The command's environment has them, so other processes in the guest may be able
//! to read them there. Other variables appear in the shell's command line.
//!
//! # Ending a command
//!
//! On a deadline, a cancel or a failing stream, an agent sends TERM to the command and all its
//! descendants, KILL after 2 s, and reports when none is left. If the supervisor of a command was
//! killed in the guest, the script below looks after the command.
//!
//! On channels, closing one ends no process. So:
//!
//! - The guest's sshd is asked to send TERM to the command's process group. OpenSSH does so for
//!   users other than root.
//! - A script on a channel of its own finds the processes that have the command's marker, sends
//!   TERM, after 2 s KILL, and reports the result. The error contains this report. If the processes
//!   could not be examined, it is [`Unknown`](rt_protocol::KillOutcome::Unknown).
//!
//! The script has 8 s, and the command's remaining output up to 2 s more. In a frozen guest, a call
//! returns about 10 s after its deadline and reports `Unknown`.
//!
//! # libssh2
//!
//! The feature `libssh2`, on by default, builds the copy that `libssh2-sys` contains, 1.11.2 or
//! newer. It needs OpenSSL; the feature `vendored-openssl` builds that from source too. Do not set
//! `LIBSSH2_SYS_USE_PKG_CONFIG`: the libssh2 of the system may have known vulnerabilities, such as
//! Debian 12's 1.10 (CVE-2026-55200 and others). [`linked_libssh2`] returns the version that is
//! linked.
//!
//! `unsafe` code is in one file. It binds what the `ssh2` crate lacks: whether an exit status
//! arrived, signal requests, the state of windows, and control over the bytes on the socket.
//!
//! # Log events
//!
//! This crate emits `tracing` events with the target `rt_krun`. They contain no arguments,
//! variables or outputs. Each operation has a span, see [`rt_protocol::OperationSpan`].
//!
//! - `debug` when a command is sent to a guest (`container`, `program`, the number of `arguments`,
//!   `timeout`), when one was ended (`container`, `report`), when the path of a user's commands is
//!   decided (`container`, `user`, `reason`), and when a connection ends (`why`).
//! - `warn` when the operating system refuses to wait for a connection (`error`).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod container;
mod endpoint;
mod fake_transport;
mod host;
mod launch;
pub mod limitations;
mod resolver;
mod runtime;
#[cfg(feature = "libssh2")]
mod ssh;
mod ssh_user;
mod transport;

pub use container::KrunContainer;
pub use endpoint::{DEFAULT_GUEST_SSHD_PORT, DEFAULT_SSH_HOST, TcpEndpoint};
pub use fake_transport::{FakeExec, FakeKrunTransport, FakeReply};
pub use host::KrunHost;
pub use launch::KrunLaunchExt;
pub use resolver::{EndpointResolver, PodmanPortResolver};
pub use runtime::KrunRuntime;
#[cfg(feature = "libssh2")]
pub use ssh::{
    CHANNELS_PER_CONNECTION, CIPHERS, CONNECTIONS_PER_GUEST, DEFAULT_WORKDIR, HOST_KEY_ALGORITHMS, HostKey,
    HostKeyPolicy, KEY_EXCHANGES, MACS, TcpSshTransport, TcpSshTransportBuilder, check_identity,
    linked_libssh2,
};
pub use ssh_user::{DEFAULT_SSH_USER, SshUser};
pub use transport::KrunTransport;
