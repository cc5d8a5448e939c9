//! The quickstart, as a newcomer runs it on podman.

use std::time::Duration;

use rt_protocol::{ContainerFilter, ContainerRuntime, ImageFilter, OutputLimit, Source, Until};
use rt_tests::live::Live;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[("quickstart: it runs on podman and leaves nothing", podman)];

fn podman(live: &Live) -> Outcome {
    // Built beside this test by the same `cargo test` of the workspace.
    let this = std::env::current_exe()?;
    let directory = this.parent().and_then(std::path::Path::parent).ok_or("no target directory")?;
    let example = rt_process::Program::find(directory.join("examples/quickstart"))?;
    let containers = live.runtime.list(&ContainerFilter::all(), &Until::forever())?.len();
    let images = live.runtime.images(&ImageFilter::all(), &Until::forever())?.len();
    let spec = rt_process::ProcessSpec::new(&example).args(["--backend", "podman"]);
    let limit = OutputLimit::UNLIMITED;
    let until = Until::after(Duration::from_secs(120));
    let answer = rt_process::capture(&spec, Source::empty(), limit, limit, &until)?;
    let (stdout, stderr) = (answer.stdout_capture.text(), answer.stderr_capture.text());
    assert_eq!(answer.status, Some(rt_process::ExitStatus::Code(0)), "{stdout}\n{stderr}");
    for expected in [
        "hello, world",
        "the hundredth ",
        "you said: ping",
        "warming up",
        "from the host",
        "Gone",
        "0 left",
        "removed",
    ] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    assert_eq!(live.runtime.list(&ContainerFilter::all(), &Until::forever())?.len(), containers);
    assert_eq!(live.runtime.images(&ImageFilter::all(), &Until::forever())?.len(), images);
    Ok(())
}
