//! A pseudo terminal as the stdin of a process: for a program that passes on what is typed there to
//! another place, and takes the size from it.

use std::io;
use std::os::fd::OwnedFd;

use rt_protocol::TerminalSize;
use rustix::pty::{OpenptFlags, openpt, unlockpt};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// Opens a pseudo terminal of this size, and returns our end and that of the process.
///
/// It is raw from the beginning: bytes that are typed before the process has set its own mode are
/// neither changed nor taken for interrupts.
pub(crate) fn open(size: TerminalSize) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags | CLOEXEC)?;
    unlockpt(&master)?;
    let peer = open_peer(&master)?;
    set_size(&master, size)?;
    let mut mode = tcgetattr(&peer)?;
    mode.make_raw();
    tcsetattr(&peer, OptionalActions::Now, &mode)?;
    Ok((master, peer))
}

#[cfg(target_os = "linux")]
const CLOEXEC: OpenptFlags = OpenptFlags::CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOEXEC: OpenptFlags = OpenptFlags::empty();

/// By the other end itself: a path can mean the terminal of another mount of devpts.
#[cfg(target_os = "linux")]
fn open_peer(master: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::pty::ioctl_tiocgptpeer(master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | CLOEXEC)
}

#[cfg(not(target_os = "linux"))]
fn open_peer(master: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    rustix::pty::grantpt(master)?;
    let path = rustix::pty::ptsname(master, Vec::new())?;
    open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
}

fn set_size(terminal: &OwnedFd, size: TerminalSize) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows(), ws_col: size.columns(), ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}
