//! Health checks: the command of `--health-cmd`, run by `podman healthcheck run` alone. podman has timers of systemd run it
//! as well; there are none here, as there are none on the hosts of the recordings.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{Answer, Reply};
use crate::client::Call;
use crate::container::Status;
use crate::exec;

/// So many failures in a row make a container unhealthy.
const RETRIES: u32 = 3;

/// A container's check, and what it has said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Health {
    /// For the container's shell.
    command: String,
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

impl Health {
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

    fn note(&mut self, passed: bool) {
        self.failing_streak = if passed { 0 } else { self.failing_streak + 1 };
        if passed {
            self.status = Verdict::Healthy;
        } else if self.failing_streak >= RETRIES {
            self.status = Verdict::Unhealthy;
        }
    }
}

/// `podman healthcheck run`: runs the check once and notes what it said.
pub(crate) fn run(call: &Call) -> Reply {
    let name = call.operand()?;
    let found = call.store.find(&call.store.lock()?, &call.profile, name)?;
    let container = found.ok_or_else(|| call.profile.refusal("health-no-container", &[("name", name)]))?;
    let id = container.id.as_str();
    let Some(health) = &container.health else {
        return Err(call.profile.refusal("health-no-check", &[("id", id)]));
    };
    if container.state.status != Status::Running {
        return Err(call.profile.refusal("health-not-running", &[("id", id)]));
    }
    // What the check writes goes into podman's record, and to nobody here.
    let quiet = format!("exec >/dev/null 2>&1; {}", health.command);
    let words = ["/bin/sh".to_owned(), "-c".to_owned(), quiet];
    let passed = exec::command_in(call, &container, &words)?.code == 0;
    let lock = call.store.lock()?;
    if let Some(mut container) = call.store.container(&lock, id)? {
        container.health.iter_mut().for_each(|health| health.note(passed));
        call.store.save(&lock, &container)?;
    }
    Ok(if passed { Answer::silent() } else { Answer { code: 1, ..Answer::out("unhealthy\n") } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_unhealthy_and_one_success_is_healthy() {
        let mut health = Health::of("true");
        let mut seen = Vec::new();
        for passed in [false, false, true, false, false, false, true] {
            health.note(passed);
            seen.push(health.state()["Status"].as_str().unwrap_or_default().to_owned());
        }
        let expected = ["starting", "starting", "healthy", "healthy", "healthy", "unhealthy", "healthy"];
        assert_eq!(seen, expected);
    }
}
