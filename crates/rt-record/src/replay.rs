//! The runtime that replays a recording.

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
    ImageId, ImageRef, LaunchSpec, NamePrefix, PortReservation, PullOptions, PullProgress, PullStream,
    Result, RuntimeId, Secret, Until,
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
use crate::secrets::registry_password::registry_password;
use rt_null::NullClock;

/// A runtime that answers from a recording, and does nothing else.
///
/// Each recorded call is answered once. A call is looked up by its object (the runtime, one
/// container, one image), its operation and its arguments. If several are equal, the first recorded
/// one is answered first. Calls on other objects do not matter, so threads that each use their own
/// containers get the same answers in any order.
///
/// A call that was not recorded, or not as often, is an error of kind
/// [`BackendFailed`](ErrorKind::BackendFailed). It says what was called and what was expected next
/// on the same object. [`finish`](Self::finish) reports it too.
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
    /// [`System`](ErrorKind::System) if the file cannot be read; the errors of
    /// [`read`](Self::read).
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

    /// Reads a recording to its end. An incomplete last line is ignored, see
    /// [`truncated_line`](Self::truncated_line).
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) if it is not a recording, has a line that
    /// cannot be read (the error gives its number), or has another version of the format.
    pub fn read(reader: impl Read) -> Result<Self> {
        Ok(Self { playback: Arc::new(Playback::new(Recording::read(reader)?)) })
    }

    /// Adds a secret that [`Recorder::secret`](super::Recorder::secret) kept out of the recording.
    /// Secrets that the program passes as secret variables are added by themselves.
    pub fn secret(&self, name: impl AsRef<str>, secret: &Secret) {
        self.playback.add_secret(name.as_ref(), secret);
    }

    /// Returns the clock that idle streams wait by. With [`skip_waits`](NullClock::skip_waits), no
    /// call waits for an idle stream.
    pub fn clock(&self) -> NullClock {
        self.playback.null.clock()
    }

    /// Returns the number of the line that is incomplete because the recorder died. Calls that were
    /// in progress then are missing.
    pub fn truncated_line(&self) -> Option<usize> {
        self.playback.tape.truncated()
    }

    /// Describes the recorded calls that were not made, in recorded order.
    pub fn unused(&self) -> Vec<String> {
        self.playback.tape.unused()
    }

    /// Returns the errors that the replay itself returned, because a call differed from the
    /// recording.
    pub fn mismatches(&self) -> Vec<String> {
        self.playback.tape.mismatches()
    }

    /// Checks that exactly the recorded calls were made.
    ///
    /// # Errors
    /// Lists the calls that were not recorded, even if the program ignored their errors, and the
    /// recorded calls that were not made.
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

    /// Reports the recorded steps, without the time between them.
    fn pull_image(
        &self,
        reference: &ImageRef,
        options: &PullOptions,
        progress: &mut dyn FnMut(PullProgress),
        _until: &Until,
    ) -> Result<ImageId> {
        if let Some((name, password)) = registry_password(options) {
            self.playback.add_secret(&name, password);
        }
        let invocation = Invocation::pull_image(reference, options);
        let entry = self.playback.take(&invocation)?;
        let steps = entry.whole.get("progress").unwrap_or(&Value::Null);
        let steps = self.playback.restore(&invocation, &entry, steps)?;
        let steps = Vec::<PullProgress>::decode(&steps).unwrap_or_default();
        steps.into_iter().for_each(progress);
        self.playback.answer(&invocation, &entry, ImageId::decode)
    }

    /// Returns the recorded address. The port is not held, so another process may have it.
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
