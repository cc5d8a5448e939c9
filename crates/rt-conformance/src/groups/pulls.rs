//! Pulls from registries: progress, credentials, and what a registry refuses.

use rt_protocol::{
    CancelToken, Capability, ErrorKind, ImageExt, ImageId, ImageRef, PullOptions, PullProgress,
    RegistryCredentials, Until,
};

use crate::timeout::timeout;
use crate::{Case, Failure, Group, ServedImages, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Pulls, run).can(&[Capability::ImagePull])
}

const fn served(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    fact(name, run).can(&[Capability::Images, Capability::ImageRemove])
}

pub(super) const CASES: &[Case] = &[
    served("pulls: what was pulled is there, by the id of the answer", pulled),
    served("pulls: the steps come in order, and layers before the end", steps),
    served("pulls: what is there already can be pulled again", again),
    served("pulls: what the registry does not have is no such image", absent),
    served("pulls: a private image is denied without credentials", denied),
    served("pulls: credentials open what is private", credentials),
    served("pulls: no error shows the password", no_password),
    served("pulls: a cancel between two steps ends the pull", cancelled),
    fact("pulls: credentials for no registry are refused before anything is asked", no_registry),
    fact("pulls: a time that is over pulls nothing", too_late),
];

/// What the fixture serves. None of it is present before the case, and none after it.
struct Pulls<'a> {
    context: &'a TestContext<'a>,
    served: ServedImages,
}

impl<'a> Pulls<'a> {
    fn new(context: &'a TestContext<'a>) -> Result<Self, Failure> {
        let served =
            context.fixture().registry().ok_or_else(|| Failure::skip("the fixture has no registry"))?;
        let pulls = Self { context, served };
        pulls.forget()?;
        Ok(pulls)
    }

    fn forget(&self) -> Verdict {
        for image in [&self.served.open, &self.served.private] {
            // It is not there, or stays: `absent` and the others look.
            let _removal = self.context.runtime().image(image).remove(&timeout())?;
        }
        Ok(())
    }

    fn pull(&self, image: &ImageRef, options: &PullOptions) -> rt_protocol::Result<ImageId> {
        self.context.runtime().pull_image(image, options, &mut |_| (), &timeout())
    }

    /// Pulls what must not be served.
    fn refused(&self, image: &ImageRef, options: &PullOptions, kind: ErrorKind) -> Verdict {
        match self.pull(image, options) {
            Ok(id) => return Err(Failure::new(format!("{image} was pulled: {id}"))),
            Err(error) => {
                ensure_eq!(error.kind(), kind, "the kind of the error: {error}")?;
                ensure!(error.to_string().contains(image.as_str()), "it does not name the image: {error}")?;
                ensure!(error.hint().is_some(), "it has no hint: {error}")?;
            }
        }
        ensure!(!self.context.runtime().image(image).exists(timeout())?, "{image} is present")
    }

    fn with_password(&self, password: &str) -> Result<PullOptions, Failure> {
        let credentials = RegistryCredentials::new(self.served.credentials.user(), password)?;
        Ok(self.served.options.clone().credentials(credentials))
    }
}

impl Drop for Pulls<'_> {
    fn drop(&mut self) {
        // The next case says it if they stay.
        let _ = self.forget();
    }
}

fn pulled(context: &TestContext<'_>) -> Verdict {
    let pulls = Pulls::new(context)?;
    let image = context.runtime().image(&pulls.served.open);
    ensure!(!image.exists(timeout())?, "it is present before the pull")?;
    let id = pulls.pull(&pulls.served.open, &pulls.served.options)?;
    ensure_eq!(image.id(timeout())?, Some(id), "the id of the image")
}

fn steps(context: &TestContext<'_>) -> Verdict {
    let pulls = Pulls::new(context)?;
    let mut seen = Vec::new();
    let mut step = |step| seen.push(step);
    context.runtime().pull_image(&pulls.served.open, &pulls.served.options, &mut step, &timeout())?;
    let place = |wanted: fn(&PullProgress) -> bool| seen.iter().position(wanted);
    let first = place(|step| matches!(step, PullProgress::Trying { .. }));
    let layer = place(|step| matches!(step, PullProgress::Layer { .. }));
    let config = place(|step| matches!(step, PullProgress::Config { .. }));
    let storing = place(|step| matches!(step, PullProgress::Storing));
    ensure_eq!(first, Some(0), "the first step of {seen:?}")?;
    ensure!(layer > first && config > layer && storing > config, "the steps are {seen:?}")?;
    let names_it = matches!(&seen[0], PullProgress::Trying { image } if image == pulls.served.open.as_str());
    ensure!(names_it, "the first step is {:?}", seen[0])
}

fn again(context: &TestContext<'_>) -> Verdict {
    let pulls = Pulls::new(context)?;
    let first = pulls.pull(&pulls.served.open, &pulls.served.options)?;
    let second = pulls.pull(&pulls.served.open, &pulls.served.options)?;
    ensure_eq!(second, first, "the id of the second pull")?;
    ensure!(context.runtime().image(&pulls.served.open).exists(timeout())?, "it is gone")
}

fn absent(context: &TestContext<'_>) -> Verdict {
    let pulls = Pulls::new(context)?;
    pulls.refused(&pulls.served.absent, &pulls.served.options, ErrorKind::NoSuchImage)
}

fn denied(context: &TestContext<'_>) -> Verdict {
    let pulls = Pulls::new(context)?;
    pulls.refused(&pulls.served.private, &pulls.served.options, ErrorKind::RegistryDenied)?;
    let wrong = pulls.with_password("rt-wrong-password")?;
    pulls.refused(&pulls.served.private, &wrong, ErrorKind::RegistryDenied)
}

fn credentials(context: &TestContext<'_>) -> Verdict {
    let pulls = Pulls::new(context)?;
    let options = pulls.served.options.clone().credentials(pulls.served.credentials.clone());
    let id = pulls.pull(&pulls.served.private, &options)?;
    ensure_eq!(context.runtime().image(&pulls.served.private).id(timeout())?, Some(id), "its id")
}

fn no_password(context: &TestContext<'_>) -> Verdict {
    const PASSWORD: &str = "rt-secret-password";
    let pulls = Pulls::new(context)?;
    let options = pulls.with_password(PASSWORD)?;
    for image in [&pulls.served.absent, &pulls.served.private] {
        if let Err(error) = pulls.pull(image, &options) {
            let text = format!("{error} {error:?}");
            ensure!(!text.contains(PASSWORD), "an error shows the password")?;
        }
    }
    Ok(())
}

fn cancelled(context: &TestContext<'_>) -> Verdict {
    let pulls = Pulls::new(context)?;
    let token = CancelToken::new();
    let mut first_step = |_| token.cancel();
    let until = timeout().or_cancelled(&token);
    let image = &pulls.served.open;
    let answer = context.runtime().pull_image(image, &pulls.served.options, &mut first_step, &until);
    let kind = answer.as_ref().map_err(rt_protocol::Error::kind);
    ensure_eq!(kind.err(), Some(ErrorKind::Cancelled), "the answer {answer:?}")?;
    ensure!(!context.runtime().image(image).exists(timeout())?, "{image} is present")
}

fn no_registry(context: &TestContext<'_>) -> Verdict {
    let options = PullOptions::new().credentials(RegistryCredentials::new("rt", "rt-secret-password")?);
    let image = ImageRef::new("rt-no-registry/image:1")?;
    let mut steps = 0;
    let answer = context.runtime().pull_image(&image, &options, &mut |_| steps += 1, &timeout());
    let kind = answer.as_ref().map_err(rt_protocol::Error::kind);
    ensure_eq!(kind.err(), Some(ErrorKind::InvalidRequest), "the answer {answer:?}")?;
    ensure_eq!(steps, 0, "the number of steps")
}

fn too_late(context: &TestContext<'_>) -> Verdict {
    let image = ImageRef::new("registry.invalid/rt/image:1")?;
    let mut steps = 0;
    let over = Until::after(std::time::Duration::ZERO);
    let answer = context.runtime().pull_image(&image, &PullOptions::new(), &mut |_| steps += 1, &over);
    let kind = answer.as_ref().map_err(rt_protocol::Error::kind);
    ensure_eq!(kind.err(), Some(ErrorKind::TimedOut), "the answer {answer:?}")?;
    ensure_eq!(steps, 0, "the number of steps")
}
