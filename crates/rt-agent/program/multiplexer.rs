//! The agent of a host that can pass no descriptors: one byte stream carries the streams of all
//! commands as packets. It makes the control socket and the pipes of each command itself, and moves
//! bytes between them and the host; the supervisor is the same.
//!
//! It never waits for one command: each stream has a window, so what a command or the host does not
//! take stays within a buffer of that command.

use core::ffi::CStr;

use crate::buffer::Buffer;
use crate::inherited::Inherited;
use crate::kernel::{self, AT_ROOT, Disposition, Errno, Fd, PollFd, SIGPIPE};
use crate::packet_format::{
    INPUT_WINDOW, MAX_PAYLOAD, MOST_COMMANDS, OUTPUT_WINDOW, OVERDRAFT, PACKET_HEAD, Packet, PacketHead,
    Stream,
};
use crate::supervisor;
use crate::wire_format::{DESCRIPTORS, FRAME, PROGRAM_FD, Report, SOCKET_FD, Stage, VERSION};

/// Where packets come from, and where they go. The supervisors know the places.
const FROM_HOST: Fd = PROGRAM_FD;
const TO_HOST: Fd = SOCKET_FD;

/// The size of the buffer for packets to the host, in bytes.
const TO_HOST_BUFFER: usize = 512 << 10;
/// The room in it without which nothing more is done. One round of all commands fits: their reports
/// and credits, and the last data before the room is looked at again.
const RESERVE: usize = 128 << 10;

/// How many bytes of a stream are taken before the host gets credit for them.
const CREDIT_STEP: usize = INPUT_WINDOW / 4;

/// A descriptor that is closed.
const CLOSED: Fd = -1;

/// How many descriptors a command has here.
const INTERESTS: usize = 4;

/// Removes the program's own file, and puts the packets' descriptors where no command looks for
/// them.
pub(crate) fn take_descriptors(program: &CStr) -> Result<(), Errno> {
    // It may be somebody else's to remove.
    let _ = kernel::unlink(AT_ROOT, program);
    kernel::duplicate(0, FROM_HOST)?;
    kernel::duplicate(1, TO_HOST)?;
    for fd in [FROM_HOST, TO_HOST] {
        kernel::close_on_exec(fd)?;
        kernel::never_wait(fd)?;
    }
    let nothing = kernel::open(c"/dev/null")?;
    (0..3).try_for_each(|fd| kernel::duplicate(nothing, fd))
    // `nothing` itself is closed with all others.
}

/// Serves the host until it is gone.
pub(crate) fn serve(inherited: &Inherited) {
    let (Ok(from_host), Ok(to_host)) =
        (Buffer::new(2 * (PACKET_HEAD + MAX_PAYLOAD)), Buffer::new(TO_HOST_BUFFER))
    else {
        return;
    };
    // A write to a command or a host that is gone is an error, and no more.
    let _ = kernel::on_signal(SIGPIPE, Disposition::Ignore);
    let mut multiplexer = Multiplexer {
        inherited,
        from_host,
        to_host,
        commands: [const { None }; MOST_COMMANDS],
        buffers: [const { None }; MOST_COMMANDS],
    };
    multiplexer.say(VERSION, Packet::Hello(kernel::pid()));
    while multiplexer.advance().is_some() {}
    // The supervisors see that the host is gone.
    multiplexer.commands.iter_mut().flatten().for_each(Command::close);
}

struct Multiplexer<'a> {
    inherited: &'a Inherited,
    from_host: Buffer,
    to_host: Buffer,
    commands: [Option<Command>; MOST_COMMANDS],
    /// For the control socket and stdin of the command in the same place. They are kept for the
    /// next one.
    buffers: [Option<[Buffer; 2]>; MOST_COMMANDS],
}

/// What the host sends, and what a command takes of it.
struct Input {
    fd: Fd,
    /// How many bytes were taken without credit for them.
    taken: usize,
    /// The host sends no more.
    is_ending: bool,
}

/// An output of a command.
struct Output {
    fd: Fd,
    /// How many bytes the host takes. Below 0 after an overdraft.
    credit: i64,
    /// How many bytes go to the host before the next report.
    owed: usize,
}

struct Command {
    number: u32,
    control: Input,
    stdin: Input,
    /// stdout and stderr.
    outputs: [Output; 2],
    /// A report waits for what is owed.
    reports: bool,
}

impl Multiplexer<'_> {
    /// Does what can be done, and waits for more. `None` if the host is gone.
    fn advance(&mut self) -> Option<()> {
        if self.to_host.room() < RESERVE {
            kernel::poll(&mut [PollFd::wanting(TO_HOST, false, true)], None);
            return self.flush();
        }
        let mut fds = [PollFd::NONE; 2 + INTERESTS * MOST_COMMANDS];
        let mut used = 2;
        {
            let (own, of_commands) = fds.split_first_chunk_mut::<2>()?;
            *own = [PollFd::readable(FROM_HOST), PollFd::wanting(TO_HOST, false, !self.to_host.is_empty())];
            let (places, _) = of_commands.as_chunks_mut::<INTERESTS>();
            let buffers = self.buffers.iter().map(Option::as_ref);
            for (((command, buffers), place), end) in self.commands.iter().zip(buffers).zip(places).zip(1..) {
                if let (Some(command), Some(buffers)) = (command, buffers) {
                    *place = command.interests(buffers);
                    used = 2 + INTERESTS * end;
                }
            }
        }
        // More descriptors than this process may have were never opened, so this does not fail.
        if !kernel::poll(fds.get_mut(..used)?, None) {
            return None;
        }
        let (own, of_commands) = fds.split_first_chunk::<2>()?;
        let (places, _) = of_commands.as_chunks::<INTERESTS>();
        for (place, ready) in places.iter().enumerate() {
            if ready.iter().any(PollFd::is_ready) {
                self.serve(place, ready);
            }
        }
        let [from_host, _] = own;
        if from_host.is_ready() {
            self.receive()?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Option<()> {
        match self.to_host.drain(TO_HOST) {
            Ok(()) | Err(Errno::AGAIN) => Some(()),
            Err(_) => None,
        }
    }

    /// Takes what the host has sent. `None` if that is the end, or no packet.
    fn receive(&mut self) -> Option<()> {
        match self.from_host.fill(FROM_HOST) {
            Ok(1..) => {}
            Err(Errno::AGAIN) => return Some(()),
            Ok(0) | Err(_) => return None,
        }
        while let Some(head) = self.from_host.bytes().first_chunk() {
            let head = PacketHead::from_bytes(head)?;
            let length = PACKET_HEAD + head.payload();
            if self.from_host.bytes().len() < length {
                break;
            }
            self.take(head)?;
            self.from_host.consume(length);
        }
        Some(())
    }

    /// Takes a packet of the host, whose payload is in the buffer. `None` if it is invalid.
    fn take(&mut self, head: PacketHead) -> Option<()> {
        if let Packet::Begin { has_stdin } = head.packet {
            return self.begin(head.command, has_stdin);
        }
        if let Packet::Ask = head.packet {
            self.say(head.command, Packet::Answer);
            return Some(());
        }
        let place = self
            .commands
            .iter()
            .position(|command| command.as_ref().is_some_and(|command| command.number == head.command));
        // It may be over, which the host does not know yet.
        let Some(place) = place else { return Some(()) };
        let command = self.commands.get_mut(place)?.as_mut()?;
        let [to_control, to_stdin] = self.buffers.get_mut(place)?.as_mut()?;
        let payload = self.from_host.bytes().get(PACKET_HEAD..PACKET_HEAD + head.payload())?;
        match head.packet {
            Packet::Data(Stream::Control, _) => command.control.take(payload, to_control)?,
            Packet::Data(Stream::Stdin, _) => command.stdin.take(payload, to_stdin)?,
            // What was on its way to the supervisor is not worth more than the end.
            Packet::End(Stream::Control) => {
                to_control.clear();
                kernel::shut_down(command.control.fd);
            }
            Packet::End(Stream::Stdin) => command.stdin.is_ending = true,
            Packet::Stop(Stream::Stdout) => close(&mut command.outputs[0].fd),
            Packet::Stop(Stream::Stderr) => close(&mut command.outputs[1].fd),
            Packet::Credit(Stream::Stdout, count) => command.outputs[0].credit += i64::from(count),
            Packet::Credit(Stream::Stderr, count) => command.outputs[1].credit += i64::from(count),
            _ => return None,
        }
        self.serve(place, &[PollFd::NONE; INTERESTS]);
        Some(())
    }

    /// Begins a command. `None` if the host begins more than it may.
    fn begin(&mut self, number: u32, has_stdin: bool) -> Option<()> {
        let place = self.commands.iter().position(Option::is_none)?;
        match self.start(place, number, has_stdin) {
            Ok(command) => *self.commands.get_mut(place)? = Some(command),
            Err(Errno(errno)) => {
                let report = Report::Failed(Stage::Fork, errno).to_bytes();
                self.say(number, Packet::Data(Stream::Control, FRAME as u32));
                self.to_host.push(&report);
                self.say(number, Packet::End(Stream::Control));
                self.say(number, Packet::Over);
            }
        }
        Some(())
    }

    fn start(&mut self, place: usize, number: u32, has_stdin: bool) -> Result<Command, Errno> {
        if let Some(buffers) = self.buffers.get_mut(place)
            && buffers.is_none()
        {
            *buffers = Some([Buffer::new(INPUT_WINDOW)?, Buffer::new(INPUT_WINDOW)?]);
        }
        let mut ends = Ends { ours: [CLOSED; DESCRIPTORS], theirs: [CLOSED; DESCRIPTORS] };
        let forked = ends.open(has_stdin).and_then(|()| kernel::fork());
        if let Ok(None) = forked {
            // A supervisor holds nothing of other commands: their streams would not end.
            kernel::close(FROM_HOST);
            self.commands.iter_mut().flatten().for_each(Command::close);
            ends.ours.iter_mut().for_each(close);
            let _ = kernel::on_signal(SIGPIPE, Disposition::Default);
            supervisor::run(self.inherited, ends.theirs);
        }
        ends.theirs.iter_mut().for_each(close);
        if let Err(errno) = forked {
            ends.ours.iter_mut().for_each(close);
            return Err(errno);
        }
        let [control, stdin, stdout, stderr] = ends.ours;
        let input = |fd| Input { fd, taken: 0, is_ending: false };
        let output = |fd| Output { fd, credit: OUTPUT_WINDOW as i64, owed: 0 };
        for buffer in self.buffers.get_mut(place).into_iter().flatten().flatten() {
            buffer.clear();
        }
        Ok(Command {
            number,
            control: input(control),
            stdin: input(stdin),
            outputs: [output(stdout), output(stderr)],
            reports: false,
        })
    }

    /// Moves the bytes of one command. The room for packets was looked at before.
    fn serve(&mut self, place: usize, ready: &[PollFd; INTERESTS]) {
        let (Some(slot), Some(Some([to_control, to_stdin]))) =
            (self.commands.get_mut(place), self.buffers.get_mut(place))
        else {
            return;
        };
        let Some(command) = slot else { return };
        let [control, stdin, stdout, stderr] = ready;
        let host = &mut self.to_host;
        let number = command.number;
        command.control.give(to_control, (number, Stream::Control), host);
        if stdin.is_broken() || !command.stdin.give(to_stdin, (number, Stream::Stdin), host) {
            close(&mut command.stdin.fd);
            say(host, number, Packet::Stop(Stream::Stdin));
        }
        if command.stdin.is_ending && to_stdin.is_empty() {
            close(&mut command.stdin.fd);
        }
        command.reports |= control.is_readable();
        if control.is_readable() {
            for output in &mut command.outputs {
                // Written before the report, which comes after it; and the end, which is one more
                // thing to read.
                output.owed = output.owed.max(kernel::held(output.fd).unwrap_or(0) + 1);
            }
        }
        for ((output, ready), stream) in
            command.outputs.iter_mut().zip([stdout, stderr]).zip([Stream::Stdout, Stream::Stderr])
        {
            if ready.is_ready() || output.owed > 0 {
                output.show((number, stream), host);
            }
            // Nothing need be ready for the rest: there may be no end.
            while output.owed > 0 {
                let before = output.owed;
                output.show((number, stream), host);
                if output.owed == before {
                    break;
                }
            }
        }
        let is_in_order = command.outputs.iter().all(|output| output.owed == 0);
        if command.reports && is_in_order {
            command.reports = false;
            command.control.report(number, host);
        }
        if command.is_over() {
            say(host, number, Packet::Over);
            *slot = None;
        }
    }

    fn say(&mut self, command: u32, packet: Packet) {
        say(&mut self.to_host, command, packet);
    }
}

/// Puts a packet without a payload, or the head of one, into the buffer, which has room.
fn say(host: &mut Buffer, command: u32, packet: Packet) {
    host.push(&PacketHead { command, packet }.to_bytes());
}

fn close(fd: &mut Fd) {
    if *fd >= 0 {
        kernel::close(*fd);
        *fd = CLOSED;
    }
}

/// The two ends of a command's control socket and pipes, in the order of a request.
struct Ends {
    ours: [Fd; DESCRIPTORS],
    theirs: [Fd; DESCRIPTORS],
}

impl Ends {
    /// Those of a stdin stay closed if there is none.
    fn open(&mut self, has_stdin: bool) -> Result<(), Errno> {
        let [control, stdin, stdout, stderr] = &mut self.ours;
        let [their_control, their_stdin, their_stdout, their_stderr] = &mut self.theirs;
        [*control, *their_control] = kernel::socket_pair()?;
        [*stdout, *their_stdout] = kernel::pipe()?;
        [*stderr, *their_stderr] = kernel::pipe()?;
        if has_stdin {
            [*their_stdin, *stdin] = kernel::pipe()?;
        }
        self.ours.iter().filter(|fd| **fd >= 0).try_for_each(|fd| kernel::never_wait(*fd))
    }
}

impl Input {
    /// Takes bytes of the host. `None` if it has sent more than it may.
    fn take(&mut self, payload: &[u8], buffer: &mut Buffer) -> Option<()> {
        if self.fd < 0 {
            // Nobody reads them any more.
            return Some(());
        }
        // What the command takes at once is not copied. An error is seen by the next write too.
        let given = if buffer.is_empty() { kernel::write(self.fd, payload).unwrap_or(0) } else { 0 };
        self.taken += given;
        buffer.push(payload.get(given..)?).then_some(())
    }

    /// Gives the command what it takes, and the host credit for that. Returns false if the command
    /// reads no more.
    fn give(&mut self, buffer: &mut Buffer, (command, stream): (u32, Stream), host: &mut Buffer) -> bool {
        if self.fd >= 0 && !buffer.is_empty() {
            let before = buffer.bytes().len();
            let given = buffer.drain(self.fd);
            self.taken += before - buffer.bytes().len();
            if let Err(errno) = given
                && errno != Errno::AGAIN
            {
                buffer.clear();
                return false;
            }
        }
        if self.taken >= CREDIT_STEP {
            say(host, command, Packet::Credit(stream, self.taken as u32));
            self.taken = 0;
        }
        true
    }

    /// Hands a report of the supervisor to the host, or its end.
    fn report(&mut self, command: u32, host: &mut Buffer) {
        let mut bytes = [0; 8 * FRAME];
        match kernel::read(self.fd, &mut bytes) {
            Ok(count @ 1..) => {
                say(host, command, Packet::Data(Stream::Control, count as u32));
                host.push(bytes.get(..count).unwrap_or_default());
            }
            Err(Errno::AGAIN) => {}
            Ok(0) | Err(_) => {
                say(host, command, Packet::End(Stream::Control));
                close(&mut self.fd);
            }
        }
    }
}

impl Output {
    /// Returns how many bytes may go to the host now.
    fn allowed(&self) -> usize {
        let overdraft = if self.owed > 0 { OVERDRAFT as i64 } else { 0 };
        usize::try_from(self.credit + overdraft).unwrap_or(0)
    }

    /// Hands on once what the command has written, or its end.
    fn show(&mut self, (command, stream): (u32, Stream), host: &mut Buffer) {
        let most = self.allowed().min(MAX_PAYLOAD);
        if self.fd < 0 || most == 0 || host.room() < RESERVE {
            // The end is not waited for.
            self.owed = if self.fd < 0 || self.owed == 1 { 0 } else { self.owed };
            return;
        }
        let Some(place) = host.free(PACKET_HEAD + most).get_mut(PACKET_HEAD..PACKET_HEAD + most) else {
            return;
        };
        match kernel::read(self.fd, place) {
            Ok(count @ 1..) => {
                let head = PacketHead { command, packet: Packet::Data(stream, count as u32) };
                // The payload is in its place already.
                host.push(&head.to_bytes());
                host.grow(count);
                self.credit -= count as i64;
                self.owed = self.owed.saturating_sub(count);
            }
            Err(Errno::AGAIN) => self.owed = 0,
            Ok(0) | Err(_) => {
                self.owed = 0;
                say(host, command, Packet::End(stream));
                close(&mut self.fd);
            }
        }
    }
}

impl Command {
    fn interests(&self, [to_control, to_stdin]: &[Buffer; 2]) -> [PollFd; INTERESTS] {
        // While a report waits, its sender may have ended, which would be told again and again.
        let control = if self.reports && to_control.is_empty() {
            PollFd::NONE
        } else {
            PollFd::wanting(self.control.fd, !self.reports, !to_control.is_empty())
        };
        // The end of its reader is an error of a write end, which is always told.
        let stdin = PollFd::wanting(self.stdin.fd, false, !to_stdin.is_empty());
        let [stdout, stderr] = &self.outputs;
        let output = |output: &Output| {
            // Without credit not even the end is looked for: it would be told again and again.
            if output.allowed() > 0 { PollFd::readable(output.fd) } else { PollFd::NONE }
        };
        [control, stdin, output(stdout), output(stderr)]
    }

    fn is_over(&self) -> bool {
        let [stdout, stderr] = &self.outputs;
        [self.control.fd, self.stdin.fd, stdout.fd, stderr.fd].iter().all(|fd| *fd < 0)
    }

    fn close(&mut self) {
        let [stdout, stderr] = &mut self.outputs;
        [&mut self.control.fd, &mut self.stdin.fd, &mut stdout.fd, &mut stderr.fd]
            .into_iter()
            .for_each(close);
    }
}
