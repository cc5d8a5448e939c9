//! The processes of one command, as far as `/proc` shows them: which belong to it, which may, and
//! how they are ended.
//!
//! A process belongs to the command if it carries the marker, if its parent belongs, if the exec's
//! own conmon has adopted it, or if it is in a session of the command. The OCI runtime gives each
//! exec its own session, and a process inside cannot join another, so a session that was created by
//! or for the command is the command's. A process without any of these signs cannot be
//! distinguished from what others have started in the container: it is in doubt.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rt_process::ExecMarker;
use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::{KillOutcome, KillReport, Signal, Survivor};

use super::claims::Claims;
use super::conmon::Conmon;
use super::container_signs::ContainerSigns;
use super::signals::{is_same, now, send, stop_tree};
use super::started_exec::StartedExec;
use crate::exec::session::{ExecSession, read_pid};

/// How long processes may take to disappear after KILL. If KILL is still pending, the wait is
/// longer, because a busy machine may give them no CPU time.
const DEATH_LIMIT: Duration = Duration::from_millis(800);

/// The processes of one command.
pub(crate) struct Family<'a> {
    exec: &'a StartedExec<'a>,
    claims: &'a Claims,
    signs: ContainerSigns,
    /// podman's record of the exec, once it is known.
    session: Option<ExecSession>,
    /// The exec's own conmon.
    conmon: Option<ProcessEntry>,
    /// The supervisor of a command that goes by an agent, if it is there: the parent of every
    /// orphan of the command.
    supervisor: Option<ProcessEntry>,
    /// The agent, which adopts the command's processes if its supervisor is killed.
    agent: Option<u32>,
    /// The container's first process.
    init: Option<ProcessEntry>,
    /// Whether any process of the container, or its conmon, was seen: then this process can see
    /// them.
    saw_container: bool,
    /// Sessions that contain only the command's processes.
    sessions: HashSet<u32>,
    /// Sessions of no particular command: of this process, of conmons, of the container's first
    /// process.
    common_sessions: HashSet<u32>,
    /// Sessions of other execs in the container, as far as their first processes were seen.
    other_sessions: HashSet<u32>,
    /// Conmons by pid and start time: the command line of a process is read once.
    conmons: HashMap<(u32, u64), Conmon>,
    /// All processes that were ever seen to belong.
    members: Vec<ProcessEntry>,
    /// Processes that may belong without a sign, from the last look.
    doubtful: Vec<ProcessEntry>,
}

impl<'a> Family<'a> {
    pub(crate) fn new(exec: &'a StartedExec<'a>, claims: &'a Claims) -> std::io::Result<Self> {
        let own = procfs::entry(std::process::id())?;
        let mut family = Self {
            exec,
            claims,
            signs: ContainerSigns::new(exec.target.id.clone()),
            session: None,
            conmon: None,
            supervisor: None,
            agent: None,
            init: None,
            saw_container: false,
            sessions: HashSet::new(),
            common_sessions: own.map(|own| own.session).into_iter().chain([0]).collect(),
            other_sessions: HashSet::new(),
            conmons: HashMap::new(),
            members: Vec::new(),
            doubtful: Vec::new(),
        };
        match exec.target.first_process() {
            Some(init) => family.meet_init(init.clone()),
            None => family.find_init(&procfs::snapshot()?),
        }
        Ok(family)
    }

    /// The family of a command that goes by an agent. The supervisor must no longer be needed.
    pub(crate) fn with_agent(mut self, supervisor: Option<ProcessEntry>, agent: Option<u32>) -> Self {
        self.common_sessions.extend(supervisor.as_ref().map(|supervisor| supervisor.session));
        (self.supervisor, self.agent) = (supervisor, agent);
        self
    }

    pub(crate) fn session(&self) -> Option<&ExecSession> {
        self.session.as_ref()
    }

    pub(crate) fn set_session(&mut self, session: ExecSession) {
        self.session = Some(session);
    }

    pub(crate) fn conmon(&self) -> Option<&ProcessEntry> {
        self.conmon.as_ref().filter(|conmon| now(conmon).is_some())
    }

    /// Returns whether any process of the container was seen: then a process that is not seen does
    /// not exist.
    pub(crate) fn has_seen_container(&self) -> bool {
        self.saw_container || self.conmon.is_some() || !self.members.is_empty()
    }

    /// Returns whether any of the command's processes was ever seen.
    pub(crate) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Finds the container's first process by its conmon.
    fn find_init(&mut self, entries: &[ProcessEntry]) {
        let id = self.signs.id().to_owned();
        for entry in entries.iter().filter(|entry| !entry.is_zombie && entry.name.starts_with("conmon")) {
            let Some(conmon) = self.conmon_of(entry) else { continue };
            if conmon.container != id || !conmon.is_of_main_process() {
                continue;
            }
            self.saw_container = true;
            self.common_sessions.insert(entry.session);
            self.signs.learn_outside(entry.pid);
            let first = conmon.pid_file.as_deref().and_then(read_pid);
            let first = entries.iter().find(|child| Some(child.pid) == first && child.parent == entry.pid);
            if let Some(first) = first.filter(|first| !first.is_zombie) {
                self.meet_init(first.clone());
            }
        }
    }

    fn meet_init(&mut self, init: ProcessEntry) {
        self.saw_container = true;
        self.signs.learn_inside(init.pid);
        self.common_sessions.insert(init.session);
        self.init = Some(init);
    }

    /// Returns what the process monitors, if it is a conmon.
    fn conmon_of(&mut self, entry: &ProcessEntry) -> Option<Conmon> {
        let key = (entry.pid, entry.start_time);
        if let Some(known) = self.conmons.get(&key) {
            return Some(known.clone());
        }
        let found = Conmon::of(entry.pid)?;
        self.conmons.insert(key, found.clone());
        Some(found)
    }

    /// Adopts the process that podman's record names as the command's first. If its number has been
    /// reused since the record was written, only markers and descent count.
    pub(crate) fn follow(&mut self, leader: ProcessEntry) -> bool {
        let is_child_of_conmon = self.conmon.as_ref().is_some_and(|conmon| conmon.pid == leader.parent);
        let is_ours = self.is_marked(&leader)
            || leader.start_time >= self.exec.began
                && (is_child_of_conmon || self.signs.are_shown_by(&leader));
        if is_ours {
            self.signs.learn_inside(leader.pid);
            self.adopt(leader);
        }
        is_ours
    }

    /// Counts a process among the command's, and so its descendants.
    pub(crate) fn adopt(&mut self, member: ProcessEntry) {
        if self.is_member(&member) {
            return;
        }
        self.claims.add(&member);
        if !self.common_sessions.contains(&member.session) {
            self.sessions.insert(member.session);
        }
        self.members.push(member);
    }

    fn is_marked(&self, entry: &ProcessEntry) -> bool {
        let value = self.exec.marker.value();
        matches!(procfs::environment_has(entry.pid, ExecMarker::NAME, value), Ok(Some(true)))
    }

    /// Sends a signal to the process group of the command's first process. Returns false if that
    /// has not begun, or was not seen.
    pub(crate) fn signal_group(&self, signal: Signal) -> std::io::Result<bool> {
        let Some(first) = self.first()? else { return Ok(false) };
        for member in self.living().iter().filter(|member| member.group == first.group) {
            procfs::signal(member, signal)?;
        }
        Ok(true)
    }

    /// Returns the command's first process, if it has begun and was seen.
    pub(crate) fn first(&self) -> std::io::Result<Option<ProcessEntry>> {
        let living = self.living();
        let parents = || living.iter().map(|member| member.pid);
        // Nobody of the command has started it. Orphans can have such a parent too, but are
        // younger.
        let is_first = |member: &&ProcessEntry| parents().all(|pid| pid != member.parent);
        let first = living.iter().filter(is_first).min_by_key(|member| (member.start_time, member.pid));
        let first = first.filter(|first| !self.common_sessions.contains(&first.session));
        let (Some(first), Some(conmon)) = (first, self.conmon()) else { return Ok(None) };
        // Once the command runs, the OCI runtime exits and leaves it to conmon. If it is ended
        // before that, the runtime says that it could not be started.
        let is_child = |entry: &ProcessEntry| entry.parent == conmon.pid && !entry.is_zombie;
        let is_alone =
            procfs::snapshot()?.iter().filter(|entry| is_child(entry)).all(|child| is_same(child, first));
        let own_namespace = procfs::pid_namespace(std::process::id())?;
        let is_command = self.is_marked(first) || procfs::pid_namespace(first.pid)? != own_namespace;
        let has_begun = is_child(first) && is_alone && is_command;
        Ok(has_begun.then(|| first.clone()))
    }

    /// Sends TERM to every process, later ones included. After the grace period it kills every
    /// process, and waits for killed ones until `limit`. The command's output still moves in
    /// `pause`. Both signals go to frozen processes, so that none forks between the look and the
    /// signal.
    pub(crate) fn end(
        &mut self,
        grace: Duration,
        pause: &mut dyn FnMut(),
        limit: Duration,
    ) -> std::io::Result<()> {
        // It stays to the end: what it adopts is the command's, and nobody else's.
        self.supervisor.iter().for_each(|supervisor| send(supervisor, &[Signal::STOP]));
        let begun = Instant::now();
        let mut told: Vec<ProcessEntry> = Vec::new();
        while self.look()? && begun.elapsed() < grace {
            // Frozen first: a process that forks between the look and its TERM would leave an
            // unknown orphan.
            for member in self.freeze(&told)? {
                send(&member, &[Signal::TERM, Signal::CONT]);
                told.push(member);
            }
            pause();
        }
        let begun = Instant::now();
        while self.look()? {
            let members = self.freeze(&[])?;
            for member in &members {
                send(member, &[Signal::KILL]);
            }
            if begun.elapsed() > DEATH_LIMIT && (begun.elapsed() > limit || !members.iter().any(is_dying)) {
                break;
            }
            pause();
        }
        match self.supervisor.clone() {
            Some(supervisor) if now(&supervisor).is_some() => {
                // Whatever is not below it is not the command's.
                self.doubtful.clear();
                send(&supervisor, &[Signal::KILL]);
                Ok(())
            }
            _ => self.settle_doubts(pause, limit.saturating_sub(begun.elapsed())),
        }
    }

    /// An OCI runtime on its way into the container looks like a process in doubt, for a moment. So
    /// does a process that is being killed, until the machine lets it end: it shows no origin any
    /// more. Such a one is waited for until `limit`.
    fn settle_doubts(&mut self, pause: &mut dyn FnMut(), limit: Duration) -> std::io::Result<()> {
        const LOOKS: usize = 4;
        let begun = Instant::now();
        for looks in 0.. {
            // With the processes of a container that was restarted meanwhile.
            if self.exec.target.has_ended_whole() {
                self.doubtful.clear();
            }
            let is_over = looks >= LOOKS && (begun.elapsed() > limit || !self.doubtful.iter().any(is_dying));
            if self.doubtful.is_empty() || is_over {
                break;
            }
            let before = self.doubtful.clone();
            pause();
            self.look()?;
            self.doubtful.retain(|entry| before.iter().any(|known| is_same(known, entry)));
        }
        Ok(())
    }

    /// Stops every process except `spared` until a look finds no new one. From then on, none of
    /// them has an unseen child. The kernel restarts a fork that a signal interrupts
    /// (`copy_process`).
    fn freeze(&mut self, spared: &[ProcessEntry]) -> std::io::Result<Vec<ProcessEntry>> {
        let mut frozen: Vec<ProcessEntry> = Vec::new();
        loop {
            let living = self.living().into_iter();
            let new: Vec<_> =
                living.filter(|member| !frozen.contains(member) && !spared.contains(member)).collect();
            if new.is_empty() {
                return Ok(frozen);
            }
            for member in new {
                send(&member, &[Signal::STOP]);
                frozen.push(member);
            }
            self.look()?;
        }
    }

    /// Ends a start that does not complete: the conmon of the exec, and the OCI runtime below it.
    /// Returns false, and ends nothing, if the command has started in the meantime.
    pub(crate) fn abort_start(&mut self) -> std::io::Result<bool> {
        let Some(conmon) = self.conmon.clone() else { return Ok(true) };
        let frozen = stop_tree(&conmon)?;
        let has_begun = frozen.iter().any(|entry| self.is_marked(entry))
            || self.session.as_ref().and_then(ExecSession::pid).is_some();
        for entry in &frozen {
            send(entry, if has_begun { &[Signal::CONT] } else { &[Signal::KILL] });
        }
        Ok(!has_begun)
    }

    /// Looks at the machine's processes. Returns whether a member is alive.
    pub(crate) fn look(&mut self) -> std::io::Result<bool> {
        let entries = procfs::snapshot()?;
        // No process of the command is older than the client.
        let young: Vec<&ProcessEntry> = entries
            .iter()
            .filter(|entry| !entry.is_zombie && entry.start_time >= self.exec.began && !self.is_client(entry))
            .collect();
        self.find_conmon(&young);
        let mut others: HashSet<u32> = HashSet::new();
        for entry in &young {
            let Ok(Some(value)) = procfs::environment_value(entry.pid, ExecMarker::NAME) else { continue };
            if value != self.exec.marker.value() {
                // The command of another call.
                others.insert(entry.pid);
            } else if !self.is_member(entry) {
                if !self.signs.has_namespace() {
                    self.signs.learn_inside(entry.pid);
                }
                self.adopt((*entry).clone());
            }
        }
        loop {
            let new: Vec<ProcessEntry> = young
                .iter()
                .filter(|entry| !self.is_member(entry) && self.belongs(entry, &young, &others))
                .map(|entry| (*entry).clone())
                .collect();
            if new.is_empty() {
                break;
            }
            for member in new {
                self.adopt(member);
            }
        }
        self.doubtful = self.find_doubtful(&young, &entries, &others);
        Ok(young.iter().any(|entry| self.is_member(entry)))
    }

    fn is_client(&self, entry: &ProcessEntry) -> bool {
        self.exec.client.as_ref().is_some_and(|client| is_same(client, entry))
    }

    /// Finds the conmon of the exec: it names the session, or its session's process carries the
    /// marker.
    fn find_conmon(&mut self, young: &[&ProcessEntry]) {
        // The first one with that name starts the one that stays, and exits.
        if self.conmon().is_some() {
            return;
        }
        for entry in young {
            let Some(conmon) = self.conmon_of(entry) else { continue };
            let session = ExecSession::at(&conmon.directory);
            let is_ours = match &self.session {
                Some(known) => known.id() == Some(&conmon.session),
                None => !conmon.is_of_main_process() && session.carries(&self.exec.marker) == Some(true),
            };
            if !is_ours {
                continue;
            }
            self.signs.learn_outside(entry.pid);
            self.common_sessions.insert(entry.session);
            self.session.get_or_insert(session);
            self.conmon = Some((*entry).clone());
            return;
        }
    }

    fn is_supervisor(&self, entry: &ProcessEntry) -> bool {
        self.supervisor.as_ref().is_some_and(|supervisor| is_same(supervisor, entry))
    }

    fn is_member(&self, entry: &ProcessEntry) -> bool {
        self.members.iter().any(|member| is_same(member, entry))
    }

    fn belongs(&mut self, entry: &ProcessEntry, young: &[&ProcessEntry], others: &HashSet<u32>) -> bool {
        if young.iter().any(|parent| {
            parent.pid == entry.parent && (self.is_member(parent) || self.is_supervisor(parent))
        }) {
            return true;
        }
        let is_near = self.sessions.contains(&entry.session)
            || self.conmon.as_ref().is_some_and(|conmon| conmon.pid == entry.parent);
        is_near && !others.contains(&entry.pid) && self.signs.are_shown_by(entry)
    }

    /// Finds processes that started no earlier than the command, are in the container, and have no
    /// parent there that shows their owner. Such a process may be a child of the command without
    /// any sign.
    fn find_doubtful(
        &mut self,
        young: &[&ProcessEntry],
        entries: &[ProcessEntry],
        others: &HashSet<u32>,
    ) -> Vec<ProcessEntry> {
        let mut doubtful = Vec::new();
        for entry in young {
            if self.is_member(entry) || !self.signs.are_shown_by(entry) {
                continue;
            }
            self.saw_container = true;
            let parent = entries.iter().find(|parent| parent.pid == entry.parent);
            let is_inside = parent.is_some_and(|parent| self.signs.are_shown_by(parent));
            if !is_inside && parent.is_some_and(|parent| self.is_of_other_exec(parent, entries)) {
                self.other_sessions.insert(entry.session);
                continue;
            }
            let is_orphan = !is_inside
                || self.is_adopted_by_agent(entry)
                || matches!(procfs::is_namespace_init(entry.parent), Ok(Some(true)));
            let is_of_init = self.init.as_ref().is_some_and(|init| init.session == entry.session);
            if is_orphan && !is_of_init && !others.contains(&entry.pid) && !self.claims.has(entry) {
                doubtful.push((*entry).clone());
            }
        }
        // Another command may be older than this one, and its children younger.
        let sessions: HashSet<u32> = doubtful.iter().map(|entry| entry.session).collect();
        for entry in entries.iter().filter(|entry| sessions.contains(&entry.session)) {
            let parent = entries.iter().find(|parent| parent.pid == entry.parent);
            if !self.is_member(entry)
                && parent.is_some_and(|parent| {
                    !self.signs.are_shown_by(parent) && self.is_of_other_exec(parent, entries)
                })
            {
                self.other_sessions.insert(entry.session);
            }
        }
        doubtful.retain(|entry| !self.other_sessions.contains(&entry.session));
        // What they have started is as doubtful.
        while let Some(child) = young.iter().find(|entry| {
            doubtful.iter().any(|parent| parent.pid == entry.parent)
                && !doubtful.contains(entry)
                && !self.is_member(entry)
                && !others.contains(&entry.pid)
        }) {
            doubtful.push((*child).clone());
        }
        doubtful
    }

    /// Returns whether the agent is the parent of a process that is no supervisor.
    fn is_adopted_by_agent(&self, entry: &ProcessEntry) -> bool {
        let program =
            |pid| fs::metadata(format!("/proc/{pid}/exe")).map(|file| (file.dev(), file.ino())).ok();
        Some(entry.parent) == self.agent && program(entry.pid) != program(entry.parent)
    }

    /// Returns whether a process outside the container leads to the conmon of another exec in it,
    /// or to the container's own conmon, directly or through a running OCI runtime.
    fn is_of_other_exec(&mut self, outside: &ProcessEntry, entries: &[ProcessEntry]) -> bool {
        const STEPS: usize = 4;
        let mut next = Some(outside);
        for _ in 0..STEPS {
            let Some(entry) = next else { return false };
            if let Some(conmon) = self.conmon_of(entry) {
                let own = self.session.as_ref().and_then(ExecSession::id);
                return self.signs.id() == conmon.container && own != Some(&conmon.session);
            }
            next = entries.iter().find(|parent| parent.pid == entry.parent);
        }
        false
    }

    fn living(&self) -> Vec<ProcessEntry> {
        self.members.iter().filter(|member| now(member).is_some()).cloned().collect()
    }

    /// Reports the command's fate, as far as its processes show it; `Gone` if nothing is left.
    pub(crate) fn report(&self) -> KillReport {
        let alive = self.living();
        let outcome = if !alive.is_empty() {
            KillOutcome::Alive
        } else if self.doubtful.is_empty() {
            KillOutcome::Gone
        } else {
            let names: Vec<_> =
                self.doubtful.iter().map(|entry| format!("{} ({:?})", entry.pid, entry.name)).collect();
            KillOutcome::Unknown(format!(
                "these processes may belong to the command, they hide their origin: {}",
                names.join(", ")
            ))
        };
        let survivors = alive.iter().map(|entry| Survivor::new(entry.pid, entry.name.clone())).collect();
        KillReport::new(outcome, self.members.len() - alive.len(), survivors, Duration::ZERO)
    }
}

fn is_dying(entry: &ProcessEntry) -> bool {
    procfs::is_being_killed(entry.pid).unwrap_or(false)
}

impl Drop for Family<'_> {
    fn drop(&mut self) {
        self.claims.remove(&self.members);
    }
}
