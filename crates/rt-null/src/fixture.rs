//! Containers that a test describes, and what happens inside them. Scripted answers are in
//! `script/answer`.

use std::path::PathBuf;
use std::time::SystemTime;

use rt_protocol::{
    ContainerId, ContainerInfo, ContainerName, ContainerPath, ContainerState, ContainerStats, Error, Event,
    Health, ImageRef, LaunchSpec, MountInfo, PublishedPort, Result,
};

use crate::runtime::NullRuntime;
use crate::state::world::ContainerRecord;

/// # Containers
///
/// A container exists once it was [created](rt_protocol::ContainerRuntime::create), given a
/// [state](NullRuntime::set_state), or described by a setter of this section. A setter for an
/// absent name makes a container in state `Created`, so that it can be listed. These setters emit
/// no events.
///
/// Each fails only on a malformed argument, with
/// [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest).
impl NullRuntime {
    /// Sets the state; `None` makes the container absent. Scripts for its name stay, unlike after a
    /// [removal](rt_protocol::ContainerRuntime::force_remove).
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

    /// Puts a whole container in place, replacing one of the same name.
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

    /// Sets the image by the name that was requested. The image id is that of a known image with
    /// this name, or else the name itself.
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

    /// Sets the size of the writable layer in bytes; the default is 0.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_rw_size(&self, name: impl AsRef<str>, bytes: u64) -> Result<()> {
        self.describe(name, |record| record.rw_size = bytes)
    }

    /// Sets what the container uses while it runs. The default is no CPU time, 1 MiB of memory, the
    /// memory limit of its launch, and one process.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_stats(&self, name: impl AsRef<str>, stats: ContainerStats) -> Result<()> {
        self.describe(name, |record| record.stats = stats)
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

    /// Sets the time of the last start; `None` means never.
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

    /// Sets the published ports. They are shown now, whatever the state, and later while the
    /// container runs.
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

    /// Sets the result of the health check; `None` means that the container has no check.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_health(&self, name: impl AsRef<str>, health: impl Into<Option<Health>>) -> Result<()> {
        self.describe(name, |record| record.info.health = health.into())
    }

    /// Sets whether its main process has ended for want of memory; `None` means that this is not
    /// known.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_oom_killed(&self, name: impl AsRef<str>, killed: impl Into<Option<bool>>) -> Result<()> {
        self.describe(name, |record| record.info.oom_killed = killed.into())
    }

    /// Puts a file into the container, as a copy does.
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
        let now = self.clock().now();
        self.describe(name, |record| record.files.put(path, bytes.into(), now))
    }

    /// Makes a directory in the container, and its parents.
    ///
    /// # Errors
    /// A malformed name or path.
    pub fn set_directory(&self, name: impl AsRef<str>, path: impl Into<PathBuf>) -> Result<()> {
        let path = crate::state::file::normal(ContainerPath::new(path)?.as_path());
        let now = self.clock().now();
        self.describe(name, |record| record.files.make_directory(&path, now))
    }

    /// Puts a symbolic link with this text into the container.
    ///
    /// # Errors
    /// A malformed name or path.
    pub fn set_symlink(
        &self,
        name: impl AsRef<str>,
        path: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
    ) -> Result<()> {
        let path = crate::state::file::normal(ContainerPath::new(path)?.as_path());
        let now = self.clock().now();
        self.describe(name, |record| record.files.make_symlink(path, target.into(), now))
    }

    /// Returns the contents of a file that was put, copied or written into the container; `None` if
    /// there is none. Symbolic links are not followed.
    pub fn file(&self, name: &ContainerName, path: &ContainerPath) -> Option<Vec<u8>> {
        let path = crate::state::file::normal(path.as_path());
        self.shared.read(|world| world.containers.get(name)?.files.file(&path).map(<[u8]>::to_vec))
    }

    /// Returns the spec that the container was created from; `None` if it is absent or was only
    /// described.
    pub fn spec(&self, name: &ContainerName) -> Option<LaunchSpec> {
        self.shared.read(|world| world.containers.get(name)?.spec.clone())
    }

    /// Ends the main process of a running container, with the usual events. Calls that wait for it
    /// return, and its log ends.
    ///
    /// # Errors
    /// A malformed name; [`NoSuchContainer`](rt_protocol::ErrorKind::NoSuchContainer) if it does
    /// not exist.
    pub fn end(&self, name: impl AsRef<str>, exit_code: i32) -> Result<()> {
        let name = ContainerName::new(name.as_ref())?;
        let now = self.clock().now();
        let ended = self.shared.update(|world| world.end(&name, exit_code, false, now));
        ended.map_err(|(kind, message)| Error::new(kind, "end", message).in_container(&name))
    }

    /// Adds an event to the stream that no change of state causes.
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
