//! The process for which a container is there.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use crate::{ContainerInfo, Error, ErrorKind, InvalidValue, Result};

/// The process for which a container is there. Its text is the value of a label, which the
/// container keeps when the process has ended. So another process can tell which containers are
/// left over, and whose containers are in use.
///
/// A process is identified by its id, its start time, its pid namespace, the boot of its machine
/// and the machine, so no later process is taken for it.
///
/// ```
/// # use std::time::Duration;
/// # use rt_null::NullRuntime;
/// # use rt_protocol::*;
/// # let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
/// let owner = Owner::this_process()?;
/// let spec = LaunchSpec::builder("ci-1", "alpine").owner(&owner).build()?;
/// runtime.launch(&spec, limit)?;
///
/// // Another process, perhaps much later:
/// for info in runtime.list(&ContainerFilter::all(), &limit.into())? {
///     if let Some(owner) = Owner::of(&info) {
///         assert_eq!(owner.liveness(), Liveness::Alive);
///     }
/// }
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// A hash of the machine's id; 0 if it has none.
    machine: u64,
    boot: String,
    /// The inode of the pid namespace.
    namespace: u64,
    pid: u32,
    /// In clock ticks after the boot.
    start_time: u64,
}

/// Whether the owner of a container still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It has ended.
    Ended,
    /// It cannot be seen from here: it is on another machine, or in another pid namespace.
    Unknown,
}

const OPERATION: &str = "identify a process";

impl Owner {
    /// The label that holds the owner.
    pub const LABEL: &'static str = "rt.owner";

    /// Returns the process that calls this.
    ///
    /// # Errors
    /// As for [`process`](Self::process).
    pub fn this_process() -> Result<Self> {
        Self::process(std::process::id())
    }

    /// Returns the running process with this id, in the pid namespace of the caller.
    ///
    /// # Errors
    /// [`System`](ErrorKind::System) if there is none, or if `/proc` cannot be read;
    /// [`Unsupported`](ErrorKind::Unsupported) on systems other than Linux.
    pub fn process(pid: u32) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(Error::new(ErrorKind::Unsupported, OPERATION, "there is no /proc on this system"));
        }
        let failed = |error: io::Error| Error::new(ErrorKind::System, OPERATION, format!("{pid}: {error}"));
        let start_time = start_time(pid).map_err(failed)?;
        let start_time = start_time.ok_or_else(|| failed(io::Error::other("it does not run")))?;
        let place = Place::here().map_err(failed)?;
        Ok(Self { machine: place.machine, boot: place.boot, namespace: place.namespace, pid, start_time })
    }

    /// Returns the owner that the container's [label](Self::LABEL) names. `None` without that
    /// label, or if its value is not that of an owner.
    pub fn of(info: &ContainerInfo) -> Option<Self> {
        info.labels.get(Self::LABEL)?.parse().ok()
    }

    /// Returns the id of the process, in its own pid namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns whether the process still runs.
    ///
    /// After a reboot of its machine it has ended. A process that has exited counts as ended, even
    /// if its parent has not taken notice yet.
    pub fn liveness(&self) -> Liveness {
        let Ok(here) = Place::here() else { return Liveness::Unknown };
        if here.boot != self.boot {
            // An unknown machine may be another one.
            let is_same = self.machine != 0 && self.machine == here.machine;
            return if is_same { Liveness::Ended } else { Liveness::Unknown };
        }
        if here.namespace != self.namespace {
            return Liveness::Unknown;
        }
        match start_time(self.pid) {
            Ok(Some(start_time)) if start_time == self.start_time => Liveness::Alive,
            Ok(Some(_)) => Liveness::Ended,
            // With the mount option `hidepid`, processes of other users seem to be absent.
            // Process 1 is there as long as the namespace is.
            Ok(None) if matches!(start_time(1), Ok(Some(_))) => Liveness::Ended,
            Ok(None) | Err(_) => Liveness::Unknown,
        }
    }
}

/// The numbers are hexadecimal: machine, boot, pid namespace, pid, start time.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, boot, namespace, pid, start_time } = self;
        write!(f, "{machine:016x}:{boot}:{namespace:x}:{pid:x}:{start_time:x}")
    }
}

impl FromStr for Owner {
    type Err = InvalidValue;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidValue> {
        let parsed = || {
            let mut words = text.split(':');
            let number = |word: Option<&str>| u64::from_str_radix(word?, 16).ok();
            let machine = number(words.next())?;
            let boot = words.next().filter(|boot| is_boot_id(boot))?.to_owned();
            let namespace = number(words.next())?;
            let pid = u32::try_from(number(words.next())?).ok()?;
            let start_time = number(words.next())?;
            words.next().is_none().then_some(Self { machine, boot, namespace, pid, start_time })
        };
        parsed().ok_or_else(|| InvalidValue::new("owner", text, "it is not the text of an owner"))
    }
}

/// Where processes are seen from.
struct Place {
    machine: u64,
    boot: String,
    namespace: u64,
}

impl Place {
    fn here() -> io::Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        if !is_boot_id(&boot) {
            return Err(io::Error::other("the boot id is malformed"));
        }
        // The link reads `pid:[4026531836]`, see namespaces(7).
        let link = fs::read_link("/proc/self/ns/pid")?;
        let inode =
            link.to_str().and_then(|link| link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok());
        let namespace = inode.ok_or_else(|| io::Error::other("the pid namespace is malformed"))?;
        // See machine-id(5), which asks not to show the id itself.
        let machine = fs::read_to_string("/etc/machine-id").map_or(0, |id| fnv(id.trim().as_bytes()));
        Ok(Self { machine, boot, namespace })
    }
}

fn is_boot_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Returns when the process started, in clock ticks after the boot (field 22 of proc(5),
/// `/proc/PID/stat`); `None` if it has ended.
fn start_time(pid: u32) -> io::Result<Option<u64>> {
    let stat = match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let stat = String::from_utf8_lossy(&stat);
    // The second field is a name in parentheses, which may hold anything.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect::<Vec<_>>());
    let fields = fields.filter(|fields| fields.len() > 19);
    let fields = fields.ok_or_else(|| io::Error::other("its stat is malformed"))?;
    let has_exited = matches!(fields[0], "Z" | "X" | "x");
    let start_time = fields[19].parse().map_err(io::Error::other)?;
    Ok((!has_exited).then_some(start_time))
}

/// "No such process": it ended while its file was read.
const ESRCH: i32 = 3;

/// Returns the FNV-1a hash; that of nothing is 0.
fn fnv(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn me() -> Owner {
        Owner::this_process().expect("this process runs")
    }

    #[test]
    fn text_and_back() {
        let owner = me();
        assert_eq!(owner.pid(), std::process::id());
        assert_eq!(owner.to_string().parse(), Ok(owner.clone()));
        let text = owner.to_string();
        for broken in [
            "",
            "1000",
            &text[1..text.len() - 1].replace(':', "-"),
            &format!("{text}:0"),
            &text.replacen(':', ":x", 1),
            &format!("{}:{}:1:ffffffffff:1", "0".repeat(16), owner.boot),
        ] {
            assert!(broken.parse::<Owner>().is_err(), "{broken}");
        }
    }

    #[test]
    fn this_process_is_alive_and_no_other_is_taken_for_it() {
        assert_eq!(me().liveness(), Liveness::Alive);
        assert_eq!(Owner { start_time: me().start_time + 1, ..me() }.liveness(), Liveness::Ended);
        assert_eq!(Owner { pid: u32::MAX / 2, ..me() }.liveness(), Liveness::Ended);
    }

    #[test]
    fn what_is_not_seen_from_here_is_unknown() {
        assert_eq!(Owner { namespace: 1, ..me() }.liveness(), Liveness::Unknown);
        let rebooted = Owner { boot: "0".repeat(36), machine: 7, ..me() };
        assert_eq!(rebooted.liveness(), Liveness::Unknown);
        assert_eq!(Owner { machine: 0, ..rebooted.clone() }.liveness(), Liveness::Unknown);
        let machine = Place::here().unwrap().machine;
        let expected = if machine == 0 { Liveness::Unknown } else { Liveness::Ended };
        assert_eq!(Owner { machine, ..rebooted }.liveness(), expected);
    }

    #[test]
    fn a_process_that_does_not_run_is_nobody() {
        let error = Owner::process(u32::MAX / 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::System, "{error}");
    }
}
