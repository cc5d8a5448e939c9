//! The podman backend of the `rt` workspace: argv in, JSON out, every command ended where it runs.
//!
//! [`PodmanRuntime`] implements [`ContainerRuntime`](rt_protocol::ContainerRuntime) by running the `podman` program,
//! from 4.3 on, rootful or rootless. Each question is one process; nothing is kept open in between.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rt_podman::PodmanRuntime;
//! use rt_protocol::{ContainerRuntimeExt, LaunchSpec};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let podman = PodmanRuntime::new()?;
//! let spec = LaunchSpec::builder("job-1", "docker.io/library/alpine:3.20").command(["sleep", "inf"]).build()?;
//! let minute = Duration::from_secs(60);
//! podman.launch(&spec, minute)?;
//! println!("{}", podman.exec_in("job-1", ["uname", "-a"], minute)?.stdout);
//! # Ok(())
//! # }
//! ```
//!
//! # Ending a command
//!
//! Signals to a `podman exec` never reach its command. So on a deadline, a cancel or a failing stream the processes
//! themselves are found and ended: TERM, two seconds, KILL, and a look whether it helped.
//!
//! - Every command has the variable `RT_EXEC_ID` in its environment, with a value of its own. The command can see it.
//! - From the host: podman's record of the exec names its first process and its conmon. Whoever shares a session with a
//!   process of the command, descends from one, carries the variable, or was adopted by that conmon, belongs to it. This needs
//!   nothing in the image, and podman is asked nothing: it may hang. It needs the containers on this machine, and the right
//!   to signal them (root, or the user whose rootless podman it is).
//! - A command that is still on its way is stopped there: its client, its conmon and the OCI runtime are ended with it.
//! - Where the host cannot see the processes (podman talks to another machine), a second exec does it from inside, with the
//!   image's `sh` and `grep`. Without these the report says [`KillOutcome::Unknown`](rt_protocol::KillOutcome::Unknown), and why.
//! - A process that left the session *and* shed the variable *and* lost its parents (`setsid env -i … &` twice over)
//!   looks like one that others have started in the container. Where there is such a one, younger than the command, the
//!   report says `Unknown` and names it. It is not killed: it may be somebody else's. Who is in the container is told by
//!   control group and mount namespace, so this holds with `--pid=host`, `--pid=container:…`, in pods, with `--init` and
//!   `--cgroups=disabled` too.
//! - In a container that is paused, KILL takes effect when it goes on (control groups v1): the report says
//!   [`Alive`](rt_protocol::KillOutcome::Alive) and names the processes.
//!
//! From the deadline to the answer it mostly takes some 50 ms, and 2 s more where TERM is ignored. At most, on a machine that
//! gives this process time to run, it is 6 s: 1.4 s for a command on its way, 2 s after TERM, 0.8 s after KILL, 1 s for a
//! client that does not leave, 1 s for one that hangs in the kernel. Where podman has to be asked what became of a command
//! that is not to be seen, or to forget one that has not begun, it is
//! [`TimeLimits::kill_report`](rt_protocol::TimeLimits::kill_report) (2 s) more in place of the two waits after signals.
//! Processes that KILL has reached and that do not get to their end are waited for as long: a busy machine gives them no time,
//! or their container is paused. From inside it is [`TimeLimits::kill_inside`](rt_protocol::TimeLimits::kill_inside) (8 s)
//! and 2 s.
//!
//! **When this program itself is ended by KILL**, nobody is left to end its commands: `podman exec` and the command go on, and
//! deadlines are void. Give such a command a deadline of its own: `["timeout", "60", "make"]` ends it in the container. One whose
//! stdin is bridged sees its stdin end.
//!
//! # Exit codes
//!
//! podman answers 125, 126, 127 and 255 for failures of its own, and a command may return them too. And a client that
//! somebody else ends (`systemctl stop` signals every process of a unit) answers 0 on podman 4.3, and 1 on 5.x. So a code
//! counts where this host has seen the command return it: podman's record of the exec is watched as it comes and goes, from
//! before the client starts (`<StaticDir>/<session>/`). That costs no question to podman. Where something is missing in
//! what was seen, podman is asked once, whether the client has seen the end of its command.
//!
//! - A client that was ended before its command could begin is
//!   [`BackendInterrupted`](rt_protocol::ErrorKind::BackendInterrupted), and
//!   [`never_started`](rt_protocol::Error::never_started) is true.
//! - Where the command may have run, what still runs of it is ended. Nothing left: the outcome is
//!   [`Lost`](rt_protocol::ExitOutcome::Lost). Otherwise `BackendInterrupted`, with a report that names what is left.
//! - When the container has gone under the command, or was started anew, the outcome is `Lost`. Processes and ids are
//!   compared for that, never times.
//! - Where the host does not see podman's records (podman talks to another machine), podman's event log decides: one more
//!   question after a code of podman's own, and after 0, 1 and 2, and one before each command, where the log ends then (it costs
//!   what an `inspect` costs). So no clock that is set meanwhile decides anything. A log in a journal is asked by
//!   times instead; where this machine's clock was set meanwhile, 0, 1 and 2 are not believed there. Without a log (`events_logger = "none"`), or while other
//!   commands run in the same container, podman's words on stderr decide there, and the client's 0, 1 or 2 is believed.
//!
//! A death by signal N is [`Code(128 + N)`](rt_protocol::ExitOutcome::Code), as podman reports it.
//!
//! A program that the OCI runtime finds and the kernel then refuses (a script whose interpreter is missing, an empty file) is
//! crun's word against nobody's: `Code(1)`, and `exec: …` on stderr.
//!
//! # What goes to podman and to containers
//!
//! podman inherits this process's environment, but for `NOTIFY_SOCKET` and `LISTEN_*`, which a service manager means for this
//! process alone. A container gets the variables of the request and of its image, and none of this process's: podman's own
//! habit of handing on `HTTP_PROXY` and its like is turned off, and `extra_args(["--http-proxy"])` turns it on again.
//! Containers carry the annotation `rt.create-id`, by which a `create` that was stopped knows the one that it has made.
//!
//! Ending a command leaves podman's record of its exec in the container's list of sessions until the container stops, where
//! the client had to be ended too.
//!
//! # What podman cannot do
//!
//! - **A client that others end while its output waits.** Where podman's client is ended from outside (`systemctl stop`)
//!   with output in its hands, what it had is lost, and the outputs are [`Stopped`](rt_protocol::StreamEnd::Stopped), also where
//!   the exit code is known. [`Eof`](rt_protocol::StreamEnd::Eof) says that the client removed its record of the exec, which
//!   it does after the last byte, or that a copy of its socket had nothing left. Once conmon has told the end, a slow sink holds
//!   no client back: the kernel keeps what is left, up to 512 KiB. Where podman talks to another machine nobody can see any of
//!   this, and such an output is called whole.
//! - **An import that others end.** In its last moments podman 4.3 leaves an image without a manifest, and refuses to list
//!   images from then on. Its text names the image (`consider removing the image`): `podman image rm --force ID` does it.
//! - **stdin and lost output.** When a command ends while some of its stdin is unread, podman loses its last output in up
//!   to three quarters of the calls (`head -c 3` of 150 KB; one unread byte may be enough; measured on 4.3.1 and 5.4.2; the
//!   exit code is right): the kernel tells podman's client of the reset connection before it hands over what has come. Such
//!   outputs are [`Stopped`](rt_protocol::StreamEnd::Stopped), and [`Eof`](rt_protocol::StreamEnd::Eof) is proof that nothing
//!   is missing: a copy of the client's socket (`pidfd_getfd(2)`) shows what it has left. Commands without a stdin are
//!   not affected: they are run without `-i`. Nor are commands that read their stdin to the end. Where this process must not look
//!   (the default seccomp profile of some engines, macOS) or podman talks to another machine, outputs are `Stopped` where stdin is
//!   [`ReaderGone`](rt_protocol::StreamEnd::ReaderGone), and what podman's own buffers have taken is not seen: where the
//!   output counts there, let the command read its stdin to the end.
//! - **A client that is ended where nobody can see.** With podman on another machine, and no event log there (or while other
//!   commands run in the container), nothing tells a client that somebody has ended from one whose command has returned 0, 1
//!   or 2: such a code is believed. podman's list of sessions is no proof: a command that never began is not in it either.
//! - **Outputs that a child holds.** podman's client leaves with the command, and what a child writes later is lost. Such an
//!   output is [`LeftOpen`](rt_protocol::StreamEnd::LeftOpen). The child is found in `/proc` by the marker in its environment: one that
//!   began with an empty environment, or ended within the milliseconds of the client's leaving, is missed.
//! - **Bytes.** podman replaces bytes that are not UTF-8 in words and variables; such requests are refused as
//!   [`Unsupported`](rt_protocol::ErrorKind::Unsupported).
//! - **Secrets of certain names.** A secret variable travels in podman's own environment. Names that would steer podman,
//!   its helpers or the loader (`PATH`, `LD_*`, `*_PROXY`, `CONTAINER*` and others) go as an env file through podman's
//!   stdin instead: those of podman and its helpers, the loader and the C library, shells and service managers. For a
//!   command that needs the stdin itself the file is a pipe on descriptor 3 of podman (on Linux; a `/bin/sh` opens it and
//!   becomes podman). They are refused with values that not every reader of
//!   env files takes as they stand: control characters, line ends included, quotation marks, `\\`, `#`, `$`, a blank at
//!   either end, or more than 60,000 bytes; beside a stdin also if all together have more than 1 MiB.
//! - **Copies out of a container that is not trusted.** podman unpacks confined to the destination directory (to its
//!   parent where the destination is not there yet): no name, link or `..` in the container makes it write elsewhere,
//!   nor does a symbolic link that an earlier copy has left there (measured on 4.3.1 and 5.4.2, as root; podman changes
//!   its root directory for it). What it does not keep away: symbolic links are copied as they are and may point
//!   anywhere on the host for whoever follows them later; named pipes are copied; files belong to the caller and keep
//!   their set-user-id bits, so that a copy by root can leave a program on the host that makes anybody root. Copy into a
//!   directory that nobody else can enter, and look before you follow.
//! - **What is not copied.** Of a tree, sockets are left out without a word, both ways; out of a container also device
//!   nodes (a tar stream has them), and all of `/dev`, `/proc` and `/sys`. Into a container, device nodes are made as they
//!   are on the host. A single socket, and what lies in those three directories, is refused as
//!   [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest); so is a single device node, unless the destination is
//!   a directory: then nothing arrives, and nothing tells. Out of a container that does not run, podman also leaves out
//!   `dev`, `proc` and `sys` at the top of a mount.
//! - **Names that are patterns.** podman reads the source of a copy as a pattern (`*`, `?`, `[`, `\\`), and so the
//!   destination when it looks whether it is there. Sources of the host are told by a link of our own in the directory for
//!   temporary files, sources in the container are escaped, and what podman cannot be told is refused as
//!   [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest) before anything is copied: a source in the container
//!   with a `*`; a destination in the container below a directory with such a character, or with one in its own name
//!   where podman finds a directory for a file, which may be another; a tar stream into such a directory. Two cases stay:
//!   a symbolic link in the container with a plain name is followed by podman, and the name that it leads to is
//!   a pattern again; and a mount whose place in the container has such a character is not seen while the container does
//!   not run.
//! - **Slashes at the end.** A file for a destination that ends with `/` or `/.` goes into that directory, which must be
//!   there, unless parents are made: then it counts as one. Parents are made with the mode 0755, for the container's user.
//! - **Tar streams in.** podman writes the stream to a temporary file and unpacks it afterwards, so it needs the space
//!   twice. The file is in a directory of this call's own under `TMPDIR`, and gone when the call returns (not for a
//!   rootless podman without `XDG_RUNTIME_DIR`, where `TMPDIR` means more; podman 4.3 then leaves its file behind). A
//!   caller's reader or writer that blocks delays the return, never the end of podman.
//! - **Directories.** podman runs in `/`, so that no container holds the caller's directory. Relative paths in what every
//!   call is given, and in the extra arguments of a launch, count from the caller's directory all the same.
//! - **Registries.** A pull that fails is told as [`NoSuchImage`](rt_protocol::ErrorKind::NoSuchImage),
//!   [`RegistryDenied`](rt_protocol::ErrorKind::RegistryDenied) or
//!   [`RegistryUnreachable`](rt_protocol::ErrorKind::RegistryUnreachable), by podman's last error. podman tries again for
//!   seconds, and for as long as it takes where the answer is 429; the end of the caller's wait tells what it was at.
//! - **Logs.** podman's own follower loses lines: it stops shortly after the container, whatever is unread, and drops what
//!   stood in a log file that was replaced (`max-size`); and a reader of 4.3 that gets TERM ends as if the log did. A log in
//!   a file (drivers `k8s-file` and `json-file`, on this machine) is therefore read from it, at any pace; of files that were
//!   replaced while nobody read, what is gone is told at the end as [`Incomplete`](rt_protocol::ErrorKind::Incomplete).
//!   Elsewhere (`journald`, a remote podman) podman reads. What its follower said is compared with a second reading, which
//!   gives what was left out at the end, without times; where the two differ, and with a `tail`, the end is `Incomplete`.
//!   There podman also leaves out what a follower with a `since` should get after the clock was set back.
//!   The next two paragraphs are of logs that podman reads.
//! - **Pieces of lines and `tail`.** podman logs a line in pieces where it was not read in one go: a line of more than
//!   some 8 KiB, one that the command wrote bit by bit, a last one without its newline. Without
//!   [`tail`](rt_protocol::LogOptions::tail) lines are whole. With it, podman 4.3 leaves only the last piece in its place
//!   and gives the others, last first, to the end of the line before, or to nobody: of `a`, `b` and an unterminated `c`
//!   the last two lines are `a` and `bc`, and a line of 3 MB may be empty. podman 4.7 has mended that. A tail of more
//!   than 134,217,728 lines (2^27) is the whole log: podman falls over at less than it accepts.
//! - **Times of lines.** podman prints a time before every piece, also in the middle of a line, and nothing tells it from
//!   the command's own words. [`timestamps`](rt_protocol::LogOptions::timestamps) therefore has two `podman logs` read
//!   the log, one with times and one without, and no byte of a line is guessed. A line comes without a time where the
//!   second one has not seen it: the last ones of a log that grows while it is read without `follow`, and those from
//!   where the log was rotated between the two (only with a `max-size`, and as far as the lines' beginnings show it:
//!   where lines are alike, a time may be that of another line). With a `tail` the two could begin with different
//!   lines, so there is one reader, and what has podman's form of a time to the letter (`2026-11-21T20:23:51.883198261Z`
//!   or with an offset, and a blank) is taken out of a line if it lies between the piece before and a minute after it
//!   is read. Words of the command go with it only if they are in that form the time of a moment that had yet to come
//!   when they were written. And where a piece of such a line lies beyond
//!   [`max_line_bytes`](rt_protocol::LogOptions::max_line_bytes), `omitted` counts its time too; a line of more than
//!   some 1800 pieces may keep fewer bytes than the bound.
//! - **Health checks.** podman has them run by timers of systemd; where there is none, a container's health stays
//!   "starting" until somebody runs `podman healthcheck run`.
//! - **A remote podman** (`podman --remote`, measured with client and service of 4.3.1 on one machine: of the 307 conformance
//!   facts that were run, 306 held). It is the caller's to know that podman is one, so nothing is refused ahead of time. Its
//!   client has no `--runtime`: a launch with an OCI runtime of its own is
//!   [`BackendFailed`](rt_protocol::ErrorKind::BackendFailed) ("unknown flag"). A command that leaves its stdin unread is
//!   [`Lost`](rt_protocol::ExitOutcome::Lost), whatever it returned. An unknown user is told with a kill report of
//!   [`Gone`](rt_protocol::KillOutcome::Gone) where the command never started. Logs are read by podman. On another machine the paths of
//!   mounts are that machine's, and commands are ended from inside (see "Ending a command"). The service of 4.3 takes the soft and
//!   hard limits of `default_ulimits` for each other; where they differ, no container starts.
//! - **microVMs.** exec in a container whose OCI runtime is krun is refused: it would land beside the guest.
//!
//! # Names
//!
//! podman takes the beginning of an id wherever it takes a name. A name of hexadecimal digits alone is therefore looked
//! up first, and podman is given the full id. Commands go by the id in any case: whoever removes, recreates or renames the
//! container meanwhile, a command never lands in another one, and never beside the guest of a microVM.
//!
//! # GPUs
//!
//! A create or start that failed over its GPU configuration answers [`GpuConfig`](rt_protocol::ErrorKind::GpuConfig), with
//! podman's words and the hint; podman itself has one text for a missing, a broken and a conflicting CDI spec, and calls a
//! spec that is older than the driver a missing command. Which specs a podman reads is
//! [`PodmanProfile::cdi_source`].
//!
//! # What is shown
//!
//! No text shows a secret: `Debug` and `Display` of runtimes, handles, builders and calls mask what
//! [`rt_gpu::redact_env_args`] finds, also in arguments that a caller has added. Only
//! [`login_command`](rt_protocol::Container::login_command) hands out an argv as it is, to be run; show it by the same
//! function.
//!
//! `tracing` events carry the operation, the container, the program, the number of arguments and the time limit; never
//! arguments or variables.

mod cli;
mod container;
mod copy;
mod events;
mod exec;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod host_loopback;
mod image;
mod lifecycle;
mod logs;
mod probe;
mod runtime;
mod state;

pub use container::PodmanContainer;
pub use events::PodmanEventStream;
pub use image::PodmanImage;
pub use logs::PodmanLogStream;
pub use runtime::{PodmanRuntime, PodmanRuntimeBuilder};
pub use state::kill_strategy::KillStrategy;
pub use state::profile::{PodmanProfile, PodmanVersion, RootlessNetwork};

use rt_protocol::{Capabilities, Capability};

/// What this backend serves.
fn capabilities() -> Capabilities {
    Capabilities::all().without(Capability::ByteArguments).without(Capability::Signals)
}
