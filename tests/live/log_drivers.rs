//! Logs of other drivers than podman's files: the journal, and those that keep nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rt_podman::PodmanRuntime;
use rt_process::{Child, ChildStdio, ProcessSpec, Program};
use rt_protocol::{
    ContainerName, ErrorKind, ExitOutcome, KILL_GRACE, LogLine, LogOptions, OutputStream, Pull, PullStream,
    Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::logs::until;

pub(crate) const CASES: &[Case] = &[
    ("logs: a driver that keeps nothing is refused, and a container of it serves", without_a_log),
    ("logs: a journal that does not run is not an empty log", absent_journal),
];

/// Need a journal of their own.
pub(crate) const JOURNAL_CASES: &[Case] = &[
    ("logs: the journal of a container that has ended is read whole", journal),
    ("logs: a follower of a journal loses nothing in silence", follow_journal),
];

const JOURNALD: &str = "/lib/systemd/systemd-journald";

/// A journal, and a podman that logs to it, in a mount namespace of their own: this machine's
/// journal, if it has one, is not touched.
struct Journal {
    runtime: PodmanRuntime,
    journald: Child,
    _directory: TempDir,
}

const START_JOURNAL: &str = r#"set -e
mkdir -p /run/systemd /run/log
mount -t tmpfs tmpfs /run/systemd
mount -t tmpfs tmpfs /run/log
mkdir -p /run/systemd/journal /run/log/journal
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nReadKMsg=no\nForwardToSyslog=no\n' >/run/systemd/conf
mkdir -p /etc/systemd
test -e /etc/systemd/journald.conf && mount --bind /run/systemd/conf /etc/systemd/journald.conf
echo 0123456789abcdef0123456789abcdef >/run/systemd/id
mount --bind /run/systemd/id /etc/machine-id
exec "$0" >/dev/null 2>&1
"#;

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.journald.end(KILL_GRACE);
    }
}

/// Why there can be none.
pub(crate) fn obstacle(live: &Live) -> Option<String> {
    if live.runtime.profile().is_ok_and(|profile| profile.rootless != Some(false)) {
        return Some("only root can give a journal a mount namespace of its own".into());
    }
    (!Path::new(JOURNALD).exists()).then(|| format!("there is no {JOURNALD}"))
}

impl Journal {
    fn start(live: &Live) -> Result<Self, Problem> {
        let directory = TempDir::new()?;
        let spec = ProcessSpec::new(&Program::find("unshare")?).args([
            "--mount",
            "--propagation=private",
            "--",
            "sh",
            "-c",
            START_JOURNAL,
            JOURNALD,
        ]);
        let stdio = ChildStdio { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null() };
        let journald = Child::spawn(&spec, stdio)?;
        let socket = format!("/proc/{}/root/run/systemd/journal/socket", journald.pid());
        let patience = until();
        while !Path::new(&socket).exists() {
            patience.check().map_err(|_| "journald does not come up")?;
            std::thread::sleep(Duration::from_millis(20));
        }
        let wrapper = directory.path().join("podman");
        let script = format!(
            "#!/bin/sh\nexec nsenter --mount=/proc/{}/ns/mnt -- '{}' --events-backend=journald \"$@\"\n",
            journald.pid(),
            live.podman.display()
        );
        std::fs::write(&wrapper, script)?;
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
        let runtime = live.builder().binary(&wrapper).build()?;
        Ok(Self { runtime, journald, _directory: directory })
    }

    fn launch(&self, live: &Live, script: &str) -> Result<Sandbox<'_>, Problem> {
        let spec = Sandbox::spec(live).extra_args(["--log-driver=journald"]).command(["sh", "-c", script]);
        Ok(Sandbox::launch(&self.runtime, spec)?)
    }
}

type Read = (Vec<LogLine>, rt_protocol::Result<Pull<LogLine>>);

fn read_to_end(log: &mut dyn PullStream<LogLine>) -> Read {
    let mut found = Vec::new();
    loop {
        match log.pull(&until()) {
            Ok(Pull::Item(item)) => found.push(item),
            other => return (found, other),
        }
    }
}

fn texts(found: &[LogLine], stream: OutputStream) -> Vec<String> {
    found.iter().filter(|line| line.stream == stream).map(|line| line.text().into_owned()).collect()
}

const MANY: &str = "seq 1 5000; echo e >&2; head -c 20000 /dev/zero | tr '\\0' z; echo; printf end";

fn expected() -> Vec<String> {
    let numbers = (1..=5000).map(|number: u32| number.to_string());
    numbers.chain(["z".repeat(20_000), "end".into()]).collect()
}

fn is_whole(found: &[LogLine]) -> bool {
    texts(found, OutputStream::Stdout) == expected() && texts(found, OutputStream::Stderr) == ["e"]
}

fn journal(live: &Live) -> Outcome {
    let journal = Journal::start(live)?;
    let sandbox = journal.launch(live, MANY)?;
    let _ = sandbox.container.wait(&until())?;
    for options in [LogOptions::new(), LogOptions::new().follow()] {
        let mut log = sandbox.container.logs(&options, &until())?;
        let (found, end) = read_to_end(log.as_mut());
        assert!(is_whole(&found), "{options:?}: {} lines", found.len());
        assert_eq!(end?, Pull::End, "{options:?}");
    }
    let readiness =
        sandbox.container.stream_initial_logs(&mut |line| line == "end", &mut std::io::sink(), &until())?;
    assert!(readiness.is_ready(), "{readiness:?}");
    Ok(())
}

fn follow_journal(live: &Live) -> Outcome {
    let journal = Journal::start(live)?;
    for options in [LogOptions::new(), LogOptions::new().tail(10), LogOptions::new().timestamps()] {
        let script = format!("echo 0; while [ ! -e /tmp/go ]; do sleep 0.1; done; {MANY}");
        let sandbox = journal.launch(live, &script)?;
        let mut log = sandbox.container.logs(&options.clone().follow(), &Until::forever())?;
        let Pull::Item(first) = log.pull(&until())? else { panic!("no line") };
        assert_eq!(first.text(), "0");
        let _ = sandbox.sh("touch /tmp/go")?;
        let (found, end) = read_to_end(log.as_mut());
        match end {
            Ok(end) => {
                assert!(is_whole(&found), "{options:?}: {} lines", found.len());
                assert_eq!(end, Pull::End);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Incomplete, "{error}"),
        }
    }
    Ok(())
}

/// podman 5 and 6 start such a container, and return an empty log.
fn absent_journal(live: &Live) -> Outcome {
    if live.runtime.profile()?.version.major < 5 || Path::new("/run/systemd/journal/socket").exists() {
        return Ok(());
    }
    let spec = Sandbox::spec(live).extra_args(["--log-driver=journald"]).command(["sh", "-c", "echo a"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let _ = sandbox.container.wait(&until())?;
    for options in [LogOptions::new(), LogOptions::new().follow(), LogOptions::new().tail(1)] {
        let mut log = sandbox.container.logs(&options, &until())?;
        let (found, end) = read_to_end(log.as_mut());
        let error = end.unwrap_err();
        assert_eq!((found.len(), error.kind()), (0, ErrorKind::Incomplete), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("journald")), "{error}");
    }
    Ok(())
}

fn without_a_log(live: &Live) -> Outcome {
    let spec = |driver| Sandbox::spec(live).extra_args([format!("--log-driver={driver}")]);
    let passed = Sandbox::create(&live.runtime, spec("passthrough").command(["true"])).unwrap_err();
    assert_eq!(passed.kind(), ErrorKind::InvalidRequest, "{passed}");
    let sandbox = Sandbox::launch(&live.runtime, spec("none").command(["sh", "-c", "echo a; sleep 777777"]))?;
    let name = Sandbox::fresh_name();
    live.plain(&["create", "--name", &name, "--log-driver=passthrough", live.image.as_str(), "true"])?;
    let other = Sandbox::known(&live.runtime, &ContainerName::new(name)?);
    assert_eq!(sandbox.sh("echo b; exit 3")?.outcome, ExitOutcome::Code(3));
    for sandbox in [&sandbox, &other] {
        for options in [LogOptions::new(), LogOptions::new().follow()] {
            let error = sandbox.container.logs(&options, &until()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("--log-driver")), "{error}");
        }
        let mut sign = |_: &str| true;
        let error =
            sandbox.container.stream_initial_logs(&mut sign, &mut std::io::sink(), &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    Ok(())
}
