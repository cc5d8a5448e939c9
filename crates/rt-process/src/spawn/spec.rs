//! The spec of a process: program, arguments, environment, directory; and its text without secrets.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rt_protocol::{Secret, TerminalSize};

use crate::Program;

/// The spec of a process to start.
///
/// The environment is that of this process, with the changes made here, in their order. `Display`
/// shows the command as in a shell. Both `Display` and `Debug` show `<redacted>` for secrets.
///
/// A secret argument is hidden in our texts only: every user of the machine can read
/// `/proc/PID/cmdline`. A secret variable is readable by the same user and root
/// (`/proc/PID/environ`). [`redact_with`](Self::redact_with) redacts further words of a known
/// program.
///
/// ```
/// use rt_process::{ProcessSpec, Program};
/// use rt_protocol::Secret;
///
/// # fn main() -> Result<(), rt_process::ProcessError> {
/// let spec = ProcessSpec::new(&Program::find("sh")?)
///     .args(["-c", "exit 3"])
///     .env("LANG", "C")
///     .secret_env("TOKEN", Secret::new("hunter2"));
/// assert!(spec.to_string().starts_with("LANG=C TOKEN=<redacted> /"));
/// assert!(spec.to_string().ends_with("/sh -c 'exit 3'"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a specification starts nothing by itself"]
pub struct ProcessSpec {
    program: Program,
    arguments: Vec<SpecValue>,
    environment: Vec<EnvChange>,
    directory: Option<PathBuf>,
    secret_file: Option<(Secret, FileUse)>,
    passes_descriptors: bool,
    stdin_terminal: Option<TerminalSize>,
    redact_with: Option<RedactFn>,
}

/// Converts a command (assignments, program, arguments) to the words that texts show.
pub type RedactFn = for<'a> fn(&'a [&'a OsStr]) -> Vec<Cow<'a, OsStr>>;

/// What texts show instead of a secret.
const MASK: &str = "<redacted>";

/// How often a secret file can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileUse {
    Once,
    AnyNumber,
}

/// One argument or value.
#[derive(Clone)]
pub(crate) enum SpecValue {
    Plain(OsString),
    Secret(Secret),
}

/// One change to the environment.
#[derive(Clone)]
pub(crate) enum EnvChange {
    Clear,
    Remove(OsString),
    Set(OsString, SpecValue),
}

impl ProcessSpec {
    /// The path at which the process sees its [`secret_file`](Self::secret_file).
    pub const SECRET_FILE: &str = "/proc/self/fd/3";

    /// A spec of the program without arguments.
    pub fn new(program: &Program) -> Self {
        Self {
            program: program.clone(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            secret_file: None,
            passes_descriptors: false,
            stdin_terminal: None,
            redact_with: None,
        }
    }

    /// Appends an argument. The start fails if it contains a NUL.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(SpecValue::Plain(argument.into()));
        self
    }

    /// Appends arguments.
    pub fn args<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.arguments.extend(arguments.into_iter().map(|argument| SpecValue::Plain(argument.into())));
        self
    }

    /// Appends an argument that texts hide. Other users of the machine can still see it in the
    /// process list.
    pub fn secret_arg(mut self, argument: &Secret) -> Self {
        self.arguments.push(SpecValue::Secret(argument.clone()));
        self
    }

    /// Sets a variable.
    pub fn env(self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.change(EnvChange::Set(name.into(), SpecValue::Plain(value.into())))
    }

    /// Sets a variable that texts hide.
    pub fn secret_env(self, name: impl Into<OsString>, value: impl Into<Secret>) -> Self {
        self.change(EnvChange::Set(name.into(), SpecValue::Secret(value.into())))
    }

    /// Removes a variable.
    pub fn env_remove(self, name: impl Into<OsString>) -> Self {
        self.change(EnvChange::Remove(name.into()))
    }

    /// Removes all variables, including those set here before.
    pub fn env_clear(self) -> Self {
        self.change(EnvChange::Clear)
    }

    /// Starts the process in this directory instead of the current one.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Gives the process a file with these bytes, which it can read once as
    /// [`SECRET_FILE`](Self::SECRET_FILE): a pipe on its descriptor 3. The bytes are not on a disk,
    /// in an argument or in the environment.
    ///
    /// A `/bin/sh` opens the file and becomes the program. This needs Linux's `/proc`. A pipe holds
    /// up to 1 MiB for a user other than root; the start fails if the bytes do not fit.
    pub fn secret_file(mut self, bytes: impl Into<Secret>) -> Self {
        self.secret_file = Some((bytes.into(), FileUse::Once));
        self
    }

    /// Gives the process such a file that it can read any number of times: memory without a name,
    /// on Linux. Processes that it starts may inherit it.
    ///
    /// On other systems, and with a kernel that refuses, it is a
    /// [`secret_file`](Self::secret_file).
    pub fn secret_file_to_reread(mut self, bytes: impl Into<Secret>) -> Self {
        self.secret_file = Some((bytes.into(), FileUse::AnyNumber));
        self
    }

    /// Passes the stdin of the process as its descriptor 3, and its stdout as its descriptor 4. Its
    /// stdin is `/dev/null` then, and its stdout goes where its stderr does.
    ///
    /// A `/bin/sh` moves the descriptors and becomes the program. Has no effect together with a
    /// [`secret_file`](Self::secret_file).
    pub fn pass_descriptors(mut self) -> Self {
        self.passes_descriptors = true;
        self
    }

    /// Makes the stdin of a process that is [driven](crate::with_process) a pseudo terminal of this
    /// size. What its source gives is typed there, without changes. The end of the source is not
    /// passed on, because a terminal has none.
    ///
    /// Its outputs stay pipes. The terminal is not the controlling one of the process.
    pub fn stdin_terminal(mut self, size: TerminalSize) -> Self {
        self.stdin_terminal = Some(size);
        self
    }

    /// Sets a function that redacts further words of the command in texts. Secrets given as such
    /// are already `<redacted>` in its input. The started command does not change.
    pub fn redact_with(mut self, redact_with: RedactFn) -> Self {
        self.redact_with = Some(redact_with);
        self
    }

    /// Returns the number of arguments, without the program's name.
    pub fn argument_count(&self) -> usize {
        self.arguments.len()
    }

    /// Returns the program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Returns the arguments in the clear, for the start.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &OsStr> {
        self.arguments.iter().map(SpecValue::expose)
    }

    /// Returns the changes to the environment, in their order.
    pub(crate) fn environment(&self) -> &[EnvChange] {
        &self.environment
    }

    /// Returns the directory to start in.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Returns the contents of its secret file, and how often it is read.
    pub(crate) fn secret_bytes(&self) -> Option<&(Secret, FileUse)> {
        self.secret_file.as_ref()
    }

    /// Whether it gets descriptors 3 and 4.
    pub(crate) fn passes_descriptors(&self) -> bool {
        self.passes_descriptors
    }

    /// Returns the size of the terminal that is its stdin.
    pub(crate) fn terminal_size(&self) -> Option<TerminalSize> {
        self.stdin_terminal
    }

    fn change(mut self, change: EnvChange) -> Self {
        self.environment.push(change);
        self
    }
}

impl SpecValue {
    pub(crate) fn expose(&self) -> &OsStr {
        match self {
            Self::Plain(plain) => plain,
            Self::Secret(secret) => secret.expose(),
        }
    }

    /// Returns the part of it that a text may show.
    fn redacted(&self) -> &OsStr {
        match self {
            Self::Plain(plain) => plain,
            Self::Secret(_) => OsStr::new(MASK),
        }
    }
}

/// Quotes a word for a shell; the mask stays as it is.
fn shell_quoted(word: &OsStr) -> Cow<'_, str> {
    if word == MASK {
        return Cow::Borrowed(MASK);
    }
    match shlex::bytes::Quoter::new().allow_nul(true).quote(word.as_bytes()) {
        Ok(Cow::Borrowed(bytes)) => String::from_utf8_lossy(bytes),
        Ok(Cow::Owned(bytes)) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        // Quoting refuses only a NUL, which is allowed here: this text is read, not run.
        Err(_) => word.to_string_lossy(),
    }
}

impl fmt::Display for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assignments: Vec<OsString> = self
            .environment
            .iter()
            .filter_map(|change| match change {
                EnvChange::Set(name, value) => {
                    Some([name, OsStr::new("="), value.redacted()].into_iter().collect())
                }
                EnvChange::Clear | EnvChange::Remove(_) => None,
            })
            .collect();
        let program = self.program.path().as_os_str();
        let words = assignments.iter().map(OsString::as_os_str).chain([program]);
        let words: Vec<&OsStr> = words.chain(self.arguments.iter().map(SpecValue::redacted)).collect();
        let shown = match self.redact_with {
            Some(redact_with) => redact_with(&words),
            None => words.iter().map(|word| Cow::Borrowed(*word)).collect(),
        };
        for (place, word) in shown.iter().enumerate() {
            let blank = if place == 0 { "" } else { " " };
            let equals = word.as_bytes().iter().position(|byte| *byte == b'=');
            match equals.filter(|_| place < assignments.len()) {
                // Name and value are quoted separately, as in a shell's assignment.
                Some(equals) => {
                    let (name, value) = word.as_bytes().split_at(equals);
                    let (name, value) = (OsStr::from_bytes(name), OsStr::from_bytes(&value[1..]));
                    write!(f, "{blank}{}={}", shell_quoted(name), shell_quoted(value))?;
                }
                None => write!(f, "{blank}{}", shell_quoted(word))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSpec")
            .field("command", &format_args!("{self}"))
            .field("current_dir", &self.directory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_show_the_command_and_no_secret() {
        let spec = ProcessSpec::new(&Program::find("/bin/sh").unwrap())
            .env_clear()
            .env("A", "b c")
            .secret_env("TOKEN", Secret::new("hunter2"))
            .args(["-c", "echo 'x'"])
            .secret_arg(&Secret::new("swordfish"))
            .arg("");
        assert_eq!(spec.to_string(), r#"A='b c' TOKEN=<redacted> /bin/sh -c "echo 'x'" <redacted> ''"#);
        for text in [spec.to_string(), format!("{spec:?}"), format!("{spec:#?}")] {
            assert!(!text.contains("hunter2") && !text.contains("swordfish"), "{text}");
        }
        assert_eq!(spec.argument_count(), 4);
    }

    #[test]
    fn texts_show_what_the_owner_of_the_words_makes_of_them() {
        fn uppercased<'a>(words: &'a [&'a OsStr]) -> Vec<Cow<'a, OsStr>> {
            words.iter().map(|word| Cow::Owned(word.to_ascii_uppercase())).collect()
        }
        let spec = ProcessSpec::new(&Program::find("/bin/sh").unwrap())
            .env("a", "b c")
            .args(["x y"])
            .secret_arg(&Secret::new("hunter2"))
            .redact_with(uppercased);
        assert_eq!(spec.to_string(), "A='B C' /BIN/SH 'X Y' '<REDACTED>'");
        assert_eq!(spec.arguments().collect::<Vec<_>>(), ["x y", "hunter2"]);
    }
}
