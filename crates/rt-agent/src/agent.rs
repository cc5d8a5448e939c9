//! An agent: its hello, and the commands that it begins.

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
use crate::socket::{receive, wait};
use crate::supervised::Supervised;
use crate::wire_format::{BEGIN, DESCRIPTORS, FRAME, Hello, VERSION};

/// Why there is no agent, or why it did not take a command. The command certainly never ran.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Nobody is at the other end of its socket (any more).
    #[error("the agent is gone")]
    Gone,
    /// It speaks another version of the wire, or something else.
    #[error("the agent speaks another language")]
    Incompatible,
    /// The users of the container have changed since it was started.
    #[error("the agent was started before the container's users changed")]
    Outdated,
    /// It did not answer, or take the command, before the caller's limit.
    #[error("the agent does not answer")]
    Stopped(UntilError),
    /// The system refused on this side.
    #[error("a socket of the agent failed")]
    System(#[from] io::Error),
}

impl From<Errno> for AgentError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// An agent that is being started, and has not said hello.
#[derive(Debug)]
pub struct PendingAgent {
    socket: OwnedFd,
}

impl PendingAgent {
    /// The host's end, and the one to be passed on as descriptor 4 of the agent; this program is to close it then.
    ///
    /// # Errors
    /// The system has no sockets to give.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // From here on the kernel says who sends.
        set_socket_passcred(&ours, true)?;
        Ok((Self { socket: ours }, theirs))
    }

    /// The agent, once it has said hello; this one before. To be asked when the socket is readable.
    ///
    /// # Errors
    /// [`Gone`](AgentError::Gone): it ended without a hello. [`Incompatible`](AgentError::Incompatible),
    /// [`System`](AgentError::System).
    pub fn try_hello(self) -> Result<Result<Agent, Self>, AgentError> {
        let mut bytes = [0; 2 * FRAME];
        let (length, host_pid) = match receive(self.socket.as_fd(), &mut bytes) {
            Ok((0, _)) | Err(Errno::CONNRESET) => return Err(AgentError::Gone),
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Err(self)),
            Err(error) => return Err(error.into()),
        };
        let hello = bytes[..length].try_into().map(Hello::from_bytes);
        match hello {
            Ok(Hello { version: VERSION, .. }) => Ok(Ok(Agent { socket: Arc::new(self.socket), host_pid })),
            _ => Err(AgentError::Incompatible),
        }
    }

    /// Waits for the hello.
    ///
    /// # Errors
    /// As for [`try_hello`](Self::try_hello), and [`Stopped`](AgentError::Stopped).
    pub fn hello(self, until: &Until) -> Result<Agent, AgentError> {
        let mut pending = self;
        loop {
            match pending.try_hello()? {
                Ok(agent) => return Ok(agent),
                Err(silent) => pending = silent,
            }
            wait(&pending.socket, PollFlags::IN, until).map_err(AgentError::Stopped)?;
        }
    }
}

impl AsFd for PendingAgent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An agent that waits for commands. It ends when the last clone of this and the last of its commands are dropped.
#[derive(Clone, Debug)]
pub struct Agent {
    socket: Arc<OwnedFd>,
    host_pid: Option<u32>,
}

impl Agent {
    /// Its number on this machine, by the kernel's word; `None` where it cannot be seen from here.
    pub fn host_pid(&self) -> Option<u32> {
        self.host_pid
    }

    /// Whether somebody is at the other end of its socket.
    pub fn is_alive(&self) -> bool {
        let over = Until::after(std::time::Duration::ZERO);
        !wait(&*self.socket, PollFlags::empty(), &over)
            .is_ok_and(|got| got.intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// Hands a command over, with its streams: stdin to be read, stdout and stderr to be written. They must be pipes that
    /// this program has made for it. A descriptor of somebody else would be the container's from then on.
    ///
    /// When the request has no stdin, the first one is not used.
    ///
    /// # Errors
    /// The command certainly never ran: [`Gone`](AgentError::Gone); [`Stopped`](AgentError::Stopped), while it takes nothing;
    /// [`System`](AgentError::System).
    pub fn begin(
        &self,
        request: &EncodedRequest,
        streams: [BorrowedFd<'_>; 3],
        until: &Until,
    ) -> Result<Supervised, AgentError> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_socket_passcred(&ours, true)?;
        // What fits of it is there when the supervisor begins to read.
        let mut supervised = Supervised::new(ours, request.as_bytes().to_vec(), Arc::clone(&self.socket));
        supervised.send_rest();
        let [stdin, stdout, stderr] = streams;
        let descriptors: [_; DESCRIPTORS] = [theirs.as_fd(), stdin, stdout, stderr];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(&*self.socket, &[IoSlice::new(&BEGIN)], &mut control, flags) {
                Ok(_) => return Ok(supervised),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Err(AgentError::Gone),
                Err(Errno::INTR) => {}
                // Its queue is full of other commands'.
                Err(Errno::AGAIN) => {
                    wait(&*self.socket, PollFlags::OUT, until).map_err(AgentError::Stopped)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
