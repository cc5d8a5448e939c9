//! The commands of the cases, as arguments for a guest with a POSIX shell, and parsed for a backend
//! that only simulates them. [`crate::reference`] simulates them.

mod escape;
mod pattern;
mod shape;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use rt_protocol::Argv;

pub use pattern::pattern;
pub(crate) use pattern::{FIRST_LINE, LINE_BYTES, lines};
pub use shape::Shape;

/// A command of the suite.
///
/// [`argv`](Self::argv) is `sh -c TEXT rt-script/NAME ARGUMENTS…`. A real guest runs the text. A
/// backend that runs nothing parses the name and the arguments after it
/// ([`from_argv`](Self::from_argv)).
///
/// The texts need a POSIX `sh` and these tools: `cat`, `env`, `head`, `id`, `ln`, `ls`, `mkdir`,
/// `mkfifo`, `seq`, `sleep`, `tr`, `wc`, `yes`; those for terminals `stty` and `tty`. BusyBox has
/// all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// Ends with this code.
    Exit(i32),
    /// Writes these bytes to stdout, then those to stderr, and ends with this code.
    Say {
        /// The bytes for stdout, at most a few KiB.
        stdout: Vec<u8>,
        /// The bytes for stderr, at most a few KiB.
        stderr: Vec<u8>,
        /// The exit code.
        code: i32,
    },
    /// Writes as [`Say`](Self::Say) does, and stays until TERM, which ends it with code 0.
    SayAndStand {
        /// The bytes for stdout.
        stdout: Vec<u8>,
        /// The bytes for stderr.
        stderr: Vec<u8>,
    },
    /// Writes to stdout, waits, writes to stdout again, and ends with this code.
    SayTwice {
        /// The first bytes.
        first: Vec<u8>,
        /// How long it waits, in whole seconds.
        seconds: u32,
        /// The bytes after the wait.
        second: Vec<u8>,
        /// The exit code.
        code: i32,
    },
    /// Copies stdin to stdout, unbuffered, until stdin ends.
    Cat,
    /// Reads stdin to its end and writes its length in bytes, as digits.
    CountStdin,
    /// Writes the first bytes of [`pattern()`] to stdout and stderr at the same time, and ends with
    /// this code.
    Flood {
        /// How many bytes go to stdout.
        stdout: u64,
        /// How many bytes go to stderr.
        stderr: u64,
        /// The exit code.
        code: i32,
    },
    /// Writes this many zero bytes to stdout: long output that is cheap for the guest.
    Zeros(u64),
    /// Writes lines of `y` to stdout until it is ended.
    Endless,
    /// Writes each of these arguments between `<` and `>`.
    Words(Vec<OsString>),
    /// Writes the length of this argument in bytes, as digits. It is ASCII.
    Length(String),
    /// Writes the value of this variable, or `(unset)`.
    Variable(String),
    /// Writes the length of the value of this variable in bytes, as digits. The value is ASCII.
    VariableLength(String),
    /// Writes the current directory.
    Workdir,
    /// Writes the numeric user and group: `0:0`.
    User,
    /// Writes which of its streams are terminals, `y` or `n` each, a space, and the name of the
    /// terminal.
    Terminal,
    /// Writes the size of its terminal, `24 80`, as soon as it has one.
    TerminalSize,
    /// Writes `ready` and a space, and `resized` once its terminal was changed to this size.
    Resized {
        /// The rows.
        rows: u16,
        /// The columns.
        columns: u16,
    },
    /// Reads a line of stdin and writes it between `<` and `>`.
    ReadLine,
    /// Makes its terminal pass every byte as it is, writes `ready` and a space, and copies this
    /// many bytes of stdin to stdout, each at once.
    RawCopy(u32),
    /// Writes `ready` and a space, and runs another command in the foreground. Ends with this code
    /// if an interrupt (`^C`) ends that one.
    EndOnInterrupt(i32),
    /// Waits this long, in whole seconds, then ends with code 0.
    Sleep(u32),
    /// Writes `held` to stdout and `erred` to stderr, a line each, and stays until it is ended.
    Hold {
        /// Its related processes.
        shape: Shape,
        /// The token by which [`Count`](Self::Count) finds its processes.
        token: u32,
    },
    /// Writes the number of processes whose arguments contain this token.
    Count(u32),
    /// Writes `done` and ends with code 0, but leaves a child that holds the output streams for
    /// some seconds.
    Leave(u32),
    /// Dies by this signal, whose name is without `SIG`.
    Die(String),
    /// Stays until TERM, which ends it with code 0. For main processes.
    Stand,
    /// Stays, and ignores TERM. For main processes.
    Stubborn,
    /// Writes the line `ready` once TERM would end it with this code, and stays until TERM. For
    /// main processes.
    EndOnTerm(i32),
    /// Makes a directory and its parents.
    MakeDir(OsString),
    /// Writes these bytes to a file.
    WriteFile {
        /// The file; its directory exists.
        path: OsString,
        /// The bytes, at most a few KiB.
        bytes: Vec<u8>,
    },
    /// Writes a file to stdout; ends with code 1 if it does not exist.
    ReadFile(OsString),
    /// Writes the sorted names in a directory, a line each.
    List(OsString),
    /// Ends with code 0 if the file is executable, otherwise with code 1.
    IsExecutable(OsString),
    /// Makes a file of this many zero bytes.
    Fill {
        /// The file; its directory exists.
        path: OsString,
        /// Its size in bytes.
        bytes: u64,
    },
    /// Makes a symbolic link.
    Link {
        /// Its text.
        target: OsString,
        /// The link; its directory exists.
        path: OsString,
    },
    /// Makes a named pipe.
    Fifo(OsString),
    /// Makes this many empty files, named by the numbers from 1000 on with 200 digits.
    MakeMany {
        /// The directory.
        directory: OsString,
        /// How many.
        count: u32,
    },
}

/// The start of the `$0` that marks an argument list as a script of the suite.
const MARK: &str = "rt-script/";

impl Script {
    /// Creates a script that writes this text to stdout and ends with code 0.
    pub fn print(text: impl Into<Vec<u8>>) -> Self {
        Self::Say { stdout: text.into(), stderr: Vec::new(), code: 0 }
    }

    /// Returns the script as a command.
    pub fn argv(&self) -> Vec<OsString> {
        let (name, text, arguments) = self.parts();
        let mut words: Vec<OsString> =
            vec!["sh".into(), "-c".into(), text.into(), format!("{MARK}{name}").into()];
        words.extend(arguments);
        words
    }

    /// Parses a command; `None` if it is not a script.
    pub fn from_argv(argv: &Argv) -> Option<Self> {
        let mut words = argv.words().iter().skip(3);
        let name = words.next()?.to_str()?.strip_prefix(MARK)?;
        let mut words = words.map(OsString::as_os_str);
        let script = Self::read(name, &mut words)?;
        words.next().is_none().then_some(script)
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn parts(&self) -> (&'static str, &'static str, Vec<OsString>) {
        match self {
            Self::Exit(code) => ("exit", "exit \"$1\"", vec![number(code)]),
            Self::Say { stdout, stderr, code } => (
                "say",
                "printf \"$1\"; printf \"$2\" >&2; exit \"$3\"",
                vec![escape::for_printf(stdout), escape::for_printf(stderr), number(code)],
            ),
            Self::SayAndStand { stdout, stderr } => (
                "say-and-stand",
                "trap 'exit 0' TERM; printf \"$1\"; printf \"$2\" >&2; sleep 2000000 & wait",
                vec![escape::for_printf(stdout), escape::for_printf(stderr)],
            ),
            Self::SayTwice { first, seconds, second, code } => (
                "say-twice",
                "printf \"$1\"; sleep \"$2\"; printf \"$3\"; exit \"$4\"",
                vec![escape::for_printf(first), number(seconds), escape::for_printf(second), number(code)],
            ),
            Self::Cat => ("cat", "exec cat", vec![]),
            Self::CountStdin => ("count-stdin", "printf %s $(wc -c)", vec![]),
            // Numbers of the same width, so that any lost, repeated or swapped byte shows.
            Self::Flood { stdout, stderr, code } => (
                "flood",
                "{ seq 10000000 99999999 | head -c \"$2\" >&2; } & seq 10000000 99999999 | head -c \"$1\"; wait; exit \"$3\"",
                vec![number(stdout), number(stderr), number(code)],
            ),
            Self::Zeros(count) => ("zeros", "exec head -c \"$1\" /dev/zero", vec![number(count)]),
            Self::Endless => ("endless", "exec yes", vec![]),
            Self::Words(words) => {
                ("words", "for word in \"$@\"; do printf '<%s>' \"$word\"; done", words.clone())
            }
            Self::Length(word) => ("length", "printf %s \"${#1}\"", vec![word.into()]),
            Self::Variable(name) => {
                ("variable", "eval \"printf %s \\\"\\${$1-(unset)}\\\"\"", vec![name.into()])
            }
            Self::VariableLength(name) => {
                ("variable-length", "eval \"printf %s \\\"\\${#$1}\\\"\"", vec![name.into()])
            }
            Self::Workdir => ("workdir", "printf %s \"$(pwd)\"", vec![]),
            Self::User => ("user", "printf %s:%s \"$(id -u)\" \"$(id -g)\"", vec![]),
            Self::Terminal => (
                "terminal",
                "for fd in 0 1 2; do [ -t $fd ] && printf y || printf n; done; printf ' %s' \"$(tty)\"",
                vec![],
            ),
            Self::TerminalSize => (
                "terminal-size",
                "n=0; until s=$(stty size 2>/dev/null); [ \"${s:-0 0}\" != '0 0' ] || [ $n -gt 99 ]; do n=$((n+1)); \
                 sleep 0.1; done; printf %s \"$s\"",
                vec![],
            ),
            Self::Resized { rows, columns } => (
                "resized",
                "trap '[ \"$(stty size)\" = \"$1 $2\" ] && trap : WINCH && printf resized && exit 0' WINCH; \
                 printf 'ready '; while :; do sleep 2000000 & wait; done",
                vec![number(rows), number(columns)],
            ),
            Self::ReadLine => ("read-line", "IFS= read -r line; printf '<%s>' \"$line\"", vec![]),
            Self::RawCopy(count) => (
                "raw-copy",
                "stty raw -echo || exit; printf 'ready '; exec dd bs=1 count=\"$1\" 2>/dev/null",
                vec![number(count)],
            ),
            Self::EndOnInterrupt(code) => (
                "end-on-interrupt",
                "trap : INT; printf 'ready '; sleep 2000000; exit \"$1\"",
                vec![number(code)],
            ),
            Self::Sleep(seconds) => ("sleep", "exec sleep \"$1\"", vec![number(seconds)]),
            Self::Hold { shape, token } => ("hold", shape.text(), vec![number(token), shape.name().into()]),
            // The token is split into two halves, so that the counting process does not count
            // itself.
            Self::Count(token) => (
                "count",
                "n=0; t=\"$1$2\"; for p in /proc/[0-9]*; do \
                 { c=$(tr '\\0' ' ' <\"$p/cmdline\"); } 2>/dev/null || continue; \
                 case \" $c \" in *\" $t \"*) n=$((n+1));; esac; done; printf %s \"$n\"",
                vec![number(&(token / 1000)), OsString::from(format!("{:03}", token % 1000))],
            ),
            Self::Leave(seconds) => ("leave", "sleep \"$1\" & printf done", vec![number(seconds)]),
            Self::Die(signal) => ("die", "kill -\"$1\" \"$$\"; sleep 5", vec![signal.into()]),
            Self::Stand => ("stand", "trap 'exit 0' TERM; sleep 2000000 & wait", vec![]),
            Self::Stubborn => ("stubborn", "trap '' TERM; sleep 2000000", vec![]),
            Self::EndOnTerm(code) => {
                ("end-on-term", "trap \"exit $1\" TERM; echo ready; sleep 2000000 & wait", vec![number(code)])
            }
            Self::MakeDir(path) => ("make-dir", "mkdir -p \"$1\"", vec![path.clone()]),
            Self::WriteFile { path, bytes } => {
                ("write-file", "printf \"$2\" >\"$1\"", vec![path.clone(), escape::for_printf(bytes)])
            }
            Self::ReadFile(path) => {
                ("read-file", "[ -e \"$1\" ] || exit 1; exec cat \"$1\"", vec![path.clone()])
            }
            Self::List(path) => ("list", "LC_ALL=C ls -A1 \"$1\"", vec![path.clone()]),
            Self::IsExecutable(path) => ("is-executable", "[ -x \"$1\" ]", vec![path.clone()]),
            Self::Fill { path, bytes } => {
                ("fill", "head -c \"$2\" /dev/zero >\"$1\"", vec![path.clone(), number(bytes)])
            }
            Self::Link { target, path } => {
                ("link", "exec ln -s \"$1\" \"$2\"", vec![target.clone(), path.clone()])
            }
            Self::Fifo(path) => ("fifo", "exec mkfifo \"$1\"", vec![path.clone()]),
            Self::MakeMany { directory, count } => (
                "make-many",
                "cd \"$1\" || exit; z=$(printf %0196d 0); n=1000; \
                 while [ $n -lt $((1000+$2)) ]; do : >$z$n || exit; n=$((n+1)); done",
                vec![directory.clone(), number(count)],
            ),
        }
    }

    fn read<'a>(name: &str, words: &mut impl Iterator<Item = &'a OsStr>) -> Option<Self> {
        let mut word = || words.next().map(OsStr::to_os_string);
        Some(match name {
            "exit" => Self::Exit(parsed(word()?)?),
            "say" => Self::Say { stdout: bytes(word()?)?, stderr: bytes(word()?)?, code: parsed(word()?)? },
            "say-and-stand" => Self::SayAndStand { stdout: bytes(word()?)?, stderr: bytes(word()?)? },
            "say-twice" => Self::SayTwice {
                first: bytes(word()?)?,
                seconds: parsed(word()?)?,
                second: bytes(word()?)?,
                code: parsed(word()?)?,
            },
            "cat" => Self::Cat,
            "count-stdin" => Self::CountStdin,
            "flood" => {
                Self::Flood { stdout: parsed(word()?)?, stderr: parsed(word()?)?, code: parsed(word()?)? }
            }
            "zeros" => Self::Zeros(parsed(word()?)?),
            "endless" => Self::Endless,
            "words" => Self::Words(std::iter::from_fn(word).collect()),
            "length" => Self::Length(word()?.into_string().ok()?),
            "variable" => Self::Variable(word()?.into_string().ok()?),
            "variable-length" => Self::VariableLength(word()?.into_string().ok()?),
            "workdir" => Self::Workdir,
            "user" => Self::User,
            "terminal" => Self::Terminal,
            "terminal-size" => Self::TerminalSize,
            "resized" => Self::Resized { rows: parsed(word()?)?, columns: parsed(word()?)? },
            "read-line" => Self::ReadLine,
            "raw-copy" => Self::RawCopy(parsed(word()?)?),
            "end-on-interrupt" => Self::EndOnInterrupt(parsed(word()?)?),
            "sleep" => Self::Sleep(parsed(word()?)?),
            "hold" => {
                let token = parsed(word()?)?;
                let shape = word()?;
                let shape = Shape::ALL.into_iter().find(|known| shape == known.name())?;
                Self::Hold { shape, token }
            }
            "count" => Self::Count(parsed::<u32>(word()?)? * 1000 + parsed::<u32>(word()?)?),
            "leave" => Self::Leave(parsed(word()?)?),
            "die" => Self::Die(word()?.into_string().ok()?),
            "stand" => Self::Stand,
            "stubborn" => Self::Stubborn,
            "end-on-term" => Self::EndOnTerm(parsed(word()?)?),
            "make-dir" => Self::MakeDir(word()?),
            "write-file" => Self::WriteFile { path: word()?, bytes: bytes(word()?)? },
            "read-file" => Self::ReadFile(word()?),
            "list" => Self::List(word()?),
            "is-executable" => Self::IsExecutable(word()?),
            "fill" => Self::Fill { path: word()?, bytes: parsed(word()?)? },
            "link" => Self::Link { target: word()?, path: word()? },
            "fifo" => Self::Fifo(word()?),
            "make-many" => Self::MakeMany { directory: word()?, count: parsed(word()?)? },
            _ => return None,
        })
    }
}

/// Returns how long [`Script::Sleep`] sleeps.
pub(crate) fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// Returns the names of the files that [`Script::MakeMany`] makes, sorted.
pub fn many_names(count: u32) -> impl Iterator<Item = OsString> {
    (1000..1000 + count).map(|number| format!("{number:0>200}").into())
}

fn number(value: &impl ToString) -> OsString {
    value.to_string().into()
}

fn parsed<T: std::str::FromStr>(word: OsString) -> Option<T> {
    word.to_str()?.parse().ok()
}

fn bytes(word: OsString) -> Option<Vec<u8>> {
    escape::from_printf(word.as_bytes())
}

/// Returns bytes as an argument.
pub(crate) fn word(bytes: impl Into<Vec<u8>>) -> OsString {
    OsString::from_vec(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_read_back_from_its_argv() {
        let path = || OsString::from("/a b");
        for script in [
            Script::Exit(3),
            Script::Say { stdout: (0..=255).collect(), stderr: b"-%\\\n".to_vec(), code: 126 },
            Script::SayAndStand { stdout: b"x".to_vec(), stderr: vec![] },
            Script::SayTwice { first: b"a".to_vec(), seconds: 1, second: b"b".to_vec(), code: 2 },
            Script::Cat,
            Script::CountStdin,
            Script::Flood { stdout: 1, stderr: 2, code: 3 },
            Script::Zeros(1 << 40),
            Script::Endless,
            Script::Words(vec![word(vec![0xff]), "".into(), "--".into()]),
            Script::Length("abc".into()),
            Script::Link { target: "../a".into(), path: path() },
            Script::Fifo(path()),
            Script::MakeMany { directory: path(), count: 3 },
            Script::Variable("PATH".into()),
            Script::VariableLength("PATH".into()),
            Script::Workdir,
            Script::User,
            Script::Terminal,
            Script::TerminalSize,
            Script::Resized { rows: 50, columns: 200 },
            Script::ReadLine,
            Script::RawCopy(256),
            Script::EndOnInterrupt(7),
            Script::Sleep(1),
            Script::Hold { shape: Shape::CleanEnv, token: 7_000_012 },
            Script::Count(7_000_012),
            Script::Leave(3),
            Script::Die("KILL".into()),
            Script::Stand,
            Script::Stubborn,
            Script::EndOnTerm(7),
            Script::MakeDir(path()),
            Script::WriteFile { path: path(), bytes: vec![0, 1, 2] },
            Script::ReadFile(path()),
            Script::List(path()),
            Script::IsExecutable(path()),
            Script::Fill { path: path(), bytes: 9 },
        ] {
            let argv = Argv::new(script.argv()).unwrap();
            assert_eq!(Script::from_argv(&argv), Some(script));
        }
    }

    #[test]
    fn other_commands_are_no_scripts() {
        for argv in [vec!["true"], vec!["sh", "-c", "exit 1"], vec!["sh", "-c", "x", "rt-script/nosuch"]] {
            assert_eq!(Script::from_argv(&Argv::new(argv).unwrap()), None);
        }
    }
}
