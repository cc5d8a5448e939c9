//! libssh2 by the crate ssh2 alone: one session that blocks, without delays, and nothing that a
//! backend needs: no deadline, no cancelling, no limit, nobody else at the same time.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rt_krun::{CIPHERS, MACS};
use ssh2::{Channel, Error, MethodType, Session};

use crate::bench::outcome::Outcome;
use crate::krun::LoopbackGuest;
use crate::ssh_lab::DEV;

/// How much is read or written at once; more makes no difference.
const BUFFER: usize = 256 << 10;

/// A session of the user who is not root.
pub(super) struct Ssh2Session(Session);

impl Ssh2Session {
    /// With the cipher that ours has.
    pub(super) fn open(guest: &LoopbackGuest<'_>) -> Outcome<Self> {
        let stream = TcpStream::connect(guest.sshd.address())?;
        stream.set_nodelay(true)?;
        let mut session = Session::new()?;
        for (method, accepted) in [
            (MethodType::CryptCs, CIPHERS),
            (MethodType::CryptSc, CIPHERS),
            (MethodType::MacCs, MACS),
            (MethodType::MacSc, MACS),
        ] {
            session.method_pref(method, &accepted.join(","))?;
        }
        session.set_tcp_stream(stream);
        session.handshake()?;
        session.userauth_pubkey_file(DEV, None, guest.identity.private(), None)?;
        Ok(Self(session))
    }

    /// Runs a command that says nothing.
    pub(super) fn run(&self, command: &str) -> Outcome {
        self.read(command, &mut io::sink())
    }

    /// Runs a command, and writes what it says to `sink`.
    pub(super) fn read(&self, command: &str, sink: &mut impl Write) -> Outcome {
        let mut channel = self.start(command)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match channel.read(&mut buffer).map_err(|error| self.said(error))? {
                0 => return end(channel),
                count => sink.write_all(&buffer[..count])?,
            }
        }
    }

    /// Runs a command that reads all of `source`.
    pub(super) fn write(&self, command: &str, source: &mut impl Read) -> Outcome {
        let mut channel = self.start(command)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match source.read(&mut buffer)? {
                0 => break,
                count => channel.write_all(&buffer[..count]).map_err(|error| self.said(error))?,
            }
        }
        channel.send_eof()?;
        end(channel)
    }

    fn start(&self, command: &str) -> Outcome<Channel> {
        let mut channel = self.0.channel_session()?;
        channel.exec(command)?;
        Ok(channel)
    }

    /// libssh2's number, which an `io::Error` does not carry.
    fn said(&self, error: io::Error) -> Box<dyn std::error::Error + Send + Sync> {
        Error::last_session_error(&self.0).map_or_else(|| error.into(), Into::into)
    }
}

/// The command has said everything.
fn end(mut channel: Channel) -> Outcome {
    channel.wait_eof()?;
    channel.close()?;
    channel.wait_close()?;
    match channel.exit_status()? {
        0 => Ok(()),
        code => Err(format!("the command ended with {code}").into()),
    }
}
