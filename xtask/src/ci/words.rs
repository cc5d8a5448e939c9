//! Names that only their author knows, and the field's standard term for each, as CONTRIBUTING.md
//! lists them.
//!
//! Whole names of types and files are refused, not parts of them. A word that is a standard term
//! elsewhere is not here: `Line`, `State`, `Tag`, `Place`.

use std::path::Path;

use crate::failure::{Failure, Result};

/// The document that has the list, from the root of the workspace, and the heading above it.
pub(super) const LIST: &str = "CONTRIBUTING.md";
const HEADING: &str = "## Words";

/// A home-made name, and what is said instead.
pub(super) type Row = (String, String);

/// The rows of the list: `| name | what we say |`. One that is missing is an error, or every name
/// would pass.
pub(super) fn list(document: &str) -> Result<Vec<Row>> {
    let lines = document.lines().skip_while(|line| *line != HEADING).skip(1);
    let section = lines.take_while(|line| !line.starts_with("## "));
    let cells = section.filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    let rows: Vec<Row> = cells.map(|(name, instead)| (name.to_owned(), instead.to_owned())).collect();
    if rows.is_empty() {
        Err(Failure::new(format!("{LIST} has no rows below `{HEADING}`")))
    } else {
        Ok(rows)
    }
}

/// The home-made names that a source file has: its own, and those of the types that it declares.
pub(super) fn faults(list: &[Row], path: &Path, text: &str) -> Vec<String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = list.iter().filter(|(name, _)| snake_case(name) == stem);
    let types = text
        .lines()
        .filter_map(declared_type)
        .filter_map(|declared| list.iter().find(|(name, _)| *name == declared));
    file.chain(types).map(|(name, instead)| format!("{name} is a name of our own; say {instead}")).collect()
}

/// The name of the type that a line declares.
fn declared_type(line: &str) -> Option<&str> {
    let words = line.trim_start().strip_prefix("pub").map_or(line.trim_start(), |rest| {
        rest.trim_start()
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .map_or(rest, |(_, rest)| rest)
    });
    let mut words = words.split_whitespace();
    matches!(words.next()?, "struct" | "enum" | "trait" | "type")
        .then(|| words.next())??
        .split(|sign: char| !sign.is_alphanumeric())
        .next()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for sign in name.chars() {
        if sign.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(sign.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_of_types_and_files_are_refused_and_no_parts() {
        let document = "## Words\n\n| not | we say |\n| --- | --- |\n| `FarEnds` | `PeerPipes` |\n| `Bell` | `Notify` |\n| `KillOutcome` | `KillOutcome` |\n\n## Next\n| `A` | `B` |\n";
        let list = list(document).unwrap();
        assert_eq!(list.len(), 3);
        let named = |path: &str, text: &str| faults(&list, Path::new(path), text);
        assert_eq!(named("src/far_ends.rs", ""), ["FarEnds is a name of our own; say `PeerPipes`"]);
        assert_eq!(
            named("src/a.rs", "    pub(crate) struct Bell<T>(T);\n"),
            ["Bell is a name of our own; say `Notify`"]
        );
        assert_eq!(named("src/a.rs", "pub enum KillOutcome {\ntype Bells = u8;\n").len(), 1);
        assert_eq!(named("src/bell_tower.rs", "// struct Bell\nlet bell = 1;\nfn tell() {}\n"), [""; 0]);
    }

    #[test]
    fn a_document_without_the_list_is_an_error() {
        list("## Other\n| `A` | `B` |\n").unwrap_err();
    }
}
