//! How containers are created, started, ended and removed, with the events of each step. Queries
//! and fixtures are elsewhere.

use std::time::{Duration, SystemTime};

use rt_protocol::{
    ContainerId, ContainerInfo, ContainerName, ContainerState, ContainerStats, ErrorKind, EventAction,
    Health, ImageId, ImageRef, LaunchSpec, MountInfo, PublishedPort, PullPolicy, RegistryCredentials, Signal,
};

use super::file_system::FileSystem;
use super::image_record::{ImageRecord, ServedImage};
use super::refusal::{Refusal, no_such_container, not_in_state};
use super::world::{ContainerRecord, World};
use crate::clock::NullClock;

/// The first host port that null allocates if the engine is to pick one. Below Linux's own
/// ephemeral range.
const FIRST_ALLOCATED_PORT: u16 = 20_000;

const ALLOCATED_PORTS: u16 = 10_000;

/// What a container uses, in bytes.
const DEFAULT_MEMORY: u64 = 1 << 20;

impl World {
    /// Adds a container with this name, which must be free.
    pub(crate) fn insert_container(
        &mut self,
        name: &ContainerName,
        runtime: u64,
        now: SystemTime,
    ) -> &mut ContainerRecord {
        self.serials += 1;
        let serial = self.serials;
        // 64 hexadecimal digits as podman's ids, and the same in every run of a test.
        let id = ContainerId::new(format!("{runtime:08x}{serial:056x}")).expect("digits are an id");
        let mut info = ContainerInfo::new(name.clone(), id, ContainerState::Created);
        info.created = Some(now);
        self.containers.entry(name.clone()).or_insert_with(|| ContainerRecord {
            serial,
            info,
            spec: None,
            ports: Vec::new(),
            rw_size: 0,
            stats: ContainerStats::new(Duration::ZERO, DEFAULT_MEMORY, 1),
            files: FileSystem::default(),
        })
    }

    pub(crate) fn create(&mut self, spec: &LaunchSpec, runtime: u64, now: SystemTime) -> Result<(), Refusal> {
        if self.containers.contains_key(spec.name()) {
            return Err((ErrorKind::NameInUse, String::new()));
        }
        let image_id = self.image_for(spec.image(), spec.pull(), now)?;
        let ports = spec.ports().iter().map(|port| {
            let host_port = port.host_port().unwrap_or_else(|| self.allocate_port());
            PublishedPort::new(port.container_port(), port.protocol(), port.host_ip(), host_port)
        });
        let ports = ports.collect();
        let record = self.insert_container(spec.name(), runtime, now);
        record.ports = ports;
        record.stats.memory_limit = spec.memory();
        record.info.image_id = Some(image_id);
        record.info.image_name = Some(spec.image().to_string());
        record.info.labels.clone_from(spec.labels());
        record.info.oci_runtime = spec.oci_runtime().map(|runtime| runtime.as_str().to_owned());
        record.info.mounts = spec
            .mounts()
            .iter()
            .map(|mount| MountInfo::new(Some(mount.source().to_owned()), mount.destination().as_path()))
            .chain(spec.volumes().iter().map(|volume| MountInfo::new(None, volume.destination().as_path())))
            .collect();
        record.info.health = spec.health_check().map(|_| Health::Starting);
        record.spec = Some(spec.clone());
        self.push_event(spec.name(), EventAction::Created, None, now);
        Ok(())
    }

    /// Starts a container. No effect if it runs.
    pub(crate) fn start(&mut self, name: &ContainerName, clock: &NullClock) -> Result<(), Refusal> {
        let record = self.containers.get(name).ok_or_else(no_such_container)?;
        match &record.info.state {
            ContainerState::Running => return Ok(()),
            state @ (ContainerState::Paused | ContainerState::Stopping | ContainerState::Removing) => {
                return Err(not_in_state(state));
            }
            _ => {}
        }
        if let Some(port) = record.ports.iter().find(|port| self.is_taken(name, port)) {
            return Err((ErrorKind::PortInUse, format!("host port {}", port.host_port)));
        }
        let elapsed = clock.elapsed();
        let now = clock.at(elapsed);
        if let Some(log) = self.scripts.get_mut(name).and_then(|scripts| scripts.log.as_mut()) {
            log.restart(elapsed);
        }
        self.push_event(name, EventAction::Initialized, None, now);
        self.push_event(name, EventAction::Started, None, now);
        if let Some(record) = self.containers.get_mut(name) {
            record.enter(ContainerState::Running, now);
        }
        Ok(())
    }

    /// Ends the main process. No effect if it does not run.
    pub(crate) fn end(
        &mut self,
        name: &ContainerName,
        code: i32,
        stopped: bool,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let record = self.containers.get_mut(name).ok_or_else(no_such_container)?;
        match &record.info.state {
            ContainerState::Running | ContainerState::Stopping => {}
            state @ (ContainerState::Paused | ContainerState::Removing) => return Err(not_in_state(state)),
            _ => return Ok(()),
        }
        record.enter(ContainerState::Exited, now);
        record.info.exit_code = Some(code);
        self.push_event(name, EventAction::Died, Some(code), now);
        if stopped {
            self.push_event(name, EventAction::Stopped, None, now);
        }
        Ok(())
    }

    /// Freezes a container. No effect if it is paused.
    pub(crate) fn pause(&mut self, name: &ContainerName, now: SystemTime) -> Result<(), Refusal> {
        let record = self.containers.get_mut(name).ok_or_else(no_such_container)?;
        match &record.info.state {
            ContainerState::Paused => return Ok(()),
            ContainerState::Running => record.enter(ContainerState::Paused, now),
            state => return Err(not_in_state(state)),
        }
        self.push_event(name, EventAction::Paused, None, now);
        Ok(())
    }

    /// Lets a paused container run on. No effect if it runs.
    pub(crate) fn unpause(&mut self, name: &ContainerName, now: SystemTime) -> Result<(), Refusal> {
        let record = self.containers.get_mut(name).ok_or_else(no_such_container)?;
        match &record.info.state {
            ContainerState::Running => return Ok(()),
            ContainerState::Paused => record.enter(ContainerState::Running, now),
            state => return Err(not_in_state(state)),
        }
        self.push_event(name, EventAction::Unpaused, None, now);
        Ok(())
    }

    /// Returns what a container that runs uses.
    pub(crate) fn stats(&self, name: &ContainerName) -> Result<ContainerStats, Refusal> {
        let record = self.containers.get(name).ok_or_else(no_such_container)?;
        match &record.info.state {
            ContainerState::Running | ContainerState::Paused | ContainerState::Stopping => {
                Ok(record.stats.clone())
            }
            state => Err(not_in_state(state)),
        }
    }

    /// Sends a signal to the main process. KILL ends it with code 137, and TERM as a stop does.
    /// Others have no effect.
    pub(crate) fn kill(
        &mut self,
        name: &ContainerName,
        signal: Signal,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        const KILLED: i32 = 137;
        let record = self.containers.get(name).ok_or_else(no_such_container)?;
        match &record.info.state {
            ContainerState::Running | ContainerState::Stopping => {}
            state => return Err(not_in_state(state)),
        }
        self.push_event(name, EventAction::Killed, None, now);
        match signal {
            Signal::KILL => self.end(name, KILLED, false, now),
            Signal::TERM => self.end(name, self.exit_code_of(name), false, now),
            _ => Ok(()),
        }
    }

    /// Removes a container, if it exists, and all scripts for its name.
    pub(crate) fn remove(&mut self, name: &ContainerName, now: SystemTime) {
        if let Some(record) = self.containers.get(name) {
            if record.has_main_process() {
                let code = self.exit_code_of(name);
                self.push_event(name, EventAction::Died, Some(code), now);
            }
            self.push_event(name, EventAction::Removed, None, now);
        }
        self.containers.remove(name);
        self.scripts.remove(name);
        self.exec_handlers.forget(name);
        self.stdio_handlers.forget(name);
        self.faults.retain(|rule| !rule.scope.is_for(name));
    }

    /// Returns the exit code that the main process will have.
    pub(crate) fn exit_code_of(&self, name: &ContainerName) -> i32 {
        self.scripts.get(name).and_then(|scripts| scripts.exit_code).unwrap_or(0)
    }

    fn push_event(
        &mut self,
        name: &ContainerName,
        action: EventAction,
        exit_code: Option<i32>,
        now: SystemTime,
    ) {
        let id = self.containers.get(name).map(|record| record.info.id.clone());
        self.events.push_new(name.clone(), id, action, exit_code, now);
    }

    /// Returns the id of the image, after a pull if the policy requires one.
    fn image_for(
        &mut self,
        reference: &ImageRef,
        policy: PullPolicy,
        now: SystemTime,
    ) -> Result<ImageId, Refusal> {
        if let Some(image) = self.images.iter().find(|image| image.matches(reference)) {
            return Ok(image.id.clone().into());
        }
        if policy == PullPolicy::Never {
            let message = format!("image `{reference}`: it is not known, and the pull policy is never");
            return Err((ErrorKind::NoSuchImage, message));
        }
        let image = self
            .served_image(reference, None, now)
            .map_err(|(kind, why)| (kind, format!("image `{reference}`: {why}")))?;
        let id = image.id.clone().into();
        self.images.push(image);
        Ok(id)
    }

    /// Returns what a registry sends for this reference.
    pub(crate) fn served_image(
        &self,
        reference: &ImageRef,
        credentials: Option<&RegistryCredentials>,
        now: SystemTime,
    ) -> Result<ImageRecord, Refusal> {
        let mut served = self.served.iter().filter(|served| served.record.is_named(reference)).peekable();
        if served.peek().is_some() {
            let known = |served: &&ServedImage| {
                served.credentials.is_none() || served.credentials.as_ref() == credentials
            };
            let denied = || (ErrorKind::RegistryDenied, String::from("the registry serves it to others"));
            return served.find(known).map(|served| served.record.clone()).ok_or_else(denied);
        }
        let registry = |served: &ServedImage| served.record.name.as_ref()?.registry().map(str::to_owned);
        let named = reference.registry();
        if named.is_some() && self.served.iter().any(|served| registry(served).as_deref() == named) {
            return Err((ErrorKind::NoSuchImage, String::from("its registry serves others alone")));
        }
        if self.pulls_forbidden {
            return Err((
                ErrorKind::NoSuchImage,
                String::from("it is not known, and this runtime pulls none"),
            ));
        }
        Ok(ImageRecord::pulled(reference, now))
    }

    /// Adds a pulled image. Another image with its name loses the name.
    pub(crate) fn store_image(&mut self, pulled: ImageRecord) {
        let Some(name) = pulled.name.clone() else { return };
        if self.images.iter().any(|image| image.id == pulled.id && image.is_named(&name)) {
            return;
        }
        self.images.iter_mut().filter(|image| image.is_named(&name)).for_each(ImageRecord::lose_name);
        self.images.push(pulled);
    }

    /// Returns a free host port; the same ones in every run of a test.
    fn allocate_port(&mut self) -> u16 {
        for _ in 0..ALLOCATED_PORTS {
            let port = FIRST_ALLOCATED_PORT + self.allocated_ports;
            self.allocated_ports = (self.allocated_ports + 1) % ALLOCATED_PORTS;
            let taken = |record: &ContainerRecord| record.ports.iter().any(|held| held.host_port == port);
            if !self.containers.values().any(taken) {
                return port;
            }
        }
        // All ports are taken; the start reports it.
        FIRST_ALLOCATED_PORT
    }

    /// Returns whether another running container holds the port.
    fn is_taken(&self, name: &ContainerName, wanted: &PublishedPort) -> bool {
        self.containers.values().any(|record| {
            record.info.name != *name
                && record.info.ports.iter().any(|held| {
                    held.host_port == wanted.host_port
                        && held.protocol == wanted.protocol
                        && (held.host_ip == wanted.host_ip
                            || held.host_ip.is_none()
                            || wanted.host_ip.is_none())
                })
        })
    }
}

impl ContainerRecord {
    /// Changes the state, and the times and ports that depend on it.
    pub(crate) fn enter(&mut self, state: ContainerState, now: SystemTime) {
        let goes_on = self.has_main_process();
        if state.is_running() && !goes_on {
            self.info.started_at = Some(now);
            self.info.finished_at = None;
            self.info.exit_code = None;
        }
        if state.has_exited() && !self.info.state.has_exited() {
            self.info.finished_at = Some(now);
        }
        self.info.state = state;
        // As with podman: a container that does not run publishes no ports, and gets the same host
        // ports back later.
        self.info.ports = if self.has_main_process() { self.ports.clone() } else { Vec::new() };
    }

    /// Returns whether its main process runs, or is frozen.
    pub(crate) fn has_main_process(&self) -> bool {
        matches!(self.info.state, ContainerState::Running | ContainerState::Paused | ContainerState::Stopping)
    }
}
