//! Watches files of other processes: what changes in a directory, and what a file grows by.

pub(crate) mod directory_watch;
pub(crate) mod followed_file;
