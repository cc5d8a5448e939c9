//! The runtime that answers what was recorded.

mod playback;
mod player;
mod replayed_container;
mod replayed_image;
mod replayed_stream;
mod tape;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rt_protocol::{
    Capabilities, Container, ContainerFilter, ContainerInfo, ContainerKey, ContainerName,
    ContainerRemoveResult, ContainerRuntime, Error, ErrorKind, Event, EventOptions, Image, ImageFilter,
    ImageRef, LaunchSpec, NamePrefix, PortReservation, PullStream, Result, RuntimeId, Secret, Until,
};
use serde_json::Value;

use self::playback::Playback;
use self::replayed_container::ReplayedContainer;
use self::replayed_image::ReplayedImage;
use self::replayed_stream::{ReplayedPort, ReplayedStream};
use crate::format::entry::Recording;
use crate::format::invocation::Invocation;
use crate::format::json::{JsonCodec, field};
use crate::format::listed_image::ListedImage;
use rt_null::NullClock;

/// A runtime that answers from a recording, and does nothing.
///
/// Each recorded call is answered once. A call is looked up by whom it asks (the runtime, one container, one image), by its
/// operation and by its arguments; of several that are alike, the first that was recorded is answered first. What others
/// ask meanwhile does not matter, so threads that each use their own containers get the same answers in any order.
///
/// A call that is not recorded, or not so often, is an error of kind [`BackendFailed`](ErrorKind::BackendFailed), which says
/// what was asked and what was expected next of the same container. [`finish`](Self::finish) tells of it too.
///
/// Clones are the same replay.
#[derive(Clone)]
pub struct Replay {
    playback: Arc<Playback>,
}

impl Replay {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`System`](ErrorKind::System) when the file cannot be read, and as for [`read`](Self::read).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = format!("`{}`", path.display());
        let file = File::open(path).map_err(|cause| {
            Error::new(ErrorKind::System, "open the recording", "")
                .with_subject(name.clone())
                .with_source(cause)
        })?;
        Self::read(file).map_err(|error| error.with_subject(name))
    }

    /// Reads a recording to its end. A last line that broke off is left out, see [`truncated_line`](Self::truncated_line).
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) for what is no recording, has a line that cannot be read (with its
    /// number), or is of a later version of the format.
    pub fn read(reader: impl Read) -> Result<Self> {
        Ok(Self { playback: Arc::new(Playback::new(Recording::read(reader)?)) })
    }

    /// Makes a secret known that [`Recorder::secret`](super::Recorder::secret) kept out of the recording. Those that the
    /// program passes as secret variables become known by themselves.
    pub fn secret(&self, name: impl AsRef<str>, secret: &Secret) {
        self.playback.add_secret(name.as_ref(), secret);
    }

    /// The clock by which a stream is idle: with [`skip_waits`](NullClock::skip_waits), nobody waits for it.
    pub fn clock(&self) -> NullClock {
        self.playback.null.clock()
    }

    /// The line that broke off because the recorder died; the calls that were under way then are missing.
    pub fn truncated_line(&self) -> Option<usize> {
        self.playback.tape.truncated()
    }

    /// The recorded calls that were never asked, in words and in recorded order.
    pub fn unused(&self) -> Vec<String> {
        self.playback.tape.unused()
    }

    /// The errors that the replay itself has answered, because something else was asked than recorded.
    pub fn mismatches(&self) -> Vec<String> {
        self.playback.tape.mismatches()
    }

    /// Whether everything was asked that was recorded, and nothing else.
    ///
    /// # Errors
    /// What was asked and not recorded, also where the program swallowed the error; and what was recorded and not asked.
    pub fn finish(&self) -> Result<()> {
        let first = |what: &str, of: Vec<String>| {
            of.first().map(|first| format!("{what}: {}, the first: {first}", of.len()))
        };
        let faults = [
            first("asked and not recorded", self.mismatches()),
            first("recorded and not asked", self.unused()),
        ];
        let faults: Vec<String> = faults.into_iter().flatten().collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::BackendFailed, "finish the replay", faults.join("; ")))
    }

    fn image_of(&self, facts: ListedImage) -> Arc<dyn Image> {
        Arc::new(ReplayedImage::new(facts, &self.playback))
    }
}

impl ContainerRuntime for Replay {
    fn id(&self) -> &RuntimeId {
        &self.playback.runtime
    }

    fn capabilities(&self) -> Capabilities {
        self.playback.capabilities
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        let key = ContainerKey::new(self.playback.runtime.clone(), name.clone());
        Arc::new(ReplayedContainer::new(key, &self.playback))
    }

    fn list(&self, filter: &ContainerFilter, _until: &Until) -> Result<Vec<ContainerInfo>> {
        self.playback.replay(&Invocation::list(filter))
    }

    fn rw_sizes(&self, prefix: &NamePrefix, _until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        self.playback.replay(&Invocation::rw_sizes(prefix))
    }

    fn create(&self, spec: &LaunchSpec, _until: &Until) -> Result<Arc<dyn Container>> {
        let name: ContainerName = self.playback.replay(&Invocation::create(spec))?;
        Ok(self.container(&name))
    }

    fn force_remove(&self, names: &[ContainerName], _until: &Until) -> Vec<ContainerRemoveResult> {
        let failed = |error: Error| {
            names.iter().map(|name| ContainerRemoveResult::failed(name.clone(), error.clone())).collect()
        };
        self.playback.replay(&Invocation::force_remove(names)).unwrap_or_else(failed)
    }

    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        self.image_of(ListedImage::bare(reference.clone()))
    }

    fn images(&self, filter: &ImageFilter, _until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        let found: Vec<ListedImage> = self.playback.replay(&Invocation::images(*filter))?;
        Ok(found.into_iter().map(|facts| self.image_of(facts)).collect())
    }

    /// The recorded address. Nothing is held: somebody else may have the port.
    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        let decode = |held: &Value| {
            Some((u64::decode(held.get("handle")?)?, field::<String>(held, "address")?.parse().ok()?))
        };
        let (handle, address) = self.playback.replay_as(&Invocation::reserve_port(host), decode)?;
        Ok(Box::new(ReplayedPort::new(&self.playback, handle, address)))
    }

    fn events(&self, options: &EventOptions, _until: &Until) -> Result<Box<dyn PullStream<Event>>> {
        let handle: u64 = self.playback.replay(&Invocation::events(options))?;
        Ok(Box::new(ReplayedStream::new(&self.playback, handle)))
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("runtime", &self.playback.runtime.as_str())
            .field("unused", &self.unused().len())
            .field("mismatches", &self.mismatches().len())
            .finish_non_exhaustive()
    }
}
