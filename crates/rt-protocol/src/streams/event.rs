//! Events of containers.

use std::time::SystemTime;

use crate::{ContainerId, ContainerName, NamePrefix, word_enum};

/// An event of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Event {
    /// The name of the container.
    pub name: ContainerName,
    /// The full id of the container, if the engine reports it.
    pub id: Option<ContainerId>,
    /// What happened.
    pub action: EventAction,
    /// When it happened.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::time"))]
    pub time: SystemTime,
    /// The exit code of the main process, for [`EventAction::Died`], if the engine reports it.
    pub exit_code: Option<i32>,
}

impl Event {
    /// Returns an event without id and exit code.
    pub fn new(name: ContainerName, action: EventAction, time: SystemTime) -> Self {
        Self { name, id: None, action, time, exit_code: None }
    }
}

word_enum! {
    /// What happened to a container.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum EventAction: "event" {
        /// The container was created.
        Created = "created",
        /// The OCI runtime has prepared it.
        Initialized = "initialized",
        /// Its main process was started.
        Started = "started",
        /// Its main process has ended.
        Died = "died",
        /// It was stopped.
        Stopped = "stopped",
        /// A signal was sent to it.
        Killed = "killed",
        /// It was removed.
        Removed = "removed",
        /// It was paused.
        Paused = "paused",
        /// It was unpaused.
        Unpaused = "unpaused",
    }
}

/// The events that a subscription delivers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct EventOptions {
    /// If set, only events of containers whose name begins with this prefix and a dash.
    pub prefix: Option<NamePrefix>,
    /// If set, also events since then, to continue after a snapshot. Clocks may be set: events from
    /// now on are always delivered, whatever their time, and so are those that follow an event of
    /// exactly this time.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub since: Option<SystemTime>,
}

impl EventOptions {
    /// Returns options for the events of all containers, from now on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects containers whose name begins with `prefix` and a dash.
    #[must_use]
    pub fn prefix(mut self, prefix: NamePrefix) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// Also delivers the events since `time`.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }
}
