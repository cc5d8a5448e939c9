//! The census where there is no Linux `/proc`: unsupported.

use std::io;

use super::{PipeEnd, ProcessEntry, Signal};

pub(super) fn snapshot() -> io::Result<Vec<ProcessEntry>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn entry(_pid: u32) -> io::Result<Option<ProcessEntry>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn environment_has(_pid: u32, _name: &str, _value: &str) -> io::Result<Option<bool>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn pid_namespace(_pid: u32) -> io::Result<Option<u64>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn mount_namespace(_pid: u32) -> io::Result<Option<u64>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn is_namespace_init(_pid: u32) -> io::Result<Option<bool>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn cgroups(_pid: u32) -> io::Result<Option<Vec<String>>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn command_line(_pid: u32) -> io::Result<Option<Vec<String>>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn environment_value(_pid: u32, _name: &str) -> io::Result<Option<String>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn signal(_entry: &ProcessEntry, _signal: Signal) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn numbers_since(_pid: u32) -> io::Result<Vec<u32>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn pipe_ends(_pid: u32) -> io::Result<Option<Vec<PipeEnd>>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn is_stopped(_pid: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn is_exiting(_pid: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}
