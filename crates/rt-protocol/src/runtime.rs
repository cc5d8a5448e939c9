//! The contract of a runtime: what makes, finds and removes containers.

pub(crate) mod runtime_ext;
pub(crate) mod runtime_id;
pub(crate) mod time_limits;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::{
    Capabilities, Capability, Container, ContainerInfo, ContainerName, ContainerRemoveResult, Error, Event,
    EventOptions, ExecRequest, ExecResult, ExecStdio, Image, ImageFilter, ImageRef, LaunchSpec, NamePrefix,
    PortReservation, PullStream, Result, RuntimeId, StdioResult, Until,
};

/// A place where containers live: podman on this host, microVMs, or a program's memory.
///
/// **Who calls it.** Programs hold an `Arc<dyn ContainerRuntime>` and share it between threads. Every call is
/// synchronous; an async program calls from its blocking pool, with a token that is cancelled when the future is dropped
/// ([`CancelToken::cancel_on_drop`](crate::CancelToken::cancel_on_drop)).
///
/// **Who implements it.** [`id`](Self::id), [`capabilities`](Self::capabilities) and [`container`](Self::container) are
/// required; every other method has a default over these, or asks the [`inner`](Self::inner) runtime of a wrapper, or answers
/// [`Unsupported`](crate::ErrorKind::Unsupported).
///
/// **Wrappers.** What stands at [`Container`] holds here. No default hands out a handle, or runs a command, of the inner
/// runtime:
/// - [`container`](Self::container) is required. One that answers the inner runtime's handle leads around the wrapper.
/// - [`exec`](Self::exec) and [`exec_stdio`](Self::exec_stdio) go through the wrapper's own `container`.
/// - [`create`](Self::create) has the inner runtime make the container, and answers the wrapper's own handle on it. It is not
///   refused: a wrapper that decides which commands may run looks at [`LaunchSpec::command`] in a `create` of its own.
/// - [`list`](Self::list) answers names, not handles.
/// - [`capabilities`](Self::capabilities) is required, because a wrapper must not claim a way to run commands that it does not
///   serve: [`Capabilities::without_commands`] of the inner ones, and what it serves itself.
///
/// **What must hold.** `capabilities()` and the answers agree: what is claimed is served, and what is not claimed
/// answers `Unsupported` and starts nothing. The capabilities of one runtime do not change. What holds for
/// [`Container`] holds here.
///
/// ```
/// use rt_null::NullRuntime;
/// use rt_protocol::{ContainerRuntime, ExecRequest, LaunchSpec, Until};
///
/// let runtime = NullRuntime::new();
/// let container = runtime.create(&LaunchSpec::builder("job", "image").build()?, &Until::forever())?;
/// container.start(&Until::forever())?;
/// let result = container.exec(&ExecRequest::new(["true"])?, &Until::forever())?;
/// assert!(result.success());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
pub trait ContainerRuntime: fmt::Debug + Send + Sync {
    /// What tells this runtime from others.
    fn id(&self) -> &RuntimeId;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// A handle on the container of this name. Never fails and asks nothing: the container need not exist.
    fn container(&self, name: &ContainerName) -> Arc<dyn Container>;

    /// The runtime that this one wraps; `None` for a backend. It is for the defaults of this trait: a program that calls it
    /// steps around the wrapper knowingly.
    fn inner(&self) -> Option<&dyn ContainerRuntime> {
        None
    }

    /// [`Container::exec`] by name.
    ///
    /// # Errors
    /// As there.
    fn exec(&self, name: &ContainerName, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.container(name).exec(request, until)
    }

    /// [`Container::exec_stdio`] by name.
    ///
    /// # Errors
    /// As there.
    fn exec_stdio(
        &self,
        name: &ContainerName,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult> {
        self.container(name).exec_stdio(request, stdio, until)
    }

    /// What the engine knows of its containers, from one question, in an order that does not change while nothing else
    /// does.
    ///
    /// # Errors
    /// When the engine could not be asked: a failing engine is never an empty list.
    fn list(&self, filter: &ContainerFilter, until: &Until) -> Result<Vec<ContainerInfo>> {
        match self.inner() {
            Some(inner) => inner.list(filter, until),
            None => unsupported("list containers", Capability::List),
        }
    }

    /// The sizes of the writable layers of all containers of a family, in bytes.
    ///
    /// # Errors
    /// When the engine could not be asked; [`Unsupported`](crate::ErrorKind::Unsupported) unless the backend has it.
    fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        match self.inner() {
            Some(inner) => inner.rw_sizes(prefix, until),
            None => unsupported("measure containers", Capability::RwSize),
        }
    }

    /// Makes a container and does not start it.
    ///
    /// [`launch`](crate::ContainerRuntimeExt::launch) makes and starts.
    ///
    /// # Errors
    /// [`NameInUse`](crate::ErrorKind::NameInUse), [`NoSuchImage`](crate::ErrorKind::NoSuchImage),
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a field that this backend cannot honour, and the engine's own
    /// failures. What only starting can show (command, user, workdir, ports, GPUs) is an error of
    /// [`start`](Container::start).
    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        match self.inner() {
            Some(inner) => inner.create(spec, until).map(|made| self.container(&made.key().name)),
            None => unsupported("create", Capability::Create)
                .map_err(|error: Error| error.in_container(spec.name())),
        }
    }

    /// Removes containers, running or not, with their anonymous volumes. One result for each name, in order; never
    /// fails as a whole, and a container that is already gone counts as removed.
    #[must_use = "each container has its own result; none of them is an error of the call"]
    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        if let Some(inner) = self.inner() {
            return inner.force_remove(names, until);
        }
        let error = Error::unsupported("remove", Capabilities::none().with(Capability::ForceRemove));
        names
            .iter()
            .map(|name| ContainerRemoveResult::failed(name.clone(), error.clone().in_container(name)))
            .collect()
    }

    /// A handle on an image. Asks nothing. A backend without images answers a handle whose every question is
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        match self.inner() {
            Some(inner) => inner.image(reference),
            None => Arc::new(NoImage { runtime: self.id().clone(), reference: reference.clone() }),
        }
    }

    /// Handles on the images that are here, with what the listing says of them; one for each name, and one for each
    /// image without a name.
    ///
    /// # Errors
    /// When the engine could not be asked; [`Unsupported`](crate::ErrorKind::Unsupported) unless the backend has images.
    fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        match self.inner() {
            Some(inner) => inner.images(filter, until),
            None => unsupported("list images", Capability::Images),
        }
    }

    /// Holds a free TCP port of this address. This host is asked, and no engine.
    ///
    /// # Errors
    /// When the system refused, or the address is not one of this host;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) unless the backend has it.
    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        match self.inner() {
            Some(inner) => inner.reserve_port(host),
            None => unsupported("reserve a port", Capability::ReservePort),
        }
    }

    /// Events in the lives of containers, as they happen. `until` bounds the subscription; each pull has its own.
    ///
    /// # Errors
    /// When the engine could not be asked; [`Unsupported`](crate::ErrorKind::Unsupported) unless the backend has it.
    fn events(&self, options: &EventOptions, until: &Until) -> Result<Box<dyn PullStream<Event>>> {
        match self.inner() {
            Some(inner) => inner.events(options, until),
            None => unsupported("watch events", Capability::Events),
        }
    }
}

fn unsupported<T>(operation: &'static str, capability: Capability) -> Result<T> {
    Err(Error::unsupported(operation, Capabilities::none().with(capability)))
}

/// Which containers a listing is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct ContainerFilter {
    /// Only this family of names.
    pub prefix: Option<NamePrefix>,
}

impl ContainerFilter {
    /// All containers, running or not.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only containers whose name begins with `prefix` and a dash.
    pub fn prefix(prefix: NamePrefix) -> Self {
        Self { prefix: Some(prefix) }
    }

    /// Whether a container of this name is wanted.
    pub fn matches(&self, name: &ContainerName) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| prefix.matches(name))
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
        Err(Error::unsupported("inspect", Capabilities::none().with(Capability::Images))
            .of_image(&self.reference))
    }
}
