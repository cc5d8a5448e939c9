//! What the suite must know about a backend, apart from its capabilities.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use rt_protocol::{ContainerName, ContainerRuntime, ImageRef, LaunchSpec, LaunchSpecBuilder, NamePrefix};

use crate::{Need, ServedImages};

/// The environment of one run of the suite: the names and the image that it may use, and what it
/// may look at.
///
/// Only the prefix and the image are required. The defaults of the other methods suit a backend
/// that makes containers and runs real commands in them.
pub trait Fixture: fmt::Debug + Send + Sync {
    /// Returns the prefix of every container that the suite makes. No other container may have a
    /// name that starts with it.
    fn prefix(&self) -> &NamePrefix;

    /// Returns an image that exists locally. It has a POSIX shell and the tools that
    /// [`Script`](crate::Script) names.
    fn image(&self) -> &ImageRef;

    /// Returns a running container for a backend that makes none. The suite runs commands in it and
    /// does not stop it. By default, the suite makes one.
    fn standing(&self) -> Option<ContainerName> {
        None
    }

    /// Returns why a need cannot be met here; `None` if it can.
    fn lacks(&self, need: Need) -> Option<String> {
        let _ = need;
        None
    }

    /// Adds what the backend needs to a launch specification, such as the published port by which
    /// commands enter. The suite calls it for every container of its image. Adds nothing by
    /// default.
    fn equip(&self, spec: LaunchSpecBuilder) -> LaunchSpecBuilder {
        spec
    }

    /// Called before the suite starts a container that it made. Tells a backend that runs nothing
    /// what the main process should do.
    fn before_start(&self, spec: &LaunchSpec) {
        let _ = spec;
    }

    /// Called after the suite started such a container. A backend that runs nothing starts the main
    /// process here, and ends it if its command ends by itself.
    fn after_start(&self, container: &ContainerName) {
        let _ = container;
    }

    /// Called before and after each case, each time before leftovers are counted. Lets go of what
    /// the backend keeps between calls by its documented limits, such as agents and connections.
    /// Does nothing by default.
    fn release(&self) {}

    /// Returns the time that the backend's clock has run. The suite only compares its values with
    /// each other. A backend that skips time instead of waiting returns its own clock.
    fn clock(&self) -> Duration {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        BEGIN.get_or_init(Instant::now).elapsed()
    }

    /// Returns a user of every guest that is not root, as a request names it, and its number.
    fn user(&self) -> (&'static str, u32) {
        ("1234", 1234)
    }

    /// Returns the time of the engine's clock, by which it says when something happened.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Returns a directory of every guest in which commands may write.
    fn scratch(&self) -> &'static str {
        "/tmp"
    }

    /// Returns a variable that the image sets, and its value; `None` if the image sets none.
    fn image_variable(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Makes an image with two names that no container uses, and returns one of the names. The case
    /// removes both. `None` if no image can be made.
    fn image_with_two_names(&self) -> Option<ImageRef> {
        None
    }

    /// Returns what registries serve for the suite; `None` if there are none.
    fn registry(&self) -> Option<ServedImages> {
        None
    }

    /// Returns the number of exec sessions that the engine holds for this container; `None` if that
    /// cannot be found out. Called before and after each case.
    fn exec_sessions(&self, container: &ContainerName) -> Option<usize> {
        let _ = container;
        None
    }

    /// Returns whether the engine is known to keep the session of a command that could not be
    /// started, as podman before 4.8 does (containers/podman#20392). Cases about such commands then
    /// do not count sessions.
    fn keeps_sessions_of_the_unstarted(&self) -> bool {
        false
    }

    /// Returns a runtime of the same kind whose engine cannot answer: its program is missing, or
    /// fails.
    fn broken(&self) -> Option<Arc<dyn ContainerRuntime>> {
        None
    }
}
