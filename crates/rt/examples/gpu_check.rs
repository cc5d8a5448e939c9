//! Lists the GPUs of this host, what is missing, and the arguments that give them to a
//! container.
//!
//! `cargo run -p rt --features gpu --example gpu_check -- [SELECTION]`, such as `all`
//! (the default), `nvidia` or `amd:0,intel`. If podman works, CDI specs are read as that
//! podman reads them.

use std::fmt::Write;

use rt::Result;
use rt::gpu::{CdiSource, GpuHost, GpuSelection, gpu_run_args};

pub(crate) fn main() -> Result<()> {
    let wish = std::env::args().nth(1).unwrap_or_else(|| String::from("all"));
    print!("{}", report(&wish)?);
    Ok(())
}

/// Returns the whole report. Fails if the selection cannot be parsed.
pub(crate) fn report(wish: &str) -> Result<String> {
    let wish: GpuSelection = wish.parse()?;
    let (source, whose) = cdi_source();
    let host = GpuHost::new().cdi_source(source.clone());
    let mut report = String::new();
    let mut line = |text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{text}");
    };

    let dirs: Vec<_> =
        source.dirs().iter().map(|dir| dir.display().to_string()).collect();
    line(&format!(
        "CDI specs are read from {}, up to version {} ({whose})",
        dirs.join(", "),
        source.newest()
    ));
    line(&host.cdi().check(host.root()).to_string());
    line("");
    line(&host.report().to_string());
    line("");
    match gpu_run_args(&wish, &host) {
        Ok(args) if args.is_empty() => line("no GPU is asked for"),
        Ok(args) => {
            line(&format!("arguments for {wish}: {args}"));
            args.warnings().iter().for_each(|warning| line(&format!("mind: {warning}")));
        }
        Err(missing) => line(&format!("{wish} cannot be served: {missing}")),
    }
    Ok(report)
}

/// Returns what the podman of this host reads, or the specification's default without
/// podman.
fn cdi_source() -> (CdiSource, String) {
    #[cfg(feature = "podman")]
    if let Ok(podman) = rt::podman::PodmanRuntime::new()
        && let Ok(profile) = podman.profile()
    {
        return (profile.cdi_source(), format!("as podman {} does", profile.version));
    }
    (CdiSource::default(), String::from("as the specification says"))
}
