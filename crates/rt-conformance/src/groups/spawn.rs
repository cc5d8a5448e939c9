//! Spawn: commands that run while the caller does other things.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use rt_protocol::{
    Capability, ContainerExt, ErrorKind, ExitOutcome, OutputLimit, RunningCommand, Signal, Sink, Source,
    SpawnStdio, StdioResult, StreamEnd, Until,
};

use super::held_command::{HeldCommand, check_dropped_output};
use crate::ensure::{refused, same_bytes};
use crate::script::pattern;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, Shape, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Spawn, run).can(&[Capability::ExecStdio]).needs(&[Need::Shell]).core()
}

pub(super) const CASES: &[Case] = &[
    fact("spawn: the code is passed on, as often as it is asked for", code),
    fact("spawn: both outputs are read while the command runs", outputs),
    fact("spawn: a conversation goes on while the command runs", conversation),
    fact("spawn: without stdin the command reads its end at once", no_stdin),
    fact("spawn: waiting closes stdin, unless it was taken", waiting_closes_stdin),
    fact("spawn: sources and sinks serve in place of pipes", sources_and_sinks),
    fact("spawn: a wait that ends first leaves the command running", short_wait),
    fact("spawn: a command that is killed is gone, and says so", killed),
    fact("spawn: a command that is dropped is gone", dropped).needs(&[Need::Shell, Need::Processes]),
    fact("spawn: what was spawned and dropped leaves nothing", many_dropped),
    fact("spawn: an output that is dropped ends a command that writes", dropped_output),
    fact("spawn: two at once do not mix", two_at_once),
    fact("spawn: a command that is not found is an error", not_found).unstarted(),
    fact("spawn: a missing container is an error", missing_container),
    fact("spawn: a call that may not begin starts nothing", not_started),
    fact("spawn: a signal reaches the command, which may handle it", handled_signal)
        .can(&[Capability::ExecStdio, Capability::SendSignal]),
    fact("spawn: a signal ends a command that does not handle it", deadly_signal)
        .can(&[Capability::ExecStdio, Capability::SendSignal]),
    fact("spawn: a signal reaches a command with a source and sinks", signal_with_sinks)
        .can(&[Capability::ExecStdio, Capability::SendSignal]),
    fact("spawn: a signal reaches a command with an output limit", signal_with_limit).can(&[
        Capability::ExecStdio,
        Capability::SendSignal,
        Capability::OutputLimits,
    ]),
    fact("spawn: a signal to a command that has ended has no effect", late_signal)
        .can(&[Capability::ExecStdio, Capability::SendSignal]),
    fact("spawn: sending a signal is served or refused", signal_as_claimed),
];

fn spawn(context: &TestContext<'_>, script: &Script, stdio: SpawnStdio) -> Result<RunningCommand, Failure> {
    Ok(context.standing()?.spawn_command(&context.request(script)?, stdio, timeout())?)
}

fn piped<T>(pipe: &mut Option<T>) -> Result<&mut T, Failure> {
    pipe.as_mut().ok_or_else(|| Failure::new("a pipe that was asked for is missing"))
}

fn taken<T>(pipe: &mut Option<T>) -> Result<T, Failure> {
    pipe.take().ok_or_else(|| Failure::new("a pipe that was asked for is missing"))
}

/// Reads an output to its end on a thread of its own.
fn reading(mut output: impl Read + Send + 'static) -> thread::JoinHandle<std::io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    })
}

fn joined(reader: thread::JoinHandle<std::io::Result<Vec<u8>>>) -> Result<Vec<u8>, Failure> {
    Ok(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
}

/// Every output has come to its own end.
fn is_whole(result: &StdioResult) -> Verdict {
    for report in [result.stdout, result.stderr] {
        ensure!(matches!(report.end, StreamEnd::Eof | StreamEnd::Direct), "an output ended so: {report:?}")?;
    }
    Ok(())
}

fn code(context: &TestContext<'_>) -> Verdict {
    for code in [0, 7, 255] {
        let mut command = spawn(context, &Script::Exit(code), SpawnStdio::new())?;
        let result = command.wait(timeout())?;
        ensure_eq!(result.outcome, ExitOutcome::Code(code), "the outcome")?;
        is_whole(&result)?;
        ensure_eq!(command.wait(timeout())?, result, "what a second wait returns")?;
        ensure_eq!(command.try_wait()?, Some(result), "what a look returns")?;
    }
    Ok(())
}

fn outputs(context: &TestContext<'_>) -> Verdict {
    let script = Script::Flood { stdout: 300_000, stderr: 200_000, code: 3 };
    let mut command = spawn(context, &script, SpawnStdio::new())?;
    ensure!(command.stdin.is_none(), "there is a stdin that was not asked for")?;
    let stdout = reading(taken(&mut command.stdout)?);
    let stderr = reading(taken(&mut command.stderr)?);
    let result = command.wait(timeout())?;
    ensure_eq!(result.outcome, ExitOutcome::Code(3), "the outcome")?;
    is_whole(&result)?;
    same_bytes("stdout", &joined(stdout)?, &pattern(300_000))?;
    same_bytes("stderr", &joined(stderr)?, &pattern(200_000))
}

fn conversation(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::Cat, SpawnStdio::new().piped_stdin())?;
    let (mut stdin, mut stdout) = (taken(&mut command.stdin)?, taken(&mut command.stdout)?);
    for number in 0..20 {
        let line = format!("line {number}\n");
        stdin.write_all(line.as_bytes())?;
        let mut echo = vec![0; line.len()];
        stdout.read_exact(&mut echo)?;
        same_bytes("the echo", &echo, line.as_bytes())?;
        ensure_eq!(command.try_wait()?, None, "what a look returns while it runs")?;
    }
    drop(stdin);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest)?;
    same_bytes("the rest", &rest, b"")?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")
}

fn no_stdin(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::CountStdin, SpawnStdio::new())?;
    let stdout = reading(taken(&mut command.stdout)?);
    let result = command.wait(timeout())?;
    ensure_eq!(result.stdin.end, StreamEnd::Unused, "the end of stdin")?;
    same_bytes("the bytes on stdin", &joined(stdout)?, b"0")
}

fn waiting_closes_stdin(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::Cat, SpawnStdio::new().piped_stdin())?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")?;
    let mut command = spawn(context, &Script::Cat, SpawnStdio::new().piped_stdin())?;
    let stdin = command.stdin.take();
    refused(command.wait(Duration::from_millis(300)), ErrorKind::TimedOut)?;
    drop(stdin);
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")
}

fn sources_and_sinks(context: &TestContext<'_>) -> Verdict {
    let (mut received, sink) = std::io::pipe()?;
    let stdio = SpawnStdio::new().stdin(Source::bytes(pattern(9_000))).stdout(Sink::descriptor(sink));
    let mut command = spawn(context, &Script::Cat, stdio.stderr(Sink::discard()))?;
    ensure!(command.stdin.is_none() && command.stdout.is_none(), "there is a pipe that was not asked for")?;
    let mut bytes = Vec::new();
    received.read_to_end(&mut bytes)?;
    let result = command.wait(timeout())?;
    ensure_eq!((result.stdin.bytes, result.stdout.bytes), (9_000, 9_000), "the bytes that were moved")?;
    same_bytes("the copy", &bytes, &pattern(9_000))
}

fn short_wait(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::Cat, SpawnStdio::new().piped_stdin())?;
    let stdin = taken(&mut command.stdin)?;
    for _ in 0..3 {
        let error = refused(command.wait(Duration::from_millis(50)), ErrorKind::TimedOut)?;
        ensure!(error.kill_report().is_none(), "a wait has ended the command: {error}")?;
    }
    ensure_eq!(command.try_wait()?, None, "what a look returns while it runs")?;
    drop(stdin);
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")
}

/// Waits until a command that holds has begun.
fn hold(context: &TestContext<'_>, shape: Shape) -> Result<HeldCommand, Failure> {
    let token = context.token();
    let mut command = spawn(context, &Script::Hold { shape, token }, SpawnStdio::new())?;
    let mut first = [0; 5];
    piped(&mut command.stdout)?.read_exact(&mut first)?;
    same_bytes("its first bytes", &first, b"held\n")?;
    Ok(HeldCommand { command, token })
}

fn killed(context: &TestContext<'_>) -> Verdict {
    hold(context, Shape::Alone)?.check_kill(context)
}

fn dropped(context: &TestContext<'_>) -> Verdict {
    hold(context, Shape::Alone)?.check_drop(context)?;
    hold(context, Shape::Background)?.check_drop(context)
}

fn many_dropped(context: &TestContext<'_>) -> Verdict {
    // What is left is counted after every case.
    for _ in 0..5 {
        drop(spawn(context, &Script::Stand, SpawnStdio::new().piped_stdin())?);
    }
    Ok(())
}

fn dropped_output(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::Endless, SpawnStdio::new())?;
    piped(&mut command.stdout)?.read_exact(&mut [0; 1000])?;
    check_dropped_output(command)
}

fn two_at_once(context: &TestContext<'_>) -> Verdict {
    let mut commands = Vec::new();
    for code in [5, 6] {
        let mut command = spawn(context, &Script::Cat, SpawnStdio::new().piped_stdin())?;
        piped(&mut command.stdin)?.write_all(&[code])?;
        commands.push((command, code));
    }
    for (mut command, code) in commands {
        let stdout = reading(taken(&mut command.stdout)?);
        ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")?;
        same_bytes("its stdout", &joined(stdout)?, &[code])?;
    }
    Ok(())
}

fn not_found(context: &TestContext<'_>) -> Verdict {
    let request = rt_protocol::ExecRequest::new(["/rt/no/such/program"])?;
    let error = match context.standing()?.spawn_command(&request, SpawnStdio::new(), timeout()) {
        Err(error) => error,
        Ok(mut command) => refused(command.wait(timeout()), ErrorKind::CommandNotFound)?,
    };
    ensure_eq!(error.kind(), ErrorKind::CommandNotFound, "the kind")?;
    ensure!(error.never_started(), "it may have run: {error}")
}

fn missing_container(context: &TestContext<'_>) -> Verdict {
    let request = context.request(&Script::Exit(0))?;
    let error = match context.missing_container()?.spawn_command(&request, SpawnStdio::new(), timeout()) {
        Err(error) => error,
        Ok(mut command) => refused(command.wait(timeout()), ErrorKind::NoSuchContainer)?,
    };
    ensure_eq!(error.kind(), ErrorKind::NoSuchContainer, "the kind")
}

fn not_started(context: &TestContext<'_>) -> Verdict {
    let request = context.request(&Script::Exit(0))?;
    let over = Until::after(Duration::ZERO);
    let error =
        refused(context.standing()?.spawn_command(&request, SpawnStdio::new(), over), ErrorKind::TimedOut)?;
    ensure!(error.never_started(), "it may have run: {error}")
}

/// Spawns a command that handles TERM, and waits until it does.
fn handling(context: &TestContext<'_>, code: i32) -> Result<RunningCommand, Failure> {
    let mut command = spawn(context, &Script::EndOnTerm(code), SpawnStdio::new())?;
    let mut first = [0; 6];
    piped(&mut command.stdout)?.read_exact(&mut first)?;
    same_bytes("its first bytes", &first, b"ready\n")?;
    Ok(command)
}

fn handled_signal(context: &TestContext<'_>) -> Verdict {
    let mut command = handling(context, 7)?;
    command.signal(Signal::TERM)?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(7), "the outcome")
}

fn deadly_signal(context: &TestContext<'_>) -> Verdict {
    for (signal, folded) in [(Signal::KILL, 137), (Signal::HUP, 129)] {
        // Sent at once: it waits for the command.
        let mut command =
            spawn(context, &Script::Hold { shape: Shape::Alone, token: context.token() }, SpawnStdio::new())?;
        command.signal(signal)?;
        let outcome = command.wait(timeout())?.outcome;
        let is_known = outcome == ExitOutcome::Signal(signal.to_string());
        let may_fold = !context.can(Capability::Signals) && outcome == ExitOutcome::Code(folded);
        ensure!(is_known || may_fold, "it was ended by {signal}, and has ended so: {outcome}")?;
    }
    Ok(())
}

fn signal_with_sinks(context: &TestContext<'_>) -> Verdict {
    let (mut received, sink) = std::io::pipe()?;
    let (lines, line) = std::sync::mpsc::channel();
    let stdio = SpawnStdio::new()
        .stdin(Source::bytes("unread"))
        .stdout(Sink::descriptor(sink))
        .stderr(Sink::lines(100, move |line| drop(lines.send(line))));
    let mut command = spawn(context, &Script::EndOnTerm(7), stdio)?;
    let mut first = [0; 6];
    received.read_exact(&mut first)?;
    same_bytes("its first bytes", &first, b"ready\n")?;
    command.signal(Signal::TERM)?;
    let result = command.wait(timeout())?;
    ensure_eq!(result.outcome, ExitOutcome::Code(7), "the outcome")?;
    ensure_eq!(result.stdout.bytes, 6, "the bytes of stdout")?;
    ensure!(line.recv().is_err(), "its stderr has a line")
}

fn signal_with_limit(context: &TestContext<'_>) -> Verdict {
    let limit = OutputLimit::head_and_tail(3, 0);
    let request = context.builder(&Script::EndOnTerm(7)).output_limit(limit).build()?;
    let mut command = context.standing()?.spawn_command(&request, SpawnStdio::new(), timeout())?;
    let mut first = [0; 3];
    piped(&mut command.stdout)?.read_exact(&mut first)?;
    same_bytes("its first bytes", &first, b"rea")?;
    command.signal(Signal::TERM)?;
    let result = command.wait(timeout())?;
    ensure_eq!(result.outcome, ExitOutcome::Code(7), "the outcome")?;
    ensure_eq!((result.stdout.bytes, result.stdout.omitted), (3, 3), "the bytes of stdout")
}

fn late_signal(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::Exit(4), SpawnStdio::new())?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(4), "the outcome")?;
    command.signal(Signal::KILL)?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(4), "the outcome afterwards")
}

fn signal_as_claimed(context: &TestContext<'_>) -> Verdict {
    let mut command = handling(context, 0)?;
    match command.signal(Signal::TERM) {
        Ok(()) => ensure!(context.can(Capability::SendSignal), "it serves what it does not claim")?,
        Err(error) => {
            ensure!(!context.can(Capability::SendSignal), "it claims what it refuses: {error}")?;
            ensure!(error.missing().contains(Capability::SendSignal), "it names no capability: {error}")?;
        }
    }
    Ok(())
}
