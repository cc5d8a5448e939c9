//! Limits of the krun backend: what happens, when, and what to do.
//!
//! # Untested on real krun and KVM
//!
//! No KVM guest boots on the development hosts, so this backend never ran with a real krun.
//! Everything on this side of krun is tested: the transport, with OpenSSH 9.2 and 10.0 on loopback
//! and behind broken networks, and the whole backend, with a virtual machine. That machine is Linux
//! under QEMU without KVM. podman starts it through an OCI runtime that is named `krun`, behind a
//! port that podman publishes.
//!
//! # Guest ports below 1024
//!
//! Under passt, krun cannot forward guest ports below 1024
//! ([crun#2251](https://github.com/containers/crun/issues/2251)). Let the sshd listen on another
//! port, such as 2222.
//!
//! # `stop` takes the whole grace period
//!
//! krun does not pass SIGTERM on to the guest
//! ([crun#2158](https://github.com/containers/crun/issues/2158)). `stop` waits for the whole grace
//! period and then kills. Use a short grace period.
//!
//! # No init
//!
//! With `--init` a guest does not boot
//! ([podman#21083](https://github.com/containers/podman/issues/21083)). A launch with `init` is
//! rejected with [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest).
//!
//! # A missing main command exits with 0
//!
//! If the guest's main command does not exist, the container ends with exit code 0
//! ([crun#1688](https://github.com/containers/crun/issues/1688)). Do not trust the exit code of a
//! container that ended at once. `wait` and `inspect` return the exit code that podman reports for
//! the virtual machine. Whether it is the one of the guest's main process depends on krun.
//!
//! # Shells with another grammar
//!
//! sshd passes a command to the user's login shell as one text, which needs a POSIX shell. dash,
//! bash and BusyBox's ash are tested. fish and csh do not work.
//!
//! # Agents
//!
//! Commands by an agent ([`exec_path`](crate::TcpSshTransportBuilder::exec_path)) differ from those
//! on channels in these points:
//!
//! | | by an agent | on a channel |
//! | --- | --- | --- |
//! | a script without `#!` | `CommandNotExecutable` | the login shell runs it |
//! | an end by a signal without a name in RFC 4254 (`XCPU`) | its name | `unknown` |
//! | what a command hides (`setsid env -i`) | is ended with it, and proved to be gone | may be named as `Unknown` |
//! | the parent and the session | the agent's supervisor, a session of its own | sshd |
//! | `SHLVL`, `_`, `OLDPWD` | those of the agent's start | those of the login shell |
//! | a login shell's start-up files, `~/.ssh/rc`, `ForceCommand` | run once, for the agent | run for each command |
//! | limits, groups and environment of the login | those when the agent was started, until `/etc/passwd` or `/etc/group` changes | those of the connection |
//! | an output that a child holds open | is left at once | is left after half a second |
//! | commands at once | 200; more wait | 64; more wait |
//!
//! Commands go on channels if the guest has no `head`, `wc`, `chmod`, `rm` or `uname`, another
//! processor than the host, no directory of `/run`, `/dev/shm`, `/tmp` and the home that takes a
//! file that may be executed, or a Dropbear that serves one channel at a time. A login shell that
//! ends background processes when it exits (`huponexit`) does not matter: it has become the agent.
//!
//! If the host program is killed while it sends the agent, the script in the guest removes the
//! unfinished file. Only a guest that is killed in that moment keeps it (`.rt-agent-` and a
//! number).
//!
//! # Servers with one channel
//!
//! An SSH server must accept several channels on a connection, one after the other. `TinySSH`
//! accepts only one and is rejected. Dropbear 2022.82 to 2024.85 ends a connection whose channels
//! overlap. Such a server is recognised by its banner, and each connection then runs one command at
//! a time.
//!
//! # Signals to a running command
//!
//! By an agent, [`signal`](rt_protocol::RunningCommand::signal) is a message. On channels it runs a
//! shell script on another channel, as the command's user: about as slow as a command. The guest
//! needs `sh` and `grep`. A program that has become another user is not found, or takes no signal.
//! Under Dropbear, commands share the process group of their connection; a child that has left its
//! parent and its environment is not found there.
//!
//! # Terminals
//!
//! An agent makes the terminal of a command itself, and needs `/dev/pts` and `/dev/ptmx`. On
//! channels the guest's sshd makes it. It needs `/dev/pts`, and a configuration that allows it
//! (`PermitTTY`, no `restrict` in the authorized keys); otherwise the command is
//! [`Unsupported`](rt_protocol::ErrorKind::Unsupported). Where variables of the container or
//! secrets are sent, the guest also needs `stty`. They are typed at the terminal before the command
//! begins, while it echoes nothing. What the caller types waits until then.
//!
//! # No pause, and no signals to the main process
//!
//! [`pause`](rt_protocol::Container::pause), `unpause` and [`kill`](rt_protocol::Container::kill)
//! are [`Unsupported`](rt_protocol::ErrorKind::Unsupported). The process that podman could freeze
//! or signal is the virtual machine, and not the guest's main process. A frozen guest answers no
//! command, not even with an error.
//!
//! # Settings of a launch that would not reach the guest
//!
//! Kernel capabilities, security options, health checks and stop signals are
//! [`Unsupported`](rt_protocol::ErrorKind::Unsupported): podman would apply them to the process of
//! the virtual machine. A limit on processes counts the threads of the virtual machine.
//!
//! # Servers that exceed what they were told
//!
//! Output is accepted in packets of up to 39,600 bytes, and in a window of 2 MiB. libssh2 drops
//! what exceeds them, so the connection ends then, and its commands are
//! [`Lost`](rt_protocol::ExitOutcome::Lost). No known server exceeds them. If a server accepts no
//! cipher but chacha20-poly1305, libssh2 also loses the connection at a packet over 35,000 bytes.
//!
//! # Names of variables
//!
//! Variables that have a meaning to a shell are rejected on both paths, secret or not: `PWD`,
//! `OLDPWD`, `UID`, `RANDOM`, `SHLVL`, `_`, `BASH_…` and similar names. A shell would silently drop
//! or change them. `RT_EXEC_ID` is rejected too, since the processes of a command are found by it.
//!
//! # Secrets with many lines
//!
//! On channels, the guest's shell needs time that is quadratic in the number of lines of a secret:
//! some seconds from about 10,000 lines on.
//!
//! # The guest is trusted for what it reports
//!
//! The guest controls its sshd and the agent's process. A hostile guest can:
//!
//! - lie about its own commands: their output, their outcome, and whether their processes are gone;
//! - be slow or silent within the [limits](crate#connections-and-limits), and fill an output up to
//!   the request's [`OutputLimit`](rt_protocol::OutputLimit) or the capacity of the caller's sink;
//! - delay a command until that command's deadline, by sending messages that SSH does not define;
//! - see the commands, variables and secrets that are sent to it, and the public key of the
//!   identity. Use an identity that gives access to nothing else.
//!
//! It cannot:
//!
//! - get the private key, an agent or a forwarding;
//! - reach another guest or this host through the connection. Nothing is forwarded, and no request
//!   of the guest is served.
//!
//! libssh2 parses what the guest sends. libssh2 is written in C; keep it current.
//!
//! # Files
//!
//! Files are written and read by a script in the guest, as the user of the connection, with `sh`
//! and the tools of coreutils or BusyBox. Without them the call is
//! [`Unsupported`](rt_protocol::ErrorKind::Unsupported). A user other than root gives no file away.
//! A guest that replaces a file by a pipe in the right moment can make the script wait until the
//! limit of the call.
//!
//! # OpenSSH's penalties
//!
//! From version 9.8 on, OpenSSH rejects connections from an address that did not log in
//! (`PerSourcePenalties` in `sshd_config(5)`). A refused identity counts for 5 s. A connection that
//! ends before its login counts for 1 s, including each attempt of `wait_until_reachable`. Once the
//! sum reaches 15 s, all connections from the address are rejected until the penalties have
//! expired. All connections of a host have the same address for its guest. The error contains the
//! sshd's own words.
