//! Local processes for the `rt` workspace: the one place that starts them, moves their bytes, and
//! ends them.
//!
//! All programs that the backends run on this machine are started here. The same loop serves the
//! caller's streams of a command that runs elsewhere ([`with_bridge`]). The crate knows no engine,
//! neither podman nor ssh. It does not parse output, does not retry, and does not interpret
//! failures. It returns bytes, an [`ExitStatus`], or a [`ProcessError`].
//!
//! ```
//! use rt_process::{ExitStatus, ProcessSpec, Program, capture};
//! use rt_protocol::{OutputLimit, Source, Until};
//!
//! # fn main() -> Result<(), rt_process::ProcessError> {
//! let spec = ProcessSpec::new(&Program::find("sh")?).args(["-c", "cat; exit 3"]);
//! let limit = OutputLimit::bytes(64 * 1024);
//! let finished = capture(&spec, Source::bytes("hello"), limit, limit, &Until::forever())?;
//! assert_eq!(finished.status, Some(ExitStatus::Code(3)));
//! assert_eq!(finished.stdout_capture, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! There are three ways to run a process:
//! - [`capture()`] runs it to its end;
//! - [`with_process`] gives it to a callback, which drives it between streams that may be borrowed
//!   from the caller;
//! - a [`Child`] is an owned value with plain descriptors.
//!
//! # Guarantees
//!
//! - **Own process group.** A process leads its own process group, so that it can be ended with its
//!   children: TERM, a grace period, KILL. The leader stays unreaped until the last signal is sent,
//!   so that no signal reaches an unrelated process that was given the same number. If it exits by
//!   itself, nothing is signalled: what it left behind was left on purpose.
//! - **One poll loop** moves the bytes of all three streams, waits for the exit, and keeps the
//!   caller's [`Until`](rt_protocol::Until). It blocks only in `poll`. Everything that can only
//!   block (a reader, a writer, a terminal) has its own thread, with one chunk in flight.
//! - **Bounded wait after the exit.** All output of the process itself is delivered. If another
//!   process holds an output open, the output is abandoned 100 ms after the last byte, and 1 s
//!   after the exit at the latest.
//! - **Bounded memory.** At most 64 KiB per stream, plus what the caller asked to keep. The
//!   kernel's pipe holds another 64 KiB, or more if the caller
//!   [asks for it](Process::grow_output_pipes).
//! - **Nothing left behind**: no zombie, descriptor or thread, however the process ends. The
//!   exceptions are documented where they can happen. A thread may stay inside a caller's own
//!   blocking `read` or `write`. A process may stay if it was [detached](Process::detach) or
//!   survived KILL for a second; one thread waits for it.
//! - **No secret in a text.** `Debug`, `Display`, errors and events show `<redacted>` or nothing.
//!
//! # Tracing events
//!
//! All events have the target `rt_process`. None has argv or environment as a field.
//! - `debug` "process started" with `program` (path), `arguments` (count) and `pid`;
//! - `debug` "process ended" with `pid` and `status`;
//! - `debug` with `pid` when a [`LineStream`] is dropped without being closed;
//! - `warn` with `pid` when a running process must be ended because its handle is dropped;
//! - `warn` with `pid` and `error` when a process cannot be signalled or waited for.
//!
//! Backends open an [`OperationSpan`](rt_protocol::OperationSpan) for each operation.
//!
//! # SIGPIPE
//!
//! As the standard library does, this crate writes to pipes whose reader may be gone, and expects
//! SIGPIPE to be ignored. Rust programs ignore it by default.

mod bridge;
mod capture;
mod child;
mod error;
mod finished;
mod io;
mod lines;
mod port;
mod process;
pub mod procfs;
mod remote;
mod spawn;
mod watch;

pub use bridge::{Bridge, BridgeReport, PeerPipes, RemoteCommand, with_bridge};
pub use capture::capture;
pub use child::Child;
pub use child::exit_status::ExitStatus;
pub use error::ProcessError;
pub use finished::Finished;
pub use io::socket_copy::{SocketCopy, Unread};
pub use io::streams::{ChildStdio, Output, Streams};
pub use lines::{Line, LineStream};
pub use port::TcpPortReservation;
pub use process::{PollSource, Process, with_process};
pub use remote::command_slot::CommandSlot;
pub use remote::exec_marker::ExecMarker;
pub use remote::file_failure::FileFailure;
pub use remote::file_path;
pub use remote::file_script::FileScripts;
pub use remote::remote_kill::RemoteKill;
pub use remote::remote_signal::RemoteSignal;
pub use rt_protocol::OutputStream;
pub use spawn::program::Program;
pub use spawn::spec::{ProcessSpec, RedactFn};
pub use watch::directory_watch::{DirectoryChange, DirectoryWatch};
pub use watch::followed_file::{FollowedFile, Growth};
