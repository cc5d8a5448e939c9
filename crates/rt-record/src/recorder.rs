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
use crate::format::header::{Header, recorded_capabilities};
use crate::format::invocation::Invocation;
use crate::format::json::{JsonCodec, object};
use crate::format::listed_image::ListedImage;
use crate::secrets::registry_password::registry_password;
use rt_protocol::{
    Capabilities, Container, ContainerFilter, ContainerInfo, ContainerName, ContainerRemoveResult,
    ContainerRuntime, Error, ErrorKind, Event, EventOptions, Image, ImageFilter, ImageId, ImageRef,
    LaunchSpec, NamePrefix, PortReservation, PullOptions, PullProgress, PullStream, Result, RuntimeId,
    Secret, Until,
};

/// A runtime that forwards every call to another one, and records the calls and answers.
///
/// Results, errors and streams are those of the inner runtime, and bytes are handed on as they
/// come. Clones, and all handles and streams, write into the same recording.
///
/// A call is written when it has been answered, with the number that it got when it began. If the
/// recording cannot be written (for example because the disk is full), no call fails. Instead,
/// nothing more is written and [`finish`](Self::finish) returns the error. A recorder that is
/// dropped without `finish` reports no error.
///
/// Differences from the inner runtime:
/// - A bridged command's descriptors are duplicated while it runs, and the bytes of its streams are
///   kept in memory until it has ended.
/// - A socket or pipe as stdin is relayed by a thread through a pipe of one page. What the command
///   leaves unread stays in the socket or pipe. Of terminals and devices (and of pipes on systems
///   other than Linux), up to 4 KiB may have been read and not delivered.
/// - If a command leaves the end of stdin unread, the report may be
///   [`Eof`](rt_protocol::StreamEnd::Eof) instead of
///   [`ReaderGone`](rt_protocol::StreamEnd::ReaderGone), or the reverse.
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

    /// Records into a file that only its owner can read (mode 0600). An existing file is replaced.
    ///
    /// # Errors
    /// [`System`](ErrorKind::System) if the file cannot be created.
    pub fn create(inner: Arc<dyn ContainerRuntime>, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = private_file(path).map_err(|cause| {
            Error::new(ErrorKind::System, "create the recording", "")
                .with_subject(format!("`{}`", path.display()))
                .with_source(cause)
        })?;
        Ok(Self::new(inner, file))
    }

    /// Keeps another secret out of the recording, under this name. For secrets that the program
    /// does not pass as a secret variable, but for example through stdin.
    pub fn secret(&self, name: impl AsRef<str>, secret: &Secret) {
        self.journal.add_secret(name.as_ref(), secret);
    }

    /// Ends the recording and returns the number of calls written. Later calls are forwarded and
    /// not recorded.
    ///
    /// # Errors
    /// The first failure of the recording.
    pub fn finish(&self) -> Result<u64> {
        self.journal.finish()
    }

    fn wrap(&self, container: Arc<dyn Container>) -> Arc<dyn Container> {
        Arc::new(RecordedContainer::new(container, &self.journal))
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // An existing file kept its mode.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

impl ContainerRuntime for Recorder {
    fn id(&self) -> &RuntimeId {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        recorded_capabilities(&*self.inner)
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

    fn pull_image(
        &self,
        reference: &ImageRef,
        options: &PullOptions,
        progress: &mut dyn FnMut(PullProgress),
        until: &Until,
    ) -> Result<ImageId> {
        if let Some((name, password)) = registry_password(options) {
            self.journal.add_secret(&name, password);
        }
        let invocation = Invocation::pull_image(reference, options);
        let number = self.journal.begin(&invocation);
        let mut steps = Vec::new();
        let mut step = |step: PullProgress| {
            steps.push(step.encode());
            progress(step);
        };
        let answer = self.inner.pull_image(reference, options, &mut step, until);
        let steps = self.journal.masker(&invocation).mask_value(steps.into());
        self.journal.write(
            number,
            &invocation,
            answer.as_ref().map(JsonCodec::encode),
            [("progress", steps)],
        );
        answer
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
