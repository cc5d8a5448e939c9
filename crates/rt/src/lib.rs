//! Run commands in containers and microVMs through one small contract, with the backends that you choose.
//!
//! The contract is [`rt_protocol`], re-exported here: a [`ContainerRuntime`] hands out [`Container`] handles, and a
//! container runs commands. Which backends are compiled in is a matter of cargo features; which one runs is chosen by
//! [`open()`], or by building a backend's own runtime.
//!
//! ```
//! use std::time::Duration;
//!
//! use rt::LaunchSpec;
//! use rt::prelude::*;
//!
//! # fn main() -> rt::Result<()> {
//! // In a test; a program would say `rt::open(rt::Backend::Podman)?`.
//! let runtime = rt_null::NullRuntime::new();
//! let limit = Duration::from_secs(60);
//! runtime.launch(&LaunchSpec::builder("job-1", "alpine").command(["sleep", "inf"]).build()?, limit)?;
//! // A non-zero exit is data; `exit_ok` makes it an error, with what the command said at last.
//! let result = runtime.exec_in("job-1", ["echo", "hello"], limit)?.exit_ok()?;
//! assert!(result.stderr.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds | default |
//! | --- | --- | --- |
//! | `podman` | [`Backend::Podman`] can be opened | yes |
//! | `krun` | the krun backend: `KrunRuntime` and its transport over SSH; needs a C compiler and OpenSSL | no |
//! | `null` | [`Backend::Null`] can be opened: a build with it can be told by its configuration to run nothing | no |
//! | `gpu` | the module `gpu`: what GPUs a host has, which of them a launch gets, and redaction | no |
//! | `mock` | mocks of the contract's traits (mockall), in the module `mock`: for a program's dev-dependencies | no |
//! | `record` | the module `record`: what a program asks of any runtime is recorded, and replayed without it | no |
//! | `serde` | `Serialize` and `Deserialize` for the contract's plain data: requests, results, states, events, errors | no |
//! | `vendored-openssl` | handed on to `krun`'s SSH library | no |
//!
//! A feature adds a door and never changes what is behind another one.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod detect;
mod doctor;
#[cfg(feature = "mock")]
pub mod mock;
mod open;
pub mod prelude;

pub use backend::Backend;
pub use detect::{Detection, detect};
pub use doctor::{Diagnosis, DoctorOptions, Finding, Verdict, doctor};
pub use open::open;

pub use rt_protocol::*;

#[cfg(feature = "gpu")]
pub use rt_gpu as gpu;
#[cfg(feature = "krun")]
pub use rt_krun as krun;
#[cfg(feature = "null")]
pub use rt_null as null;
#[cfg(feature = "podman")]
pub use rt_podman as podman;
#[cfg(feature = "record")]
pub use rt_record as record;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
