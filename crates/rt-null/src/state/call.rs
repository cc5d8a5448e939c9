//! The entries of the recorders: one typed record for each call.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, ContainerName, ContainerPath, CopyOptions, Env, ExecRequest, FileOptions, ImageRef, LaunchSpec,
    PullOptions, Signal, User,
};

/// A command that was called, captured or bridged. Its `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
    /// The request.
    pub request: ExecRequest,
}

impl ExecCall {
    /// Returns the command.
    pub fn argv(&self) -> &Argv {
        self.request.argv()
    }

    /// Returns the environment variables, names and values.
    pub fn env(&self) -> &Env {
        self.request.env()
    }

    /// Returns the workdir, if the request set one.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.request.workdir()
    }

    /// Returns the user, if the request set one.
    pub fn user(&self) -> Option<&User> {
        self.request.user()
    }
}

/// A call of [`create`](rt_protocol::ContainerRuntime::create).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The launch spec.
    pub spec: LaunchSpec,
}

/// A call of [`start`](rt_protocol::Container::start), [`pause`](rt_protocol::Container::pause) or
/// [`unpause`](rt_protocol::Container::unpause), or the removal of one container by
/// [`remove`](rt_protocol::Container::remove) or
/// [`force_remove`](rt_protocol::ContainerRuntime::force_remove).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
}

/// A call of [`stop`](rt_protocol::Container::stop).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
    /// The requested grace period.
    pub grace: Duration,
}

/// A call of [`kill`](rt_protocol::Container::kill).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KillCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
    /// The signal.
    pub signal: Signal,
}

/// A call of [`copy_in`](rt_protocol::Container::copy_in) or
/// [`copy_out`](rt_protocol::Container::copy_out).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
    /// The direction.
    pub direction: CopyDirection,
    /// The path on the host.
    pub host: PathBuf,
    /// The path in the container.
    pub inside: ContainerPath,
    /// The options.
    pub options: CopyOptions,
}

/// A call of [`copy_in_tar`](rt_protocol::Container::copy_in_tar) or
/// [`copy_out_tar`](rt_protocol::Container::copy_out_tar).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TarCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
    /// The direction.
    pub direction: CopyDirection,
    /// The path in the container.
    pub inside: ContainerPath,
}

/// The direction of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyDirection {
    /// From the host into the container.
    In,
    /// From the container to the host.
    Out,
}

/// A call that writes, reads, looks up, lists or removes files of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
    /// The path in the container.
    pub path: ContainerPath,
    /// What is done there.
    pub action: FileAction,
}

/// What a [`FileCall`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileAction {
    /// [`write_file`](rt_protocol::Container::write_file), with these contents.
    Write(Vec<u8>, FileOptions),
    /// [`read_file`](rt_protocol::Container::read_file), with this limit.
    Read(u64),
    /// [`stat`](rt_protocol::Container::stat).
    Stat,
    /// [`list_dir`](rt_protocol::Container::list_dir).
    List,
    /// [`remove_path`](rt_protocol::Container::remove_path).
    Remove,
}

/// A call of [`pull_image`](rt_protocol::ContainerRuntime::pull_image). Its `Debug` shows no
/// password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The image.
    pub reference: ImageRef,
    /// The options.
    pub options: PullOptions,
}

/// A call of [`login_command`](rt_protocol::Container::login_command).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginCall {
    /// Its position among all recorded calls of the runtime, from 0.
    pub order: u64,
    /// When it was called, by the runtime's clock.
    pub time: SystemTime,
    /// The container.
    pub name: ContainerName,
    /// The command, if the call had one.
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
    pub(crate) pause: Vec<NameCall>,
    pub(crate) unpause: Vec<NameCall>,
    pub(crate) kill: Vec<KillCall>,
    pub(crate) remove: Vec<NameCall>,
    pub(crate) copy: Vec<CopyCall>,
    pub(crate) tar: Vec<TarCall>,
    pub(crate) file: Vec<FileCall>,
    pub(crate) login: Vec<LoginCall>,
    pub(crate) pull: Vec<PullCall>,
}

impl Calls {
    /// Deletes the records; order numbers continue.
    pub(crate) fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }
}
