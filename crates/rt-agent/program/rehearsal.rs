//! What supervisors and commands need of the kernel, done once before the hello. So an agent says
//! hello only where it can serve: a limit on processes may leave no room for a supervisor and a
//! command, and a seccomp profile may refuse a call, or kill for it.

use crate::kernel::{self, Disposition, Errno, PollFd, Reaped};
use crate::tree;

/// How long the end of a process may take to be seen, in milliseconds. It is 10 s because the
/// machine may be busy.
const LIMIT: u32 = 10_000;

/// The error of what did not work, if the kernel gave none.
const REFUSED: Errno = Errno(1);

/// Starts and reaps a process that does what a supervisor does.
pub(crate) fn rehearse() -> Result<(), Errno> {
    let [reader, writer] = kernel::pipe()?;
    if kernel::fork()?.is_none() {
        kernel::close(reader);
        kernel::exit(supervise().is_err().into());
    }
    kernel::close(writer);
    // It hangs up with the process, whatever ends that.
    let has_waited = kernel::poll(&mut [PollFd::hung_up(reader)], Some(LIMIT));
    kernel::close(reader);
    if has_waited { reaped_well() } else { Err(REFUSED) }
}

/// Does what a supervisor does, from its start to the end of its command.
fn supervise() -> Result<(), Errno> {
    if !kernel::can_receive() || kernel::now() == 0 {
        return Err(REFUSED);
    }
    kernel::adopt_orphans()?;
    kernel::on_signal(kernel::SIGCHLD, Disposition::Default)?;
    let mask = kernel::block_sigchld();
    let ended_children = kernel::sigchld_descriptor()?;
    let found = kernel::allocate(4 * size_of::<tree::Found>())?;
    // It stays refused where an emulator copies the memory of the new process: no failed start
    // could be told there.
    let mut rehearsed = (mask, Err(REFUSED));
    kernel::run_until_exec(&mut rehearsed, |(mask, outcome)| {
        *outcome = command(*mask);
        kernel::exit(outcome.is_err().into());
    })?;
    rehearsed.1?;
    let mut fds = [PollFd::readable(ended_children)];
    let has_waited = kernel::poll(&mut fds, Some(LIMIT));
    let [child_ended] = fds;
    if !has_waited || !child_ended.is_ready() {
        return Err(REFUSED);
    }
    kernel::read(ended_children, &mut [0; 128])?;
    let me = kernel::pid();
    // Signal 0 is none. `/proc` may be of no use; then this only asks for it.
    tree::signal(0, found.as_chunks_mut().0);
    kernel::kill(me, 0)?;
    if let Ok(process) = kernel::open_process(me) {
        kernel::signal_process(process, 0);
        kernel::close(process);
    }
    reaped_well()?;
    if kernel::check_child(me) == Err(Errno::CHILD) { Ok(()) } else { Err(REFUSED) }
}

/// Does what a command does before it becomes another program.
fn command(mask: u64) -> Result<(), Errno> {
    kernel::new_session()?;
    kernel::enter(c"/")?;
    kernel::set_signal_mask(mask);
    kernel::exists(c"/");
    Ok(())
}

/// Reaps the only child, which has ended, and by itself.
fn reaped_well() -> Result<(), Errno> {
    loop {
        match kernel::reap()? {
            Some(Reaped { status: 0, .. }) => return Ok(()),
            Some(_) => return Err(REFUSED),
            // Its descriptors are closed a moment before it can be reaped.
            None => {
                if !kernel::poll(&mut [], Some(1)) {
                    return Err(REFUSED);
                }
            }
        }
    }
}
