//! The operations on files, which a child of the supervisor does in the place of a command. What
//! they need is in the arguments of the request, and their result is an errno as the exit code.
//!
//! The host reads the kernel's structures. Paths are resolved in the container, by the kernel, so
//! none leads out of it. Nothing here waits for another process, except for the host's pipes: what
//! is opened is no pipe, terminal or device, however it got its name.

use core::ffi::CStr;

use crate::kernel::{self, AT_ROOT, Errno, Fd, Follow, Open, STATUS};
use crate::tree::{Entry, next_entry};
use crate::wire_format::{Act, NOT_REGULAR, RequestBody, SHORT_INPUT};

/// Set-user-id, set-group-id and the sticky bit (inode(7)).
const SPECIAL_BITS: u64 = 0o7000;

/// How much is copied at once, in bytes.
const CHUNK: usize = 64 << 10;

/// How many directories below each other are open at once while they are emptied.
const LEVELS: u32 = 16;

/// Does one, and returns the exit code: 0, an errno, or a code of the wire format.
pub(crate) fn run(act: Act, body: RequestBody<'_>, stdin: Fd, stdout: Fd) -> u8 {
    let mut arguments = body.arguments();
    // A garbled request for a command is none for a file.
    let is_path = |path: &&CStr| path.to_bytes().starts_with(b"/");
    let Some(path) = arguments.next().filter(is_path) else { return Errno::INVAL.0 as u8 };
    let mut next = || arguments.next().unwrap_or_default();
    let done = match act {
        Act::WriteFile => Write {
            path,
            temporary: next(),
            length: number(next()).unwrap_or(0),
            mode: number(next()),
            owner: number(next()).zip(number(next())),
            parents: !next().is_empty(),
        }
        .run(stdin),
        Act::ReadFile => read(path, number(next()).unwrap_or(0), stdout),
        Act::Stat => stat(path, stdout),
        Act::List => list(path, number(next()).unwrap_or(0), stdout),
        Act::Remove => remove(path),
        Act::Run => Err(Errno::INVAL),
    };
    match done {
        Ok(()) => 0,
        Err(Errno(errno)) => u8::try_from(errno).unwrap_or(u8::MAX),
    }
}

/// Returns the new file that an interrupted operation leaves behind, if it can.
pub(crate) fn leftover(act: Act, body: RequestBody<'_>) -> Option<&CStr> {
    let temporary = body.arguments().nth(1).filter(|path| !path.is_empty());
    temporary.filter(|_| matches!(act, Act::WriteFile))
}

/// Reads decimal digits; `None` if there are none.
fn number(text: &CStr) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let add = |number: u64, byte| Some(number.wrapping_mul(10).wrapping_add(digit(byte)?));
    text.to_bytes().iter().try_fold(0, add).filter(|_| !text.is_empty())
}

struct Write<'a> {
    path: &'a CStr,
    /// The new file that takes the place of the old one; empty if it is written in its place.
    temporary: &'a CStr,
    length: u64,
    mode: Option<u64>,
    owner: Option<(u64, u64)>,
    parents: bool,
}

impl Write<'_> {
    fn run(mut self, stdin: Fd) -> Result<(), Errno> {
        let is_atomic = !self.temporary.is_empty();
        let follow = if is_atomic { Follow::Never } else { Follow::Links };
        let before = kernel::status(AT_ROOT, self.path, follow);
        if let Ok(before) = &before {
            let is_link = is_atomic && before.is_symlink();
            if !is_link {
                before.check_regular()?;
            }
            if is_atomic && !is_link {
                self.mode = self.mode.or(Some(before.permissions().into()));
                self.owner = self.owner.or(Some((before.user().into(), before.group().into())));
            }
        }
        if matches!(before, Err(Errno::NOENT)) {
            if self.parents {
                make_parents(self.path)?;
            }
            self.mode = self.mode.or(Some(0o644));
        }
        if is_atomic {
            self.mode = self.mode.or(Some(0o644));
            let file = kernel::open_at(AT_ROOT, self.temporary, Open::New)?;
            let done = self
                .fill(file, stdin, &mut self.length.clone())
                .and_then(|()| self.set_special_bits(file))
                .and_then(|()| kernel::rename(self.temporary, self.path));
            if done.is_err() {
                let _ = kernel::unlink(AT_ROOT, self.temporary);
            }
            return done;
        }
        let file = kernel::open_at(AT_ROOT, self.path, Open::Write)?;
        // It may have been replaced meanwhile.
        let before = kernel::status(file, c"", Follow::Links)?;
        before.check_regular()?;
        let permissions = u64::from(before.permissions());
        if permissions & SPECIAL_BITS != 0 {
            self.mode = self.mode.or(Some(permissions));
        }
        let mut left = self.length;
        let done = self.fill(file, stdin, &mut left);
        // Not before: ext4 waits for the disk if a file is cut to nothing and written again.
        let written = self.length - left;
        if done.is_ok() || written > 0 {
            kernel::truncate(file, written)?;
        }
        done.and_then(|()| self.set_special_bits(file))
    }

    /// Sets the bits that change a user, and the like, once the contents are there. The kernel
    /// takes them from a file that is written to, unless the writer is root of the host.
    fn set_special_bits(&self, file: Fd) -> Result<(), Errno> {
        match self.mode {
            Some(mode) if mode & SPECIAL_BITS != 0 => kernel::set_mode(file, mode as u32),
            _ => Ok(()),
        }
    }

    /// Sets owner and permissions first: nobody else may read the contents at any time.
    /// `left` is how many bytes are still to be written.
    fn fill(&self, file: Fd, stdin: Fd, left: &mut u64) -> Result<(), Errno> {
        if let Some((user, group)) = self.owner {
            kernel::set_owner(file, user as u32, group as u32)?;
        }
        if let Some(mode) = self.mode {
            kernel::set_mode(file, mode as u32 & 0o777)?;
        }
        let buffer = kernel::allocate(CHUNK)?;
        while *left > 0 {
            let most = usize::try_from(*left).unwrap_or(CHUNK).min(CHUNK);
            let part = buffer.get_mut(..most).unwrap_or_default();
            let got = kernel::read(stdin, part)?;
            if got == 0 {
                // The host is gone, or has given up. What came is no whole file.
                return Err(Errno(SHORT_INPUT.into()));
            }
            write_all(file, part.get(..got).unwrap_or_default())?;
            *left -= got as u64;
        }
        Ok(())
    }
}

fn make_parents(path: &CStr) -> Result<(), Errno> {
    let bytes = path.to_bytes();
    let copy = kernel::allocate(bytes.len() + 1)?;
    let is_end = |at: usize| bytes.get(at) == Some(&b'/') && at > 0;
    for (at, byte) in bytes.iter().enumerate() {
        if is_end(at) {
            // The byte after the copied ones is still zero.
            let parent = CStr::from_bytes_until_nul(copy).map_err(|_| Errno::INVAL)?;
            match kernel::make_directory(parent) {
                Err(errno)
                    if errno != Errno::EXIST && kernel::status(AT_ROOT, parent, Follow::Links).is_err() =>
                {
                    return Err(errno);
                }
                _ => {}
            }
        }
        if let Some(place) = copy.get_mut(at) {
            *place = *byte;
        }
    }
    Ok(())
}

fn read(path: &CStr, limit: u64, stdout: Fd) -> Result<(), Errno> {
    // Opening a device can do something.
    kernel::status(AT_ROOT, path, Follow::Links)?.check_regular()?;
    let file = kernel::open_at(AT_ROOT, path, Open::Read)?;
    let status = kernel::status(file, c"", Follow::Links)?;
    status.check_regular()?;
    write_all(stdout, &status.to_bytes())?;
    if status.size() > limit {
        return Err(Errno::FBIG);
    }
    let buffer = kernel::allocate(CHUNK)?;
    let mut total = 0;
    loop {
        let got = kernel::read(file, buffer)?;
        if got == 0 {
            return Ok(());
        }
        total += got as u64;
        if total > limit {
            return Err(Errno::FBIG);
        }
        write_all(stdout, buffer.get(..got).unwrap_or_default())?;
    }
}

/// Writes the status, and the text of a symbolic link.
fn stat(path: &CStr, stdout: Fd) -> Result<(), Errno> {
    let status = kernel::status(AT_ROOT, path, Follow::Never)?;
    let buffer = kernel::allocate(STATUS + 4096)?;
    let (head, text) = buffer.split_at_mut_checked(STATUS).ok_or(Errno::INVAL)?;
    head.copy_from_slice(&status.to_bytes());
    let length = if status.is_symlink() { kernel::read_link(path, text)? } else { 0 };
    write_all(stdout, buffer.get(..STATUS + length).unwrap_or_default())
}

/// Writes the entries in the layout of getdents64(2), at most `limit` bytes.
fn list(path: &CStr, limit: u64, stdout: Fd) -> Result<(), Errno> {
    let directory = kernel::open_at(AT_ROOT, path, Open::Directory)?;
    let buffer = kernel::allocate(CHUNK)?;
    let mut total = 0;
    loop {
        let got = kernel::read_directory(directory, buffer)?;
        if got == 0 {
            return Ok(());
        }
        total += got as u64;
        if total > limit {
            return Err(Errno::FBIG);
        }
        write_all(stdout, buffer.get(..got).unwrap_or_default())?;
    }
}

fn write_all(file: Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = kernel::write(file, bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn remove(path: &CStr) -> Result<(), Errno> {
    // On a read-only file system the next call would fail even if nothing is there.
    match kernel::status(AT_ROOT, path, Follow::Never) {
        Err(Errno::NOENT) => return Ok(()),
        other => drop(other?),
    }
    match remove_entry(AT_ROOT, path) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        done => return done,
    }
    let top = kernel::open_at(AT_ROOT, path, Open::OwnDirectory)?;
    let mut start = top;
    // A directory too deep for one go is emptied from below, and the path is taken again from the
    // top. `..` is never used: the container may have moved the directory elsewhere.
    loop {
        let deeper = empty(start, LEVELS)?;
        if deeper.is_none() && start == top {
            break;
        }
        if start != top {
            kernel::close(start);
        }
        start = deeper.unwrap_or(top);
    }
    match kernel::remove_directory(AT_ROOT, path) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// Removes a file or an empty directory. It may be gone already.
fn remove_entry(directory: Fd, name: &CStr) -> Result<(), Errno> {
    let done = match kernel::unlink(directory, name) {
        Err(Errno::ISDIR) => kernel::remove_directory(directory, name),
        done => done,
    };
    if matches!(done, Err(Errno::NOENT)) { Ok(()) } else { done }
}

/// Removes what is in a directory, without following links. Returns a directory that lies too deep
/// for it, if there is one; then not all is removed.
fn empty(directory: Fd, levels: u32) -> Result<Option<Fd>, Errno> {
    // The position in a directory is not defined after a removal, so it is read again each time.
    loop {
        let listing = kernel::open_at(directory, c".", Open::OwnDirectory)?;
        let pass = empty_pass(directory, listing, levels);
        kernel::close(listing);
        match pass? {
            Pass::Empty => return Ok(None),
            Pass::TooDeep(deeper) => return Ok(Some(deeper)),
            Pass::Removed => {}
        }
    }
}

enum Pass {
    /// There was nothing.
    Empty,
    /// There was something, which is gone.
    Removed,
    TooDeep(Fd),
}

fn empty_pass(directory: Fd, listing: Fd, levels: u32) -> Result<Pass, Errno> {
    let mut pass = Pass::Empty;
    let mut buffer = [0; 2048];
    loop {
        let length = kernel::read_directory(listing, &mut buffer)?;
        let mut entries = buffer.get(..length).unwrap_or_default();
        if entries.is_empty() {
            return Ok(pass);
        }
        while let Some(Entry { name, rest }) = next_entry(entries) {
            entries = rest;
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            pass = Pass::Removed;
            match remove_entry(directory, name) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                done => {
                    done?;
                    continue;
                }
            }
            let child = match kernel::open_at(directory, name, Open::OwnDirectory) {
                // It was replaced meanwhile; the next pass removes what it is now.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                child => child?,
            };
            let Some(next) = levels.checked_sub(1) else { return Ok(Pass::TooDeep(child)) };
            let deeper = empty(child, next);
            kernel::close(child);
            if let Some(deeper) = deeper? {
                return Ok(Pass::TooDeep(deeper));
            }
            match remove_entry(directory, name) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                done => done?,
            }
        }
    }
}

impl kernel::Status {
    fn check_regular(&self) -> Result<(), Errno> {
        match self.kind() {
            kernel::REGULAR => Ok(()),
            kernel::DIRECTORY => Err(Errno::ISDIR),
            _ => Err(Errno(NOT_REGULAR.into())),
        }
    }

    fn is_symlink(&self) -> bool {
        self.kind() == kernel::SYMLINK
    }
}
