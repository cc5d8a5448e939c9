//! The terminal of a command: a pseudo terminal of the container, and the bytes between it and the
//! host's pipes.
//!
//! The supervisor copies them, because no descriptor of the container goes to the host. It holds
//! the master, so the kernel hangs the terminal up when the supervisor ends, whatever ends that.
//! Nothing here waits: what a full pipe or a command does not take stays in a buffer, and no more
//! is read.

use crate::buffer::Buffer;
use crate::kernel::{self, Errno, Fd, PollFd};
use crate::wire_format::TerminalSize;

/// The size of each buffer, in bytes.
const BUFFER: usize = 16 << 10;

/// How much is read after the command has exited, in bytes. The kernel holds at most 64 KiB of what
/// the command wrote, and 4 KiB that can be read. What comes after that is from processes that were
/// left behind.
const LAST_OUTPUT: usize = 128 << 10;

/// How many times the buffer is filled before the supervisor looks at other things.
const TURNS: u32 = 4;

/// How many descriptors [`Terminal::interests`] names.
pub(crate) const INTERESTS: usize = 3;

pub(crate) struct Terminal {
    master: Fd,
    /// The command's end. While it is open here, the master never reports the end.
    peer: Option<Fd>,
    /// What is typed; `None` once it has ended.
    stdin: Option<Fd>,
    stdout: Fd,
    input: Buffer,
    output: Buffer,
    /// How much of the output of an exited command may still be read.
    left: usize,
    has_exited: bool,
    /// No more output comes, or it is not read any more.
    has_ended: bool,
}

impl Terminal {
    /// Makes a terminal of this size for these pipes.
    pub(crate) fn open(size: TerminalSize, stdin: Option<Fd>, stdout: Fd) -> Result<Self, Errno> {
        let input = Buffer::new(BUFFER)?;
        let output = Buffer::new(BUFFER)?;
        // A supervisor that fails from here on exits, which closes everything. Nothing else uses
        // the pipes: the command has the terminal.
        let [master, peer] = kernel::open_terminal(size)?;
        stdin.map_or(Ok(()), kernel::never_wait)?;
        kernel::never_wait(stdout)?;
        let left = LAST_OUTPUT;
        Ok(Self {
            master,
            peer: Some(peer),
            stdin,
            stdout,
            input,
            output,
            left,
            has_exited: false,
            has_ended: false,
        })
    }

    /// Returns the command's end.
    pub(crate) fn peer(&self) -> Option<Fd> {
        self.peer
    }

    pub(crate) fn resize(&self, size: TerminalSize) {
        // After a hang-up there is none.
        let _ = kernel::resize_terminal(self.master, size);
    }

    /// The command has exited: from here on, the output ends.
    pub(crate) fn command_exited(&mut self) {
        self.has_exited = true;
        if let Some(peer) = self.peer.take() {
            kernel::close(peer);
        }
    }

    /// Returns whether everything that the command wrote was handed on.
    pub(crate) fn is_done(&self) -> bool {
        self.has_ended && self.output.is_empty()
    }

    /// Returns what to wait for.
    pub(crate) fn interests(&self) -> [PollFd; INTERESTS] {
        let reads = !self.has_ended && self.output.is_empty();
        let writes = !self.has_exited && !self.input.is_empty();
        let master = if reads || writes { PollFd::wanting(self.master, reads, writes) } else { PollFd::NONE };
        let stdin = match self.stdin {
            Some(stdin) if self.input.is_empty() && !self.has_exited => PollFd::readable(stdin),
            _ => PollFd::NONE,
        };
        [master, stdin, PollFd::wanting(self.stdout, false, !self.output.is_empty())]
    }

    /// Copies what can be copied now; of the output of an exited command everything, unless the
    /// host's pipe is full. Returns false if the terminal must hang up: nobody reads its output any
    /// more, or it was hung up from inside.
    pub(crate) fn advance(&mut self, [_, _, stdout]: &[PollFd; INTERESTS]) -> bool {
        if stdout.is_broken() {
            return false;
        }
        if !self.has_exited {
            self.type_input();
        }
        self.show_output()
    }

    fn type_input(&mut self) {
        if let Some(stdin) = self.stdin
            && self.input.is_empty()
        {
            match self.input.fill(stdin) {
                Ok(1..) | Err(Errno::AGAIN) => {}
                // A terminal has no end.
                Ok(0) | Err(_) => {
                    kernel::close(stdin);
                    self.stdin = None;
                }
            }
        }
        // What a terminal that was hung up does not take is not taken by a later write either; its
        // output shows that.
        let _ = self.input.drain(self.master);
    }

    fn show_output(&mut self) -> bool {
        // Not without end: the supervisor has other things to do.
        let mut turns = TURNS;
        while turns > 0 {
            turns -= u32::from(!self.has_exited);
            if self.output.is_empty() && !self.has_ended {
                match self.output.fill(self.master) {
                    Ok(count @ 1..) if self.has_exited => {
                        self.left = self.left.saturating_sub(count);
                        self.has_ended = self.left == 0;
                    }
                    Ok(1..) => {}
                    // The kernel has handed on everything that was written before.
                    Err(Errno::AGAIN) if !self.has_exited => return true,
                    _ if self.has_exited => self.has_ended = true,
                    _ => return false,
                }
            }
            match self.output.drain(self.stdout) {
                Ok(()) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
            if self.has_ended {
                return true;
            }
        }
        true
    }

    /// Hangs up: the kernel sends SIGHUP to what is in the foreground.
    pub(crate) fn hang_up(self) {
        self.peer.iter().for_each(|peer| kernel::close(*peer));
        self.stdin.iter().for_each(|stdin| kernel::close(*stdin));
        kernel::close(self.stdout);
        kernel::close(self.master);
    }
}
