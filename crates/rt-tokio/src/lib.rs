//! The contract of the `rt` workspace for async programs on tokio.
//!
//! [`AsyncRuntime`] makes every call of a [`ContainerRuntime`](rt_protocol::ContainerRuntime) a
//! future, on any backend. Requests, results and errors are those of the contract.
//!
//! - **Dropping a future ends its command** where it runs: `timeout`, `select!`, an aborted task
//!   and a runtime that shuts down do the same. What became of it goes to
//!   [`on_orphan`](AsyncRuntimeBuilder::on_orphan).
//! - **A running command is a [`Child`]** with async pipes. On podman's warm path it needs no
//!   thread.
//! - **Other calls block on threads of their own**, not on tokio's blocking pool, at most
//!   [`at_once`](AsyncRuntimeBuilder::at_once) of them; [`load`](AsyncRuntime::load) shows how many
//!   wait.
//! - **Deadlines are those of the contract**, in real time. tokio's clock is not used.
//!
//! The [`guide`] has a sandbox service, the cost of many commands at once, streams for other
//! crates, tests with a paused clock, and more than one machine.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rt_null::NullRuntime;
//! use rt_protocol::{ExecRequest, LaunchSpec};
//! use rt_tokio::AsyncRuntime;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> rt_protocol::Result<()> {
//! let runtime = AsyncRuntime::builder(Arc::new(NullRuntime::new()))
//!     .at_once(64)
//!     .on_orphan(|orphan| eprintln!("{orphan}"))
//!     .build();
//! let limit = Duration::from_secs(60);
//! let job = runtime.launch(&LaunchSpec::builder("job", "alpine").build()?, limit).await?;
//! let result = job.exec(&ExecRequest::new(["make", "test"])?, limit).await?;
//! println!("{}: {}", result.outcome, result.stdout);
//! # Ok(())
//! # }
//! ```

mod builder;
mod call;
mod child;
mod clock_hold;
mod container;
mod deadlines;
pub mod guide;
mod held_command;
mod image;
mod image_pull;
mod item_stream;
mod load;
mod orphan;
mod runtime;
mod runtime_handle;
mod threads;
mod until_end;

pub use builder::AsyncRuntimeBuilder;
pub use call::Call;
pub use child::Child;
pub use container::AsyncContainer;
pub use image::AsyncImage;
pub use image_pull::ImagePull;
pub use item_stream::{EventStream, ItemStream, LogStream};
pub use load::Load;
pub use orphan::Orphan;
pub use runtime::AsyncRuntime;
