//! What a container uses of the machine.

use std::time::Duration;

/// What a running container uses, with all of its processes.
///
/// ```
/// use std::time::Duration;
///
/// use rt_protocol::ContainerStats;
///
/// let stats = ContainerStats::new(Duration::from_millis(1500), 3 << 20, 2)
///     .with_memory_limit(64 << 20);
/// assert_eq!((stats.processes, stats.memory_limit), (2, Some(64 << 20)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ContainerStats {
    /// The CPU time since the last start, of all cores together. The difference of two readings,
    /// divided by the time between them, is the number of cores that were busy.
    pub cpu_time: Duration,
    /// The memory in use, in bytes. It includes the files that the kernel caches for the container.
    pub memory: u64,
    /// The memory that it may use, in bytes: its own limit or the size of the machine's memory,
    /// whichever is smaller. `None` if the backend does not tell.
    #[cfg_attr(feature = "serde", serde(default))]
    pub memory_limit: Option<u64>,
    /// How many processes and threads it has.
    pub processes: u64,
}

impl ContainerStats {
    /// Returns stats without a memory limit; for backends and tests.
    pub fn new(cpu_time: Duration, memory: u64, processes: u64) -> Self {
        Self { cpu_time, memory, memory_limit: None, processes }
    }

    /// Sets the memory limit, in bytes.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }
}
