//! The first entry of an archive as it arrives: its header, and its contents up to a limit.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rt_protocol::{FileInfo, FileKind, FileMode, FileOwner};

/// The size of a block (POSIX, `pax`, "ustar Interchange Format").
const BLOCK: usize = 512;

/// The most that an extended header takes here, in bytes.
const MOST_EXTENDED: u64 = 1 << 20;

/// Takes an archive up to the end of its first entry. Every later write fails, so that the rest of
/// the archive is not made.
#[derive(Debug)]
pub(super) struct FirstEntry {
    limit: u64,
    block: Vec<u8>,
    phase: Phase,
    extended: Extended,
    pub(super) info: Option<FileInfo>,
    pub(super) contents: Vec<u8>,
}

#[derive(Debug)]
enum Phase {
    Header,
    /// The rest of an extended header: its bytes, then those that fill its last block.
    Extended {
        left: u64,
        fill: u64,
        is_pax: bool,
    },
    Contents {
        left: u64,
    },
    Done,
    Unreadable,
}

/// What an extended header says about the next entry.
#[derive(Debug, Default)]
struct Extended {
    bytes: Vec<u8>,
    size: Option<u64>,
    link: Option<PathBuf>,
}

impl FirstEntry {
    /// Keeps at most this many bytes of the contents.
    pub(super) fn up_to(limit: u64) -> Self {
        let (block, contents) = (Vec::new(), Vec::new());
        Self { limit, block, phase: Phase::Header, extended: Extended::default(), info: None, contents }
    }

    /// Returns whether the entry is there with all that is kept of it.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    fn read_header(&mut self) -> Option<Phase> {
        let header = std::mem::take(&mut self.block);
        let field = |at: usize, length: usize| header.get(at..at + length);
        let size = number(field(124, 12)?)?;
        let kind = match *header.get(156)? {
            flag @ (b'x' | b'g' | b'L' | b'K') => {
                let fill = size.next_multiple_of(BLOCK as u64) - size;
                self.extended.bytes.clear();
                return (size <= MOST_EXTENDED).then_some(Phase::Extended {
                    left: size,
                    fill,
                    is_pax: flag == b'x',
                });
            }
            0 | b'0' | b'7' => FileKind::File,
            b'2' => FileKind::Symlink,
            b'3' => FileKind::CharDevice,
            b'4' => FileKind::BlockDevice,
            b'5' => FileKind::Directory,
            b'6' => FileKind::Fifo,
            _ => return None,
        };
        let size = if kind == FileKind::File { self.extended.size.unwrap_or(size) } else { 0 };
        let mode = FileMode::of_stat(u32::try_from(number(field(100, 8)?)?).ok()?);
        // podman writes 0:0, whoever owns the file (4.3.1).
        let mut info = FileInfo::new(kind, size, mode, None);
        info.modified = number(field(136, 12)?)
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let link = text(field(157, 100)?).to_owned();
        info.link_target = (kind == FileKind::Symlink).then(|| {
            self.extended.link.take().unwrap_or_else(|| String::from_utf8_lossy(&link).into_owned().into())
        });
        self.info = Some(info);
        Some(if size == 0 || size > self.limit { Phase::Done } else { Phase::Contents { left: size } })
    }

    /// Takes some of the bytes, and returns how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        match &mut self.phase {
            Phase::Header => {
                let count = bytes.len().min(BLOCK - self.block.len());
                self.block.extend_from_slice(&bytes[..count]);
                if self.block.len() == BLOCK {
                    self.phase = self.read_header().unwrap_or(Phase::Unreadable);
                }
                count
            }
            Phase::Extended { left, fill, is_pax } => {
                let is_data = *left > 0;
                let wanted = if is_data { &mut *left } else { &mut *fill };
                let count = bytes.len().min(usize::try_from(*wanted).unwrap_or(usize::MAX));
                *wanted -= count as u64;
                if is_data && *is_pax {
                    self.extended.bytes.extend_from_slice(&bytes[..count]);
                }
                if *left == 0 && *fill == 0 {
                    self.extended.read();
                    self.phase = Phase::Header;
                }
                count
            }
            Phase::Contents { left } => {
                let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                if *left == 0 {
                    self.phase = Phase::Done;
                }
                self.contents.extend_from_slice(&bytes[..count]);
                count
            }
            Phase::Done | Phase::Unreadable => 0,
        }
    }
}

impl Extended {
    /// Reads the records of a pax header: `LENGTH KEY=VALUE\n`.
    fn read(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = &bytes[..];
        while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
            let length = std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse::<usize>().ok());
            let Some(record) = length.and_then(|length| rest.get(space + 1..length)) else { return };
            rest = rest.get(space + 1 + record.len()..).unwrap_or_default();
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else { return };
            let value = String::from_utf8_lossy(&record[equals + 1..]);
            match &record[..equals] {
                b"size" => self.size = value.parse().ok(),
                b"linkpath" => self.link = Some(value.into_owned().into()),
                _ => {}
            }
        }
    }
}

impl Write for FirstEntry {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.take(&bytes[taken..]) {
                0 if self.is_complete() && taken == 0 => return Err(io::Error::other("it has been read")),
                0 if taken == 0 => return Err(io::Error::other("it cannot be read")),
                0 => break,
                count => taken += count,
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the text before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads octal digits, or the big-endian number of GNU tar, which begins with 0x80.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((0x80, rest)) = field.split_first() {
        return rest.iter().try_fold(0_u64, |number, byte| Some(number.checked_mul(256)? | u64::from(*byte)));
    }
    let digits = std::str::from_utf8(text(field)).ok()?.trim_matches(' ');
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// Returns the header of a regular file.
pub(super) fn header(name: &[u8], size: u64, mode: FileMode, owner: FileOwner) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if name.len() > 99 || size >= 1 << 33 || owner.uid() >= 1 << 21 || owner.gid() >= 1 << 21 {
        let mut records = record(b"path", name);
        records.extend(record(b"size", size.to_string().as_bytes()));
        records.extend(record(b"uid", owner.uid().to_string().as_bytes()));
        records.extend(record(b"gid", owner.gid().to_string().as_bytes()));
        bytes.extend(ustar(b"./PaxHeaders/rt", records.len() as u64, 0o644, FileOwner::ROOT, b'x')?);
        let fill = records.len().next_multiple_of(BLOCK) - records.len();
        bytes.extend(records);
        bytes.resize(bytes.len() + fill, 0);
    }
    let short = name.get(..name.len().min(99))?;
    bytes.extend(ustar(short, size, mode.bits(), owner, b'0')?);
    Some(bytes)
}

fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn ustar(name: &[u8], size: u64, mode: u32, owner: FileOwner, kind: u8) -> Option<Vec<u8>> {
    let mut header = vec![0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| -> Option<()> {
        header.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        Some(())
    };
    // What a field cannot hold is in the extended header.
    let (size, uid, gid) = (size & ((1 << 33) - 1), owner.uid() & 0x1f_ffff, owner.gid() & 0x1f_ffff);
    put(0, name)?;
    put(100, format!("{mode:07o}").as_bytes())?;
    put(108, format!("{uid:07o}").as_bytes())?;
    put(116, format!("{gid:07o}").as_bytes())?;
    put(124, format!("{size:011o}").as_bytes())?;
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    put(136, format!("{now:011o}").as_bytes())?;
    put(148, b"        ")?;
    put(156, &[kind])?;
    put(257, b"ustar\x0000")?;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header.get_mut(148..156)?.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(uid: u32, gid: u32) -> FileOwner {
        FileOwner::new(uid, gid).unwrap()
    }

    fn written(archive: &[u8], limit: u64, piece: usize) -> FirstEntry {
        let mut entry = FirstEntry::up_to(limit);
        for bytes in archive.chunks(piece) {
            if entry.write_all(bytes).is_err() {
                break;
            }
        }
        entry
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z]{1,300}", bytes: Vec<u8>, uid in 0..u32::MAX, gid in 0..u32::MAX, piece in 1_usize..700,
        ) {
            let mode = FileMode::of_stat(0o751);
            let mut archive = header(name.as_bytes(), bytes.len() as u64, mode, owner(uid, gid)).unwrap();
            archive.extend(&bytes);
            archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
            let entry = written(&archive, u64::MAX, piece);
            prop_assert!(entry.is_complete());
            let info = entry.info.unwrap();
            prop_assert_eq!((info.kind, info.size, info.mode), (FileKind::File, bytes.len() as u64, mode));
            prop_assert_eq!(entry.contents, bytes);
        }

        #[test]
        fn no_archive_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = written(&bytes, 100, 512);
        }
    }

    #[test]
    fn a_large_file_is_known_by_its_header_alone() {
        let archive = header(b"large", 1 << 40, FileMode::DEFAULT, FileOwner::ROOT).unwrap();
        let entry = written(&archive, 100, 512);
        assert!(entry.is_complete() && entry.contents.is_empty());
        assert_eq!(entry.info.unwrap().size, 1 << 40);
    }
}
