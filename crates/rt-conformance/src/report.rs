//! The result of a run: a row for each case, counts, and a table for people.

use std::fmt;
use std::time::Duration;

use crate::{Case, Group, Outcome};

/// One case of a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The case.
    pub case: Case,
    /// Its outcome.
    pub outcome: Outcome,
    /// How long it took, including its clean-up.
    pub elapsed: Duration,
}

/// The result of a run of the suite.
///
/// `Display` writes a table with group, case, outcome and milliseconds, followed by the counts.
#[derive(Clone, Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row, for callers that run each case themselves.
    pub fn add(&mut self, case: Case, outcome: Outcome, elapsed: Duration) {
        self.rows.push(Row { case, outcome, elapsed });
    }

    /// Returns the rows in the order of the run.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns how many cases passed.
    pub fn passed(&self) -> usize {
        self.count(|outcome| *outcome == Outcome::Passed)
    }

    /// Returns how many cases were skipped.
    pub fn skipped(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    }

    /// Returns how many cases failed.
    pub fn failed(&self) -> usize {
        self.count(Outcome::is_failed)
    }

    /// Returns whether no case failed.
    pub fn ok(&self) -> bool {
        self.failed() == 0
    }

    /// Returns the rows of one group.
    pub fn group(&self, group: Group) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.case.group() == group)
    }

    fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        self.rows.iter().filter(|row| wanted(&row.outcome)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fact = |row: &Row| row.case.name().split_once(": ").map_or("", |(_, fact)| fact);
        let width = self.rows.iter().map(|row| fact(row).chars().count()).max().unwrap_or(0).max(4);
        writeln!(f, "{:<10} {:<width$} {:<8} {:>7}", "group", "case", "outcome", "ms")?;
        for group in Group::ALL {
            for row in self.group(*group) {
                let word = row.outcome.word();
                writeln!(f, "{group:<10} {:<width$} {word:<8} {:>7}", fact(row), row.elapsed.as_millis())?;
                if let Some(detail) = row.outcome.detail() {
                    writeln!(f, "{:<10}   {}", "", detail.replace('\n', " "))?;
                }
            }
        }
        write!(
            f,
            "{} cases: {} passed, {} skipped, {} failed",
            self.rows.len(),
            self.passed(),
            self.skipped(),
            self.failed()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn the_table_has_a_row_for_each_case_and_the_reasons_and_counts() {
        let mut report = Report::default();
        let outcomes =
            [Outcome::Passed, Outcome::Skipped("no such thing".into()), Outcome::Failed("a\nb".into())];
        for (case, outcome) in cases().iter().zip(outcomes) {
            report.add(*case, outcome, Duration::from_millis(7));
        }
        let table = report.to_string();
        assert!(
            table.lines().nth(1).is_some_and(|row| row.starts_with("identity ") && row.ends_with(" 7")),
            "{table}"
        );
        assert!(table.contains("no such thing") && table.contains("a b"), "{table}");
        assert!(table.ends_with("3 cases: 1 passed, 1 skipped, 1 failed"), "{table}");
        assert!(!report.ok());
    }
}
