//! The contract of a runtime: it creates, finds and removes containers.

pub(crate) mod runtime_ext;
pub(crate) mod runtime_id;
pub(crate) mod time_limits;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::{
    Capabilities, Capability, Container, ContainerInfo, ContainerName, ContainerRemoveResult, Error, Event,
    EventOptions, ExecRequest, ExecResult, ExecStdio, Image, ImageFilter, ImageId, ImageRef, LaunchSpec,
    NamePrefix, PortReservation, PullOptions, PullProgress, PullStream, Result, RuntimeId, StdioResult,
    Until,
};

/// A place for containers: podman on this host, microVMs, or the memory of a program.
///
/// Programs share an `Arc<dyn ContainerRuntime>` between threads. All calls block. `rt-tokio` makes
/// them futures for async programs, on any implementation.
///
/// ```
/// use rt_null::NullRuntime;
/// use rt_protocol::{ContainerRuntime, ExecRequest, LaunchSpec, Until};
///
/// let runtime = NullRuntime::new();
/// let until = Until::forever();
/// let container = runtime.create(&LaunchSpec::builder("job", "image").build()?, &until)?;
/// container.start(&until)?;
/// let result = container.exec(&ExecRequest::new(["true"])?, &until)?;
/// assert!(result.success());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
///
/// # Implementations
///
/// [`id`](Self::id), [`capabilities`](Self::capabilities) and [`container`](Self::container) are
/// required. Every other method has a default: it is made of these three, or calls the
/// [`inner`](Self::inner) runtime of a wrapper, or returns
/// [`Unsupported`](crate::ErrorKind::Unsupported).
///
/// # Wrappers
///
/// The rules of [`Container`](Container#wrappers) apply. No default returns a handle of the inner
/// runtime, or runs a command in it:
///
/// - [`container`](Self::container) is required. If it returned the inner runtime's handle, calls
///   would bypass the wrapper.
/// - [`exec`](Self::exec) and [`exec_stdio`](Self::exec_stdio) call the wrapper's own `container`.
/// - [`create`](Self::create) calls the inner runtime, and returns the wrapper's own handle. A
///   wrapper that decides which commands may run checks [`LaunchSpec::command`] in a `create` of
///   its own.
/// - [`list`](Self::list) returns names, not handles.
/// - [`capabilities`](Self::capabilities) is required. It returns the
///   [`Capabilities::without_commands`] of the inner runtime, and the ways to run commands that the
///   wrapper implements itself.
///
/// # Guarantees
///
/// The capabilities of a runtime never change. A method without its capability returns
/// `Unsupported` and starts nothing. The guarantees and engine errors of
/// [`Container`](Container#guarantees) apply.
pub trait ContainerRuntime: fmt::Debug + Send + Sync {
    /// Returns the id of the runtime.
    fn id(&self) -> &RuntimeId;

    /// Returns what the runtime can do.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// let spec = LaunchSpec::builder("job", "alpine").memory(256 << 20).build()?;
    /// let missing = spec.required_capabilities().difference(runtime.capabilities());
    /// assert!(missing.is_empty(), "the runtime lacks {missing}");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    fn capabilities(&self) -> Capabilities;

    /// Returns a handle on the container of this name. Performs no I/O and never fails: the
    /// container need not exist.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// let job = runtime.container(&ContainerName::new("job")?);
    /// assert_eq!(job.state(&until)?, None);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    fn container(&self, name: &ContainerName) -> Arc<dyn Container>;

    /// Returns the runtime that this one wraps; `None` for a backend.
    ///
    /// Only the defaults of this trait call it. A program that calls it deliberately bypasses the
    /// wrapper.
    fn inner(&self) -> Option<&dyn ContainerRuntime> {
        None
    }

    /// Calls [`Container::exec`] on the container of this name.
    ///
    /// [`exec_in`](crate::ContainerRuntimeExt::exec_in) takes plain texts.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # runtime.set_state("job", ContainerState::Running)?;
    /// let name = ContainerName::new("job")?;
    /// let result = runtime.exec(&name, &ExecRequest::new(["date"])?, &until)?;
    /// assert!(result.success());
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Container::exec`].
    fn exec(&self, name: &ContainerName, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.container(name).exec(request, until)
    }

    /// Calls [`Container::exec_stdio`] on the container of this name.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # runtime.set_state("job", ContainerState::Running)?;
    /// let (name, request) = (ContainerName::new("job")?, ExecRequest::new(["cat"])?);
    /// let stdio = ExecStdio::new(Source::bytes("hello\n"), Sink::writer(std::io::stdout()));
    /// runtime.exec_stdio(&name, &request, stdio, &until)?.exit_ok()?;
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Container::exec_stdio`].
    fn exec_stdio(
        &self,
        name: &ContainerName,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult> {
        self.container(name).exec_stdio(request, stdio, until)
    }

    /// Returns what the engine knows about its containers, running or not, from one request.
    ///
    /// The order does not change as long as no container does.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # runtime.set_state("ci-1", ContainerState::Running)?;
    /// let filter = ContainerFilter::prefix(NamePrefix::new("ci")?);
    /// for info in runtime.list(&filter, &until)? {
    ///     println!("{}: {}", info.name, info.state);
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors): a failing engine is never an empty list.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Capability::List`].
    fn list(&self, filter: &ContainerFilter, until: &Until) -> Result<Vec<ContainerInfo>> {
        inner_for(self, "list containers", Capability::List)?.list(filter, until)
    }

    /// Returns the sizes in bytes of the writable layers of all containers whose name begins with
    /// `prefix` and a dash.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # runtime.set_rw_size("ci-1", 4096)?;
    /// let sizes = runtime.rw_sizes(&NamePrefix::new("ci")?, &until)?;
    /// assert_eq!(sizes.values().sum::<u64>(), 4096);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors); [`Unsupported`](crate::ErrorKind::Unsupported)
    /// without [`Capability::RwSize`].
    fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        inner_for(self, "measure containers", Capability::RwSize)?.rw_sizes(prefix, until)
    }

    /// Creates a container without starting it. [`launch`](crate::ContainerRuntimeExt::launch)
    /// creates and starts it.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// let spec = LaunchSpec::builder("web-1", "docker.io/library/nginx:1.27")
    ///     .port(PortMapping::any_port_on_loopback(80))
    ///     .memory(256 << 20)
    ///     .build()?;
    /// let web = runtime.create(&spec, &until)?;
    /// assert_eq!(web.state(&until)?, Some(ContainerState::Created));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NameInUse`](crate::ErrorKind::NameInUse).
    /// - [`NoSuchImage`](crate::ErrorKind::NoSuchImage),
    ///   [`RegistryUnreachable`](crate::ErrorKind::RegistryUnreachable),
    ///   [`RegistryDenied`](crate::ErrorKind::RegistryDenied).
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) for a field that this backend does not
    ///   support ([`LaunchSpec::required_capabilities`]).
    /// - [Engine errors](Container#engine-errors).
    ///
    /// A wrong command, user, workdir, port or GPU configuration may only show at the
    /// [`start`](Container::start).
    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        let inner =
            inner_for(self, "create", Capability::Create).map_err(|error| error.in_container(spec.name()))?;
        inner.create(spec, until).map(|made| self.container(&made.key().name))
    }

    /// Removes containers, running or not, with their anonymous volumes. Returns one result for
    /// each name, in order.
    ///
    /// The call never fails as a whole. A container that does not exist counts as removed.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// for result in runtime.force_remove(&[ContainerName::new("job")?], &until) {
    ///     if let Some(error) = result.error {
    ///         eprintln!("{error}");
    ///     }
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    #[must_use = "each container has its own result; none of them is an error of the call"]
    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        let failed = |name: &ContainerName, error: &Error| {
            ContainerRemoveResult::failed(name.clone(), error.clone().in_container(name))
        };
        match inner_for(self, "remove", Capability::ForceRemove) {
            Ok(inner) => inner.force_remove(names, until),
            Err(error) => names.iter().map(|name| failed(name, &error)).collect(),
        }
    }

    /// Returns a handle on an image. Performs no I/O: the image need not exist.
    ///
    /// If the backend has no images, every call on the handle returns
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// let image = runtime.image(&ImageRef::new("docker.io/library/alpine:3.20")?);
    /// println!("exists here: {}", image.exists(&until)?);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        match self.inner() {
            Some(inner) => inner.image(reference),
            None => Arc::new(NoImage { runtime: self.id().clone(), reference: reference.clone() }),
        }
    }

    /// Returns handles on the local images, with the facts of the listing: one for each name, and
    /// one for each image without a name.
    ///
    /// ```
    /// # use rt_null::{ImageFixture, NullRuntime};
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # runtime.add_image(ImageFixture::new("docker.io/library/alpine:3.20")?.size(8 << 20));
    /// for image in runtime.images(&ImageFilter::all(), &until)? {
    ///     println!("{:?} {:?}: {:?} bytes", image.repository(), image.tag(), image.size());
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors); [`Unsupported`](crate::ErrorKind::Unsupported)
    /// without [`Capability::Images`].
    fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        inner_for(self, "list images", Capability::Images)?.images(filter, until)
    }

    /// Pulls an image from its registry, whether or not it is present, and returns its id.
    ///
    /// `progress` is called on this thread for each step, as soon as the engine reports it. If it
    /// does not return, the engine waits. If it panics, the pull is ended.
    ///
    /// If the call ends early, what was pulled is dropped, except for whole layers that the engine
    /// keeps for another attempt.
    ///
    /// ```
    /// # use rt_null::{ImageFixture, NullRuntime};
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # let served = ImageFixture::new("registry.example/app:1")?;
    /// # runtime.serve_image(served.layer("sha256:aa", std::time::Duration::from_secs(1)));
    /// let app = ImageRef::new("registry.example/app:1")?;
    /// let (options, mut show) = (PullOptions::new(), |step| println!("{step}"));
    /// let id = runtime.pull_image(&app, &options, &mut show, &until)?;
    /// assert_eq!(runtime.image(&app).id(until)?, Some(id));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchImage`](crate::ErrorKind::NoSuchImage): the registry does not have it.
    /// - [`RegistryDenied`](crate::ErrorKind::RegistryDenied): not with this
    ///   [`auth`](PullOptions::auth).
    /// - [`RegistryUnreachable`](crate::ErrorKind::RegistryUnreachable): no connection, no valid
    ///   certificate, a failure of the registry, or a transfer that broke off. The engine has tried
    ///   again before.
    /// - [`InvalidRequest`](crate::ErrorKind::InvalidRequest): credentials with a reference that
    ///   names no registry, and could be sent to any.
    /// - [`TimedOut`](crate::ErrorKind::TimedOut), [`Cancelled`](crate::ErrorKind::Cancelled): with
    ///   what the engine was waiting for, if it says so.
    /// - [`BackendInterrupted`](crate::ErrorKind::BackendInterrupted): the engine's program was
    ///   ended
    ///   before it named the image.
    /// - [Engine errors](Container#engine-errors); [`Unsupported`](crate::ErrorKind::Unsupported)
    ///   without [`Capability::ImagePull`].
    fn pull_image(
        &self,
        reference: &ImageRef,
        options: &PullOptions,
        progress: &mut dyn FnMut(PullProgress),
        until: &Until,
    ) -> Result<ImageId> {
        inner_for(self, "pull", Capability::ImagePull)
            .map_err(|error| error.of_image(reference))?
            .pull_image(reference, options, progress, until)
    }

    /// Reserves a free TCP port of this host on the address `host`. Calls no engine.
    ///
    /// If the port need not be known in advance, let the engine choose one
    /// ([`PortMapping::any_port_on_loopback`](crate::PortMapping::any_port_on_loopback)).
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// let mut reservation = runtime.reserve_port([127, 0, 0, 1].into())?;
    /// let mapping = PortMapping::on_loopback(reservation.port(), 80);
    /// reservation.close()?; // right before the container is started
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`System`](crate::ErrorKind::System) if the operating system refuses, for example an address
    /// that is not one of this host; [`Unsupported`](crate::ErrorKind::Unsupported) without
    /// [`Capability::ReservePort`].
    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        inner_for(self, "reserve a port", Capability::ReservePort)?.reserve_port(host)
    }

    /// Subscribes to events of containers.
    ///
    /// `until` limits the subscription. Each pull of the stream has its own limit.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// let mut events = runtime.events(&EventOptions::new(), &until)?;
    /// runtime.create(&LaunchSpec::builder("job", "alpine").build()?, &until)?;
    /// if let Pull::Item(event) = events.pull(&until)? {
    ///     assert_eq!((event.name.as_str(), event.action), ("job", EventAction::Created));
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors); [`Unsupported`](crate::ErrorKind::Unsupported)
    /// without [`Capability::Events`].
    fn events(&self, options: &EventOptions, until: &Until) -> Result<Box<dyn PullStream<Event>>> {
        inner_for(self, "watch events", Capability::Events)?.events(options, until)
    }
}

/// Returns the inner runtime, or the error of a method that a backend does not implement.
fn inner_for<'a, R: ContainerRuntime + ?Sized>(
    outer: &'a R,
    operation: &'static str,
    capability: Capability,
) -> Result<&'a dyn ContainerRuntime> {
    outer.inner().ok_or_else(|| Error::unsupported(operation, capability.into()))
}

/// The containers that a listing contains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct ContainerFilter {
    /// If set, only containers whose name begins with this prefix and a dash.
    pub prefix: Option<NamePrefix>,
    /// Only containers that have all of these labels, with these values.
    pub labels: BTreeMap<String, String>,
}

impl ContainerFilter {
    /// Returns the filter for all containers, running or not.
    pub fn all() -> Self {
        Self::default()
    }

    /// Returns the filter for containers whose name begins with `prefix` and a dash.
    pub fn prefix(prefix: NamePrefix) -> Self {
        Self { prefix: Some(prefix), ..Self::default() }
    }

    /// Selects only containers that also have this label, with exactly this value.
    ///
    /// ```
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// let spec = LaunchSpec::builder("ci-1", "alpine").label("owner", "me").build()?;
    /// runtime.create(&spec, &until)?;
    /// let mine = ContainerFilter::all().label("owner", "me");
    /// assert_eq!(runtime.list(&mine, &until)?.len(), 1);
    /// assert!(runtime.list(&mine.label("owner", "you"), &until)?.is_empty());
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Returns whether a container passes the filter.
    pub fn matches(&self, info: &ContainerInfo) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| prefix.matches(&info.name))
            && self.labels.iter().all(|(key, value)| info.labels.get(key) == Some(value))
    }
}

/// The image handle of a runtime without images.
#[derive(Debug)]
struct NoImage {
    runtime: RuntimeId,
    reference: ImageRef,
}

impl Image for NoImage {
    fn reference(&self) -> &ImageRef {
        &self.reference
    }

    fn runtime_id(&self) -> Option<&RuntimeId> {
        Some(&self.runtime)
    }

    fn inspect(&self, _until: &Until) -> Result<Option<crate::ImageInfo>> {
        Err(Error::unsupported("inspect", Capability::Images.into()).of_image(&self.reference))
    }
}
