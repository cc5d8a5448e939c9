//! Recorded streams and reservations: each pull and each close is a call of its own.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use rt_protocol::{PortReservation, Pull, PullStream, Result, Until};

use super::journal::Journal;
use crate::format::invocation::Invocation;
use crate::format::json::JsonCodec;
use crate::format::pulled;

/// An open stream or reservation. Dropping it is not recorded.
#[derive(Debug)]
pub(crate) struct RecordedHandle<T: ?Sized> {
    inner: Box<T>,
    journal: Arc<Journal>,
    number: u64,
}

pub(crate) type RecordedPort = RecordedHandle<dyn PortReservation>;

impl<T: Debug + ?Sized> RecordedHandle<T> {
    pub(crate) fn new(inner: Box<T>, journal: &Arc<Journal>, number: u64) -> Self {
        Self { inner, journal: Arc::clone(journal), number }
    }
}

impl<T: Debug + JsonCodec> PullStream<T> for RecordedHandle<dyn PullStream<T>> {
    fn pull(&mut self, until: &Until) -> Result<Pull<T>> {
        self.journal.record_as(&Invocation::pull(self.number), || self.inner.pull(until), pulled::encode)
    }

    fn close(&mut self) -> Result<()> {
        self.journal.record(&Invocation::close(self.number), || self.inner.close())
    }
}

impl PortReservation for RecordedPort {
    fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    fn port(&self) -> u16 {
        self.inner.port()
    }

    fn close(&mut self) -> Result<()> {
        self.journal.record(&Invocation::close(self.number), || self.inner.close())
    }
}
