//! The functions on memory that the compiler calls, as a libc would have them. Plain loops: what is moved is short.

#![allow(unsafe_code, reason = "they are given raw pointers, and have the names of C's")]

// SAFETY of all names: no libc is linked that could have a function of the same one.
// SAFETY of all blocks: the C standard promises that the pointers are good for the whole length.

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
        // SAFETY: what is overwritten was read before, because the target begins first.
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
    // SAFETY: as this was called.
    unsafe { memcmp(one, other, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the string ends with a NUL, and nothing behind it is read.
    while unsafe { *string.add(length) } != 0 {
        length += 1;
    }
    length
}
