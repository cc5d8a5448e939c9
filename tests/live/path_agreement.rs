//! The two paths of commands agree: everything that a command can see, and everything that is said
//! of it.
//!
//! They differ by nature in a few things ([`DIFFERENCES`]).

use std::collections::BTreeMap;

use rt_podman::ExecPath;
use rt_protocol::{Container, ContainerRuntime, Error, ExecRequest, ExecResult, Result};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};
use crate::warm_container::minute;

pub(crate) const CASES: &[Case] = &[
    ("path agreement: a command sees the same by either path, whatever its container and user", sights),
    ("path agreement: the same is said of a command by either path", answers),
];

/// What a command can see of itself.
const SIGHTS: &[(&str, &str)] = &[
    (
        "status",
        "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|SigPnd|SigBlk|SigCgt|Shd|Umask|Speculation|Cpus|Mems|CoreD|Threads)' /proc/self/status",
    ),
    ("ignored signals", "grep ^SigIgn /proc/self/status"),
    ("environment", "env | grep -v '^RT_EXEC_ID=' | sort; env | grep -c '^RT_EXEC_ID='"),
    ("order of the environment", "tr '\\0' '\\n' </proc/self/environ | cut -d= -f1"),
    ("limits", "ulimit -a; cat /proc/self/limits"),
    ("cgroup", "cat /proc/self/cgroup"),
    ("namespaces", "for ns in /proc/self/ns/*; do readlink $ns; done"),
    ("id", "id; id -u; id -g; id -G"),
    ("umask and directory", "umask; pwd; readlink /proc/self/cwd; readlink /proc/self/root"),
    ("kind of stdin", "readlink /proc/self/fd/0; for n in 0 1 2; do test -t $n; echo $?; done; cat | wc -c"),
    ("kinds of outputs", "for n in 1 2; do stat -L -c %F /proc/self/fd/$n; done"),
    ("descriptors", "ls /proc/self/fd"),
    (
        "scheduling",
        "cat /proc/self/oom_score_adj /proc/self/timerslack_ns; cut -d' ' -f18,19,40,41 /proc/self/stat",
    ),
    ("labels", "cat /proc/self/attr/current /proc/self/loginuid /proc/self/sessionid 2>&1"),
    ("session", "test $(cut -d' ' -f6 /proc/$$/stat) = $$; echo $?"),
    ("terminal", "cut -d' ' -f7 /proc/self/stat"),
    ("mounts and names", "cut -d' ' -f4- /proc/self/mountinfo; hostname; cat /proc/self/uid_map"),
    ("keyring", "cat /proc/keys 2>/dev/null | wc -l"),
];

/// Arguments of containers.
const SETTINGS: &[&[&str]] = &[
    &[],
    &["--user=dev"],
    &["--user=1234:4321", "--group-add=77"],
    &["--cap-drop=all"],
    &["--cap-add=NET_ADMIN", "--security-opt=no-new-privileges"],
    &["--read-only", "--workdir=/tmp"],
    &["--init", "--env=A=1", "--env=PATH=/bin:/usr/bin:/nowhere"],
    &["--security-opt=seccomp=unconfined", "--hostname=other"],
    &["--umask=0077"],
    &["--pid=host"],
    &["--oom-score-adj=500"],
    &["--unsetenv=HOME", "--tmpfs=/run"],
];

const USERS: &[Option<&str>] = &[None, Some("dev"), Some("0"), Some("4242:4343")];

/// What differs by nature: the sight or the command, and why. The docs of [`ExecPath`] have the
/// same list.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "session",
        "a command of the warm path leads a session of its own; crun starts one for several processes",
    ),
    ("ignored signals", "crun leaves signal 32 ignored, which its own libc uses"),
    ("signal", "podman has a code for both: 143 may be TERM or `exit 143`"),
    ("signal KILL", "the same"),
    (
        "a broken program",
        "crun has begun when its execve fails, so that podman has a code and text of crun's",
    ),
    ("a script without its first line", "the same"),
    ("no interpreter", "the same"),
    ("a directory without permission", "crun enters the directory before it becomes the user"),
    ("no permission", "crun finds the program before it becomes the user"),
    ("by the working directory", "crun puts the working directory before a relative path"),
    ("a path that leads round", "podman's words are of no known kind; the agent has the error of execve"),
    ("below a file", "the same"),
];

/// As [`DIFFERENCES`], with runc (1.1.5).
const DIFFERENCES_OF_RUNC: &[(&str, &str)] = &[(
    "limits",
    "runc's own limit of open files, which Go raises, reaches some commands on either path, and not the next",
)];

/// A container by both paths.
struct Paths<'a> {
    _sandbox: Sandbox<'a>,
    cold: std::sync::Arc<dyn Container>,
    warm: std::sync::Arc<dyn Container>,
}

impl<'a> Paths<'a> {
    fn of(live: &'a Live, arguments: &[&str]) -> Result<Self> {
        let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(arguments.iter().copied());
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        let by = |path| Ok(live.builder().exec_path(path).build()?.container(&sandbox.name));
        let (cold, warm): (Result<_>, Result<_>) = (by(ExecPath::Cold), by(ExecPath::Warm));
        Ok(Self { cold: cold?, warm: warm?, _sandbox: sandbox })
    }

    /// What both paths answer to a request, in words.
    fn answers(&self, request: &ExecRequest) -> [String; 2] {
        [&self.cold, &self.warm].map(|container| described(container.exec(request, &minute())))
    }
}

/// Everything of an answer but its time.
fn described(answer: Result<ExecResult>) -> String {
    match answer {
        Ok(result) => format!("{:?}\n{:?}\n{:?}", result.outcome, result.stdout, result.stderr),
        Err(error) => described_error(&error),
    }
}

/// All that a program can act on; the words are each path's own.
fn described_error(error: &Error) -> String {
    format!("{:?}, never started: {}, hint: {:?}", error.kind(), error.never_started(), error.hint())
}

/// Differences that no reason is known for.
fn assert_explained(live: &Live, differences: &BTreeMap<String, [String; 2]>) -> Outcome {
    let of_runc = if live.has_runc()? { DIFFERENCES_OF_RUNC } else { &[] };
    let is_known = |about: &String| {
        DIFFERENCES.iter().chain(of_runc).any(|(known, _)| about.split(':').next() == Some(known))
    };
    let unknown = differences.iter().filter(|(about, _)| !is_known(about));
    let words: Vec<_> =
        unknown.map(|(about, [cold, warm])| format!("\n{about}\n  cold: {cold}\n  warm: {warm}")).collect();
    assert!(words.is_empty(), "{}", words.concat());
    Ok(())
}

fn sights(live: &Live) -> Outcome {
    let mut differences = BTreeMap::new();
    let mut count = 0;
    for arguments in SETTINGS {
        let paths = match Paths::of(live, arguments) {
            // Some ask for more than every host gives.
            Err(error) if !arguments.is_empty() => {
                println!("    {arguments:?}: {error}");
                continue;
            }
            launched => launched?,
        };
        count += 1;
        for user in USERS {
            // All in one command, because a cold one takes long.
            let scripts: Vec<_> =
                SIGHTS.iter().map(|(name, script)| format!("echo '%% {name}'; {script}\n")).collect();
            let script = scripts.concat();
            let mut request = ExecRequest::builder(["sh", "-c", &script]).env("GIVEN", "a b");
            if let Some(user) = user {
                request = request.user(*user);
            }
            let request = request.build()?;
            let [cold, warm] =
                [&paths.cold, &paths.warm].map(|container| container.exec(&request, &minute()));
            let parts = |result: Result<ExecResult>| -> Result<Vec<String>> {
                let result = result?.exit_ok()?;
                assert_eq!(result.stderr.text(), "", "{arguments:?}, {user:?}");
                Ok(result.stdout.text().split("%% ").map(str::to_owned).collect())
            };
            let (cold, warm) = (parts(cold)?, parts(warm)?);
            assert_eq!((cold.len(), warm.len()), (SIGHTS.len() + 1, SIGHTS.len() + 1));
            for (cold, warm) in cold.into_iter().zip(warm).filter(|(cold, warm)| cold != warm) {
                let name = cold.lines().next().unwrap_or_default().to_owned();
                let lines = |one: &str, other: &str| -> String {
                    one.lines()
                        .filter(|line| !other.lines().any(|known| known == *line))
                        .collect::<Vec<_>>()
                        .join(" | ")
                };
                differences.insert(
                    format!("{name}: {arguments:?}, {user:?}"),
                    [lines(&cold, &warm), lines(&warm, &cold)],
                );
            }
        }
    }
    assert!(count >= 8, "{count} containers");
    assert_explained(live, &differences)
}

/// What it is called here, its words, the directory that it asks for, and the user.
type Command = (&'static str, &'static [&'static str], Option<&'static str>, Option<&'static str>);

const COMMANDS: &[Command] = &[
    ("success", &["true"], None, None),
    ("code 1", &["false"], None, None),
    ("output", &["sh", "-c", "printf 'a\\000b\\377'; printf c >&2; exit 3"], None, None),
    ("code 125", &["sh", "-c", "exit 125"], None, None),
    ("code 126", &["sh", "-c", "exit 126"], None, None),
    ("code 127", &["sh", "-c", "exit 127"], None, None),
    ("code 137", &["sh", "-c", "exit 137"], None, None),
    ("code 255", &["sh", "-c", "echo 'Error: no such container' >&2; exit 255"], None, None),
    ("signal", &["sh", "-c", "kill -TERM $$"], None, None),
    ("signal KILL", &["sh", "-c", "kill -KILL $$"], None, None),
    (
        "arguments",
        &["printf", "%s|", "", " ", "-n", "--", "$HOME", "'", "\"", "\\", "\n", "é", "=", "a=b"],
        None,
        None,
    ),
    ("stdin", &["cat"], None, None),
    ("a large output", &["sh", "-c", "seq 1 100000"], None, None),
    ("a background child", &["sh", "-c", "sleep 2 & echo done"], None, None),
    ("no such command", &["nosuchcommand"], None, None),
    ("no such file", &["/no/such/command"], None, None),
    ("below a file", &["/etc/passwd/command"], None, None),
    ("not executable", &["/etc/passwd"], None, None),
    ("a directory", &["/etc"], None, None),
    ("no interpreter", &["/tmp/lost"], None, None),
    ("a script without its first line", &["/tmp/plain"], None, None),
    ("a broken program", &["/tmp/broken"], None, None),
    ("a path that leads round", &["/tmp/round"], None, None),
    ("no permission", &["/tmp/closed/true"], None, Some("dev")),
    ("by the working directory", &["./tmp/script"], None, None),
    ("a relative name of a script", &["script"], Some("/tmp"), None),
    ("a directory that is not there", &["true"], Some("/no/such"), None),
    ("a directory that is a file", &["true"], Some("/etc/passwd"), None),
    ("a directory without permission", &["pwd"], Some("/tmp/closed"), Some("dev")),
    ("a directory behind a link", &["pwd"], Some("/tmp/link"), None),
    ("a directory that was made again", &["pwd"], Some("/tmp/again"), None),
    ("an unknown user", &["true"], None, Some("nosuchuser")),
    ("an unknown group", &["true"], None, Some("0:nosuchgroup")),
    ("an unknown number", &["id"], None, Some("31337")),
];

fn answers(live: &Live) -> Outcome {
    const PREPARATION: &str = "cd /tmp; mkdir closed again; cp /bin/busybox closed/true; chmod 700 closed; ln -s /etc link
printf '#!/no/interpreter\\n' >lost; printf 'echo plain\\n' >plain; printf '#!/bin/sh\\necho \"$0\"\\n' >script
printf '\\177ELFbroken' >broken; ln -s round round; chmod +x lost plain script broken";
    let paths = Paths::of(live, &[])?;
    paths.cold.exec(&ExecRequest::new(["sh", "-c", PREPARATION])?, &minute())?.exit_ok()?;
    let mut differences = BTreeMap::new();
    for (name, argv, workdir, user) in COMMANDS {
        let mut request = ExecRequest::builder(argv.iter().copied());
        if let Some(workdir) = workdir {
            request = request.workdir(*workdir);
        }
        if let Some(user) = user {
            request = request.user(*user);
        }
        let [cold, warm] = paths.answers(&request.build()?);
        if cold != warm {
            differences.insert((*name).to_owned(), [cold, warm]);
        }
    }
    assert_explained(live, &differences)
}
