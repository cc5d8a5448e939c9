//! Signals of Linux.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// A signal for a command.
///
/// Names are those of [signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html) without
/// `SIG`; numbers are those of x86 and ARM.
///
/// ```
/// use rt_protocol::Signal;
///
/// assert_eq!(Signal::new("SIGHUP")?, Signal::HUP);
/// assert_eq!(Signal::TERM.number(), 15);
/// assert_eq!(Signal::new("RTMIN+2")?.to_string(), "RTMIN+2");
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// The first real-time signal that glibc and musl leave to programs differs; this is glibc's, which
/// podman uses too.
const FIRST_REAL_TIME: u8 = 34;

const LAST: u8 = 64;

/// The names of the signals 1 to 31.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

impl Signal {
    /// The terminal or the client is gone; many services reload.
    pub const HUP: Self = Self(1);
    /// The person at the terminal pressed `^C`.
    pub const INT: Self = Self(2);
    /// The person at the terminal pressed `^\`.
    pub const QUIT: Self = Self(3);
    /// Ends a process at once. It cannot be caught.
    pub const KILL: Self = Self(9);
    /// Free for programs.
    pub const USR1: Self = Self(10);
    /// Free for programs.
    pub const USR2: Self = Self(12);
    /// Asks a process to end.
    pub const TERM: Self = Self(15);
    /// Continues a stopped process.
    pub const CONT: Self = Self(18);
    /// Stops a process until [`CONT`](Self::CONT). It cannot be caught.
    pub const STOP: Self = Self(19);

    /// Returns a signal by its name in any case, with or without `SIG`, or by its number: `TERM`,
    /// `sigterm`, `15`, `RTMIN+1`.
    ///
    /// # Errors
    /// If there is no such signal.
    pub fn new(name: &str) -> Result<Self, InvalidValue> {
        let refused = || InvalidValue::new("signal", name, "it must be a name of signal(7), or 1 to 64");
        if let Ok(number) = name.parse() {
            return Self::from_number(number).ok_or_else(refused);
        }
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let named = NAMES.iter().zip(1..).find(|(known, _)| **known == bare).map(|(_, number)| Self(number));
        named.or_else(|| real_time(bare)).ok_or_else(refused)
    }

    /// Returns the signal of a number from 1 to 64; `None` otherwise.
    pub fn from_number(number: u32) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| (1..=LAST).contains(number)).map(Self)
    }

    /// Returns the number, 1 to 64.
    pub fn number(self) -> u32 {
        self.0.into()
    }
}

/// Parses `RTMIN` and `RTMIN+N`.
fn real_time(name: &str) -> Option<Signal> {
    let more = match name.strip_prefix("RTMIN")? {
        "" => 0,
        more => more.strip_prefix('+')?.parse::<u8>().ok()?,
    };
    let number = FIRST_REAL_TIME.checked_add(more)?;
    (number <= LAST).then_some(Signal(number))
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMES.get(usize::from(self.0) - 1), self.0) {
            (Some(name), _) => f.pad(name),
            (None, FIRST_REAL_TIME) => f.pad("RTMIN"),
            // The kernel's first two, which libc keeps for itself, are RTMIN-2 and RTMIN-1.
            (None, number) => f.pad(&format!("RTMIN{:+}", i16::from(number) - i16::from(FIRST_REAL_TIME))),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({self})")
    }
}

impl FromStr for Signal {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::new(name)
    }
}

crate::text_conversions!(Signal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_a_name_that_is_parsed() {
        for number in 1..=64 {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.number(), number);
            if !(32..34).contains(&number) {
                assert_eq!(Signal::new(&signal.to_string()), Ok(signal), "{signal}");
            }
            assert_eq!(Signal::new(&number.to_string()), Ok(signal));
        }
        assert_eq!(Signal::new("sigkill"), Ok(Signal::KILL));
        assert_eq!(Signal::from_number(32).unwrap().to_string(), "RTMIN-2");
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for name in ["", "SIG", "0", "65", "-9", "NOSUCH", "RTMIN+31", "RTMIN+", "RTMIN+x", "TERM ", "9\n"] {
            assert!(Signal::new(name).is_err(), "{name:?}");
        }
        assert_eq!((Signal::from_number(0), Signal::from_number(65)), (None, None));
    }
}
