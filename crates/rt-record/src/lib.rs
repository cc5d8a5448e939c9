//! Record and replay: write down what a program asks of any runtime, and answer it again without that runtime.
//!
//! A test that needs podman records once where podman is, and runs everywhere else from the file.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rt_record::{Recorder, Replay};
//! use rt_null::{ExecReply, NullRuntime};
//! use rt_protocol::{ContainerRuntime, ContainerRuntimeExt, ErrorKind, LaunchSpec, Result};
//!
//! const LIMIT: Duration = Duration::from_secs(60);
//!
//! // The program under test: it takes any runtime.
//! fn build(runtime: &dyn ContainerRuntime) -> Result<String> {
//!     runtime.launch(&LaunchSpec::builder("job", "alpine").build()?, LIMIT)?;
//!     Ok(runtime.exec_in("job", ["make", "version"], LIMIT)?.stdout.text().into_owned())
//! }
//!
//! # fn main() -> Result<()> {
//! # let home = tempfile::tempdir().expect("a directory");
//! # let file = home.path().join("build.jsonl");
//! // Once, where the real runtime is (here a scripted one stands in for it).
//! let real = NullRuntime::new();
//! real.on_exec(rt_null::Scope::all(), rt_null::ArgvPattern::program("make"), |_| ExecReply::stdout("1.2.3\n"));
//! let recorder = Recorder::create(Arc::new(real), &file)?;
//! assert_eq!(build(&recorder)?, "1.2.3\n");
//! assert_eq!(recorder.finish()?, 3);
//!
//! // Everywhere, from then on.
//! let replay = Replay::open(&file)?;
//! assert_eq!(build(&replay)?, "1.2.3\n");
//! replay.finish()?;
//!
//! // What was not recorded says so.
//! let error = replay.exec_in("job", ["make", "clean"], LIMIT).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::BackendFailed);
//! assert!(error.message().contains(r#"["make","clean"]"#), "{error}");
//! # Ok(())
//! # }
//! ```
//!
//! # What is compared
//!
//! All arguments of a call, but:
//! - of a secret variable its name, and not its value;
//! - paths of the host (of copies and mounts) and points in time (`since`) not at all, because no test can repeat them;
//! - how long the caller was willing to wait, not at all: a replay answers at once. Only a stream that was idle, and a
//!   bridged command that reads the caller's stdin, wait for what their `until` allows;
//! - the contents of what is copied in, not at all. stdin of a bridged command must be the recorded bytes, however they are
//!   cut into chunks.
//!
//! So a program replays well whose questions follow from the answers. One that polls until its own clock says stop asks more
//! or less often than it did, and one that makes up names (from its process id, say) asks of others; both are told so.
//!
//! # What a replay does not do
//!
//! Time does not pass, nothing is changed on the host but the files of a copy out, and a reserved port is an address that
//! nobody holds.
//!
//! # Secrets
//!
//! The value of a secret variable is never written. Where its bytes stand in anything else that is recorded from then on
//! (arguments, output, stdin, log lines, errors, copied files), its name is written in their place, and the replay puts back
//! the value that the program gives with the same call then. So recordings hold no token, and a test may use another one.
//! Where the recording has a name in an argument, the replay takes any bytes.
//!
//! This finds the exact bytes, across chunks, and single lines of a value of several; and where output was cut, a part of at
//! least 4 bytes at the cut. It does not find what a program made of a value (base64, quotes, an escape), what was recorded
//! before the value was known, lines of less than 4 bytes, or what a command itself cut. Words of the contract and of the
//! format, numbers, and the names of containers and images are written as they are. A value of a letter or two is found in
//! much that it has nothing to do with; that replays well with the same value only. [`Recorder::secret`] names secrets that
//! are no variables. Files are made for the eyes of their owner alone.
//!
//! # The format
//!
//! JSON lines. The first is a header: `format`, `version` ([`FORMAT_VERSION`]), `runtime`, `capabilities`. Each other line is
//! one call, written when it was answered: `seq` (the order in which calls were asked), whom it asked (`container`, `image`,
//! `handle` of a stream, or nobody for the runtime), `op`, `args`, and `answer`, which is `{"ok": …}` or `{"error": …}`.
//! Bridged commands have `stdio`: what moved, in order, as `{"in": …}`, `{"out": …}`, `{"err": …}` and `{"end": "in"}`. Bytes
//! are text where they are UTF-8, `{"hex": …}` otherwise, and `{"parts": […]}` where a secret stood in them: `{"secret": …}`
//! with its name, the `call` that it came with unless that is the same, and `from` and `to` for a part of it.
//!
//! Arguments and answers are the contract's plain data as its feature `serde` writes it, without fields that are null; labels and
//! annotations are pairs.
//!
//! A reader skips fields that it does not know, but for arguments, refuses another version, names the line that it cannot
//! read, and does without a last line that broke off.

mod format;
mod recorder;
mod replay;
mod secrets;

pub use format::header::FORMAT_VERSION;
pub use recorder::Recorder;
pub use replay::Replay;
