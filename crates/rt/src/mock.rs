//! mockall mocks of the contract's traits, for tests of programs that call it.
//!
//! A mock returns what a test sets, and fails the test on any other call. `rt-null` behaves like a
//! backend. Use mocks for the rest: a call that must be made exactly once, in a certain order, or
//! never, or an error that no backend in memory returns.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rt::mock::{MockContainer, MockContainerRuntime};
//! use rt::prelude::*;
//! use rt::{CapturedOutput, ContainerName, ErrorKind, ExecRequest, ExecResult, ExitOutcome};
//!
//! const LIMIT: Duration = Duration::from_secs(30);
//!
//! // The code under test: the version of a tool. Starts its container if necessary.
//! fn version(runtime: &dyn ContainerRuntime, name: &str) -> rt::Result<String> {
//!     let result = match runtime.exec_in(name, ["tool", "--version"], LIMIT) {
//!         Err(error) if error.kind() == ErrorKind::NotRunning => {
//!             runtime.container(&ContainerName::new(name)?).start(&LIMIT.into())?;
//!             runtime.exec_in(name, ["tool", "--version"], LIMIT)?
//!         }
//!         other => other?,
//!     };
//!     Ok(result.stdout.text().trim().to_owned())
//! }
//!
//! let mut runtime = MockContainerRuntime::new();
//! // Expectations are tried in the order of their creation, until each is used up.
//! runtime.expect_exec().times(1).returning(|name, _, _| {
//!     let error = rt::Error::new(ErrorKind::NotRunning, "exec in", "it is exited");
//!     Err(error.in_container(name))
//! });
//! let is_tool = |request: &ExecRequest| request.argv().program() == "tool";
//! runtime.expect_exec().withf(move |_, request, _| is_tool(request)).returning(|_, _, _| {
//!     let stdout = CapturedOutput::complete("1.2.3\n");
//!     let stderr = CapturedOutput::default();
//!     Ok(ExecResult::new(ExitOutcome::Code(0), stdout, stderr, Duration::ZERO))
//! });
//! runtime.expect_container().times(1).returning(|_| {
//!     let mut container = MockContainer::new();
//!     container.expect_start().times(1).returning(|_| Ok(()));
//!     Arc::new(container)
//! });
//!
//! assert_eq!(version(&runtime, "job")?, "1.2.3");
//! # Ok::<(), rt::Error>(())
//! ```
//!
//! # Mocked methods
//!
//! Every method of every trait has an `expect_…`, including those with a default. An expected
//! method never falls back to its default: a call that no expectation matches panics and names the
//! method. Exceptions:
//!
//! - [`Container::as_any`] and `inner` keep their defaults, since a mock wraps nothing.
//! - [`Image::repository`] and [`Image::tag`] return `&'static str`.
//! - The methods of extension traits call other methods:
//!   [`exec_in`](rt_protocol::ContainerRuntimeExt::exec_in) calls `exec`,
//!   [`launch`](rt_protocol::ContainerRuntimeExt::launch) calls `create` and starts the container,
//!   [`states`](rt_protocol::ContainerRuntimeExt::states) calls `list`. One `expect_inspect` is
//!   enough for all of [`ContainerExt`](rt_protocol::ContainerExt): `id`, `state`, `running` and
//!   the others.
//!
//! # When expectations are checked
//!
//! A mock checks that each expectation was met when it is dropped, or at `checkpoint()`. A mock
//! inside an `Arc` is checked when the last clone is dropped, possibly on another thread. So let
//! the program end before the test does.
//!
//! The methods of an expectation (`with`, `withf`, `times`, `in_sequence`, `returning`,
//! `return_const`) are those of the [`mockall`](https://docs.rs/mockall) crate. [`Sequence`] and
//! the [`predicate`]s are re-exported from the version that made these mocks.
#![expect(clippy::ref_option_ref, reason = "mockall hands its matchers a reference to each argument")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, Capabilities, Container, ContainerFilter, ContainerInfo, ContainerKey, ContainerName,
    ContainerPath, ContainerRemoveResult, ContainerRuntime, ContainerStats, CopyOptions, DirEntry, Event,
    EventOptions, ExecRequest, ExecResult, ExecStdio, ExitOutcome, FileInfo, FileOptions, Image, ImageFilter,
    ImageId, ImageInfo, ImageRef, ImageRemoval, LaunchSpec, LogLine, LogOptions, NamePrefix, PortReservation,
    Pull, PullOptions, PullProgress, PullStream, Readiness, Result, RuntimeId, Signal, StdioResult, Until,
};

pub use mockall::{Sequence, predicate};

// mockall copies the parentheses of `&mut (dyn A + B)` to a place where rustc warns about them.
type TarSource<'a> = dyn Read + Send + 'a;
type PullReports<'a> = dyn FnMut(PullProgress) + 'a;
type TarSink<'a> = dyn Write + Send + 'a;

// Lifetimes inside a type (`ExecStdio<'_>`, `Option<&Argv>`) need a name: mockall uses the type
// where it cannot be elided. If a reference in a result borrows from the mock, only `'static` is
// possible.

mockall::mock! {
    /// A mock of [`ContainerRuntime`].
    #[derive(Debug)]
    pub ContainerRuntime {}

    impl ContainerRuntime for ContainerRuntime {
        fn id(&self) -> &RuntimeId;
        fn capabilities(&self) -> Capabilities;
        fn container(&self, name: &ContainerName) -> Arc<dyn Container>;
        fn exec(&self, name: &ContainerName, request: &ExecRequest, until: &Until) -> Result<ExecResult>;
        fn exec_stdio<'a>(
            &self,
            name: &ContainerName,
            request: &ExecRequest,
            stdio: ExecStdio<'a>,
            until: &Until,
        ) -> Result<StdioResult>;
        fn list(&self, filter: &ContainerFilter, until: &Until) -> Result<Vec<ContainerInfo>>;
        fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>>;
        fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>>;
        fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult>;
        fn image(&self, reference: &ImageRef) -> Arc<dyn Image>;
        fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>>;
        fn pull_image<'a>(
            &self,
            reference: &ImageRef,
            options: &PullOptions,
            progress: &mut PullReports<'a>,
            until: &Until,
        ) -> Result<ImageId>;
        fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>>;
        fn events(&self, options: &EventOptions, until: &Until) -> Result<Box<dyn PullStream<Event>>>;
    }
}

mockall::mock! {
    /// A mock of [`Container`].
    #[derive(Debug)]
    pub Container {}

    impl Container for Container {
        fn key(&self) -> &ContainerKey;
        fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult>;
        fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>>;
        fn exec_stdio<'a>(
            &self,
            request: &ExecRequest,
            stdio: ExecStdio<'a>,
            until: &Until,
        ) -> Result<StdioResult>;
        fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>>;
        fn rw_size(&self, until: &Until) -> Result<Option<u64>>;
        fn start(&self, until: &Until) -> Result<()>;
        fn stop(&self, grace: Duration, until: &Until) -> Result<()>;
        fn wait(&self, until: &Until) -> Result<ExitOutcome>;
        fn pause(&self, until: &Until) -> Result<()>;
        fn stats(&self, until: &Until) -> Result<ContainerStats>;
        fn unpause(&self, until: &Until) -> Result<()>;
        fn kill(&self, signal: Signal, until: &Until) -> Result<()>;
        fn remove(&self, until: &Until) -> Result<()>;
        fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()>;
        fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()>;
        fn copy_in_tar<'a>(&self, tar: &mut TarSource<'a>, dest: &ContainerPath, until: &Until) -> Result<()>;
        fn copy_out_tar<'a>(&self, src: &ContainerPath, tar: &mut TarSink<'a>, until: &Until) -> Result<()>;
        fn write_file(
            &self,
            path: &ContainerPath,
            bytes: &[u8],
            options: &FileOptions,
            until: &Until,
        ) -> Result<()>;
        fn read_file(&self, path: &ContainerPath, limit: u64, until: &Until) -> Result<Vec<u8>>;
        fn stat(&self, path: &ContainerPath, until: &Until) -> Result<Option<FileInfo>>;
        fn list_dir(&self, path: &ContainerPath, until: &Until) -> Result<Vec<DirEntry>>;
        fn remove_path(&self, path: &ContainerPath, until: &Until) -> Result<()>;
        fn login_command<'a>(&self, command: Option<&'a Argv>, until: &Until) -> Result<Vec<OsString>>;
        fn logs(&self, options: &LogOptions, until: &Until) -> Result<Box<dyn PullStream<LogLine>>>;
        fn stream_initial_logs(
            &self,
            ready: &mut dyn FnMut(&str) -> bool,
            echo: &mut dyn Write,
            until: &Until,
        ) -> Result<Readiness>;
    }
}

mockall::mock! {
    /// A mock of [`Image`].
    #[derive(Debug)]
    pub Image {}

    impl Image for Image {
        fn reference(&self) -> &ImageRef;
        fn inspect(&self, until: &Until) -> Result<Option<ImageInfo>>;
        fn history(&self, until: &Until) -> Result<Option<Vec<String>>>;
        fn remove(&self, until: &Until) -> Result<ImageRemoval>;
        fn repository(&self) -> Option<&'static str>;
        fn tag(&self) -> Option<&'static str>;
        fn size(&self) -> Option<u64>;
        fn created(&self) -> Option<SystemTime>;
    }
}

mockall::mock! {
    /// A mock of [`PullStream`]: of log lines, or of events.
    #[derive(Debug)]
    pub PullStream<T: Debug + Send + 'static> {}

    impl<T: Debug + Send + 'static> PullStream<T> for PullStream<T> {
        fn pull(&mut self, until: &Until) -> Result<Pull<T>>;
        fn close(&mut self) -> Result<()>;
    }
}

mockall::mock! {
    /// A mock of [`PortReservation`].
    #[derive(Debug)]
    pub PortReservation {}

    impl PortReservation for PortReservation {
        fn address(&self) -> SocketAddr;
        fn port(&self) -> u16;
        fn close(&mut self) -> Result<()>;
    }
}
