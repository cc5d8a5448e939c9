//! The one instruction that calls the kernel, and the numbers of its calls, for each processor.

#![allow(unsafe_code, reason = "a system call is an instruction that no language knows")]

use core::arch::asm;

/// The number of a system call.
#[derive(Clone, Copy)]
#[repr(usize)]
#[cfg(target_arch = "x86_64")]
pub(crate) enum Call {
    Read = 0,
    Close = 3,
    Mmap = 9,
    RtSigaction = 13,
    RtSigprocmask = 14,
    Getpid = 39,
    Sendto = 44,
    Recvfrom = 45,
    Recvmsg = 47,
    Clone = 56,
    Execve = 59,
    Wait4 = 61,
    Kill = 62,
    Fcntl = 72,
    Getcwd = 79,
    Chdir = 80,
    Setsid = 112,
    Prctl = 157,
    ClockGettime = 228,
    ExitGroup = 231,
    Openat = 257,
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
    Faccessat = 48,
    Chdir = 49,
    Openat = 56,
    Close = 57,
    Pipe2 = 59,
    Read = 63,
    Ppoll = 73,
    Signalfd4 = 74,
    ExitGroup = 94,
    ClockGettime = 113,
    Kill = 129,
    RtSigaction = 134,
    RtSigprocmask = 135,
    Setsid = 157,
    Prctl = 167,
    Getpid = 172,
    Sendto = 206,
    Recvfrom = 207,
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

/// Calls the kernel. Negative answers are errors.
///
/// # Safety
/// The arguments are what the call wants of them, pointers above all.
pub(crate) unsafe fn syscall(call: Call, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let answer;
    // SAFETY: the registers are those of syscall(2). The kernel keeps all others but `rcx` and `r11`, and writes nowhere but where
    // the arguments point to.
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
    // SAFETY: the registers are those of syscall(2). The kernel keeps all others, and writes nowhere but where the arguments
    // point to.
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
