//! The rows as a chart: how far each is from its target, on a logarithmic axis.

use std::fmt::Write as _;

use super::row::{Row, Rule, factor};
use super::svg::{self, Paper, escaped};

const LINE: f64 = 26.0;
const TOP: f64 = 64.0;
const LEFT: f64 = 200.0;
const PLOT: f64 = 520.0;
const WIDTH: f64 = 1040.0;

/// What the axis shows at least, and at most: one row far off would press all others together.
const LEAST: (f64, f64) = (0.5, 0.2);
const MOST: (f64, f64) = (2.0, 10.0);

/// The chart. What is right of the line reaches its target; a row without one is grey, and its line
/// is theirs.
pub(super) fn chart(rows: &[Row]) -> String {
    let axis = Axis::of(rows);
    #[expect(clippy::cast_precision_loss, reason = "there are few rows")]
    let bottom = TOP + LINE * rows.len() as f64;
    let mut svg = svg::begin(&Paper {
        width: WIDTH,
        height: bottom + 40.0,
        title: "How far each row is from its target",
        note: "1 is the target, right of it is met; the thin line covers the middle half of the rounds; grey: shown, 1 is \
               theirs; the ends are cut",
    });
    for tick in axis.ticks() {
        let x = axis.place(tick);
        let is_target = (tick - 1.0).abs() < f64::EPSILON;
        let (class, dash) = if is_target { ("target", "") } else { ("tick", " stroke-dasharray=\"2 3\"") };
        let _ = write!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" class=\"{class}\"{dash}/>\n\
             <text x=\"{x:.1}\" y=\"{label}\" text-anchor=\"middle\" class=\"note\">{tick}</text>\n",
            label = bottom + 18.0,
        );
    }
    let mut middle = TOP + LINE / 2.0;
    for row in rows {
        bar(&mut svg, &axis, row, middle);
        middle += LINE;
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, axis: &Axis, row: &Row, middle: f64) {
    let [low, median, high] = row.margins();
    let class = match row.met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "shown",
    };
    let (one, end) = (axis.place(1.0), axis.place(median));
    let (begin, length) = (one.min(end), (end - one).abs().max(1.0));
    let told = match row.met {
        Some(_) => format!("{}, target {}", said(row), row.target()),
        None => said(row),
    };
    let _ = write!(
        svg,
        "<text x=\"{name_end}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>\n\
         <rect x=\"{begin:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"12\" class=\"{class}\"/>\n\
         <line x1=\"{low:.1}\" y1=\"{middle:.1}\" x2=\"{high:.1}\" y2=\"{middle:.1}\" class=\"spread\" stroke-width=\"2\"/>\n\
         <text x=\"{told_begin}\" y=\"{base:.1}\" class=\"{class}\">{told}</text>\n",
        name_end = LEFT - 12.0,
        base = middle + 4.5,
        top = middle - 6.0,
        low = axis.place(low),
        high = axis.place(high),
        told_begin = LEFT + PLOT + 14.0,
        name = escaped(&row.name),
        told = escaped(&told),
    );
}

/// The median of what the rule is about.
fn said(row: &Row) -> String {
    match row.rule {
        Rule::Ratio(_) | Rule::Shown => format!("{}×", factor(row.ratio)),
        _ => row.amount(row.quartiles[1]),
    }
}

/// A logarithmic axis.
struct Axis {
    least: f64,
    most: f64,
}

impl Axis {
    fn of(rows: &[Row]) -> Self {
        let margins = || rows.iter().flat_map(Row::margins);
        Self {
            least: margins().fold(LEAST.0, f64::min).max(LEAST.1),
            most: margins().fold(MOST.0, f64::max).min(MOST.1),
        }
    }

    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.least, self.most);
        LEFT + PLOT * (value / self.least).ln() / (self.most / self.least).ln()
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let ticks = [0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
        ticks.into_iter().filter(|tick| (self.least..=self.most).contains(tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::example;

    #[test]
    fn a_missed_row_ends_left_of_the_target() {
        let rows =
            [example("a<b", "ratio at least", 50.0, true), example("c", "ratio at least", 200.0, false)];
        let axis = Axis::of(&rows);
        let [met, missed] = rows.clone().map(|row| axis.place(row.margins()[1]));
        assert!(missed < axis.place(1.0) && axis.place(1.0) < met);
        assert!((axis.place(axis.least) - LEFT).abs() < 1e-9 && met <= LEFT + PLOT);
        let svg = chart(&rows);
        assert!(
            svg.contains("a&lt;b") && svg.contains("class=\"missed\"") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
    }
}
