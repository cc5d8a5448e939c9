//! The runtime that records another one.

mod bridge;
mod journal;
mod recorded_container;
mod recorded_image;
mod recorded_stream;
mod relay;
mod stream_tap;
mod tee;
mod transcript;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use self::journal::Journal;
use self::recorded_container::RecordedContainer;
use self::recorded_image::RecordedImage;
use self::recorded_stream::{RecordedHandle, RecordedPort};
use crate::format::header::Header;
use crate::format::invocation::Invocation;
use crate::format::json::{JsonCodec, object};
use crate::format::listed_image::ListedImage;
use rt_protocol::{
    Capabilities, Container, ContainerFilter, ContainerInfo, ContainerName, ContainerRemoveResult,
    ContainerRuntime, Error, ErrorKind, Event, EventOptions, Image, ImageFilter, ImageRef, LaunchSpec,
    NamePrefix, PortReservation, PullStream, Result, RuntimeId, Secret, Until,
};

/// A runtime that passes every call on to another one, and writes down what was asked and answered.
///
/// It changes nothing: results, errors and streams are those of the inner runtime, and bytes are handed on as they come.
/// Clones write into the same recording, and so do all handles and streams that it hands out.
///
/// A call is written when it has been answered, under the number that it had when it was asked. A recording that cannot be
/// written (a full disk) breaks no call: the failure is kept, nothing more is written, and [`finish`](Self::finish) tells.
/// Dropping a recorder that was not finished tells nobody.
///
/// What is not as without it:
/// - A bridged command's descriptors are doubled while it runs, and what was moved over its streams is held in memory until
///   it has ended. A socket or pipe as stdin is relayed through a pipe of one page by a thread of its own; what the command
///   leaves unread is still in it afterwards. From terminals and devices (and, elsewhere than on Linux, from pipes), up to
///   4 KiB may have been taken and not delivered. Whether a command that leaves the end of stdin unread is reported with
///   [`Eof`](rt_protocol::StreamEnd::Eof) or [`ReaderGone`](rt_protocol::StreamEnd::ReaderGone) may differ.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<dyn ContainerRuntime>,
    journal: Arc<Journal>,
}

impl Recorder {
    /// Records into a writer, which gets one line at a time and is flushed after each.
    pub fn new(inner: Arc<dyn ContainerRuntime>, writer: impl Write + Send + 'static) -> Self {
        let journal = Journal::new(Box::new(writer), &Header::encode(&*inner));
        Self { inner, journal: Arc::new(journal) }
    }

    /// Records into a file that only its owner can read (mode 0600). One that is there is replaced.
    ///
    /// # Errors
    /// [`System`](ErrorKind::System) when the file cannot be made.
    pub fn create(inner: Arc<dyn ContainerRuntime>, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = private_file(path).map_err(|cause| {
            Error::new(ErrorKind::System, "create the recording", "")
                .with_subject(format!("`{}`", path.display()))
                .with_source(cause)
        })?;
        Ok(Self::new(inner, file))
    }

    /// Keeps another secret out of the recording, under this name: one that the program does not pass as a secret variable,
    /// but through stdin, say.
    pub fn secret(&self, name: impl AsRef<str>, secret: &Secret) {
        self.journal.add_secret(name.as_ref(), secret);
    }

    /// Ends the recording: how many calls were written. Calls that come later are passed on and not written.
    ///
    /// # Errors
    /// The first thing that could not be recorded.
    pub fn finish(&self) -> Result<u64> {
        self.journal.finish()
    }

    fn wrap(&self, container: Arc<dyn Container>) -> Arc<dyn Container> {
        Arc::new(RecordedContainer::new(container, &self.journal))
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there kept its mode.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

impl ContainerRuntime for Recorder {
    fn id(&self) -> &RuntimeId {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        self.wrap(self.inner.container(name))
    }

    fn inner(&self) -> Option<&dyn ContainerRuntime> {
        Some(&*self.inner)
    }

    fn list(&self, filter: &ContainerFilter, until: &Until) -> Result<Vec<ContainerInfo>> {
        self.journal.record(&Invocation::list(filter), || self.inner.list(filter, until))
    }

    fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        self.journal.record(&Invocation::rw_sizes(prefix), || self.inner.rw_sizes(prefix, until))
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        let name = |made: &Arc<dyn Container>| made.key().name.encode();
        let made =
            self.journal.record_as(&Invocation::create(spec), || self.inner.create(spec, until), name)?;
        Ok(self.wrap(made))
    }

    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        let invocation = Invocation::force_remove(names);
        let number = self.journal.begin(&invocation);
        let results = self.inner.force_remove(names, until);
        self.journal.write(number, &invocation, Ok(results.encode()), []);
        results
    }

    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        Arc::new(RecordedImage::new(self.inner.image(reference), &self.journal))
    }

    fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        let listing =
            |found: &Vec<Arc<dyn Image>>| found.iter().map(|one| ListedImage::of(&**one).encode()).collect();
        let invocation = Invocation::images(*filter);
        let found = self.journal.record_as(&invocation, || self.inner.images(filter, until), listing)?;
        Ok(found.into_iter().map(|image| Arc::new(RecordedImage::new(image, &self.journal)) as _).collect())
    }

    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        let invocation = Invocation::reserve_port(host);
        let (number, handle) = (self.journal.begin(&invocation), self.journal.handle());
        let answer = self.inner.reserve_port(host);
        let encoded = answer
            .as_ref()
            .map(|held| object([("handle", handle.into()), ("address", held.address().to_string().into())]));
        self.journal.write(number, &invocation, encoded, []);
        let held = answer?;
        Ok(Box::new(RecordedPort::new(held, &self.journal, handle)))
    }

    fn events(&self, options: &EventOptions, until: &Until) -> Result<Box<dyn PullStream<Event>>> {
        let handle = self.journal.handle();
        let invocation = Invocation::events(options);
        let open = || self.inner.events(options, until);
        let stream = self.journal.record_as(&invocation, open, |_| handle.encode())?;
        Ok(Box::new(RecordedHandle::new(stream, &self.journal, handle)))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("inner", &self.inner).field("journal", &self.journal).finish()
    }
}
