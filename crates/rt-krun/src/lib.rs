//! The krun backend of the `rt` workspace: microVMs whose life is podman's, and which only SSH can enter.
//!
//! podman with the OCI runtime `krun` makes, starts, stops and removes a container whose processes run in a virtual machine
//! of its own. What `podman exec` starts lands beside that machine, not in it. So a [`KrunRuntime`] asks podman for
//! everything but commands, and hands commands to a [`KrunTransport`]; the real one, [`TcpSshTransport`], talks to an sshd
//! that runs in the guest.
//!
#![cfg_attr(feature = "libssh2", doc = "```no_run")]
#![cfg_attr(not(feature = "libssh2"), doc = "```ignore")]
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rt_krun::{KrunLaunchExt, KrunRuntime, PodmanPortResolver, TcpSshTransport};
//! use rt_podman::PodmanRuntime;
//! use rt_protocol::{ContainerRuntimeExt, LaunchSpec, Until};
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
//! println!("{}", runtime.exec_in("vm-1", ["uname", "-r"])?.stdout);
//! # Ok(())
//! # }
//! ```
//!
//! For tests without a guest there is [`FakeKrunTransport`]; what a host has of what guests need, [`KrunHost`] tells.
//!
//! # What a guest needs
//!
//! - An SSH server, OpenSSH, Dropbear or another, on a port that the container publishes ([`KrunLaunchExt::ssh_port`]), and the public key
//!   of the identity where that sshd looks for it ([`KrunLaunchExt::authorized_keys`]). A server must take several channels on
//!   a connection, one after the other; `TinySSH` takes one, and is refused. Dropbear 2022.82 to 2024.85 ends a connection
//!   whose channels overlap: by its banner it is known, and each of its connections has one command at a time.
//! - A POSIX shell as the user's login shell: sshd gives it the command as one text. dash, bash and BusyBox's ash are
//!   tested; shells of another grammar (fish, csh) are not served. Each connection begins with a question to the shell, so
//!   that no command is taken for run where `nologin`, sshd's `ForceCommand` or a start-up file that exits stands in its
//!   place: that is an error, and says what was heard instead. What start-up files print
//!   before the command begins is kept out of its output (and told to the log, at debug).
//! - The workdir: commands land in [`DEFAULT_WORKDIR`], `/workspace`, unless the transport or the request names another.
//! - `sh`, `grep` and `/proc`, for what remains of a command that must end.
//!
//! # What krun itself cannot do
//!
//! | what | why | so |
//! | --- | --- | --- |
//! | guest ports below 1024, under passt | [crun#2251](https://github.com/containers/crun/issues/2251) | let the sshd listen on 2222 or so |
//! | SIGTERM to the guest | [crun#2158](https://github.com/containers/crun/issues/2158) | `stop` takes its whole grace period, then kills |
//! | `--init` | [podman#21083](https://github.com/containers/podman/issues/21083) | a launch with `init` is refused |
//! | a missing main command is no error | [crun#1688](https://github.com/containers/crun/issues/1688): it exits with 0 | do not trust the exit code of a container that ended at once |
//!
//! `wait` and `inspect` give the exit code that podman has of the machine's own process; whether it is that of the guest's
//! main process is krun's matter.
//!
//! # What was tried
//!
//! A KVM guest under a real krun was not: none boots on the hosts of the development. Tried is everything on this side of
//! krun: the transport against OpenSSH 9.2 and 10.0 on loopback and behind broken networks, and the whole backend with a complete
//! virtual machine (Linux under QEMU, without KVM) that podman starts through an OCI runtime of the name `krun`, behind a
//! port that podman publishes.
//!
//! # How a command travels
//!
//! 1. A connection is found. Each is kept, for one container and one user, on a thread of its own with one socket; a
//!    command is one channel on it. The container's id, its state and its endpoint are asked when a connection is made, and
//!    not for a command on one that is kept.
//! 2. The request is one text for the login shell: it enters the workdir, exports the variables and becomes the command by
//!    `exec`. Each word is quoted; bytes that are not UTF-8 pass as they are. A text longer than 8,000 bytes is read by
//!    the shell from its stdin instead. A command without stdin has `/dev/null` there, as podman's have.
//! 3. Where the shell ends without becoming the command, it says at which step, in a line of stderr with a random number
//!    that only this request has; the line is kept from the caller. So `CommandNotFound`, `CommandNotExecutable` and
//!    `BadWorkdir` are told from a command's own 126 and 127.
//! 4. The outcome is what the guest's sshd sent: an exit status, a signal (`unknown` for those that OpenSSH has no name for,
//!    such as `XCPU`), or nothing, which is [`Lost`](rt_protocol::ExitOutcome::Lost); so is a status whose output never came
//!    to its end. After it, the outputs are read to the channel's own end. Those that a child of the command holds open are
//!    left ([`LeftOpen`](rt_protocol::StreamEnd::LeftOpen)) once the guest has shown that it holds nothing back: half a second
//!    without a byte and four questions answered meanwhile, no keys renewed; 2 s where the child says a little now and then;
//!    6 MiB where it says much, which is more than can have been on the way.
//! 5. A guest that owes an answer for one command keeps no other waiting: after 1 s they go over another connection, and after
//!    three keepalive intervals the command is `Lost`.
//!
//! A request that was sent is never sent again. A kept connection that turns out to be dead before is replaced, once.
//!
//! # Connections and their bounds
//!
//! At most 8 commands share a connection ([`CHANNELS_PER_CONNECTION`]; OpenSSH allows 10 channels), and one user of one
//! guest has at most 8 connections ([`CONNECTIONS_PER_GUEST`]), made one after another. A guest whose sshd takes fewer
//! channels gets fewer. Beyond that, commands wait, under their own [`Until`](rt_protocol::Until).
//!
//! An sshd may turn connections away, and the error then has its words. OpenSSH does so from 9.8 on with an address that does
//! not log in: a refused identity counts for 5 s, a connection that ends before its login for 1 s, a look of
//! `wait_until_reachable` included, and once that comes to 15 s, nobody from there is heard until they are over
//! (`PerSourcePenalties` in `sshd_config(5)`). All connections of a host have one address for its guest.
//!
//! | limit | value | set by |
//! | --- | --- | --- |
//! | TCP, key exchange, login and the login shell's answer together | 15 s | `connect_limit` |
//! | silence of a guest with running commands, before it is asked for a sign of life | 10 s | `keepalive` |
//! | silence in spite of that, after which it counts as gone and its commands as lost | 30 s, three times the above | |
//! | a connection without commands | 5 min | `idle_limit` |
//! | bytes that a guest may have on the way for one channel | 2 MiB | |
//!
//! Starting, stopping and removing a container through its runtime lets its connections go; so does another container of
//! the same name.
//!
//! # Who the guest is
//!
//! The host key is checked before anything else is sent, by a [`HostKeyPolicy`]: a known key, a
//! fingerprint, a line of a `known_hosts` file, or the first key that a container shows, pinned to its id for as long as
//! this process lives. First use is refused beyond loopback. Another key than the right one is
//! [`HostKeyMismatch`](rt_protocol::ErrorKind::HostKeyMismatch), and nothing was sent.
//!
//! Which algorithms are offered stands in [`KEY_EXCHANGES`], [`HOST_KEY_ALGORITHMS`], [`CIPHERS`] and [`MACS`]; SHA-1, CBC
//! and everything older is not among them, and nothing is compressed. The login is by public key alone; no agent, no
//! password, and no configuration of the user's is looked at.
//!
//! # Secrets
//!
//! Below a request's own variables lie those of the container, as on podman: its image's, and above them its launch's. podman
//! is asked for them with the container's id when a connection is made. Whatever podman's own command line did not show of
//! them counts as secret. `HOME` and `HOSTNAME` count only where the launch set them; `SSH_…`, `USER`, `LOGNAME`, `SHELL`
//! and `MAIL` are of the login. Names that a shell cannot export are left out, and so are all where the handle is not one of
//! `rt-podman`.
//!
//! Secret variables go through the channel's stdin, to a `read` of the shell, before the caller's own bytes: they stand in
//! no command line of the guest and in no log of its sshd. The command's environment has them, and whoever may read that
//! in the guest. Plain variables stand in the shell's command line.
//!
//! A secret of many lines costs its shell time with the square of their number: seconds from some 10,000 on.
//!
//! Names that a shell gives a meaning of its own are refused, secret or plain: `PWD`, `OLDPWD`, `UID`, `RANDOM`, `SHLVL`,
//! `_`, the `BASH_…` ones and their like. A shell would drop or change them without a word. So is `RT_EXEC_ID`, by which the
//! processes of a command are found.
//!
//! # Ending a command
//!
//! Closing a channel ends nothing. So on a deadline, a cancel or a failing stream the guest's sshd is asked to send TERM
//! to the command's process group, which OpenSSH does for other users than root; and a script on a channel of its own finds
//! what carries the command's marker, ends it by TERM, 2 s, KILL, and says what it saw. The error has the report. Where
//! nobody could look, it says [`Unknown`](rt_protocol::KillOutcome::Unknown). The script is waited for 8 s, and what the command
//! still has to say up to 2 s more: in a guest that is frozen, a call returns some 10 s after its deadline, and says that
//! it does not know.
//!
//! # What a hostile guest can and cannot do
//!
//! A guest's sshd is the guest's, and so is every word that it says.
//!
//! - It can lie about its own commands: their output, their outcome, whether they are gone.
//! - It can be slow, or say nothing, within the bounds above; it can fill an output as far as the request's
//!   [`OutputLimit`](rt_protocol::OutputLimit) or the caller's own sink allows.
//! - It learns the commands, the variables and the secrets that are sent to it, and the public key of the identity; use an
//!   identity that opens nothing else. It never learns the private key, and gets no agent and no forwarding.
//! - It can hold a command until that one's own deadline, by sending output of a kind that SSH does not define.
//! - It cannot reach another guest or this host through the connection: nothing is forwarded, no request of its own is
//!   served.
//! - What it sends before and beside the commands is parsed by libssh2, which is C. Keep that current.
//!
//! # libssh2
//!
//! The feature `libssh2`, on by default, builds the copy that `libssh2-sys` brings, 1.11.2 or newer. Do not set
//! `LIBSSH2_SYS_USE_PKG_CONFIG`: the libssh2 of the system may be one with known holes, such as Debian 12's 1.10
//! (CVE-2026-55200 and others). [`linked_libssh2`] says which one it is. It needs OpenSSL; with the
//! feature `vendored-openssl` that is built from source too.
//!
//! `unsafe` stands in one file, which binds what the `ssh2` crate lacks: whether an exit status arrived at all, signal
//! requests, the state of windows, and a say in how bytes pass the socket.
//!
//! # Events
//!
//! `tracing` events with target `rt_krun`: `debug` when a command goes to a guest (`container`, `program`, the number of
//! `arguments`, `timeout`), when one was ended (`container`, `report`), and when a connection ends (`why`); `warn` when the
//! system refuses to wait for one (`error`). Arguments, variables and outputs are never in them.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod container;
mod endpoint;
mod fake_transport;
mod host;
mod launch;
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
