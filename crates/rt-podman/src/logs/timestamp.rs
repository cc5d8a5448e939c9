//! The times that `podman logs --timestamps` writes into the log it prints.
//!
//! podman writes one before every record of the log, and a line may be several records: conmon ends one wherever a read of
//! the container's output ended, so after 8 KiB at the latest, and after each bit of a line that was written bit by bit.
//! The times of the later records then stand in the middle of the line, and nothing tells them from the command's words
//! (the same on 4.3.1 and on the main line of 2026).

use std::time::{Duration, SystemTime};

/// The form of a time of podman's up to its zone, a `0` for every digit: the fraction is never shortened.
const FORM: &[u8] = b"0000-00-00T00:00:00.000000000";

/// The most bytes that one takes: with an offset of hours and minutes, and the blank behind it.
pub(crate) const LONGEST: usize = FORM.len() + "+00:00 ".len();

/// How far ahead of this machine's clock that of a podman elsewhere may be.
const AHEAD: Duration = Duration::from_secs(60);

/// Takes the time off that the line begins with. `None` is a line that podman itself said.
pub(crate) fn take_off(mut line: Vec<u8>) -> (Option<SystemTime>, Vec<u8>) {
    let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let Some(time) = read(&line[..space]) else { return (None, line) };
    line.drain(..line.len().min(space + 1));
    (Some(time), line)
}

/// Takes the times of the later records out of a line whose first record is of `first`.
///
/// What is taken for one has podman's form to the letter, and lies between the record before it and `now`. The
/// command's own words may do so too, if it prints a time that has yet to come and is read after that.
pub(crate) fn join(line: &[u8], first: SystemTime, now: SystemTime) -> Vec<u8> {
    let (mut joined, mut last) = (Vec::with_capacity(line.len()), first);
    let mut from = 0;
    let mut at = 0;
    while at < line.len() {
        match inner(&line[at..]) {
            Some((time, length)) if time >= last && time <= now + AHEAD => {
                joined.extend_from_slice(&line[from..at]);
                at += length;
                (from, last) = (at, time);
            }
            _ => at += 1,
        }
    }
    joined.extend_from_slice(&line[from..]);
    joined
}

/// Whether one could begin here, as far as there are bytes to tell.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    bytes.iter().zip(FORM).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    })
}

/// The time that the bytes begin with, and how many bytes it takes with the blank behind it.
fn inner(bytes: &[u8]) -> Option<(SystemTime, usize)> {
    let zone = match bytes.get(FORM.len())? {
        b'Z' => 1,
        b'+' | b'-' => "+00:00".len(),
        _ => return None,
    };
    let length = FORM.len() + zone;
    if bytes.get(length) != Some(&b' ') || !may_begin(bytes) {
        return None;
    }
    Some((read(&bytes[..length])?, length + 1))
}

fn read(text: &[u8]) -> Option<SystemTime> {
    std::str::from_utf8(text).ok()?.parse::<jiff::Timestamp>().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> SystemTime {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_timestamp_is_taken_off_and_other_text_is_left_alone() {
        let (time, rest) = take_off(b"2026-11-21T20:23:51.883198261Z err5 x".to_vec());
        assert!(time.is_some());
        assert_eq!(rest, b"err5 x");
        assert_eq!(take_off(b"2026-11-21T20:23:51Z".to_vec()).1, b"");
        assert_eq!(take_off(b"no time".to_vec()), (None, b"no time".to_vec()));
    }

    #[test]
    fn of_the_times_in_a_line_those_are_podmans_that_could_be() {
        let (first, now) = (time("2026-11-21T20:00:00Z"), time("2026-11-21T21:00:00Z"));
        let cases = [
            ("x2026-11-21T20:00:00.500000000Z y", "xy"),
            ("x2026-11-21T20:00:00.500000000Z 2026-11-21T20:00:00.600000000Z ", "x"),
            ("x2026-11-21T22:30:00.500000000+01:00 y", "x2026-11-21T22:30:00.500000000+01:00 y"),
            ("x2026-11-21T21:30:00.500000000+01:00 y", "xy"),
            // Before the line, before the record before, after it was read.
            ("x2026-11-21T19:00:00.000000000Z y", "x2026-11-21T19:00:00.000000000Z y"),
            (
                "2026-11-21T20:30:00.000000000Z 2026-11-21T20:20:00.000000000Z y",
                "2026-11-21T20:20:00.000000000Z y",
            ),
            ("x2030-01-01T00:00:00.000000000Z y", "x2030-01-01T00:00:00.000000000Z y"),
            // Not podman's form.
            ("x2026-11-21T20:00:00.5Z y", "x2026-11-21T20:00:00.5Z y"),
            ("x2026-11-21T20:00:00.500000000Zy", "x2026-11-21T20:00:00.500000000Zy"),
            ("x2026-11-21 20:00:00.500000000Z y", "x2026-11-21 20:00:00.500000000Z y"),
            ("x2026-13-41T20:00:00.500000000Z y", "x2026-13-41T20:00:00.500000000Z y"),
        ];
        for (line, expected) in cases {
            let joined = join(line.as_bytes(), first, now);
            assert_eq!(String::from_utf8(joined).unwrap(), expected, "of {line}");
        }
    }
}
