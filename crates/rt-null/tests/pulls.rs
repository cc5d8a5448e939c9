//! Pulls in memory: what registries serve, the steps, the clock, and faults.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::time::Duration;

use rt_null::{Fault, ImageFixture, NullRuntime, Operation, Scope, When};
use rt_protocol::{
    ContainerRuntime, ContainerRuntimeExt, ErrorKind, ImageExt, ImageFilter, ImageId, ImageRef, LaunchSpec,
    PullOptions, PullProgress, RegistryCredentials, Result, Until,
};

const SECOND: Duration = Duration::from_secs(1);

fn reference(text: &str) -> ImageRef {
    ImageRef::new(text).unwrap()
}

/// A runtime whose registry serves an image with two layers, of a second each.
fn serving() -> NullRuntime {
    let runtime = NullRuntime::new();
    let image = ImageFixture::new("registry.example/app:1").unwrap().id("feed").unwrap();
    runtime.serve_image(image.layer("sha256:aa", SECOND).layer("sha256:bb", SECOND));
    runtime
}

fn pull(runtime: &NullRuntime, image: &str, until: &Until) -> (Result<ImageId>, Vec<PullProgress>) {
    let mut steps = Vec::new();
    let mut step = |step| steps.push(step);
    let answer = runtime.pull_image(&reference(image), &PullOptions::new(), &mut step, until);
    (answer, steps)
}

#[test]
fn a_pull_reports_its_steps_and_takes_the_time_of_its_layers() {
    let runtime = serving();
    let before = runtime.clock().elapsed();
    let (answer, steps) = pull(&runtime, "registry.example/app:1", &Until::forever());
    assert_eq!(answer.unwrap().as_str(), "feed");
    assert!(runtime.clock().elapsed() >= before + 2 * SECOND);
    let texts: Vec<_> = steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "trying registry.example/app:1",
            "layer sha256:aa",
            "layer sha256:bb",
            "configuration feed",
            "storing the image"
        ]
    );
    assert_eq!(runtime.pull_calls()[0].reference.as_str(), "registry.example/app:1");
}

#[test]
fn a_deadline_between_two_layers_stores_nothing() {
    let runtime = serving();
    let limit = Until::after(SECOND + SECOND / 2);
    let (answer, steps) = pull(&runtime, "registry.example/app:1", &limit);
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().starts_with("pull image `registry.example/app:1`: timed out"), "{error}");
    assert_eq!(steps.len(), 3);
    assert!(runtime.images(&ImageFilter::all(), &Until::forever()).unwrap().is_empty());
}

#[test]
fn a_create_pulls_what_is_served_and_is_denied_what_is_private() {
    let runtime = serving();
    let owner = RegistryCredentials::new("ci", "hunter2").unwrap();
    runtime.serve_private_image(ImageFixture::new("private.example/app:1").unwrap(), owner);
    let launch = |name: &str, image: &str| {
        runtime.launch(&LaunchSpec::builder(name, image).build().unwrap(), Until::forever()).map(drop)
    };
    launch("a", "registry.example/app:1").unwrap();
    let id = runtime.image(&reference("registry.example/app:1")).id(Until::forever()).unwrap();
    assert_eq!(id.unwrap().as_str(), "feed");
    assert_eq!(launch("b", "registry.example/app:2").unwrap_err().kind(), ErrorKind::NoSuchImage);
    assert_eq!(launch("c", "private.example/app:1").unwrap_err().kind(), ErrorKind::RegistryDenied);
    let (answer, _) = pull(&runtime, "private.example/app:1", &Until::forever());
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::RegistryDenied);
}

#[test]
fn a_name_moves_to_what_was_pulled_last() {
    let runtime = serving();
    let old = ImageFixture::new("registry.example/app:1").unwrap().id("dead").unwrap();
    runtime.add_image(old);
    pull(&runtime, "registry.example/app:1", &Until::forever()).0.unwrap();
    pull(&runtime, "registry.example/app:1", &Until::forever()).0.unwrap();
    let id = runtime.image(&reference("registry.example/app:1")).id(Until::forever()).unwrap();
    assert_eq!(id.unwrap().as_str(), "feed");
    let dangling = runtime.images(&ImageFilter::dangling(), &Until::forever()).unwrap();
    assert_eq!(dangling.len(), 1);
    assert_eq!(dangling[0].reference().as_str(), "dead");
    assert_eq!(runtime.images(&ImageFilter::all(), &Until::forever()).unwrap().len(), 2);
}

#[test]
fn faults_come_after_the_first_step() {
    let runtime = serving();
    let down = Fault::refused(ErrorKind::RegistryUnreachable, "503");
    runtime.inject(Operation::Pull, Scope::all(), When::Next, down);
    let (answer, steps) = pull(&runtime, "registry.example/app:1", &Until::forever());
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::RegistryUnreachable);
    assert_eq!(steps.len(), 1);
    runtime.inject(Operation::Pull, Scope::all(), When::Next, Fault::hang());
    let (answer, _) = pull(&runtime, "registry.example/app:1", &Until::after(60 * SECOND));
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(pull(&runtime, "registry.example/app:1", &Until::forever()).0.is_ok());
}
