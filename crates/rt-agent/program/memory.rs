//! The memory functions that the compiler calls, as in a libc. Plain loops, because the data is
//! short.

#![allow(unsafe_code, reason = "they are given raw pointers, and have the names of C's")]

// SAFETY of all names: no libc is linked that could have a function with the same name.
// SAFETY of all blocks: the C standard requires that the pointers are valid for the whole length.

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for place in 0..length {
        // SAFETY: `place` is below the length.
        unsafe { *to.add(place) = *from.add(place) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: the target begins first, so bytes are read before they are overwritten.
        return unsafe { memcpy(to, from, length) };
    }
    for place in (0..length).rev() {
        // SAFETY: `place` is below the length.
        unsafe { *to.add(place) = *from.add(place) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for place in 0..length {
        // SAFETY: `place` is below the length.
        unsafe { *to.add(place) = byte as u8 };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    for place in 0..length {
        // SAFETY: `place` is below the length.
        let (one, other) = unsafe { (*one.add(place), *other.add(place)) };
        if one != other {
            return i32::from(one) - i32::from(other);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: guaranteed by the caller.
    unsafe { memcmp(one, other, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the string ends with a NUL, and nothing after it is read.
    while unsafe { *string.add(length) } != 0 {
        length += 1;
    }
    length
}
