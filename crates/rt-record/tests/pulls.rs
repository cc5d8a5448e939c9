//! Pulls in a recording: their steps, their errors, and no password.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "fixture/recording.rs"]
mod recording;

use std::time::Duration;

use recording::recorded;
use rt_null::{ImageFixture, NullRuntime};
use rt_protocol::{
    ContainerRuntime, ErrorKind, ImageId, ImageRef, PullOptions, PullProgress, RegistryCredentials, Result,
    Until,
};

fn pull(runtime: &dyn ContainerRuntime, password: &str) -> (Result<ImageId>, Vec<PullProgress>) {
    let image = ImageRef::new("private.example/app:1").unwrap();
    let options = PullOptions::new().credentials(RegistryCredentials::new("ci", password).unwrap());
    let mut steps = Vec::new();
    let answer = runtime.pull_image(&image, &options, &mut |step| steps.push(step), &Until::forever());
    (answer, steps)
}

#[test]
fn a_replay_reports_the_same_steps_and_the_recording_shows_no_password() {
    let runtime = NullRuntime::new();
    let owner = RegistryCredentials::new("ci", "hunter2").unwrap();
    let served = ImageFixture::new("private.example/app:1").unwrap();
    runtime.serve_private_image(served.layer("sha256:hunter2", Duration::from_secs(1)), owner);
    let (recorder, paper) = recorded(&runtime);
    let good = pull(&recorder, "hunter2");
    let bad = pull(&recorder, "wrong-one");
    recorder.finish().unwrap();
    assert_eq!((good.0.is_ok(), good.1.len()), (true, 4));
    assert_eq!(bad.0.as_ref().unwrap_err().kind(), ErrorKind::RegistryDenied);
    let text = paper.text();
    assert!(
        text.contains("pull-image") && !text.contains("hunter2") && !text.contains("wrong-one"),
        "{text}"
    );

    let replay = paper.replay();
    let again = pull(&replay, "hunter2");
    assert_eq!((again.0.unwrap(), again.1), (good.0.unwrap(), good.1));
    let again = pull(&replay, "wrong-one");
    assert_eq!((again.0.unwrap_err().kind(), again.1), (ErrorKind::RegistryDenied, bad.1));
    replay.finish().unwrap();
}
