//! Processes of podman's that others end, stop and freeze at random moments of an exec: no answer
//! is a code that the command did not return, and nothing runs on unseen.
//!
//! Each case prints its seed; `RT_SEED` repeats it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rt_protocol::{
    ContainerExt, ContainerRuntime, ContainerRuntimeExt, Error, ErrorKind, ExecRequest, ExecStdio,
    ExitOutcome, KillOutcome, LaunchSpec, Network, Result, Sink, Source, StdioResult, StreamEnd, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rustix::process::Signal;

use crate::case::{Case, Outcome, Problem};
use crate::processes::{command_line, find, send};
use crate::random::Random;

pub(crate) const CASES: &[Case] = &[
    ("interruption: a client ended during exec tells no code that was not returned", captured),
    ("interruption: a client ended during exec_stdio tells no code that was not returned", bridged),
    ("interruption: a client whose output is held back is not believed", held_back),
    ("interruption: conmon, the OCI runtime or the command is ended during exec", others),
    ("interruption: a client that never came to its command may be sent again", never_started),
    ("interruption: a recreated container is not taken for the one before", recreated),
    ("interruption: a renamed container is not entered by its old name", renamed),
    ("interruption: a restarted container keeps its genuine 137", restarted),
    ("interruption: a program that reaps all children hears the code or the reason", reaped),
];

/// How long one case goes on.
const TIME: Duration = Duration::from_secs(12);

/// One command that says in the container how far it came: a file when it begins, and one when it
/// ends.
struct TrackedCommand {
    token: String,
    code: i32,
    output: usize,
}

impl TrackedCommand {
    fn new(number: usize, random: &mut Random) -> Self {
        let (code, output) = (random.pick(&[0, 0, 1, 2, 7]), random.pick(&[0, 0, 3, 300_000]));
        Self { token: format!("tracked-{}-{number}-", random.state()), code, output }
    }

    fn request(&self, seconds: &str) -> Result<ExecRequest> {
        let Self { token, code, output } = self;
        let script = format!(
            "cat >/dev/null; touch /tmp/{token}b; head -c {output} /dev/zero; sleep {seconds}; touch /tmp/{token}e; exit {code}"
        );
        Ok(ExecRequest::new(["sh", "-c", &script])?)
    }

    /// Whether it began, and whether it came to its end.
    fn progress(&self, sandbox: &Sandbox<'_>) -> Result<(bool, bool)> {
        let script = format!("ls /tmp/{0}b /tmp/{0}e 2>/dev/null; true", self.token);
        let listed = sandbox.sh(&script)?.stdout.text().into_owned();
        Ok((listed.contains(&format!("{}b", self.token)), listed.contains(&format!("{}e", self.token))))
    }

    /// Holds an answer against what has happened.
    fn check(
        &self,
        sandbox: &Sandbox<'_>,
        answer: &Result<(ExitOutcome, usize)>,
        how: &str,
    ) -> std::result::Result<&'static str, Problem> {
        let still =
            || find(false, &[&self.token]).into_iter().filter(|pid| !command_line(*pid).contains("podman"));
        let (began, ended) = self.progress(sandbox)?;
        Ok(match answer {
            Ok((ExitOutcome::Code(code), bytes)) => {
                assert!(began && ended, "{how}: it says {code}, began {began}, ended {ended}");
                assert_eq!((*code, *bytes), (self.code, self.output), "{how}: code and output");
                "code"
            }
            Ok((ExitOutcome::Lost, _)) => {
                assert_eq!(still().count(), 0, "{how}: it runs on");
                "lost"
            }
            Ok((other, _)) => panic!("{how}: {other:?}"),
            Err(error) => {
                Self::check_error(error, began, how);
                let named = error.kill_report().is_some_and(|report| {
                    matches!(report.outcome, KillOutcome::Alive | KillOutcome::Unknown(_))
                });
                assert!(named || still().count() == 0, "{how}: it runs on: {error:?}");
                if error.never_started() { "never started" } else { "failed" }
            }
        })
    }

    fn check_error(error: &Error, began: bool, how: &str) {
        let kinds = [ErrorKind::BackendInterrupted, ErrorKind::BackendFailed, ErrorKind::TimedOut];
        assert!(kinds.contains(&error.kind()), "{how}: {error:?}");
        if error.never_started() {
            assert!(!began, "{how}: it ran: {error:?}");
        } else {
            assert!(error.kill_report().is_some(), "{how}: nothing is said of the command: {error:?}");
        }
    }
}

/// Runs command after command; meanwhile `disturb` may do what it wants, some random time after the
/// client has been started.
fn rounds(
    live: &Live,
    name: &str,
    call: impl Fn(&Sandbox<'_>, &ExecRequest) -> Result<(ExitOutcome, usize)> + Sync,
    disturb: impl Fn(&TrackedCommand, &mut Random) -> String,
) -> Outcome {
    let mut random = Random::new(name);
    let sandbox = Sandbox::idle(live)?;
    let _ = sandbox.sh("true")?;
    let begun = Instant::now();
    let mut counts = std::collections::BTreeMap::new();
    for number in 0.. {
        if begun.elapsed() > TIME {
            break;
        }
        let command = TrackedCommand::new(number, &mut random);
        let request = command.request(random.pick(&["0", "0", "0.2"]))?;
        let done = AtomicBool::new(false);
        let (answer, how) = std::thread::scope(|scope| {
            let answer = scope.spawn(|| {
                let answer = call(&sandbox, &request);
                done.store(true, Ordering::SeqCst);
                answer
            });
            while find(true, &[&command.token]).is_empty() && !done.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let how = disturb(&command, &mut random);
            (answer.join().expect("no panic"), how)
        });
        *counts.entry(command.check(&sandbox, &answer, &how)?).or_insert(0_usize) += 1;
    }
    println!("{name}: {counts:?}");
    assert!(counts.values().sum::<usize>() > 0);
    Ok(())
}

fn end_client(command: &TrackedCommand, random: &mut Random) -> String {
    // Some of podman's signals are handled by podman, some by Go's runtime, some by nobody.
    let signal =
        random.pick(&[Signal::TERM, Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL, Signal::QUIT]);
    let wait = random.below(260);
    std::thread::sleep(Duration::from_millis(wait));
    for client in find(true, &[&command.token]) {
        send(client, signal);
    }
    format!("{signal:?} to the client after {wait} ms, code {}, {} bytes", command.code, command.output)
}

fn run_captured(sandbox: &Sandbox<'_>, request: &ExecRequest) -> Result<(ExitOutcome, usize)> {
    let result = sandbox.container.exec(request, &Until::after(Duration::from_secs(30)))?;
    Ok((result.outcome, result.stdout.as_bytes().len()))
}

fn captured(live: &Live) -> Outcome {
    rounds(live, "exec", run_captured, end_client)
}

fn bridged(live: &Live) -> Outcome {
    let call = |sandbox: &Sandbox<'_>, request: &ExecRequest| {
        let mut stdout = Vec::new();
        let stdio = ExecStdio::new(Source::bytes("words"), Sink::borrowed(&mut stdout));
        let result = sandbox.container.exec_stdio(request, stdio, &Until::after(Duration::from_secs(30)))?;
        Ok((result.outcome, stdout.len()))
    };
    rounds(live, "exec_stdio", call, end_client)
}

/// A sink that takes its time.
struct Slow(usize);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::thread::sleep(Duration::from_millis(150));
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn held_back(live: &Live) -> Outcome {
    // What a pipe and conmon's socket hold, so that the command ends while its output waits; and
    // more.
    const SIZES: [usize; 2] = [120_000, 300_000];
    let sandbox = Sandbox::idle(live)?;
    let _ = sandbox.sh("true")?;
    let waits = [None, Some(300), Some(400), Some(500), Some(600)];
    for (bytes, wait) in SIZES.into_iter().flat_map(|bytes| waits.map(|wait| (bytes, wait))) {
        let how = format!("{bytes} bytes, TERM after {wait:?} ms");
        let token = format!("held-{bytes}-{}-", wait.unwrap_or(0));
        let request = ExecRequest::new(["sh", "-c", &format!(": {token}; head -c {bytes} /dev/zero")])?;
        let mut sink = Slow(0);
        let answer = std::thread::scope(|scope| {
            let answer = scope.spawn(|| {
                let stdio = ExecStdio::new(Source::empty(), Sink::borrowed(&mut sink));
                sandbox.container.exec_stdio(&request, stdio, &Until::after(Duration::from_secs(30)))
            });
            if let Some(wait) = wait {
                std::thread::sleep(Duration::from_millis(wait));
                for client in find(true, &[&token]) {
                    send(client, Signal::TERM);
                }
            }
            answer.join().expect("no panic")
        });
        match answer {
            // The code may be known where the output is not whole.
            Ok(StdioResult { outcome: ExitOutcome::Code(code), stdout, .. }) => {
                assert_eq!(code, 0, "{how}");
                assert!(stdout.end == StreamEnd::Eof || wait.is_some(), "{how}: {:?}", stdout.end);
                assert!(
                    stdout.end != StreamEnd::Eof || sink.0 == bytes,
                    "{how}: {} are called whole",
                    sink.0
                );
            }
            answer => assert!(wait.is_some(), "{how}: {answer:?}"),
        }
    }
    Ok(())
}

fn others(live: &Live) -> Outcome {
    let mut random = Random::new("others");
    let sandbox = Sandbox::idle(live)?;
    let id = sandbox.container.id(Until::forever())?.expect("an id");
    let begun = Instant::now();
    let mut counts = std::collections::BTreeMap::new();
    for number in 0.. {
        if begun.elapsed() > TIME {
            break;
        }
        let command = TrackedCommand::new(number, &mut random);
        let request = command.request(random.pick(&["0", "0.3"]))?;
        let (who, words): (_, [&str; 3]) = random.pick(&[
            ("conmon", ["conmon", "--exec-process-spec", id.as_str()]),
            ("the OCI runtime", [" exec ", "--process", id.as_str()]),
            ("the command", ["sh -c ", "cat >/dev/null", &command.token]),
            ("the client", ["podman", "exec", &command.token]),
        ]);
        let signal = random.pick(&[Signal::KILL, Signal::TERM, Signal::STOP]);
        let wait = random.below(200);
        let how = format!("{signal:?} to {who} after {wait} ms");
        let mut hit = Vec::new();
        let answer = std::thread::scope(|scope| {
            let answer = scope.spawn(|| {
                let result = sandbox.container.exec(&request, &Until::after(Duration::from_secs(3)))?;
                Ok((result.outcome, result.stdout.as_bytes().len()))
            });
            std::thread::sleep(Duration::from_millis(wait));
            hit = find(false, &words)
                .into_iter()
                .filter(|pid| who == "conmon" || !command_line(*pid).contains("conmon"))
                .filter(|pid| who == "the client" || !command_line(*pid).contains("podman exec"))
                .collect();
            for pid in &hit {
                send(*pid, signal);
            }
            answer.join().expect("no panic")
        });
        if signal == Signal::STOP {
            for pid in &hit {
                send(*pid, Signal::CONT);
            }
        }
        let genuine = match (who, signal) {
            ("the command", Signal::KILL) => Some(137),
            // conmon hands it on to the command.
            ("the command" | "conmon", Signal::TERM) => Some(143),
            _ => None,
        };
        let told = match &answer {
            // An agent knows the signal itself.
            Ok((outcome, _)) if genuine.is_some() && outcome.shell_code() == genuine && !hit.is_empty() => {
                "code of a signal"
            }
            answer => command.check(&sandbox, answer, &how)?,
        };
        *counts.entry(told).or_insert(0_usize) += 1;
    }
    println!("others: {counts:?}");
    Ok(())
}

fn never_started(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let _ = sandbox.sh("true")?;
    let mut never = 0;
    for number in 0..8 {
        let file = format!("/tmp/began-{number}");
        let request = ExecRequest::new(["touch", &file])?;
        let answer = std::thread::scope(|scope| {
            let answer =
                scope.spawn(|| sandbox.container.exec(&request, &Until::after(Duration::from_secs(30))));
            // As soon as it can be seen: podman takes some 40 ms until it makes the session.
            while !answer.is_finished() {
                for client in find(true, &[&file]) {
                    send(client, Signal::TERM);
                }
            }
            answer.join().expect("no panic")
        });
        let began = sandbox.sh(&format!("test -e {file}"))?.success();
        match answer {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error:?}");
                assert!(error.never_started() && !began && error.partial().is_some(), "{error:?}");
                never += 1;
            }
            Ok(result) => assert_eq!(result.outcome, ExitOutcome::Lost),
        }
    }
    assert!(never > 0, "no client was ended before its command");
    Ok(())
}

fn recreated(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let _ = sandbox.sh("touch /tmp/first")?;
    // Somebody else: a runtime that shares nothing with the first.
    let other = live.builder().build()?;
    let until = Until::after(Duration::from_secs(60));
    let again = |oci_runtime: Option<&str>| {
        let _ = other.force_remove(std::slice::from_ref(&sandbox.name), &until);
        let spec = LaunchSpec::builder(sandbox.name.as_str(), live.image.as_str()).network(Network::None);
        let spec = match oci_runtime {
            Some(oci_runtime) => spec.oci_runtime(rt_protocol::OciRuntime::new(oci_runtime)?),
            None => spec,
        };
        other.launch(&spec.command(["sleep", "777777"]).build()?, &until)
    };
    again(None)?;
    let result = sandbox.sh("test -e /tmp/first || echo second")?;
    assert_eq!(result.stdout, "second\n");
    again(Some("krun"))?;
    let error = sandbox.sh("true").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    Ok(())
}

fn renamed(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let _ = sandbox.sh("touch /tmp/first")?;
    let aside = Sandbox::fresh_name();
    let podman = rt_process::Program::find(&live.podman)?;
    let spec = rt_process::ProcessSpec::new(&podman).args(["rename", sandbox.name.as_str(), &aside]);
    let limit = rt_protocol::OutputLimit::UNLIMITED;
    let until = Until::after(Duration::from_secs(30));
    rt_process::capture(&spec, Source::empty(), limit, limit, &until)?;
    let _aside = Aside { live, name: rt_protocol::ContainerName::new(aside)? };
    let error = sandbox.sh("true").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error:?}");
    let spec = LaunchSpec::builder(sandbox.name.as_str(), live.image.as_str()).network(Network::None);
    let other = live.builder().build()?;
    other.launch(&spec.command(["sleep", "777777"]).build()?, &until)?;
    assert_eq!(sandbox.sh("test -e /tmp/first || echo second")?.stdout, "second\n");
    Ok(())
}

/// Removes a container that a case has renamed.
struct Aside<'a> {
    live: &'a Live,
    name: rt_protocol::ContainerName,
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        let until = Until::after(Duration::from_secs(60));
        let _ = self.live.runtime.force_remove(std::slice::from_ref(&self.name), &until);
    }
}

fn restarted(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let _ = sandbox.sh("true")?;
    let other = live.builder().build()?;
    let handle = other.container(&sandbox.name);
    handle.stop(Duration::ZERO, &Until::after(Duration::from_secs(60)))?;
    handle.start(&Until::after(Duration::from_secs(60)))?;
    for code in [137, 255] {
        assert_eq!(sandbox.sh(&format!("exit {code}"))?.outcome, ExitOutcome::Code(code));
    }
    assert_eq!(sandbox.sh("kill -9 $$")?.outcome, ExitOutcome::Code(137));
    Ok(())
}

fn reaped(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("true")?.exit_ok()?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let _ = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for _ in 0..8 {
            match sandbox.sh("exit 3") {
                Ok(result) => assert_eq!(result.outcome, ExitOutcome::Code(3)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::System, "{error:?}");
                    assert!(error.hint().is_some_and(|hint| hint.contains("reap")), "{error:?}");
                }
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    Ok(())
}
