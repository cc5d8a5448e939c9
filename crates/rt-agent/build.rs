//! Builds the agent's program with the compiler of the crate. If that compiler has its own linker,
//! no other tool is used.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a build script runs the compiler; nothing of it is in the crate"
)]
use std::process::Command;

fn main() {
    for input in ["build.rs", "program", "src/packet_format.rs", "src/wire_format.rs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let place = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("agent");
    let variable = |name| env::var(name).unwrap_or_default();
    let is_known = variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "64"
        && matches!(variable("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64");
    let text = if is_known {
        let compiler = Compiler {
            rustc: env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()),
            host: variable("HOST"),
            target: variable("TARGET"),
        };
        // The linker that cargo uses for this target, or else rustc's default.
        let cc = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
        match compiler.build(Path::new("."), &place, &cc) {
            Ok(()) => "Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/agent\")))",
            Err(failures) => {
                for line in failures.lines() {
                    println!("cargo::warning={line}");
                }
                println!("cargo::warning=the agent cannot be built, and commands start the slow way");
                "None"
            }
        }
    } else {
        "None"
    };
    if let Err(error) = fs::write(place.with_extension("rs"), text) {
        println!("cargo::error=the place of the agent cannot be written: {error}");
    }
}

/// A compiler and its target.
pub(crate) struct Compiler {
    pub(crate) rustc: OsString,
    pub(crate) host: String,
    pub(crate) target: String,
}

impl Compiler {
    /// Builds the crate's program in `source`; on failure, returns the reasons.
    pub(crate) fn build(&self, source: &Path, place: &Path, cc: &OsString) -> Result<(), String> {
        let own_linker = self.own_linker().and_then(|linker| {
            let arguments = ["-Clinker-flavor=ld.lld".into()];
            self.compile(source, place, &linker, &arguments)
        });
        let Err(first) = own_linker else { return Ok(()) };
        let arguments = ["-nostdlib", "-nostartfiles", "-static"].map(|word| format!("-Clink-arg={word}"));
        self.compile(source, place, cc, &arguments)
            .map_err(|second| format!("with rust-lld: {first}\nwith {}: {second}", cc.display()))
    }

    /// Returns the path of rust-lld, in the host's library directory: `lib/rustlib/HOST/bin`.
    fn own_linker(&self) -> Result<OsString, String> {
        let libraries =
            self.run(Path::new("."), &["--print=target-libdir".into(), format!("--target={}", self.host)])?;
        let linker = Path::new(libraries.trim()).with_file_name("bin").join("rust-lld");
        if linker.exists() { Ok(linker.into()) } else { Err("the toolchain has none".to_owned()) }
    }

    fn compile(
        &self,
        source: &Path,
        place: &Path,
        linker: &OsString,
        arguments: &[String],
    ) -> Result<(), String> {
        let mut words = [
            "--edition=2024",
            "--crate-name=agent",
            "--crate-type=bin",
            // The files that contain unsafe code allow it themselves.
            "-Dunsafe-code",
            "-Dunsafe-op-in-unsafe-fn",
            "-Copt-level=s",
            "-Ccodegen-units=1",
            // Leaves out what the program does not use of `core`.
            "-Clto=fat",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-Cforce-unwind-tables=no",
            "-Crelocation-model=static",
            "-Ctarget-feature=+crt-static",
            "program/main.rs",
        ]
        .map(str::to_owned)
        .to_vec();
        words.push(format!("--target={}", self.target));
        words.push(format!("-Clinker={}", linker.display()));
        words.extend_from_slice(arguments);
        words.push(format!("-o{}", place.display()));
        // Runs inside the source directory, so that the program contains no path of this machine.
        self.run(source, &words).map(drop)
    }

    #[allow(clippy::disallowed_methods, reason = "see `Command`")]
    fn run(&self, directory: &Path, words: &[String]) -> Result<String, String> {
        let output = Command::new(&self.rustc).args(words).current_dir(directory).output();
        let output = output.map_err(|error| format!("{} cannot be run: {error}", self.rustc.display()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.lines().find(|line| line.starts_with("error")).unwrap_or("rustc failed").to_owned())
    }
}
