//! Local processes for the `rt` workspace: the one place that starts one, moves its bytes, and ends it.
//!
//! Everything that the backends run on this machine goes through here. The same loop serves the caller's streams of a
//! command that runs elsewhere ([`with_bridge`]). The crate knows no engine: not one word of
//! podman or ssh stands in it. It never parses what a process says, never retries, and never decides what a failure
//! means; it answers with bytes, an [`ExitStatus`], and a [`ProcessError`] when there is none.
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
//! There are three ways to hold a process: [`capture()`] runs one to its end, [`with_process`] hands one to a callback, which
//! drives it between streams of the caller that may be borrowed, and a [`Child`] is owned and has plain descriptors.
//!
//! # What holds for every process
//!
//! - **Its own group.** It leads a process group of its own, so that it can be ended with its children: TERM, a grace
//!   period, KILL. The leader stays unreaped until the last signal is sent, so that no signal reaches a stranger who was
//!   given the same number. After an exit of its own accord nobody is signalled: what it left behind, it left on purpose.
//! - **One poll loop** moves the bytes of all three streams, waits for the exit, and keeps the caller's
//!   [`Until`](rt_protocol::Until). It never blocks in anything but `poll`; what can only block (a reader, a writer, a
//!   terminal) is on a thread of its own, with one chunk in flight.
//! - **A bounded wait after the exit.** What the process itself wrote is always delivered. When somebody else holds an
//!   output open, it is left 100 ms after the last byte, 1 s after the exit at the latest.
//! - **Flat memory.** At most 64 KiB per stream beside what the caller asked to keep. The kernel's pipe holds as much, and
//!   more where the caller [asks for it](Process::grow_output_pipes).
//! - **Nothing left behind**: no zombie, descriptor or thread, however it ends. Excepted are, and each is documented
//!   where it can happen: a thread inside a caller's own blocking `read` or `write`, and a process that was
//!   [detached](Process::detach), or that not even KILL ended within a second, with the one thread that waits for it.
//! - **No secret in a text.** `Debug`, `Display`, errors and events show `<redacted>` or nothing.
//!
//! # Events
//!
//! With target `rt_process`: `debug` "process started" with `program` (path), `arguments` (count) and `pid`; `debug`
//! "process ended" with `pid` and `status`, and `debug` with `pid` when a [`LineStream`] is dropped without being closed;
//! `warn` with `pid` when a running process has to be ended because its handle is dropped, and with `pid` and `error`
//! when it cannot be signalled or waited for. Neither argv nor environment is ever a field.
//!
//! # SIGPIPE
//!
//! As the standard library does, this crate writes to pipes whose reader may be gone, and expects SIGPIPE to be ignored.
//! Rust programs start that way.

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
pub use remote::exec_marker::ExecMarker;
pub use remote::remote_kill::RemoteKill;
pub use rt_protocol::OutputStream;
pub use spawn::program::Program;
pub use spawn::spec::{ProcessSpec, RedactFn};
pub use watch::directory_watch::{DirectoryChange, DirectoryWatch};
pub use watch::followed_file::{FollowedFile, Growth};
