//! A part of the suite for each of several processes, so that cases that wait run side by side: leftovers are counted for
//! a whole process, and a process has one podman store. Which cases there are stands in `main`.

use std::io::Write as _;
use std::time::Instant;

use libtest_mimic::{Completion, Failed, Trial};

/// Cases that stay together, because they share what is made once.
pub(crate) struct Theme {
    /// How long they took, in seconds on two busy cores: it only balances the shards.
    seconds: u32,
    trials: Vec<Trial>,
}

impl Theme {
    pub(crate) fn new(seconds: u32, trials: Vec<Trial>) -> Self {
        Self { seconds, trials }
    }
}

/// `2/4` in `RT_LIVE_SHARD`: the second of four parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The whole suite where nothing is said.
    pub(crate) fn from_environment() -> Result<Self, String> {
        let Ok(text) = std::env::var("RT_LIVE_SHARD") else {
            return Ok(Self { index: 0, count: 1 });
        };
        Self::parse(&text).ok_or_else(|| format!("RT_LIVE_SHARD is {text:?} and not like 2/4"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (index, count) = text.split_once('/')?;
        let (index, count): (usize, usize) = (index.parse().ok()?, count.parse().ok()?);
        (1..=count).contains(&index).then(|| Self { index: index - 1, count })
    }

    /// The trials of this part. Each theme is in exactly one part, and which one depends on nothing but the themes.
    pub(crate) fn take(self, mut themes: Vec<Theme>) -> Vec<Trial> {
        // The longest first, each to the part that has least: no part is much longer than another.
        themes.sort_by_key(|theme| std::cmp::Reverse(theme.seconds));
        let mut loads = vec![0; self.count];
        let mut mine = Vec::new();
        for theme in themes {
            let part = (0..self.count).min_by_key(|part| loads[*part]).unwrap_or_default();
            loads[part] += theme.seconds;
            if part == self.index {
                mine.extend(theme.trials);
            }
        }
        mine
    }
}

/// A trial whose duration is told to the file that `RT_LIVE_TIMES` names, a line `SECONDS NAME` each.
pub(crate) fn timed(
    name: String,
    run: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    let shown = name.clone();
    Trial::ignorable_test(name, move || {
        let begun = Instant::now();
        let outcome = run();
        if let Some(path) = std::env::var_os("RT_LIVE_TIMES") {
            let line = format!("{:.3} {shown}\n", begun.elapsed().as_secs_f64());
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            // A list of slow cases is worth no failed case.
            let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
        }
        outcome
    })
}
