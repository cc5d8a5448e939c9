//! Redacts the secrets of podman's command lines. `secret_name` and `secret_value` decide what is
//! secret; `podman_options` knows which options take a value.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::MASK;
use crate::podman_options::{Arity, GLOBAL, Verb};
use crate::secret_name::is_secret_name;
use crate::secret_value::{masked_pairs, masked_urls};

/// Returns a podman command line for a log or an error, with `<redacted>` in place of each secret.
///
/// `argv` is the program and its arguments. The program may be missing if the line starts with an
/// option or one of the verbs below. `env` and assignments may come first.
///
/// Masked in the options of podman itself and of `create`, `run`, `exec`, `build`, `update` and
/// `login` are:
///
/// - the value of a pair with a [secret name](crate::is_secret_name), in every spelling: `--env
///   K=V`, `--env=K=V`, `-e K=V`, `-eK=V`, `-e=K=V`, `-ite K=V`. The same holds for `--label`,
///   `--annotation`, `--build-arg`, `--mount`, `--health-cmd` and similar options, and for a pair
///   inside another's value (`volume-opt=password=V`);
/// - passwords in URLs (`scheme://user:password@host`), in any option, and the user of an `http`
///   URL without a password (`https://token@host`, `https://token:x-oauth-basic@host`);
/// - the whole value of `--env-file`, `--secret`, `--creds`, `--decryption-key`, `--password`,
///   `--passwd-entry` and `--group-entry`, even if it starts with a dash.
///
/// Everything after the image or container belongs to the command and stays as it is. `-e KEY` has
/// no value and stays. With any other verb, every pair, URL and option with a secret name is
/// masked, and so are the options in the last item.
///
/// A URL ends at a blank or a `"`, and its password at the last `@` before that. In
/// `a://u:p@h,b://u:q@h` the password may be `p@h,b://u:q`, so the result is `a://u:<redacted>@h`.
/// A password that starts like a port (`u:12/x@h`) is taken for a port and shown.
///
/// The result has as many arguments as `argv`. Arguments without a secret are borrowed unchanged.
/// Redacting a result again does not change it.
///
/// Redaction hides nothing from `ps`. A value that must stay private must not be in an argument
/// list.
///
/// ```
/// use rt_gpu::redact_env_args;
///
/// let argv = ["podman", "run", "-ite", "API_KEY=s3cret", "alpine", "env", "TOKEN=x"];
/// let shown = redact_env_args(&argv);
/// let text = shown.join(std::ffi::OsStr::new(" "));
/// assert_eq!(text, "podman run -ite API_KEY=<redacted> alpine env TOKEN=x");
/// ```
pub fn redact_env_args<S: AsRef<OsStr>>(argv: &[S]) -> Vec<Cow<'_, OsStr>> {
    let mut parser = ArgvParser { state: ParseState::Before, pending: None };
    argv.iter()
        .map(|word| {
            let word = word.as_ref();
            match parser.read(word.as_bytes()) {
                Some(masked) => Cow::Owned(OsString::from_vec(masked)),
                None => Cow::Borrowed(word),
            }
        })
        .collect()
}

/// Parses the arguments of a command line one by one.
struct ArgvParser {
    state: ParseState,
    /// Set if the last argument was an option whose value may be this one.
    pending: Option<Pending>,
}

#[derive(Clone, Copy)]
enum ParseState {
    /// Before the program: assignments, `env` and its options.
    Before,
    /// Among podman's own options.
    Global,
    /// Among the options of a verb.
    Options(&'static Verb),
    /// After `--`, before the first operand.
    Operand(&'static Verb),
    /// Among the arguments of a verb whose options are not known.
    Other,
    /// In the command that podman runs.
    Command,
}

/// What is known about the argument after an option.
#[derive(Clone, Copy)]
enum Pending {
    /// It is the option's value.
    Value(ValueKind),
    /// The option is not in the tables. The argument is its value, unless it looks like an option.
    MaybeValue(ValueKind),
}

/// What can be secret in an option's value.
#[derive(Clone, Copy)]
enum ValueKind {
    /// The whole value.
    Hidden,
    /// The values of pairs with secret names, and secrets in URLs.
    Pairs,
    /// Only secrets in URLs.
    Plain,
}

impl ValueKind {
    fn of(option: &[u8]) -> Self {
        match option {
            // The second field of a passwd or group entry may be a password hash.
            b"env-file" | b"secret" | b"creds" | b"decryption-key" | b"password" | b"passwd-entry"
            | b"group-entry" => Self::Hidden,
            // Commands among these may start with assignments, and have options with secret names.
            b"env"
            | b"env-merge"
            | b"label"
            | b"layer-label"
            | b"annotation"
            | b"build-arg"
            | b"log-opt"
            | b"storage-opt"
            | b"sysctl"
            | b"runtime-flag"
            | b"opt"
            | b"mount"
            | b"pull-option"
            | b"cpp-flag"
            | b"entrypoint"
            | b"health-cmd"
            | b"health-startup-cmd"
            | b"healthcheck-command"
            | b"sbom-scanner-command" => Self::Pairs,
            _ => Self::Plain,
        }
    }

    /// Returns what can be secret in the value of an option that is not in the tables.
    fn of_unknown(option: &[u8]) -> Self {
        match Self::of(option) {
            Self::Plain if is_secret_name(option) => Self::Hidden,
            Self::Plain => Self::Pairs,
            known => known,
        }
    }

    /// Returns what to expect after an option that is not in the tables. The options whose whole
    /// value is secret are masked for every verb, and their value may start with a dash.
    fn after_unknown(option: &[u8]) -> Pending {
        match Self::of(option) {
            Self::Hidden => Pending::Value(Self::Hidden),
            _ => Pending::MaybeValue(Self::of_unknown(option)),
        }
    }

    fn masked(self, value: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hidden => (!value.is_empty()).then(|| MASK.as_bytes().to_vec()),
            Self::Pairs => masked_pairs(value),
            Self::Plain => masked_urls(value),
        }
    }
}

impl ArgvParser {
    /// Returns the next argument redacted, or `None` if it stays as it is.
    fn read(&mut self, word: &[u8]) -> Option<Vec<u8>> {
        match self.pending.take() {
            Some(Pending::Value(kind)) => return kind.masked(word),
            Some(Pending::MaybeValue(kind)) if !word.starts_with(b"-") && !self.is_verb(word) => {
                return kind.masked(word);
            }
            _ => {}
        }
        match self.state {
            ParseState::Before => self.before(word),
            ParseState::Global => self.option_or(word, &GLOBAL, Self::verb),
            ParseState::Options(verb) => self.option_or(word, verb, Self::operand),
            ParseState::Operand(_) => self.operand(word),
            ParseState::Other => self.other(word),
            ParseState::Command => None,
        }
    }

    fn before(&mut self, word: &[u8]) -> Option<Vec<u8>> {
        let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or(word);
        if name == b"env" {
            return None;
        }
        // A path that contains an equals sign is still a program.
        if word.iter().position(|byte| *byte == b'=').is_some_and(|equals| !word[..equals].contains(&b'/'))
            && !word.starts_with(b"-")
        {
            return masked_pairs(word);
        }
        self.state = ParseState::Global;
        if word.starts_with(b"-") || Verb::is_management_command(word) || Verb::find(word).is_some() {
            return self.read(word);
        }
        None
    }

    fn verb(&mut self, word: &[u8]) -> Option<Vec<u8>> {
        if !Verb::is_management_command(word) {
            self.state = Verb::find(word).map_or(ParseState::Other, ParseState::Options);
        }
        None
    }

    fn is_verb(&self, word: &[u8]) -> bool {
        matches!(self.state, ParseState::Global)
            && (Verb::is_management_command(word) || Verb::find(word).is_some())
    }

    fn operand(&mut self, word: &[u8]) -> Option<Vec<u8>> {
        let (ParseState::Options(verb) | ParseState::Operand(verb)) = self.state else { return None };
        if verb.interspersed {
            return masked_urls(word);
        }
        // No image or container has an equals sign in its name. In `-e -e TOKEN=x` podman takes the
        // second `-e` as the value, but the caller did not mean that. Masking is right in both
        // cases.
        let masked = masked_pairs(word);
        if masked.is_none() || !word.contains(&b'=') {
            self.state = ParseState::Command;
        }
        masked
    }

    fn option_or(
        &mut self,
        word: &[u8],
        verb: &'static Verb,
        operand: fn(&mut Self, &[u8]) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        match word {
            b"--" => {
                if let ParseState::Options(verb) = self.state {
                    self.state = ParseState::Operand(verb);
                }
                None
            }
            [b'-', b'-', long @ ..] => self.long(word, long, verb),
            // A single dash is an operand: standard input.
            [b'-', cluster @ ..] if !cluster.is_empty() => self.short(word, cluster, verb),
            _ => operand(self, word),
        }
    }

    fn long(&mut self, word: &[u8], long: &[u8], verb: &Verb) -> Option<Vec<u8>> {
        let equals = long.iter().position(|byte| *byte == b'=');
        let name = &long[..equals.unwrap_or(long.len())];
        let arity = verb.long(name);
        let kind = match arity {
            Arity::Flag => ValueKind::Plain,
            Arity::Value(name) => ValueKind::of(name.as_bytes()),
            Arity::Unknown => ValueKind::of_unknown(name),
        };
        match (equals, arity) {
            (Some(equals), _) => mask_from(word, equals + 3, kind),
            (None, Arity::Value(_)) => self.expect(Pending::Value(kind)),
            (None, Arity::Unknown) => self.expect(ValueKind::after_unknown(name)),
            (None, Arity::Flag) => None,
        }
    }

    fn short(&mut self, word: &[u8], cluster: &[u8], verb: &Verb) -> Option<Vec<u8>> {
        for (place, letter) in cluster.iter().enumerate() {
            let rest = &cluster[place + 1..];
            let kind = match verb.short(*letter) {
                Arity::Flag if rest.first() == Some(&b'=') => return None,
                Arity::Flag => continue,
                Arity::Value(name) => ValueKind::of(name.as_bytes()),
                Arity::Unknown if rest.is_empty() => {
                    return self.expect(Pending::MaybeValue(ValueKind::Pairs));
                }
                Arity::Unknown => ValueKind::Pairs,
            };
            let begin = word.len() - rest.strip_prefix(b"=").unwrap_or(rest).len();
            return if rest.is_empty() {
                self.expect(Pending::Value(kind))
            } else {
                mask_from(word, begin, kind)
            };
        }
        None
    }

    fn other(&mut self, word: &[u8]) -> Option<Vec<u8>> {
        match word {
            [b'-', b'-', long @ ..] => match long.iter().position(|byte| *byte == b'=') {
                Some(equals) => mask_from(word, equals + 3, ValueKind::of_unknown(&long[..equals])),
                None if !long.is_empty() && matches!(ValueKind::of_unknown(long), ValueKind::Hidden) => {
                    self.expect(ValueKind::after_unknown(long))
                }
                None => None,
            },
            // Covers a `login` that was not recognised (`sudo podman login`). Elsewhere `-p`
            // publishes a port or is a flag, and a masked word does no harm.
            b"-p" => self.expect(Pending::MaybeValue(ValueKind::Hidden)),
            _ => masked_pairs(word),
        }
    }

    fn expect(&mut self, pending: Pending) -> Option<Vec<u8>> {
        self.pending = Some(pending);
        None
    }
}

/// Returns the word with its value from `begin` on redacted.
fn mask_from(word: &[u8], begin: usize, kind: ValueKind) -> Option<Vec<u8>> {
    let value = kind.masked(&word[begin..])?;
    Some([&word[..begin], &value].concat())
}

#[cfg(test)]
mod tests;
