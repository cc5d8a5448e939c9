//! The whole state of a runtime behind one lock: containers, images, scripts, faults, events,
//! records. Changes to containers are in `lifecycle`, what a test sets up in `fixture`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::SystemTime;

use rt_protocol::{
    Argv, Capabilities, ContainerInfo, ContainerName, ContainerState, ContainerStats, ExecRequest,
    ExitOutcome, LaunchSpec, PublishedPort, Readiness, RuntimeId, Until,
};

use super::call::{Calls, ExecCall};
use super::event_log::EventLog;
use super::file_system::FileSystem;
use super::image_record::{ImageRecord, ServedImage};
use super::log::Log;
use crate::clock::NullClock;
use crate::script::fault::{FaultRule, InjectedFault, Operation};
use crate::script::pattern::{ArgvPattern, Scope};
use crate::script::reply::ExecReply;
use crate::script::stdio_script::StdioScript;
use crate::streams::notify::{WaiterList, lock};
use crate::streams::peer::StdioPeer;
use crate::streams::waiter::Waiter;

/// What all handles of one runtime share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: RuntimeId,
    pub(crate) number: u64,
    pub(crate) capabilities: Capabilities,
    pub(crate) clock: NullClock,
    waiters: Arc<WaiterList>,
    world: Mutex<World>,
}

impl Shared {
    pub(crate) fn new(number: u64, capabilities: Capabilities) -> Self {
        let waiters = Arc::<WaiterList>::default();
        Self {
            id: RuntimeId::new(format!("null#{number}")),
            number,
            capabilities,
            clock: NullClock::new(Arc::clone(&waiters)),
            waiters,
            world: Mutex::default(),
        }
    }

    /// Reads the world. No code of the caller may run inside `read`.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        read(&lock(&self.world))
    }

    /// Changes the world without waking any call: for records and scripts, which no call waits for.
    pub(crate) fn update_quietly<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut lock(&self.world))
    }

    /// Changes the world and wakes every call that waits for a change.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let answer = self.update_quietly(change);
        self.waiters.notify_all();
        answer
    }

    pub(crate) fn waiter(&self, until: Until) -> Waiter {
        Waiter::new(until, &self.clock, &self.waiters)
    }

    pub(crate) fn take_faults(&self, operation: Operation, name: Option<&ContainerName>) -> InjectedFault {
        self.update_quietly(|world| InjectedFault::take(&mut world.faults, operation, name))
    }

    /// Returns whether the container with this serial number has ended. Commands of a paused one go
    /// on.
    pub(crate) fn is_gone(&self, name: &ContainerName, serial: u64) -> bool {
        self.read(|world| {
            let goes_on =
                |state: &ContainerState| matches!(state, ContainerState::Running | ContainerState::Paused);
            world
                .containers
                .get(name)
                .is_none_or(|record| record.serial != serial || !goes_on(&record.info.state))
        })
    }

    /// Records a command that was called.
    pub(crate) fn record_exec_call(
        &self,
        name: &ContainerName,
        request: &ExecRequest,
        bridged: bool,
    ) -> ExecCall {
        self.record(|calls, order, time| {
            let call = ExecCall { order, time, name: name.clone(), request: request.clone() };
            let list = if bridged { &mut calls.stdio } else { &mut calls.exec };
            list.push(call.clone());
            call
        })
    }

    /// Records a call, with its place among all calls and the time of the runtime's clock.
    pub(crate) fn record<T>(&self, record: impl FnOnce(&mut Calls, u64, SystemTime) -> T) -> T {
        let time = self.clock.now();
        self.update_quietly(|world| {
            let order = world.calls.next;
            world.calls.next += 1;
            record(&mut world.calls, order, time)
        })
    }

    /// Returns the scripted answer of a captured command, if there is one. Patterns and handlers
    /// are the caller's code: they are cloned under the lock and called outside it.
    pub(crate) fn reply_to(&self, call: &ExecCall) -> Option<ExecReply> {
        let exact = self.read(|world| world.scripts.get(&call.name)?.exec.get(call.argv()).cloned());
        exact.or_else(|| {
            let handlers = self.read(|world| world.exec_handlers.for_container(&call.name));
            newest_match(&handlers, call.argv()).map(|handler| handler(call))
        })
    }

    /// Returns the script or handler that plays this bridged command, if there is one.
    pub(crate) fn stdio_responder(&self, call: &ExecCall) -> Option<StdioResponder> {
        let exact = self.read(|world| world.scripts.get(&call.name)?.stdio.get(call.argv()).cloned());
        exact.map(StdioResponder::Script).or_else(|| {
            let handlers = self.read(|world| world.stdio_handlers.for_container(&call.name));
            newest_match(&handlers, call.argv()).map(StdioResponder::Handler)
        })
    }
}

/// A script or handler that plays a bridged command.
pub(crate) enum StdioResponder {
    Script(Arc<StdioScript>),
    Handler(Arc<StdioHandler>),
}

pub(crate) type ExecHandler = dyn Fn(&ExecCall) -> ExecReply + Send + Sync;
pub(crate) type StdioHandler =
    dyn Fn(&ExecCall, &mut StdioPeer<'_>) -> std::io::Result<ExitOutcome> + Send + Sync;

/// The state behind the lock.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) containers: BTreeMap<ContainerName, ContainerRecord>,
    pub(crate) scripts: BTreeMap<ContainerName, Scripts>,
    pub(crate) images: Vec<ImageRecord>,
    /// What registries have.
    pub(crate) served: Vec<ServedImage>,
    /// Whether pulling an unknown image is forbidden.
    pub(crate) pulls_forbidden: bool,
    pub(crate) exec_handlers: Handlers<ExecHandler>,
    pub(crate) stdio_handlers: Handlers<StdioHandler>,
    pub(crate) faults: Vec<FaultRule>,
    pub(crate) events: EventLog,
    pub(crate) calls: Calls,
    pub(crate) serials: u64,
    pub(crate) allocated_ports: u16,
}

/// One container.
#[derive(Debug)]
pub(crate) struct ContainerRecord {
    /// Distinguishes it from an earlier container with the same name, and orders listings.
    pub(crate) serial: u64,
    pub(crate) info: ContainerInfo,
    pub(crate) spec: Option<LaunchSpec>,
    /// The ports that it publishes while it runs.
    pub(crate) ports: Vec<PublishedPort>,
    pub(crate) rw_size: u64,
    pub(crate) stats: ContainerStats,
    pub(crate) files: FileSystem,
}

/// The scripts for a container's name, whether or not it exists.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    pub(crate) exec: HashMap<Argv, ExecReply>,
    pub(crate) stdio: HashMap<Argv, Arc<StdioScript>>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) readiness: Option<Readiness>,
    pub(crate) log: Option<Log>,
}

/// Handlers in the order of their registration.
pub(crate) struct Handlers<F: ?Sized>(Vec<(Scope, ArgvPattern, Arc<F>)>);

impl<F: ?Sized> Handlers<F> {
    pub(crate) fn push(&mut self, scope: Scope, pattern: ArgvPattern, handler: Arc<F>) {
        self.0.push((scope, pattern, handler));
    }

    pub(crate) fn forget(&mut self, name: &ContainerName) {
        self.0.retain(|(scope, ..)| !scope.is_for(name));
    }

    fn for_container(&self, name: &ContainerName) -> Vec<(ArgvPattern, Arc<F>)> {
        let meant = self.0.iter().filter(|(scope, ..)| scope.covers(Some(name)));
        meant.map(|(_, pattern, handler)| (pattern.clone(), Arc::clone(handler))).collect()
    }
}

fn newest_match<F: ?Sized>(handlers: &[(ArgvPattern, Arc<F>)], argv: &Argv) -> Option<Arc<F>> {
    handlers.iter().rev().find(|(pattern, _)| pattern.matches(argv)).map(|(_, handler)| Arc::clone(handler))
}

impl<F: ?Sized> Default for Handlers<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: ?Sized> std::fmt::Debug for Handlers<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(scope, pattern, _)| (scope, pattern))).finish()
    }
}

impl World {
    pub(crate) fn scripts_of(&mut self, name: &ContainerName) -> &mut Scripts {
        self.scripts.entry(name.clone()).or_default()
    }

    /// Returns all containers in the order of their creation.
    pub(crate) fn by_age(&self) -> Vec<&ContainerRecord> {
        let mut records: Vec<_> = self.containers.values().collect();
        records.sort_by_key(|record| record.serial);
        records
    }
}
