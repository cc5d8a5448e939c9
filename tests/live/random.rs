//! Random numbers of a seed that a run prints, and that `RT_SEED` repeats.

use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers from a seed: xorshift64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(case: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.subsec_nanos());
        let given = std::env::var("RT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(now) | 1);
        println!("{case}: RT_SEED={seed}");
        Self(seed)
    }

    /// A word for this place in the row of numbers.
    pub(crate) fn state(&self) -> u64 {
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("a small number")]
    }
}
