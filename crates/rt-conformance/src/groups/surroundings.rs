//! Surroundings: the environment of a command before it does anything. It is the container's, and
//! contains nothing of the caller's.

use rt_protocol::{Capability, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, Sink, Source};

use crate::ensure::{never_started, refused};
use crate::required::RUN;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Surroundings, run).needs(&[Need::System]).core()
}

const fn launched(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Surroundings, run)
        .needs(&[Need::Shell])
        .can(RUN)
        .can(&[Capability::ExecEnv, Capability::ExecSecretEnv])
}

pub(super) const CASES: &[Case] = &[
    fact("surroundings: an empty stdin is a character device at its end", empty_stdin),
    fact("surroundings: files are made with the umask 022", umask),
    fact("surroundings: no signal is ignored or blocked", signals),
    fact("surroundings: HOME is that of the user", home),
    fact("surroundings: PWD is the working directory, and no other one is told", workdir),
    fact("surroundings: the group of the user is among its groups", groups),
    fact("surroundings: the limits let a program work", limits),
    launched(
        "surroundings: the image's variables lie below the launch's, and these below the request's",
        layers,
    ),
    launched("surroundings: every value that a launch sets arrives as it is", launch_values),
    launched("surroundings: the locale is the launch's, or the request's own", locale),
    launched("surroundings: programs are found by the launch's PATH", launch_path).needs(&[Need::System]),
    fact("surroundings: the longest word arrives, and a longer one is an invalid request", longest_word),
    Case::new(
        "surroundings: words that are too many together are an invalid request",
        Group::Surroundings,
        too_many_words,
    )
    .needs(&[Need::System]),
    fact("surroundings: an error over the working directory names it", bad_workdir),
    fact("surroundings: no variable of the caller's process reaches a command", callers_variables),
];

/// Returns the output of a shell script, which must end with 0.
fn said(context: &TestContext<'_>, text: &str) -> Result<String, Failure> {
    let result = context.standing()?.exec(&ExecRequest::new(["sh", "-c", text])?, &timeout())?;
    ensure!(
        result.outcome == ExitOutcome::Code(0),
        "{text} ended with {}: {}",
        result.outcome,
        result.stderr
    )?;
    Ok(result.stdout.text().into_owned())
}

/// Programs check this: `rg` and `grep -r` search the directory if stdin is a device, and read
/// stdin if it is a pipe.
fn empty_stdin(context: &TestContext<'_>) -> Verdict {
    const TEXT: &str = "if [ -c /proc/self/fd/0 ]; then printf device; fi; cat";
    ensure_eq!(said(context, TEXT)?, "device", "the stdin of a captured command")?;
    if context.can(Capability::ExecStdio) {
        let mut stdout = Vec::new();
        let streams = ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout));
        context
            .standing()?
            .exec_stdio(&ExecRequest::new(["sh", "-c", TEXT])?, streams, &timeout())?
            .exit_ok()?;
        ensure_eq!(String::from_utf8_lossy(&stdout), "device", "the stdin of a bridged command")?;
    }
    Ok(())
}

fn umask(context: &TestContext<'_>) -> Verdict {
    ensure_eq!(said(context, "umask")?.trim().trim_start_matches('0'), "22", "the umask")
}

/// An ignored signal stays ignored in every program that is started. A pipeline whose reader has
/// gone would then run forever.
fn signals(context: &TestContext<'_>) -> Verdict {
    // The C library reserves 32 and 33.
    const STANDARD: u64 = 0x7fff_ffff;
    // Not a shell, because shells ignore some signals themselves.
    let status = said(context, "exec cat /proc/self/status")?;
    let masks: Vec<&str> =
        status.lines().filter(|line| line.starts_with("SigIgn:") || line.starts_with("SigBlk:")).collect();
    ensure_eq!(masks.len(), 2, "how many masks there are")?;
    for line in masks {
        let mask =
            line.rsplit(char::is_whitespace).next().and_then(|mask| u64::from_str_radix(mask, 16).ok());
        ensure_eq!(mask.map(|mask| mask & STANDARD), Some(0), line)?;
    }
    Ok(())
}

fn home(context: &TestContext<'_>) -> Verdict {
    let text = "user=$(id -u); while IFS=: read -r _ _ number _ _ home _; do \
                if [ \"$number\" = \"$user\" ]; then printf '%s ' \"$home\"; break; fi; done </etc/passwd; printf %s \"$HOME\"";
    let homes = said(context, text)?;
    let (listed, seen) = homes.split_once(' ').unwrap_or(("/", &homes));
    ensure_eq!(seen, listed, "HOME")
}

fn workdir(context: &TestContext<'_>) -> Verdict {
    let told = said(context, "printf '%s %s %s' \"$PWD\" \"$(pwd -P)\" \"${OLDPWD-none}\"")?;
    let words: Vec<&str> = told.split(' ').collect();
    ensure!(words.len() == 3 && words[0] == words[1] && words[2] == "none", "PWD, pwd, OLDPWD: {told}")
}

fn groups(context: &TestContext<'_>) -> Verdict {
    let told = said(context, "id -g; id -G")?;
    let (group, all) = told.split_once('\n').unwrap_or_default();
    ensure!(all.split_whitespace().any(|one| one == group), "group {group} is not among {all}")
}

fn limits(context: &TestContext<'_>) -> Verdict {
    // Processor time and size of a file; open files; the stack in KiB.
    let told = said(context, "for limit in t f n s; do ulimit -$limit; done")?;
    let limits: Vec<u64> = told.lines().map(|line| line.trim().parse().unwrap_or(u64::MAX)).collect();
    ensure_eq!(limits.len(), 4, "how many limits there are")?;
    ensure!(limits[0] == u64::MAX && limits[1] == u64::MAX, "time and file sizes are limited: {told}")?;
    ensure!(limits[2] >= 256 && limits[3] >= 1024, "files and stack: {told}")
}

fn callers_variables(context: &TestContext<'_>) -> Verdict {
    let told = said(context, "env")?;
    let seen: Vec<&str> = told.lines().collect();
    // Variables that are set everywhere, to the same values; `container` if the caller is in one
    // itself.
    let usual = [
        "PATH",
        "HOME",
        "PWD",
        "SHLVL",
        "TERM",
        "USER",
        "LOGNAME",
        "SHELL",
        "MAIL",
        "LANG",
        "container",
        "_",
    ];
    for (name, value) in std::env::vars().filter(|(name, _)| !usual.contains(&name.as_str())) {
        ensure!(!seen.contains(&&*format!("{name}={value}")), "{name} is the caller's")?;
    }
    Ok(())
}

fn layers(context: &TestContext<'_>) -> Verdict {
    let image = context.fixture().image_variable();
    let name = image.map_or("RT_LAYER", |(name, _)| name);
    let read = Script::Variable(name.into());
    if let Some((_, value)) = image {
        ensure_eq!(TestContext::text_in(context.standing()?.as_ref(), &read)?, value, "the image's value")?;
    }
    for is_secret in [false, true] {
        let spec = context.launch_spec(&context.name()?);
        let spec = if is_secret { spec.secret_env(name, "launch") } else { spec.env(name, "launch") };
        let container = context.started_from(spec)?;
        ensure_eq!(TestContext::text_in(container.as_ref(), &read)?, "launch", "the launch's value")?;
        for request in
            [context.builder(&read).env(name, "request"), context.builder(&read).secret_env(name, "request")]
        {
            let result = container.exec(&request.build()?, &timeout())?;
            ensure_eq!(result.stdout.text(), "request", "the request's value")?;
        }
    }
    Ok(())
}

fn launch_values(context: &TestContext<'_>) -> Verdict {
    const VALUES: [&str; 6] =
        ["", " a  b ", "two\nlines\n", "it's \"$(id)\" `id` $HOME \\n", "a=b=c", "\u{e4}\u{20ac}"];
    let name = |kind: char, number: usize| format!("RT_{kind}{number}");
    let mut spec = context.launch_spec(&context.name()?);
    for (number, value) in VALUES.into_iter().enumerate() {
        spec = spec.env(name('P', number), value).secret_env(name('S', number), value);
    }
    let container = context.started_from(spec)?;
    for (number, value) in VALUES.into_iter().enumerate() {
        for kind in ['P', 'S'] {
            let seen = TestContext::text_in(container.as_ref(), &Script::Variable(name(kind, number)))?;
            ensure_eq!(seen, value, &name(kind, number))?;
        }
    }
    Ok(())
}

/// Logins and start-up files may set one, too.
fn locale(context: &TestContext<'_>) -> Verdict {
    const NAMES: [&str; 2] = ["LANG", "LC_ALL"];
    let spec = context.launch_spec(&context.name()?);
    let spec = NAMES.into_iter().fold(spec, |spec, name| spec.env(name, "C.UTF-8"));
    let container = context.started_from(spec)?;
    for name in NAMES {
        let read = Script::Variable(name.into());
        ensure_eq!(TestContext::text_in(container.as_ref(), &read)?, "C.UTF-8", name)?;
        let request = context.builder(&read).env(name, "C").build()?;
        ensure_eq!(container.exec(&request, &timeout())?.stdout.text(), "C", name)?;
    }
    Ok(())
}

fn launch_path(context: &TestContext<'_>) -> Verdict {
    const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let directory = context.guest_path()?;
    let spec = context.launch_spec(&context.name()?).env("PATH", format!("{directory}:{USUAL}"));
    let container = context.started_from(spec)?;
    let text = "mkdir \"$1\" && printf '#!/bin/sh\\nprintf found' >\"$1/rt-only-here\" && chmod 755 \"$1/rt-only-here\"";
    let words = ["sh", "-c", text, "sh", &directory.to_string()];
    let made = container.exec(&ExecRequest::new(words)?, &timeout())?;
    ensure!(made.success(), "the program cannot be made: {}", made.stderr)?;
    let result = container.exec(&ExecRequest::new(["rt-only-here"])?, &timeout())?;
    ensure_eq!(result.stdout.text(), "found", "what the program says")
}

/// `MAX_ARG_STRLEN` of Linux is 32 pages, including the byte that ends an argument. Pages have 4
/// KiB or more.
fn longest_word(context: &TestContext<'_>) -> Verdict {
    let longest = (128 << 10) - 1;
    let seen = TestContext::text_in(context.standing()?.as_ref(), &Script::Length("x".repeat(longest)))?;
    ensure_eq!(seen, longest.to_string(), "the length of the longest word")?;
    let longer = Script::Length("x".repeat(longest + 1));
    let result = context.standing()?.exec(&context.request(&longer)?, &timeout());
    // A system with larger pages accepts it, and so does a shell that starts no program for its own
    // commands.
    match result {
        Ok(result) => {
            ensure_eq!(result.stdout.text(), (longest + 1).to_string(), "the length of a longer word")?;
        }
        Err(error) => {
            ensure_eq!(error.kind(), ErrorKind::InvalidRequest, "the error of a longer word")?;
            ensure!(error.never_started(), "the command may have run: {error:?}")?;
        }
    }
    Ok(())
}

fn too_many_words(context: &TestContext<'_>) -> Verdict {
    // Linux accepts a quarter of the stack, which mostly has 8 MiB, and never more than 6 MiB. The
    // program is called by its path, since a shell of BusyBox starts no program for its own
    // commands.
    let word = "x".repeat(100_000);
    let words = ["/bin/sh", "-c", "exit 0", "sh"].into_iter().chain([word.as_str(); 64]);
    let request = ExecRequest::new(words)?;
    never_started(&refused(context.standing()?.exec(&request, &timeout()), ErrorKind::InvalidRequest)?)
}

fn bad_workdir(context: &TestContext<'_>) -> Verdict {
    let path = "/rt/no/such/directory";
    let request = ExecRequest::builder(["true"]).workdir(path).build()?;
    let error = refused(context.standing()?.exec(&request, &timeout()), ErrorKind::BadWorkdir)?;
    ensure!(error.to_string().contains(path), "the error names no directory: {error}")
}
