//! Long output in which every position is known.

/// Returns the first bytes of the lines `10000000`, `10000001`, …, which
/// [`Script::Flood`](crate::Script::Flood) writes.
pub fn pattern(length: u64) -> Vec<u8> {
    lines(FIRST_LINE, length)
}

/// The number in the first line of the [`pattern`].
pub(crate) const FIRST_LINE: u64 = 10_000_000;

/// The length of each line.
pub(crate) const LINE_BYTES: u64 = 9;

/// Returns the bytes of the pattern from this line on.
pub(crate) fn lines(first: u64, length: u64) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(length + 9);
    let mut line = first;
    while bytes.len() < length {
        bytes.extend_from_slice(line.to_string().as_bytes());
        bytes.push(b'\n');
        line += 1;
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_tells_its_places_apart() {
        assert_eq!(pattern(20), b"10000000\n10000001\n10");
    }
}
