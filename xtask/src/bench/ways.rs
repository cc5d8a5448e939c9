//! The time of one command by each way into a container, as a picture for people who read no
//! tables.

use std::fmt::Write as _;

use super::row::{Row, factor};
use super::svg::{self, Paper, escaped};

const LINE: f64 = 34.0;
const TOP: f64 = 72.0;
const LEFT: f64 = 236.0;
const PLOT: f64 = 320.0;
const WIDTH: f64 = 760.0;

/// What is compared with all others.
const AGENT: &str = "rt, by the agent";

/// The ways, and the side of the row that has their time.
const WAYS: [(&str, &str, Side); 5] = [
    ("podman exec", "podman-exec-warm", Side::Theirs),
    ("rt, the first command", "podman-exec-warm-first", Side::Ours),
    ("podman's API socket (bollard)", "podman-exec-warm-socket", Side::Theirs),
    (AGENT, "podman-exec-warm", Side::Ours),
    ("fork and exec on the host", "podman-exec-warm-fork", Side::Theirs),
];

#[derive(Clone, Copy)]
enum Side {
    Ours,
    Theirs,
}

/// The picture; `None` where a row of it was not measured.
pub(super) fn picture(rows: &[Row]) -> Option<String> {
    let timed = WAYS.iter().map(|(label, name, side)| {
        let row = rows.iter().find(|row| row.name == *name)?;
        let seconds = match side {
            Side::Ours => row.ours,
            Side::Theirs => row.theirs,
        };
        Some((*label, seconds, row.amount(seconds)))
    });
    let timed: Vec<_> = timed.collect::<Option<_>>()?;
    let agent = timed.iter().find(|(label, ..)| *label == AGENT)?.1;
    let most = timed.iter().fold(0.0, |most, (_, seconds, _)| f64::max(most, *seconds));
    #[expect(clippy::cast_precision_loss, reason = "there are five")]
    let height = TOP + LINE * timed.len() as f64 + 8.0;
    let mut text = svg::begin(&Paper {
        width: WIDTH,
        height,
        title: "One command in a running podman container",
        note: "median time of `true`, all measured in turns; in brackets: as a multiple of the agent's",
    });
    for (place, (label, seconds, amount)) in timed.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "there are five")]
        let middle = TOP + LINE * place as f64 + LINE / 2.0;
        let length = (PLOT * seconds / most).max(2.0);
        let (class, told) = if *label == AGENT {
            ("met", amount.clone())
        } else {
            ("shown", format!("{amount} ({}×)", factor(seconds / agent)))
        };
        let _ = write!(
            text,
            "<text x=\"{name_end}\" y=\"{base:.1}\" text-anchor=\"end\">{label}</text>\n\
             <rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"18\" class=\"{class}\"/>\n\
             <text x=\"{told_begin:.1}\" y=\"{base:.1}\">{told}</text>\n",
            name_end = LEFT - 12.0,
            base = middle + 4.5,
            top = middle - 9.0,
            told_begin = LEFT + length + 10.0,
            label = escaped(label),
        );
    }
    text.push_str("</svg>\n");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::example;

    #[test]
    fn a_bar_is_as_long_as_its_time_and_all_rows_are_needed() {
        let names = [
            "podman-exec-warm",
            "podman-exec-warm-first",
            "podman-exec-warm-socket",
            "podman-exec-warm-fork",
        ];
        let rows = names.map(|name| example(name, "shown", 0.0, true));
        let picture = picture(&rows).unwrap();
        // Each example has 2 ms and 200 ms.
        assert!(picture.contains("width=\"320.0\"") && picture.contains("width=\"3.2\""), "{picture}");
        assert!(picture.contains(">2.00 ms</text>") && picture.contains("200.00 ms (100×)"), "{picture}");
        assert_eq!(super::picture(&rows[..3]), None);
    }
}
