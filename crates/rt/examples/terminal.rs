//! A person's own terminal, bridged to a command in a container: a shell, `vi`, `top`.
//!
//! `cargo run -p rt --example terminal -- CONTAINER [WORD…]` runs a command, or `sh`, in
//! a container of podman. Its exit code becomes that of this program. Without a
//! container, or where there is no terminal, it runs on the in-memory backend, with a
//! pseudo terminal for the person. Copy [`attach`] and [`RawMode`].

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};

use rt::prelude::*;
use rt::{
    Backend, ContainerName, ExecRequest, ExitOutcome, LaunchSpec, Signal, Sink, Source,
    SpawnStdio, TerminalSize, Until,
};
use rt_null::{NullRuntime, StdioScript};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{getpid, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use signal_hook::consts::{SIGHUP, SIGTERM, SIGWINCH};
use signal_hook::{flag, low_level};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The time limit of the start. A session has none.
const START_LIMIT: Duration = Duration::from_secs(60);

fn main() -> Outcome<ExitCode> {
    let mut words = env::args_os().skip(1);
    // Wherever stdin and stdout lead.
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let (Some(name), Ok(terminal)) = (words.next(), terminal) else {
        println!("no container, or no terminal: on the in-memory backend");
        rehearse()?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut command: Vec<OsString> = words.collect();
    if command.is_empty() {
        command.push(OsString::from("sh"));
    }
    let name = ContainerName::new(name.to_string_lossy())?;
    let container = rt::open(Backend::Podman)?.container(&name);
    Ok(exit_code(&attach(&container, command, &terminal)?))
}

/// Runs a command on this terminal until it ends, or until this program is to end.
pub(crate) fn attach(
    container: &Arc<dyn Container>,
    command: impl IntoIterator<Item = OsString>,
    terminal: &File,
) -> Outcome<ExitOutcome> {
    // Before the size is read, so that no change is missed.
    let (mut waker, wake) = UnixStream::pair()?;
    waker.set_nonblocking(true)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut registrations = Vec::new();
    for signal in [SIGTERM, SIGHUP] {
        registrations.push(flag::register(signal, Arc::clone(&is_over))?);
    }
    for signal in [SIGTERM, SIGHUP, SIGWINCH] {
        registrations.push(low_level::pipe::register(signal, wake.try_clone()?)?);
    }
    let _registrations = Registrations(registrations);

    let term = env::var_os("TERM").unwrap_or_else(|| OsString::from("xterm"));
    let request = ExecRequest::builder(command)
        .env("TERM", term)
        .terminal(size_of(terminal)?)
        .build()?;
    let stdio = SpawnStdio::new()
        .stdin(Source::descriptor(terminal.try_clone()?))
        .stdout(Sink::descriptor(terminal.try_clone()?));
    // Declared before the command, so it is dropped after it.
    let _raw_mode = RawMode::enter(terminal)?;
    let mut command =
        container.spawn_command(&request, stdio, Until::after(START_LIMIT))?;
    let end = command.readiness()?;
    loop {
        if let Some(result) = command.try_wait()? {
            return Ok(result.outcome);
        }
        if is_over.load(Ordering::Relaxed) {
            // Dropping the command ends it.
            return Err("this program was asked to end".into());
        }
        let mut events = [
            PollFd::new(&end, PollFlags::IN),
            PollFd::new(&waker, PollFlags::IN),
            // A hang-up is always told.
            PollFd::new(terminal, PollFlags::empty()),
        ];
        match poll(&mut events, None) {
            Err(Errno::INTR) => continue,
            polled => polled?,
        };
        if !events[2].revents().is_empty() {
            return Err("the terminal is gone".into());
        }
        if !events[1].revents().is_empty() {
            while matches!(waker.read(&mut [0; 64]), Ok(1..)) {}
            command.resize(size_of(terminal)?)?;
        }
    }
}

/// Returns the exit code as a shell reports it.
fn exit_code(outcome: &ExitOutcome) -> ExitCode {
    let number = match outcome {
        ExitOutcome::Code(code) => u32::try_from(*code).ok(),
        ExitOutcome::Signal(name) => {
            name.parse().ok().map(|signal: Signal| 128 + signal.number())
        }
        // Nobody knows how it ended.
        _ => None,
    };
    ExitCode::from(number.and_then(|number| u8::try_from(number).ok()).unwrap_or(255))
}

fn size_of(terminal: &File) -> Outcome<TerminalSize> {
    let size = tcgetwinsize(terminal)?;
    // A terminal to which nobody has given a size has none.
    Ok(TerminalSize::new(size.ws_row, size.ws_col).unwrap_or_default())
}

/// Passes what is typed on as it is: the terminal in the container echoes it and turns
/// `^C` into a signal. The terminal gets its mode back on every way out, a panic
/// included.
struct RawMode<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> RawMode<'a> {
    fn enter(terminal: &'a File) -> Outcome<Self> {
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Drain, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs none.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Takes signals as before when it is dropped.
struct Registrations(Vec<signal_hook::SigId>);

impl Drop for Registrations {
    fn drop(&mut self) {
        for registration in self.0.drain(..) {
            low_level::unregister(registration);
        }
    }
}

/// Plays a person at a terminal, and a shell in a container.
pub(crate) fn rehearse() -> Outcome<()> {
    let mut screen = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?);
    grantpt(&screen)?;
    unlockpt(&screen)?;
    let path = ptsname(&screen, Vec::new())?.into_string()?;
    let terminal = File::options().read(true).write(true).open(path)?;
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen, size)?;
    let before = format!("{:?}", tcgetattr(&terminal)?);

    let runtime = NullRuntime::new();
    let shell = StdioScript::new()
        .write("$ ")
        .wait_for_resize(TerminalSize::new(50, 132)?)
        .write("wide $ ")
        .read("exit 3\r")
        .exit(3);
    runtime.set_stdio("job", ["sh"], shell)?;
    let spec = LaunchSpec::builder("job", "image").build()?;
    let container = runtime.launch(&spec, START_LIMIT)?;

    let person = thread::spawn(move || -> Outcome<File> {
        expect(&mut screen, "$ ")?;
        // The kernel sends the signal to the programs of a session's own terminal.
        tcsetwinsize(&screen, Winsize { ws_row: 50, ws_col: 132, ..size })?;
        kill_process(getpid(), rustix::process::Signal::WINCH)?;
        expect(&mut screen, "wide $ ")?;
        screen.write_all(b"exit 3\r")?;
        // Closing it would hang up.
        Ok(screen)
    });
    let outcome = attach(&container, [OsString::from("sh")], &terminal);
    let screen = person.join().map_err(|_| "the person panicked")??;
    let outcome = outcome?;
    println!("the shell ended with {outcome}");
    if format!("{:?}", tcgetattr(&terminal)?) != before {
        return Err("the terminal has another mode now".into());
    }
    drop(screen);
    Ok(())
}

fn expect(screen: &mut File, text: &str) -> Outcome<()> {
    let mut seen = vec![0; text.len()];
    screen.read_exact(&mut seen)?;
    if seen != text.as_bytes() {
        return Err(
            format!("the screen shows {:?}", String::from_utf8_lossy(&seen)).into()
        );
    }
    Ok(())
}
