//! How much is read of CDI specs.

/// The most files that are read of one directory.
pub const MOST_SPEC_FILES: usize = 1000;

/// The largest spec file that is read, in bytes: 4 MiB. The specs of NVIDIA's generator have some 30 KiB.
pub const LARGEST_SPEC_FILE: u64 = 4 << 20;
