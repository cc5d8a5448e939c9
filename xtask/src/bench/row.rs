//! A row of the measurements, as `rt-tests` prints it, and its numbers as people read them.

use serde_json::Value;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) unit: Unit,
    pub(super) ours: f64,
    pub(super) theirs: f64,
    /// Theirs divided by ours.
    pub(super) ratio: f64,
    pub(super) rule: Rule,
    /// The quartiles of what the rule is about.
    pub(super) quartiles: [f64; 3],
    pub(super) met: Option<bool>,
    pub(super) json: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Mebibytes,
}

/// What is good enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    Ratio(f64),
    Ours(f64),
    Excess(f64),
    Shown,
}

impl Row {
    /// A line that is no row is somebody else's output.
    pub(super) fn from_json(line: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(line).ok()?;
        let number = |value: &Value| value.as_f64();
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let target = number(&json["target"]);
        Some(Self {
            name: text("name")?,
            what: text("what")?,
            unit: if json["unit"] == "MiB" { Unit::Mebibytes } else { Unit::Seconds },
            ours: number(&json["ours"])?,
            theirs: number(&json["theirs"])?,
            ratio: number(&json["ratio"])?,
            rule: match json["rule"].as_str()? {
                "ratio at least" => Rule::Ratio(target?),
                "ours at most" => Rule::Ours(target?),
                "more than theirs at most" => Rule::Excess(target?),
                _ => Rule::Shown,
            },
            quartiles: [
                number(&json["quartiles"][0])?,
                number(&json["quartiles"][1])?,
                number(&json["quartiles"][2])?,
            ],
            met: json["met"].as_bool(),
            json,
        })
    }

    /// A number of this row with its unit.
    pub(super) fn amount(&self, number: f64) -> String {
        match self.unit {
            Unit::Mebibytes => format!("{number:.1} MiB"),
            Unit::Seconds if number < 1e-3 => format!("{:.1} µs", number * 1e6),
            Unit::Seconds if number < 1.0 => format!("{:.2} ms", number * 1e3),
            Unit::Seconds => format!("{number:.2} s"),
        }
    }

    /// The outer quartiles of what the rule is about.
    pub(super) fn spread(&self) -> String {
        let [low, _, high] = self.quartiles;
        match self.rule {
            Rule::Ratio(_) | Rule::Shown => format!("{}–{}×", factor(low), factor(high)),
            Rule::Ours(_) | Rule::Excess(_) => format!("{}–{}", self.amount(low), self.amount(high)),
        }
    }

    /// What is good enough, in signs.
    pub(super) fn target(&self) -> String {
        match self.rule {
            Rule::Ratio(least) => format!("≥ {}×", factor(least)),
            Rule::Ours(most) => format!("ours ≤ {}", self.amount(most)),
            Rule::Excess(most) => format!("ours ≤ theirs + {}", self.amount(most)),
            Rule::Shown => "shown".into(),
        }
    }

    /// How far from its target each quartile is: 1 is the target, more is better. Without a target,
    /// the ratio itself.
    pub(super) fn margins(&self) -> [f64; 3] {
        let [low, median, high] = self.quartiles;
        match self.rule {
            Rule::Ratio(least) => [low, median, high].map(|ratio| ratio / least),
            // The most is the worst.
            Rule::Ours(most) | Rule::Excess(most) => {
                [high, median, low].map(|amount| most / amount.max(1e-9))
            }
            Rule::Shown => [low, median, high],
        }
    }
}

/// A ratio with three digits that say something.
pub(super) fn factor(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 100.0 => format!("{ratio:.0}"),
        ratio if ratio >= 10.0 => format!("{ratio:.1}"),
        ratio => format!("{ratio:.2}"),
    }
}

#[cfg(test)]
pub(super) fn example(name: &str, rule: &str, target: f64, met: bool) -> Row {
    let json = serde_json::json!({
        "name": name, "what": "a & b", "unit": "s", "ours": 0.002, "theirs": 0.2, "ratio": 100.0,
        "quartiles": [90.0, 100.0, 110.0], "rule": rule, "target": target, "met": met,
    });
    Row::from_json(&json.to_string()).expect("it is a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_and_shown_with_its_units() {
        let row = example("x", "ratio at least", 90.0, true);
        assert_eq!(
            (row.amount(row.ours), row.amount(5e-5), row.amount(1.5)),
            ("2.00 ms".into(), "50.0 µs".into(), "1.50 s".into())
        );
        assert_eq!((row.spread(), row.target()), ("90.0–110×".into(), "≥ 90.0×".into()));
        assert_eq!(Row::from_json("bench: a line of progress"), None);
    }

    #[test]
    fn a_margin_above_one_is_a_target_that_is_met() {
        let margin = |rule, target, part: usize| {
            let margins = example("x", rule, target, true).margins();
            format!("{:.2}", margins[part])
        };
        assert_eq!([0, 1, 2].map(|part| margin("ratio at least", 50.0, part)), ["1.80", "2.00", "2.20"]);
        // Of amounts the most is the worst.
        assert_eq!([0, 1].map(|part| margin("ours at most", 220.0, part)), ["2.00", "2.20"]);
        assert_eq!(margin("shown", 0.0, 1), "100.00");
    }
}
