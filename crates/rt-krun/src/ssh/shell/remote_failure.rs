//! The failures of the guest's shell before it becomes the command: the error classifier of this
//! backend.
//!
//! The texts of shells differ and could be the command's own, so they are not parsed. The remote
//! script reports with a line of its own, which contains a number that only this request has: see
//! [`FailureSentinel`].

use std::os::unix::ffi::OsStrExt;

use rt_process::ExecMarker;
use rt_protocol::{ContainerName, ContainerPath, Error, ErrorKind, ExecRequest};

use super::words;

/// The stage that the remote script had reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Preparing the terminal, or giving it back.
    Terminal,
    /// Setting variables.
    Variables,
    /// Changing to the workdir.
    Workdir,
    /// Becoming the command.
    Start,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Terminal, Self::Variables, Self::Workdir, Self::Start];

    const fn letter(self) -> char {
        match self {
            Self::Terminal => 't',
            Self::Variables => 'v',
            Self::Workdir => 'w',
            Self::Start => 's',
        }
    }
}

/// The line by which a remote script reports that it ended before the command began: `rt-NUMBER
/// STAGE CODE`.
///
/// The command itself never learns the number. A process that can read the command lines of other
/// processes in the guest can learn it, and the guest's sshd knows it. A guest can lie about its
/// own commands anyway.
#[derive(Clone, Debug)]
pub(crate) struct FailureSentinel(ExecMarker);

impl FailureSentinel {
    pub(crate) fn fresh() -> Self {
        Self(ExecMarker::fresh())
    }

    /// The line, up to the code.
    pub(crate) fn prefix(&self, stage: Stage) -> String {
        format!("{}{} ", self.head(), stage.letter())
    }

    /// The start of every such line.
    pub(crate) fn head(&self) -> String {
        format!("rt-{} ", self.0.value())
    }

    /// Returns the line after which the command's own output begins. The script contains it only in
    /// parts, so a shell that echoes its input does not print it.
    pub(crate) fn begin_line(&self) -> String {
        format!("{}b\n", self.head())
    }

    /// Returns the line after which a terminal takes the lines that the script reads.
    pub(crate) fn ready_line(&self) -> String {
        format!("{}r\n", self.head())
    }

    /// Parses `line`, without its newline. A terminal has written a carriage return before that.
    fn read(&self, line: &[u8]) -> Option<RemoteFailure> {
        let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()?;
        Stage::ALL.into_iter().find_map(|stage| {
            let code = line.strip_prefix(&self.prefix(stage))?.parse().ok()?;
            Some(RemoteFailure { stage, code })
        })
    }
}

/// The remote script ended before the command began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteFailure {
    stage: Stage,
    code: i32,
}

impl RemoteFailure {
    /// Returns the error for it. `workdir` is the directory of the command.
    pub(crate) fn into_error(
        self,
        operation: &'static str,
        name: &ContainerName,
        request: &ExecRequest,
        workdir: Option<&ContainerPath>,
    ) -> Error {
        let program = || format!("`{}`", words::shown(request.argv().program().as_bytes()));
        let error = match (self.stage, self.code) {
            (Stage::Terminal, code) => {
                let message = format!("the guest's shell could not prepare the terminal (code {code})");
                Error::new(ErrorKind::Unsupported, operation, message).with_hint("add `stty` to the guest")
            }
            (Stage::Workdir, _) => {
                let directory = workdir.map_or(&b""[..], |path| path.as_os_str().as_bytes());
                let message = format!("the guest's shell cannot enter `{}`", words::shown(directory));
                Error::new(ErrorKind::BadWorkdir, operation, message)
                    .with_hint("create the directory, or name another workdir")
            }
            (Stage::Start, 126) if is_too_long(request) => Error::new(
                ErrorKind::InvalidRequest,
                operation,
                "its words and variables are longer than the guest's system takes",
            )
            .with_hint("Linux takes 128 KiB for each, and 2 MiB together; send more by stdin or by a copy"),
            (Stage::Start, 127) => Error::new(ErrorKind::CommandNotFound, operation, program())
                .with_hint("give its path, or add it to the image"),
            (Stage::Start, 126) => Error::new(ErrorKind::CommandNotExecutable, operation, program())
                .with_hint("see its permissions and its format"),
            (Stage::Start, code) => {
                let message = format!("the guest's shell could not start {} (code {code})", program());
                Error::new(ErrorKind::BackendFailed, operation, message)
                    .with_hint("the guest's login shell must be a POSIX one")
            }
            (Stage::Variables, code) => {
                let message = format!("the guest's shell could not set the variables (code {code})");
                Error::new(ErrorKind::BackendFailed, operation, message)
                    .with_hint("a name may be read-only in the guest's login shell")
            }
        };
        error.in_container(name)
    }
}

/// Returns whether Linux with its usual limits refuses to start a program with these arguments and
/// variables (`E2BIG` in execve(2)). Shells report that in the same way as a file that is not
/// executable.
fn is_too_long(request: &ExecRequest) -> bool {
    /// `MAX_ARG_STRLEN` with pages of 4 KiB, including the byte that ends an argument.
    const MOST_OF_ONE: usize = 128 << 10;
    /// A quarter of the usual stack, without what the login has set.
    const MOST_OF_ALL: usize = (2 << 20) - (128 << 10);

    let words = request.argv().words().iter().map(|word| word.len() + 1);
    let variables = request.env().iter().map(|(name, value)| name.as_str().len() + value.expose().len() + 2);
    let lengths: Vec<usize> = words.chain(variables).collect();
    // Each has a pointer too.
    lengths.iter().any(|length| *length > MOST_OF_ONE)
        || lengths.iter().map(|length| length + 8).sum::<usize>() > MOST_OF_ALL
}

/// Searches a command's stderr, or its terminal, for the line of its [`FailureSentinel`], and
/// removes that line.
#[derive(Debug)]
pub(crate) struct SentinelFilter {
    sentinel: FailureSentinel,
    head: Vec<u8>,
    /// The beginning of a line that may still become a sentinel; never longer than a sentinel.
    held: Vec<u8>,
    /// How many bytes of it were passed on nevertheless.
    released: usize,
    at_line_start: bool,
    found: Option<RemoteFailure>,
}

/// A sentinel consists of its head, a letter, a blank, at most four digits, a carriage return and
/// the newline.
const LONGEST_REST: usize = 9;

/// A line that begins like a sentinel is held back from this length on: `rt-` and five digits that
/// only the script knows. A command may write less and wait for an answer. A guest writes the whole
/// sentinel at once, so only one that is torn in this part leaves that part behind.
const LEAST_HELD: usize = 8;

impl SentinelFilter {
    pub(crate) fn new(sentinel: FailureSentinel) -> Self {
        let head = sentinel.head().into_bytes();
        Self { sentinel, head, held: Vec::new(), released: 0, at_line_start: true, found: None }
    }

    /// Takes the next bytes and passes those of the command to `out`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
        while !bytes.is_empty() {
            if !self.at_line_start && self.held.is_empty() {
                // Nothing can begin in the middle of a line, and most output is there.
                let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
                let (line, rest) = bytes.split_at(end);
                out(line);
                self.at_line_start = line.ends_with(b"\n");
                bytes = rest;
                continue;
            }
            let byte = bytes[0];
            bytes = &bytes[1..];
            self.held.push(byte);
            let shared = self.held.len().min(self.head.len());
            if self.held[..shared] != self.head[..shared] || self.held.len() > self.head.len() + LONGEST_REST
            {
                self.release(out);
                self.at_line_start = byte == b'\n';
            } else if byte == b'\n' {
                match self.sentinel.read(&self.held[..self.held.len() - 1]) {
                    Some(found) => {
                        self.found = Some(found);
                        self.held.clear();
                        self.released = 0;
                    }
                    None => self.release(out),
                }
                self.at_line_start = true;
            }
        }
        if self.held.len() < LEAST_HELD && self.released < self.held.len() {
            out(&self.held[self.released..]);
            self.released = self.held.len();
        }
    }

    /// The held bytes are the command's own.
    fn release(&mut self, out: &mut dyn FnMut(&[u8])) {
        out(&self.held[self.released..]);
        self.held.clear();
        self.released = 0;
    }

    /// A new line begins here; the bytes that were held back do not belong to it.
    pub(crate) fn begin_line(&mut self, out: &mut dyn FnMut(&[u8])) {
        self.finish(out);
        self.at_line_start = true;
    }

    /// Ends the stream: the bytes that were held back are the command's own.
    pub(crate) fn finish(&mut self, out: &mut dyn FnMut(&[u8])) {
        if !self.held.is_empty() {
            self.release(out);
        }
    }

    /// Returns the report of the script, if there was one.
    pub(crate) fn found(&self) -> Option<RemoteFailure> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pass(watch: &mut SentinelFilter, chunks: &[&[u8]]) -> Vec<u8> {
        let mut passed = Vec::new();
        for chunk in chunks {
            watch.push(chunk, &mut |bytes| passed.extend_from_slice(bytes));
        }
        watch.finish(&mut |bytes| passed.extend_from_slice(bytes));
        passed
    }

    #[test]
    fn the_tell_is_read_and_kept_back() {
        let sentinel = FailureSentinel::fresh();
        let mut watch = SentinelFilter::new(sentinel.clone());
        let line = format!("{}127\n", sentinel.prefix(Stage::Start));
        assert_eq!(
            pass(&mut watch, &[b"sh: nosuch: not found\n", line.as_bytes()]),
            b"sh: nosuch: not found\n"
        );
        assert_eq!(watch.found(), Some(RemoteFailure { stage: Stage::Start, code: 127 }));
    }

    #[test]
    fn a_sentinel_on_a_terminal_is_read_and_kept_back() {
        let sentinel = FailureSentinel::fresh();
        let mut watch = SentinelFilter::new(sentinel.clone());
        let text = format!("sh: nosuch: not found\r\n\r\n{}127\r\n", sentinel.prefix(Stage::Start));
        assert_eq!(pass(&mut watch, &[text.as_bytes()]), b"sh: nosuch: not found\r\n\r\n");
        assert_eq!(watch.found(), Some(RemoteFailure { stage: Stage::Start, code: 127 }));
    }

    #[test]
    fn a_byte_that_begins_like_a_sentinel_is_passed_on_at_once() {
        let sentinel = FailureSentinel::fresh();
        let mut watch = SentinelFilter::new(sentinel.clone());
        let mut passed = Vec::new();
        for (piece, so_far) in [("r", "r"), ("t-", "rt-"), ("\r", "rt-\r"), ("\nrt", "rt-\r\nrt")] {
            watch.push(piece.as_bytes(), &mut |bytes| passed.extend_from_slice(bytes));
            assert_eq!(passed, so_far.as_bytes());
        }
        // From here on it can hardly be anything else.
        let rest = &sentinel.prefix(Stage::Start)["rt".len()..];
        watch.push(rest.as_bytes(), &mut |bytes| passed.extend_from_slice(bytes));
        assert_eq!(passed, b"rt-\r\nrt");
        watch.push(b"x\n", &mut |bytes| passed.extend_from_slice(bytes));
        assert_eq!(passed, format!("rt-\r\nrt{rest}x\n").as_bytes());
        assert_eq!(watch.found(), None);
    }

    #[test]
    fn a_program_of_any_name_is_told_in_a_short_line() {
        let name = ContainerName::new("vm").unwrap();
        for code in [126, 127, 2] {
            let text = |program: &str| {
                let request = ExecRequest::new([program]).unwrap();
                RemoteFailure { stage: Stage::Start, code }
                    .into_error("exec in", &name, &request, None)
                    .to_string()
            };
            assert!(text("no-such").contains("`no-such`"));
            assert!(text("no\n2026 ERROR \x1b[31m").contains("`no\\n2026 ERROR \\u{1b}[31m`"));
            assert!(text(&"x".repeat(50_000)).len() < 400);
        }
    }

    #[test]
    fn lines_like_a_sentinel_are_the_commands_own() {
        let sentinel = FailureSentinel::fresh();
        let other = format!("{}127\n", FailureSentinel::fresh().prefix(Stage::Start));
        let stage = format!("{}x 127\n", sentinel.head());
        let inside = format!("x{}127\n", sentinel.prefix(Stage::Start));
        let half = format!("{}12", sentinel.prefix(Stage::Workdir));
        for text in [&other, &stage, &inside, &half] {
            let mut watch = SentinelFilter::new(sentinel.clone());
            assert_eq!(pass(&mut watch, &[text.as_bytes()]), text.as_bytes());
            assert_eq!(watch.found(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_passed_on_does_not_depend_on_the_chunks(
            before in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'r'), any::<u8>()], 0..40),
            after in proptest::collection::vec(any::<u8>(), 0..20),
            cuts in proptest::collection::vec(0usize..120, 0..6),
        ) {
            let sentinel = FailureSentinel::fresh();
            let mut text = before.clone();
            text.push(b'\n');
            text.extend_from_slice(format!("{}2\n", sentinel.prefix(Stage::Workdir)).as_bytes());
            text.extend_from_slice(&after);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let mut watch = SentinelFilter::new(sentinel);
            let passed = pass(&mut watch, &chunks);
            // What was passed on of a torn sentinel stays.
            let begin = before.len() + 1;
            let torn = cuts.iter().filter_map(|cut| cut.checked_sub(begin)).filter(|cut| *cut < LEAST_HELD);
            let torn = &text[begin..begin + torn.max().unwrap_or(0)];
            let expected = [&text[..begin], torn, &after].concat();
            prop_assert_eq!(passed, expected);
            prop_assert_eq!(watch.found(), Some(RemoteFailure { stage: Stage::Workdir, code: 2 }));
        }
    }
}
