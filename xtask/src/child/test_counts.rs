//! How many tests of a harness passed, failed and were ignored, as it says itself.

use std::fmt;
use std::ops::AddAssign;

/// The sums of the lines `test result: …`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TestCounts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl TestCounts {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`; `None` for another line.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut counts = Self::default();
        for part in numbers.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let count = match what {
                "passed" => &mut counts.passed,
                "failed" => &mut counts.failed,
                "ignored" => &mut counts.ignored,
                _ => continue,
            };
            *count = number.parse().ok()?;
        }
        Some(counts)
    }
}

impl AddAssign for TestCounts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for TestCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_harness_is_read() {
        let line = "test result: FAILED. 250 passed; 2 failed; 31 ignored; 0 measured; 4 filtered out; finished in 9s";
        let counts = TestCounts { passed: 250, failed: 2, ignored: 31 };
        assert_eq!(TestCounts::read(line), Some(counts));
        assert_eq!(TestCounts::read("test exec: result: ok. 1 passed; ... ok"), None);
        let mut sum = counts;
        sum += counts;
        assert_eq!(sum.to_string(), "500 passed, 4 failed, 62 ignored");
    }
}
