//! The runtime in memory, as the contract sees it. What a test sets up is in `fixture`, what it
//! reads back in `calls`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rt_protocol::{
    Capabilities, Capability, Container, ContainerFilter, ContainerInfo, ContainerName,
    ContainerRemoveResult, ContainerRuntime, Event, EventOptions, ExecStdio, Image, ImageFilter, ImageId,
    ImageRef, LaunchSpec, NamePrefix, OperationSpan, PortReservation, PullOptions, PullProgress, PullStream,
    RegistryCredentials, Result, RuntimeId, TimeLimits, Until,
};

use crate::clock::NullClock;
use crate::container::NullContainer;
use crate::event::NullEventStream;
use crate::exec::command;
use crate::exec::pending_operation::OperationSpec;
use crate::image::{ImageFixture, NullImage};
use crate::pull;
use crate::script::fault::{Fault, FaultRule, Operation, When};
use crate::script::pattern::Scope;
use crate::state::call::CreateCall;
use crate::state::image_record::ServedImage;
use crate::state::port::NullPortReservation;
use crate::state::world::Shared;
use crate::streams::peer::StdioPeer;

/// A runtime whose containers are values in memory.
///
/// Clones share everything: a test keeps one and gives another to the program. Each call of
/// [`new`](Self::new) makes a separate runtime with its own [id](ContainerRuntime::id) (`null#1`,
/// `null#2`, … within the process).
///
/// Any number of threads can use it. No lock is held while a handler or pattern of the test runs,
/// or while a call waits.
#[derive(Clone)]
pub struct NullRuntime {
    pub(crate) shared: Arc<Shared>,
}

impl NullRuntime {
    /// Creates an empty runtime with all capabilities that null has.
    #[expect(clippy::new_without_default, reason = "each one is another runtime, which `Default` would hide")]
    pub fn new() -> Self {
        Self::with_capabilities(Capabilities::all())
    }

    /// Creates an empty runtime with at most these capabilities, to test a program against a lesser
    /// backend. Other operations return [`Unsupported`](rt_protocol::ErrorKind::Unsupported).
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::new(Shared::new(number, capabilities)) }
    }

    /// Returns the runtime's clock.
    pub fn clock(&self) -> NullClock {
        self.shared.clock.clone()
    }

    /// Runs `command` as the command of a bridged call, without looking at containers, scripts or
    /// faults.
    ///
    /// `command` reads and writes as a [handler](Self::on_stdio) does, and its result is returned.
    /// For runtimes built on this one, such as the replays of `rt-record`.
    ///
    /// # Errors
    /// If the call ends before the command, the errors of
    /// [`exec_stdio`](rt_protocol::Container::exec_stdio) without a container's name: `TimedOut`,
    /// `Cancelled`, `SourceFailed`, `SinkFailed`. `InvalidRequest` for a message-oriented socket.
    /// `BackendFailed` with the text of the error that `command` returned.
    pub fn serve_stdio<T>(
        &self,
        stdio: ExecStdio<'_>,
        until: &Until,
        command: impl FnOnce(&mut StdioPeer<'_>) -> io::Result<T>,
    ) -> Result<T> {
        command::serve_stdio(&self.shared, stdio, until, command)
    }

    fn check(
        &self,
        operation: Operation,
        verb: &'static str,
        needs: Capability,
        limit: std::time::Duration,
        until: &Until,
    ) -> Result<()> {
        let spec = OperationSpec::new(&self.shared, operation, verb).requiring_one(needs).with_limit(limit);
        spec.begin(until)?.apply_faults()
    }
}

/// # Faults
impl NullRuntime {
    /// Injects a fault into calls; see [`Fault`].
    pub fn inject(&self, operation: Operation, scope: impl Into<Scope>, when: When, fault: Fault) {
        let rule = FaultRule { operation, scope: scope.into(), when, fault, seen: 0 };
        self.shared.update_quietly(|world| world.faults.push(rule));
    }

    /// Removes every fault that has not fired yet, and those that fire on every call.
    pub fn clear_faults(&self) {
        self.shared.update_quietly(|world| world.faults.clear());
    }
}

/// # Images
impl NullRuntime {
    /// Adds an image at the end of the listing.
    pub fn add_image(&self, image: ImageFixture) {
        self.shared.update_quietly(|world| world.images.push(image.into_record()));
    }

    /// Sets whether a container can be created from an image that was never added.
    ///
    /// Allowed by default: the image counts as pulled and is listed from then on, unless the pull
    /// policy is `never`. If forbidden, creating and pulling return
    /// [`NoSuchImage`](rt_protocol::ErrorKind::NoSuchImage), except for an image that is
    /// [served](Self::serve_image).
    pub fn allow_pulls(&self, allow: bool) {
        self.shared.update_quietly(|world| world.pulls_forbidden = !allow);
    }
}

/// # Registries
impl NullRuntime {
    /// Lets the registry of the image's name serve it. A pull reports its
    /// [layers](ImageFixture::layer) and adds it. A create that needs it adds it, too.
    ///
    /// A registry that serves an image has no others. Of other registries, every image can be
    /// pulled, unless [forbidden](Self::allow_pulls).
    ///
    /// ```
    /// use rt_null::{ImageFixture, NullRuntime};
    /// use rt_protocol::{ContainerRuntime, ErrorKind, ImageRef, PullOptions, Until};
    ///
    /// let runtime = NullRuntime::new();
    /// runtime.serve_image(ImageFixture::new("registry.example/app:1")?);
    /// let pull = |name: &str| {
    ///     let (name, options) = (ImageRef::new(name)?, PullOptions::new());
    ///     runtime.pull_image(&name, &options, &mut |_| (), &Until::forever())
    /// };
    /// assert!(pull("registry.example/app:1").is_ok());
    /// let error = pull("registry.example/app:2").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NoSuchImage);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    pub fn serve_image(&self, image: ImageFixture) {
        self.serve(image, None);
    }

    /// Lets the registry of the image's name serve it to these credentials alone. Anybody else is
    /// [denied](rt_protocol::ErrorKind::RegistryDenied), and so are auth files, which null does not
    /// read.
    pub fn serve_private_image(&self, image: ImageFixture, credentials: RegistryCredentials) {
        self.serve(image, Some(credentials));
    }

    fn serve(&self, image: ImageFixture, credentials: Option<RegistryCredentials>) {
        let served = ServedImage { record: image.into_record(), credentials };
        self.shared.update_quietly(|world| world.served.push(served));
    }
}

impl ContainerRuntime for NullRuntime {
    fn id(&self) -> &RuntimeId {
        &self.shared.id
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        Arc::new(NullContainer::new(&self.shared, name.clone()))
    }

    fn list(&self, filter: &ContainerFilter, until: &Until) -> Result<Vec<ContainerInfo>> {
        OperationSpan::new("list containers").run(|| {
            self.check(
                Operation::List,
                "list containers",
                Capability::List,
                TimeLimits::DEFAULT.read,
                until,
            )?;
            Ok(self.shared.read(|world| {
                let wanted = world.by_age().into_iter().filter(|record| filter.matches(&record.info));
                wanted.map(|record| record.info.clone()).collect()
            }))
        })
    }

    fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        OperationSpan::new("measure containers").run(|| {
            let limit = TimeLimits::DEFAULT.bulk_sizes;
            self.check(Operation::RwSize, "measure containers", Capability::RwSize, limit, until)?;
            Ok(self.shared.read(|world| {
                let wanted = world.containers.iter().filter(|(name, _)| prefix.matches(name));
                wanted.map(|(name, record)| (name.clone(), record.rw_size)).collect()
            }))
        })
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        OperationSpan::on("create", spec.name()).run(|| {
            let shared = &*self.shared;
            let operation_spec = OperationSpec::new(shared, Operation::Create, "create")
                .with_container(spec.name())
                .requiring(spec.required_capabilities());
            let operation = operation_spec.begin(until)?;
            let wanted = spec.clone();
            shared.record(|calls, order, time| calls.create.push(CreateCall { order, time, spec: wanted }));
            operation.apply_faults()?;
            let now = shared.clock.now();
            let created = shared.update(|world| world.create(spec, shared.number, now));
            created.map_err(|refusal| operation.refusal_error(refusal))?;
            Ok(self.container(spec.name()))
        })
    }

    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        let one = |name: &ContainerName| match NullContainer::new(&self.shared, name.clone()).remove(until) {
            Ok(()) => ContainerRemoveResult::removed(name.clone()),
            Err(error) => ContainerRemoveResult::failed(name.clone(), error),
        };
        names.iter().map(one).collect()
    }

    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        Arc::new(NullImage::new(&self.shared, reference.clone()))
    }

    fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        OperationSpan::new("list images").run(|| {
            self.check(
                Operation::Images,
                "list images",
                Capability::Images,
                TimeLimits::DEFAULT.images,
                until,
            )?;
            Ok(NullImage::listing(&self.shared, *filter))
        })
    }

    fn pull_image(
        &self,
        reference: &ImageRef,
        options: &PullOptions,
        progress: &mut dyn FnMut(PullProgress),
        until: &Until,
    ) -> Result<ImageId> {
        pull::pull(&self.shared, reference, options, progress, until)
    }

    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        OperationSpan::new("reserve a port").run(|| {
            let limit = TimeLimits::DEFAULT.port;
            self.check(
                Operation::ReservePort,
                "reserve a port",
                Capability::ReservePort,
                limit,
                &Until::forever(),
            )?;
            Ok(Box::new(NullPortReservation::bind(host)?) as _)
        })
    }

    fn events(&self, options: &EventOptions, until: &Until) -> Result<Box<dyn PullStream<Event>>> {
        OperationSpan::new("watch events").run(|| {
            self.check(
                Operation::Events,
                "watch events",
                Capability::Events,
                TimeLimits::DEFAULT.read,
                until,
            )?;
            Ok(Box::new(NullEventStream::open(&self.shared, options)) as _)
        })
    }
}

impl fmt::Debug for NullRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let containers = self.shared.read(|world| world.containers.len());
        f.debug_struct("NullRuntime")
            .field("id", &self.shared.id.as_str())
            .field("containers", &containers)
            .finish_non_exhaustive()
    }
}
