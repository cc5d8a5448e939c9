//! The behavioural suite of the `rt` contract: what every backend must do, as named facts. No backend stands here.
//!
//! A backend proves itself with a [`Fixture`] and a [`Suite`]:
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
//! let fixture = Mine { prefix: NamePrefix::new("suite")?, image: ImageRef::new("localhost/small")? };
//! let suite = Suite::new(&runtime, &fixture);
//! let report = suite.run(&|case| case.group() == Group::Ports, &mut |_, _| {});
//! assert!(report.ok() && report.passed() > 0, "{report}");
//! # Ok::<(), rt_protocol::InvalidValue>(())
//! ```
//!
//! # What a case is
//!
//! One fact, which its name states; the [`Capability`](rt_protocol::Capability) values that the backend must have for it; and
//! what the fixture must offer ([`Need`]). A case ends as passed, as skipped with the reason, or as failed with what was
//! seen instead ([`Outcome`]). The cases of [`core()`] are for guests that can only exec.
//!
//! After each case the suite counts: a descriptor, thread or child process of this process that was not there before, or
//! an exec session left in the standing container, fails the case. So run one case at a time in a process; the suite
//! holds a lock, but cannot hold back other threads of the program. Counting reads `/proc` and is left out, and said to
//! be left out, where there is none.
//!
//! # Commands
//!
//! Cases run [`Script`]s: argv for a POSIX shell. A backend that runs nothing gives them their meaning with
//! [`mod@reference`].
//!
//! This crate starts no process, logs nothing and knows no backend.

#[macro_use]
mod ensure;

mod case;
mod container_cache;
mod context;
mod failure;
mod fixture;
mod group;
mod groups;
mod leftovers;
mod need;
pub mod reference;
mod report;
mod script;
mod suite;
mod timeout;

pub use case::Case;
pub(crate) use context::TestContext;
pub use failure::{Failure, Outcome, Verdict};
pub use fixture::Fixture;
pub use group::Group;
pub use groups::{cases, core, find};
pub use need::Need;
pub use report::{Report, Row};
pub use script::{Script, Shape, pattern};
pub use suite::Suite;
