//! The result as a table in Markdown, which a terminal shows well enough.

use std::fmt::Write as _;

use super::builds::Build;
use super::row::{Row, factor};

const HEADS: [&str; 8] = ["row", "ours", "theirs", "ratio", "quartiles", "target", "", "what"];

/// The machine, a line for each row, and the builds.
pub(super) fn table(rows: &[Row], builds: &[Build], machine: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    for (name, said) in machine {
        let _ = writeln!(text, "- {name}: {said}");
    }
    let mut lines: Vec<[String; 8]> = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    text.push('\n');
    text.push_str(&aligned(&lines));
    if !builds.is_empty() {
        let mut lines =
            vec![["clean build of `rt`", "crates", "seconds", "least and most"].map(str::to_owned)];
        lines.extend(builds.iter().map(|build| {
            let [least, median, most] = build.seconds;
            let range = format!("{least:.1}–{most:.1}");
            [format!("`{}` only", build.feature), build.crates.to_string(), format!("{median:.1}"), range]
        }));
        text.push('\n');
        text.push_str(&aligned(&lines));
    }
    text
}

fn cells(row: &Row) -> [String; 8] {
    let verdict = match row.met {
        Some(true) => "met",
        Some(false) => "**MISSED**",
        None => "",
    };
    [
        row.name.clone(),
        row.amount(row.ours),
        row.amount(row.theirs),
        format!("{}×", factor(row.ratio)),
        row.spread(),
        row.target(),
        verdict.into(),
        // A bar ends a cell, in code too.
        row.what.replace('|', "\\|"),
    ]
}

/// The first line is the head.
fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in widths {
                let _ = write!(text, "| {} ", "-".repeat(width.max(3)));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::example;

    #[test]
    fn the_table_tells_which_target_is_missed() {
        let rows =
            [example("one", "ratio at least", 90.0, true), example("two", "ratio at least", 120.0, false)];
        let build = Build { feature: "null", crates: 5, seconds: [1.0, 2.0, 3.0] };
        let table = table(&rows, &[build], &[("cores", "2".into())]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "- cores: 2");
        assert!(lines[4].starts_with("| one ") && lines[4].contains(" met "), "{table}");
        assert!(lines[5].contains("90.0–110×") && lines[5].contains("**MISSED**"), "{table}");
        assert!(lines[9].contains("| `null` only") && lines[9].contains("1.0–3.0"), "{table}");
    }
}
