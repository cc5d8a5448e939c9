//! The result of one measurement, as data.

use serde_json::{Value, json};

/// How ours compares with theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The measurement's name.
    pub name: &'static str,
    /// What was compared, in words.
    pub what: &'static str,
    /// What the numbers are.
    pub unit: Unit,
    /// The median of our numbers.
    pub ours: f64,
    /// The median of theirs.
    pub theirs: f64,
    /// The median of the ratios of the rounds, theirs divided by ours: above 1, ours needs less.
    pub ratio: f64,
    /// What is good enough.
    pub target: Target,
    /// The quartiles of what the target is about: half of the rounds lie between the outer two.
    pub quartiles: [f64; 3],
}

/// What the numbers of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of time, each for what the row says.
    Seconds,
    /// 2²⁰ bytes of memory.
    Mebibytes,
}

/// What is good enough, of a median over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Theirs divided by ours is at least this.
    Ratio(f64),
    /// Ours is at most this, whatever theirs is.
    Ours(f64),
    /// Ours is at most by this more than theirs.
    Excess(f64),
    /// The ratio is shown and not judged.
    Shown,
}

impl Row {
    /// The row of these rounds, each ours and theirs.
    ///
    /// # Panics
    /// Without a round.
    pub(super) fn of(
        name: &'static str,
        what: &'static str,
        unit: Unit,
        target: Target,
        rounds: &[(f64, f64)],
    ) -> Self {
        assert!(!rounds.is_empty(), "a measurement has rounds");
        let each =
            |number: fn(f64, f64) -> f64| rounds.iter().map(move |&(ours, theirs)| number(ours, theirs));
        let (ours, theirs) = (|ours, _| ours, |_, theirs| theirs);
        let ratio = |ours, theirs| theirs / ours;
        let judged = match target {
            Target::Ratio(_) | Target::Shown => ratio,
            Target::Ours(_) => ours,
            Target::Excess(_) => |ours, theirs| ours - theirs,
        };
        Self {
            name,
            what,
            unit,
            ours: quantile(each(ours), 0.5),
            theirs: quantile(each(theirs), 0.5),
            ratio: quantile(each(ratio), 0.5),
            target,
            quartiles: [0.25, 0.5, 0.75].map(|part| quantile(each(judged), part)),
        }
    }

    /// Whether the target is reached; `None` where there is none.
    pub fn met(&self) -> Option<bool> {
        let median = self.quartiles[1];
        match self.target {
            Target::Ratio(least) => Some(median >= least),
            Target::Ours(most) | Target::Excess(most) => Some(median <= most),
            Target::Shown => None,
        }
    }

    /// The row as JSON.
    pub fn json(&self) -> Value {
        let (rule, target) = match self.target {
            Target::Ratio(least) => ("ratio at least", Some(least)),
            Target::Ours(most) => ("ours at most", Some(most)),
            Target::Excess(most) => ("more than theirs at most", Some(most)),
            Target::Shown => ("shown", None),
        };
        json!({
            "name": self.name,
            "what": self.what,
            "unit": match self.unit { Unit::Seconds => "s", Unit::Mebibytes => "MiB" },
            "ours": self.ours,
            "theirs": self.theirs,
            "ratio": self.ratio,
            "quartiles": self.quartiles,
            "rule": rule,
            "target": target,
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

    fn row(target: Target, rounds: &[(f64, f64)]) -> Row {
        Row::of("x", "x", Unit::Seconds, target, rounds)
    }

    #[test]
    fn a_row_tells_medians_quartiles_and_whether_the_target_is_met() {
        let rounds = [1.0, 2.0, 3.0, 4.0, 5.0].map(|theirs| (1.0, theirs));
        let met = row(Target::Ratio(3.0), &rounds);
        assert_eq!((met.ours, met.theirs, met.ratio, met.quartiles), (1.0, 3.0, 3.0, [2.0, 3.0, 4.0]));
        assert_eq!((met.met(), row(Target::Ratio(3.1), &rounds).met()), (Some(true), Some(false)));
        assert_eq!((&met.json()["met"], &met.json()["target"]), (&true.into(), &3.0.into()));
        let shown = row(Target::Shown, &rounds);
        assert_eq!((shown.met(), &shown.json()["target"]), (None, &Value::Null));
    }

    #[test]
    fn what_is_judged_may_be_ours_alone_or_the_difference() {
        let rounds = [(5.0, 1.0), (6.0, 1.0), (9.0, 1.0)];
        let ours = row(Target::Ours(6.0), &rounds);
        assert_eq!((ours.quartiles, ours.met()), ([5.5, 6.0, 7.5], Some(true)));
        let excess = row(Target::Excess(4.9), &rounds);
        assert_eq!((excess.quartiles, excess.met()), ([4.5, 5.0, 6.5], Some(false)));
    }

    #[test]
    fn a_quantile_between_two_values_lies_between_them() {
        let at = |part| quantile([1.0, 2.0].into_iter(), part);
        assert_eq!((at(0.0), at(0.5), at(1.0)), (1.0, 1.5, 2.0));
    }
}
