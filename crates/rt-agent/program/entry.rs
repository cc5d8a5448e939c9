//! The entry point: the stack as execve(2) leaves it.

#![allow(unsafe_code, reason = "the first instruction is not Rust's, and it is given a raw pointer")]

use core::arch::global_asm;

use crate::agent;
use crate::kernel::Strings;

// The kernel jumps here without a return address; the stack pointer points to the number of
// arguments. It becomes the first argument of `start`, on a stack with the ABI's alignment.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor %ebp, %ebp",
    "mov %rsp, %rdi",
    "and $-16, %rsp",
    "call {start}",
    "ud2",
    start = sym start,
    options(att_syntax),
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "bl {start}",
    "brk #1",
    start = sym start,
);

extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the System V ABI, 3.4.1 "Initial Stack": the stack pointer points to the number of
    // arguments. After it come that many pointers and a null pointer, then the pointers of the
    // environment and a null pointer. All of it stays in place, and nothing here writes to it.
    let (arguments, environment) = unsafe {
        let arguments = stack.add(1).cast();
        (Strings::at(arguments), Strings::at(arguments.add(*stack + 1)))
    };
    agent::run(arguments, environment)
}

/// Named by the unwinding tables of `core`. It is never called: a panic exits.
// SAFETY: no libc is linked that could have a function of this name.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
