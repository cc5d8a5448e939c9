//! The part of a command's output that is kept for the end of a report: its last lines, without
//! those of passed tests, then everything that the test harness printed about each failed case.

use std::collections::{BTreeSet, VecDeque};

use super::test_counts::TestCounts;

/// How many last lines are kept: a compiler's error with its notes.
const KEPT: usize = 40;
/// How many lines about failed cases are kept. More of them have one cause.
const FAILURES_KEPT: usize = 400;

/// Both outputs of one command.
#[derive(Debug, Default)]
pub(super) struct Digest {
    last: VecDeque<String>,
    failures: Vec<String>,
    /// The very last line, of whatever kind.
    at: Option<String>,
    /// The case that has begun and did not end, where the harness runs one at a time.
    case: Option<String>,
    /// The tests that are said to run for long, and did not end since.
    slow: BTreeSet<String>,
    counts: TestCounts,
}

/// Where one of the two outputs stands: each harness writes to one of them.
#[derive(Debug, Default)]
pub(super) struct Environment {
    is_among_failures: bool,
}

impl Digest {
    /// Takes the next line of the output that stands at `place`.
    pub(super) fn take(&mut self, place: &mut Environment, line: &str) {
        if line.is_empty() {
            return;
        }
        self.at = Some(line.to_owned());
        let of_test = line.strip_prefix("test ").unwrap_or_default();
        if let Some((name, _)) = of_test.split_once(" has been running for over ") {
            self.slow.insert(name.to_owned());
        } else if let Some((name, outcome)) = of_test.split_once(" ... ") {
            self.slow.remove(name);
            let has_ended = ["ok", "FAILED", "ignored"].iter().any(|word| outcome.starts_with(word));
            self.case = (!has_ended).then(|| name.to_owned());
        }
        let counts = TestCounts::read(line);
        let is_end = counts.is_some();
        self.counts += counts.unwrap_or_default();
        if line == "failures:" {
            place.is_among_failures = true;
        }
        if place.is_among_failures {
            if self.failures.len() < FAILURES_KEPT {
                self.failures.push(line.to_owned());
            }
        } else if !tells_success(line) {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line.to_owned());
        }
        place.is_among_failures &= !is_end;
    }

    /// The lines for a report; the failed cases come last.
    pub(super) fn lines(&self) -> Vec<String> {
        self.last.iter().chain(&self.failures).cloned().collect()
    }

    pub(super) fn counts(&self) -> TestCounts {
        self.counts
    }

    /// What a command that was cut off was at: the first thing that a reader asks.
    pub(super) fn at(&self) -> Option<String> {
        let at = self.at.as_ref()?;
        let running: Vec<_> = self.slow.iter().chain(&self.case).map(String::as_str).collect();
        if running.is_empty() {
            return Some(format!("it was at: {at}"));
        }
        Some(format!("it was at: {}; its last line: {at}", running.join(", ")))
    }
}

/// Lines that a harness or cargo writes when all is well.
fn tells_success(line: &str) -> bool {
    let of_test = line.starts_with("test ")
        && (line.ends_with(" ... ok") || line.ends_with(" ... ignored") || line.contains(" ... ignored, "));
    let of_cargo = ["Running ", "Doc-tests ", "Compiling ", "Finished ", "Executable "];
    of_test
        || line.starts_with("test result: ok")
        || (line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")))
        || of_cargo.iter().any(|word| line.trim_start().starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        let (mut digest, mut place) = (Digest::default(), Environment::default());
        for line in text.lines() {
            digest.take(&mut place, line);
        }
        digest
    }

    #[test]
    fn failed_cases_come_last_though_a_thousand_passed_since() {
        let passed = "test another ... ok\n".repeat(1000);
        let failed = "running 2 tests\ntest one ... FAILED\ntest two ... ok\n\nfailures:\n\n---- one ----\n\
                      the text\n\nfailures:\n    one\n\ntest result: FAILED. 1 passed; 1 failed\n";
        let end = "test result: ok. 1000 passed\nerror: 1 target failed:\n    `-p rt --lib`\n";
        let expected = [
            "test one ... FAILED",
            "error: 1 target failed:",
            "    `-p rt --lib`",
            "failures:",
            "---- one ----",
            "the text",
            "failures:",
            "    one",
            "test result: FAILED. 1 passed; 1 failed",
        ];
        assert_eq!(digest(&format!("{failed}{passed}{end}")).lines(), expected);
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let lines: Vec<_> = (1..=100).map(|number| number.to_string()).collect();
        assert_eq!(digest(&lines.join("\n")).lines(), lines[60..]);
    }

    #[test]
    fn a_limit_names_the_tests_that_it_cut_off() {
        let one = "test one ... ok\ntest a case with words ... what it says\nand more";
        assert_eq!(digest(one).at().unwrap(), "it was at: a case with words; its last line: and more");
        let several = "test slow has been running for over 60 seconds\n\
                       test late has been running for over 60 seconds\ntest slow ... ok\n";
        let at = digest(several).at().unwrap();
        assert_eq!(at, "it was at: late; its last line: test slow ... ok");
        assert_eq!(digest("Compiling rt").at().unwrap(), "it was at: Compiling rt");
        assert_eq!(digest("").at(), None);
    }
}
