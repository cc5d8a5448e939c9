//! The instruction for system calls, and their numbers, for each processor.

#![allow(unsafe_code, reason = "a system call is an instruction that no language knows")]

use core::arch::asm;

/// The number of a system call.
#[derive(Clone, Copy)]
#[repr(usize)]
#[cfg(target_arch = "x86_64")]
pub(crate) enum Call {
    Read = 0,
    Write = 1,
    Close = 3,
    Mmap = 9,
    RtSigaction = 13,
    RtSigprocmask = 14,
    Ioctl = 16,
    Getpid = 39,
    Sendto = 44,
    Recvfrom = 45,
    Recvmsg = 47,
    Shutdown = 48,
    Socketpair = 53,
    Clone = 56,
    Execve = 59,
    Wait4 = 61,
    Kill = 62,
    Fcntl = 72,
    Ftruncate = 77,
    Getcwd = 79,
    Chdir = 80,
    Fchmod = 91,
    Fchown = 93,
    Umask = 95,
    Setsid = 112,
    Prctl = 157,
    Getdents64 = 217,
    ClockGettime = 228,
    ExitGroup = 231,
    Waitid = 247,
    Openat = 257,
    Mkdirat = 258,
    Unlinkat = 263,
    Renameat = 264,
    Readlinkat = 267,
    Faccessat = 269,
    Ppoll = 271,
    Signalfd4 = 289,
    Dup3 = 292,
    Pipe2 = 293,
    Statx = 332,
    PidfdSendSignal = 424,
    PidfdOpen = 434,
    CloseRange = 436,
}

/// The number of a system call.
#[derive(Clone, Copy)]
#[repr(usize)]
#[cfg(target_arch = "aarch64")]
pub(crate) enum Call {
    Getcwd = 17,
    Dup3 = 24,
    Fcntl = 25,
    Ioctl = 29,
    Mkdirat = 34,
    Unlinkat = 35,
    Renameat = 38,
    Ftruncate = 46,
    Faccessat = 48,
    Chdir = 49,
    Fchmod = 52,
    Fchown = 55,
    Openat = 56,
    Close = 57,
    Pipe2 = 59,
    Getdents64 = 61,
    Read = 63,
    Write = 64,
    Ppoll = 73,
    Signalfd4 = 74,
    Readlinkat = 78,
    ExitGroup = 94,
    Waitid = 95,
    ClockGettime = 113,
    Kill = 129,
    RtSigaction = 134,
    RtSigprocmask = 135,
    Setsid = 157,
    Umask = 166,
    Prctl = 167,
    Getpid = 172,
    Socketpair = 199,
    Sendto = 206,
    Recvfrom = 207,
    Shutdown = 210,
    Recvmsg = 212,
    Clone = 220,
    Execve = 221,
    Mmap = 222,
    Wait4 = 260,
    Statx = 291,
    PidfdSendSignal = 424,
    PidfdOpen = 434,
    CloseRange = 436,
}

/// Makes a system call. Negative results are errors.
///
/// # Safety
/// The arguments must be valid for the call, pointers in particular.
pub(crate) unsafe fn syscall(call: Call, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let answer;
    // SAFETY: the registers are those of syscall(2). The kernel preserves all others except `rcx`
    // and `r11`, and writes only where the arguments point.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") call as usize => answer,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: the registers are those of syscall(2). The kernel preserves all others, and writes
    // only where the arguments point.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc #0",
            in("x8") call as usize,
            inlateout("x0") first => answer,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            in("x4") fifth,
            in("x5") sixth,
            options(nostack),
        );
    }
    answer
}

/// What a new process runs: `run(state)`, which must not return.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) run: extern "C" fn(usize) -> !,
    pub(crate) state: usize,
}

/// Starts a process that shares the memory of this one and runs `start` on a stack of its own.
/// Returns when it has become another program or has ended: its process id, or a negative error.
///
/// # Safety
/// `stack` must be the end of unused memory that is large enough, and aligned to 16 bytes.
/// `start.run` must be able to take `start.state`.
pub(crate) unsafe fn clone_until_exec(flags: usize, stack: usize, start: Start) -> isize {
    const CLONE_VM: usize = 0x100;
    const CLONE_VFORK: usize = 0x4000;
    let flags = flags | CLONE_VM | CLONE_VFORK;
    let Start { run, state } = start;
    let answer;
    // SAFETY: the registers are those of clone(2). This process waits meanwhile, so the new one has
    // the memory to itself. It leaves this code by a call that does not return, and uses only its
    // own stack.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") Call::Clone as usize => answer,
            in("rdi") flags,
            in("rsi") stack,
            in("rdx") 0,
            in("r10") 0,
            in("r8") 0,
            in("r12") run,
            in("r13") state,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, #0",
            "mov x30, #0",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") Call::Clone as usize,
            inlateout("x0") flags => answer,
            in("x1") stack,
            in("x2") 0,
            in("x3") 0,
            in("x4") 0,
            in("x9") run,
            in("x10") state,
            options(nostack),
        );
    }
    answer
}
