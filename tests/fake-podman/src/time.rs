//! Points in time: nanoseconds since 1970, printed as podman prints them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Nanoseconds since 1970; 0 is never.
pub(crate) type Nanos = i64;

/// What podman prints for "never", in seconds since 1970: the beginning of the year 1.
pub(crate) const NEVER_SECONDS: i64 = -62_135_596_800;

/// Now, by the clock of `FAKE_PODMAN_CLOCK`: the system's, and so many seconds more.
pub(crate) fn now() -> Nanos {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let now = now.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or_default();
    let ahead = std::env::var("FAKE_PODMAN_CLOCK").ok().and_then(|seconds| seconds.parse::<i64>().ok());
    now + ahead.unwrap_or_default() * 1_000_000_000
}

/// `2026-11-21T20:39:51.06427033Z`; zeros at the end are left out, as Go leaves them out.
pub(crate) fn rfc3339(time: Nanos) -> String {
    if time == 0 {
        return String::from("0001-01-01T00:00:00Z");
    }
    Timestamp::from_nanosecond(time.into()).map(|time| time.to_string()).unwrap_or_default()
}

/// All nine digits, as log files have them.
pub(crate) fn rfc3339_padded(time: Nanos) -> String {
    Timestamp::from_nanosecond(time.into()).map(|time| format!("{time:.9}")).unwrap_or_default()
}

pub(crate) fn seconds(time: Nanos) -> i64 {
    if time == 0 { NEVER_SECONDS } else { time / 1_000_000_000 }
}

/// The value of a `--since`: seconds since 1970, RFC 3339, or a duration back from now.
pub(crate) fn point(text: &str) -> Option<Nanos> {
    if let Ok(seconds) = text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "no test asks for the year 2262")]
        return Some((seconds * 1e9) as Nanos);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return i64::try_from(time.as_nanosecond()).ok();
    }
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    Some(now() - number * scale * 1_000_000_000)
}

/// `58 seconds ago`, without the last word.
pub(crate) fn span(from: Nanos, to: Nanos) -> String {
    match (to - from) / 1_000_000_000 {
        ..1 => String::from("Less than a second"),
        1 => String::from("1 second"),
        seconds @ 2..60 => format!("{seconds} seconds"),
        60..120 => String::from("About a minute"),
        seconds @ 120..3600 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_and_read_as_podman_does() {
        assert_eq!(rfc3339(0), "0001-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(rfc3339_padded(1_500_000_000), "1970-01-01T00:00:01.500000000Z");
        assert_eq!(point("1970-01-01T00:00:01.000000005Z"), Some(1_000_000_005));
        assert_eq!(point("12"), Some(12_000_000_000));
        assert!(point("1h").is_some_and(|time| time < now()));
        assert_eq!(point("bogus"), None);
        assert_eq!(span(0, 2_500_000_000), "2 seconds");
    }
}
