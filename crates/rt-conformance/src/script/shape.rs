//! The related processes of a command that stays, and the shell texts that start them.

/// The related processes of a command that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// None.
    Alone,
    /// A child in the background.
    Background,
    /// A grandchild whose parent has ended.
    DoubleFork,
    /// A child, and both ignore TERM.
    IgnoresTerm,
    /// A child that was started with an empty environment.
    CleanEnv,
    /// Three children, each with a child of its own, that on TERM write `bye` to the file
    /// `last-words` of the working directory. The command itself ends at once then, before them.
    LastWords,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 6] =
        [Self::Alone, Self::Background, Self::DoubleFork, Self::IgnoresTerm, Self::CleanEnv, Self::LastWords];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Background => "background",
            Self::DoubleFork => "double-fork",
            Self::IgnoresTerm => "ignores-term",
            Self::CleanEnv => "clean-env",
            Self::LastWords => "last-words",
        }
    }

    /// `$1` is the token. It is also a number of seconds beyond the timeout of any test.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Alone => "echo held; echo erred >&2; exec sleep \"$1\"",
            Self::Background => "sleep \"$1\" & echo held; echo erred >&2; exec sleep \"$1\"",
            Self::DoubleFork => "(sleep \"$1\" & ) ; echo held; echo erred >&2; exec sleep \"$1\"",
            Self::IgnoresTerm => "trap '' TERM; sleep \"$1\" & echo held; echo erred >&2; exec sleep \"$1\"",
            Self::CleanEnv => "env -i sleep \"$1\" & echo held; echo erred >&2; exec sleep \"$1\"",
            Self::LastWords => {
                "for child in 1 2 3; do sh -c 'trap \"echo bye >>last-words; exit\" TERM; sleep \"$0\" & wait' \"$1\" & done; \
                 echo held; echo erred >&2; exec sleep \"$1\""
            }
        }
    }

    /// Returns how many processes it has.
    pub(crate) const fn processes(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Background | Self::DoubleFork | Self::IgnoresTerm | Self::CleanEnv => 2,
            Self::LastWords => 7,
        }
    }
}
