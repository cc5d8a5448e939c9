//! What podman says of itself.

use rt_podman::{PodmanRuntime, PodmanVersion};
use rt_tests::live::Live;

use crate::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("profile: version and surroundings are known", known),
    ("profile: the arguments for the host's network fit the mode", bypass),
    ("profile: a podman that cannot be asked is an error", broken),
];

fn known(live: &Live) -> Outcome {
    let profile = live.runtime.profile()?;
    assert!(profile.version >= PodmanVersion::new(4, 3, 0), "{profile:?}");
    assert!(profile.rootless.is_some() && profile.remote == Some(false), "{profile:?}");
    assert!(profile.oci_runtime.is_some() && profile.events_logger.is_some(), "{profile:?}");
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
