//! The times that `podman logs --timestamps` prints in a log.
//!
//! podman prints one before every record of the log, and a line may be several records. conmon ends
//! a record wherever a read of the container's output ended: after 8 KiB at the latest, and after
//! each part of a line that was written in parts. The times of later records are then in the middle
//! of the line, and cannot be distinguished from the command's output (the same on 4.3.1 and on the
//! main branch of 2026).

use std::time::{Duration, SystemTime};

/// The format of podman's time before its zone, with a `0` for every digit: the fraction is never
/// shortened.
const FORM: &[u8] = b"0000-00-00T00:00:00.000000000";

/// The most bytes of a time, with an offset of hours and minutes and the space after it.
pub(crate) const LONGEST: usize = FORM.len() + "+00:00 ".len();

/// How far the clock of a remote podman may be ahead of this machine's.
const AHEAD: Duration = Duration::from_secs(60);

/// Removes the time at the start of a line. `None` means a line from podman itself.
pub(crate) fn take_off(mut line: Vec<u8>) -> (Option<SystemTime>, Vec<u8>) {
    let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let Some(time) = read(&line[..space]) else { return (None, line) };
    line.drain(..line.len().min(space + 1));
    (Some(time), line)
}

/// Removes the times of later records from a line whose first record has the time `first`.
///
/// Text counts as such a time if it has exactly podman's format and lies between the time of the
/// previous record and `now`. Output of the command can match too, if it contains a time that was
/// in the future when written and is past when read.
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

/// Returns whether a time may begin here, as far as the bytes show.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    bytes.iter().zip(FORM).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    })
}

/// Returns the time at the start of the bytes, and its length with the space after it.
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
            // Before the line; before the previous record; after it was read.
            ("x2026-11-21T19:00:00.000000000Z y", "x2026-11-21T19:00:00.000000000Z y"),
            (
                "2026-11-21T20:30:00.000000000Z 2026-11-21T20:20:00.000000000Z y",
                "2026-11-21T20:20:00.000000000Z y",
            ),
            ("x2030-01-01T00:00:00.000000000Z y", "x2030-01-01T00:00:00.000000000Z y"),
            // Not podman's format.
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
