//! The packets that carry the streams of all commands over one byte stream, where no descriptors
//! can be passed. The program includes this file too, so it uses only `core`.
//!
//! A packet is a head, and the payload of [`Packet::Data`]. All numbers are little-endian. A side
//! that reads anything else gives up the whole stream, and all its commands with it. The hello
//! comes first. What a command's control socket and pipes carry is that of `wire_format`.
//!
//! A side sends no more bytes of a stream than it was allowed: a window at the start, and each
//! [`Packet::Credit`] after that. So no command can fill the memory of the other side, nor stop the
//! streams of other commands.

use crate::wire_format::{pair, split};

/// The argument with which the program serves such a stream: packets come on its stdin, and go to
/// its stdout. First of all it removes its own file, whose path is its name.
pub const MULTIPLEX: &str = "multiplex";

/// The length of a packet's head, in bytes.
pub(crate) const PACKET_HEAD: usize = 12;
/// The longest payload, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 32 << 10;

/// How many commands run at once. Each takes four descriptors of the agent, and 1,024 is a common
/// limit on those.
pub(crate) const MOST_COMMANDS: usize = 200;

/// How many bytes of stdin, and of the control socket, a new command may be sent.
pub(crate) const INPUT_WINDOW: usize = 128 << 10;
/// How many bytes of stdout, and of stderr, a new command may send.
pub(crate) const OUTPUT_WINDOW: usize = 256 << 10;
/// How many bytes more of each it may send before a report: a report comes after the output that
/// was written before it, and may not wait for a slow reader of that.
pub(crate) const OVERDRAFT: usize = 64 << 10;

/// A stream of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stream {
    /// The control socket, in both directions.
    Control = 0,
    Stdin = 1,
    Stdout = 2,
    Stderr = 3,
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// The agent's first packet: its version, in the place of a command, and its process id.
    Hello(u32),
    /// A new command, from the host. Its request comes on its control socket.
    Begin { has_stdin: bool },
    /// This many bytes of a stream, which follow.
    Data(Stream, u32),
    /// The sender has come to the end of this stream. The end of the control socket ends the
    /// command if it comes from the host, and comes after the last report if it comes from the
    /// agent.
    End(Stream),
    /// Nobody reads this stream any more.
    Stop(Stream),
    /// The other side may send this many bytes more of this stream.
    Credit(Stream, u32),
    /// All streams of the command have ended, and the agent has forgotten it.
    Over,
    /// The host asks whether the agent still serves. The command means nothing.
    Ask,
    /// The agent's answer.
    Answer,
}

/// The head of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketHead {
    /// The number of the command, which no other one has on this stream.
    pub(crate) command: u32,
    pub(crate) packet: Packet,
}

impl PacketHead {
    pub(crate) fn to_bytes(self) -> [u8; PACKET_HEAD] {
        let (kind, stream, value) = match self.packet {
            Packet::Hello(pid) => (0, 0, pid),
            Packet::Begin { has_stdin } => (1, 0, u32::from(has_stdin)),
            Packet::Data(stream, length) => (2, stream as u8, length),
            Packet::End(stream) => (3, stream as u8, 0),
            Packet::Stop(stream) => (4, stream as u8, 0),
            Packet::Credit(stream, count) => (5, stream as u8, count),
            Packet::Over => (6, 0, 0),
            Packet::Ask => (7, 0, 0),
            Packet::Answer => (8, 0, 0),
        };
        let mut bytes = [0; PACKET_HEAD];
        let (own, numbers) = bytes.split_at_mut(4);
        own[..2].copy_from_slice(&[kind, stream]);
        numbers.copy_from_slice(&pair(self.command, value));
        bytes
    }

    /// `None` for an unknown packet, or a payload that is empty or too long.
    pub(crate) fn from_bytes(bytes: &[u8; PACKET_HEAD]) -> Option<Self> {
        let [kind, stream, 0, 0, numbers @ ..] = *bytes else { return None };
        let (command, value) = split(numbers);
        let of = || match stream {
            0 => Stream::Control,
            1 => Stream::Stdin,
            2 => Stream::Stdout,
            _ => Stream::Stderr,
        };
        let packet = match (kind, stream, value) {
            (0, 0, pid) => Packet::Hello(pid),
            (1, 0, 0 | 1) => Packet::Begin { has_stdin: value == 1 },
            (2, 0..=3, 1..) if value as usize <= MAX_PAYLOAD => Packet::Data(of(), value),
            (3, 0..=3, 0) => Packet::End(of()),
            (4, 0..=3, 0) => Packet::Stop(of()),
            (5, 0..=3, count) => Packet::Credit(of(), count),
            (6, 0, 0) => Packet::Over,
            (7, 0, 0) => Packet::Ask,
            (8, 0, 0) => Packet::Answer,
            _ => return None,
        };
        Some(Self { command, packet })
    }

    /// Returns how many bytes follow the head.
    pub(crate) fn payload(self) -> usize {
        match self.packet {
            Packet::Data(_, length) => length as usize,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_head_of_any_bytes_is_refused_or_read_as_it_is_written(mut bytes: [u8; PACKET_HEAD], is_near: bool) {
            if is_near {
                (bytes[0], bytes[1]) = (bytes[0] % 10, bytes[1] % 5);
                bytes[2..4].fill(0);
                bytes[9..].fill(0);
            }
            if let Some(head) = PacketHead::from_bytes(&bytes) {
                prop_assert_eq!(head.to_bytes(), bytes);
                prop_assert!(head.payload() <= MAX_PAYLOAD);
            }
        }
    }
}
