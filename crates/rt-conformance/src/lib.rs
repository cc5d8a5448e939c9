//! The conformance suite of the `rt` contract: what every backend must do, as named facts. This
//! crate contains no backend.
//!
//! To test a backend, write a [`Fixture`] and run a [`Suite`]:
//!
//! ```
//! use rt_conformance::{Fixture, Group, Suite};
//! use rt_null::NullRuntime;
//! use rt_protocol::{ImageRef, NamePrefix};
//!
//! #[derive(Debug)]
//! struct Mine {
//!     prefix: NamePrefix,
//!     image: ImageRef,
//! }
//!
//! impl Fixture for Mine {
//!     fn prefix(&self) -> &NamePrefix {
//!         &self.prefix
//!     }
//!
//!     fn image(&self) -> &ImageRef {
//!         &self.image
//!     }
//! }
//!
//! let runtime = NullRuntime::new();
//! let (prefix, image) = (NamePrefix::new("suite")?, ImageRef::new("localhost/small")?);
//! let fixture = Mine { prefix, image };
//! let suite = Suite::new(&runtime, &fixture);
//! let report = suite.run(&|case| case.group() == Group::Ports, &mut |_, _| {});
//! assert!(report.ok() && report.passed() > 0, "{report}");
//! # Ok::<(), rt_protocol::InvalidValue>(())
//! ```
//!
//! If you wrap another runtime, you need no engine and no fixture of your own:
//! `rt_null::conformance::NullFixture`, behind the feature `conformance` of `rt-null`, plays the
//! scripts in memory.
//!
//! # Cases
//!
//! A case tests one fact, which its name states. It declares the
//! [`Capability`](rt_protocol::Capability) values that the backend must have, and what the fixture
//! must offer ([`Need`]). Its [`Outcome`] is passed, skipped with a reason, or failed with what was
//! observed. The cases of [`core()`] are for guests that can only exec.
//!
//! After each case the suite counts leftovers. The case fails if this process has a descriptor,
//! thread or child process that it did not have before, or if the standing container has another
//! exec session. What a backend keeps between calls by its documented limits does not count once
//! [`Fixture::release`] has let go of it. Run only one case at a time in a process. The suite holds
//! a lock, but it cannot stop other threads of the program. Counting reads `/proc`; where there is
//! none, the suite does not count and [says so](Suite::counts_leftovers).
//!
//! # Commands
//!
//! Cases run [`Script`]s: argument lists for a POSIX shell. A backend that runs nothing interprets
//! them with [`mod@reference`].
//!
//! This crate starts no process and logs nothing.

#[macro_use]
mod ensure;

mod case;
mod container_cache;
mod context;
mod failing_stream;
mod failure;
mod fixture;
mod group;
mod groups;
mod interrupted;
mod leftovers;
mod need;
pub mod reference;
mod report;
mod required;
mod script;
mod served_images;
mod suite;
mod threads;
mod timeout;

pub use case::Case;
pub(crate) use context::TestContext;
pub use failure::{Failure, Outcome, Verdict};
pub use fixture::Fixture;
pub use group::Group;
pub use groups::{cases, core, find};
pub use need::Need;
pub use report::{Report, Row};
pub use script::{Script, Shape, many_names, pattern};
pub use served_images::ServedImages;
pub use suite::Suite;
