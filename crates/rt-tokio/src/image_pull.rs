//! A pull of an image as a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use rt_protocol::{
    ContainerRuntime, Error, ErrorKind, ImageId, ImageRef, PullOptions, PullProgress, Result, Until,
};

use crate::item_stream::ItemStream;
use crate::runtime_handle::SharedHandle;

const OPERATION: &str = "pull";

/// A pull that runs, from [`AsyncRuntime::pull_image`](crate::AsyncRuntime::pull_image): the stream
/// of its steps.
///
/// An error of the pull is the last item. **Dropping it ends the pull**, and what the engine runs
/// for it. A reader that stands still holds the engine back. A thread of its own makes the call; it
/// does not count against [`at_once`](crate::AsyncRuntimeBuilder::at_once).
#[must_use = "dropping it ends the pull"]
pub struct ImagePull {
    reference: ImageRef,
    /// An error if no thread could be started.
    items: Result<ItemStream<Item>>,
    outcome: Option<Result<ImageId>>,
}

enum Item {
    Step(PullProgress),
    Image(ImageId),
}

impl ImagePull {
    pub(crate) fn start(
        runtime: &Arc<dyn ContainerRuntime>,
        reference: &ImageRef,
        options: &PullOptions,
        until: &Until,
        handle: &SharedHandle,
    ) -> Self {
        let (runtime, image, options) = (Arc::clone(runtime), reference.clone(), options.clone());
        let items = ItemStream::produced(OPERATION, until, handle, move |items, until| {
            // Nobody takes the steps of a pull that was dropped. It is being ended then.
            let mut step = |step| drop(items.blocking_send(Ok(Item::Step(step))));
            let pulled = runtime.pull_image(&image, &options, &mut step, until);
            let _ = items.blocking_send(pulled.map(Item::Image));
        });
        Self { reference: reference.clone(), items, outcome: None }
    }

    /// Returns the next step; `None` at the end. A future that is dropped takes no step.
    pub async fn next(&mut self) -> Option<Result<PullProgress>> {
        if self.outcome.is_some() {
            return None;
        }
        let item = match &mut self.items {
            Ok(items) => items.next().await,
            Err(error) => Some(Err(error.clone())),
        };
        self.take(item)
    }

    /// Waits for the end of the pull, and returns the id of the image. Steps that were not read are
    /// dropped.
    ///
    /// # Errors
    /// The error of the pull, even if it was read from the stream.
    pub async fn wait(mut self) -> Result<ImageId> {
        while self.next().await.is_some() {}
        self.outcome.take().unwrap_or_else(|| Err(self.no_answer()))
    }

    fn take(&mut self, item: Option<Result<Item>>) -> Option<Result<PullProgress>> {
        match item {
            Some(Ok(Item::Step(step))) => return Some(Ok(step)),
            Some(Ok(Item::Image(id))) => self.outcome = Some(Ok(id)),
            Some(Err(error)) => {
                self.outcome = Some(Err(error.clone()));
                return Some(Err(error));
            }
            None => {
                let error = self.no_answer();
                self.outcome = Some(Err(error.clone()));
                return Some(Err(error));
            }
        }
        None
    }

    /// The error for a backend that panicked.
    fn no_answer(&self) -> Error {
        Error::new(ErrorKind::BackendFailed, OPERATION, "the call ended without an answer")
            .of_image(&self.reference)
    }
}

impl Stream for ImagePull {
    type Item = Result<PullProgress>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.outcome.is_some() {
            return Poll::Ready(None);
        }
        let item = match &mut self.items {
            Ok(items) => ready!(Pin::new(items).poll_next(cx)),
            Err(error) => Some(Err(error.clone())),
        };
        Poll::Ready(self.take(item))
    }
}

impl fmt::Debug for ImagePull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImagePull").field("reference", &self.reference).finish_non_exhaustive()
    }
}
