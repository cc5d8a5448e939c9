//! The README's command for the tests, which is the one that `ci` runs: what a reader is told to
//! type cannot be another one than what is checked.

use std::fs;

use crate::arguments::{self, Request};
use crate::failure::{Failure, Result};
use crate::report::say;
use crate::test::TestOptions;
use crate::workspace::Workspace;

/// The command's words behind `cargo xtask`.
pub(super) fn words(workspace: &Workspace) -> Result<Vec<String>> {
    let text = read(workspace)?;
    Ok(command(&text)?.0.split_whitespace().skip(2).map(str::to_owned).collect())
}

/// What the command asks for, and with `live` a live suite that must run.
pub(super) fn tests(workspace: &Workspace, live: bool) -> Result<TestOptions> {
    let text = read(workspace)?;
    let (command, options) = command(&text)?;
    say(&format!("\nas README.md has it: {command}{}", if live { " --live" } else { "" }));
    Ok(TestOptions { live: live || options.live, ..options })
}

fn read(workspace: &Workspace) -> Result<String> {
    let path = workspace.root.join("README.md");
    fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))
}

/// The line, and what it asks for.
fn command(readme: &str) -> Result<(&str, TestOptions)> {
    const PROGRAM: &str = "cargo xtask ";
    let mut is_shell = false;
    for line in readme.lines() {
        is_shell = if line.starts_with("```") { line == "```sh" } else { is_shell };
        let Some(words) = line.strip_prefix(PROGRAM).filter(|_| is_shell) else { continue };
        if let Ok(Request::Test(options)) = arguments::parse(words.split_whitespace().map(Into::into)) {
            return Ok((line, options));
        }
    }
    Err(Failure::new("README.md has no command that runs the tests"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_read_as_xtask_itself_reads_it() {
        let text =
            "`cargo xtask test --quick` is quick\n```sh\ncargo build\ncargo xtask test --filter exec\n```\n";
        let options = TestOptions { filter: Some("exec".into()), ..TestOptions::default() };
        assert_eq!(command(text), Ok(("cargo xtask test --filter exec", options)));
        assert!(command("cargo xtask test\n```sh\ncargo xtask tset\n```\n").is_err());
    }

    #[test]
    fn this_readme_tells_to_run_all_tests() {
        let (line, options) = command(include_str!("../../../README.md")).unwrap();
        assert_eq!((line, options), ("cargo xtask test", TestOptions::default()));
    }
}
