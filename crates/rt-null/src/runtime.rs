//! The runtime in memory, as the contract sees it. What a test sets up stands in `fixture`, what it can read back in
//! `calls`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rt_protocol::{
    Capabilities, Capability, Container, ContainerFilter, ContainerInfo, ContainerName,
    ContainerRemoveResult, ContainerRuntime, Event, EventOptions, ExecStdio, Image, ImageFilter, ImageRef,
    LaunchSpec, NamePrefix, PortReservation, PullStream, Result, RuntimeId, TimeLimits, Until,
};

use crate::clock::NullClock;
use crate::container::NullContainer;
use crate::event::NullEventStream;
use crate::exec::command;
use crate::exec::pending_operation::OperationSpec;
use crate::image::{ImageFixture, NullImage};
use crate::script::fault::{Fault, FaultRule, Operation, When};
use crate::script::pattern::Scope;
use crate::state::call::{CreateCall, NameCall};
use crate::state::port::NullPortReservation;
use crate::state::world::Shared;
use crate::streams::peer::StdioPeer;

/// A runtime whose containers are values in memory.
///
/// Clones share everything: a test keeps one, and hands another to the program. Each [`new`](Self::new) one is another
/// runtime, with an [id](ContainerRuntime::id) of its own (`null#1`, `null#2`, … within the process).
///
/// It may be used from any number of threads. No lock is held while a handler or pattern of the test runs or while a
/// call waits.
#[derive(Clone)]
pub struct NullRuntime {
    pub(crate) shared: Arc<Shared>,
}

impl NullRuntime {
    /// An empty runtime that can do everything that null can do.
    #[expect(clippy::new_without_default, reason = "each one is another runtime, which `Default` would hide")]
    pub fn new() -> Self {
        Self::with_capabilities(Capabilities::all())
    }

    /// An empty runtime that can do no more than this, to test a program against a lesser backend. What is left out
    /// answers [`Unsupported`](rt_protocol::ErrorKind::Unsupported); what null cannot do stays out:
    /// [`CopyTar`](Capability::CopyTar), because it reads and writes no archives.
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::new(Shared::new(number, capabilities.without(Capability::CopyTar))) }
    }

    /// Its clock.
    pub fn clock(&self) -> NullClock {
        self.shared.clock.clone()
    }

    /// Takes a command's part in a bridged call whose answer comes from elsewhere: no container, script or fault is looked at.
    /// `command` reads and writes as a [handler](Self::on_stdio) does, and its answer is handed on. For runtimes that are built
    /// on this one, as the replays of `rt-record` are.
    ///
    /// # Errors
    /// Where the call ends before the command, what [`exec_stdio`](rt_protocol::Container::exec_stdio) answers then, without
    /// naming a container: `TimedOut`, `Cancelled`, `SourceFailed`, `SinkFailed`; `InvalidRequest` for a message-oriented
    /// socket; `BackendFailed` with the text of the command's own error.
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

    fn remove_one(&self, name: &ContainerName, until: &Until) -> Result<()> {
        let shared = &*self.shared;
        let operation = OperationSpec::new(shared, Operation::Remove, "remove")
            .with_container(name)
            .requiring_one(Capability::ForceRemove)
            .with_limit(TimeLimits::DEFAULT.remove)
            .begin(until)?;
        let time = shared.clock.now();
        shared.update_quietly(|world| {
            let order = world.calls.next_order();
            world.calls.remove.push(NameCall { order, time, name: name.clone() });
        });
        operation.apply_faults()?;
        let now = shared.clock.now();
        shared.update(|world| world.remove(name, now));
        Ok(())
    }
}

/// # Faults
impl NullRuntime {
    /// Lets something go wrong; see [`Fault`].
    pub fn inject(&self, operation: Operation, scope: impl Into<Scope>, when: When, fault: Fault) {
        let rule = FaultRule { operation, scope: scope.into(), when, fault, seen: 0 };
        self.shared.update_quietly(|world| world.faults.push(rule));
    }

    /// Forgets every fault that has not hit yet, and those that hit every call.
    pub fn clear_faults(&self) {
        self.shared.update_quietly(|world| world.faults.clear());
    }
}

/// # Images
impl NullRuntime {
    /// Adds an image, after those that are there.
    pub fn add_image(&self, image: ImageFixture) {
        self.shared.update_quietly(|world| world.images.push(image.into_record()));
    }

    /// Whether a container can be created from an image that was never added. At first it can, unless the pull policy is
    /// `never`: the image is taken as pulled, and is listed from then on. Forbidden, such an image is
    /// [`NoSuchImage`](rt_protocol::ErrorKind::NoSuchImage).
    pub fn allow_pulls(&self, allow: bool) {
        self.shared.update_quietly(|world| world.pulls_forbidden = !allow);
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
        self.check(Operation::List, "list containers", Capability::List, TimeLimits::DEFAULT.read, until)?;
        Ok(self.shared.read(|world| {
            let wanted = world.by_age().into_iter().filter(|record| filter.matches(&record.info.name));
            wanted.map(|record| record.info.clone()).collect()
        }))
    }

    fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        let limit = TimeLimits::DEFAULT.bulk_sizes;
        self.check(Operation::RwSize, "measure containers", Capability::RwSize, limit, until)?;
        Ok(self.shared.read(|world| {
            let wanted = world.containers.iter().filter(|(name, _)| prefix.matches(name));
            wanted.map(|(name, record)| (name.clone(), record.rw_size)).collect()
        }))
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        let shared = &*self.shared;
        let operation_spec = OperationSpec::new(shared, Operation::Create, "create")
            .with_container(spec.name())
            .requiring(spec.required_capabilities());
        let operation = operation_spec.begin(until)?;
        let time = shared.clock.now();
        shared.update_quietly(|world| {
            let order = world.calls.next_order();
            world.calls.create.push(CreateCall { order, time, spec: spec.clone() });
        });
        operation.apply_faults()?;
        let now = shared.clock.now();
        let created = shared.update(|world| world.create(spec, shared.number, now));
        created.map_err(|refusal| operation.refusal_error(refusal))?;
        Ok(self.container(spec.name()))
    }

    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        let one = |name: &ContainerName| match self.remove_one(name, until) {
            Ok(()) => ContainerRemoveResult::removed(name.clone()),
            Err(error) => ContainerRemoveResult::failed(name.clone(), error),
        };
        names.iter().map(one).collect()
    }

    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        Arc::new(NullImage::new(&self.shared, reference.clone()))
    }

    fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        self.check(Operation::Images, "list images", Capability::Images, TimeLimits::DEFAULT.images, until)?;
        Ok(NullImage::listing(&self.shared, *filter))
    }

    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        let limit = TimeLimits::DEFAULT.port;
        self.check(
            Operation::ReservePort,
            "reserve a port",
            Capability::ReservePort,
            limit,
            &Until::forever(),
        )?;
        Ok(Box::new(NullPortReservation::bind(host)?))
    }

    fn events(&self, options: &EventOptions, until: &Until) -> Result<Box<dyn PullStream<Event>>> {
        self.check(Operation::Events, "watch events", Capability::Events, TimeLimits::DEFAULT.read, until)?;
        Ok(Box::new(NullEventStream::open(&self.shared, options)))
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
