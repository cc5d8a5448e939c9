//! Operations on files: the requests for an agent, and its answers, which are structures of the
//! kernel.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rt_process::{FileFailure, file_path};
use rt_protocol::{
    ContainerPath, DirEntry, Error, ErrorKind, ExecRequest, FileInfo, FileKind, FileMode, FileOptions,
    FileOwner, OutputLimit, Result, file_operation,
};

use crate::wire_format::{Act, NOT_REGULAR, SHORT_INPUT};

/// The user that operations on files are done as.
pub const FILE_USER: &str = "0:0";

/// The most that a listing takes, in bytes.
const MOST_ENTRIES: u32 = 64 << 20;

/// The length of `struct statx`, in bytes.
const STATUS: usize = 256;

/// An operation on a file, for [`file`](crate::file).
#[derive(Debug)]
pub struct FileRequest<'a> {
    pub(crate) act: Act,
    /// Its arguments in the place of a command's.
    pub(crate) request: ExecRequest,
    pub(crate) input: Option<&'a [u8]>,
    pub(crate) limit: OutputLimit,
    pub(crate) operation: &'static str,
    path: &'a ContainerPath,
    /// How many bytes the caller allows.
    most: u64,
}

impl<'a> FileRequest<'a> {
    /// Returns the request that writes a file.
    ///
    /// # Errors
    /// [`IsADirectory`](ErrorKind::IsADirectory) for a path that can only mean a directory.
    pub fn write(path: &'a ContainerPath, bytes: &'a [u8], options: &FileOptions) -> Result<Self> {
        file_path::check_write(path)?;
        let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
        let text = |text: String| OsString::from(text);
        let temporary = if options.atomic { file_path::new_beside(path) } else { OsString::new() };
        let words = [
            temporary,
            text(bytes.len().to_string()),
            text(number(options.mode.map(FileMode::bits))),
            text(number(options.owner.map(FileOwner::uid))),
            text(number(options.owner.map(FileOwner::gid))),
            text(String::from(if options.parents { "parents" } else { "" })),
        ];
        let request = Self::new(Act::WriteFile, file_operation::WRITE, path, &words)?;
        Ok(Self { input: Some(bytes), ..request })
    }

    /// Returns the request that reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// None, for a path that was checked.
    pub fn read(path: &'a ContainerPath, limit: u64) -> Result<Self> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(STATUS);
        let request = Self::new(Act::ReadFile, file_operation::READ, path, &[limit.to_string().into()])?;
        Ok(Self { limit: OutputLimit::head_and_tail(most, 0), most: limit, ..request })
    }

    /// Returns the request that looks up a path.
    ///
    /// # Errors
    /// None, for a path that was checked.
    pub fn stat(path: &'a ContainerPath) -> Result<Self> {
        Self::new(Act::Stat, file_operation::STAT, path, &[])
    }

    /// Returns the request that lists a directory.
    ///
    /// # Errors
    /// None, for a path that was checked.
    pub fn list(path: &'a ContainerPath) -> Result<Self> {
        let limit = OutputLimit::head_and_tail(usize::try_from(MOST_ENTRIES).unwrap_or(usize::MAX), 0);
        let request = Self::new(Act::List, file_operation::LIST, path, &[MOST_ENTRIES.to_string().into()])?;
        Ok(Self { limit, most: MOST_ENTRIES.into(), ..request })
    }

    /// Returns the request that removes what is at a path.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) for the root and for paths that end with a
    /// dot.
    pub fn remove(path: &'a ContainerPath) -> Result<Self> {
        file_path::check_removal(path)?;
        Self::new(Act::Remove, file_operation::REMOVE, path, &[])
    }

    fn new(act: Act, operation: &'static str, path: &'a ContainerPath, more: &[OsString]) -> Result<Self> {
        let words = std::iter::once(path.as_os_str().to_owned()).chain(more.iter().cloned());
        let request = ExecRequest::builder(words).user(FILE_USER).build()?;
        // A status and the text of a symbolic link.
        let limit = OutputLimit::head_and_tail(STATUS + 4096, 0);
        Ok(Self { act, request, input: None, limit, operation, path, most: 0 })
    }

    /// Returns the request as a command, which has the user and the path.
    pub fn as_command(&self) -> &ExecRequest {
        &self.request
    }

    /// Returns the operation, as errors name it.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Builds the error for an exit code other than 0, with what was written before it.
    pub(crate) fn error(&self, code: u8, output: &[u8]) -> Error {
        let failure = match code {
            NOT_REGULAR => FileFailure::special(),
            SHORT_INPUT => {
                FileFailure::new(ErrorKind::BackendInterrupted, "its contents did not arrive completely")
            }
            27 if self.act != Act::WriteFile => {
                let size = Status::of(output).map(|(status, _)| status.size());
                FileFailure::too_large(size, self.most)
            }
            errno => FileFailure::of_errno(errno.into()),
        };
        failure.into_error(self.operation, self.path)
    }

    pub(crate) fn unreadable(&self) -> Error {
        let message = format!("`{}`: the agent's answer cannot be read", self.path);
        Error::new(ErrorKind::InvalidResponse, self.operation, message)
    }

    /// Decodes the contents of a file.
    ///
    /// # Errors
    /// [`InvalidResponse`](ErrorKind::InvalidResponse).
    pub fn contents(&self, mut answer: Vec<u8>) -> Result<Vec<u8>> {
        Status::of(&answer).ok_or_else(|| self.unreadable())?;
        answer.drain(..STATUS);
        Ok(answer)
    }

    /// Decodes the state of a path.
    ///
    /// # Errors
    /// [`InvalidResponse`](ErrorKind::InvalidResponse).
    pub fn info(&self, answer: &[u8]) -> Result<FileInfo> {
        let (status, target) = Status::of(answer).ok_or_else(|| self.unreadable())?;
        status.info(target).ok_or_else(|| self.unreadable())
    }

    /// Decodes the entries of a directory, and sorts them.
    ///
    /// # Errors
    /// [`InvalidResponse`](ErrorKind::InvalidResponse).
    pub fn entries(&self, answer: &[u8]) -> Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        let mut rest = answer;
        while !rest.is_empty() {
            let (entry, after) = next_entry(rest).ok_or_else(|| self.unreadable())?;
            rest = after;
            entries.extend(entry);
        }
        entries.sort();
        Ok(entries)
    }
}

/// `struct statx` of Linux.
struct Status<'a>(&'a [u8; STATUS]);

impl<'a> Status<'a> {
    /// Returns the status at the beginning of an answer, and the rest.
    fn of(answer: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (status, rest) = answer.split_first_chunk()?;
        Some((Self(status), rest))
    }

    fn at<const N: usize>(&self, place: usize) -> Option<[u8; N]> {
        self.0.get(place..place + N)?.try_into().ok()
    }

    fn size(&self) -> u64 {
        self.at(40).map_or(0, u64::from_le_bytes)
    }

    fn info(&self, target: &[u8]) -> Option<FileInfo> {
        let mode = u32::from(u16::from_le_bytes(self.at(28)?));
        let owner =
            FileOwner::new(u32::from_le_bytes(self.at(20)?), u32::from_le_bytes(self.at(24)?)).ok()?;
        let kind = FileKind::of_stat(mode);
        let mut info = FileInfo::new(kind, self.size(), FileMode::of_stat(mode), owner);
        info.modified = time(i64::from_le_bytes(self.at(112)?), u32::from_le_bytes(self.at(120)?));
        let is_link = kind == FileKind::Symlink;
        info.link_target = is_link.then(|| PathBuf::from(OsString::from_vec(target.to_vec())));
        Some(info)
    }
}

fn time(seconds: i64, nanoseconds: u32) -> Option<SystemTime> {
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(offset)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(offset)
    };
    second?.checked_add(Duration::from_nanos(nanoseconds.into()))
}

/// Decodes the first entry in the layout of getdents64(2), and returns the rest; no entry for `.`
/// and `..`.
fn next_entry(bytes: &[u8]) -> Option<(Option<DirEntry>, &[u8])> {
    const NAME: usize = 19;
    let length = u16::from_le_bytes(bytes.get(16..18)?.try_into().ok()?);
    let (kind, rest) = (*bytes.get(18)?, bytes.get(length.into()..)?);
    let name = bytes.get(NAME..length.into())?.split(|byte| *byte == 0).next()?;
    if matches!(name, b"." | b"..") {
        return Some((None, rest));
    }
    if name.is_empty() || name.contains(&b'/') {
        return None;
    }
    // The types of entries are those of st_mode, without its permissions.
    let kind = FileKind::of_stat(u32::from(kind) << 12);
    Some((Some(DirEntry::new(OsStr::from_bytes(name), kind)), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> ContainerPath {
        ContainerPath::new("/a/b").unwrap()
    }

    proptest! {
        #[test]
        fn no_answer_of_a_container_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let path = path();
            let request = FileRequest::stat(&path).unwrap();
            let _ = request.info(&bytes);
            let _ = request.entries(&bytes);
            let _ = request.contents(bytes.clone());
            let _ = request.error(27, &bytes);
        }
    }

    #[test]
    fn entries_are_decoded_and_names_with_a_slash_refused() {
        let entry = |name: &[u8], kind: u8| {
            let mut bytes = vec![0; 16];
            bytes.extend(u16::try_from(19 + name.len() + 1).unwrap().to_le_bytes());
            bytes.push(kind);
            bytes.extend(name);
            bytes.push(0);
            bytes
        };
        let path = path();
        let request = FileRequest::list(&path).unwrap();
        let all = [entry(b"z\n", 8), entry(b"..", 4), entry(b"a\xff", 10), entry(b"u", 0)].concat();
        let name = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        assert_eq!(
            request.entries(&all).unwrap(),
            [
                DirEntry::new(name(b"a\xff"), FileKind::Symlink),
                DirEntry::new("u", FileKind::Other),
                DirEntry::new("z\n", FileKind::File),
            ]
        );
        for bad in [entry(b"a/b", 8), entry(b"", 8), all[..all.len() - 1].to_vec(), vec![0; 18]] {
            assert_eq!(request.entries(&bad).unwrap_err().kind(), ErrorKind::InvalidResponse);
        }
    }
}
