//! A case: one fact, what it needs, and how it is found out. The facts themselves stand in [`crate::cases`].

use std::fmt;
use std::sync::OnceLock;

use rt_protocol::{Capabilities, Capability};

use crate::{Lab, Verdict, groups};

/// One fact that holds for every backend that can do what the case needs.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    group: Group,
    capabilities: Capabilities,
    needs: &'static [Need],
    core: bool,
    unstarted: bool,
    run: fn(&Lab<'_>) -> Verdict,
}

impl Case {
    pub(crate) const fn new(name: &'static str, group: Group, run: fn(&Lab<'_>) -> Verdict) -> Self {
        Self {
            name,
            group,
            capabilities: Capabilities::none(),
            needs: &[],
            core: false,
            unstarted: false,
            run,
        }
    }

    /// The backend must be able to do all of this.
    pub(crate) const fn can(mut self, capabilities: &[Capability]) -> Self {
        let mut place = 0;
        while place < capabilities.len() {
            self.capabilities = self.capabilities.with(capabilities[place]);
            place += 1;
        }
        self
    }

    /// The fixture must offer all of this.
    pub(crate) const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// It belongs to the list for guests that can only exec.
    pub(crate) const fn core(mut self) -> Self {
        self.core = true;
        self
    }

    /// Its commands cannot be started, and that is what it is about.
    pub(crate) const fn unstarted(mut self) -> Self {
        self.unstarted = true;
        self
    }

    /// The fact, with its group before the colon: `exec: a non-zero exit is data`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Which part of the contract it is about.
    pub const fn group(&self) -> Group {
        self.group
    }

    /// What the backend must be able to do.
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// What the fixture must offer.
    pub const fn fixture_needs(&self) -> &'static [Need] {
        self.needs
    }

    /// Whether it is one of [`core()`].
    pub const fn is_core(&self) -> bool {
        self.core
    }

    pub(crate) const fn is_unstarted(&self) -> bool {
        self.unstarted
    }

    pub(crate) fn call(&self, lab: &Lab<'_>) -> Verdict {
        (self.run)(lab)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All cases, group by group.
pub fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| groups::ALL.concat())
}

/// The cases for a guest that can only exec, such as a sealed virtual machine.
pub fn core() -> impl Iterator<Item = &'static Case> {
    cases().iter().filter(|case| case.is_core())
}

/// The case of this name.
pub fn find(name: &str) -> Option<&'static Case> {
    cases().iter().find(|case| case.name() == name)
}

macro_rules! group {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A part of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Group {
            $($(#[$doc])* $name,)*
        }

        impl Group {
            /// All of them, in the order of a report.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word before the colon of a case's name.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

group! {
    /// What makes handles equal, and what tells runtimes apart.
    Identity = "identity",
    /// Start, stop, wait, and what is read back.
    Lifecycle = "lifecycle",
    /// What a launch may ask for.
    Launch = "launch",
    /// Commands whose output is captured.
    Exec = "exec",
    /// Environment, workdir and user of a command.
    Settings = "settings",
    /// What a command finds around itself: its stdin, its variables, its limits.
    Surroundings = "surroundings",
    /// Commands whose streams are bridged.
    Stdio = "stdio",
    /// Deaths by signal, and commands whose container goes away.
    Signals = "signals",
    /// Deadlines, cancels and kill reports.
    Timeouts = "timeouts",
    /// Output limits.
    Limits = "limits",
    /// Logs.
    Logs = "logs",
    /// Watching a log for a sign.
    Readiness = "readiness",
    /// Copies in and out.
    Copy = "copy",
    /// Images.
    Images = "images",
    /// Port reservations.
    Ports = "ports",
    /// Listings and removals of many.
    Bulk = "bulk",
    /// Events.
    Events = "events",
    /// Errors and what they say.
    Errors = "errors",
    /// Odd uses that must not do harm.
    Misuse = "misuse",
    /// `capabilities()` and the answers agree.
    Claims = "claims",
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a case needs of the fixture, beyond the capabilities of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Need {
    /// Commands mean what a POSIX shell makes of them.
    Shell,
    /// Commands see the files that were copied, mounted or written before.
    Files,
    /// A directory that nobody made is missing.
    Directories,
    /// The main process of a new container does what its command says: its log, its exit code, its way with TERM.
    MainProcess,
    /// Commands write while they run; their output is never built as a whole first.
    Streaming,
    /// A command can count the processes of its guest.
    Processes,
    /// Commands are programs of a system, and see what it gives them: descriptors, signals, limits.
    System,
    /// A launch that must fail at its start does: an unknown command.
    LaunchFailures,
    /// Commands take over what the launch said of the main process: workdir, user.
    LaunchSettings,
    /// Commands get in without a network of the container.
    Offline,
    /// A command's user may be given a group of the request's choice.
    Groups,
    /// [`Fixture::broken`](crate::Fixture::broken) has a runtime whose engine cannot be asked.
    BrokenEngine,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shell => "commands with a shell's meaning",
            Self::Files => "files that commands can see",
            Self::Directories => "directories that can be missing",
            Self::MainProcess => "main processes that run",
            Self::Streaming => "output that is streamed",
            Self::Processes => "processes that can be counted",
            Self::System => "programs of a system",
            Self::LaunchFailures => "launches that can fail",
            Self::LaunchSettings => "commands that inherit from the launch",
            Self::Offline => "commands without a network",
            Self::Groups => "users in any group",
            Self::BrokenEngine => "a runtime whose engine cannot be asked",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_facts_of_their_group_and_unique() {
        let mut seen = BTreeSet::new();
        for case in cases() {
            let (group, fact) = case.name().split_once(": ").unwrap();
            assert_eq!(group, case.group().word(), "{}", case.name());
            assert!(fact.contains(' ') && !fact.ends_with('.'), "{}", case.name());
            assert!(seen.insert(case.name()), "{} is there twice", case.name());
        }
        assert!(seen.len() >= 120, "{}", seen.len());
    }

    #[test]
    fn every_group_has_cases_and_the_core_needs_no_new_container() {
        for group in Group::ALL {
            assert!(cases().iter().any(|case| case.group() == *group), "{group}");
        }
        assert!(core().count() >= 30, "{}", core().count());
        for case in core() {
            assert!(!case.capabilities().contains(Capability::Create), "{}", case.name());
        }
    }
}
