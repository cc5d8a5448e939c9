//! The wire format between the host and the agent. The program includes this file too, so it uses
//! only `core`.
//!
//! All numbers are little-endian. A side that reads anything else than this format gives up the
//! command: the host reports it lost, the supervisor ends it.

use core::ffi::CStr;

/// The version of this format. It is in the hello and at the start of each request.
pub(crate) const VERSION: u32 = 3;

/// The descriptor of the agent's own program, which the agent closes at once.
pub(crate) const PROGRAM_FD: i32 = 3;
/// The descriptor of the agent's socket.
pub(crate) const SOCKET_FD: i32 = 4;

/// The message that begins a command. Four descriptors come with it: control, stdin, stdout,
/// stderr.
pub(crate) const BEGIN: [u8; 1] = *b"E";
/// The number of descriptors that come with [`BEGIN`].
pub(crate) const DESCRIPTORS: usize = 4;

/// The length of a frame on the control socket, and of the hello, in bytes.
pub(crate) const FRAME: usize = 8;
/// The length of a request's head, in bytes.
pub(crate) const HEAD: usize = 28;
/// The longest body of a request, in bytes. Linux starts no program with more than 6 MiB of
/// strings.
pub(crate) const MAX_BODY: usize = 16 << 20;

/// The agent's first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Its [`VERSION`].
    pub(crate) version: u32,
    /// Its process id, in its own namespace.
    pub(crate) pid: u32,
}

impl Hello {
    pub(crate) fn to_bytes(self) -> [u8; FRAME] {
        pair(self.version, self.pid)
    }

    pub(crate) fn from_bytes(bytes: [u8; FRAME]) -> Self {
        let (version, pid) = split(bytes);
        Self { version, pid }
    }
}

/// The operation of a request. The arguments of an operation on files are in the place of a
/// command's; numbers are decimal digits, and an empty text is no number. Its exit code is 0, an
/// errno, [`NOT_REGULAR`] or [`SHORT_INPUT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Act {
    /// Runs a command.
    Run = 0,
    /// Writes the status of a file (`struct statx`) and its contents to stdout: path, limit in
    /// bytes. With `EFBIG` it has more.
    ReadFile = 1,
    /// Writes stdin to a file: path, path of the new file that replaces it (or empty), length,
    /// mode, user, group, and any text if parents are to be made.
    WriteFile = 2,
    /// Writes the status of a path to stdout, and the text of a symbolic link: path.
    Stat = 3,
    /// Writes the entries of a directory to stdout, in the layout of getdents64(2): path, limit in
    /// bytes.
    List = 4,
    /// Removes what is at a path, and what is in it: path.
    Remove = 5,
}

/// The exit code for a file that is neither regular nor a directory.
pub(crate) const NOT_REGULAR: u8 = 200;

/// The exit code for an input that ended too early.
pub(crate) const SHORT_INPUT: u8 = 201;

impl Act {
    const ALL: [Self; 6] = [Self::Run, Self::ReadFile, Self::WriteFile, Self::Stat, Self::List, Self::Remove];

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|act| *act as u32 == number)
    }
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalSize {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl TerminalSize {
    fn to_number(self) -> u32 {
        u32::from(self.rows) << 16 | u32::from(self.columns)
    }

    fn from_number(number: u32) -> Self {
        let [low, high, rows, more] = number.to_le_bytes();
        Self { rows: u16::from_le_bytes([rows, more]), columns: u16::from_le_bytes([low, high]) }
    }
}

/// The head of a request, sent first on the control socket. Its body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) act: Act,
    /// Without it, stdin is the agent's, `/dev/null`, and the descriptor in its place is not used.
    pub(crate) has_stdin: bool,
    /// The command gets a terminal of this size. stdout is where the supervisor copies its output
    /// to, and stdin what is typed; stderr is not used.
    pub(crate) terminal: Option<TerminalSize>,
    pub(crate) arguments: u32,
    pub(crate) variables: u32,
    /// The length of the body in bytes.
    pub(crate) length: u32,
}

const HAS_STDIN: u32 = 1;
const HAS_TERMINAL: u32 = 2;

impl RequestHead {
    pub(crate) fn to_bytes(self) -> [u8; HEAD] {
        let terminal = if self.terminal.is_some() { HAS_TERMINAL } else { 0 };
        let stdin = if self.has_stdin { HAS_STDIN } else { 0 };
        let words = [
            VERSION,
            self.act as u32,
            stdin | terminal,
            self.terminal.map_or(0, TerminalSize::to_number),
            self.arguments,
            self.variables,
            self.length,
        ];
        let mut bytes = [0; HEAD];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// `None` for another version, an unknown act or flag, or a body that is too long.
    pub(crate) fn from_bytes(bytes: &[u8; HEAD]) -> Option<Self> {
        let mut words = [0; HEAD / 4];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes(place.try_into().ok()?);
        }
        let [version, act, flags, size, arguments, variables, length] = words;
        if version != VERSION || flags & !(HAS_STDIN | HAS_TERMINAL) != 0 || length as usize > MAX_BODY {
            return None;
        }
        let has_terminal = flags & HAS_TERMINAL != 0;
        if !has_terminal && size != 0 {
            return None;
        }
        Some(Self {
            act: Act::from_number(act)?,
            has_stdin: flags & HAS_STDIN != 0,
            terminal: has_terminal.then(|| TerminalSize::from_number(size)),
            arguments,
            variables,
            length,
        })
    }
}

/// The body of a request: the working directory (empty: the container's own), the arguments, and
/// the variables as `NAME=VALUE`. Each ends with a NUL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestBody<'a> {
    bytes: &'a [u8],
    arguments: usize,
}

impl<'a> RequestBody<'a> {
    /// `None` unless the number of strings is exactly the one in `head`, with at least one
    /// argument.
    pub(crate) fn from_bytes(head: &RequestHead, bytes: &'a [u8]) -> Option<Self> {
        // The iterator stops at the last string that ends with a NUL.
        let ends = Strings(bytes).count();
        let wanted = 1 + u64::from(head.arguments) + u64::from(head.variables);
        let fits = ends as u64 == wanted && bytes.len() == head.length as usize;
        let is_whole = fits && bytes.last() == Some(&0) && head.arguments > 0;
        is_whole.then_some(Self { bytes, arguments: head.arguments as usize })
    }

    pub(crate) fn workdir(self) -> &'a CStr {
        Strings(self.bytes).next().unwrap_or_default()
    }

    pub(crate) fn arguments(self) -> impl Iterator<Item = &'a CStr> {
        Strings(self.bytes).skip(1).take(self.arguments)
    }

    pub(crate) fn variables(self) -> impl Iterator<Item = &'a CStr> {
        Strings(self.bytes).skip(1 + self.arguments)
    }
}

/// Strings that each end with a NUL.
#[derive(Clone, Debug)]
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let string = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = self.0.get(string.count_bytes() + 1..)?;
        Some(string)
    }
}

/// The host's orders for a command that was begun. Closing the control socket has the effect of
/// [`End`](Self::End) with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Sends this signal to the command's process group.
    SignalGroup(u32),
    /// Sends this signal to the command and all its descendants.
    SignalTree(u32),
    /// Ends the command and all its descendants: TERM, this many milliseconds, KILL. With 0, KILL
    /// at once.
    End(u32),
    /// Sets the size of the terminal. No effect without a terminal.
    Resize(TerminalSize),
}

impl Order {
    pub(crate) fn to_bytes(self) -> [u8; FRAME] {
        match self {
            Self::SignalGroup(signal) => pair(1, signal),
            Self::SignalTree(signal) => pair(2, signal),
            Self::End(grace) => pair(3, grace),
            Self::Resize(size) => pair(4, size.to_number()),
        }
    }

    pub(crate) fn from_bytes(bytes: [u8; FRAME]) -> Option<Self> {
        let (kind, value) = split(bytes);
        match kind {
            1 | 2 if !(1..=64).contains(&value) => None,
            1 => Some(Self::SignalGroup(value)),
            2 => Some(Self::SignalTree(value)),
            3 => Some(Self::End(value)),
            4 => Some(Self::Resize(TerminalSize::from_number(value))),
            _ => None,
        }
    }
}

/// The supervisor's reports on its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The request was read, and the command is started next. Nothing of it can have run before
    /// this.
    AboutToStart,
    /// The command did not start: the step, and the errno.
    Failed(Stage, u32),
    /// It runs, with this process id.
    Started(u32),
    /// It has ended, with this status of wait(2).
    Exited {
        status: u32,
        /// The kernel reports that no descendant is left. If false, the others run on, unless they
        /// are being ended.
        is_alone: bool,
    },
    /// It was ended, and the kernel reports that no descendant is left. This many were reaped
    /// meanwhile.
    Gone(u32),
    /// It was to be ended, and this many are left after some seconds.
    Left(u32),
}

/// The step at which a command failed to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u32)]
pub enum Stage {
    /// The request is invalid in this version.
    Request = 1,
    /// This agent does not support the operation.
    Unsupported = 2,
    /// `/etc/passwd` or `/etc/group` has changed since the agent was started, so its user may mean
    /// another one now.
    Outdated = 3,
    /// No memory, or too many processes.
    Fork = 4,
    /// Its streams could not be set up.
    Streams = 5,
    /// Its working directory could not be entered.
    Workdir = 6,
    /// Its program was not found or could not be executed.
    Exec = 7,
    /// Its program exists, but the interpreter that it names does not.
    Interpreter = 8,
    /// Its terminal could not be made: the container has none, or as many as it may have.
    Terminal = 9,
}

impl Stage {
    const ALL: [Self; 9] = [
        Self::Request,
        Self::Unsupported,
        Self::Outdated,
        Self::Fork,
        Self::Streams,
        Self::Workdir,
        Self::Exec,
        Self::Interpreter,
        Self::Terminal,
    ];

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| *stage as u32 == number)
    }
}

impl Report {
    pub(crate) fn to_bytes(self) -> [u8; FRAME] {
        match self {
            Self::AboutToStart => pair(1, 0),
            Self::Failed(stage, errno) => pair(2 | (stage as u32) << 8, errno),
            Self::Started(pid) => pair(3, pid),
            Self::Exited { status, is_alone } => pair(4 | u32::from(is_alone) << 8, status),
            Self::Gone(count) => pair(5, count),
            Self::Left(count) => pair(6, count),
        }
    }

    pub(crate) fn from_bytes(bytes: [u8; FRAME]) -> Option<Self> {
        let (kind, value) = split(bytes);
        match (kind & 0xff, kind >> 8) {
            (1, 0) if value == 0 => Some(Self::AboutToStart),
            (2, stage) => Some(Self::Failed(Stage::from_number(stage)?, value)),
            (3, 0) => Some(Self::Started(value)),
            (4, alone @ (0 | 1)) => Some(Self::Exited { status: value, is_alone: alone == 1 }),
            (5, 0) => Some(Self::Gone(value)),
            (6, 0) => Some(Self::Left(value)),
            _ => None,
        }
    }
}

pub(crate) fn pair(first: u32, second: u32) -> [u8; FRAME] {
    (u64::from(first) | u64::from(second) << 32).to_le_bytes()
}

pub(crate) fn split(bytes: [u8; FRAME]) -> (u32, u32) {
    let (words, _) = bytes.as_chunks::<4>();
    let word = |place| words.get(place).map_or(0, |word| u32::from_le_bytes(*word));
    (word(0), word(1))
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use proptest::prelude::*;

    use super::*;

    fn number(length: usize) -> u32 {
        length.try_into().unwrap()
    }

    fn size() -> impl Strategy<Value = TerminalSize> {
        (any::<u16>(), any::<u16>()).prop_map(|(rows, columns)| TerminalSize { rows, columns })
    }

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![
            (1_u32..=64).prop_map(Order::SignalGroup),
            (1_u32..=64).prop_map(Order::SignalTree),
            any::<u32>().prop_map(Order::End),
            size().prop_map(Order::Resize),
        ]
    }

    fn report() -> impl Strategy<Value = Report> {
        prop_oneof![
            Just(Report::AboutToStart),
            (0..Stage::ALL.len(), any::<u32>()).prop_map(|(at, errno)| Report::Failed(Stage::ALL[at], errno)),
            any::<u32>().prop_map(Report::Started),
            (any::<u32>(), any::<bool>()).prop_map(|(status, is_alone)| Report::Exited { status, is_alone }),
            any::<u32>().prop_map(Report::Gone),
            any::<u32>().prop_map(Report::Left),
        ]
    }

    proptest! {
        #[test]
        fn frames_are_read_as_they_were_written(order in order(), report in report()) {
            prop_assert_eq!(Order::from_bytes(order.to_bytes()), Some(order));
            prop_assert_eq!(Report::from_bytes(report.to_bytes()), Some(report));
        }

        #[test]
        fn what_is_read_of_any_bytes_is_written_in_the_same(bytes: [u8; FRAME]) {
            if let Some(order) = Order::from_bytes(bytes) {
                prop_assert_eq!(order.to_bytes(), bytes);
            }
            if let Some(report) = Report::from_bytes(bytes) {
                prop_assert_eq!(report.to_bytes(), bytes);
            }
            prop_assert_eq!(Hello::from_bytes(bytes).to_bytes(), bytes);
        }

        #[test]
        fn a_head_is_read_as_it_was_written(
            act in 0..Act::ALL.len(), has_stdin: bool, terminal in proptest::option::of(size()),
            arguments: u32, variables: u32, length in 0..=MAX_BODY,
        ) {
            let head = RequestHead { act: Act::ALL[act], has_stdin, terminal, arguments, variables, length: number(length) };
            prop_assert_eq!(RequestHead::from_bytes(&head.to_bytes()), Some(head));
        }

        #[test]
        fn a_head_of_any_bytes_is_none_or_written_in_the_same(mut bytes: [u8; HEAD], ours: bool) {
            if ours {
                // Some that are valid beyond the version.
                bytes[..4].copy_from_slice(&VERSION.to_le_bytes());
                bytes[5..8].fill(0);
                bytes[9..12].fill(0);
                bytes[4] %= 8;
                bytes[8] %= 5;
                bytes[27] = 0;
            }
            if let Some(head) = RequestHead::from_bytes(&bytes) {
                prop_assert_eq!(head.to_bytes(), bytes);
            }
        }

        #[test]
        fn a_body_has_the_strings_that_were_written(
            strings in proptest::collection::vec(proptest::collection::vec(1_u8.., 0..9), 2..9), arguments in 1_u32..9,
        ) {
            let arguments = arguments.min(number(strings.len()) - 1);
            let variables = number(strings.len()) - 1 - arguments;
            let bytes: Vec<u8> = strings.iter().flat_map(|string| string.iter().copied().chain([0])).collect();
            let head = RequestHead {
                act: Act::Run, has_stdin: false, terminal: None, arguments, variables, length: number(bytes.len()),
            };
            let body = RequestBody::from_bytes(&head, &bytes).unwrap();
            let strings: Vec<_> = strings.into_iter().map(|string| CString::new(string).unwrap()).collect();
            let read = std::iter::once(body.workdir()).chain(body.arguments()).chain(body.variables());
            prop_assert!(read.eq(strings.iter().map(CString::as_c_str)));
            prop_assert_eq!(body.arguments().count(), arguments as usize);
        }

        #[test]
        fn a_body_of_any_bytes_has_as_many_strings_as_it_should(bytes: Vec<u8>, arguments in 0_u32..9, variables in 0_u32..9) {
            let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte % 3).collect();
            let length = number(bytes.len());
            let head = RequestHead { act: Act::Run, has_stdin: true, terminal: None, arguments, variables, length };
            let ends = bytes.split(|byte| *byte == 0).count() - 1;
            let fits = number(ends) == 1 + arguments + variables && bytes.last() == Some(&0) && arguments > 0;
            let body = RequestBody::from_bytes(&head, &bytes);
            prop_assert_eq!(body.is_some(), fits);
            if let Some(body) = body {
                prop_assert_eq!(body.arguments().count(), arguments as usize);
                prop_assert_eq!(body.variables().count(), variables as usize);
            }
        }
    }
}
