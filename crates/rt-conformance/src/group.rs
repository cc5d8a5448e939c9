//! The parts of the contract, to which the cases belong.

use std::fmt;

macro_rules! group {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A part of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Group {
            $($(#[$doc])* $name,)*
        }

        impl Group {
            /// All groups, in the order of a report.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the word before the colon in the name of a case.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

group! {
    /// Which handles are equal, and how runtimes are distinguished.
    Identity = "identity",
    /// Start, stop and wait, and what `inspect` returns afterwards.
    Lifecycle = "lifecycle",
    /// The settings of a launch.
    Launch = "launch",
    /// Commands whose output is captured.
    Exec = "exec",
    /// Environment, workdir and user of a command.
    Settings = "settings",
    /// The environment of a command: its stdin, its variables, its limits.
    Surroundings = "surroundings",
    /// Commands whose streams are bridged.
    Stdio = "stdio",
    /// Commands that run while the caller does other things.
    Spawn = "spawn",
    /// Commands with a terminal.
    Terminals = "terminals",
    /// Deaths by signal, and commands whose container goes away.
    Signals = "signals",
    /// Deadlines, cancels and kill reports.
    Timeouts = "timeouts",
    /// Output limits.
    Limits = "limits",
    /// Logs.
    Logs = "logs",
    /// Waiting for a line of a log.
    Readiness = "readiness",
    /// Copies in and out.
    Copy = "copy",
    /// Files from memory.
    Files = "files",
    /// Images.
    Images = "images",
    /// Pulls of images.
    Pulls = "pulls",
    /// Port reservations.
    Ports = "ports",
    /// Lists and removals of many containers.
    Bulk = "bulk",
    /// Events.
    Events = "events",
    /// Errors and their texts.
    Errors = "errors",
    /// Unusual calls that must do no harm.
    Misuse = "misuse",
    /// Handles in front of others.
    Wrappers = "wrappers",
    /// `capabilities()` agrees with the results.
    Claims = "claims",
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
