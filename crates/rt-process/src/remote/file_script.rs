//! Operations on files by a shell script, inside a container or a guest that has a shell and
//! tools. The backend decides how to run the script.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Capabilities, Capability, ContainerPath, DirEntry, Error, ErrorKind, ExecRequest, ExecStdio, ExitOutcome,
    FileInfo, FileKind, FileMode, FileOptions, FileOwner, OutputLimit, Result, Sink, Source, StdioResult,
    file_operation,
};

use super::file_path;
use crate::FileFailure;

/// Does the operation `$1` on the path `$2`. Runs in any POSIX `sh` with the tools of coreutils or
/// BusyBox: `cat`, `chmod`, `chown`, `head`, `mkdir`, `mv`, `readlink`, `rm`, `stat`, `wc`. A
/// listing needs none. Paths begin with a slash, so none is taken for an option.
///
/// The exit code is 0, 64 and an errno of Linux for what the script has found itself, 200 for a
/// special file, 201 for contents that did not arrive completely, or that of a tool, whose words
/// are on stderr.
///
/// A write reads all of its input even if it fails: `podman exec` loses what a command says that
/// leaves its stdin unread.
///
/// Set-user-id and the like are set after the contents: the kernel takes them from a file that is
/// written to, unless the writer is root of the host.
///
/// A container can put a pipe in the place of a file between the look and the opening. Then the
/// script waits until its limit ends it.
const SCRIPT: &str = r#"
LC_ALL=C; export LC_ALL; umask 022; p=$2
missing() {
  q=${p%/*}
  while [ -n "$q" ] && [ ! -e "$q" ]; do q=${q%/*}; done
  if [ -n "$q" ] && [ ! -d "$q" ]; then exit 84; fi
  exit 66
}
there() { [ -e "$p" ] || [ -L "$p" ]; }
case $1 in
write)
  t=$3; n=$4; mode=$5; owner=$6; up=${p%/*}; had=; made=; drain=1
  trap 'c=$?; [ -z "$made" ] || rm -f "$made"; [ -z "$drain" ] || cat >/dev/null; exit $c' EXIT
  trap 'drain=; exit 143' HUP INT PIPE TERM
  if [ -n "$7" ] && [ -n "$up" ] && [ ! -d "$up" ]; then
    q=$up
    while [ -n "$q" ] && [ ! -e "$q" ] && [ ! -L "$q" ]; do q=${q%/*}; done
    [ -z "$q" ] || [ -d "$q" ] || exit 84
    mkdir -p "$up" || exit
  fi
  [ -z "$up" ] || [ -d "$up" ] || missing
  if [ -n "$t" ] && [ -L "$p" ]; then :
  elif [ -d "$p" ]; then exit 85
  elif [ -e "$p" ] && [ ! -f "$p" ]; then exit 200
  elif [ -f "$p" ]; then had=1
  fi
  if [ -n "$t" ]; then
    if [ -n "$had" ]; then
      s=$(stat -c '%a %u:%g' "$p") || exit
      mode=${mode:-${s% *}}; owner=${owner:-${s#* }}
    fi
    mode=${mode:-644}; to=$t; made=$t
    (umask 077; set -C; : >"$t") || exit
  else
    to=$p
    if [ -z "$had" ]; then mode=${mode:-644}; (umask 077; : >"$p") || exit
    elif [ -z "$mode" ] && { [ -u "$p" ] || [ -g "$p" ]; }; then mode=$(stat -c %a "$p") || exit
    fi
  fi
  [ -z "$owner" ] || chown "$owner" "$to" || exit
  [ -z "$mode" ] || chmod "$mode" "$to" || exit
  cat >"$to" || exit
  [ "$(wc -c <"$to")" -eq "$n" ] || exit 201
  [ ${#mode} -lt 4 ] || chmod "$mode" "$to" || exit
  [ -n "$t" ] || exit 0
  if [ -L "$p" ] && [ -d "$p" ]; then mv -fT "$t" "$p"; else mv -f "$t" "$p"; fi || exit
  made=
  ;;
read)
  [ ! -d "$p" ] || exit 85
  [ -e "$p" ] || missing
  [ -f "$p" ] || exit 200
  s=$(stat -L -c %s "$p") || exit
  if [ "$s" -gt "$3" ]; then printf %s "$s"; exit 91; fi
  exec head -c $(($3+1)) <"$p"
  ;;
stat)
  there || missing
  stat -c '%f %s %u %g %Y' "$p" || exit
  case $p in */) exit;; esac
  [ ! -L "$p" ] || exec readlink -n "$p"
  ;;
list)
  [ -d "$p" ] || { [ ! -e "$p" ] || exit 84; missing; }
  cd "$p" || exit
  [ -r . ] || exit 77
  for f in * .[!.]* ..?*; do
    if [ -L "./$f" ]; then k=l
    elif [ -d "./$f" ]; then k=d
    elif [ -f "./$f" ]; then k=f
    elif [ -p "./$f" ]; then k=p
    elif [ -S "./$f" ]; then k=s
    elif [ -c "./$f" ]; then k=c
    elif [ -b "./$f" ]; then k=b
    elif [ -e "./$f" ]; then k=o
    else continue
    fi
    printf '%s%s\0' $k "$f"
  done
  ;;
remove)
  there || missing
  rm -rf "$p" || exit
  ! there || exit 80
  ;;
esac
"#;

/// The most that a listing takes, in bytes.
const MOST_ENTRIES: usize = 64 << 20;

/// The most that is kept of what a tool says, in bytes.
const WORDS: OutputLimit = OutputLimit::bytes(4 << 10);

/// Operations on files by scripts that a backend runs.
pub struct FileScripts<'a> {
    run: &'a dyn Fn(&ExecRequest, ExecStdio<'_>) -> Result<StdioResult>,
    user: Option<&'a str>,
}

impl std::fmt::Debug for FileScripts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileScripts").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A script that has ended.
struct Ran {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

impl<'a> FileScripts<'a> {
    /// Returns the operations of a backend that runs a request with its streams by `run`, as
    /// `user`, or as the backend's own user.
    pub fn new(
        run: &'a dyn Fn(&ExecRequest, ExecStdio<'_>) -> Result<StdioResult>,
        user: Option<&'a str>,
    ) -> Self {
        Self { run, user }
    }

    /// Writes a file.
    ///
    /// # Errors
    /// As for [`Container::write_file`](rt_protocol::Container::write_file);
    /// [`Unsupported`](ErrorKind::Unsupported) without the tools.
    pub fn write(&self, path: &ContainerPath, bytes: &[u8], options: &FileOptions) -> Result<()> {
        file_path::check_write(path)?;
        let operation = file_operation::WRITE;
        let temporary = if options.atomic { file_path::new_beside(path) } else { OsString::new() };
        let mode = options.mode.map_or_else(String::new, |mode| format!("{:o}", mode.bits()));
        let owner = options.owner.map_or_else(String::new, |owner| owner.to_string());
        let parents = if options.parents { "parents" } else { "" };
        let words = [temporary, bytes.len().to_string().into(), mode.into(), owner.into(), parents.into()];
        let needs = options.required_capabilities();
        let ran = self.script("write", operation, needs, path, &words, Some(bytes), 0)?;
        ran.check(operation, path).map(drop)
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// As for [`Container::read_file`](rt_protocol::Container::read_file);
    /// [`Unsupported`](ErrorKind::Unsupported) without the tools.
    pub fn read(&self, path: &ContainerPath, limit: u64) -> Result<Vec<u8>> {
        let operation = file_operation::READ;
        // A shell counts to 2^63.
        let limit = limit.min(1 << 60);
        // A byte too many, or the size.
        let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1).max(32);
        let words = [OsString::from(limit.to_string())];
        let ran = self.script("read", operation, Capability::ReadFile.into(), path, &words, None, most)?;
        if ran.code == 91 {
            let size = std::str::from_utf8(&ran.stdout).ok().and_then(|text| text.parse().ok());
            return Err(FileFailure::too_large(size, limit).into_error(operation, path));
        }
        let bytes = ran.check(operation, path)?;
        if bytes.len() as u64 > limit {
            return Err(FileFailure::too_large(None, limit).into_error(operation, path));
        }
        Ok(bytes)
    }

    /// Looks up a path.
    ///
    /// # Errors
    /// As for [`Container::stat`](rt_protocol::Container::stat);
    /// [`Unsupported`](ErrorKind::Unsupported) without the tools.
    pub fn stat(&self, path: &ContainerPath) -> Result<Option<FileInfo>> {
        let operation = file_operation::STAT;
        let ran = self.script("stat", operation, Capability::StatFile.into(), path, &[], None, 8 << 10)?;
        if ran.code == 66 {
            return Ok(None);
        }
        let answer = ran.check(operation, path)?;
        parse_info(&answer).map(Some).ok_or_else(|| unreadable(operation, path))
    }

    /// Lists a directory.
    ///
    /// # Errors
    /// As for [`Container::list_dir`](rt_protocol::Container::list_dir);
    /// [`Unsupported`](ErrorKind::Unsupported) without a shell.
    pub fn list(&self, path: &ContainerPath) -> Result<Vec<DirEntry>> {
        let operation = file_operation::LIST;
        let most = MOST_ENTRIES + 1;
        let ran = self.script("list", operation, Capability::ListDir.into(), path, &[], None, most)?;
        let answer = ran.check(operation, path)?;
        if answer.len() > MOST_ENTRIES {
            return Err(FileFailure::too_large(None, MOST_ENTRIES as u64).into_error(operation, path));
        }
        parse_entries(&answer).ok_or_else(|| unreadable(operation, path))
    }

    /// Removes what is at a path.
    ///
    /// # Errors
    /// As for [`Container::remove_path`](rt_protocol::Container::remove_path);
    /// [`Unsupported`](ErrorKind::Unsupported) without the tools.
    pub fn remove(&self, path: &ContainerPath) -> Result<()> {
        file_path::check_removal(path)?;
        let operation = file_operation::REMOVE;
        let ran = self.script("remove", operation, Capability::RemovePath.into(), path, &[], None, 0)?;
        if ran.code == 66 { Ok(()) } else { ran.check(operation, path).map(drop) }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn script(
        &self,
        verb: &str,
        operation: &'static str,
        needs: Capabilities,
        path: &ContainerPath,
        more: &[OsString],
        input: Option<&[u8]>,
        most: usize,
    ) -> Result<Ran> {
        file_path::check_length(operation, path)?;
        let words = ["sh", "-c", SCRIPT, "rt-file", verb].map(OsString::from).into_iter();
        let words = words.chain([path.as_os_str().to_owned()]).chain(more.iter().cloned());
        let mut request =
            ExecRequest::builder(words).stdout_limit(OutputLimit::head_and_tail(most, 0)).stderr_limit(WORDS);
        if let Some(user) = self.user {
            request = request.user(user);
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let source = input.map_or_else(Source::empty, Source::bytes);
        let streams = ExecStdio::new(source, Sink::borrowed(&mut stdout)).stderr(Sink::borrowed(&mut stderr));
        let ran = (self.run)(&request.build()?, streams);
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        match ran.map_err(|error| error.during(operation)) {
            Err(error) if error.kind() == ErrorKind::CommandNotFound => {
                Err(Error::unsupported(operation, needs).with_hint("the container has no shell"))
            }
            Err(error) => Err(error),
            Ok(result) => match result.outcome {
                ExitOutcome::Code(code @ (126 | 127)) => {
                    let words = stderr.lines().last().unwrap_or_default().to_owned();
                    tracing::debug!(code, words, "a tool is missing in the container");
                    let hint = format!("the container lacks a tool: {words}");
                    Err(Error::unsupported(operation, needs).with_hint(hint))
                }
                ExitOutcome::Code(code) => Ok(Ran { code, stdout, stderr }),
                outcome => {
                    let message = format!("the operation was ended from outside: {outcome}");
                    Err(Error::new(ErrorKind::BackendInterrupted, operation, message))
                }
            },
        }
    }
}

impl Ran {
    fn check(self, operation: &'static str, path: &ContainerPath) -> Result<Vec<u8>> {
        let failure = match self.code {
            0 => return Ok(self.stdout),
            200 => FileFailure::special(),
            201 => FileFailure::new(ErrorKind::BackendInterrupted, "its contents did not arrive completely"),
            code @ 65..126 => FileFailure::of_errno(code - 64),
            _ => FileFailure::of_message(self.stderr.lines().last().unwrap_or_default()),
        };
        Err(failure.into_error(operation, path))
    }
}

fn unreadable(operation: &'static str, path: &ContainerPath) -> Error {
    Error::new(ErrorKind::InvalidResponse, operation, format!("`{path}`: the script's answer cannot be read"))
}

/// Parses the mode, size, owner and time, and after a newline the text of a symbolic link.
fn parse_info(answer: &[u8]) -> Option<FileInfo> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let (line, target) = (std::str::from_utf8(answer.get(..end)?).ok()?, answer.get(end + 1..)?);
    let mut words = line.split(' ');
    let mode = u32::from_str_radix(words.next()?, 16).ok()?;
    let size = words.next()?.parse().ok()?;
    let owner = FileOwner::new(words.next()?.parse().ok()?, words.next()?.parse().ok()?).ok()?;
    let seconds: i64 = words.next()?.parse().ok()?;
    let kind = FileKind::of_stat(mode);
    let mut info = FileInfo::new(kind, size, FileMode::of_stat(mode), owner);
    let offset = Duration::from_secs(seconds.unsigned_abs());
    info.modified = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(offset)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(offset)
    };
    let is_link = kind == FileKind::Symlink;
    info.link_target = is_link.then(|| PathBuf::from(OsString::from_vec(target.to_vec())));
    Some(info)
}

/// Parses a letter and a name, each followed by a NUL.
fn parse_entries(answer: &[u8]) -> Option<Vec<DirEntry>> {
    let mut entries = Vec::new();
    let all = match answer {
        [] => return Some(entries),
        [all @ .., 0] => all,
        _ => return None,
    };
    for entry in all.split(|byte| *byte == 0) {
        let (kind, name) = entry.split_first()?;
        let kind = match kind {
            b'f' => FileKind::File,
            b'd' => FileKind::Directory,
            b'l' => FileKind::Symlink,
            b'p' => FileKind::Fifo,
            b's' => FileKind::Socket,
            b'c' => FileKind::CharDevice,
            b'b' => FileKind::BlockDevice,
            b'o' => FileKind::Other,
            _ => return None,
        };
        if name.is_empty() || name.contains(&b'/') {
            return None;
        }
        entries.push(DirEntry::new(OsStr::from_bytes(name), kind));
    }
    entries.sort();
    // Two patterns can match a name that looks like one of them.
    entries.dedup();
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_answer_of_a_container_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_info(&bytes);
            let _ = parse_entries(&bytes);
        }
    }

    #[test]
    fn answers_are_read() {
        let info = parse_info(b"a1ff 4 0 7 -1\na\nb").unwrap();
        assert_eq!(
            (info.kind, info.mode.bits(), info.owner.map(FileOwner::gid)),
            (FileKind::Symlink, 0o777, Some(7))
        );
        assert_eq!(info.link_target, Some("a\nb".into()));
        assert_eq!(parse_info(b"81a4 x 0 0 1\n"), None);
        let entries = parse_entries(b"fb\n\0d..a\0fb\n\0").unwrap();
        assert_eq!(
            entries,
            [DirEntry::new("..a", FileKind::Directory), DirEntry::new("b\n", FileKind::File)]
        );
        for bad in [&b"fa"[..], b"xa\0", b"f\0", b"fa/b\0", b"\0"] {
            assert_eq!(parse_entries(bad), None);
        }
    }
}
