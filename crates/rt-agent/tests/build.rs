//! How the program is built: by rustc's own linker, or by a `cc` that links, with the same bytes;
//! and its contents.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what a test has not got is its failure")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{OutputLimit, Source, Until};

#[allow(dead_code, reason = "a test is no build script")]
#[path = "../build.rs"]
mod build_script;

use build_script::Compiler;

/// A `cc` that only links: it refuses C, and `-nostdlib`.
const LINKER_ONLY: &str = r#"#!/bin/sh
for word; do
    case $word in
    -nostdlib | *.c | *.C | *.cc) echo "cc: error: this one only links, and not $word" >&2; exit 1 ;;
    esac
done
exec /usr/bin/cc "$@"
"#;

fn compiler() -> Compiler {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Compiler { rustc, host: host().to_owned(), target: host().to_owned() }
}

fn host() -> &'static str {
    if cfg!(target_arch = "x86_64") { "x86_64-unknown-linux-gnu" } else { "aarch64-unknown-linux-gnu" }
}

fn crate_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of the program's sources.
fn copied(to: &Path) {
    for directory in ["program", "src"] {
        fs::create_dir_all(to.join(directory)).unwrap();
        for file in fs::read_dir(crate_root().join(directory)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(directory).join(file.file_name())).unwrap();
        }
    }
}

fn tool(directory: &Path, name: &str, text: &str) -> OsString {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.into()
}

#[test]
fn the_same_bytes_come_of_every_place_and_none_is_in_them() {
    let home = tempfile::tempdir().unwrap();
    let built = |name: &str| {
        let source = home.path().join(name);
        copied(&source);
        let place = home.path().join(format!("{name} built"));
        compiler().build(&source, &place, &"/nonexistent/cc".into()).unwrap();
        fs::read(place).unwrap()
    };
    let program = built("one");
    assert!(program == built("a place with another name"));
    assert!(
        rt_agent::PROGRAM.is_some_and(|ours| ours == program),
        "that of the crate is built in the same way"
    );
    // 20,000 bytes for commands, 8,000 for operations on files, a third of which is removal, and
    // 7,500 for the streams of many commands in one.
    assert!(program.starts_with(b"\x7fELF") && program.len() < 36_000, "{}", program.len());
    let holds = |text: &str| program.windows(text.len()).any(|part| part == text.as_bytes());
    for text in [
        home.path().to_str().unwrap(),
        crate_root().to_str().unwrap(),
        env!("OUT_DIR"),
        "/home",
        "/root",
        ".cargo",
    ] {
        assert!(!holds(text), "{text} is in the program");
    }
}

#[test]
fn the_program_is_built_without_a_warning() {
    let home = tempfile::tempdir().unwrap();
    let rustc = compiler().rustc;
    let strict = format!("#!/bin/sh\nexec {} -Dwarnings \"$@\"\n", rustc.display());
    let strict = Compiler { rustc: tool(home.path(), "rustc", &strict), ..compiler() };
    strict.build(crate_root(), &home.path().join("agent"), &"/nonexistent/cc".into()).unwrap();
}

#[test]
fn no_c_compiler_is_needed_and_a_cc_is_the_second_try() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("agent");
    let linker_only = tool(home.path(), "cc", LINKER_ONLY);
    compiler().build(crate_root(), &place, &linker_only).unwrap();

    // A toolchain whose own linker is hidden.
    let hidden = Compiler { rustc: without_linker(home.path()), ..compiler() };
    fs::remove_file(&place).unwrap();
    let error = hidden.build(crate_root(), &place, &linker_only).unwrap_err();
    assert!(error.starts_with("with rust-lld: the toolchain has none\nwith "), "{error}");
    assert!(error.contains("linking with") && !place.exists(), "{error}");
    hidden.build(crate_root(), &place, &"cc".into()).unwrap();
    assert!(fs::read(&place).unwrap().starts_with(b"\x7fELF"));
}

#[test]
fn a_build_that_finds_no_linker_for_the_program_warns_and_goes_on_without() {
    let home = tempfile::tempdir().unwrap();
    let cargo = Program::find(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).unwrap();
    let linker = format!("CARGO_TARGET_{}_LINKER", host().to_uppercase().replace('-', "_"));
    let build = ProcessSpec::new(&cargo)
        .args(["build", "--offline", "--target-dir"])
        .arg(home.path().join("target"))
        .arg("--manifest-path")
        .arg(crate_root().join("Cargo.toml"))
        .env("RUSTC", without_linker(home.path()))
        .env(linker, tool(home.path(), "cc", LINKER_ONLY));
    let limit = OutputLimit::UNLIMITED;
    let until = Until::after(Duration::from_secs(600));
    let answer = rt_process::capture(&build, Source::empty(), limit, limit, &until).unwrap();
    let said = answer.stderr_capture.text();
    assert_eq!(answer.status, Some(ExitStatus::Code(0)), "{said}");
    for line in ["with rust-lld: the toolchain has none", "the agent cannot be built, and commands start"] {
        assert!(said.lines().any(|said| said.starts_with("warning: ") && said.contains(line)), "{said}");
    }
    let outputs = fs::read_dir(home.path().join("target/debug/build")).unwrap();
    let programs =
        outputs.filter_map(|output| fs::read_to_string(output.unwrap().path().join("out/agent.rs")).ok());
    assert_eq!(programs.collect::<Vec<_>>(), ["None"]);
}

/// A rustc that reports a library directory without a linker.
fn without_linker(home: &Path) -> OsString {
    let libraries = home.join("lib/rustlib").join(host()).join("lib");
    fs::create_dir_all(&libraries).unwrap();
    let text = format!(
        "#!/bin/sh\ncase $1 in --print=target-libdir) echo {} ;; *) exec {} \"$@\" ;; esac\n",
        libraries.display(),
        compiler().rustc.display()
    );
    tool(home, "rustc-without-linker", &text)
}

#[test]
fn a_target_that_is_not_installed_is_no_error_of_the_build() {
    let home = tempfile::tempdir().unwrap();
    let other = Compiler { target: "s390x-unknown-linux-gnu".to_owned(), ..compiler() };
    let error = other.build(crate_root(), &home.path().join("agent"), &"cc".into()).unwrap_err();
    assert!(error.lines().count() == 2 && error.contains("error"), "{error}");
}
