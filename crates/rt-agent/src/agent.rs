//! An agent: its hello, and the commands that it starts.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rt_protocol::{Until, UntilError};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair,
};

use crate::EncodedRequest;
use crate::link::{Link, NewCommand, Queue};
use crate::socket::{receive, wait};
use crate::supervised::Supervised;
use crate::wire_format::{BEGIN, DESCRIPTORS, FRAME, Hello, VERSION};

/// Why there is no agent, or why it did not take a command. The command has not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The agent's end of the socket is closed.
    #[error("the agent is gone")]
    Gone,
    /// It uses another version of the wire format, or is not an agent.
    #[error("the agent speaks another language")]
    Incompatible,
    /// The users of the container have changed since the agent was started.
    #[error("the agent was started before the container's users changed")]
    Outdated,
    /// It did not take the command, which was withdrawn: [`Stall::Replace`](crate::Stall::Replace).
    #[error("the agent takes no commands")]
    Stalled,
    /// It did not answer or take the command before the caller's limit.
    #[error("the agent does not answer")]
    Stopped(UntilError),
    /// An error of the host's system.
    #[error("a socket of the agent failed")]
    System(#[from] io::Error),
}

impl From<Errno> for AgentError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// An agent that is being started and has not sent its hello. Clones are the same agent, for
/// several threads that wait for it.
#[derive(Clone, Debug)]
pub struct PendingAgent {
    socket: Arc<OwnedFd>,
}

impl PendingAgent {
    /// Creates the host's end of a socket, and the end that becomes descriptor 4 of the agent. The
    /// caller closes that one once the agent is started.
    ///
    /// # Errors
    /// If the system has no sockets left.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // From here on the kernel reports the sender of each message.
        set_socket_passcred(&ours, true)?;
        Ok((Self { socket: Arc::new(ours) }, theirs))
    }

    /// Returns the agent if its hello has come, otherwise `None`. One caller gets the agent.
    ///
    /// # Errors
    /// [`Gone`](AgentError::Gone) if it ended without a hello;
    /// [`Incompatible`](AgentError::Incompatible), [`System`](AgentError::System).
    pub fn try_hello(&self) -> Result<Option<Agent>, AgentError> {
        let mut bytes = [0; 2 * FRAME];
        let (length, host_pid) = match receive(self.socket.as_fd(), &mut bytes) {
            Ok((0, _)) | Err(Errno::CONNRESET) => return Err(AgentError::Gone),
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let hello = bytes[..length].try_into().map(Hello::from_bytes);
        match hello {
            Ok(Hello { version: VERSION, .. }) => {
                Ok(Some(Agent { link: Link::Socket(Arc::clone(&self.socket)), host_pid }))
            }
            _ => Err(AgentError::Incompatible),
        }
    }

    /// Waits for the hello.
    ///
    /// # Errors
    /// The errors of [`try_hello`](Self::try_hello), and [`Stopped`](AgentError::Stopped).
    pub fn hello(self, until: &Until) -> Result<Agent, AgentError> {
        loop {
            if let Some(agent) = self.try_hello()? {
                return Ok(agent);
            }
            self.wait(until).map_err(AgentError::Stopped)?;
        }
    }

    /// Waits until the agent has sent something or has ended. May return early.
    ///
    /// # Errors
    /// Why `until` ended first.
    pub fn wait(&self, until: &Until) -> Result<(), UntilError> {
        wait(&*self.socket, PollFlags::IN, until).map(drop)
    }
}

/// An agent that waits for commands. It ends when the last clone of this value and the last of its
/// commands are dropped.
#[derive(Clone, Debug)]
pub struct Agent {
    link: Link,
    host_pid: Option<u32>,
}

impl Agent {
    pub(crate) fn multiplexed(queue: Arc<Queue>) -> Self {
        Self { link: Link::Multiplexer(queue), host_pid: None }
    }

    /// Returns the agent's process id on this host, as reported by the kernel; `None` if it is not
    /// visible from here.
    pub fn host_pid(&self) -> Option<u32> {
        self.host_pid
    }

    /// Returns whether both are the same agent.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.link, &other.link) {
            (Link::Socket(one), Link::Socket(other)) => Arc::ptr_eq(one, other),
            (Link::Multiplexer(one), Link::Multiplexer(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Returns whether the agent's end of the socket, or its stream, is open.
    pub fn is_alive(&self) -> bool {
        let socket = match &self.link {
            Link::Socket(socket) => socket,
            Link::Multiplexer(queue) => return queue.is_open(),
        };
        let over = Until::after(std::time::Duration::ZERO);
        !wait(&**socket, PollFlags::empty(), &over)
            .is_ok_and(|got| got.intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// Hands over a command with its streams: a read end for stdin, write ends for stdout and
    /// stderr. They must be pipes that this program made for the command, because the container can
    /// do anything with descriptors that it gets.
    ///
    /// If the request has no stdin, the first descriptor is not used.
    ///
    /// # Errors
    /// The command has not run: [`Gone`](AgentError::Gone); [`Stopped`](AgentError::Stopped) if the
    /// agent takes nothing before the limit; [`System`](AgentError::System).
    pub fn begin(
        &self,
        request: &EncodedRequest,
        streams: [BorrowedFd<'_>; 3],
        until: &Until,
    ) -> Result<Supervised, AgentError> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if let Link::Socket(_) = self.link {
            set_socket_passcred(&ours, true)?;
        }
        // The part that fits into the socket is there when the supervisor begins to read.
        let mut supervised = Supervised::new(ours, request.as_bytes().to_vec(), self.link.clone());
        supervised.send_rest();
        let socket = match &self.link {
            Link::Socket(socket) => socket,
            Link::Multiplexer(queue) => {
                let command = NewCommand::new(theirs, request.has_stdin(), streams)?;
                return if queue.push(command) { Ok(supervised) } else { Err(AgentError::Gone) };
            }
        };
        let [stdin, stdout, stderr] = streams;
        let descriptors: [_; DESCRIPTORS] = [theirs.as_fd(), stdin, stdout, stderr];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(socket, &[IoSlice::new(&BEGIN)], &mut control, flags) {
                Ok(_) => return Ok(supervised),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Err(AgentError::Gone),
                Err(Errno::INTR) => {}
                // Its queue is full of other commands.
                Err(Errno::AGAIN) => {
                    wait(&**socket, PollFlags::OUT, until).map_err(AgentError::Stopped)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
