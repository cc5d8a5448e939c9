//! Ending a command from the host: its processes are found by podman's records and `/proc`, and signalled one by one.
//!
//! A process belongs to the command when it is the process that podman's record names, when it shares that process's
//! session (the OCI runtime gives each exec one of its own, and a process inside cannot join another), when it carries
//! the marker, or when its parent belongs. What sheds all of these (`setsid env -i …`, reparented) cannot be told from
//! what the container's own process 1 has started; then the report says so.

use std::path::Path;
use std::time::{Duration, Instant};

use rt_process::census::{self, ProcessEntry, Signal};
use rt_process::{Drive, Process};
use rt_protocol::{Fate, KILL_GRACE, Survivor, Until};

use crate::container::PodmanContainer;
use crate::exec_session::ExecSession;
use crate::exec_witness::{Evidence, ExecWitness};
use rt_process::Marker;

/// What looking from the host came to.
pub(crate) enum Verdict {
    /// The command was looked up, and this became of it.
    Ended(Ended),
    /// The host cannot see the container's processes, for this reason.
    CannotLook(String),
}

/// What became of a command.
pub(crate) struct Ended {
    pub(crate) fate: Fate,
    pub(crate) killed: usize,
    pub(crate) survivors: Vec<Survivor>,
}

impl Ended {
    fn without_processes(fate: Fate) -> Verdict {
        Verdict::Ended(Self { fate, killed: 0, survivors: Vec::new() })
    }
}

/// How long podman may take to describe the container of a command that must end now.
const INSPECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a client may take from its start until its exec session shows.
const SESSION_LIMIT: Duration = Duration::from_millis(400);
/// How long conmon may take from the session until the command runs.
const START_LIMIT: Duration = Duration::from_secs(1);
/// How long killed processes may take to vanish.
const DEATH_LIMIT: Duration = Duration::from_millis(800);
/// From look to look.
const STEP: Duration = Duration::from_millis(15);

/// Finds and ends the command of `process`, the client of an exec that `witness` has seen from its beginning.
pub(crate) fn end(
    container: &PodmanContainer,
    process: &mut Process<'_>,
    marker: &Marker,
    witness: &mut ExecWitness,
) -> Verdict {
    let inspected = match container.inspect_within(INSPECT_LIMIT) {
        Ok(Some(inspected)) => inspected,
        // With the container, everything in it is gone.
        Ok(None) => return Ended::without_processes(Fate::Gone),
        Err(error) => return Verdict::CannotLook(error.to_string()),
    };
    let Some(init) = inspected.pid else {
        return Ended::without_processes(Fate::Gone);
    };
    let Some(static_dir) = inspected.static_dir.as_deref().map(Path::new).filter(|path| path.is_dir()) else {
        return Verdict::CannotLook(String::from(
            "podman keeps its records where this process cannot see them",
        ));
    };
    let leader = match find_leader(static_dir, process, marker) {
        Leader::Found(leader) => Some(leader),
        Leader::Gone => None,
        Leader::NoSession { client_left } => {
            return without_session(witness, process, client_left);
        }
    };
    let mut family = match Family::new(marker, init, process.pid()) {
        Ok(family) => family,
        Err(error) => return Verdict::CannotLook(format!("/proc cannot be read: {error}")),
    };
    if let Some(leader) = leader {
        family.follow(leader);
    }
    family.end(process);
    Verdict::Ended(family.report())
}

enum Leader {
    /// The command's first process.
    Found(ProcessEntry),
    /// It has run, and is no more; children of it may be left.
    Gone,
    /// podman has no session of the command. Whether its client left by itself, or was ended here.
    NoSession { client_left: bool },
}

fn find_leader(static_dir: &Path, process: &mut Process<'_>, marker: &Marker) -> Leader {
    let begun = Instant::now();
    let mut seen = false;
    loop {
        if let Some(session) = ExecSession::find(static_dir, marker) {
            seen = true;
            if let Some(pid) = session.pid() {
                return match census::entry(pid) {
                    Ok(Some(entry)) if !entry.is_zombie => Leader::Found(entry),
                    _ => Leader::Gone,
                };
            }
        } else if seen {
            // Cleaned up between two looks: it is over.
            return Leader::Gone;
        } else if process.has_exited() {
            return Leader::NoSession { client_left: true };
        }
        let limit = if seen { START_LIMIT } else { SESSION_LIMIT };
        if begun.elapsed() >= limit {
            if seen {
                return Leader::Gone;
            }
            // A client that is still on its way is ended first: only then is it certain that it starts nothing later.
            // The record is written before conmon is started, so what a dead client has begun can be seen.
            process.end(Duration::ZERO);
            if ExecSession::find(static_dir, marker).is_none() {
                return Leader::NoSession { client_left: false };
            }
            seen = true;
        }
        pause(process);
    }
}

/// What became of a command that podman has no record of: it never began, or it is over and cleaned up.
fn without_session(witness: &mut ExecWitness, process: &Process<'_>, client_left: bool) -> Verdict {
    witness.look(process);
    let fate = match witness.evidence(process.output_bytes()) {
        // The client is no more, so none will come either.
        Evidence::NoRecord => Fate::NeverStarted,
        Evidence::Returned(_) => Fate::Gone,
        // podman's client leaves by itself only after its command.
        _ if client_left => Fate::Gone,
        _ => Fate::Unknown(String::from(
            "podman has no record of it any more, and what came of it was not seen",
        )),
    };
    Ended::without_processes(fate)
}

/// Lets some time pass in which the client's output goes on moving.
fn pause(process: &mut Process<'_>) {
    let begun = Instant::now();
    if !process.has_exited() {
        // A stream of the caller that fails now changes nothing: the command is being ended already.
        let _: Drive = process.drive(&Until::after(STEP));
    }
    std::thread::sleep(STEP.saturating_sub(begun.elapsed()));
}

fn is_marked(entry: &ProcessEntry, marker: &Marker) -> bool {
    matches!(census::environment_has(entry.pid, Marker::NAME, marker.value()), Ok(Some(true)))
}

/// The processes of one command, as far as they are known.
struct Family<'a> {
    marker: &'a Marker,
    /// The container's process 1.
    init: Option<ProcessEntry>,
    leader: Option<ProcessEntry>,
    /// When the client of the command was started, in clock ticks: nothing of the command is older.
    began: u64,
    /// Everyone who was ever seen to belong.
    members: Vec<ProcessEntry>,
    /// Who may belong and hides it; from the last look.
    doubtful: Vec<ProcessEntry>,
}

impl<'a> Family<'a> {
    fn new(marker: &'a Marker, init: u32, client: u32) -> std::io::Result<Self> {
        let init = census::entry(init)?;
        // The client is unreaped, so its entry is still its own. Were it gone, doubt would be the honest answer.
        let began = census::entry(client)?.map_or(0, |client| client.start_time);
        Ok(Self { marker, init, leader: None, began, members: Vec::new(), doubtful: Vec::new() })
    }

    /// Takes the process that podman's record names for the command's first, unless its number has become a stranger's
    /// since the record was written: then only marks and descent are left to go by.
    fn follow(&mut self, leader: ProcessEntry) {
        if is_marked(&leader, self.marker) || leader.start_time >= self.began && self.is_inside(&leader) {
            self.members.push(leader.clone());
            self.leader = Some(leader);
        }
    }

    /// Whether the process is in the container's pid namespace, and the container has one of its own.
    fn is_inside(&self, entry: &ProcessEntry) -> bool {
        let namespace = |pid| census::pid_namespace(pid).ok().flatten();
        self.init.as_ref().is_some_and(|init| {
            let inside = namespace(init.pid);
            inside.is_some() && inside == namespace(entry.pid) && inside != namespace(std::process::id())
        })
    }

    /// TERM to everyone, also to those who come later; after the grace period everyone is frozen, so that nobody forks
    /// away from under the look, and killed.
    fn end(&mut self, process: &mut Process<'_>) {
        let begun = Instant::now();
        let mut told: Vec<ProcessEntry> = Vec::new();
        while self.look() && begun.elapsed() < KILL_GRACE {
            for member in self.living() {
                if !told.contains(&member) {
                    // CONT, because a stopped process would sleep through its TERM.
                    send(&member, &[Signal::Term, Signal::Cont]);
                    told.push(member);
                }
            }
            pause(process);
        }
        let begun = Instant::now();
        while self.look() && begun.elapsed() < DEATH_LIMIT {
            self.freeze();
            for member in self.living() {
                send(&member, &[Signal::Kill]);
            }
            pause(process);
        }
    }

    fn freeze(&mut self) {
        let mut frozen: Vec<ProcessEntry> = Vec::new();
        loop {
            let new: Vec<_> = self.living().into_iter().filter(|member| !frozen.contains(member)).collect();
            if new.is_empty() {
                return;
            }
            for member in new {
                send(&member, &[Signal::Stop]);
                frozen.push(member);
            }
            self.look();
        }
    }

    /// Looks at the machine's processes; whether a member is alive.
    fn look(&mut self) -> bool {
        let Ok(entries) = census::snapshot() else {
            return false;
        };
        loop {
            let new: Vec<_> = entries
                .iter()
                .filter(|entry| !entry.is_zombie && !self.is_member(entry) && self.belongs(entry, &entries))
                .cloned()
                .collect();
            if new.is_empty() {
                break;
            }
            self.members.extend(new);
        }
        self.doubtful = entries.iter().filter(|entry| self.is_doubtful(entry, &entries)).cloned().collect();
        entries.iter().any(|entry| !entry.is_zombie && self.is_member(entry))
    }

    fn is_member(&self, entry: &ProcessEntry) -> bool {
        self.members.iter().any(|member| is_same(member, entry))
    }

    fn belongs(&self, entry: &ProcessEntry, entries: &[ProcessEntry]) -> bool {
        let shares_session = self.leader.as_ref().is_some_and(|leader| {
            leader.session == entry.session
                && self.init.as_ref().is_some_and(|init| init.session != leader.session)
                && self.is_inside(entry)
        });
        let parent_belongs =
            || entries.iter().any(|parent| parent.pid == entry.parent && self.is_member(parent));
        shares_session || parent_belongs() || is_marked(entry, self.marker)
    }

    /// Whether the process began no earlier than the command, was adopted by process 1, and left process 1's session:
    /// then it may be a child of the command that shed every sign of it.
    fn is_doubtful(&self, entry: &ProcessEntry, entries: &[ProcessEntry]) -> bool {
        let Some(init) = &self.init else {
            return false;
        };
        let leads_other_exec = || {
            entries.iter().any(|other| {
                other.session == entry.session
                    && other.parent != init.pid
                    && census::pid_namespace(other.parent).ok() != census::pid_namespace(init.pid).ok()
            })
        };
        entry.parent == init.pid
            && !entry.is_zombie
            && entry.start_time >= self.began
            && entry.session != init.session
            && !self.is_member(entry)
            && !leads_other_exec()
    }

    fn living(&self) -> Vec<ProcessEntry> {
        self.members
            .iter()
            .filter(|member| {
                matches!(census::entry(member.pid), Ok(Some(now)) if is_same(member, &now) && !now.is_zombie)
            })
            .cloned()
            .collect()
    }

    fn report(&self) -> Ended {
        let alive = self.living();
        let fate = if !alive.is_empty() {
            Fate::Alive
        } else if self.doubtful.is_empty() {
            Fate::Gone
        } else {
            let names: Vec<_> =
                self.doubtful.iter().map(|entry| format!("{} ({:?})", entry.pid, entry.name)).collect();
            Fate::Unknown(format!(
                "these processes may belong to the command, they hide their origin: {}",
                names.join(", ")
            ))
        };
        let survivors = alive.iter().map(|entry| Survivor::new(entry.pid, entry.name.clone())).collect();
        Ended { fate, killed: self.members.len() - alive.len(), survivors }
    }
}

fn is_same(one: &ProcessEntry, other: &ProcessEntry) -> bool {
    one.pid == other.pid && one.start_time == other.start_time
}

/// A process that is gone or that may not be signalled shows in the next look.
fn send(entry: &ProcessEntry, signals: &[Signal]) {
    for signal in signals {
        if let Err(error) = census::signal(entry, *signal) {
            tracing::debug!(pid = entry.pid, %error, "a process of the command could not be signalled");
        }
    }
}
