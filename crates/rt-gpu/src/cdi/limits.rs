//! How much of CDI specs is read.

/// The most files that are read from one directory.
pub const MOST_SPEC_FILES: usize = 1000;

/// The largest spec file that is read, in bytes: 4 MiB. The specs of NVIDIA's generator have about
/// 30 KiB.
pub const LARGEST_SPEC_FILE: u64 = 4 << 20;
