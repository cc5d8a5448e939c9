//! The kernel's calls as safe functions: whatever they are given, they touch no memory but what they borrow.
//!
//! Descriptors are plain numbers: a wrong one is an error of the kernel's, never of memory. The program has one thread.

#![allow(unsafe_code, reason = "system calls take pointers; each function here borrows what they point to")]

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::ptr::null;
use core::sync::atomic::AtomicU32;

use crate::syscall::{Call, syscall};
use crate::wire_format::DESCRIPTORS;

/// The number of an open descriptor.
pub(crate) type Fd = i32;

/// Why the kernel refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) u32);

impl Errno {
    pub(crate) const NOENT: Self = Self(2);
    pub(crate) const CHILD: Self = Self(10);
    pub(crate) const ACCES: Self = Self(13);
    pub(crate) const NOTDIR: Self = Self(20);
    pub(crate) const NAMETOOLONG: Self = Self(36);
    const INTR: Self = Self(4);
}

type Result<T> = core::result::Result<T, Errno>;

pub(crate) const SIGKILL: u32 = 9;
pub(crate) const SIGTERM: u32 = 15;
pub(crate) const SIGCHLD: u32 = 17;

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

/// Closes all descriptors from `first` on. A kernel before 5.9 cannot, and leaves them open.
pub(crate) fn close_from(first: Fd) {
    // SAFETY: no pointers.
    unsafe { syscall(Call::CloseRange, [first as usize, u32::MAX as usize, 0, 0, 0, 0]) };
}

/// Has the next execve(2) close it.
pub(crate) fn close_on_exec(fd: Fd) {
    const F_SETFD: usize = 2;
    const FD_CLOEXEC: usize = 1;
    // SAFETY: no pointers.
    unsafe { syscall(Call::Fcntl, [fd as usize, F_SETFD, FD_CLOEXEC, 0, 0, 0]) };
}

/// Makes `to` another descriptor of what `from` is, and stay open at execve(2).
pub(crate) fn duplicate(from: Fd, to: Fd) -> Result<()> {
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Dup3, [from as usize, to as usize, 0, 0, 0, 0]) }).map(drop)
}

/// A pipe that no command inherits: where it is read, and where it is written.
pub(crate) fn pipe() -> Result<[Fd; 2]> {
    let mut ends = [0; 2];
    // SAFETY: pipe2(2) writes two numbers, which `ends` has room for.
    let made = unsafe { syscall(Call::Pipe2, [ends.as_mut_ptr() as usize, CLOEXEC, 0, 0, 0, 0]) };
    answer(made).map(|_| ends)
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

/// Sends it whole; whether it was. Never waits, and never has a SIGPIPE.
pub(crate) fn send(socket: Fd, bytes: &[u8]) -> bool {
    let (start, length) = (bytes.as_ptr() as usize, bytes.len());
    let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    // SAFETY: sendto(2) reads `length` bytes, and no address when there is none.
    let sent = unsafe { syscall(Call::Sendto, [socket as usize, start, length, flags, 0, 0]) };
    answer(sent) == Ok(length)
}

/// Waits until the buffer is full; whether it is. It is not where the stream has ended before.
pub(crate) fn receive(socket: Fd, buffer: &mut [u8]) -> bool {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let (start, length) = (rest.as_mut_ptr() as usize, rest.len());
        // SAFETY: recvfrom(2) writes at most `length` bytes, and no address when there is no place for one.
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

/// A message and the descriptors that came with it.
pub(crate) struct Message {
    /// How many bytes were received. None is the end.
    pub(crate) length: usize,
    /// Those that came; the others are -1.
    pub(crate) descriptors: [Fd; DESCRIPTORS],
}

/// Receives one message. What is longer than the buffer is lost, and so are more than [`DESCRIPTORS`].
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
    // SAFETY: the header is laid out as recvmsg(2) wants it; its buffers are ours and as long as it says, and outlive the call.
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
#[repr(C)]
pub(crate) struct PollFd {
    fd: Fd,
    wanted: i16,
    got: i16,
}

impl PollFd {
    /// Until it can be read, has ended, or is broken.
    pub(crate) fn readable(fd: Fd) -> Self {
        const POLLIN: i16 = 1;
        Self { fd, wanted: POLLIN, got: 0 }
    }

    /// Until nobody has the other end any more. What can be read is left alone.
    pub(crate) fn hung_up(fd: Fd) -> Self {
        Self { fd, wanted: 0, got: 0 }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.got != 0
    }
}

/// Waits for the first of them, at most for so many milliseconds; `None` is for ever. Signals end the wait, too.
pub(crate) fn poll(fds: &mut [PollFd], milliseconds: Option<u32>) {
    let time = milliseconds.map(|time| [i64::from(time / 1000), i64::from(time % 1000) * 1_000_000]);
    let time = time.as_ref().map_or(null(), |time| time.as_ptr());
    let (start, count) = (fds.as_mut_ptr() as usize, fds.len());
    // SAFETY: ppoll(2) reads and writes `count` entries, which are laid out as it wants them, and writes the time that is left,
    // which nobody reads, into what is ours. There is no signal mask.
    unsafe { syscall(Call::Ppoll, [start, count, time as usize, 0, 0, 0]) };
}

/// The clock that never goes back, in milliseconds.
pub(crate) fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0_i64; 2];
    // SAFETY: clock_gettime(2) writes seconds and nanoseconds.
    unsafe { syscall(Call::ClockGettime, [CLOCK_MONOTONIC, time.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    let [seconds, nanoseconds] = time;
    (seconds * 1000 + nanoseconds / 1_000_000) as u64
}

/// A copy of this process: its number, and `None` in the copy itself.
pub(crate) fn fork() -> Result<Option<u32>> {
    clone(0)
}

/// As [`fork`], and returns only when the copy has become another program, or has ended.
pub(crate) fn fork_until_exec() -> Result<Option<u32>> {
    const CLONE_VFORK: usize = 0x4000;
    clone(CLONE_VFORK)
}

fn clone(flags: usize) -> Result<Option<u32>> {
    // SAFETY: no pointers. Memory is copied, the stack with it, as by fork(2); there is one thread, and nobody holds a lock.
    let pid = unsafe { syscall(Call::Clone, [flags | SIGCHLD as usize, 0, 0, 0, 0, 0]) };
    answer(pid).map(|pid| (pid != 0).then_some(pid as u32))
}

/// Strings as execve(2) takes them: pointers, and a null pointer behind them.
pub(crate) struct StringArray<'a> {
    /// The last slot is never used.
    slots: &'static mut [*const c_char],
    used: usize,
    strings: PhantomData<&'a CStr>,
}

impl<'a> StringArray<'a> {
    /// Room for so many.
    pub(crate) fn with_capacity(count: usize) -> Result<Self> {
        let count = count.saturating_add(1);
        let start = map(count.saturating_mul(size_of::<*const c_char>()), MAP_PRIVATE)?;
        // SAFETY: the mapping is as long, zeroed (null pointers), aligned to a page, and nobody else has it.
        let slots = unsafe { core::slice::from_raw_parts_mut(start as *mut *const c_char, count) };
        Ok(Self { slots, used: 0, strings: PhantomData })
    }

    /// Adds one; one too many is left out, and counted by nobody, so callers count first.
    pub(crate) fn push(&mut self, string: &'a CStr) {
        if self.used + 1 < self.slots.len()
            && let Some(slot) = self.slots.get_mut(self.used)
        {
            *slot = string.as_ptr();
            self.used += 1;
        }
    }
}

/// Becomes another program; returns only with a reason why not.
pub(crate) fn execve(path: &CStr, arguments: &StringArray<'_>, environment: &StringArray<'_>) -> Errno {
    let arguments = arguments.slots.as_ptr() as usize;
    let environment = environment.slots.as_ptr() as usize;
    let path = path.as_ptr() as usize;
    // SAFETY: both arrays end with a null pointer, and their strings, like the path, with a NUL.
    match answer(unsafe { syscall(Call::Execve, [path, arguments, environment, 0, 0, 0]) }) {
        Ok(_) => Errno(0),
        Err(errno) => errno,
    }
}

const MAP_SHARED: usize = 1;
const MAP_PRIVATE: usize = 2;

/// Zeroed memory that is never given back: the processes that ask for it end soon.
fn map(length: usize, kind: usize) -> Result<usize> {
    const READ_AND_WRITE: usize = 1 | 2;
    const MAP_ANONYMOUS: usize = 0x20;
    // SAFETY: new memory at a place that the kernel chooses; no file.
    answer(unsafe { syscall(Call::Mmap, [0, length, READ_AND_WRITE, kind | MAP_ANONYMOUS, usize::MAX, 0]) })
}

/// Zeroed memory of at least one byte.
pub(crate) fn allocate(length: usize) -> Result<&'static mut [u8]> {
    let start = map(length.max(1), MAP_PRIVATE)?;
    // SAFETY: the mapping is as long, zeroed, and nobody else has it.
    Ok(unsafe { core::slice::from_raw_parts_mut(start as *mut u8, length) })
}

/// Two numbers, 0 at first, that a fork shares with this process.
pub(crate) fn shared_numbers() -> Result<&'static [AtomicU32; 2]> {
    let start = map(size_of::<[AtomicU32; 2]>(), MAP_SHARED)?;
    // SAFETY: the mapping is as long, aligned to a page, zeroed, and stays. Whoever else has it uses atomics as well.
    Ok(unsafe { &*(start as *const [AtomicU32; 2]) })
}

/// A child that has ended.
pub(crate) struct Reaped {
    pub(crate) pid: u32,
    /// As wait(2) has it.
    pub(crate) status: u32,
}

/// Takes one child that has ended; `None` while none has. [`Errno::CHILD`]: there are no children, of whatever kind.
pub(crate) fn reap() -> Result<Option<Reaped>> {
    const WNOHANG: usize = 1;
    const WALL: usize = 0x4000_0000;
    let mut status = 0_u32;
    let place = &raw mut status as usize;
    // SAFETY: wait4(2) writes one number, and no usage where there is no place for it.
    let pid = answer(unsafe { syscall(Call::Wait4, [usize::MAX, place, WNOHANG | WALL, 0, 0, 0]) })?;
    Ok((pid != 0).then_some(Reaped { pid: pid as u32, status }))
}

pub(crate) fn kill(pid: u32, signal: u32) {
    // SAFETY: no pointers.
    unsafe { syscall(Call::Kill, [pid as usize, signal as usize, 0, 0, 0, 0]) };
}

pub(crate) fn kill_group(group: u32, signal: u32) -> Result<()> {
    let group = (group as isize).wrapping_neg() as usize;
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Kill, [group, signal as usize, 0, 0, 0, 0]) }).map(drop)
}

/// Holds a process, so that its number cannot become another's unseen.
pub(crate) fn open_process(pid: u32) -> Result<Fd> {
    // SAFETY: no pointers.
    let fd = unsafe { syscall(Call::PidfdOpen, [pid as usize, 0, 0, 0, 0, 0]) };
    answer(fd).map(|fd| fd as Fd)
}

/// Signals a process that is held.
pub(crate) fn signal_process(process: Fd, signal: u32) {
    // SAFETY: no pointers: there is no more to say of the signal.
    unsafe { syscall(Call::PidfdSendSignal, [process as usize, signal as usize, 0, 0, 0, 0]) };
}

pub(crate) fn pid() -> u32 {
    // SAFETY: no pointers.
    unsafe { syscall(Call::Getpid, [0; 6]) as u32 }
}

pub(crate) fn new_session() {
    // SAFETY: no pointers.
    unsafe { syscall(Call::Setsid, [0; 6]) };
}

pub(crate) fn enter(directory: &CStr) -> Result<()> {
    // SAFETY: chdir(2) reads the path to its NUL.
    answer(unsafe { syscall(Call::Chdir, [directory.as_ptr() as usize, 0, 0, 0, 0, 0]) }).map(drop)
}

/// The path of the working directory. One that cannot be reached from here does not begin with a slash.
pub(crate) fn working_directory(buffer: &mut [u8]) -> Result<&CStr> {
    let (start, length) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: getcwd(2) writes at most `length` bytes.
    answer(unsafe { syscall(Call::Getcwd, [start, length, 0, 0, 0, 0]) })?;
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::NAMETOOLONG)
}

/// Hides this process's memory and descriptors from others of the same user.
pub(crate) fn forbid_dumps() {
    const PR_SET_DUMPABLE: usize = 4;
    // SAFETY: no pointers.
    unsafe { syscall(Call::Prctl, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]) };
}

/// Makes this process the parent of all its descendants that lose theirs. It is not inherited.
pub(crate) fn adopt_orphans() -> Result<()> {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    // SAFETY: no pointers.
    answer(unsafe { syscall(Call::Prctl, [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0]) }).map(drop)
}

/// What becomes of a signal.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Disposition {
    Default = 0,
    Ignore = 1,
}

/// Sets what becomes of a signal. KILL and STOP stay as they are.
pub(crate) fn on_signal(signal: u32, disposition: Disposition) {
    // The handler, flags, a restorer, and a mask.
    let action = [disposition as usize, 0, 0, 0];
    let place = action.as_ptr() as usize;
    // SAFETY: rt_sigaction(2) reads four words, on both processors, and writes no old ones where there is no place for them. No
    // handler is set that could run.
    unsafe { syscall(Call::RtSigaction, [signal as usize, place, 0, MASK, 0, 0]) };
}

/// The length of a set of signals, in bytes.
const MASK: usize = 8;
static SIGCHLD_ONLY: u64 = 1 << (SIGCHLD - 1);

/// Keeps SIGCHLD back from here on; the set that was kept back before.
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
    // SAFETY: rt_sigprocmask(2) reads one set, and writes no old one where there is no place for it.
    unsafe { syscall(Call::RtSigprocmask, [SIG_SETMASK, &raw const mask as usize, 0, MASK, 0, 0]) };
}

/// A descriptor that can be read when a child has ended, while SIGCHLD is kept back.
pub(crate) fn sigchld_descriptor() -> Result<Fd> {
    let set = &raw const SIGCHLD_ONLY as usize;
    // SAFETY: signalfd4(2) reads one set.
    let fd = unsafe { syscall(Call::Signalfd4, [usize::MAX, set, MASK, CLOEXEC | NONBLOCK, 0, 0]) };
    answer(fd).map(|fd| fd as Fd)
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    inode: u64,
    size: u64,
    changed: (i64, u32),
}

/// The state of the file at a path, through symbolic links.
pub(crate) fn file_state(path: &CStr) -> Result<FileState> {
    /// `struct statx`, as far as it is used, and its whole length.
    #[repr(C)]
    struct Statx {
        before: [u64; 4],
        inode: u64,
        size: u64,
        between: [u64; 6],
        changed_seconds: i64,
        changed_nanoseconds: u32,
        after: [u32; 37],
    }
    const _: () = assert!(size_of::<Statx>() == 256);
    const BASIC_STATS: usize = 0x7ff;

    let mut state = Statx {
        before: [0; 4],
        inode: 0,
        size: 0,
        between: [0; 6],
        changed_seconds: 0,
        changed_nanoseconds: 0,
        after: [0; 37],
    };
    let (path, place) = (path.as_ptr() as usize, &raw mut state as usize);
    // SAFETY: statx(2) reads the path to its NUL and writes 256 bytes.
    answer(unsafe { syscall(Call::Statx, [AT_FDCWD, path, 0, BASIC_STATS, place, 0]) })?;
    let changed = (state.changed_seconds, state.changed_nanoseconds);
    Ok(FileState { inode: state.inode, size: state.size, changed })
}
