//! The registries of the conformance suite: an open one, and one with a password.

use rt_conformance::ServedImages;
use rt_protocol::{ImageRef, PullOptions, RegistryCredentials};

use super::{Access, PASSWORD, Registry, USER};
use crate::live::Live;
use crate::ssh_lab::Result;

/// Two registries with the suite's image. Dropping them stops both.
#[derive(Debug)]
pub struct ServedRegistries {
    images: ServedImages,
    _open: Registry,
    _private: Registry,
}

impl ServedRegistries {
    /// Starts them; `None` if there is no registry to start.
    ///
    /// # Errors
    /// When one does not come up, or does not take the image.
    pub fn start(live: &Live) -> Result<Option<Self>> {
        if Registry::installed().is_err() {
            return Ok(None);
        }
        let (open, private) = (Registry::start(Access::Open)?, Registry::start(Access::Password)?);
        for registry in [&open, &private] {
            registry.push(live, &live.image, "suite/image:1")?;
        }
        let image = |registry: &Registry, tag: &str| {
            ImageRef::new(format!("{}/suite/image:{tag}", registry.address()))
        };
        let images = ServedImages {
            open: image(&open, "1")?,
            absent: image(&open, "2")?,
            private: image(&private, "1")?,
            credentials: RegistryCredentials::new(USER, PASSWORD)?,
            options: PullOptions::new().insecure(),
        };
        Ok(Some(Self { images, _open: open, _private: private }))
    }

    /// What the suite may pull.
    pub fn images(&self) -> ServedImages {
        self.images.clone()
    }
}
