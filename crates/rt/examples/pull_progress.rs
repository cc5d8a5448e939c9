//! A pull with a progress bar, and what to do about each way in which it can fail.
//!
//! `cargo run -p rt --example pull_progress` pulls from registries in memory. With an
//! image, such as `-- docker.io/library/alpine:3.20`, podman pulls it. A password comes
//! from the variables `REGISTRY_USER` and `REGISTRY_PASSWORD`.

use std::collections::BTreeSet;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rt::prelude::*;
use rt::{
    ErrorKind, ImageId, ImageRef, PullOptions, PullProgress, RegistryCredentials, Result,
};
use rt_null::{Fault, ImageFixture, NullRuntime, Operation, Scope, When};

const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn main() -> Result<()> {
    let Some(image) = std::env::args().nth(1).filter(|word| !word.starts_with('-'))
    else {
        return rehearse();
    };
    let mut options = PullOptions::new();
    let variable = |name: &str| std::env::var(name).ok();
    if let (Some(user), Some(password)) =
        (variable("REGISTRY_USER"), variable("REGISTRY_PASSWORD"))
    {
        options = options.credentials(RegistryCredentials::new(user, password)?);
    }
    let runtime = rt::open(rt::Backend::Podman)?;
    pull(&*runtime, &ImageRef::new(image)?, &options).map(drop)
}

/// Pulls an image, and draws a bar on stderr if that is a terminal.
fn pull(
    runtime: &dyn ContainerRuntime,
    image: &ImageRef,
    options: &PullOptions,
) -> Result<ImageId> {
    let bar = bar();
    let mut layers = BTreeSet::new();
    let mut step = |step: PullProgress| {
        bar.set_message(step.to_string());
        match step {
            // A layer is named when its transfer begins. So it is not complete yet, and
            // there may be more. After a retry, layers are named again.
            PullProgress::Layer { digest } => {
                layers.insert(digest);
                bar.set_length(layers.len() as u64 + 1);
                bar.set_position(layers.len() as u64 - 1);
            }
            PullProgress::Config { .. } => bar.set_position(layers.len() as u64),
            PullProgress::Retrying { reason } => bar.println(reason),
            _ => {}
        }
    };
    let pulled = runtime.pull_image(image, options, &mut step, &LIMIT.into());
    bar.finish_and_clear();
    match &pulled {
        Ok(id) => println!("{image}: {} layers, id {id}", layers.len()),
        Err(error) => println!("{image}: {}", advice(error.kind())),
    }
    pulled
}

/// Returns what a person can do about a failed pull.
fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NoSuchImage => "the registry does not have it: check the name",
        ErrorKind::RegistryDenied => "log in, or ask for access",
        ErrorKind::RegistryUnreachable => "the registry does not work: try again later",
        ErrorKind::TimedOut => "it took too long: allow more time",
        _ => "see the error",
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} [{bar:30}] {wide_msg}");
    let bar = ProgressBar::new(1);
    // Something moves, however long a layer takes.
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Three registries: one serves, one has a password, and one fails once.
pub(crate) fn rehearse() -> Result<()> {
    let runtime = NullRuntime::new();
    let second = Duration::from_secs(1);
    let app = ImageFixture::new("registry.example/app:1")?.id("c0ffee")?;
    runtime.serve_image(app.layer("sha256:aa", second).layer("sha256:bb", second * 20));
    let credentials = RegistryCredentials::new("ci", "not a real one")?;
    let secret = ImageFixture::new("private.example/app:1")?.id("decaf")?;
    runtime.serve_private_image(secret.layer("sha256:cc", second), credentials.clone());

    let (open, private) = (
        ImageRef::new("registry.example/app:1")?,
        ImageRef::new("private.example/app:1")?,
    );
    let (anybody, ci) = (PullOptions::new(), PullOptions::new().credentials(credentials));
    let kind = |image: &ImageRef, options: &PullOptions| {
        pull(&runtime, image, options).map_err(|error| error.kind())
    };
    assert!(kind(&open, &anybody).is_ok());
    let absent = ImageRef::new("registry.example/app:2")?;
    assert_eq!(kind(&absent, &anybody), Err(ErrorKind::NoSuchImage));
    assert_eq!(kind(&private, &anybody), Err(ErrorKind::RegistryDenied));
    assert!(kind(&private, &ci).is_ok());
    let down = Fault::refused(ErrorKind::RegistryUnreachable, "503");
    runtime.inject(Operation::Pull, Scope::all(), When::Next, down);
    assert_eq!(kind(&open, &anybody), Err(ErrorKind::RegistryUnreachable));
    assert!(kind(&open, &anybody).is_ok());
    Ok(())
}
