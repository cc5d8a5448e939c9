//! The agent itself: it sends the hello and forks a supervisor for each request. It reads no
//! request. Where no descriptors can be passed, the multiplexer has its place.

use crate::inherited::Inherited;
use crate::kernel::{self, Disposition, Errno, Fd, Message, PollFd, Strings};
use crate::multiplexer;
use crate::packet_format::MULTIPLEX;
use crate::rehearsal;
use crate::supervisor;
use crate::user_database::UserDatabase;
use crate::wire_format::{BEGIN, Hello, PROGRAM_FD, Report, SOCKET_FD, Stage, VERSION};

/// How long it waits for a request, in milliseconds, unless its first argument sets another time.
const IDLE: u32 = 120_000;

/// How long it waits for its supervisors once the host is gone, in milliseconds.
const FAREWELL: u32 = 5000;

pub(crate) fn run(mut arguments: Strings, environment: Strings) -> ! {
    // First of all, before there is anything that could be read.
    let is_closed = kernel::forbid_dumps();
    let program = arguments.next().unwrap_or_default();
    let argument = arguments.next().unwrap_or_default().to_bytes();
    let is_multiplexer = argument == MULTIPLEX.as_bytes();
    let take_descriptors =
        || if is_multiplexer { multiplexer::take_descriptors(program) } else { take_descriptors() };
    // Without a hello, the host does without an agent.
    let prepared = is_closed.and_then(|()| take_descriptors()).and_then(|()| prepare(environment));
    let Ok(inherited) = prepared else { kernel::exit(1) };
    if is_multiplexer {
        multiplexer::serve(&inherited);
    } else {
        serve(&inherited, milliseconds(argument).filter(|idle| *idle > 0).unwrap_or(IDLE));
    }
    leave(inherited.life)
}

fn take_descriptors() -> Result<(), Errno> {
    kernel::close(PROGRAM_FD);
    kernel::close_on_exec(SOCKET_FD)?;
    // Commands must not hold the pipes of the process that started the agent.
    kernel::duplicate(0, 1)?;
    kernel::duplicate(0, 2)
}

fn prepare(environment: Strings) -> Result<Inherited, Errno> {
    kernel::adopt_orphans()?;
    kernel::close_from(SOCKET_FD + 1);
    // The defaults of a new process. The process that started the agent may have ignored some.
    for signal in 1..=64 {
        let _ = kernel::on_signal(signal, Disposition::Default);
    }
    rehearsal::rehearse()?;
    // Processes that commands leave behind are adopted by the agent, and reaped by the kernel.
    kernel::on_signal(kernel::SIGCHLD, Disposition::Ignore)?;
    let workdir = kernel::working_directory(kernel::allocate(4096)?)?;
    if !workdir.to_bytes().starts_with(b"/") {
        return Err(Errno::NOENT);
    }
    // So that the agent keeps no mount busy.
    kernel::enter(c"/")?;
    Ok(Inherited { environment, workdir, users: UserDatabase::now()?, life: kernel::pipe()? })
}

/// Serves requests until the host is gone, or until no request comes for `idle` and nothing
/// runs.
fn serve(inherited: &Inherited, idle: u32) {
    let hello = Hello { version: VERSION, pid: kernel::pid() };
    if !kernel::send(SOCKET_FD, &hello.to_bytes()) {
        return;
    }
    loop {
        let mut fds = [PollFd::readable(SOCKET_FD)];
        if !kernel::poll(&mut fds, Some(idle)) {
            return;
        }
        let [socket] = fds;
        if socket.is_ready() {
            let mut buffer = [0; 2 * BEGIN.len()];
            match kernel::receive_message(SOCKET_FD, &mut buffer) {
                Ok(message) if message.length > 0 => {
                    let is_request = message.length == BEGIN.len() && buffer.starts_with(&BEGIN);
                    begin(inherited, is_request, message);
                }
                _ => return,
            }
        } else if kernel::reap().is_err() {
            // There is no child: neither a supervisor nor a process left by a command.
            return;
        }
    }
}

/// Forks the supervisor of a request. An invalid request is dropped: its control socket closes.
fn begin(inherited: &Inherited, is_request: bool, message: Message) {
    let descriptors = message.descriptors;
    let [control, ..] = descriptors;
    if is_request && descriptors.iter().all(|fd| *fd >= 0) {
        match kernel::fork() {
            Ok(None) => supervisor::run(inherited, descriptors),
            Ok(Some(_)) => {}
            Err(Errno(errno)) => {
                kernel::send(control, &Report::Failed(Stage::Fork, errno).to_bytes());
            }
        }
    }
    descriptors.into_iter().filter(|fd| *fd >= 0).for_each(kernel::close);
}

/// Exits after the supervisors. If it exited first, they would go to process 1, which may reap
/// no children.
fn leave([reader, writer]: [Fd; 2]) -> ! {
    kernel::close(SOCKET_FD);
    kernel::close(writer);
    kernel::poll(&mut [PollFd::hung_up(reader)], Some(FAREWELL));
    // The supervisors have closed everything, and become zombies now.
    for _ in 0..10 {
        if kernel::reap().is_err() {
            break;
        }
        kernel::poll(&mut [], Some(2));
    }
    kernel::exit(0)
}
/// A decimal number.
fn milliseconds(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u32::from(digit)) }
    })
}
