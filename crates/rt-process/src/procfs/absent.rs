//! The process table where there is no Linux `/proc`: unsupported.

use std::io;

use super::pipe_end::PipeEnd;
use super::process_entry::ProcessEntry;
use super::signal::Signal;

pub(crate) fn snapshot() -> io::Result<Vec<ProcessEntry>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn entry(_pid: u32) -> io::Result<Option<ProcessEntry>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn environment_has(_pid: u32, _name: &str, _value: &str) -> io::Result<Option<bool>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn pid_namespace(_pid: u32) -> io::Result<Option<u64>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn mount_namespace(_pid: u32) -> io::Result<Option<u64>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_namespace_init(_pid: u32) -> io::Result<Option<bool>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn cgroups(_pid: u32) -> io::Result<Option<Vec<String>>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn command_line(_pid: u32) -> io::Result<Option<Vec<String>>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn environment_value(_pid: u32, _name: &str) -> io::Result<Option<String>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn signal(_entry: &ProcessEntry, _signal: Signal) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn pids_since(_pid: u32) -> io::Result<Vec<u32>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn pipe_ends(_pid: u32) -> io::Result<Option<Vec<PipeEnd>>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_stopped(_pid: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_exiting(_pid: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_being_killed(_pid: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}
