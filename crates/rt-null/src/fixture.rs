//! Containers that a test describes, and what happens to them from inside. Answers of commands stand in `answer`.

use std::path::PathBuf;
use std::time::SystemTime;

use rt_protocol::{
    ContainerId, ContainerInfo, ContainerName, ContainerPath, ContainerState, Error, Event, Health, ImageRef,
    LaunchSpec, MountInfo, PublishedPort, Result,
};

use crate::runtime::NullRuntime;
use crate::state::world::ContainerRecord;

/// # Containers
///
/// A container exists once it was [created](rt_protocol::ContainerRuntime::create), given a
/// [state](NullRuntime::set_state), or described by one of the setters of this section: a fact about a name that is absent
/// makes a container in state `Created`, so that what has a fact can be listed. These setters are silent: they make no
/// events. Every one fails, with [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest), on a malformed name alone.
impl NullRuntime {
    /// Sets the state; `None` is absent. An absent one keeps what was scripted for its name, unlike one that is
    /// [removed](rt_protocol::ContainerRuntime::force_remove).
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_state(&self, name: impl AsRef<str>, state: impl Into<Option<ContainerState>>) -> Result<()> {
        let now = self.clock().now();
        if let Some(state) = state.into() {
            return self.describe(name, |record| record.enter(state, now));
        }
        let name = ContainerName::new(name.as_ref())?;
        self.shared.update(|world| drop(world.containers.remove(&name)));
        Ok(())
    }

    /// Puts a whole container in place, also of one that is there.
    pub fn set_container(&self, info: ContainerInfo) {
        let now = self.clock().now();
        self.shared.update(|world| {
            world.containers.remove(&info.name);
            let record = world.insert_container(&info.name, self.shared.number, now);
            record.ports.clone_from(&info.ports);
            record.info = info.clone();
        });
    }

    /// Sets the full id.
    ///
    /// # Errors
    /// A malformed name or id.
    pub fn set_id(&self, name: impl AsRef<str>, id: impl Into<String>) -> Result<()> {
        let id = ContainerId::new(id)?;
        self.describe(name, |record| record.info.id = id)
    }

    /// Sets the image by the name it was asked for; its id is that of an image that is known by it, and the name itself
    /// otherwise.
    ///
    /// # Errors
    /// A malformed name or reference.
    pub fn set_image(&self, name: impl AsRef<str>, image: impl Into<String>) -> Result<()> {
        let image = ImageRef::new(image)?;
        let id = self.shared.read(|world| {
            let known = world.images.iter().find(|known| known.matches(&image));
            known.map_or_else(|| image.clone(), |known| known.id.clone())
        });
        self.describe(name, |record| {
            record.info.image_id = Some(id.into());
            record.info.image_name = Some(image.to_string());
        })
    }

    /// Sets the size of the writable layer in bytes; 0 unless set.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_rw_size(&self, name: impl AsRef<str>, bytes: u64) -> Result<()> {
        self.describe(name, |record| record.rw_size = bytes)
    }

    /// Sets the mounts.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_mounts(
        &self,
        name: impl AsRef<str>,
        mounts: impl IntoIterator<Item = MountInfo>,
    ) -> Result<()> {
        self.describe(name, |record| record.info.mounts = mounts.into_iter().collect())
    }

    /// Sets when it was last started; `None` is never.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_started_at(&self, name: impl AsRef<str>, time: impl Into<Option<SystemTime>>) -> Result<()> {
        self.describe(name, |record| record.info.started_at = time.into())
    }

    /// Sets one label.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_label(
        &self,
        name: impl AsRef<str>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<()> {
        self.describe(name, |record| drop(record.info.labels.insert(key.into(), value.into())))
    }

    /// Sets the published ports: shown now, whatever the state, and while the container runs later on.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_ports(
        &self,
        name: impl AsRef<str>,
        ports: impl IntoIterator<Item = PublishedPort>,
    ) -> Result<()> {
        self.describe(name, |record| {
            record.ports = ports.into_iter().collect();
            record.info.ports.clone_from(&record.ports);
        })
    }

    /// Sets the verdict of the health check; `None` is a container without one.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_health(&self, name: impl AsRef<str>, health: impl Into<Option<Health>>) -> Result<()> {
        self.describe(name, |record| record.info.health = health.into())
    }

    /// Puts a file into the container, as a copy would.
    ///
    /// # Errors
    /// A malformed name or path.
    pub fn set_file(
        &self,
        name: impl AsRef<str>,
        path: impl Into<PathBuf>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<()> {
        let path = crate::state::file::normal(ContainerPath::new(path)?.as_path());
        self.describe(name, |record| drop(record.files.insert(path, bytes.into())))
    }

    /// The bytes of a file that was put or copied into the container, if there is one.
    pub fn file(&self, name: &ContainerName, path: &ContainerPath) -> Option<Vec<u8>> {
        let path = crate::state::file::normal(path.as_path());
        self.shared.read(|world| world.containers.get(name)?.files.get(&path).cloned())
    }

    /// What the container was created from; `None` when absent or only described.
    pub fn spec(&self, name: &ContainerName) -> Option<LaunchSpec> {
        self.shared.read(|world| world.containers.get(name)?.spec.clone())
    }

    /// Lets the main process of a running container end by itself, with the events that follow. Whoever waits for it is
    /// told, and its log ends.
    ///
    /// # Errors
    /// A malformed name; [`NoSuchContainer`](rt_protocol::ErrorKind::NoSuchContainer).
    pub fn end(&self, name: impl AsRef<str>, exit_code: i32) -> Result<()> {
        let name = ContainerName::new(name.as_ref())?;
        let now = self.clock().now();
        let ended = self.shared.update(|world| world.end(&name, exit_code, false, now));
        ended.map_err(|(kind, message)| Error::new(kind, "end", message).in_container(&name))
    }

    /// Puts an event into the stream that no change of state makes.
    pub fn emit(&self, event: Event) {
        self.shared.update(|world| world.events.push(event));
    }

    fn describe(&self, name: impl AsRef<str>, change: impl FnOnce(&mut ContainerRecord)) -> Result<()> {
        let name = ContainerName::new(name.as_ref())?;
        let (number, now) = (self.shared.number, self.clock().now());
        self.shared.update(|world| {
            if !world.containers.contains_key(&name) {
                world.insert_container(&name, number, now);
            }
            if let Some(record) = world.containers.get_mut(&name) {
                change(record);
            }
        });
        Ok(())
    }
}
