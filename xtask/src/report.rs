//! The steps of a run: a line when each begins and ends, a table at the close. What a step does is
//! its caller's; a failed step never stops the next one, and an ignored one says why.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::interrupt;

/// One line on standard output. A reader that went away (`| head`) is no reason to leave things
/// undone.
pub(crate) fn say(line: &str) {
    if cfg!(test) {
        // Where the test harness catches it: a FAILED in the output of passing tests misleads.
        println!("{line}");
        return;
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed(Failure),
    /// It could not be tried here, and why.
    Ignored(String),
}

#[derive(Debug)]
struct Row {
    step: String,
    verdict: Verdict,
    elapsed: Duration,
}

/// One case of the live suite, for the list of the slowest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlowCase {
    seconds: f64,
    name: String,
}

impl SlowCase {
    /// Reads lines `SECONDS NAME`; what is none is passed over.
    pub(crate) fn read(text: &str) -> Vec<Self> {
        let line = |line: &str| {
            let (seconds, name) = line.split_once(' ')?;
            Some(Self { seconds: seconds.parse().ok()?, name: name.to_owned() })
        };
        text.lines().filter_map(line).collect()
    }
}

/// All steps of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    cases: Vec<SlowCase>,
    /// The steps whose name contains this; empty means all.
    only: String,
}

/// How many of the slowest steps and cases the close names.
const SLOWEST_STEPS: usize = 10;
const SLOWEST_CASES: usize = 20;

impl Report {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Passes over the steps whose name does not contain this.
    pub(crate) fn of(only: &str) -> Self {
        Self { only: only.to_owned(), ..Self::default() }
    }

    /// Runs one step. After a signal the remaining steps are not begun, and are listed as such.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.judged(name, || work().map(|()| Verdict::Passed));
    }

    /// As [`step`](Self::step), for work that may find that it cannot be done here.
    pub(crate) fn judged(&mut self, name: &str, work: impl FnOnce() -> Result<Verdict>) {
        if !name.contains(&self.only) {
            return;
        }
        if interrupt::signal().is_some() {
            self.add(name, Verdict::Ignored("not begun: interrupted".into()), Duration::ZERO);
            return;
        }
        say(&format!("\n==> {name}"));
        let start = Instant::now();
        let verdict = work().unwrap_or_else(Verdict::Failed);
        let took = start.elapsed();
        match &verdict {
            Verdict::Passed => say(&format!("<== {name}: passed, {:.1} s", took.as_secs_f64())),
            Verdict::Failed(why) => say(&format!("<== {name}: FAILED, {:.1} s: {why}", took.as_secs_f64())),
            Verdict::Ignored(why) => say(&format!("<== {name}: ignored: {why}")),
        }
        self.add(name, verdict, took);
    }

    /// Takes how long each case of a step took.
    pub(crate) fn cases(&mut self, cases: Vec<SlowCase>) {
        self.cases.extend(cases);
    }

    fn add(&mut self, name: &str, verdict: Verdict, elapsed: Duration) {
        self.rows.push(Row { step: name.to_owned(), verdict, elapsed });
    }

    /// Prints the table and gives the exit code: 0 when no step failed.
    pub(crate) fn close(&self, title: &str) -> u8 {
        say(&self.slowest());
        say(&self.table(title));
        u8::from(self.failures().next().is_some())
    }

    fn failures(&self) -> impl Iterator<Item = (&Row, &Failure)> {
        self.rows.iter().filter_map(|row| match &row.verdict {
            Verdict::Failed(why) => Some((row, why)),
            _ => None,
        })
    }

    /// The steps and cases that take the time, the slowest first.
    fn slowest(&self) -> String {
        let steps = self.rows.iter().map(|row| (row.elapsed.as_secs_f64(), row.step.as_str())).collect();
        let cases = self.cases.iter().map(|case| (case.seconds, case.name.as_str())).collect();
        let mut text = String::new();
        for (title, count, rows) in
            [("slowest steps", SLOWEST_STEPS, steps), ("slowest live cases", SLOWEST_CASES, cases)]
        {
            let mut rows: Vec<(f64, &str)> = rows;
            rows.sort_by(|one, other| other.0.total_cmp(&one.0));
            // A list of everything says nothing.
            if rows.len() > count {
                let _ = write!(text, "\n{title}\n");
                for (seconds, name) in &rows[..count] {
                    let _ = writeln!(text, "  {seconds:>7.1} s  {name}");
                }
            }
        }
        text
    }

    fn table(&self, title: &str) -> String {
        let wide = self.rows.iter().map(|row| row.step.chars().count()).max().unwrap_or(0);
        let mut text = format!("\n{title}\n");
        for Row { step, verdict, elapsed } in &self.rows {
            let verdict = match verdict {
                Verdict::Passed => "passed".to_owned(),
                Verdict::Failed(_) => "FAILED".to_owned(),
                Verdict::Ignored(why) => format!("ignored: {why}"),
            };
            let _ = writeln!(text, "  {step:wide$}  {:>7.1} s  {verdict}", elapsed.as_secs_f64());
        }
        let total: Duration = self.rows.iter().map(|row| row.elapsed).sum();
        let failed = self.failures().count();
        let ignored = self.rows.iter().filter(|row| matches!(row.verdict, Verdict::Ignored(_))).count();
        let _ = write!(
            text,
            "  {} steps in {:.0} s: {} passed, {failed} failed, {ignored} ignored",
            self.rows.len(),
            total.as_secs_f64(),
            self.rows.len() - failed - ignored
        );
        for (row, why) in self.failures() {
            let _ = write!(text, "\nFAILED {}: {why}", row.step);
            for line in why.output() {
                let _ = write!(text, "\n  | {line}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_stop_the_next_and_sets_the_exit_code() {
        let mut report = Report::new();
        report.step("one", || Err(Failure::new("it broke")));
        report.step("two", || Ok(()));
        assert_eq!(report.rows[1].verdict, Verdict::Passed);
        assert_eq!(report.close("t"), 1);
    }

    #[test]
    fn other_steps_are_passed_over() {
        let mut report = Report::of("live");
        report.step("test: units", || Err(Failure::new("it was begun")));
        report.step("test: live suite", || Ok(()));
        assert_eq!(report.rows.len(), 1);
    }

    #[test]
    fn the_slowest_cases_are_named_and_no_others() {
        let mut report = Report::new();
        let lines: Vec<_> = (0..30).map(|n| format!("{n}.5 case {n}")).collect();
        report.cases(SlowCase::read(&lines.join("\n")));
        let text = report.slowest();
        assert!(text.starts_with("\nslowest live cases\n     29.5 s  case 29\n"), "{text}");
        assert!(text.contains("case 10\n") && !text.contains("case 9\n"), "{text}");
    }

    #[test]
    fn ignored_steps_are_counted_with_their_reason_and_fail_nothing() {
        let mut report = Report::new();
        report.judged("live suite", || Ok(Verdict::Ignored("no podman".into())));
        let table = report.table("t");
        assert!(table.contains("live suite      0.0 s  ignored: no podman"), "{table}");
        assert!(table.ends_with("1 steps in 0 s: 0 passed, 0 failed, 1 ignored"), "{table}");
        assert_eq!(report.close("t"), 0);
    }

    #[test]
    fn the_table_ends_with_the_failures() {
        let mut report = Report::new();
        report.step("a long name", || Err(Failure::new("why")));
        report.step("b", || Ok(()));
        assert!(report.table("t").ends_with("\nFAILED a long name: why"));
        report.step("c", || Err(Failure::new("exit code 1").after(vec!["error:".into(), "it broke".into()])));
        assert!(report.table("t").ends_with("\nFAILED c: exit code 1\n  | error:\n  | it broke"));
    }
}
