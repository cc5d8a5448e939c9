//! The file tools of a coding agent: it edits files in a sandbox, looks around, and reads
//! what its commands left, without a file on this machine.
//!
//! `cargo run -p rt --example file_tools`. What you copy is [`Workspace`].

use std::sync::Arc;
use std::time::Duration;

use rt::prelude::*;
use rt::{
    ContainerPath, ErrorKind, ExecRequest, FileKind, FileOptions, LaunchSpec, Result,
    Until,
};
use rt_null::{ArgvPattern, ExecReply, NullRuntime, Scope};

/// How long one tool may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How much of a file the model gets to see, in bytes.
const SHOWN: u64 = 64 * 1024;

/// A directory in a sandbox.
struct Workspace {
    container: Arc<dyn Container>,
    root: ContainerPath,
}

impl Workspace {
    /// Replaces text in a file. Whoever reads it meanwhile sees the old or the new one.
    fn edit(&self, name: &str, old: &str, new: &str) -> Result<String> {
        let (path, until) = (self.path(name)?, Until::after(LIMIT));
        let text = self.container.read_file(&path, SHOWN, &until)?;
        let text = String::from_utf8_lossy(&text);
        if text.matches(old).count() != 1 {
            return Ok(String::from("the text must be there exactly once"));
        }
        let text = text.replacen(old, new, 1);
        self.container.write_file(
            &path,
            text.as_bytes(),
            &FileOptions::new().atomic(),
            &until,
        )?;
        Ok(String::from("done"))
    }

    /// Writes a new file, with its directories.
    fn create(&self, name: &str, text: &str) -> Result<()> {
        let options = FileOptions::new().parents();
        self.container.write_file(
            &self.path(name)?,
            text.as_bytes(),
            &options,
            &LIMIT.into(),
        )
    }

    /// Shows a file, or what the model can do instead.
    fn show(&self, name: &str) -> Result<String> {
        match self.container.read_file(&self.path(name)?, SHOWN, &LIMIT.into()) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => match error.kind() {
                ErrorKind::NoSuchPath => {
                    Ok(String::from("no such file: list the directory"))
                }
                ErrorKind::IsADirectory => Ok(String::from("a directory: list it")),
                ErrorKind::FileTooLarge => Ok(format!("too large: use `head` ({error})")),
                _ => Err(error),
            },
        }
    }

    /// Lists a directory, one entry a line.
    fn list(&self, name: &str) -> Result<String> {
        let mut lines = String::new();
        for entry in self.container.list_dir(&self.path(name)?, &LIMIT.into())? {
            lines += &entry.name.to_string_lossy();
            lines += if entry.kind == FileKind::Directory { "/\n" } else { "\n" };
        }
        Ok(lines)
    }

    /// Removes a file or a directory; it may be gone already.
    fn delete(&self, name: &str) -> Result<()> {
        self.container.remove_path(&self.path(name)?, &LIMIT.into())
    }

    /// Names of a model may lead anywhere in the sandbox, and nowhere else.
    fn path(&self, name: &str) -> Result<ContainerPath> {
        Ok(ContainerPath::new(self.root.as_path().join(name))?)
    }
}

pub(crate) fn main() -> Result<()> {
    let runtime = rehearsal();
    let spec = LaunchSpec::builder("sandbox-1", "docker.io/library/rust:slim").build()?;
    let container = runtime.launch(&spec, Duration::from_secs(60))?;
    let workspace = Workspace { container, root: ContainerPath::new("/work")? };

    workspace.create("src/lib.rs", "pub fn two() -> u32 {\n    1 + 2\n}\n")?;
    println!("list: {}", workspace.list("src")?.trim_end());
    println!("edit: {}", workspace.edit("src/lib.rs", "1 + 2", "1 + 1")?);
    println!("edit: {}", workspace.edit("src/lib.rs", "1 + 2", "1 + 1")?);
    println!("{}", workspace.show("src/lib.rs")?);

    let request = ExecRequest::builder(["cargo", "test"]).workdir("/work").build()?;
    let tests =
        workspace.container.exec(&request, &Until::after(Duration::from_secs(300)))?;
    println!("tests: {}, {}", tests.outcome, workspace.show("target/report.txt")?);

    println!("show: {}", workspace.show("src")?);
    workspace.delete("target")?;
    println!("show: {}", workspace.show("target/report.txt")?);
    Ok(())
}

/// A runtime in memory whose tests leave a report. Yours is `rt::open(Backend::Podman)`.
fn rehearsal() -> NullRuntime {
    let runtime = NullRuntime::new();
    let files = runtime.clone();
    runtime.on_exec(Scope::all(), ArgvPattern::program("cargo"), move |call| {
        let written = files.set_file(&call.name, "/work/target/report.txt", "1 passed");
        ExecReply::code(i32::from(written.is_err()))
    });
    runtime
}
