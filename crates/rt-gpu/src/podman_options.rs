//! Which options of podman take a value. `redaction` needs this to parse a command line; it decides
//! what is secret in a value.
//!
//! The tables are those of podman 4.3.1 (`--help`), with what its documentation and sources added
//! up to 5.8.2 and in the development of 6.0, aliases and hidden options included. Options that
//! only some versions have do not conflict: no option has both taken a value and taken none within
//! one verb.

mod build;
mod exec_update;
mod global;
mod launch;
mod login;

/// The options of one verb.
pub(crate) struct Verb {
    flags: OptionNames,
    values: OptionNames,
    short_flags: &'static [u8],
    short_values: &'static [(u8, &'static str)],
    /// Whether options may follow the first operand. If not, podman stops reading options there.
    pub(crate) interspersed: bool,
}

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    /// It takes none.
    Flag,
    /// It takes a value, in the same word or in the next one. Holds the option's long name.
    Value(&'static str),
    /// It is not in the tables; a newer podman may have it.
    Unknown,
}

static LAUNCH: Verb = Verb {
    flags: OptionNames::new(launch::FLAGS),
    values: OptionNames::new(launch::VALUES),
    short_flags: b"dfiPqt",
    short_values: &[
        (b'a', "attach"),
        (b'c', "cpu-shares"),
        (b'e', "env"),
        (b'h', "hostname"),
        (b'l', "label"),
        (b'm', "memory"),
        (b'p', "publish"),
        (b'u', "user"),
        (b'v', "volume"),
        (b'w', "workdir"),
    ],
    interspersed: false,
};

static EXEC: Verb = Verb {
    flags: OptionNames::new(exec_update::EXEC_FLAGS),
    values: OptionNames::new(exec_update::EXEC_VALUES),
    short_flags: b"dilt",
    short_values: &[(b'e', "env"), (b'u', "user"), (b'w', "workdir")],
    interspersed: false,
};

static UPDATE: Verb = Verb {
    flags: OptionNames::new(exec_update::UPDATE_FLAGS),
    values: OptionNames::new(exec_update::UPDATE_VALUES),
    short_flags: b"l",
    short_values: &[(b'c', "cpu-shares"), (b'e', "env"), (b'm', "memory")],
    interspersed: true,
};

static BUILD: Verb = Verb {
    flags: OptionNames::new(build::FLAGS),
    values: OptionNames::new(build::VALUES),
    short_flags: b"Dq",
    short_values: &[
        (b'c', "cpu-shares"),
        (b'f', "file"),
        (b'm', "memory"),
        (b'o', "output"),
        (b't', "tag"),
        (b'v', "volume"),
    ],
    interspersed: true,
};

static LOGIN: Verb = Verb {
    flags: OptionNames::new(login::FLAGS),
    values: OptionNames::new(login::VALUES),
    short_flags: b"v",
    short_values: &[(b'p', "password"), (b'u', "username")],
    interspersed: true,
};

/// The options of podman itself, before the verb.
pub(crate) static GLOBAL: Verb = Verb {
    flags: OptionNames::new(global::FLAGS),
    values: OptionNames::new(global::VALUES),
    short_flags: b"Drv",
    short_values: &[(b'H', "host"), (b'c', "connection")],
    interspersed: false,
};

impl Verb {
    /// Returns the options of a verb; `None` if they are not known.
    pub(crate) fn find(name: &[u8]) -> Option<&'static Self> {
        match name {
            b"create" | b"run" | b"clone" => Some(&LAUNCH),
            b"exec" => Some(&EXEC),
            b"update" => Some(&UPDATE),
            b"build" => Some(&BUILD),
            b"login" => Some(&LOGIN),
            _ => None,
        }
    }

    /// Returns whether the verb follows this word: `podman container run`, `podman image build`.
    pub(crate) fn is_management_command(name: &[u8]) -> bool {
        matches!(name, b"container" | b"image" | b"buildx" | b"builder")
    }

    /// Returns whether a long option takes a value; `name` is without its dashes.
    pub(crate) fn long(&self, name: &[u8]) -> Arity {
        match self.own_long(name) {
            // Most options of podman itself are accepted behind the verb too.
            Arity::Unknown => GLOBAL.own_long(name),
            known => known,
        }
    }

    fn own_long(&self, name: &[u8]) -> Arity {
        match self.values.find(name) {
            Some(name) => Arity::Value(name),
            None if self.flags.find(name).is_some() => Arity::Flag,
            None => Arity::Unknown,
        }
    }

    /// Returns whether a short option takes a value.
    pub(crate) fn short(&self, letter: u8) -> Arity {
        match self.short_values.iter().find(|(known, _)| *known == letter) {
            Some((_, name)) => Arity::Value(name),
            None if self.short_flags.contains(&letter) => Arity::Flag,
            None => Arity::Unknown,
        }
    }
}

/// Names of options, grouped by length for a fast lookup.
struct OptionNames {
    /// Sorted, the shortest first.
    names: &'static [&'static str],
    /// For each length, the number of shorter names.
    shorter: [usize; MAX_NAME_BYTES + 2],
}

/// The length of the longest name, in bytes.
const MAX_NAME_BYTES: usize = 31;

impl OptionNames {
    const fn new(names: &'static [&'static str]) -> Self {
        let mut shorter = [0; MAX_NAME_BYTES + 2];
        let mut place = 0;
        while place < names.len() {
            let mut length = names[place].len() + 1;
            while length < shorter.len() {
                shorter[length] = place + 1;
                length += 1;
            }
            place += 1;
        }
        Self { names, shorter }
    }

    fn find(&self, name: &[u8]) -> Option<&'static str> {
        let (begin, end) = (*self.shorter.get(name.len())?, *self.shorter.get(name.len() + 1)?);
        let mut as_long = self.names[begin..end].iter();
        // Comparing one letter is faster than comparing a name, and mostly enough.
        as_long.find(|known| known.as_bytes().first() == name.first() && known.as_bytes() == name).copied()
    }
}

/// Returns whether an option of a podman verb takes a value, as the redaction parses it: `("run",
/// "--env")`, `("exec", "-l")`. The verb `""` stands for podman itself. `None` for an unknown verb
/// or option.
///
/// Use it to compare the tables with the `--help` of your podman.
///
/// ```
/// use rt_gpu::podman_option_takes_value;
///
/// assert_eq!(podman_option_takes_value("run", "-l"), Some(true));
/// assert_eq!(podman_option_takes_value("exec", "-l"), Some(false));
/// assert_eq!(podman_option_takes_value("run", "--no-such-option"), None);
/// ```
pub fn podman_option_takes_value(verb: &str, option: &str) -> Option<bool> {
    let verb = if verb.is_empty() { &GLOBAL } else { Verb::find(verb.as_bytes())? };
    let arity = match (option.strip_prefix("--"), option.as_bytes()) {
        (Some(long), _) => verb.long(long.as_bytes()),
        (None, [b'-', letter]) => verb.short(*letter),
        _ => Arity::Unknown,
    };
    match arity {
        Arity::Flag => Some(false),
        Arity::Value(_) => Some(true),
        Arity::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_no_name_is_in_two() {
        for verb in [&LAUNCH, &EXEC, &UPDATE, &BUILD, &LOGIN, &GLOBAL] {
            for OptionNames { names, .. } in [&verb.flags, &verb.values] {
                assert!(
                    names.is_sorted_by(|left, right| (left.len(), left) < (right.len(), right)),
                    "{names:?}"
                );
            }
            assert!(verb.flags.names.iter().all(|flag| !verb.values.names.contains(flag)));
            for (letter, name) in verb.short_values {
                assert!(verb.values.names.contains(name) && !verb.short_flags.contains(letter), "{name}");
            }
        }
    }

    #[test]
    fn every_name_is_found_and_nothing_else() {
        for verb in [&LAUNCH, &EXEC, &UPDATE, &BUILD, &LOGIN, &GLOBAL] {
            for name in verb.values.names {
                assert_eq!(verb.long(name.as_bytes()), Arity::Value(name));
            }
            for name in verb.flags.names {
                assert_eq!(verb.long(name.as_bytes()), Arity::Flag, "{name}");
            }
            for name in ["", "e", "enw", "label-", "a-name-that-is-longer-than-any-option-of-any-podman"] {
                assert_eq!(verb.long(name.as_bytes()), Arity::Unknown, "{name}");
            }
        }
    }

    #[test]
    fn one_letter_means_different_things_to_different_verbs() {
        assert_eq!(LAUNCH.short(b'l'), Arity::Value("label"));
        assert_eq!(EXEC.short(b'l'), Arity::Flag);
        assert_eq!(BUILD.short(b't'), Arity::Value("tag"));
        assert_eq!(LAUNCH.short(b't'), Arity::Flag);
        assert_eq!(LAUNCH.long(b"log-level"), Arity::Value("log-level"));
    }
}
