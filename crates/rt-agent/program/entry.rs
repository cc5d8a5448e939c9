//! Where the kernel enters the program: the stack as execve(2) leaves it, and the strings on it.

#![allow(
    unsafe_code,
    reason = "the first instruction is not Rust's, and the strings are behind raw pointers"
)]

use core::arch::global_asm;
use core::ffi::CStr;

use crate::agent;

// The kernel jumps here with no return address, and with the stack pointer at the number of arguments. It goes on as the
// first argument of `start`, on a stack aligned as the ABI wants it.
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
    // SAFETY: the System V ABI, 3.4.1 "Initial Stack": at the stack pointer stands the number of arguments, behind it as many
    // pointers and a null pointer, behind these the pointers of the environment and a null pointer. All of it stays where
    // it is, and nothing here writes there.
    let (arguments, environment) = unsafe {
        let arguments = stack.add(1).cast();
        (Strings::at(arguments), Strings::at(arguments.add(*stack + 1)))
    };
    agent::run(arguments, environment)
}

/// Strings that the kernel has put on the stack.
#[derive(Clone)]
pub(crate) struct Strings(*const *const core::ffi::c_char);

impl Strings {
    /// # Safety
    /// `first` points to pointers of strings that end with a NUL, the last one a null pointer, and all of these stay.
    unsafe fn at(first: *const *const core::ffi::c_char) -> Self {
        Self(first)
    }
}

impl Iterator for Strings {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: as `at` was promised. `self.0` never goes past the null pointer, which is where it stops.
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

/// What the unwinding tables of `core` name. Nobody calls it: a panic exits.
// SAFETY: no libc is linked that could have a function of this name.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
