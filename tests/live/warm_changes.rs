//! Containers that podman's command line stops, kills, restarts, removes, renames and pauses while
//! commands go by agents in them: each call ends with what happened, and the next one works.

use std::io::{PipeReader, PipeWriter, pipe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rt_podman::ExecPath;
use rt_protocol::{
    Container, ContainerName, ContainerRuntime, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio,
    ExitOutcome, KillOutcome, Result, Sink, Source, StdioResult, User,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome, Problem};
use crate::sleepers::{fresh_tag, kill_sleepers, sleepers, wait_for_sleepers};
use crate::warm_container::{WarmContainer, minute, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("warm changes: a container that is stopped tells no code that was not returned", stopped),
    ("warm changes: a container that is killed tells no code that was not returned", killed),
    ("warm changes: a container that is restarted gets an agent of its own", restarted),
    ("warm changes: a container that is removed and made again gets an agent of its own", removed),
    ("warm changes: a container that is renamed keeps its commands and its agent", renamed),
    ("warm changes: users that change inside are those of the next command", changed_users),
];

/// A container without control groups cannot be paused.
pub(crate) const PAUSED_CASES: &[Case] =
    &[("warm changes: a container that is paused keeps its commands and its agent", paused)];

/// How long a call may take to end after its container has.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What calls have answered meanwhile.
struct Answers {
    /// Of commands that would have slept on.
    captured: Vec<Result<ExecResult>>,
    /// Of commands that would have echoed and flooded on.
    bridged: Vec<Result<StdioResult>>,
    /// How many short commands came to their end, and what was said of the others.
    short: (usize, Vec<String>),
}

/// Runs `change` while seven commands run, and two threads run short ones on and on. `keep`: the
/// commands outlive it, and are ended with 7 after it.
fn while_busy(
    warm: &WarmContainer<'_>,
    keep: bool,
    change: impl FnOnce() -> Outcome,
) -> std::result::Result<Answers, Problem> {
    let tag = fresh_tag();
    let sleep = format!("sleep {tag} & sleep {tag}; echo end; exit 7");
    let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let captured = [(); 3].map(|()| scope.spawn(|| warm.sh(&sleep)));
        let inputs = [(); 3].map(|()| pipe().expect("a pipe"));
        let (readers, writers): (Vec<PipeReader>, Vec<PipeWriter>) = inputs.into_iter().unzip();
        let bridged: Vec<_> = readers
            .into_iter()
            .map(|reader| scope.spawn(move || echo(&*warm.container, reader)))
            .chain([scope.spawn(|| flood(&*warm.container, tag))])
            .collect();
        let short = [0, 1].map(|thread| {
            let (stop, count) = (&stop, &count);
            scope.spawn(move || run_short_ones(&*warm.container, thread, stop, count))
        });
        wait_for_sleepers(tag, 7);
        let seen = count.load(Ordering::Relaxed);
        wait_until("short commands run", || count.load(Ordering::Relaxed) > seen + 20);
        let done = change();
        if keep {
            let seen = count.load(Ordering::Relaxed);
            wait_until("short commands run again", || count.load(Ordering::Relaxed) > seen + 20);
        }
        let begun = Instant::now();
        stop.store(true, Ordering::Relaxed);
        if keep {
            drop(writers);
            kill_sleepers(tag);
        }
        let captured: Vec<_> = captured.into_iter().map(|call| call.join().expect("no panic")).collect();
        let bridged: Vec<_> = bridged.into_iter().map(|call| call.join().expect("no panic")).collect();
        let short = short.map(|thread| thread.join().expect("no panic")).into_iter().flatten().collect();
        assert!(begun.elapsed() < END_LIMIT, "{:?}", begun.elapsed());
        assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));
        done.map(|()| Answers { captured, bridged, short: (count.load(Ordering::Relaxed), short) })
    })
}

/// Echoes until its input ends.
fn echo(container: &dyn Container, input: PipeReader) -> Result<StdioResult> {
    let request = ExecRequest::new(["sh", "-c", "cat; exit 7"])?;
    let stdio = ExecStdio::new(Source::descriptor(input), Sink::discard());
    container.exec_stdio(&request, stdio, &minute())
}

/// Writes until the sleeper for `tag` ends.
fn flood(container: &dyn Container, tag: u32) -> Result<StdioResult> {
    let script =
        format!("(sleep 0.1; while :; do seq 1000; sleep 0.01; done) & sleep {tag}; kill $!; exit 7");
    let request = ExecRequest::new(["sh", "-c", &script])?;
    container.exec_stdio(&request, ExecStdio::new(Source::empty(), Sink::discard()), &minute())
}

/// Runs commands, each with a code and an output of its own, and returns what was said of those
/// that did not come to their end.
fn run_short_ones(
    container: &dyn Container,
    thread: usize,
    stop: &AtomicBool,
    count: &AtomicUsize,
) -> Vec<String> {
    let mut said = Vec::new();
    for number in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let code = i32::try_from(number % 200).expect("a small number") + 1;
        let script = format!("echo {thread}-{number}; exit {code}");
        let request = ExecRequest::new(["sh", "-c", &script]).expect("a request");
        match container.exec(&request, &minute()) {
            Ok(result) => match &result.outcome {
                ExitOutcome::Code(answered) => {
                    assert_eq!(*answered, code, "{result:?}");
                    assert_eq!(result.stdout.text(), format!("{thread}-{number}\n"));
                    count.fetch_add(1, Ordering::Relaxed);
                }
                outcome => said.push(said_of_outcome(outcome)),
            },
            Err(error) => {
                said.push(said_of_error(&error));
                // It is asked in vain for as long as the container does not run.
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    said
}

/// A command that has come to no code: KILL reached it with its container, or nobody knows.
fn said_of_outcome(outcome: &ExitOutcome) -> String {
    assert!(matches!(outcome, ExitOutcome::Lost) || *outcome == signal("KILL"), "{outcome:?}");
    format!("{outcome:?}")
}

/// The container's state, or what became of the command.
fn said_of_error(error: &Error) -> String {
    let is_state = matches!(
        error.kind(),
        ErrorKind::NotRunning | ErrorKind::Stopping | ErrorKind::NoSuchContainer | ErrorKind::Paused
    );
    let report = error.kill_report().map(|report| &report.outcome);
    let is_told = matches!(report, Some(KillOutcome::Gone | KillOutcome::NeverStarted));
    assert!(is_state || (error.kind() == ErrorKind::BackendInterrupted && is_told), "{error:?}");
    format!("{:?}, {report:?}", error.kind())
}

fn signal(name: &str) -> ExitOutcome {
    ExitOutcome::Signal(String::from(name))
}

impl Answers {
    /// The container ended, and its commands with it.
    fn assert_ended_with_the_container(&self, about: &str) {
        let outcomes = self.captured.iter().map(|answer| answer.as_ref().map(|result| &result.outcome));
        let bridged = self.bridged.iter().map(|answer| answer.as_ref().map(|result| &result.outcome));
        let mut said: Vec<_> = outcomes
            .chain(bridged)
            .map(|answer| match answer {
                Ok(outcome) => said_of_outcome(outcome),
                Err(error) => said_of_error(error),
            })
            .collect();
        said.sort();
        println!("    {about}: {said:?}; {} short ones, and {:?}", self.short.0, summary(&self.short.1));
    }

    /// All commands came to their own end, and no short one was refused but as paused.
    fn assert_ended_as_ever(self) -> Outcome {
        for answer in self.captured {
            let result = answer?;
            assert_eq!((&result.outcome, result.stdout.text().as_ref()), (&ExitOutcome::Code(7), "end\n"));
        }
        for answer in self.bridged {
            assert_eq!(answer?.outcome, ExitOutcome::Code(7));
        }
        assert!(self.short.1.iter().all(|said| said.starts_with("Paused")), "{:?}", self.short.1);
        Ok(())
    }
}

fn summary(said: &[String]) -> std::collections::BTreeMap<&str, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for word in said {
        *counts.entry(word.as_str()).or_insert(0) += 1;
    }
    counts
}

/// A container of each path that has agents.
fn both_paths(live: &Live, case: impl Fn(WarmContainer<'_>) -> Outcome) -> Outcome {
    for path in [ExecPath::Warm, ExecPath::Auto] {
        let spec = Sandbox::spec(live).command(["sleep", "777777"]);
        case(WarmContainer::with_runtime(live, spec, live.builder().exec_path(path))?)?;
    }
    Ok(())
}

fn assert_refused(warm: &WarmContainer<'_>, kind: ErrorKind) {
    let error = warm.sh("true").unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
}

/// The next command goes by an agent, which is none of these.
fn assert_new_agent(warm: &WarmContainer<'_>, before: &[u32]) -> Outcome {
    assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
    // One that lost its container meanwhile may take a moment to end.
    match warm.agents()[..] {
        [agent] if !before.contains(&agent) => Ok(()),
        ref agents => Err(format!("agents {agents:?} after {before:?}").into()),
    }
}

fn stopped(live: &Live) -> Outcome {
    both_paths(live, |warm| {
        for words in [&["stop", "-t", "0"][..], &["stop", "-t", "1"]] {
            assert!(warm.sh("true")?.success());
            let before = warm.agents();
            let answers = while_busy(&warm, false, || {
                live.plain(&[words, &[warm.name()]].concat())?;
                Ok(())
            })?;
            answers.assert_ended_with_the_container(&words.join(" "));
            assert_refused(&warm, ErrorKind::NotRunning);
            live.plain(&["start", warm.name()])?;
            assert_new_agent(&warm, &before)?;
        }
        warm.assert_leaves_nothing()
    })
}

fn killed(live: &Live) -> Outcome {
    both_paths(live, |warm| {
        assert!(warm.sh("true")?.success());
        let before = warm.agents();
        let answers = while_busy(&warm, false, || {
            live.plain(&["kill", warm.name()])?;
            Ok(())
        })?;
        answers.assert_ended_with_the_container("kill");
        wait_until(
            "podman knows",
            || matches!(warm.sh("true"), Err(error) if error.kind() == ErrorKind::NotRunning),
        );
        live.plain(&["start", warm.name()])?;
        assert_new_agent(&warm, &before)?;
        warm.assert_leaves_nothing()
    })
}

fn restarted(live: &Live) -> Outcome {
    both_paths(live, |warm| {
        for _ in 0..3 {
            assert!(warm.sh("true")?.success());
            let before = warm.agents();
            let answers = while_busy(&warm, false, || {
                live.plain(&["restart", "-t", "0", warm.name()])?;
                Ok(())
            })?;
            answers.assert_ended_with_the_container("restart");
            wait_until("an agent of the new run", || assert_new_agent(&warm, &before).is_ok());
        }
        warm.assert_leaves_nothing()
    })
}

fn removed(live: &Live) -> Outcome {
    both_paths(live, |warm| {
        for _ in 0..2 {
            assert_eq!(warm.sh("touch /tmp/before; echo made")?.stdout.text(), "made\n");
            let before = warm.agents();
            let answers = while_busy(&warm, false, || {
                live.plain(&["rm", "-f", "-t", "0", warm.name()])?;
                Ok(())
            })?;
            answers.assert_ended_with_the_container("rm -f");
            assert_refused(&warm, ErrorKind::NoSuchContainer);
            live.plain(&[
                "run",
                "-d",
                "--network=none",
                "--name",
                warm.name(),
                live.image.as_str(),
                "sleep",
                "777777",
            ])?;
            assert_eq!(warm.sh("ls /tmp")?.stdout.text(), "");
            assert_new_agent(&warm, &before)?;
        }
        warm.assert_leaves_nothing()
    })
}

fn renamed(live: &Live) -> Outcome {
    both_paths(live, |mut warm| {
        assert!(warm.sh("true")?.success());
        let agent = warm.agent();
        let new = ContainerName::new(Sandbox::fresh_name())?;
        let again = warm.runtime.container(&new);
        let answers = {
            // The short commands go by the old name, which soon has no container.
            let stop = AtomicBool::new(false);
            let tag = fresh_tag();
            let sleep = format!("sleep {tag}; echo end; exit 7");
            std::thread::scope(|scope| -> std::result::Result<_, Problem> {
                let calls = [(); 4].map(|()| scope.spawn(|| warm.sh(&sleep)));
                let short = scope.spawn(|| run_short_ones(&*warm.container, 0, &stop, &AtomicUsize::new(0)));
                wait_for_sleepers(tag, 4);
                live.plain(&["rename", warm.name(), new.as_str()])?;
                let result = again.exec(&ExecRequest::new(["echo", "next"])?, &minute())?;
                assert_eq!(result.stdout.text(), "next\n");
                assert_refused(&warm, ErrorKind::NoSuchContainer);
                stop.store(true, Ordering::Relaxed);
                let said = short.join().expect("no panic");
                assert!(said.iter().all(|said| said.starts_with("NoSuchContainer")), "{said:?}");
                kill_sleepers(tag);
                Ok(calls.map(|call| call.join().expect("no panic")))
            })?
        };
        for answer in answers {
            let result = answer?;
            assert_eq!((&result.outcome, result.stdout.text().as_ref()), (&ExitOutcome::Code(7), "end\n"));
        }
        assert_eq!(warm.agent(), agent);
        live.plain(&["rename", new.as_str(), warm.name()])?;
        assert_eq!(warm.sh("echo back")?.stdout.text(), "back\n");
        assert_eq!(warm.agent(), agent);
        warm.container = again;
        warm.assert_leaves_nothing()
    })
}

fn paused(live: &Live) -> Outcome {
    both_paths(live, |warm| {
        assert!(warm.sh("true")?.success());
        let agent = warm.agent();
        let answers = while_busy(&warm, true, || {
            for _ in 0..3 {
                live.plain(&["pause", warm.name()])?;
                assert_refused(&warm, ErrorKind::Paused);
                live.plain(&["unpause", warm.name()])?;
                assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
            }
            Ok(())
        })?;
        answers.assert_ended_as_ever()?;
        assert_eq!(warm.agent(), agent);
        warm.assert_leaves_nothing()
    })
}

fn changed_users(live: &Live) -> Outcome {
    both_paths(live, |warm| {
        let id = |user: Option<&str>| -> std::result::Result<String, Problem> {
            let mut request = ExecRequest::builder(["sh", "-c", "id -u; id -G; echo $HOME"]);
            if let Some(user) = user {
                request = request.user(User::new(user)?);
            }
            let result = warm.container.exec(&request.build()?, &minute())?.exit_ok()?;
            Ok(result.stdout.text().split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let agent_count = || warm.agents().len();
        assert_eq!(
            (id(Some("dev"))?, id(None)?),
            (String::from("1000 1000 /tmp"), String::from("0 0 /root"))
        );
        assert_eq!(agent_count(), 2);
        warm.with_sleeper(Some("dev"), || {
            warm.inside(&["sh", "-c", "sed -i s/1000:1000:dev:.tmp/1234:1000:dev:\\\\/run/ /etc/passwd"])?;
            for _ in 0..3 {
                assert_eq!(id(Some("dev"))?, "1234 1000 /run");
            }
            warm.inside(&["sh", "-c", "echo more:x:77:dev >>/etc/group"])?;
            for _ in 0..3 {
                assert_eq!(id(Some("dev"))?, "1234 1000 77 /run");
            }
            Ok(())
        })?;
        wait_until("the agents of before are gone", || agent_count() == 2);
        warm.inside(&["rm", "/etc/passwd", "/etc/group"])?;
        assert!(id(None)?.starts_with("0 0"));
        warm.assert_leaves_nothing()?;
        // podman itself keeps the record of a command whose user it does not find.
        let error = id(Some("late")).unwrap_err();
        assert!(error.to_string().contains("unknown user"), "{error}");
        warm.inside(&["sh", "-c", "echo late:x:4321:0::/srv:/bin/sh >/etc/passwd"])?;
        wait_until("the new user is found", || id(Some("late")).is_ok_and(|id| id == "4321 0 /srv"));
        assert_eq!(agent_count(), 1);
        Ok(())
    })
}
