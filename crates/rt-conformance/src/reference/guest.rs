//! What a backend in memory provides to a script of the suite while it runs.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rt_protocol::{OutputStream, TerminalSize};

/// What a running script can use: its streams, its time, and its settings.
///
/// Every method that can take time fails once the command has been ended. The script then ends too.
pub trait Guest {
    /// Reads from stdin. Returns 0 at its end.
    ///
    /// # Errors
    /// If the command was ended.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of these bytes.
    ///
    /// # Errors
    /// If the command was ended.
    fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> io::Result<()>;

    /// Waits this long, or until the command is ended; forever without a time.
    ///
    /// # Errors
    /// If the command was ended.
    fn wait(&mut self, time: Option<Duration>) -> io::Result<()>;

    /// Leaves a child of the command behind, which holds both outputs open.
    fn leave_open(&mut self);

    /// Returns the value of a variable.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// Returns the working directory of the command.
    fn workdir(&self) -> PathBuf;

    /// Returns the user of the command, `USER` or `USER:GROUP`, if one was requested.
    fn user(&self) -> Option<String>;

    /// Returns the size of the command's terminal now; `None` if it has none.
    fn terminal(&self) -> Option<TerminalSize>;

    /// Waits until the size of the terminal changes.
    ///
    /// # Errors
    /// If the command was ended.
    fn wait_for_resize(&mut self) -> io::Result<()>;
}

/// Writes these bytes to stdout, then those to stderr.
pub(super) fn say(guest: &mut dyn Guest, stdout: &[u8], stderr: &[u8]) -> io::Result<()> {
    for (stream, bytes) in [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)] {
        if !bytes.is_empty() {
            guest.write(stream, bytes)?;
        }
    }
    Ok(())
}

/// Writes a value to stdout; the code is 0.
pub(super) fn print(guest: &mut dyn Guest, value: impl ToString) -> io::Result<i32> {
    say(guest, value.to_string().as_bytes(), b"")?;
    Ok(0)
}
