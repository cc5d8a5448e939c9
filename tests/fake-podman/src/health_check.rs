//! A container's health check, and what it has said.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// So many failures in a row make a container unhealthy.
const RETRIES: u32 = 3;

/// A container's check, and what it has said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HealthCheck {
    /// For the container's shell.
    pub(crate) command: String,
    status: Verdict,
    failing_streak: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Starting,
    Healthy,
    Unhealthy,
}

impl HealthCheck {
    pub(crate) fn of(command: &str) -> Self {
        Self { command: command.to_owned(), status: Verdict::Starting, failing_streak: 0 }
    }

    /// As inspect has it below `State`. The record of the runs is not played.
    pub(crate) fn state(&self) -> Value {
        json!({ "Status": self.status, "FailingStreak": self.failing_streak, "Log": null })
    }

    /// As inspect has it below `Config`; the time limit is podman's default, in nanoseconds.
    pub(crate) fn config(&self) -> Value {
        json!({ "Test": ["CMD-SHELL", self.command], "Timeout": 30_000_000_000_u64, "Retries": RETRIES })
    }

    pub(crate) fn record(&mut self, passed: bool) {
        self.failing_streak = if passed { 0 } else { self.failing_streak + 1 };
        if passed {
            self.status = Verdict::Healthy;
        } else if self.failing_streak >= RETRIES {
            self.status = Verdict::Unhealthy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_unhealthy() {
        let mut health = HealthCheck::of("true");
        let mut seen = Vec::new();
        for passed in [false, false, true, false, false, false, true] {
            health.record(passed);
            seen.push(health.state()["Status"].as_str().unwrap_or_default().to_owned());
        }
        let expected = ["starting", "starting", "healthy", "healthy", "healthy", "unhealthy", "healthy"];
        assert_eq!(seen, expected);
    }
}
