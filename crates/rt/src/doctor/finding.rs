//! The findings of the doctor: what was seen, what it means, and what to do. The checks are
//! elsewhere.

use std::error::Error as _;
use std::fmt;

use rt_protocol::{Error, ErrorKind};
use serde_json::{Value, json};

rt_protocol::word_enum! {
    /// The result of a check. [`to_json`](Diagnosis::to_json) writes its name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Verdict: "verdict" {
        /// Does not apply: not compiled in, not configured, or of another kind.
        NotApplicable = "not-applicable",
        /// Works as it should.
        Good = "good",
        /// Could not be found out.
        Unknown = "unknown",
        /// Works with a limitation, which the finding names.
        Warning = "warning",
        /// Does not work.
        Problem = "problem",
    }
}

/// The finding of one check. `Display` is one line: verdict, code, what was seen, and the hint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The stable name of the check: `podman-version`. [`doctor()`](crate::doctor()) lists all
    /// codes.
    pub code: &'static str,
    /// The result.
    pub verdict: Verdict,
    /// What was seen, as text for people. Contains no secret.
    pub seen: String,
    /// What to do, as text for people; `None` if nothing needs to be done.
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

    /// Creates the finding of a check that ended with an error. If the check was stopped, the
    /// result is unknown, whatever `verdict` says.
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

    /// Creates findings for checks that were all skipped for one reason.
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

/// All findings about a machine. `Display` is one line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The findings, one for each check, in the order of [`doctor()`](crate::doctor()).
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Returns the worst verdict of all findings.
    pub fn worst(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::NotApplicable)
    }

    /// Returns the finding with this code.
    pub fn finding(&self, code: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.code == code)
    }

    /// Returns one JSON object in UTF-8, without line breaks. Its fields are `worst`, a verdict by
    /// its [name](Verdict::as_str), and `findings`, a list of objects. Each has the texts `code`,
    /// `verdict`, `seen`, and `hint`, which may be null. Later versions may add fields.
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
