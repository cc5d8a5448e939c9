//! Timeouts: the outcome of a command when its deadline passes or the caller cancels.

use std::time::{Duration, Instant};

use rt_protocol::{
    CancelToken, Capability, ContainerExt, ContainerFilter, ContainerRuntimeExt, Error, ErrorKind,
    EventOptions, ExecStdio, ExitOutcome, ImageExt, ImageFilter, KILL_GRACE, KillOutcome, KillReport,
    LogOptions, OutputLimit, PartialOutput, Until,
};

use crate::ensure::refused;
use crate::interrupted::interrupted;
use crate::threads::joined;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, Shape, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Timeouts, run).needs(&[Need::Shell]).core()
}

const SEEN: &[Need] = &[Need::Shell, Need::Processes];

pub(super) const CASES: &[Case] = &[
    fact("timeouts: a deadline ends the command and says what became of it", deadline),
    fact("timeouts: a cancel ends the command and says what became of it", cancel),
    fact("timeouts: what had arrived is handed over", partial),
    fact("timeouts: a deadline that has passed starts nothing", passed_deadline),
    fact("timeouts: a cancelled token starts nothing", cancelled_before),
    fact("timeouts: whatever interrupts a command, the answer is told in one way", one_way)
        .can(&[Capability::ExecStdio]),
    fact("timeouts: a child in the background is ended too", |context| relatives(context, Shape::Background)),
    fact("timeouts: a double-forked grandchild is ended too", |context| {
        relatives(context, Shape::DoubleFork)
    }),
    fact("timeouts: a command that ignores TERM is killed", |context| relatives(context, Shape::IgnoresTerm)),
    fact("timeouts: a child with an empty environment is ended too", |context| {
        relatives(context, Shape::CleanEnv)
    }),
    fact("timeouts: a child has time for its last words, even if its parent ends first", last_words)
        .needs(SEEN)
        .can(&[Capability::VerifiedKill]),
    fact("timeouts: other commands are spared", others).needs(SEEN),
    fact("timeouts: the container is as good as before", good_afterwards),
    fact("timeouts: endless output is ended, and counted", endless).can(&[Capability::OutputLimits]),
    fact("timeouts: who ends in time is not touched", in_time),
    fact("timeouts: the error names what was asked of which container", error_text),
    fact("timeouts: two commands have each its own deadline", two_deadlines),
    Case::new("timeouts: a read whose deadline has passed is not asked", Group::Timeouts, |context| {
        reads(context, &Until::after(Duration::ZERO), ErrorKind::TimedOut)
    })
    .core(),
    Case::new("timeouts: a read whose token is cancelled is not asked", Group::Timeouts, |context| {
        let token = CancelToken::new();
        token.cancel();
        reads(context, &Until::cancelled(&token), ErrorKind::Cancelled)
    })
    .core(),
];

/// The time after the deadline in which a call must return: the grace period, and a second or two
/// for the check.
const SLACK: Duration = Duration::from_secs(KILL_GRACE.as_secs() + 3);

/// Runs a command that stays until its deadline or a cancel. Returns the error and how long it
/// took.
fn ended(
    context: &TestContext<'_>,
    shape: Shape,
    token: u32,
    until: impl FnOnce() -> Until,
) -> Result<(Error, Duration), Failure> {
    let request = context.request(&Script::Hold { shape, token })?;
    let standing = context.warm_standing()?;
    let until = until();
    let (answer, took) = context.timed(|| standing.exec(&request, &until));
    let kind = if until.cancel_token().is_some() { ErrorKind::Cancelled } else { ErrorKind::TimedOut };
    Ok((refused(answer, kind)?, took))
}

/// Every question to the engine, with an `until` that has ended: of what the backend does not
/// serve, that is answered.
fn reads(context: &TestContext<'_>, until: &Until, ended: ErrorKind) -> Verdict {
    let (standing, runtime, family) = (context.standing()?, context.runtime(), context.family()?);
    let image = runtime.image(context.fixture().image());
    let check = |capability: Option<Capability>, answer: rt_protocol::Result<()>| {
        let served = capability.is_none_or(|capability| context.can(capability));
        refused(answer, if served { ended } else { ErrorKind::Unsupported }).map(drop)
    };
    let (answer, took) = context.timed(|| {
        check(None, standing.inspect(until).map(drop))?;
        check(None, standing.state(until).map(drop))?;
        check(Some(Capability::Images), standing.image(until).map(drop))?;
        check(Some(Capability::RwSize), standing.rw_size(until).map(drop))?;
        check(Some(Capability::Stats), standing.stats(until).map(drop))?;
        check(Some(Capability::LoginCommand), standing.login_command(None, until).map(drop))?;
        check(Some(Capability::Logs), standing.logs(&LogOptions::new(), until).map(drop))?;
        check(Some(Capability::List), runtime.list(&ContainerFilter::all(), until).map(drop))?;
        check(Some(Capability::List), runtime.states(&family, until).map(drop))?;
        check(Some(Capability::List), runtime.containers_with_prefix(&family, until).map(drop))?;
        check(Some(Capability::RwSize), runtime.rw_sizes(&family, until).map(drop))?;
        check(Some(Capability::Events), runtime.events(&EventOptions::new(), until).map(drop))?;
        check(Some(Capability::Images), runtime.images(&ImageFilter::all(), until).map(drop))?;
        check(Some(Capability::Images), image.inspect(until).map(drop))?;
        check(Some(Capability::Images), image.exists(until).map(drop))?;
        check(Some(Capability::ImageHistory), image.history(until).map(drop))?;
        check(Some(Capability::ImageRemove), image.remove(until).map(drop))
    });
    answer?;
    ensure!(took < second(context), "the answers took {took:?}")
}

fn second(context: &TestContext<'_>) -> Duration {
    context.allow(Duration::from_secs(1))
}

/// Fails unless there is a report that says what the backend claims to know.
fn check_report(context: &TestContext<'_>, error: &Error) -> Result<KillReport, Failure> {
    let report = interrupted(context, error, false)?;
    if context.can(Capability::VerifiedKill) {
        ensure_eq!(report.outcome, KillOutcome::Gone, "the fate")?;
        ensure!(report.killed >= 1, "nothing was killed: {report:?}")?;
        ensure!(report.survivors.is_empty(), "there are survivors: {report:?}")?;
    } else {
        ensure!(
            report.outcome != KillOutcome::Gone,
            "the backend cannot look, and says that the command is gone"
        )?;
    }
    ensure!(!error.never_started(), "the command ran, and the error says that it never started")?;
    Ok(report)
}

fn deadline(context: &TestContext<'_>) -> Verdict {
    let (error, took) = ended(context, Shape::Alone, context.token(), || Until::after(second(context)))?;
    ensure!(took >= Duration::from_millis(950), "the call returned after {took:?}, before its deadline")?;
    ensure!(took < second(context) + SLACK, "the call took {took:?}")?;
    let report = check_report(context, &error)?;
    ensure!(report.elapsed <= took, "ending took {:?} of {took:?}", report.elapsed)
}

fn cancel(context: &TestContext<'_>) -> Verdict {
    let token = CancelToken::new();
    let (error, took) = std::thread::scope(|scope| {
        ended(context, Shape::Alone, context.token(), || {
            scope.spawn(|| {
                std::thread::sleep(second(context));
                token.cancel();
            });
            timeout().or_cancelled(&token)
        })
    })?;
    ensure!(took < second(context) + SLACK, "the call took {took:?}")?;
    let _ = check_report(context, &error)?;
    Ok(())
}

fn partial(context: &TestContext<'_>) -> Verdict {
    let (error, _) = ended(context, Shape::Alone, context.token(), || Until::after(second(context)))?;
    let Some(PartialOutput::Output { stdout, stderr, .. }) = error.partial() else {
        return Err(Failure::new(format!("there is no partial output: {error:?}")));
    };
    ensure_eq!((&*stdout.text(), &*stderr.text()), ("held\n", "erred\n"), "the partial output")
}

fn starts_nothing(context: &TestContext<'_>, until: &Until) -> Verdict {
    let (error, took) = ended(context, Shape::Alone, context.token(), || until.clone())?;
    let report = interrupted(context, &error, false)?;
    ensure_eq!(report.outcome, KillOutcome::NeverStarted, "the fate")?;
    ensure!(took < Duration::from_secs(1), "refusing took {took:?}")
}

fn passed_deadline(context: &TestContext<'_>) -> Verdict {
    starts_nothing(context, &Until::after(Duration::ZERO))
}

fn cancelled_before(context: &TestContext<'_>) -> Verdict {
    let token = CancelToken::new();
    token.cancel();
    starts_nothing(context, &timeout().or_cancelled(&token))
}

fn one_way(context: &TestContext<'_>) -> Verdict {
    let standing = context.warm_standing()?;
    let token = CancelToken::new();
    let running = || Until::after(second(context));
    let passed = || Until::after(Duration::ZERO);
    let cancelled = || timeout().or_cancelled(&token);
    token.cancel();
    for (kind, until) in [
        (ErrorKind::TimedOut, &running as &dyn Fn() -> Until),
        (ErrorKind::TimedOut, &passed),
        (ErrorKind::Cancelled, &cancelled),
    ] {
        let request = context.request(&Script::Hold { shape: Shape::Alone, token: context.token() })?;
        let error = refused(standing.exec(&request, &until()), kind)?;
        let bridged = refused(standing.exec_stdio(&request, ExecStdio::default(), &until()), kind)?;
        let outcomes =
            (interrupted(context, &error, false)?.outcome, interrupted(context, &bridged, true)?.outcome);
        ensure_eq!(outcomes.0, outcomes.1, "the fate, of captured and bridged streams")?;
        ensure_eq!(error.message(), bridged.message(), "the message, of captured and bridged streams")?;
    }
    Ok(())
}

fn relatives(context: &TestContext<'_>, shape: Shape) -> Verdict {
    let token = context.token();
    let (error, took) = ended(context, shape, token, || Until::after(second(context)))?;
    ensure!(took < second(context) + SLACK, "the call took {took:?}")?;
    let left = if context.has(Need::Processes) {
        TestContext::count(context.standing()?.as_ref(), token)?
    } else {
        0
    };
    let report = interrupted(context, &error, false)?;
    if context.can(Capability::VerifiedKill) {
        ensure_eq!(left, 0, "the processes that are left")?;
        let _ = check_report(context, &error)?;
    } else if left > 0 {
        ensure!(
            report.outcome != KillOutcome::Gone,
            "{left} processes are left, and the report says {report:?}"
        )?;
    }
    Ok(())
}

fn last_words(context: &TestContext<'_>) -> Verdict {
    let (standing, token) = (context.standing()?, context.token());
    let shape = Shape::LastWords;
    let directory = context.guest_dir(standing.as_ref())?;
    let request = context.builder(&Script::Hold { shape, token }).workdir(directory.as_path()).build()?;
    let (standing, request) = (standing.as_ref(), &request);
    let answer = std::thread::scope(|scope| {
        let stop = CancelToken::new();
        let until = timeout().or_cancelled(&stop);
        let _guard = stop.cancel_on_drop();
        let running = scope.spawn(move || standing.exec(request, &until));
        let there =
            || TestContext::count(standing, token).map(|count| (count == shape.processes()).then_some(()));
        TestContext::eventually("all its processes run", there)?;
        stop.cancel();
        running.join().map_err(|_| Failure::new("the call has panicked"))
    })?;
    let error = refused(answer, ErrorKind::Cancelled)?;
    ensure_eq!(check_report(context, &error)?.outcome, KillOutcome::Gone, "what became of it")?;
    let words = Script::ReadFile(directory.as_path().join("last-words").into());
    ensure_eq!(TestContext::text_in(standing, &words)?, "bye\nbye\nbye\n", "what they have written")
}

fn others(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let bystander = context.token();
    let request = context.request(&Script::Hold { shape: Shape::Background, token: bystander })?;
    let (error, alive) = std::thread::scope(|scope| {
        let stop = CancelToken::new();
        let until = timeout().or_cancelled(&stop);
        // Cancelled on every exit, also after a failed expectation: the scope waits for the other
        // thread.
        let _guard = stop.cancel_on_drop();
        let (standing, request) = (standing.as_ref(), &request);
        let running = scope.spawn(move || standing.exec(request, &until));
        let there = || TestContext::count(standing, bystander).map(|count| (count == 2).then_some(()));
        TestContext::eventually("the bystander runs", there)?;
        let error = ended(context, Shape::Background, context.token(), || Until::after(second(context)))?.0;
        let alive = TestContext::count(standing, bystander)?;
        ensure!(!running.is_finished(), "the bystander's call has returned")?;
        Ok::<_, Failure>((error, alive))
    })?;
    let _ = check_report(context, &error)?;
    ensure_eq!(alive, 2, "the processes of the bystander")
}

fn good_afterwards(context: &TestContext<'_>) -> Verdict {
    ended(context, Shape::Alone, context.token(), || Until::after(Duration::from_millis(500)))?;
    let result = context.run(&Script::Say { stdout: b"good".to_vec(), stderr: vec![], code: 2 })?;
    ensure_eq!(result.outcome, ExitOutcome::Code(2), "the outcome of the next command")?;
    ensure_eq!(result.stdout.text(), "good", "stdout of the next command")
}

fn endless(context: &TestContext<'_>) -> Verdict {
    let request = context.builder(&Script::Endless).output_limit(OutputLimit::bytes(64 << 10)).build()?;
    let standing = context.warm_standing()?;
    let begin = Instant::now();
    let answer = standing.exec(&request, &Until::after(second(context)));
    let error = refused(answer, ErrorKind::TimedOut)?;
    ensure!(begin.elapsed() < second(context) + SLACK, "the call took {:?}", begin.elapsed())?;
    let _ = check_report(context, &error)?;
    let Some(PartialOutput::Output { stdout, .. }) = error.partial() else {
        return Err(Failure::new(format!("there is no partial output: {error:?}")));
    };
    ensure_eq!(stdout.as_bytes().len(), 64 << 10, "the bytes that were kept")?;
    ensure!(stdout.total() > 64 << 10, "the total is {}", stdout.total())
}

fn in_time(context: &TestContext<'_>) -> Verdict {
    let request = context.request(&Script::print("in time"))?;
    let token = CancelToken::new();
    let result = context.standing()?.exec(&request, &timeout().or_cancelled(&token))?;
    // A cancel that comes too late changes nothing.
    token.cancel();
    ensure_eq!(result.stdout.text(), "in time", "stdout")
}

fn error_text(context: &TestContext<'_>) -> Verdict {
    let (error, _) =
        ended(context, Shape::Alone, context.token(), || Until::after(Duration::from_millis(300)))?;
    let name = context.standing()?.key().name.clone();
    let text = error.to_string();
    ensure!(text.contains(name.as_str()), "the error does not name {name}: {text}")?;
    ensure!(text.starts_with(error.operation()) && !error.operation().is_empty(), "the error is {text}")
}

fn two_deadlines(context: &TestContext<'_>) -> Verdict {
    context.warm_standing()?;
    let limit = context.allow(Duration::from_millis(500));
    let (short, long) = std::thread::scope(|scope| {
        let run = |limit| {
            let token = context.token();
            scope.spawn(move || ended(context, Shape::Alone, token, || Until::after(limit)))
        };
        let (short, long) = (run(limit), run(8 * limit));
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| joined(thread);
        (join(short), join(long))
    });
    let (short, long) = (short?.1, long?.1);
    ensure!(short < limit + SLACK, "the one with {limit:?} took {short:?}")?;
    ensure!(
        long + Duration::from_millis(100) >= 8 * limit,
        "the one with eight times {limit:?} took {long:?}"
    )
}
