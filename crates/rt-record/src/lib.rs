//! Record and replay: records a program's calls to any runtime, and replays them without that
//! runtime.
//!
//! A test that needs podman records once on a machine with podman, and replays from the file
//! everywhere else.
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
//! let make = rt_null::ArgvPattern::program("make");
//! real.on_exec(rt_null::Scope::all(), make, |_| ExecReply::stdout("1.2.3\n"));
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
//! All arguments of a call, except:
//! - of a secret variable, the name is compared and the value is not;
//! - host paths (of copies and mounts) and points in time (`since`), because a test cannot repeat
//!   them;
//! - the caller's `until`: a replay answers at once. Only an idle stream, and a bridged command
//!   that reads the caller's stdin, wait as long as their `until` allows;
//! - the contents of what is copied in. The stdin of a bridged command must be the recorded bytes,
//!   however they are split into chunks.
//!
//! So a program replays well if its calls follow from the answers. A program that polls until its
//! own clock stops it makes more or fewer calls than recorded. A program that makes up names (for
//! example from its process id) calls other containers than recorded. Both get an error that says
//! so.
//!
//! # Limitations
//!
//! A replay does not let time pass. It changes nothing on the host except the files of a copy out.
//! A reserved port is an address only; the port is not held.
//!
//! # Secrets
//!
//! The value of a secret variable is never written. If its bytes occur later in any recorded data
//! (arguments, output, stdin, log lines, errors, copied files), its name is written instead. The
//! replay restores the value that the program gives with the same call. So a recording holds no
//! token (with the exceptions below), and a test may use a different one. Where the recording has a
//! secret's name in an argument, the replay accepts any bytes.
//!
//! The search finds the exact bytes, also across chunks. It finds single lines of a multi-line
//! value, and where output was cut, a part of at least 4 bytes at the cut.
//!
//! It does not find:
//!
//! - what a program derived from a value (base64, quotes, escapes);
//! - what was recorded before the value was known;
//! - lines of less than 4 bytes;
//! - a part that the command itself cut.
//!
//! Words of the contract and of the format, numbers, and names of containers and images are written
//! unchanged. A value of one or two letters also matches unrelated text; such a recording replays
//! well only with the same value. [`Recorder::secret`] adds secrets that are not variables.
//! Recording files are readable by their owner only.
//!
//! # The format
//!
//! JSON lines. The first is a header: `format`, `version` ([`FORMAT_VERSION`]), `runtime`,
//! `capabilities`. Each other line is one call, written when it has been answered:
//!
//! - `seq`: the order in which calls began;
//! - the object of the call: `container`, `image`, `handle` (a stream or reservation), or none for
//!   the runtime;
//! - `op` and `args`;
//! - `answer`: `{"ok": …}` or `{"error": …}`;
//! - `stdio` of a bridged command: what moved, in order, as `{"in": …}`, `{"out": …}`, `{"err": …}`
//!   and `{"end": "in"}`.
//!
//! Bytes are text if they are UTF-8, else `{"hex": …}`. Bytes that contained a secret are
//! `{"parts": […]}`. A secret in them is `{"secret": …}` with its name, with `call` if it came with
//! another call, and with `from` and `to` for a part of it.
//!
//! Arguments and answers are the contract's plain data as its feature `serde` writes it, without
//! null fields. Labels and annotations are pairs.
//!
//! A reader skips unknown fields, except in arguments. It rejects another version, names the line
//! that it cannot read, and ignores an incomplete last line.

mod format;
mod recorder;
mod replay;
mod secrets;

pub use format::header::FORMAT_VERSION;
pub use recorder::Recorder;
pub use replay::Replay;
