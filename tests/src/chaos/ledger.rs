//! What a run has found: answers counted by verb, faults with their seed, and calls that do not
//! return.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rt_protocol::sync::lock;

/// How much longer than its bound a call may take before the whole run is given up: nothing ends a
/// thread.
const HANG_LIMIT: Duration = Duration::from_secs(90);

/// Between two looks at the calls.
const PERIOD: Duration = Duration::from_secs(1);

/// Shared by the threads of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<LedgerState>>);

#[derive(Debug, Default)]
struct LedgerState {
    round: String,
    rounds: u64,
    answers: BTreeMap<(String, String), u64>,
    /// What was done to whom.
    harm: BTreeMap<String, u64>,
    faults: Vec<String>,
    /// Calls that have not returned, by a number of their own.
    open: BTreeMap<u64, (String, Instant)>,
    next: u64,
}

impl Ledger {
    /// A ledger with a thread that ends the process when a call hangs.
    pub(super) fn watched() -> Self {
        let ledger = Self::default();
        let watched = ledger.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(PERIOD);
                watched.exit_if_a_call_hangs();
            }
        });
        ledger
    }

    /// A round begins.
    pub(super) fn begin(&self, part: &str, seed: u64) {
        let mut state = lock(&self.0);
        state.rounds += 1;
        state.round = format!("--only {part} --seed {seed}");
        println!("chaos: round {}: {}", state.rounds, state.round);
    }

    /// Runs a call that must return within its bound.
    pub(super) fn bounded<T>(&self, what: &str, bound: Duration, call: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let number = {
            let mut state = lock(&self.0);
            state.next += 1;
            let number = state.next;
            state.open.insert(number, (what.to_owned(), begun + bound));
            number
        };
        let answer = call();
        lock(&self.0).open.remove(&number);
        if begun.elapsed() > bound {
            self.fault(&format!("{what}: it took {:?}, and at most {bound:?} is right", begun.elapsed()));
        }
        answer
    }

    /// Counts an answer that is right, or notes the fault.
    pub(super) fn judge(&self, verb: &str, verdict: Result<String, String>) {
        match verdict {
            Ok(answer) => *lock(&self.0).answers.entry((verb.to_owned(), answer)).or_default() += 1,
            Err(fault) => self.fault(&format!("{verb}: {fault}")),
        }
    }

    /// Counts what was done to somebody.
    pub(super) fn harmed(&self, what: String) {
        *lock(&self.0).harm.entry(what).or_default() += 1;
    }

    /// Notes a fault.
    pub(super) fn fault(&self, text: &str) {
        let mut state = lock(&self.0);
        let text = format!("FAULT [{}] {text}", state.round);
        println!("{text}");
        state.faults.push(text);
    }

    /// How many faults there are.
    pub(super) fn faults(&self) -> usize {
        lock(&self.0).faults.len()
    }

    /// What was done, the answers by verb, then the faults.
    pub(super) fn summary(&self) -> String {
        let state = lock(&self.0);
        let mut text = String::new();
        for (what, count) in &state.harm {
            let _ = writeln!(text, "{count:>7}  done: {what}");
        }
        for ((verb, answer), count) in &state.answers {
            let _ = writeln!(text, "{count:>7}  {verb}: {answer}");
        }
        let calls: u64 = state.answers.values().sum();
        let _ =
            writeln!(text, "{} rounds, {calls} right answers, {} faults", state.rounds, state.faults.len());
        for fault in &state.faults {
            let _ = writeln!(text, "{fault}");
        }
        text
    }

    fn exit_if_a_call_hangs(&self) {
        let now = Instant::now();
        let hung = lock(&self.0).open.values().find(|(_, limit)| now > *limit + HANG_LIMIT).cloned();
        if let Some((what, _)) = hung {
            self.fault(&format!("{what}: it hangs"));
            print!("{}", self.summary());
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_and_faults_name_their_round() {
        let ledger = Ledger::default();
        ledger.begin("podman", 7);
        ledger.judge("exec", Ok("whole".into()));
        ledger.judge("exec", Ok("whole".into()));
        ledger.judge("list", Err("empty".into()));
        ledger.bounded("state", Duration::ZERO, || thread::sleep(Duration::from_millis(2)));
        assert_eq!(ledger.faults(), 2);
        let summary = ledger.summary();
        assert!(summary.contains("      2  exec: whole\n"), "{summary}");
        assert!(summary.contains("FAULT [--only podman --seed 7] list: empty\n"), "{summary}");
        assert!(summary.contains("] state: it took"), "{summary}");
    }
}
