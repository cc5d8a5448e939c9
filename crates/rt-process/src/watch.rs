//! Watches files of other processes: changes in a directory, and growth of a file.

pub(crate) mod directory_watch;
pub(crate) mod followed_file;
