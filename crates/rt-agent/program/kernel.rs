//! System calls as safe functions: whatever they are given, they access only the memory that they
//! borrow.
//!
//! Descriptors are plain numbers: a wrong one causes an error of the kernel, never a wrong memory
//! access. The program has one thread.

#![allow(unsafe_code, reason = "system calls take pointers; each function here borrows what they point to")]

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::ptr::{null, null_mut};

use crate::syscall::{Call, Start, clone_until_exec, syscall};
use crate::wire_format::{DESCRIPTORS, TerminalSize};

/// The number of an open descriptor.
pub(crate) type Fd = i32;

/// An error of the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) u32);

impl Errno {
    pub(crate) const NOENT: Self = Self(2);
    pub(crate) const BADF: Self = Self(9);
    pub(crate) const CHILD: Self = Self(10);
    pub(crate) const AGAIN: Self = Self(11);
    pub(crate) const ACCES: Self = Self(13);
    pub(crate) const EXIST: Self = Self(17);
    pub(crate) const NOTDIR: Self = Self(20);
    pub(crate) const ISDIR: Self = Self(21);
    pub(crate) const INVAL: Self = Self(22);
    pub(crate) const FBIG: Self = Self(27);
    pub(crate) const NAMETOOLONG: Self = Self(36);
    pub(crate) const NOTEMPTY: Self = Self(39);
    pub(crate) const LOOP: Self = Self(40);
    const INTR: Self = Self(4);
}

type Result<T> = core::result::Result<T, Errno>;

pub(crate) const SIGKILL: u32 = 9;
pub(crate) const SIGTERM: u32 = 15;
pub(crate) const SIGSTOP: u32 = 19;
pub(crate) const SIGCHLD: u32 = 17;
pub(crate) const SIGPIPE: u32 = 13;

const CLOEXEC: usize = 0o2_000_000;
const NONBLOCK: usize = 0o4000;
const AT_FDCWD: usize = -100_i32 as usize;
const MSG_WAITALL: usize = 0x100;
const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;

fn answer(value: isize) -> Result<usize> {
    // The last page of addresses stands for errors.
    if (-4095..0).contains(&value) { Err(Errno(value.unsigned_abs() as u32)) } else { Ok(value as usize) }
}

pub(crate) fn exit(code: u8) -> ! {
    loop {
        // SAFETY: no pointers. It does not return.
        unsafe { syscall(Call::ExitGroup, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

pub(crate) fn close(fd: Fd) {
    // SAFETY: no pointers.
    unsafe { syscall(Call::Close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// Closes all descriptors from `first` on. A kernel before 5.9 does not support this, and leaves
/// them open.
pub(crate) fn close_from(first: Fd) {
    // SAFETY: no pointers.
    unsafe { syscall(Call::CloseRange, [first as usize, u32::MAX as usize, 0, 0, 0, 0]) };
}

/// Makes the next execve(2) close it.
pub(crate) fn close_on_exec(fd: Fd) -> Result<()> {
    const F_SETFD: usize = 2;
    const FD_CLOEXEC: usize = 1;
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Fcntl, [fd as usize, F_SETFD, FD_CLOEXEC, 0, 0, 0]) }).map(drop)
}

/// Makes `to` a duplicate of `from` that stays open at execve(2).
pub(crate) fn duplicate(from: Fd, to: Fd) -> Result<()> {
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Dup3, [from as usize, to as usize, 0, 0, 0, 0]) }).map(drop)
}

/// Creates a pipe that no command inherits: its read end and its write end.
pub(crate) fn pipe() -> Result<[Fd; 2]> {
    let mut ends = [0; 2];
    // SAFETY: pipe2(2) writes two numbers, which `ends` has room for.
    let made = unsafe { syscall(Call::Pipe2, [ends.as_mut_ptr() as usize, CLOEXEC, 0, 0, 0, 0]) };
    answer(made).map(|_| ends)
}

/// Creates a pair of stream sockets that no command inherits.
pub(crate) fn socket_pair() -> Result<[Fd; 2]> {
    const AF_UNIX: usize = 1;
    const SOCK_STREAM: usize = 1;
    let mut ends = [0; 2];
    let place = ends.as_mut_ptr() as usize;
    // SAFETY: socketpair(2) writes two numbers, which `ends` has room for.
    let made = unsafe { syscall(Call::Socketpair, [AF_UNIX, SOCK_STREAM | CLOEXEC, 0, place, 0, 0]) };
    answer(made).map(|_| ends)
}

/// Ends both directions of a socket. What has arrived can still be read.
pub(crate) fn shut_down(socket: Fd) {
    const SHUT_RDWR: usize = 2;
    // SAFETY: no pointers.
    unsafe { syscall(Call::Shutdown, [socket as usize, SHUT_RDWR, 0, 0, 0, 0]) };
}

/// Returns how many bytes a pipe holds.
pub(crate) fn held(pipe: Fd) -> Result<usize> {
    const FIONREAD: usize = 0x541b;
    let mut count = 0_i32;
    let place = &raw mut count as usize;
    // SAFETY: the request writes a number of 32 bits.
    answer(unsafe { syscall(Call::Ioctl, [pipe as usize, FIONREAD, place, 0, 0, 0]) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Opens a file for reading.
pub(crate) fn open(path: &CStr) -> Result<Fd> {
    // SAFETY: openat(2) reads the path to its NUL.
    let fd = unsafe { syscall(Call::Openat, [AT_FDCWD, path.as_ptr() as usize, CLOEXEC, 0, 0, 0]) };
    answer(fd).map(|fd| fd as Fd)
}

pub(crate) fn exists(path: &CStr) -> bool {
    // SAFETY: faccessat(2) reads the path to its NUL.
    answer(unsafe { syscall(Call::Faccessat, [AT_FDCWD, path.as_ptr() as usize, 0, 0, 0, 0]) }).is_ok()
}

pub(crate) fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        let (start, length) = (buffer.as_mut_ptr() as usize, buffer.len());
        // SAFETY: read(2) writes at most `length` bytes into the buffer.
        match answer(unsafe { syscall(Call::Read, [fd as usize, start, length, 0, 0, 0]) }) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Writes once, and returns how many bytes were written.
pub(crate) fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    loop {
        let (start, length) = (bytes.as_ptr() as usize, bytes.len());
        // SAFETY: write(2) reads `length` bytes.
        match answer(unsafe { syscall(Call::Write, [fd as usize, start, length, 0, 0, 0]) }) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Makes reads and writes return at once.
pub(crate) fn never_wait(fd: Fd) -> Result<()> {
    const F_SETFL: usize = 4;
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Fcntl, [fd as usize, F_SETFL, NONBLOCK, 0, 0, 0]) }).map(drop)
}

/// Opens a new pseudo terminal of this size: its master, which never waits, and its other end.
pub(crate) fn open_terminal(size: TerminalSize) -> Result<[Fd; 2]> {
    const O_RDWR: usize = 2;
    const O_NOCTTY: usize = 0o400;
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTPEER: usize = 0x5441;
    let flags = O_RDWR | O_NOCTTY | CLOEXEC;
    let path = c"/dev/ptmx".as_ptr() as usize;
    // SAFETY: openat(2) reads the path to its NUL.
    let fd = unsafe { syscall(Call::Openat, [AT_FDCWD, path, flags | NONBLOCK, 0, 0, 0]) };
    let master = answer(fd)?;
    let unlocked = 0_i32;
    let place = &raw const unlocked as usize;
    // SAFETY: the request reads a number of 32 bits.
    answer(unsafe { syscall(Call::Ioctl, [master, TIOCSPTLCK, place, 0, 0, 0]) })?;
    resize_terminal(master as Fd, size)?;
    // The other end by itself: its path can mean the terminal of another mount.
    // SAFETY: the argument is a number.
    let peer = answer(unsafe { syscall(Call::Ioctl, [master, TIOCGPTPEER, flags, 0, 0, 0]) })?;
    Ok([master as Fd, peer as Fd])
}

/// Sets the size of a terminal. If it is another one, the processes in its foreground get SIGWINCH.
pub(crate) fn resize_terminal(terminal: Fd, size: TerminalSize) -> Result<()> {
    const TIOCSWINSZ: usize = 0x5414;
    let size = [size.rows, size.columns, 0, 0];
    let place = size.as_ptr() as usize;
    // SAFETY: the request reads four numbers of 16 bits.
    answer(unsafe { syscall(Call::Ioctl, [terminal as usize, TIOCSWINSZ, place, 0, 0, 0]) }).map(drop)
}

/// Makes a terminal the controlling terminal of the session that this process leads.
pub(crate) fn control_by_terminal(terminal: Fd) -> Result<()> {
    const TIOCSCTTY: usize = 0x540e;
    // SAFETY: the argument is a number.
    answer(unsafe { syscall(Call::Ioctl, [terminal as usize, TIOCSCTTY, 0, 0, 0, 0]) }).map(drop)
}

/// Reads entries of a directory in the layout of getdents64(2); 0 bytes mean the end.
pub(crate) fn read_directory(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    let (start, length) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: getdents64(2) writes at most `length` bytes into the buffer.
    answer(unsafe { syscall(Call::Getdents64, [fd as usize, start, length, 0, 0, 0]) })
}

/// Sends all bytes, and returns whether that worked. Never waits, and never causes a SIGPIPE.
pub(crate) fn send(socket: Fd, bytes: &[u8]) -> bool {
    let (start, length) = (bytes.as_ptr() as usize, bytes.len());
    let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    // SAFETY: sendto(2) reads `length` bytes, and no address, because that is null.
    let sent = unsafe { syscall(Call::Sendto, [socket as usize, start, length, flags, 0, 0]) };
    answer(sent) == Ok(length)
}

/// Waits until the buffer is full, and returns whether it is. It is not if the stream ends before.
pub(crate) fn receive(socket: Fd, buffer: &mut [u8]) -> bool {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let (start, length) = (rest.as_mut_ptr() as usize, rest.len());
        // SAFETY: recvfrom(2) writes at most `length` bytes, and no address, because that is null.
        let got = unsafe { syscall(Call::Recvfrom, [socket as usize, start, length, MSG_WAITALL, 0, 0]) };
        match answer(got) {
            Ok(0) => return false,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Returns whether both calls that receive reach the kernel: it has no descriptor -1 to receive
/// from.
pub(crate) fn can_receive() -> bool {
    // SAFETY: both calls fail before they look at a pointer, and these are null.
    let answers = [Call::Recvfrom, Call::Recvmsg]
        .map(|call| answer(unsafe { syscall(call, [usize::MAX, 0, 0, 0, 0, 0]) }));
    answers.iter().all(|answer| *answer == Err(Errno::BADF))
}

/// A message and the descriptors that came with it.
pub(crate) struct Message {
    /// How many bytes were received; 0 means the end.
    pub(crate) length: usize,
    /// The descriptors that came; the others are -1.
    pub(crate) descriptors: [Fd; DESCRIPTORS],
}

/// Receives one message. Bytes beyond the buffer are lost, and so are descriptors beyond
/// [`DESCRIPTORS`].
pub(crate) fn receive_message(socket: Fd, buffer: &mut [u8]) -> Result<Message> {
    #[repr(C)]
    struct Part {
        start: *mut u8,
        length: usize,
    }
    #[repr(C)]
    struct Header {
        name: *const u8,
        name_length: usize,
        parts: *mut Part,
        part_count: usize,
        control: *mut Control,
        control_length: usize,
        flags: usize,
    }
    #[repr(C)]
    struct Control {
        length: usize,
        level: i32,
        kind: i32,
        descriptors: [Fd; DESCRIPTORS],
    }
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    const CONTROL_HEADER: usize = 16;

    let mut part = Part { start: buffer.as_mut_ptr(), length: buffer.len() };
    let mut control = Control { length: 0, level: 0, kind: 0, descriptors: [-1; DESCRIPTORS] };
    let mut header = Header {
        name: null(),
        name_length: 0,
        parts: &raw mut part,
        part_count: 1,
        control: &raw mut control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    let place = &raw mut header as usize;
    // SAFETY: the header has the layout of recvmsg(2). Its buffers are ours, have the lengths in
    // the header, and outlive the call.
    let got = unsafe { syscall(Call::Recvmsg, [socket as usize, place, MSG_CMSG_CLOEXEC, 0, 0, 0]) };
    let length = answer(got)?;
    let has_descriptors = control.level == SOL_SOCKET && control.kind == SCM_RIGHTS;
    let count =
        if has_descriptors { control.length.saturating_sub(CONTROL_HEADER) / size_of::<Fd>() } else { 0 };
    for place in control.descriptors.iter_mut().skip(count) {
        *place = -1;
    }
    Ok(Message { length, descriptors: control.descriptors })
}

/// A descriptor to wait for.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct PollFd {
    fd: Fd,
    wanted: i16,
    got: i16,
}

impl PollFd {
    /// Waits until it can be read, has ended, or is broken.
    pub(crate) fn readable(fd: Fd) -> Self {
        const POLLIN: i16 = 1;
        Self { fd, wanted: POLLIN, got: 0 }
    }

    /// Waits for nothing.
    pub(crate) const NONE: Self = Self { fd: -1, wanted: 0, got: 0 };

    /// Waits until it can be read or written, as wanted, has ended, or is broken.
    pub(crate) fn wanting(fd: Fd, read: bool, write: bool) -> Self {
        const POLLIN: i16 = 1;
        const POLLOUT: i16 = 4;
        let wanted = if read { POLLIN } else { 0 } | if write { POLLOUT } else { 0 };
        Self { fd, wanted, got: 0 }
    }

    /// Returns whether the other end of a pipe is closed, for a write end.
    pub(crate) fn is_broken(&self) -> bool {
        const POLLERR: i16 = 8;
        self.got & POLLERR != 0
    }

    /// Returns whether a read would return at once.
    pub(crate) fn is_readable(&self) -> bool {
        const POLLIN: i16 = 1;
        const POLLERR: i16 = 8;
        const POLLHUP: i16 = 0x10;
        self.got & (POLLIN | POLLERR | POLLHUP) != 0
    }

    /// Waits until the other end is closed. Readable bytes are left alone.
    pub(crate) fn hung_up(fd: Fd) -> Self {
        Self { fd, wanted: 0, got: 0 }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.got != 0
    }
}

/// Waits for the first of them, at most for this many milliseconds; `None` means forever. Returns
/// false, without having waited, if the kernel refuses: another process of this user may have
/// lowered the limit on open descriptors (prlimit(2)).
pub(crate) fn poll(fds: &mut [PollFd], milliseconds: Option<u32>) -> bool {
    let mut time = milliseconds.map(|time| [i64::from(time / 1000), i64::from(time % 1000) * 1_000_000]);
    let time = time.as_mut().map_or(null_mut(), |time| time.as_mut_ptr());
    let (start, count) = (fds.as_mut_ptr() as usize, fds.len());
    // SAFETY: ppoll(2) reads and writes `count` entries, which have its layout. It writes the
    // remaining time into `time`, which is mutable and ours. There is no signal mask.
    let polled = answer(unsafe { syscall(Call::Ppoll, [start, count, time as usize, 0, 0, 0]) });
    matches!(polled, Ok(_) | Err(Errno::INTR))
}

/// Returns the monotonic clock, in milliseconds.
pub(crate) fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0_i64; 2];
    // SAFETY: clock_gettime(2) writes seconds and nanoseconds.
    unsafe { syscall(Call::ClockGettime, [CLOCK_MONOTONIC, time.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    let [seconds, nanoseconds] = time;
    (seconds * 1000 + nanoseconds / 1_000_000) as u64
}

/// Forks. Returns the child's process id, and `None` in the child.
pub(crate) fn fork() -> Result<Option<u32>> {
    // SAFETY: no pointers. Memory, the stack included, is copied as by fork(2). There is one
    // thread, so no lock is held.
    let pid = answer(unsafe { syscall(Call::Clone, [SIGCHLD as usize, 0, 0, 0, 0, 0]) })?;
    Ok((pid != 0).then_some(pid as u32))
}

/// The stack of a process that is about to become another program, in bytes. Only what is used of
/// it takes memory.
const STACK: usize = 64 << 10;

/// Runs `child` in a new process, and returns its process id when it has become another program or
/// has ended. Unlike a fork, it shares this process's memory, which needs not be copied: what it
/// leaves in `state` can be read afterwards. If `child` returns, the new process exits with 127.
pub(crate) fn run_until_exec<T>(state: &mut T, child: fn(&mut T)) -> Result<u32> {
    struct Child<'a, T> {
        state: &'a mut T,
        run: fn(&mut T),
    }
    extern "C" fn run<T>(place: usize) -> ! {
        // SAFETY: the place of the `Child` below, which this process has to itself.
        let child = unsafe { &mut *(place as *mut Child<'_, T>) };
        (child.run)(child.state);
        exit(127)
    }
    let stack = allocate(STACK)?.as_mut_ptr_range().end as usize;
    let mut child = Child { state, run: child };
    let start = Start { run: run::<T>, state: &raw mut child as usize };
    // SAFETY: the stack is new, and aligned to a page. `run` takes the place of `child`, which
    // stays while this process waits.
    let pid = answer(unsafe { clone_until_exec(SIGCHLD as usize, stack, start) })?;
    Ok(pid as u32)
}

/// Strings that the kernel has put on the stack.
#[derive(Clone)]
pub(crate) struct Strings(*const *const c_char);

impl Strings {
    /// # Safety
    /// `first` points to pointers to strings that end with a NUL, followed by a null pointer. All
    /// of these stay in place.
    pub(crate) unsafe fn at(first: *const *const c_char) -> Self {
        Self(first)
    }
}

impl Iterator for Strings {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: guaranteed by the caller of `at`. `self.0` never moves past the null pointer.
        unsafe {
            let string = *self.0;
            if string.is_null() {
                return None;
            }
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(string))
        }
    }
}

/// Strings for execve(2): pointers, followed by a null pointer.
pub(crate) struct StringArray<'a> {
    /// The last slot is never used, so it stays null.
    slots: &'static mut [*const c_char],
    used: usize,
    strings: PhantomData<&'a CStr>,
}

impl<'a> StringArray<'a> {
    /// Reserves room for this many.
    pub(crate) fn with_capacity(count: usize) -> Result<Self> {
        let count = count.saturating_add(1);
        let room = allocate(count.saturating_mul(size_of::<*const c_char>()))?;
        // SAFETY: the memory has this length, is zeroed (null pointers), is aligned to a page, and
        // is not used elsewhere.
        let slots = unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), count) };
        Ok(Self { slots, used: 0, strings: PhantomData })
    }

    /// Adds a string. Beyond the capacity it is dropped without an error, so callers count first.
    pub(crate) fn push(&mut self, string: &'a CStr) {
        if self.used + 1 < self.slots.len()
            && let Some(slot) = self.slots.get_mut(self.used)
        {
            *slot = string.as_ptr();
            self.used += 1;
        }
    }
}

/// Becomes another program; returns only on an error.
pub(crate) fn execve(path: &CStr, arguments: &StringArray<'_>, environment: &StringArray<'_>) -> Errno {
    let arguments = arguments.slots.as_ptr() as usize;
    let environment = environment.slots.as_ptr() as usize;
    let path = path.as_ptr() as usize;
    // SAFETY: both arrays end with a null pointer. Their strings, and the path, end with a NUL.
    match answer(unsafe { syscall(Call::Execve, [path, arguments, environment, 0, 0, 0]) }) {
        Ok(_) => Errno(0),
        Err(errno) => errno,
    }
}

/// Returns zeroed memory, which is never unmapped: the process that maps it ends soon.
pub(crate) fn allocate(length: usize) -> Result<&'static mut [u8]> {
    const READ_AND_WRITE: usize = 1 | 2;
    const MAP_PRIVATE: usize = 2;
    const MAP_ANONYMOUS: usize = 0x20;
    let (size, kind) = (length.max(1), MAP_PRIVATE | MAP_ANONYMOUS);
    // SAFETY: new memory at an address that the kernel chooses; no file.
    let start = answer(unsafe { syscall(Call::Mmap, [0, size, READ_AND_WRITE, kind, usize::MAX, 0]) })?;
    // SAFETY: the mapping has this length, is zeroed, and is not used elsewhere.
    Ok(unsafe { core::slice::from_raw_parts_mut(start as *mut u8, length) })
}

/// A child that has ended.
pub(crate) struct Reaped {
    pub(crate) pid: u32,
    /// The status of wait(2).
    pub(crate) status: u32,
}

const WNOHANG: usize = 1;
const WALL: usize = 0x4000_0000;

/// Reaps one child that has ended; `None` if none has. [`Errno::CHILD`]: there are no children of
/// any kind.
pub(crate) fn reap() -> Result<Option<Reaped>> {
    let mut status = 0_u32;
    let place = &raw mut status as usize;
    // SAFETY: wait4(2) writes one number, and no usage, because that pointer is null.
    let pid = answer(unsafe { syscall(Call::Wait4, [usize::MAX, place, WNOHANG | WALL, 0, 0, 0]) })?;
    Ok((pid != 0).then_some(Reaped { pid: pid as u32, status }))
}

/// Checks that a process is a child that was not reaped yet; [`Errno::CHILD`] if it is not.
pub(crate) fn check_child(pid: u32) -> Result<()> {
    const P_PID: usize = 1;
    const WEXITED: usize = 4;
    const WNOWAIT: usize = 0x0100_0000;
    let options = WNOHANG | WALL | WEXITED | WNOWAIT;
    // SAFETY: waitid(2) writes nothing, because both pointers are null.
    answer(unsafe { syscall(Call::Waitid, [P_PID, pid as usize, 0, options, 0, 0]) }).map(drop)
}

pub(crate) fn kill(pid: u32, signal: u32) -> Result<()> {
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Kill, [pid as usize, signal as usize, 0, 0, 0, 0]) }).map(drop)
}

pub(crate) fn kill_group(group: u32, signal: u32) -> Result<()> {
    let group = (group as isize).wrapping_neg() as usize;
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Kill, [group, signal as usize, 0, 0, 0, 0]) }).map(drop)
}

/// Opens a pidfd of a process, which stays bound to that process even if its number is reused.
pub(crate) fn open_process(pid: u32) -> Result<Fd> {
    // SAFETY: no pointers.
    let fd = unsafe { syscall(Call::PidfdOpen, [pid as usize, 0, 0, 0, 0, 0]) };
    answer(fd).map(|fd| fd as Fd)
}

/// Signals the process of a pidfd.
pub(crate) fn signal_process(process: Fd, signal: u32) {
    // SAFETY: the pointer to the signal's details is null.
    unsafe { syscall(Call::PidfdSendSignal, [process as usize, signal as usize, 0, 0, 0, 0]) };
}

pub(crate) fn pid() -> u32 {
    // SAFETY: no pointers.
    unsafe { syscall(Call::Getpid, [0; 6]) as u32 }
}

pub(crate) fn new_session() -> Result<()> {
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Setsid, [0; 6]) }).map(drop)
}

pub(crate) fn enter(directory: &CStr) -> Result<()> {
    // SAFETY: chdir(2) reads the path to its NUL.
    answer(unsafe { syscall(Call::Chdir, [directory.as_ptr() as usize, 0, 0, 0, 0, 0]) }).map(drop)
}

/// Returns the path of the working directory. If it cannot be reached from the root, it does not
/// begin with a slash.
pub(crate) fn working_directory(buffer: &mut [u8]) -> Result<&CStr> {
    let (start, length) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: getcwd(2) writes at most `length` bytes.
    answer(unsafe { syscall(Call::Getcwd, [start, length, 0, 0, 0, 0]) })?;
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::NAMETOOLONG)
}

/// Hides this process's memory and descriptors from others of the same user.
pub(crate) fn forbid_dumps() -> Result<()> {
    const PR_SET_DUMPABLE: usize = 4;
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Prctl, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]) }).map(drop)
}

/// Makes this process the parent of all its descendants that lose theirs (a subreaper). Children do
/// not inherit this.
pub(crate) fn adopt_orphans() -> Result<()> {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Prctl, [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0]) }).map(drop)
}

/// The disposition of a signal.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Disposition {
    Default = 0,
    Ignore = 1,
}

/// Sets the disposition of a signal. Those of KILL and STOP cannot be set.
pub(crate) fn on_signal(signal: u32, disposition: Disposition) -> Result<()> {
    // The handler, flags, a restorer, and a mask.
    let action = [disposition as usize, 0, 0, 0];
    let place = action.as_ptr() as usize;
    // SAFETY: rt_sigaction(2) reads four words on both processors, and writes no old ones, because
    // that pointer is null. No handler is set.
    answer(unsafe { syscall(Call::RtSigaction, [signal as usize, place, 0, MASK, 0, 0]) }).map(drop)
}

/// The length of a set of signals, in bytes.
const MASK: usize = 8;
static SIGCHLD_ONLY: u64 = 1 << (SIGCHLD - 1);

/// Blocks SIGCHLD from here on, and returns the previous mask.
pub(crate) fn block_sigchld() -> u64 {
    const SIG_BLOCK: usize = 0;
    let mut before = 0_u64;
    let (set, old) = (&raw const SIGCHLD_ONLY as usize, &raw mut before as usize);
    // SAFETY: rt_sigprocmask(2) reads one set and writes another.
    unsafe { syscall(Call::RtSigprocmask, [SIG_BLOCK, set, old, MASK, 0, 0]) };
    before
}

pub(crate) fn set_signal_mask(mask: u64) {
    const SIG_SETMASK: usize = 2;
    // SAFETY: rt_sigprocmask(2) reads one set, and writes no old one, because that pointer is null.
    unsafe { syscall(Call::RtSigprocmask, [SIG_SETMASK, &raw const mask as usize, 0, MASK, 0, 0]) };
}

/// Returns a descriptor that is readable when a child has ended, while SIGCHLD is blocked.
pub(crate) fn sigchld_descriptor() -> Result<Fd> {
    let set = &raw const SIGCHLD_ONLY as usize;
    // SAFETY: signalfd4(2) reads one set.
    let fd = unsafe { syscall(Call::Signalfd4, [usize::MAX, set, MASK, CLOEXEC | NONBLOCK, 0, 0]) };
    answer(fd).map(|fd| fd as Fd)
}

/// What differs between two states of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    inode: u64,
    size: u64,
    changed: [u64; 2],
}

/// Returns the state of the file at a path, following symbolic links.
pub(crate) fn file_state(path: &CStr) -> Result<FileState> {
    let Status(words) = status(AT_ROOT, path, Follow::Links)?;
    let [_, _, _, _, inode, size, _, _, _, _, _, _, seconds, nanoseconds, ..] = words;
    Ok(FileState { inode, size, changed: [seconds, nanoseconds & 0xffff_ffff] })
}

/// In the place of a directory, for paths that begin with a slash.
pub(crate) const AT_ROOT: Fd = -100;

/// The length of a status, in bytes.
pub(crate) const STATUS: usize = 256;

pub(crate) const REGULAR: u16 = 0o10;
pub(crate) const DIRECTORY: u16 = 0o4;
pub(crate) const SYMLINK: u16 = 0o12;

/// `struct statx`, as words of 64 bits.
pub(crate) struct Status([u64; STATUS / 8]);

impl Status {
    pub(crate) fn to_bytes(&self) -> [u8; STATUS] {
        let mut bytes = [0; STATUS];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Returns the file's type, without the permissions.
    pub(crate) fn kind(&self) -> u16 {
        self.mode() >> 12
    }

    pub(crate) fn permissions(&self) -> u16 {
        self.mode() & 0o7777
    }

    fn mode(&self) -> u16 {
        let [_, _, _, word, ..] = self.0;
        (word >> 32) as u16
    }

    pub(crate) fn user(&self) -> u32 {
        let [_, _, word, ..] = self.0;
        (word >> 32) as u32
    }

    pub(crate) fn group(&self) -> u32 {
        let [_, _, _, word, ..] = self.0;
        word as u32
    }

    pub(crate) fn size(&self) -> u64 {
        let [_, _, _, _, _, size, ..] = self.0;
        size
    }
}

/// Whether a symbolic link at the end of a path is followed.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Follow {
    Links = 0,
    Never = 0x100,
}

/// Returns the status of the file at a path, or of `directory` itself if the path is empty.
pub(crate) fn status(directory: Fd, path: &CStr, follow: Follow) -> Result<Status> {
    const BASIC_STATS: usize = 0x7ff;
    const AT_EMPTY_PATH: usize = 0x1000;
    let mut words = [0_u64; STATUS / 8];
    let flags = follow as usize | if path.is_empty() { AT_EMPTY_PATH } else { 0 };
    let (path, place) = (path.as_ptr() as usize, words.as_mut_ptr() as usize);
    let arguments = [directory as usize, path, flags, BASIC_STATS, place, 0];
    // SAFETY: statx(2) reads the path to its NUL and writes 256 bytes, which are aligned.
    answer(unsafe { syscall(Call::Statx, arguments) })?;
    Ok(Status(words))
}

/// What a file is opened for. None of these waits: for the other end of a pipe, for instance.
#[derive(Clone, Copy)]
pub(crate) enum Open {
    Read,
    /// Creates it if it is not there, readable for nobody else.
    Write,
    /// Creates it, and fails if it is there.
    New,
    /// A directory, to be listed.
    Directory,
    /// A directory that is not a symbolic link.
    OwnDirectory,
}

pub(crate) fn open_at(directory: Fd, path: &CStr, how: Open) -> Result<Fd> {
    const WRITE: usize = 1;
    const CREATE: usize = 0o100;
    const NEW: usize = 0o200;
    const NO_TERMINAL: usize = 0o400;
    // These two differ between the processors.
    #[cfg(target_arch = "x86_64")]
    const KIND: [usize; 2] = [0o200_000, 0o400_000];
    #[cfg(target_arch = "aarch64")]
    const KIND: [usize; 2] = [0o40_000, 0o100_000];
    let [only_directory, no_link] = KIND;
    let flags = match how {
        Open::Read => 0,
        Open::Write => WRITE | CREATE,
        Open::New => WRITE | CREATE | NEW | no_link,
        Open::Directory => only_directory,
        Open::OwnDirectory => only_directory | no_link,
    };
    let flags = flags | CLOEXEC | NONBLOCK | NO_TERMINAL;
    let path = path.as_ptr() as usize;
    // SAFETY: openat(2) reads the path to its NUL.
    let fd = unsafe { syscall(Call::Openat, [directory as usize, path, flags, 0o600, 0, 0]) };
    answer(fd).map(|fd| fd as Fd)
}

/// Cuts a file to this length.
pub(crate) fn truncate(file: Fd, length: u64) -> Result<()> {
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Ftruncate, [file as usize, length as usize, 0, 0, 0, 0]) }).map(drop)
}

pub(crate) fn set_mode(file: Fd, mode: u32) -> Result<()> {
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Fchmod, [file as usize, mode as usize, 0, 0, 0, 0]) }).map(drop)
}

pub(crate) fn set_owner(file: Fd, user: u32, group: u32) -> Result<()> {
    let arguments = [file as usize, user as usize, group as usize, 0, 0, 0];
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Fchown, arguments) }).map(drop)
}

/// Makes a directory that everybody may read.
pub(crate) fn make_directory(path: &CStr) -> Result<()> {
    let (directory, path) = (AT_ROOT as usize, path.as_ptr() as usize);
    // SAFETY: mkdirat(2) reads the path to its NUL.
    answer(unsafe { syscall(Call::Mkdirat, [directory, path, 0o755, 0, 0, 0]) }).map(drop)
}

/// Gives a file another path, in the place of what is there.
pub(crate) fn rename(from: &CStr, to: &CStr) -> Result<()> {
    let (directory, from, to) = (AT_ROOT as usize, from.as_ptr() as usize, to.as_ptr() as usize);
    // SAFETY: renameat(2) reads both paths to their NUL.
    answer(unsafe { syscall(Call::Renameat, [directory, from, directory, to, 0, 0]) }).map(drop)
}

/// Removes a file that is no directory. A symbolic link is not followed.
pub(crate) fn unlink(directory: Fd, path: &CStr) -> Result<()> {
    let path = path.as_ptr() as usize;
    // SAFETY: unlinkat(2) reads the path to its NUL.
    answer(unsafe { syscall(Call::Unlinkat, [directory as usize, path, 0, 0, 0, 0]) }).map(drop)
}

/// Removes an empty directory.
pub(crate) fn remove_directory(directory: Fd, path: &CStr) -> Result<()> {
    const AT_REMOVEDIR: usize = 0x200;
    let path = path.as_ptr() as usize;
    // SAFETY: unlinkat(2) reads the path to its NUL.
    let removed = unsafe { syscall(Call::Unlinkat, [directory as usize, path, AT_REMOVEDIR, 0, 0, 0]) };
    answer(removed).map(drop)
}

/// Reads the text of a symbolic link, and returns its length.
pub(crate) fn read_link(path: &CStr, buffer: &mut [u8]) -> Result<usize> {
    let (start, length) = (buffer.as_mut_ptr() as usize, buffer.len());
    let arguments = [AT_ROOT as usize, path.as_ptr() as usize, start, length, 0, 0];
    // SAFETY: readlinkat(2) reads the path to its NUL and writes at most `length` bytes.
    answer(unsafe { syscall(Call::Readlinkat, arguments) })
}

/// Sets which permissions new directories do not get.
pub(crate) fn set_umask(mask: u32) {
    // SAFETY: no pointers.
    unsafe { syscall(Call::Umask, [mask as usize, 0, 0, 0, 0, 0]) };
}
