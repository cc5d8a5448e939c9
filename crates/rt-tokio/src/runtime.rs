//! The async twin of a runtime.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;

use rt_protocol::{
    Capabilities, Container, ContainerFilter, ContainerInfo, ContainerName, ContainerRemoveResult,
    ContainerRuntime, ContainerRuntimeExt, ContainerState, EventOptions, ExecRequest, ExecResult, ExecStdio,
    ImageFilter, ImageRef, LaunchSpec, NamePrefix, PortReservation, PullOptions, Ready, ReadyWhen, Result,
    RuntimeId, StdioResult, Until,
};

use crate::call::{Call, Operation, PendingCall};
use crate::container::AsyncContainer;
use crate::image::AsyncImage;
use crate::image_pull::ImagePull;
use crate::item_stream::{EventStream, ItemStream, OpenStream};
use crate::load::Load;
use crate::runtime_handle::SharedHandle;

/// A place for containers: the async twin of [`ContainerRuntime`] and [`ContainerRuntimeExt`], on
/// any backend. Clones are the same runtime.
///
/// Each method has the name, the arguments and the errors of its twin. `until` is an [`Until`], a
/// `Duration` or an `Instant`. If a call has to wait for its turn
/// ([`at_once`](crate::AsyncRuntimeBuilder::at_once)), the wait counts.
///
/// Dropping the last handle (a runtime, a container, an image, a call, a command or a stream) waits
/// for the commands that are still being ended, at most 15 s, as dropping tokio's runtime waits for
/// its blocking tasks. To not block a thread of tokio, await [`idle`](Self::idle) before.
#[derive(Clone, Debug)]
pub struct AsyncRuntime {
    runtime: Arc<dyn ContainerRuntime>,
    handle: SharedHandle,
}

impl AsyncRuntime {
    pub(crate) fn with_handle(runtime: Arc<dyn ContainerRuntime>, handle: SharedHandle) -> Self {
        Self { runtime, handle }
    }

    /// Returns the runtime of the contract, whose calls block.
    pub fn as_blocking(&self) -> &Arc<dyn ContainerRuntime> {
        &self.runtime
    }

    /// Makes any other blocking call on a thread, with the limit and the cancellation of the
    /// others.
    pub fn blocking<T: Send + 'static>(
        &self,
        until: impl Into<Until>,
        work: impl FnOnce(&Arc<dyn ContainerRuntime>, &Until) -> Result<T> + Send + 'static,
    ) -> Call<Result<T>> {
        self.call(Operation::new("use"), until, work)
    }

    /// Returns a handle on a container of the contract, whose calls go to the threads of this
    /// runtime.
    pub fn adopt(&self, container: Arc<dyn Container>) -> AsyncContainer {
        AsyncContainer::new(container, &self.handle)
    }

    /// Returns how many calls are in progress, and how many wait for their turn.
    pub fn load(&self) -> Load {
        let threads = &self.handle.shared().threads;
        let counts = threads.counts();
        Load {
            running: counts.running,
            waiting: counts.waiting,
            at_once: threads.at_once(),
            held: counts.held,
            threads: counts.threads,
        }
    }

    /// Waits until no call is in progress, every stream is closed, and every command that was
    /// dropped has been ended; then ends the threads. Commands that run are not waited for.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use rt_null::{ExecReply, NullRuntime};
    /// # use rt_protocol::*;
    /// # use rt_tokio::AsyncRuntime;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let null = NullRuntime::new();
    /// # null.set_exec("job", ["make", "watch"], ExecReply::hang())?;
    /// # let runtime = AsyncRuntime::new(Arc::new(null));
    /// # let limit = Duration::from_secs(60);
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit).await?;
    /// let watch = tokio::spawn(job.exec(&ExecRequest::new(["make", "watch"])?, limit));
    /// # tokio::task::yield_now().await;
    /// watch.abort();
    /// # let _ = watch.await;
    /// runtime.idle().await;
    /// assert_eq!((runtime.load().running, runtime.load().threads), (0, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn idle(&self) {
        let shared = self.handle.shared();
        shared.threads.wait_for_end(|| shared.deadlines.has_waiters()).await;
    }

    /// Returns the id of the runtime.
    pub fn id(&self) -> &RuntimeId {
        self.runtime.id()
    }

    /// Returns what the runtime can do.
    pub fn capabilities(&self) -> Capabilities {
        self.runtime.capabilities()
    }

    /// Returns a handle on the container of this name. Performs no I/O.
    pub fn container(&self, name: &ContainerName) -> AsyncContainer {
        self.adopt(self.runtime.container(name))
    }

    /// Returns a handle on an image. Performs no I/O.
    pub fn image(&self, reference: &ImageRef) -> AsyncImage {
        AsyncImage::new(self.runtime.image(reference), &self.handle)
    }

    /// Runs a command in a container, as [`ContainerRuntime::exec`] does.
    pub fn exec(
        &self,
        name: &ContainerName,
        request: &ExecRequest,
        until: impl Into<Until>,
    ) -> Call<Result<ExecResult>> {
        let operation = Operation::new("exec in").in_container(name).of_command(false);
        let (name, request) = (name.clone(), request.clone());
        self.call(operation, until, move |runtime, until| runtime.exec(&name, &request, until))
    }

    /// Runs a command with its streams connected, as [`ContainerRuntime::exec_stdio`] does.
    pub fn exec_stdio(
        &self,
        name: &ContainerName,
        request: &ExecRequest,
        stdio: ExecStdio<'static>,
        until: impl Into<Until>,
    ) -> Call<Result<StdioResult>> {
        let operation = Operation::new("exec in").in_container(name).of_command(true);
        let (name, request) = (name.clone(), request.clone());
        self.call(operation, until, move |runtime, until| runtime.exec_stdio(&name, &request, stdio, until))
    }

    /// Runs a command in the container of this name, as [`ContainerRuntimeExt::exec_in`] does.
    pub fn exec_in<I, S>(
        &self,
        name: impl Into<String>,
        argv: I,
        until: impl Into<Until>,
    ) -> Call<Result<ExecResult>>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let checked = || Ok((ContainerName::new(name)?, ExecRequest::new(argv)?));
        match checked() {
            Ok((name, request)) => self.exec(&name, &request, until),
            Err(error) => Call::new(async { Err(error) }),
        }
    }

    /// Returns what the engine knows about its containers, as [`ContainerRuntime::list`] does.
    pub fn list(
        &self,
        filter: &ContainerFilter,
        until: impl Into<Until>,
    ) -> Call<Result<Vec<ContainerInfo>>> {
        let filter = filter.clone();
        self.call(Operation::new("list containers"), until, move |runtime, until| {
            runtime.list(&filter, until)
        })
    }

    /// Returns handles on the containers with this prefix, as
    /// [`ContainerRuntimeExt::containers_with_prefix`] does.
    pub fn containers_with_prefix(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Call<Result<Vec<AsyncContainer>>> {
        let prefix = prefix.clone();
        let call = self.call(Operation::new("list containers"), until, move |runtime, until| {
            runtime.containers_with_prefix(&prefix, until)
        });
        let handle = self.handle.clone();
        Call::new(async move {
            let found = call.await?;
            Ok(found.into_iter().map(|container| AsyncContainer::new(container, &handle)).collect())
        })
    }

    /// Returns the states of the containers with this prefix, as [`ContainerRuntimeExt::states`]
    /// does.
    pub fn states(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Call<Result<BTreeMap<ContainerName, ContainerState>>> {
        let prefix = prefix.clone();
        self.call(Operation::new("list containers"), until, move |runtime, until| {
            runtime.states(&prefix, until)
        })
    }

    /// Returns the sizes of the writable layers, as [`ContainerRuntime::rw_sizes`] does.
    pub fn rw_sizes(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Call<Result<BTreeMap<ContainerName, u64>>> {
        let prefix = prefix.clone();
        self.call(Operation::new("measure containers"), until, move |runtime, until| {
            runtime.rw_sizes(&prefix, until)
        })
    }

    /// Creates a container without starting it, as [`ContainerRuntime::create`] does.
    pub fn create(&self, spec: &LaunchSpec, until: impl Into<Until>) -> Call<Result<AsyncContainer>> {
        self.made("create", spec, until, ContainerRuntime::create)
    }

    /// Creates a container and starts it, as [`ContainerRuntimeExt::launch`] does.
    ///
    /// If the future is dropped, the container is removed again, unless it was launched at that
    /// moment: then the [`Orphan`](crate::Orphan) says so.
    pub fn launch(&self, spec: &LaunchSpec, until: impl Into<Until>) -> Call<Result<AsyncContainer>> {
        self.made("launch", spec, until, |runtime, spec, until| runtime.launch(spec, until))
    }

    /// Waits until a container meets all conditions, as [`ContainerRuntimeExt::wait_until_ready`]
    /// does.
    pub fn wait_until_ready(
        &self,
        name: &ContainerName,
        when: &ReadyWhen,
        until: impl Into<Until>,
    ) -> Call<Result<Ready>> {
        let operation = Operation::new("wait until ready").in_container(name);
        let (name, when) = (name.clone(), when.clone());
        self.call(operation, until, move |runtime, until| runtime.wait_until_ready(&name, &when, until))
    }

    /// Removes containers, running or not, as [`ContainerRuntime::force_remove`] does.
    pub fn force_remove(
        &self,
        names: &[ContainerName],
        until: impl Into<Until>,
    ) -> Call<Vec<ContainerRemoveResult>> {
        let (runtime, names) = (Arc::clone(&self.runtime), names.to_vec());
        let kept = names.clone();
        let operation = Operation::new("remove");
        let call = PendingCall::new(&self.handle, operation, until.into(), move |until| {
            runtime.force_remove(&names, until)
        });
        Call::new(async move {
            let failed = |error: rt_protocol::Error| {
                let failed = |name: ContainerName| {
                    let error = error.clone().in_container(&name);
                    ContainerRemoveResult::failed(name, error)
                };
                kept.into_iter().map(failed).collect()
            };
            call.await.unwrap_or_else(failed)
        })
    }

    /// Removes the containers with this prefix, as [`ContainerRuntimeExt::remove_family`] does.
    pub fn remove_family(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Call<Result<Vec<ContainerRemoveResult>>> {
        let prefix = prefix.clone();
        self.call(Operation::new("remove"), until, move |runtime, until| {
            runtime.remove_family(&prefix, until)
        })
    }

    /// Removes the containers whose owner has ended, as [`ContainerRuntimeExt::remove_orphans`]
    /// does.
    pub fn remove_orphans(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Call<Result<Vec<ContainerRemoveResult>>> {
        let prefix = prefix.clone();
        self.call(Operation::new("remove"), until, move |runtime, until| {
            runtime.remove_orphans(&prefix, until)
        })
    }

    /// Returns handles on the local images, as [`ContainerRuntime::images`] does.
    pub fn images(&self, filter: &ImageFilter, until: impl Into<Until>) -> Call<Result<Vec<AsyncImage>>> {
        let filter = *filter;
        let call = self
            .call(Operation::new("list images"), until, move |runtime, until| runtime.images(&filter, until));
        let handle = self.handle.clone();
        Call::new(async move {
            Ok(call.await?.into_iter().map(|image| AsyncImage::new(image, &handle)).collect())
        })
    }

    /// Pulls an image, as [`ContainerRuntime::pull_image`] does. The steps are a stream.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use rt_null::{ImageFixture, NullRuntime};
    /// # use rt_protocol::*;
    /// # use rt_tokio::AsyncRuntime;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let null = NullRuntime::new();
    /// # null.serve_image(ImageFixture::new("registry.example/app:1")?);
    /// # let runtime = AsyncRuntime::new(Arc::new(null));
    /// let (app, limit) = (ImageRef::new("registry.example/app:1")?, Duration::from_secs(600));
    /// let mut pull = runtime.pull_image(&app, &PullOptions::new(), limit);
    /// while let Some(step) = pull.next().await {
    ///     println!("{}", step?);
    /// }
    /// println!("pulled {}", pull.wait().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pull_image(
        &self,
        reference: &ImageRef,
        options: &PullOptions,
        until: impl Into<Until>,
    ) -> ImagePull {
        ImagePull::start(&self.runtime, reference, options, &until.into(), &self.handle)
    }

    /// Reserves a free TCP port of this host, as [`ContainerRuntime::reserve_port`] does.
    pub fn reserve_port(&self, host: IpAddr) -> Call<Result<Box<dyn PortReservation>>> {
        self.call(Operation::new("reserve a port"), Until::forever(), move |runtime, _| {
            runtime.reserve_port(host)
        })
    }

    /// Subscribes to events of containers, as [`ContainerRuntime::events`] does. `until` limits the
    /// subscription.
    pub fn events(&self, options: &EventOptions, until: impl Into<Until>) -> Call<Result<EventStream>> {
        const OPERATION: &str = "watch events";
        let (options, shared) = (options.clone(), Arc::clone(self.handle.shared()));
        let call = self.call(Operation::new(OPERATION), until, move |runtime, until| {
            runtime.events(&options, until).map(|stream| OpenStream::new(stream, &shared))
        });
        let handle = self.handle.clone();
        Call::new(async move { ItemStream::new(call.await?, OPERATION, &handle) })
    }

    fn call<T: Send + 'static>(
        &self,
        operation: Operation,
        until: impl Into<Until>,
        work: impl FnOnce(&Arc<dyn ContainerRuntime>, &Until) -> Result<T> + Send + 'static,
    ) -> Call<Result<T>> {
        let runtime = Arc::clone(&self.runtime);
        let call =
            PendingCall::new(&self.handle, operation, until.into(), move |until| work(&runtime, until));
        Call::new(async move { call.await? })
    }

    fn made(
        &self,
        name: &'static str,
        spec: &LaunchSpec,
        until: impl Into<Until>,
        work: impl FnOnce(&Arc<dyn ContainerRuntime>, &LaunchSpec, &Until) -> Result<Arc<dyn Container>>
        + Send
        + 'static,
    ) -> Call<Result<AsyncContainer>> {
        let operation = Operation::new(name).in_container(spec.name());
        let spec = spec.clone();
        let call = self.call(operation, until, move |runtime, until| work(runtime, &spec, until));
        let handle = self.handle.clone();
        Call::new(async move { Ok(AsyncContainer::new(call.await?, &handle)) })
    }
}
