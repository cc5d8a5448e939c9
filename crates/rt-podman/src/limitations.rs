//! Limits of the podman backend: what happens, when, and what to do.
//!
//! The sections about commands concern commands that run by `podman exec`.
//!
//! # A client is ended while its output waits
//!
//! If another process ends podman's client (`systemctl stop`) while it holds output, that output is
//! lost. The outputs are then [`Stopped`](rt_protocol::StreamEnd::Stopped), even if the exit code
//! is known. [`Eof`](rt_protocol::StreamEnd::Eof) proves one of two things. Either the client
//! removed its record of the exec, which it does after the last byte, or a copy of its socket had
//! nothing left. Once conmon has reported the end, a slow sink does not delay the client: the
//! kernel keeps up to 512 KiB of output. Through a remote podman none of this can be seen, and no
//! output counts as complete.
//!
//! # A client is ended where the host cannot see it
//!
//! Nothing distinguishes an interrupted client from a command that returned 0, 1 or 2 if podman is
//! on another machine without an event log, or while other commands run in the container. Such an
//! exit code is believed. podman's list of sessions is no proof: a command that never started is
//! not in it either.
//!
//! # Unread stdin loses output
//!
//! If a command ends while some of its stdin is unread, podman loses its last output in up to three
//! quarters of the calls (`head -c 3` of 150 KB; one unread byte may be enough). The exit code is
//! correct. The cause: the kernel reports the reset connection to podman's client before it
//! delivers the output that has come. Measured on 4.3.1 and 5.4.2.
//!
//! Such outputs are [`Stopped`](rt_protocol::StreamEnd::Stopped).
//! [`Eof`](rt_protocol::StreamEnd::Eof) proves that nothing is missing: a copy of the client's
//! socket (`pidfd_getfd(2)`) shows what the client has not read. Commands without a stdin are not
//! affected, because they run without `-i`. Commands that read their stdin to the end are not
//! affected either.
//!
//! If this process may not look (the default seccomp profile of some engines, macOS), outputs are
//! `Stopped` when stdin is [`ReaderGone`](rt_protocol::StreamEnd::ReaderGone). Unread stdin in
//! podman's own buffers is then not noticed. If the output matters there, let the command read its
//! stdin to the end.
//!
//! # A child holds the outputs open
//!
//! podman's client exits with the command, and what a child writes later is lost. Such an output is
//! [`LeftOpen`](rt_protocol::StreamEnd::LeftOpen). The child is found in `/proc` by the marker in
//! its environment. A child with an empty environment, or one that ends within milliseconds of the
//! client's exit, is missed.
//!
//! # Signals to a running command
//!
//! A signal to a command that runs by `podman exec` is sent from the host, to the process group
//! that `/proc` shows. It waits until the OCI runtime has started the command: a signal before that
//! would be a failed start. A real-time signal, and every signal where this host does not see the
//! container's processes, is sent by a script in a second exec, as the command's user. That needs
//! `sh` and `grep` in the image, and is [`Unsupported`](rt_protocol::ErrorKind::Unsupported)
//! without them. By an agent, all signals are sent at once.
//!
//! # Files without an agent
//!
//! Files are written and read as root of the container, with the capabilities that it has. An agent
//! does it in every container in which one works. It is another agent than that of the commands:
//! one of user `0:0`.
//!
//! Without one, a script does it in the container, with `sh` and the tools of coreutils or BusyBox.
//! A container that replaces a file by a pipe in the right moment can make it wait until the limit
//! of the call. Paths that are not UTF-8 are
//! [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest), as for copies.
//!
//! In a container that does not run or has no such tools, `podman cp` writes, reads and looks up
//! files, with these differences. A symbolic link at the end of the path is always followed. The
//! owner of a file is not told ([`FileInfo::owner`](rt_protocol::FileInfo::owner) is `None`). A
//! file that is written is a new one, of root unless the options name an owner. What lies in
//! `/dev`, `/proc` and `/sys` cannot be read. Atomic writes, listings and removals are
//! [`Unsupported`](rt_protocol::ErrorKind::Unsupported) without tools, and
//! [`NotRunning`](rt_protocol::ErrorKind::NotRunning) in a container that does not run.
//!
//! # The terminal of a `podman exec`
//!
//! podman gives a terminal its size a moment after the command begins, on some versions after the
//! command can see it (0 by 0 on 4.3.1): the command gets `SIGWINCH` then. A resize is sent to
//! conmon once the command has begun, and is [`Unsupported`](rt_protocol::ErrorKind::Unsupported)
//! where this host does not see the container's processes. By an agent, the size is there from the
//! start.
//!
//! # Bytes that are not UTF-8
//!
//! podman replaces bytes that are not UTF-8 in arguments and variables. Such requests are rejected
//! as [`Unsupported`](rt_protocol::ErrorKind::Unsupported).
//!
//! # Names of secret variables
//!
//! A secret variable travels in podman's own environment. Names that affect podman, its helpers,
//! the loader, the C library, shells or service managers (`PATH`, `LD_*`, `*_PROXY`, `CONTAINER*`
//! and others) go into an env file on podman's stdin instead. If a command needs the stdin itself,
//! the file is a pipe on descriptor 3 of podman (on Linux; a `/bin/sh` opens it and becomes
//! podman).
//!
//! In an env file, values are rejected that some reader does not take literally: control characters
//! (line ends included), quotation marks, `\`, `#`, `$`, a space at either end, or more than 60,000
//! bytes. Beside a stdin, all of them together may have at most 1 MiB.
//!
//! # Copies out of an untrusted container
//!
//! podman unpacks inside the destination directory, or inside its parent if the destination does
//! not exist. No name, link or `..` in the container makes it write elsewhere, and neither does a
//! symbolic link from an earlier copy (measured on 4.3.1 and 5.4.2, as root; podman changes its
//! root directory). These dangers stay:
//!
//! - Symbolic links are copied unchanged. They may point anywhere on the host for a program that
//!   follows them later.
//! - Named pipes are copied.
//! - Files belong to the caller and keep their set-user-id bits. A copy by root can leave a program
//!   on the host that gives root's rights to its users.
//!
//! Copy into a directory that only you can enter, and inspect the files before you follow links.
//!
//! # What is not copied
//!
//! Of a tree, sockets are skipped silently in both directions. Out of a container, device nodes (a
//! tar stream has them) and all of `/dev`, `/proc` and `/sys` are skipped too. Into a container,
//! device nodes are created as on the host.
//!
//! A single socket, and paths in those three directories, are rejected with
//! [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest). So is a single device node, unless
//! the destination is a directory: then nothing arrives, without an error. Out of a container that
//! does not run, podman also skips `dev`, `proc` and `sys` at the top of a mount.
//!
//! # Paths that look like patterns
//!
//! podman reads the source of a copy as a pattern (`*`, `?`, `[`, `\`), and also the destination
//! when it checks whether that exists. Paths are nevertheless literal: sources on the host are
//! passed by a link in the directory for temporary files, and sources in the container are escaped.
//! These cannot be passed and are rejected with
//! [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest) before anything is copied:
//!
//! - a source in the container with a `*`;
//! - a destination in the container below a directory with such a character;
//! - a destination with such a character in its own name, if podman finds a directory in place of a
//!   file: it may be another one;
//! - a tar stream into such a directory.
//!
//! Two cases remain. podman follows a symbolic link in the container and reads its target as a
//! pattern. A mount whose path in the container has such a character is not seen while the
//! container does not run.
//!
//! # Slashes at the end of a destination
//!
//! If a destination ends with `/` or `/.`, a file goes into that directory. The directory must
//! exist, unless parents are created: then it counts as one. Parents are created with mode 0755,
//! for the container's user.
//!
//! # Tar streams into a container need the space twice
//!
//! podman writes the stream to a temporary file before it unpacks it. The file is in a private
//! directory below `TMPDIR`, and is gone when the call returns. A rootless podman without
//! `XDG_RUNTIME_DIR` uses `TMPDIR` for more, so it gets no private directory; podman 4.3 then
//! leaves its file behind. If the caller's reader or writer blocks, the call returns late, but
//! podman ends in time.
//!
//! # podman runs in `/`
//!
//! So no container keeps the caller's directory busy. Relative paths in the builder's arguments and
//! in the extra arguments of a launch still count from the caller's directory.
//!
//! # Registries
//!
//! A failed pull is [`NoSuchImage`](rt_protocol::ErrorKind::NoSuchImage),
//! [`RegistryDenied`](rt_protocol::ErrorKind::RegistryDenied) or
//! [`RegistryUnreachable`](rt_protocol::ErrorKind::RegistryUnreachable), by podman's last error.
//! podman retries for seconds, and without end if the answer is 429. If the caller's limit ends the
//! pull, the error contains podman's last message.
//!
//! # Progress of a pull
//!
//! podman names each layer of an image when it comes to it, also one that is present. It says how
//! many bytes have come on a terminal alone, as a drawing. So
//! [`PullProgress`](rt_protocol::PullProgress) has no bytes, and does not say when a single layer
//! is complete. All of them are when the configuration follows.
//!
//! A podman that a signal ends leaves the unfinished layers in its temporary directory
//! (`image_copy_tmp_dir`, or `TMPDIR`). Each pull of this crate has a directory of its own there,
//! named `rt-pull-…`, and removes it at its end. If this program is killed, the directory stays.
//! The layers of a `create` that pulls, and those of a remote podman, are podman's.
//!
//! # An interrupted import
//!
//! An import that another process ends in its last moments leaves an image without a manifest.
//! podman 4.3 then refuses to list images. Its text names the image
//! (`consider removing the image`). Remove it with `podman image rm --force ID`.
//!
//! # Logs
//!
//! podman's own follower loses lines: it stops shortly after the container, even with unread lines,
//! and drops the rest of a log file that was replaced (`max-size`). A reader of 4.3 that gets TERM
//! ends as if the log did.
//!
//! So a log in a file (drivers `k8s-file` and `json-file`, on this machine) is read from that file,
//! at any pace. If files were replaced while nothing was read, the loss is reported at the end as
//! [`Incomplete`](rt_protocol::ErrorKind::Incomplete).
//!
//! Other logs (`journald`, a remote podman) are read by podman. The output of its follower is
//! compared with a second reading, which returns missing lines at the end, without times. If the
//! two differ, and with a `tail`, the end is `Incomplete`. podman also omits lines that a follower
//! with a `since` should get after the clock was set back.
//!
//! If conmon is killed, nothing more of the container is logged. A follower then ends with
//! [`BackendInterrupted`](rt_protocol::ErrorKind::BackendInterrupted); one that starts later waits
//! where only podman (4 and 5) reads the log, as that of a container without control groups.
//!
//! A log in the journal needs podman's events there too (`events_logger = "journald"`): podman 4.3
//! follows it only then. With a `tail`, podman returns one line more if the last line is
//! unterminated. Where no journald runs, podman 5 and 6 start the container and drop its output;
//! its empty log is `Incomplete`. Measured on 4.3.1, 5.4.2 and 6.1.1, with a journald without
//! systemd.
//!
//! The drivers `none` and `passthrough` keep nothing: reading such a log is
//! [`Unsupported`](rt_protocol::ErrorKind::Unsupported). A launch with `passthrough` is rejected,
//! because it would connect the container to the streams of a short call of podman.
//!
//! The next two sections concern logs that podman reads.
//!
//! # Parts of lines, and `tail`
//!
//! podman logs a line in parts if conmon did not read it at once: a line of more than about 8 KiB,
//! a line that the command wrote in parts, a last line without its newline. Without
//! [`tail`](rt_protocol::LogOptions::tail), lines are complete.
//!
//! With a tail, podman 4.3 keeps only the last part in its place. It adds the others, last first,
//! to the line before, or drops them. Of `a`, `b` and an unterminated `c`, the last two lines are
//! `a` and `bc`, and a line of 3 MB may be empty. podman 4.7 has fixed this. A tail of more than
//! 134,217,728 lines (2^27) returns the whole log, because podman fails below the number that it
//! accepts.
//!
//! # Times of log lines
//!
//! podman prints a time before every part, even in the middle of a line, and it cannot be
//! distinguished from the command's output. So for
//! [`timestamps`](rt_protocol::LogOptions::timestamps) two `podman logs` read the log, one with
//! times and one without, and no byte of a line is guessed.
//!
//! A line has no time if the second reader has not seen it. These are the last lines of a log that
//! grows while it is read without `follow`, and lines after a rotation between the two readers
//! (only with a `max-size`). A rotation is noticed by the beginnings of lines; if lines are alike,
//! a time may be that of another line.
//!
//! With a `tail` the two readers could begin with different lines, so there is one reader. It
//! removes text from the middle of a line that has exactly podman's format of a time
//! (`2026-11-21T20:23:51.883198261Z`, or with an offset, and a space) and lies between the previous
//! part and one minute after the reading. Output of the command is removed with it only if it was,
//! in that format, a time in the future when it was written. If a part of such a line lies beyond
//! [`max_line_bytes`](rt_protocol::LogOptions::max_line_bytes), `omitted` counts its time too. A
//! line of more than about 1800 parts may keep fewer bytes than the limit.
//!
//! # Health checks
//!
//! podman runs them by systemd timers. Without systemd, a container's health stays "starting" until
//! `podman healthcheck run` is called.
//!
//! A check of one word runs by the image's shell, and one of several words without it. podman reads
//! the first words `CMD`, `CMD-SHELL` and `NONE` in any case as keywords; they are rejected with
//! [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest).
//!
//! # A remote podman
//!
//! All verbs work through `podman --remote`, with these limits:
//!
//! - Its client has no `--runtime`. A launch with its own OCI runtime is
//!   [`Unsupported`](rt_protocol::ErrorKind::Unsupported).
//! - Every output is [`Stopped`](rt_protocol::StreamEnd::Stopped), even if it is complete. The
//!   client of 4.3.1 silently loses the beginning of an output now and then: of `echo a; sleep
//!   0.05; echo b`, the `a` was missing in 1 of 40 calls. The service loses the end of the output
//!   of a command that leaves stdin unread. Such a command may also be
//!   [`Lost`](rt_protocol::ExitOutcome::Lost), whatever it returned.
//! - The service keeps a conmon of each exec for five minutes.
//! - An unknown user is reported with a kill report of [`Gone`](rt_protocol::KillOutcome::Gone),
//!   although the command never started.
//! - On a busy machine, the service of 4.3.1 loses the reason of a failed start now and then (in 3
//!   of some 100 calls). Then it is [`BackendFailed`](rt_protocol::ErrorKind::BackendFailed) with
//!   podman's "connection reset by peer" or nothing, and a kill report of
//!   [`Gone`](rt_protocol::KillOutcome::Gone). If the service is on another machine, the exit code
//!   127 or 126 of a client that says nothing counts as the command's own.
//! - podman reads logs.
//! - If it is on another machine, mounts name paths of that machine, and commands are ended from
//!   inside (see "Ending a command" in the docs of the [crate]).
//! - The service of 4.3 swaps the soft and hard limits of `default_ulimits`. If they differ, no
//!   container starts.
//!
//! # runc
//!
//! - Before 1.1.8, a tmpfs over a directory that exists has the mode of that directory, whatever
//!   was asked for (<https://github.com/opencontainers/runc/issues/3911>). After a restart the
//!   directory exists.
//! - Before 1.1.13, the soft limit of open files of a command may be raised to the hard one
//!   (<https://github.com/opencontainers/runc/issues/4195>). On the warm path that happens to an
//!   agent, and so to all of its commands.
//! - A container without control groups is rejected, and so is one with another file system at
//!   `/proc`.
//!
//! # microVMs
//!
//! An exec in a container whose OCI runtime is krun is rejected: it would end up beside the guest.
