//! Rules that no compiler checks: the first line and the name of each source file, the lints of
//! each manifest, the files that may contain unsafe code, and names that only this project uses.

use std::fs;
use std::path::{Path, PathBuf};

use super::words;
use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// Where sources stand, from the root of the workspace.
const SOURCES: [&str; 4] = ["crates", "tests", "xtask", "fuzz"];

/// Names that say nothing about what a file holds.
const VAGUE: [&str; 8] = ["common", "helper", "helpers", "misc", "mod", "shared", "util", "utils"];

/// Comments are wrapped here, as CONTRIBUTING.md says; lines of examples are narrower.
const COMMENT_COLUMNS: usize = 100;
const EXAMPLE_COLUMNS: usize = 90;

/// The files that may contain unsafe code: the calls of libssh2 for which there are no safe
/// bindings, and the agent's program, which has no libc and calls the kernel itself.
const UNSAFE_FILES: [&str; 5] = [
    "crates/rt-krun/src/ssh/raw/libssh2.rs",
    "crates/rt-agent/program/entry.rs",
    "crates/rt-agent/program/kernel.rs",
    "crates/rt-agent/program/memory.rs",
    "crates/rt-agent/program/syscall.rs",
];

/// clippy does not check this folder. So this check requires a `// SAFETY:` comment above each
/// unsafe block.
const PROGRAM: &str = "crates/rt-agent/program";

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    let document = workspace.root.join(words::LIST);
    let document = fs::read_to_string(&document).map_err(|error| Failure::io("read", &document, &error))?;
    let words = words::list(&document)?;
    for top in SOURCES {
        for path in files(&workspace.root.join(top))? {
            let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
            let shown = path.strip_prefix(&workspace.root).unwrap_or(&path);
            let faults = faults(shown, &text).chain(words::faults(&words, shown, &text));
            wrong.extend(faults.map(|fault| format!("{}: {fault}", shown.display())));
        }
    }
    for (name, member) in &workspace.members {
        let manifest = &member.manifest;
        let text = fs::read_to_string(manifest).map_err(|error| Failure::io("read", manifest, &error))?;
        if !takes_workspace_lints(&text) {
            wrong.push(format!("{name}: its manifest does not take the lints of the workspace"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(wrong.join("\n"))) }
}

/// Every Rust file below a directory, which may be missing.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        if !dir.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&dir).map_err(|error| Failure::io("read", &dir, &error))?;
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let skipped = name == "target" || name.to_string_lossy().starts_with('.');
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !skipped => open.push(path),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "rs") => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

fn faults<'a>(path: &'a Path, text: &'a str) -> impl Iterator<Item = String> + use<> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let vague = VAGUE.contains(&stem.as_str()).then(|| format!("{stem} says nothing about what it holds"));
    let first = (!text.starts_with("//! ")).then(|| "does not begin with a `//!` sentence".to_owned());
    let may_lift = UNSAFE_FILES.iter().any(|file| path == Path::new(file));
    let lifted = (lifts_unsafe_ban(text) && !may_lift)
        .then(|| format!("lifts the ban on unsafe code, which only {} may", UNSAFE_FILES.join(", ")));
    let bare = if path.starts_with(PROGRAM) { unargued_unsafe(text) } else { Vec::new() };
    let bare =
        bare.into_iter().map(|line| format!("line {line}: an unsafe block without `// SAFETY:` above it"));
    vague.into_iter().chain(first).chain(lifted).chain(bare).chain(wide_lines(path, text))
}

/// The comments and the lines of examples that are too wide.
fn wide_lines(path: &Path, text: &str) -> Vec<String> {
    let is_example_file = path.components().any(|part| part.as_os_str() == "examples");
    let mut is_code = false;
    let mut wide = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let doc = line.trim_start().strip_prefix("///").or_else(|| line.trim_start().strip_prefix("//!"));
        let (columns, most) = match doc.map(|doc| doc.strip_prefix(' ').unwrap_or(doc)) {
            Some(code) if is_code && !code.starts_with("```") => (code.chars().count(), EXAMPLE_COLUMNS),
            _ if is_example_file => (line.chars().count(), EXAMPLE_COLUMNS),
            // Rows of a table cannot be wrapped.
            Some(row) if row.starts_with('|') => (0, COMMENT_COLUMNS),
            _ if line.trim_start().starts_with("//") => (line.chars().count(), COMMENT_COLUMNS),
            _ => (0, COMMENT_COLUMNS),
        };
        // A fence in an attribute opens a block whose language depends on a feature.
        is_code = match doc {
            Some(doc) => is_code != doc.trim_start().starts_with("```"),
            None => line.contains("doc = \"```"),
        };
        if columns > most {
            wide.push(format!("line {}: {columns} columns, of {most}", place + 1));
        }
    }
    wide
}

/// The lines with an unsafe block that no `// SAFETY:` stands shortly above.
fn unargued_unsafe(text: &str) -> Vec<usize> {
    const REACH: usize = 5;
    let lines: Vec<_> = text.lines().collect();
    let is_bare = |place: &usize| {
        let above = &lines[place.saturating_sub(REACH)..*place];
        lines[*place].contains("unsafe {") && !above.iter().any(|line| line.contains("// SAFETY:"))
    };
    (0..lines.len()).filter(is_bare).map(|place| place + 1).collect()
}

/// Unsafe code itself is denied by the compiler; here only who may say otherwise.
fn lifts_unsafe_ban(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.any(|line| {
        // The lint's name in an attribute, in one line or on a line of its own.
        let attribute = line.starts_with("#[") || line.starts_with("#![");
        (attribute && line.contains("unsafe_code") && !line.contains("forbid"))
            || line.starts_with("unsafe_code")
    })
}

fn takes_workspace_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.by_ref().take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(path: &str, text: &str, expected: &[&str]) {
        let faults: Vec<_> = faults(Path::new(path), text).collect();
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, part) in faults.iter().zip(expected) {
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn a_tidy_file_has_no_fault() {
        check_file("crates/rt/src/backend.rs", "//! The backends.\n", &[]);
    }

    #[test]
    fn vague_names_and_missing_sentences_are_named() {
        check_file("crates/rt/src/utils.rs", "//! Things.\n", &["utils says nothing"]);
        check_file("tests/src/mod.rs", "use std::fs;\n", &["mod says nothing", "does not begin"]);
    }

    #[test]
    fn wide_comments_and_examples_are_named() {
        let (comment, example) = (format!("// {}\n", "x".repeat(98)), format!("//! {}\n", "x".repeat(91)));
        check_file("crates/rt/src/a.rs", &format!("//! A.\n{comment}"), &["line 2: 101 columns, of 100"]);
        check_file("crates/rt/src/a.rs", &format!("//! A.\n{example}"), &[]);
        let fenced = format!("//! A.\n//! ```\n{example}//! ```\n{example}");
        check_file("crates/rt/src/a.rs", &fenced, &["line 3: 91 columns, of 90"]);
        let attribute = format!("//! A.\n#![cfg_attr(a, doc = \"```\")]\n{example}//! ```\n{example}");
        check_file("crates/rt/src/a.rs", &attribute, &["line 3: 91 columns, of 90"]);
        let code = format!("//! A.\nf({});\n", "x".repeat(88));
        check_file("crates/rt/src/a.rs", &code, &[]);
        check_file("crates/rt/examples/a.rs", &code, &["line 2: 92 columns, of 90"]);
    }

    #[test]
    fn an_unsafe_block_of_the_agent_has_its_argument() {
        let argued = "//! A.\n// SAFETY: no pointers.\nlet a = unsafe { b() };\n";
        check_file("crates/rt-agent/program/kernel.rs", argued, &[]);
        let bare = "//! A.\nlet a = unsafe { b() };\n";
        check_file("crates/rt-agent/program/kernel.rs", bare, &["line 2"]);
    }

    #[test]
    fn only_some_files_may_lift_the_ban_on_unsafe_code() {
        let text = "//! Calls.\n#![allow(\n    unsafe_code,\n    reason = \"\"\n)]\n";
        for file in UNSAFE_FILES {
            check_file(file, text, &[]);
        }
        check_file("crates/rt/src/lib.rs", text, &["lifts the ban"]);
        check_file("crates/rt/src/lib.rs", "//! A.\n#[expect(unsafe_code)]\n", &["lifts the ban"]);
        check_file("crates/rt/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n", &[]);
        check_file("crates/rt/src/lib.rs", "//! A.\n// the lint unsafe_code stays\n", &[]);
    }

    #[test]
    fn a_manifest_takes_the_lints_of_the_workspace() {
        assert!(takes_workspace_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
        assert!(!takes_workspace_lints("[package]\nversion.workspace = true\n"));
        assert!(!takes_workspace_lints("[lints]\n\n[dependencies.rt]\nworkspace = true\n"));
    }
}
