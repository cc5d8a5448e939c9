//! The processes of one command, as far as `/proc` shows them: who belongs, who may, and ending them.
//!
//! A process belongs to the command when it carries the marker, when its parent belongs, when it is in a session that one of
//! the command's processes began or was begun for it (the OCI runtime gives each exec a session of its own, and a process
//! inside cannot join another), or when the exec's own conmon has adopted it. What sheds all of these cannot be told from
//! what others have started in the container: it is in doubt.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rt_process::procfs::{self, ProcessEntry, Signal};
use rt_process::{ExecMarker, Process};
use rt_protocol::{KILL_GRACE, KillOutcome, KillReport, Survivor};

use super::claims::Claims;
use super::conmon::Conmon;
use super::container_signs::ContainerSigns;
use super::pause::pause;
use super::signals::{is_same, now, send, stop_tree};
use super::started_exec::StartedExec;
use crate::exec::session::{ExecSession, read_pid};

/// How long processes may take to vanish after KILL. Where it is pending, they are waited for longer: on a busy machine they
/// are given no time to end.
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
    /// The container's first process.
    init: Option<ProcessEntry>,
    /// Whether any process of the container or conmon of it was seen: then this process can see them.
    saw_container: bool,
    /// Sessions that only the command's processes are in.
    sessions: HashSet<u32>,
    /// Sessions of nobody's in particular: of this process, of conmons, of the container's first process.
    common_sessions: HashSet<u32>,
    /// Sessions of other execs in the container, as far as their first processes were seen.
    other_sessions: HashSet<u32>,
    /// Conmons by pid and start: the command line of a process is looked at once.
    conmons: HashMap<(u32, u64), Conmon>,
    /// Everyone who was ever seen to belong.
    members: Vec<ProcessEntry>,
    /// Who may belong and hides it; from the last look.
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

    pub(crate) fn session(&self) -> Option<&ExecSession> {
        self.session.as_ref()
    }

    pub(crate) fn set_session(&mut self, session: ExecSession) {
        self.session = Some(session);
    }

    pub(crate) fn conmon(&self) -> Option<&ProcessEntry> {
        self.conmon.as_ref().filter(|conmon| now(conmon).is_some())
    }

    /// Whether anything was seen that is the container's: then what is not seen is not there.
    pub(crate) fn has_seen_container(&self) -> bool {
        self.saw_container || self.conmon.is_some() || !self.members.is_empty()
    }

    /// Whether any of the command's processes was ever seen.
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

    /// What the process watches over, if it is a conmon.
    fn conmon_of(&mut self, entry: &ProcessEntry) -> Option<Conmon> {
        let key = (entry.pid, entry.start_time);
        if let Some(known) = self.conmons.get(&key) {
            return Some(known.clone());
        }
        let found = Conmon::of(entry.pid)?;
        self.conmons.insert(key, found.clone());
        Some(found)
    }

    /// Takes the process that podman's record names for the command's first, unless its number has become a stranger's
    /// since the record was written: then only marks and descent are left to go by.
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

    fn adopt(&mut self, member: ProcessEntry) {
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

    /// TERM to everyone, also to those who come later; after the grace period everyone is killed, and who is being killed is
    /// waited for until `limit`. Both meet processes that are frozen, so that nobody forks away from under the look.
    pub(crate) fn end(&mut self, process: &mut Process<'_>, limit: Duration) -> std::io::Result<()> {
        let begun = Instant::now();
        let mut told: Vec<ProcessEntry> = Vec::new();
        while self.look()? && begun.elapsed() < KILL_GRACE {
            // Frozen first: a process that forks between the look and its TERM would leave an orphan that nobody knows.
            for member in self.freeze(&told)? {
                send(&member, &[Signal::Term, Signal::Cont]);
                told.push(member);
            }
            pause(process);
        }
        let begun = Instant::now();
        while self.look()? {
            let members = self.freeze(&[])?;
            for member in &members {
                send(member, &[Signal::Kill]);
            }
            let is_dying = |member: &ProcessEntry| procfs::is_being_killed(member.pid).unwrap_or(false);
            if begun.elapsed() > DEATH_LIMIT && (begun.elapsed() > limit || !members.iter().any(is_dying)) {
                break;
            }
            pause(process);
        }
        self.settle_doubts(process)
    }

    /// An OCI runtime on its way into the container looks like one who hides, for a moment.
    fn settle_doubts(&mut self, process: &mut Process<'_>) -> std::io::Result<()> {
        const LOOKS: usize = 4;
        for _ in 0..LOOKS {
            if self.doubtful.is_empty() {
                break;
            }
            let before = self.doubtful.clone();
            pause(process);
            self.look()?;
            self.doubtful.retain(|entry| before.iter().any(|known| is_same(known, entry)));
        }
        Ok(())
    }

    /// Stops everyone but `spared`, until a look finds nobody new: from then on none of them has a child that was not seen.
    /// A fork that a signal meets on its way is given up and begun again (`copy_process` of the kernel).
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
                send(&member, &[Signal::Stop]);
                frozen.push(member);
            }
            self.look()?;
        }
    }

    /// Ends a start that does not come to its end: the conmon of the exec, and the OCI runtime below it. False, and nothing is
    /// ended, when the command has begun in the meantime.
    pub(crate) fn abort_start(&mut self) -> std::io::Result<bool> {
        let Some(conmon) = self.conmon.clone() else { return Ok(true) };
        let frozen = stop_tree(&conmon)?;
        let has_begun = frozen.iter().any(|entry| self.is_marked(entry))
            || self.session.as_ref().and_then(ExecSession::pid).is_some();
        for entry in &frozen {
            send(entry, if has_begun { &[Signal::Cont] } else { &[Signal::Kill] });
        }
        Ok(!has_begun)
    }

    /// Looks at the machine's processes; whether a member is alive.
    pub(crate) fn look(&mut self) -> std::io::Result<bool> {
        let entries = procfs::snapshot()?;
        // Nothing of the command is older than the client that has asked for it.
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

    /// The conmon of the exec: it names the session, or its session's process carries the marker.
    fn find_conmon(&mut self, young: &[&ProcessEntry]) {
        // The first of that name starts the one that stays, and leaves.
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

    fn is_member(&self, entry: &ProcessEntry) -> bool {
        self.members.iter().any(|member| is_same(member, entry))
    }

    fn belongs(&mut self, entry: &ProcessEntry, young: &[&ProcessEntry], others: &HashSet<u32>) -> bool {
        if young.iter().any(|parent| parent.pid == entry.parent && self.is_member(parent)) {
            return true;
        }
        let is_near = self.sessions.contains(&entry.session)
            || self.conmon.as_ref().is_some_and(|conmon| conmon.pid == entry.parent);
        is_near && !others.contains(&entry.pid) && self.signs.are_shown_by(entry)
    }

    /// Who began no earlier than the command, is in the container, and has no parent there that could tell whose it is: then
    /// it may be a child of the command that shed every sign of it.
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
            let is_orphan = !is_inside || matches!(procfs::is_namespace_init(entry.parent), Ok(Some(true)));
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
        doubtful
    }

    /// Whether a process outside of the container leads to the conmon of another exec in it or to the container's own: by way
    /// of an OCI runtime, while that is at work.
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

    /// What became of the command, as far as its processes tell; `Gone` when nothing is left.
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

impl Drop for Family<'_> {
    fn drop(&mut self) {
        self.claims.remove(&self.members);
    }
}
