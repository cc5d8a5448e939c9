//! The parts of the contract that cases belong to.

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
    /// Handles in front of others.
    Wrappers = "wrappers",
    /// `capabilities()` and the answers agree.
    Claims = "claims",
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
