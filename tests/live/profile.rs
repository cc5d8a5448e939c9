//! What podman says of itself, and what the doctor makes of it.

use rt::{CancelToken, DoctorOptions, Until, Verdict};
use rt_podman::{PodmanRuntime, PodmanVersion};
use rt_protocol::{ContainerRuntimeExt, NamePrefix};
use rt_tests::live::Live;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("profile: version and surroundings are known", known),
    ("profile: the arguments for the host's network fit the mode", bypass),
    ("profile: a podman that cannot be asked is an error", broken),
    ("profile: a caller that has cancelled waits for no answer", cancelled),
    ("doctor: a podman that runs containers is found to, and none of its containers stays", doctor),
];

fn known(live: &Live) -> Outcome {
    let profile = live.runtime.profile()?;
    assert!(profile.version >= PodmanVersion::new(4, 3, 0), "{profile:?}");
    assert!(profile.rootless.is_some() && profile.remote == Some(false), "{profile:?}");
    assert!(profile.oci_runtime.is_some() && profile.events_logger.is_some(), "{profile:?}");
    assert_eq!(
        profile.cdi_spec_dirs.is_some(),
        profile.version >= PodmanVersion::new(6, 0, 0),
        "{profile:?}"
    );
    assert_eq!(profile.warnings, Vec::<String>::new(), "they would stand in front of every command's stderr");
    if profile.cgroup_version.as_deref() == Some("v1") {
        assert!(profile.accepts_cgroup_v1(), "{profile:?}");
    }
    assert!(std::ptr::eq(profile, live.runtime.clone().profile()?), "read once");
    Ok(())
}

fn bypass(live: &Live) -> Outcome {
    let args = live.runtime.bypass_network_args()?;
    let rootless = live.runtime.profile()?.rootless == Some(true);
    assert_eq!(args.len(), if rootless { 4 } else { 0 }, "{args:?}");
    Ok(())
}

fn broken(_: &Live) -> Outcome {
    let broken = PodmanRuntime::builder().binary("false").build()?;
    assert!(broken.profile().is_err() && broken.bypass_network_args().is_err());
    Ok(())
}

fn cancelled(live: &Live) -> Outcome {
    let token = CancelToken::new();
    token.cancel();
    let fresh = live.builder().build()?;
    let error = fresh.profile_until(&Until::cancelled(&token)).unwrap_err();
    assert_eq!(error.kind(), rt::ErrorKind::Cancelled, "{error}");
    assert!(fresh.profile().is_ok(), "a failure is not remembered");
    Ok(())
}

fn doctor(live: &Live) -> Outcome {
    let before = live.runtime.states(&NamePrefix::new("rt-probe")?, Until::forever())?;
    let diagnosis = rt::doctor(&DoctorOptions::new());
    for code in ["podman-version", "podman-rights", "podman-place", "podman-container", "podman-warm"] {
        let finding = diagnosis.finding(code).ok_or(code)?;
        assert_eq!(finding.verdict, Verdict::Good, "{diagnosis}");
    }
    assert_eq!(live.runtime.states(&NamePrefix::new("rt-probe")?, Until::forever())?, before);
    Ok(())
}
