//! All that a runtime remembers, behind one lock: containers, images, scripts, faults, events, records. What happens to
//! containers stands in `lifecycle`, what a test sets up in `fixture`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use rt_protocol::{
    Argv, Capabilities, ContainerInfo, ContainerName, ExecRequest, ExitOutcome, LaunchSpec, PublishedPort,
    Readiness, RuntimeId, Until,
};

use super::call::{Calls, ExecCall};
use super::event_log::EventLog;
use super::image_record::ImageRecord;
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

    /// Reads the world. No code of the caller may run inside.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        read(&lock(&self.world))
    }

    /// Changes the world and wakes nobody: for records and scripts, which no call waits for.
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

    /// Whether the container that had this serial number no longer runs.
    pub(crate) fn is_gone(&self, name: &ContainerName, serial: u64) -> bool {
        self.read(|world| {
            world
                .containers
                .get(name)
                .is_none_or(|record| record.serial != serial || !record.info.state.is_running())
        })
    }

    /// Records a command that was asked for.
    pub(crate) fn record_exec_call(
        &self,
        name: &ContainerName,
        request: &ExecRequest,
        bridged: bool,
    ) -> ExecCall {
        let time = self.clock.now();
        self.update_quietly(|world| {
            let order = world.calls.next_order();
            let call = ExecCall { order, time, name: name.clone(), request: request.clone() };
            let list = if bridged { &mut world.calls.stdio } else { &mut world.calls.exec };
            list.push(call.clone());
            call
        })
    }

    /// What this command is to answer when its output is captured, if that was scripted. Patterns and handlers are code of
    /// the caller: they are taken out under the lock and called outside.
    pub(crate) fn reply_to(&self, call: &ExecCall) -> Option<ExecReply> {
        let exact = self.read(|world| world.scripts.get(&call.name)?.exec.get(call.argv()).cloned());
        exact.or_else(|| {
            let handlers = self.read(|world| world.exec_handlers.for_container(&call.name));
            newest_match(&handlers, call.argv()).map(|handler| handler(call))
        })
    }

    /// What takes this bridged command's part, if that was scripted.
    pub(crate) fn stdio_responder(&self, call: &ExecCall) -> Option<StdioResponder> {
        let exact = self.read(|world| world.scripts.get(&call.name)?.stdio.get(call.argv()).cloned());
        exact.map(StdioResponder::Script).or_else(|| {
            let handlers = self.read(|world| world.stdio_handlers.for_container(&call.name));
            newest_match(&handlers, call.argv()).map(StdioResponder::Handler)
        })
    }
}

/// What takes the part of a bridged command.
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
    /// Whether an image that is not known can be pulled.
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
    /// Tells it from an earlier one of its name, and gives the order of listings.
    pub(crate) serial: u64,
    pub(crate) info: ContainerInfo,
    pub(crate) spec: Option<LaunchSpec>,
    /// The ports it publishes while it runs.
    pub(crate) ports: Vec<PublishedPort>,
    pub(crate) rw_size: u64,
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
}

/// What was set up for the name of a container, whether or not there is one.
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

    /// All containers in the order in which they came to be.
    pub(crate) fn by_age(&self) -> Vec<&ContainerRecord> {
        let mut records: Vec<_> = self.containers.values().collect();
        records.sort_by_key(|record| record.serial);
        records
    }
}
