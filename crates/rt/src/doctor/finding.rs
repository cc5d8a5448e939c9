//! Findings: what was seen, what it means, what to do. Nothing is looked at here.

use std::error::Error as _;
use std::fmt;

use rt_protocol::{Error, ErrorKind};
use serde_json::{Value, json};

/// What a check means for who wants to use it. [`to_json`](Diagnosis::to_json) writes its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// There is nothing to check: not compiled in, not configured, not of this kind.
    NotApplicable,
    /// As it should be.
    Good,
    /// It could not be found out.
    Unknown,
    /// It works, with a limit that is named.
    Warning,
    /// It does not work.
    Problem,
}

rt_protocol::word_enum!(Verdict, "verdict", {
    NotApplicable = "not-applicable",
    Good = "good",
    Unknown = "unknown",
    Warning = "warning",
    Problem = "problem",
});

/// What one check found. `Display` is one line: verdict, code, what was seen, and the hint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which check, by a name that stays: `podman-version`. [`doctor()`](crate::doctor()) lists them.
    pub code: &'static str,
    /// What it means.
    pub verdict: Verdict,
    /// What was seen, for a person. No secret is in it.
    pub seen: String,
    /// What to do, for a person; `None` where there is nothing to do.
    pub hint: Option<String>,
}

#[cfg_attr(
    not(all(feature = "podman", feature = "krun")),
    allow(dead_code, reason = "each area makes findings of its own kinds")
)]
impl Finding {
    pub(super) fn new(code: &'static str, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self { code, verdict, seen: seen.into(), hint: None }
    }

    pub(super) fn good(code: &'static str, seen: impl Into<String>) -> Self {
        Self::new(code, Verdict::Good, seen)
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// For a check whose answer was an error. What was stopped on the way was not found out, whatever the verdict.
    pub(super) fn from_error(code: &'static str, verdict: Verdict, error: &Error) -> Self {
        let verdict = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::Cancelled => Verdict::Unknown,
            _ => verdict,
        };
        let hint = error.hint().unwrap_or("ask the engine by hand");
        let mut seen = error.to_string();
        if let Some(bare) = seen.strip_suffix(&format!(" ({hint})")) {
            seen.truncate(bare.len());
        }
        if let Some(cause) = error.source() {
            seen = format!("{seen}: {cause}");
        }
        Self::new(code, verdict, seen).with_hint(hint)
    }

    /// For checks that were not made, all for one reason.
    pub(super) fn skipped(
        codes: &[&'static str],
        verdict: Verdict,
        reason: &str,
        hint: &str,
    ) -> impl Iterator<Item = Self> {
        codes
            .iter()
            .map(move |code| Self::new(code, verdict, format!("not looked at: {reason}")).with_hint(hint))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14} {:<18} {}", self.verdict, self.code, self.seen)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All findings about a host. `Display` is a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// One for each check, in the order of [`doctor()`](crate::doctor()).
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// The gravest verdict of all.
    pub fn worst(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::NotApplicable)
    }

    /// The finding of a check.
    pub fn finding(&self, code: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.code == code)
    }

    /// One JSON object in UTF-8, without line breaks: `worst`, a verdict by its [name](Verdict::as_str), and `findings`, a
    /// list of objects with the texts `code`, `verdict`, `seen`, and `hint`, which may be null. Later versions may add
    /// fields.
    pub fn to_json(&self) -> String {
        let finding = |finding: &Finding| {
            json!({
                "code": finding.code,
                "verdict": finding.verdict.as_str(),
                "seen": finding.seen,
                "hint": finding.hint,
            })
        };
        let findings: Vec<Value> = self.findings.iter().map(finding).collect();
        json!({ "worst": self.worst().as_str(), "findings": findings }).to_string()
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.findings.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use rt_protocol::UntilError;

    use super::*;

    #[test]
    fn a_finding_is_a_line_and_an_object_with_the_same_words() {
        let good = Finding::good("a", "a \"quoted\"\nword");
        let bad = Finding::new("b", Verdict::Problem, "none").with_hint("install it");
        let diagnosis = Diagnosis { findings: vec![good, bad] };
        assert_eq!(diagnosis.worst(), Verdict::Problem);
        assert!(diagnosis.to_string().ends_with("none (install it)"), "{diagnosis}");
        let read: Value = serde_json::from_str(&diagnosis.to_json()).unwrap();
        assert_eq!(read["worst"], "problem");
        assert_eq!(read["findings"][0]["seen"], "a \"quoted\"\nword");
        assert_eq!(read["findings"][0]["hint"], Value::Null);
        assert_eq!(read["findings"][1]["code"], "b");
        assert!(!diagnosis.to_json().contains('\n'));
    }

    #[test]
    fn an_error_gives_its_text_its_cause_and_its_hint() {
        let error = Error::new(ErrorKind::System, "look at", "it is odd")
            .with_hint("see it")
            .with_source(std::io::Error::other("the cause"));
        let finding = Finding::from_error("a", Verdict::Problem, &error);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert_eq!(finding.seen, "look at: the system refused: it is odd: the cause");
        assert_eq!(finding.hint.as_deref(), Some("see it"));
    }

    #[test]
    fn what_was_stopped_is_unknown_and_no_problem() {
        for stop in [UntilError::DeadlineExceeded, UntilError::Cancelled] {
            let error = Error::stopped(stop, "ask");
            assert_eq!(Finding::from_error("a", Verdict::Problem, &error).verdict, Verdict::Unknown);
        }
    }
}
