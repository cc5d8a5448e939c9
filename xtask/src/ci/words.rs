//! Names that only their author knows, and the field's standard term for each: "we say X, not Y" of CONTRIBUTING.md.
//!
//! Whole names of types and files are refused, not parts of them. A word that is a standard term elsewhere is not here:
//! `Line`, `State`, `Tag`, `Place`.

use std::path::Path;

/// The home-made name, and what is said instead.
const INSTEAD: [(&str, &str); 53] = [
    ("Appointment", "FaultPoint"),
    ("Ask", "OperationSpec"),
    ("BadAnswer", "InvalidResponse"),
    ("Belfry", "WaiterList"),
    ("Bell", "Notify"),
    ("Book", "Tape"),
    ("Census", "procfs, or what is counted"),
    ("CompiledOut", "FeatureDisabled"),
    ("Condemned", "KillJob"),
    ("DeadlinePassed", "DeadlineExceeded"),
    ("Desk", "WorkerShared"),
    ("Ending", "terminate, RemoteKill"),
    ("FarEnds", "PeerPipes"),
    ("Fate", "KillOutcome"),
    ("Harm", "Fault"),
    ("Hung", "Waiter"),
    ("Inlet", "StdinPump"),
    ("InsideEnding", "RemoteKill"),
    ("Interests", "PollSet"),
    ("Keeping", "SessionConfig"),
    ("Keyring", "SecretRestorer"),
    ("KillSide", "KillStrategy"),
    ("Lane", "Direction"),
    ("Leader", "ChildProcess"),
    ("Likeness", "matching"),
    ("Manners", "Behaviour"),
    ("Marker", "ExecMarker"),
    ("Outlet", "OutputPump"),
    ("Overheard", "Recorded"),
    ("Papers", "WorkerState"),
    ("Peek", "StreamTap"),
    ("PortPublish", "PortMapping"),
    ("Reach", "Scope"),
    ("Remains", "Leftover"),
    ("Riddle", "ShellProbe"),
    ("Seat", "SessionPermit"),
    ("Shelf", "JobState, or what is shared"),
    ("StandIn", "SymlinkAlias"),
    ("Stamp", "timestamp"),
    ("Tell", "FailureSentinel"),
    ("TellWatch", "SentinelFilter"),
    ("Ticket", "JobHandle"),
    ("Traffic", "IoBuffers"),
    ("Trouble", "InjectedFault"),
    ("UnfitDescriptor", "UnsupportedFd"),
    ("Vault", "SecretMasker"),
    ("Way", "OutputTarget, or what it is the way of"),
    ("Whereabouts", "LiveOptions"),
    ("Why", "Interruption"),
    ("Wire", "RawSession"),
    ("ShownBy", "RedactWith"),
    ("Attempt", "PendingOperation"),
    ("Pump", "PollLoop"),
];

/// The home-made names that a source file has: its own, and those of the types that it declares.
pub(super) fn faults(path: &Path, text: &str) -> Vec<String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = INSTEAD.iter().filter(|(name, _)| snake_case(name) == stem);
    let types = text
        .lines()
        .filter_map(declared_type)
        .filter_map(|declared| INSTEAD.iter().find(|(name, _)| *name == declared));
    file.chain(types).map(|(name, instead)| format!("{name} is a name of our own; say {instead}")).collect()
}

/// The name of the type that a line declares.
fn declared_type(line: &str) -> Option<&str> {
    let words = line.trim_start().strip_prefix("pub").map_or(line.trim_start(), |rest| {
        rest.trim_start()
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .map_or(rest, |(_, rest)| rest)
    });
    let mut words = words.split_whitespace();
    matches!(words.next()?, "struct" | "enum" | "trait" | "type")
        .then(|| words.next())??
        .split(|sign: char| !sign.is_alphanumeric())
        .next()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for sign in name.chars() {
        if sign.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(sign.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_of_types_and_files_are_refused_and_no_parts() {
        let named = |path: &str, text: &str| faults(Path::new(path), text);
        assert_eq!(named("src/far_ends.rs", ""), ["FarEnds is a name of our own; say PeerPipes"]);
        assert_eq!(
            named("src/a.rs", "    pub(crate) struct Bell<T>(T);\n"),
            ["Bell is a name of our own; say Notify"]
        );
        assert_eq!(named("src/a.rs", "pub enum Fate {\ntype Bells = u8;\n").len(), 1);
        assert_eq!(named("src/bell_tower.rs", "// struct Bell\nlet bell = 1;\nfn tell() {}\n"), [""; 0]);
    }
}
