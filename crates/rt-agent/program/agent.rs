//! The agent itself: it says hello, forks a supervisor for each request, and reads none of them.

use core::ffi::CStr;

use crate::entry::Strings;
use crate::kernel::{self, Disposition, Errno, Fd, Message, PollFd};
use crate::supervisor;
use crate::user_database::UserDatabase;
use crate::wire_format::{BEGIN, Hello, PROGRAM_FD, Report, SOCKET_FD, Stage, VERSION};

/// How long it waits for a request, in milliseconds, unless its first argument says otherwise.
const IDLE: u32 = 120_000;

/// How long the supervisors may take to end their commands once the host is gone.
const FAREWELL: u32 = 5000;

/// What every command has from the container.
pub(crate) struct Agent {
    pub(crate) environment: Strings,
    /// By its path, so that a directory that was removed and made again is found.
    pub(crate) workdir: &'static CStr,
    pub(crate) users: UserDatabase,
    /// A pipe. Each supervisor holds the end that is written, and so the other one ends with the last of them.
    pub(crate) life: [Fd; 2],
}

pub(crate) fn run(arguments: Strings, environment: Strings) -> ! {
    // First of all, while there is nothing to be seen yet.
    kernel::forbid_dumps();
    let idle = arguments.skip(1).find_map(|text| milliseconds(text.to_bytes())).unwrap_or(IDLE);
    // Without a hello the host does without an agent.
    let Ok(agent) = Agent::prepare(environment) else { kernel::exit(1) };
    let hello = Hello { version: VERSION, pid: kernel::pid() };
    if !kernel::send(SOCKET_FD, &hello.to_bytes()) {
        kernel::exit(1);
    }
    agent.serve(idle);
    agent.leave()
}

impl Agent {
    fn prepare(environment: Strings) -> Result<Self, Errno> {
        kernel::adopt_orphans()?;
        kernel::close(PROGRAM_FD);
        kernel::close_on_exec(SOCKET_FD);
        // Commands must not hold the pipes of whoever started the agent.
        kernel::duplicate(0, 1)?;
        kernel::duplicate(0, 2)?;
        kernel::close_from(SOCKET_FD + 1);
        // As a new process has them. Whoever started the agent may have ignored some.
        for signal in 1..=64 {
            kernel::on_signal(signal, Disposition::Default);
        }
        // What commands leave behind comes to the agent, and is reaped by the kernel.
        kernel::on_signal(kernel::SIGCHLD, Disposition::Ignore);
        let workdir = kernel::working_directory(kernel::allocate(4096)?)?;
        if !workdir.to_bytes().starts_with(b"/") {
            return Err(Errno::NOENT);
        }
        // No mount is held.
        kernel::enter(c"/")?;
        Ok(Self { environment, workdir, users: UserDatabase::now(), life: kernel::pipe()? })
    }

    /// Serves requests until the host is gone, or has asked for nothing and nothing runs.
    fn serve(&self, idle: u32) {
        loop {
            let mut fds = [PollFd::readable(SOCKET_FD)];
            kernel::poll(&mut fds, Some(idle));
            let [socket] = fds;
            if socket.is_ready() {
                let mut buffer = [0; 2 * BEGIN.len()];
                match kernel::receive_message(SOCKET_FD, &mut buffer) {
                    Ok(message) if message.length > 0 => {
                        self.begin(message.length == BEGIN.len() && buffer.starts_with(&BEGIN), message);
                    }
                    _ => return,
                }
            } else if kernel::reap().is_err() {
                // There is no child: neither a supervisor nor what a command has left.
                return;
            }
        }
    }

    /// Forks the supervisor of a request. One that is none is dropped: its control socket closes.
    fn begin(&self, is_request: bool, message: Message) {
        let descriptors = message.descriptors;
        let [control, ..] = descriptors;
        if is_request && descriptors.iter().all(|fd| *fd >= 0) {
            match kernel::fork() {
                Ok(None) => supervisor::run(self, descriptors),
                Ok(Some(_)) => {}
                Err(Errno(errno)) => {
                    kernel::send(control, &Report::Failed(Stage::Fork, errno).to_bytes());
                }
            }
        }
        descriptors.into_iter().filter(|fd| *fd >= 0).for_each(kernel::close);
    }

    /// Ends after the supervisors. Who ends before them leaves them to process 1, which may reap nobody.
    fn leave(&self) -> ! {
        let [reader, writer] = self.life;
        kernel::close(SOCKET_FD);
        kernel::close(writer);
        kernel::poll(&mut [PollFd::hung_up(reader)], Some(FAREWELL));
        // They have closed everything, and are about to become zombies of ours.
        for _ in 0..10 {
            if kernel::reap().is_err() {
                break;
            }
            kernel::poll(&mut [], Some(2));
        }
        kernel::exit(0)
    }
}

/// A decimal number.
fn milliseconds(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u32::from(digit)) }
    })
}
