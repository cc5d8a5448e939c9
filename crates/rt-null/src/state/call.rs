//! What the recorders keep: one typed record for each call that was made.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rt_protocol::{Argv, ContainerName, ContainerPath, CopyOptions, Env, ExecRequest, LaunchSpec, User};

/// A command that was asked for, captured or bridged. Its `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecCall {
    /// Its place among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When, by the runtime's clock.
    pub time: SystemTime,
    /// In which container.
    pub name: ContainerName,
    /// What was asked.
    pub request: ExecRequest,
}

impl ExecCall {
    /// The command.
    pub fn argv(&self) -> &Argv {
        self.request.argv()
    }

    /// The variables, names and values.
    pub fn env(&self) -> &Env {
        self.request.env()
    }

    /// The workdir, if one was named.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.request.workdir()
    }

    /// The user, if one was named.
    pub fn user(&self) -> Option<&User> {
        self.request.user()
    }
}

/// A call of [`create`](rt_protocol::ContainerRuntime::create).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateCall {
    /// Its place among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When, by the runtime's clock.
    pub time: SystemTime,
    /// What was asked.
    pub spec: LaunchSpec,
}

/// A call of [`start`](rt_protocol::Container::start), or the removal of one container by
/// [`force_remove`](rt_protocol::ContainerRuntime::force_remove).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameCall {
    /// Its place among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When, by the runtime's clock.
    pub time: SystemTime,
    /// Which container.
    pub name: ContainerName,
}

/// A call of [`stop`](rt_protocol::Container::stop).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopCall {
    /// Its place among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When, by the runtime's clock.
    pub time: SystemTime,
    /// Which container.
    pub name: ContainerName,
    /// The grace period that was asked for.
    pub grace: Duration,
}

/// A call of [`copy_in`](rt_protocol::Container::copy_in) or [`copy_out`](rt_protocol::Container::copy_out).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyCall {
    /// Its place among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When, by the runtime's clock.
    pub time: SystemTime,
    /// Which container.
    pub name: ContainerName,
    /// Which way.
    pub direction: CopyDirection,
    /// The path on the host.
    pub host: PathBuf,
    /// The path in the container.
    pub inside: ContainerPath,
    /// The options.
    pub options: CopyOptions,
}

/// Which way a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyDirection {
    /// From the host into the container.
    In,
    /// From the container to the host.
    Out,
}

/// A call of [`login_command`](rt_protocol::Container::login_command).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginCall {
    /// Its place among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When, by the runtime's clock.
    pub time: SystemTime,
    /// Which container.
    pub name: ContainerName,
    /// The command, if one was named.
    pub command: Option<Argv>,
}

/// All records of a runtime.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) next: u64,
    pub(crate) exec: Vec<ExecCall>,
    pub(crate) stdio: Vec<ExecCall>,
    pub(crate) create: Vec<CreateCall>,
    pub(crate) start: Vec<NameCall>,
    pub(crate) stop: Vec<StopCall>,
    pub(crate) remove: Vec<NameCall>,
    pub(crate) copy: Vec<CopyCall>,
    pub(crate) login: Vec<LoginCall>,
}

impl Calls {
    pub(crate) fn next_order(&mut self) -> u64 {
        let order = self.next;
        self.next += 1;
        order
    }

    /// Forgets the records; the order goes on.
    pub(crate) fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }
}
