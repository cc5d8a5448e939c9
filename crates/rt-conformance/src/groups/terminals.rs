//! Terminals: commands whose streams are one terminal of the container.

use std::io::{Read, Write};
use std::time::Duration;

use rt_protocol::{
    Capability, ContainerExt, ErrorKind, ExecRequestBuilder, ExecResult, ExecStdio, ExitOutcome,
    RunningCommand, Sink, Source, SpawnStdio, StreamEnd, TerminalSize,
};

use super::held_command::{HeldCommand, check_dropped_output};
use crate::ensure::{refused, same_bytes};
use crate::script::pattern;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, Shape, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Terminals, run).can(&[Capability::Terminal]).needs(&[Need::Shell]).core()
}

const fn spawned(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    fact(name, run).can(&[Capability::Terminal, Capability::ExecStdio])
}

const fn resized(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    fact(name, run).can(&[Capability::Terminal, Capability::Spawn])
}

pub(super) const CASES: &[Case] = &[
    fact("terminals: the three streams are a terminal of the container", is_terminal),
    fact("terminals: without a terminal no stream is one", is_no_terminal),
    fact("terminals: the terminal has the size that was asked for", size),
    fact("terminals: TERM is xterm, unless the request sets it", term),
    fact("terminals: both outputs are one, and stderr is empty", one_output),
    fact("terminals: the code is passed on", code),
    fact("terminals: long output arrives whole", long_output),
    fact("terminals: a child that is left behind does not hold the call", left_child),
    spawned("terminals: a line is typed, and the end of the source types no more", line),
    spawned("terminals: every byte value passes both ways, once the command makes it raw", raw),
    spawned("terminals: a byte does not wait for the next one", single_byte),
    spawned("terminals: an interrupt ends the job in the foreground", interrupt),
    spawned("terminals: a command that is killed is gone, and says so", killed),
    spawned("terminals: a command that is dropped is gone", dropped).needs(&[Need::Shell, Need::Processes]),
    spawned("terminals: an output that is dropped hangs up", dropped_output),
    resized("terminals: a resize reaches the command", resize),
    resized("terminals: a resize reaches a command with a sink", resize_with_sink),
    resized("terminals: a resize before the command begins is not lost", early_resize),
    resized("terminals: a resize after the end has no effect", late_resize),
    spawned("terminals: a command without a terminal is not resized", nothing_to_resize),
    spawned("terminals: resizing is served or refused", resize_as_claimed),
];

fn wide() -> Result<TerminalSize, Failure> {
    Ok(TerminalSize::new(33, 121)?)
}

fn builder(context: &TestContext<'_>, script: &Script) -> Result<ExecRequestBuilder, Failure> {
    Ok(context.builder(script).terminal(wide()?))
}

fn run(context: &TestContext<'_>, script: &Script) -> Result<ExecResult, Failure> {
    let request = builder(context, script)?.build()?;
    Ok(context.standing()?.exec(&request, &timeout())?)
}

/// Runs a script that must end with 0, and returns what it wrote.
fn text(context: &TestContext<'_>, script: &Script) -> Result<String, Failure> {
    let result = run(context, script)?;
    ensure!(result.success(), "{script:?} ended with {}: {}", result.outcome, result.stdout)?;
    Ok(result.stdout.text().into_owned())
}

fn spawn(context: &TestContext<'_>, script: &Script) -> Result<RunningCommand, Failure> {
    let request = builder(context, script)?.build()?;
    Ok(context.standing()?.spawn_command(&request, SpawnStdio::new().piped_stdin(), timeout())?)
}

/// Spawns a script that says when it is ready, and waits for that.
fn spawn_ready(context: &TestContext<'_>, script: &Script) -> Result<RunningCommand, Failure> {
    let mut command = spawn(context, script)?;
    expect(&mut command, b"ready ")?;
    Ok(command)
}

/// Reads the next bytes, which must be these.
fn expect(command: &mut RunningCommand, bytes: &[u8]) -> Verdict {
    let stdout = command.stdout.as_mut().ok_or_else(|| Failure::new("its stdout is missing"))?;
    let mut got = vec![0; bytes.len()];
    stdout.read_exact(&mut got)?;
    same_bytes("its output", &got, bytes)
}

/// Writes to the command's stdin as a keyboard does.
fn enter(command: &mut RunningCommand, bytes: &[u8]) -> Verdict {
    let stdin = command.stdin.as_mut().ok_or_else(|| Failure::new("its stdin is missing"))?;
    Ok(stdin.write_all(bytes)?)
}

/// Reads the output to its end, and returns it as text.
fn rest(command: &mut RunningCommand) -> Result<String, Failure> {
    let mut text = String::new();
    if let Some(stdout) = &mut command.stdout {
        stdout.read_to_string(&mut text)?;
    }
    Ok(text)
}

fn is_terminal(context: &TestContext<'_>) -> Verdict {
    let text = text(context, &Script::Terminal)?;
    ensure!(text.starts_with("yyy /dev/pts/"), "the terminals are {text:?}")
}

fn is_no_terminal(context: &TestContext<'_>) -> Verdict {
    let text = context.run(&Script::Terminal)?.stdout.text().into_owned();
    ensure!(text.starts_with("nnn "), "the terminals are {text:?}")
}

fn size(context: &TestContext<'_>) -> Verdict {
    for _ in 0..5 {
        ensure_eq!(text(context, &Script::TerminalSize)?, "33 121", "the size")?;
    }
    Ok(())
}

fn term(context: &TestContext<'_>) -> Verdict {
    let script = Script::Variable("TERM".into());
    ensure_eq!(text(context, &script)?, "xterm", "TERM")?;
    let request = builder(context, &script)?.env("TERM", "vt100").build()?;
    let result = context.standing()?.exec(&request, &timeout())?;
    ensure_eq!(result.stdout.text(), "vt100", "TERM that was set")
}

fn one_output(context: &TestContext<'_>) -> Verdict {
    let script = Script::Say { stdout: b"out ".to_vec(), stderr: b"err".to_vec(), code: 3 };
    let result = run(context, &script)?;
    ensure_eq!(result.outcome, ExitOutcome::Code(3), "the outcome")?;
    ensure_eq!(result.stdout.text(), "out err", "stdout")?;
    ensure!(result.stderr.is_empty(), "stderr: {}", result.stderr)?;
    for output in [&result.stdout, &result.stderr] {
        ensure_eq!(output.end(), StreamEnd::Eof, "the end of an output")?;
    }
    Ok(())
}

fn code(context: &TestContext<'_>) -> Verdict {
    for code in [0, 7, 125, 255] {
        ensure_eq!(run(context, &Script::Exit(code))?.outcome, ExitOutcome::Code(code), "the outcome")?;
    }
    Ok(())
}

fn long_output(context: &TestContext<'_>) -> Verdict {
    let result = run(context, &Script::Flood { stdout: 700_000, stderr: 0, code: 0 })?;
    ensure!(result.success(), "it has ended so: {}", result.outcome)?;
    let bytes: Vec<u8> = result.stdout.as_bytes().iter().copied().filter(|byte| *byte != b'\r').collect();
    same_bytes("the output without its returns", &bytes, &pattern(700_000))
}

fn left_child(context: &TestContext<'_>) -> Verdict {
    let (result, time) = context.timed(|| run(context, &Script::Leave(60)));
    let result = result?;
    ensure!(result.success(), "it has ended so: {}", result.outcome)?;
    ensure_eq!(result.stdout.text(), "done", "stdout")?;
    ensure!(time.as_secs() < 30, "it took {time:?}")
}

fn line(context: &TestContext<'_>) -> Verdict {
    let request = builder(context, &Script::ReadLine)?.build()?;
    let mut screen = Vec::new();
    let stdio = ExecStdio::new(Source::bytes("a word\n"), Sink::borrowed(&mut screen));
    let result = context.standing()?.exec_stdio(&request, stdio, &timeout())?;
    ensure!(result.success(), "it has ended so: {}", result.outcome)?;
    ensure_eq!((result.stdin.bytes, result.stderr.bytes), (7, 0), "the bytes of stdin and stderr")?;
    // What is typed is echoed before.
    let screen = String::from_utf8_lossy(&screen);
    ensure!(screen.ends_with("<a word>"), "the screen shows {screen:?}")?;
    let mut command = spawn(context, &Script::ReadLine)?;
    command.stdin = None;
    ensure!(command.wait(Duration::from_millis(300)).is_err(), "the end of stdin has ended it")
}

fn raw(context: &TestContext<'_>) -> Verdict {
    let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let mut command = spawn_ready(context, &Script::RawCopy(4096))?;
    enter(&mut command, &bytes)?;
    expect(&mut command, &bytes)?;
    ensure_eq!(rest(&mut command)?, "", "the rest")?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")
}

/// Those with which a backend's own lines might begin.
fn single_byte(context: &TestContext<'_>) -> Verdict {
    let bytes = b"rt-\r\n\x1b\0r";
    let mut command = spawn_ready(context, &Script::RawCopy(8))?;
    for byte in bytes {
        enter(&mut command, &[*byte])?;
        expect(&mut command, &[*byte])?;
    }
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")
}

fn interrupt(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn_ready(context, &Script::EndOnInterrupt(9))?;
    let limit = timeout();
    // Again and again: the first one may come before the job.
    while command.try_wait()?.is_none() {
        ensure!(limit.sleep(Duration::from_millis(50)).is_ok(), "the job runs on")?;
        if let Some(stdin) = &mut command.stdin {
            // The command may have ended just now.
            let _ = stdin.write_all(&[3]);
        }
    }
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(9), "the outcome")
}

fn hold(context: &TestContext<'_>, shape: Shape) -> Result<HeldCommand, Failure> {
    let token = context.token();
    let mut command = spawn(context, &Script::Hold { shape, token })?;
    expect(&mut command, b"held")?;
    Ok(HeldCommand { command, token })
}

fn killed(context: &TestContext<'_>) -> Verdict {
    hold(context, Shape::Alone)?.check_kill(context)
}

fn dropped(context: &TestContext<'_>) -> Verdict {
    hold(context, Shape::Alone)?.check_drop(context)?;
    hold(context, Shape::Background)?.check_drop(context)
}

fn dropped_output(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::Endless)?;
    expect(&mut command, b"y")?;
    check_dropped_output(command)
}

fn resize(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn_ready(context, &Script::Resized { rows: 50, columns: 200 })?;
    command.resize(TerminalSize::new(50, 200)?)?;
    ensure_eq!(rest(&mut command)?, "resized", "the output afterwards")?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")
}

fn resize_with_sink(context: &TestContext<'_>) -> Verdict {
    let request = builder(context, &Script::Resized { rows: 50, columns: 200 })?.build()?;
    let (mut screen, sink) = std::io::pipe()?;
    let stdio = SpawnStdio::new().stdout(Sink::descriptor(sink));
    let mut command = context.standing()?.spawn_command(&request, stdio, timeout())?;
    let mut first = [0; 6];
    screen.read_exact(&mut first)?;
    same_bytes("its output", &first, b"ready ")?;
    command.resize(TerminalSize::new(50, 200)?)?;
    let mut text = String::new();
    screen.read_to_string(&mut text)?;
    ensure_eq!(text, "resized", "the output afterwards")?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(0), "the outcome")
}

fn early_resize(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::ReadLine)?;
    command.resize(TerminalSize::new(7, 70)?)?;
    drop(command);
    // It does not keep a later one from arriving.
    let mut command = spawn(context, &Script::Resized { rows: 8, columns: 80 })?;
    command.resize(TerminalSize::new(7, 70)?)?;
    expect(&mut command, b"ready ")?;
    command.resize(TerminalSize::new(8, 80)?)?;
    ensure_eq!(rest(&mut command)?, "resized", "the output afterwards")
}

fn late_resize(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn(context, &Script::Exit(4))?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(4), "the outcome")?;
    command.resize(TerminalSize::new(50, 200)?)?;
    ensure_eq!(command.wait(timeout())?.outcome, ExitOutcome::Code(4), "the outcome afterwards")
}

fn nothing_to_resize(context: &TestContext<'_>) -> Verdict {
    let request = context.request(&Script::Exit(0))?;
    let mut command = context.standing()?.spawn_command(&request, SpawnStdio::new(), timeout())?;
    let error = refused(command.resize(wide()?), ErrorKind::InvalidRequest)?;
    ensure!(error.hint().is_some(), "there is no hint: {error}")
}

fn resize_as_claimed(context: &TestContext<'_>) -> Verdict {
    let mut command = spawn_ready(context, &Script::RawCopy(1))?;
    match command.resize(TerminalSize::new(50, 200)?) {
        Ok(()) => ensure!(context.can(Capability::Spawn), "it serves what it does not claim")?,
        Err(error) => {
            ensure!(!context.can(Capability::Spawn), "it claims what it refuses: {error}")?;
            ensure!(error.missing().contains(Capability::Spawn), "it names no capability: {error}")?;
        }
    }
    Ok(())
}
