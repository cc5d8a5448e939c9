//! The handle on a recorded image.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rt_protocol::{Image, ImageInfo, ImageRef, ImageRemoval, Result, RuntimeId, Until};

use super::playback::Playback;
use crate::format::invocation::Invocation;
use crate::format::json::{JsonCodec, field};
use crate::format::listed_image::ListedImage;

/// A handle that returns what was recorded.
pub(crate) struct ReplayedImage {
    facts: ListedImage,
    playback: Arc<Playback>,
}

impl ReplayedImage {
    pub(crate) fn new(facts: ListedImage, playback: &Arc<Playback>) -> Self {
        Self { facts, playback: Arc::clone(playback) }
    }

    fn replay<T: JsonCodec>(&self, op: &'static str, verb: &'static str) -> Result<T> {
        self.playback.replay(&Invocation::image(&self.facts.reference, op, verb))
    }
}

impl Image for ReplayedImage {
    fn reference(&self) -> &ImageRef {
        &self.facts.reference
    }

    fn runtime_id(&self) -> Option<&RuntimeId> {
        Some(&self.playback.runtime)
    }

    fn inspect(&self, _until: &Until) -> Result<Option<ImageInfo>> {
        self.replay("inspect", "inspect")
    }

    fn history(&self, _until: &Until) -> Result<Option<Vec<String>>> {
        self.replay("history", "read the history of")
    }

    fn remove(&self, _until: &Until) -> Result<ImageRemoval> {
        let invocation = Invocation::image(&self.facts.reference, "remove", "remove");
        self.playback.replay_as(&invocation, |word| field(word, "removal"))
    }

    fn repository(&self) -> Option<&str> {
        self.facts.repository.as_deref()
    }

    fn tag(&self) -> Option<&str> {
        self.facts.tag.as_deref()
    }

    fn size(&self) -> Option<u64> {
        self.facts.info.size
    }

    fn created(&self) -> Option<SystemTime> {
        self.facts.info.created
    }
}

impl fmt::Debug for ReplayedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayedImage").field("facts", &self.facts).finish_non_exhaustive()
    }
}
