//! What happens to containers: created, started, ended, removed; with the events that follow. Questions about them and
//! fixtures stand elsewhere.

use std::time::SystemTime;

use rt_protocol::{
    ContainerId, ContainerInfo, ContainerName, ContainerState, ErrorKind, EventAction, ImageId, ImageRef,
    LaunchSpec, MountInfo, PublishedPort, PullPolicy,
};

use super::image_record::ImageRecord;
use super::refusal::{Refusal, no_such_container, not_in_state};
use super::world::{ContainerRecord, World};
use crate::clock::NullClock;

/// The first of the host ports that are made up where the engine is to pick one; below Linux's own ephemeral range.
const FIRST_ALLOCATED_PORT: u16 = 20_000;

const ALLOCATED_PORTS: u16 = 10_000;

impl World {
    /// A new container of this name, which must be free.
    pub(crate) fn insert_container(
        &mut self,
        name: &ContainerName,
        runtime: u64,
        now: SystemTime,
    ) -> &mut ContainerRecord {
        self.serials += 1;
        let serial = self.serials;
        // 64 hexadecimal digits, as podman's are, and the same in every run of a test.
        let id = ContainerId::new(format!("{runtime:08x}{serial:056x}")).expect("digits are an id");
        let mut info = ContainerInfo::new(name.clone(), id, ContainerState::Created);
        info.created = Some(now);
        self.containers.entry(name.clone()).or_insert_with(|| ContainerRecord {
            serial,
            info,
            spec: None,
            ports: Vec::new(),
            rw_size: 0,
            files: std::collections::BTreeMap::new(),
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
        record.info.image_id = Some(image_id);
        record.info.image_name = Some(spec.image().to_string());
        record.info.labels.clone_from(spec.labels());
        record.info.oci_runtime = spec.oci_runtime().map(|runtime| runtime.as_str().to_owned());
        record.info.mounts = spec
            .mounts()
            .iter()
            .map(|mount| MountInfo::new(Some(mount.source().to_owned()), mount.destination().as_path()))
            .collect();
        record.spec = Some(spec.clone());
        self.push_event(spec.name(), EventAction::Created, None, now);
        Ok(())
    }

    /// Starts a container; one that runs stays as it is.
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

    /// Ends the main process. One that does not run stays as it is.
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

    /// Removes a container, if there is one, and everything that was set up for its name.
    pub(crate) fn remove(&mut self, name: &ContainerName, now: SystemTime) {
        if let Some(record) = self.containers.get(name) {
            if record.info.state.is_running() {
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

    /// The code with which the main process is to end.
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

    /// The id of the image, which is pulled when the policy wants that.
    fn image_for(
        &mut self,
        reference: &ImageRef,
        policy: PullPolicy,
        now: SystemTime,
    ) -> Result<ImageId, Refusal> {
        if let Some(image) = self.images.iter().find(|image| image.matches(reference)) {
            return Ok(image.id.clone().into());
        }
        let why = match policy {
            PullPolicy::Never => "it is not known, and the pull policy is never",
            _ if self.pulls_forbidden => "it is not known, and this runtime pulls none",
            _ => {
                let image = ImageRecord::pulled(reference, now);
                let id = image.id.clone().into();
                self.images.push(image);
                return Ok(id);
            }
        };
        Err((ErrorKind::NoSuchImage, format!("image `{reference}`: {why}")))
    }

    /// A host port that no container has; the same ones in every run of a test.
    fn allocate_port(&mut self) -> u16 {
        for _ in 0..ALLOCATED_PORTS {
            let port = FIRST_ALLOCATED_PORT + self.allocated_ports;
            self.allocated_ports = (self.allocated_ports + 1) % ALLOCATED_PORTS;
            let taken = |record: &ContainerRecord| record.ports.iter().any(|held| held.host_port == port);
            if !self.containers.values().any(taken) {
                return port;
            }
        }
        // All are taken; the start will say so.
        FIRST_ALLOCATED_PORT
    }

    /// Whether another running container holds the port.
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
    /// Moves to a state, with the times and ports that go with it.
    pub(crate) fn enter(&mut self, state: ContainerState, now: SystemTime) {
        if state.is_running() && !self.info.state.is_running() {
            self.info.started_at = Some(now);
            self.info.finished_at = None;
            self.info.exit_code = None;
        }
        if state.has_exited() && !self.info.state.has_exited() {
            self.info.finished_at = Some(now);
        }
        // As podman answers: what is not running publishes nothing, and gets the same host ports back later.
        self.info.ports = if state.is_running() { self.ports.clone() } else { Vec::new() };
        self.info.state = state;
    }
}
