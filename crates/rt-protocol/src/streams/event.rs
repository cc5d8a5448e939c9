//! Events in the life of containers.

use std::time::SystemTime;

use crate::{ContainerId, ContainerName, NamePrefix, word_enum};

/// One event in the life of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Event {
    /// The container's name.
    pub name: ContainerName,
    /// The container's full id, when the engine reports it.
    pub id: Option<ContainerId>,
    /// What happened.
    pub action: EventAction,
    /// When.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::time"))]
    pub time: SystemTime,
    /// The exit code of the main process, for [`EventAction::Died`], where the engine gives it.
    pub exit_code: Option<i32>,
}

impl Event {
    /// An event without id and exit code.
    pub fn new(name: ContainerName, action: EventAction, time: SystemTime) -> Self {
        Self { name, id: None, action, time, exit_code: None }
    }
}

/// What happened to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventAction {
    /// It was made.
    Created,
    /// The OCI runtime prepared it.
    Initialized,
    /// Its process was started.
    Started,
    /// Its process ended.
    Died,
    /// It was stopped.
    Stopped,
    /// A signal was sent to it.
    Killed,
    /// It was removed.
    Removed,
    /// It was frozen.
    Paused,
    /// It was thawed.
    Unpaused,
}

word_enum!(EventAction, "event", {
    Created = "created",
    Initialized = "initialized",
    Started = "started",
    Died = "died",
    Stopped = "stopped",
    Killed = "killed",
    Removed = "removed",
    Paused = "paused",
    Unpaused = "unpaused",
});

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct EventOptions {
    /// Only containers of this family.
    pub prefix: Option<NamePrefix>,
    /// Also what has happened since then: the resume point between a snapshot and the subscription. What happens from now
    /// on is told whatever its time, and so is what came after an event of exactly this time: clocks are set.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub since: Option<SystemTime>,
}

impl EventOptions {
    /// All containers, from now on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only containers of this family.
    #[must_use]
    pub fn prefix(mut self, prefix: NamePrefix) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// Also what has happened since `time`.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }
}
