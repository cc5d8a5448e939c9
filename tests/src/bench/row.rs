//! The result of one measurement, as data.

use std::time::Duration;

use serde_json::{Value, json};

/// How ours compares with theirs.
///
/// A ratio is their time divided by ours: above 1, ours is the faster one.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The measurement's name.
    pub name: &'static str,
    /// What was compared, in words.
    pub what: &'static str,
    /// The median of our times.
    pub ours: Duration,
    /// The median of theirs.
    pub theirs: Duration,
    /// The median of the ratios of the rounds.
    pub ratio: f64,
    /// The quartiles of these ratios: half of the rounds lie between them.
    pub spread: (f64, f64),
    /// The least ratio that is good enough.
    pub target: f64,
}

impl Row {
    /// The row of these rounds, each ours and theirs.
    ///
    /// # Panics
    /// Without a round.
    pub(super) fn of(
        name: &'static str,
        what: &'static str,
        target: f64,
        rounds: &[(Duration, Duration)],
    ) -> Self {
        assert!(!rounds.is_empty(), "a measurement has rounds");
        let seconds = |pick: fn(&(Duration, Duration)) -> Duration| {
            Duration::from_secs_f64(quantile(rounds.iter().map(|round| pick(round).as_secs_f64()), 0.5))
        };
        let ratios = || rounds.iter().map(|(ours, theirs)| theirs.as_secs_f64() / ours.as_secs_f64());
        Self {
            name,
            what,
            ours: seconds(|round| round.0),
            theirs: seconds(|round| round.1),
            ratio: quantile(ratios(), 0.5),
            spread: (quantile(ratios(), 0.25), quantile(ratios(), 0.75)),
            target,
        }
    }

    /// Whether the median ratio reaches the target.
    pub fn met(&self) -> bool {
        self.ratio >= self.target
    }

    /// The row as JSON; times in seconds.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "what": self.what,
            "ours": self.ours.as_secs_f64(),
            "theirs": self.theirs.as_secs_f64(),
            "ratio": self.ratio,
            "spread": [self.spread.0, self.spread.1],
            "target": self.target,
            "met": self.met(),
        })
    }
}

/// The value below which this part of the values lies; between two values, the line between them.
fn quantile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "there are few rounds")]
    let place = part * (values.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among few values")]
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    values[below] + (values[above] - values[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_medians_quartiles_and_whether_the_target_is_met() {
        let rounds: Vec<_> =
            (1..=5).map(|theirs| (Duration::from_secs(1), Duration::from_secs(theirs))).collect();
        let row = Row::of("x", "x", 3.0, &rounds);
        assert_eq!((row.ours, row.theirs), (Duration::from_secs(1), Duration::from_secs(3)));
        assert_eq!((row.ratio, row.spread), (3.0, (2.0, 4.0)));
        assert!(row.met() && !Row { target: 3.1, ..row.clone() }.met());
        assert_eq!(row.json()["met"], true);
    }

    #[test]
    fn a_quantile_between_two_values_lies_between_them() {
        let at = |part| quantile([1.0, 2.0].into_iter(), part);
        assert_eq!((at(0.0), at(0.5), at(1.0)), (1.0, 1.5, 2.0));
    }
}
