//! A real sshd on a loopback port, in its own namespaces. It has this machine's programs and users,
//! and its own root directory. It changes nothing on the machine and leaves nothing behind.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_process::procfs::{self, ProcessEntry};
use rt_process::{LineStream, ProcessSpec, Program};
use rt_protocol::{Pull, Signal, Until};
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use tempfile::TempDir;

use super::guest::{self, AUTHORIZED_KEYS, HOST_KEY};
use super::key::KeyPair;
use super::tree::Tree;
use super::{Result, TIMEOUT};

/// The log of sshd, inside.
const LOG: &str = "var/log/sshd";

/// Directories of the machine that the guest sees as they are, and cannot write to.
const LENT: [&str; 8] = ["bin", "etc/alternatives", "lib", "lib32", "lib64", "libx32", "sbin", "usr"];

/// Mounts below the first argument the directories that the last ones name, and becomes sshd
/// inside.
const ENTER: &str = r#"
set -eu
root=$1 sshd=$2 port=$3 level=$4 sessions=$5 startups=$6 rekey=$7 forgiving=$8
shift 8
for directory; do mount --rbind "/$directory" "$root/$directory"; mount -o remount,bind,ro "$root/$directory"; done
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
set -- -o ListenAddress=127.0.0.1 -o LogLevel="$level" -o MaxSessions="$sessions" -o MaxStartups="$startups" \
	-o RekeyLimit="$rekey"
# Before OpenSSH 9.8 there is no such option, and nothing to be forgiven.
if $forgiving && chroot "$root" "$sshd" -t -o PerSourcePenalties=no; then set -- "$@" -o PerSourcePenalties=no; fi
exec chroot "$root" "$sshd" -D -E /var/log/sshd -p "$port" "$@"
"#;

/// What a daemon can be started with, beside the defaults of sshd.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Channels with a session that one connection may have.
    pub max_sessions: u32,
    /// Connections that may be about to log in, as sshd takes it: from how many on which part is
    /// refused, and the most.
    pub max_startups: &'static str,
    /// After how many bytes it asks for new keys, as sshd takes it.
    pub rekey_limit: &'static str,
    /// Whether it forgets at once who did not log in. Since OpenSSH 9.8 sshd turns an address away
    /// for some time otherwise.
    pub is_forgiving: bool,
    /// `INFO`, or up to `DEBUG3`.
    pub log_level: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        // sshd_config(5).
        Self {
            max_sessions: 10,
            max_startups: "10:30:100",
            rekey_limit: "default",
            is_forgiving: false,
            log_level: "INFO",
        }
    }
}

/// A guest on loopback. Dropping it ends every process inside.
#[derive(Debug)]
pub struct Loopback {
    sshd: PathBuf,
    root: PathBuf,
    lent: Vec<&'static str>,
    host_key: KeyPair,
    address: SocketAddr,
    daemon: Option<Daemon>,
    /// Bound, but not listening, so that the kernel does not give the port to another program while
    /// sshd is away. sshd asks for the port by number and with `SO_REUSEADDR`, which lets it share
    /// the port with a socket that has this option and does not listen.
    _reservation: OwnedFd,
    directory: TempDir,
}

#[derive(Debug)]
struct Daemon {
    /// `unshare`, which waits for the daemon and takes it along when it ends.
    process: LineStream,
    /// The namespace of everything inside.
    namespace: u64,
}

impl Loopback {
    /// Starts this sshd for whoever has the identity. Needs root.
    ///
    /// # Errors
    /// When something is missing or refused; the text has sshd's own words.
    pub fn start(sshd: &Path, identity: &KeyPair, settings: Settings) -> Result<Self> {
        let directory = TempDir::new()?;
        let host_key = KeyPair::generate(directory.path())?;
        let mut tree = guest::base(identity);
        guest::add_host_key(&mut tree, &host_key)?;
        let lent = lend(&mut tree)?;
        let root = directory.path().join("root");
        fs::create_dir(&root)?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        tree.unpack(&root)?;
        let (reservation, address) = reserve()?;
        let sshd = sshd.to_owned();
        let mut loopback =
            Self { sshd, root, lent, host_key, address, daemon: None, _reservation: reservation, directory };
        loopback.run(settings)?;
        Ok(loopback)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that it shows.
    pub fn host_key(&self) -> &KeyPair {
        &self.host_key
    }

    /// Ends everything inside, and starts sshd again on the same port.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn restart(&mut self, settings: Settings) -> Result<()> {
        self.stop();
        self.run(settings)
    }

    /// The next start shows another host key.
    ///
    /// # Errors
    /// When the key cannot be made or written.
    pub fn change_host_key(&mut self) -> Result<()> {
        self.host_key = KeyPair::generate(self.directory.path())?;
        fs::copy(self.host_key.private(), self.inside(HOST_KEY))?;
        Ok(())
    }

    /// Only these identities can log in from now on.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn authorize(&self, identities: &[&KeyPair]) -> Result<()> {
        let lines: Vec<_> = identities.iter().map(|key| key.public_line()).collect();
        Ok(fs::write(self.inside(AUTHORIZED_KEYS), lines.join("\n"))?)
    }

    /// Ends everything inside. The port stays ours, and refuses connections.
    pub fn stop(&mut self) {
        // A stopped process would not hear the TERM.
        self.thaw();
        self.daemon = None;
    }

    /// Every process inside, the daemon included.
    pub fn processes(&self) -> Vec<ProcessEntry> {
        let Some(daemon) = &self.daemon else { return Vec::new() };
        let inside = |entry: &ProcessEntry| {
            !entry.is_zombie && procfs::pid_namespace(entry.pid).ok().flatten() == Some(daemon.namespace)
        };
        procfs::snapshot().unwrap_or_default().into_iter().filter(inside).collect()
    }

    /// The processes that serve connections: sshd, but for the daemon.
    pub fn sessions(&self) -> Vec<ProcessEntry> {
        let starter = self.daemon.as_ref().map(|daemon| daemon.process.pid());
        let serves = |entry: &ProcessEntry| entry.name.starts_with("sshd") && Some(entry.parent) != starter;
        self.processes().into_iter().filter(serves).collect()
    }

    /// Stops every process inside: connections stay, and nobody answers.
    pub fn freeze(&self) {
        signal(&self.processes(), Signal::STOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        signal(&self.processes(), Signal::CONT);
    }

    /// Kills the processes that serve connections, and neither the daemon nor any command.
    pub fn kill_sessions(&self) {
        signal(&self.sessions(), Signal::KILL);
    }

    /// What sshd has logged since it was started first.
    ///
    /// # Errors
    /// When there is no log.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.inside(LOG))?).into_owned())
    }

    /// A path of the guest, as it is outside.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn run(&mut self, settings: Settings) -> Result<()> {
        // A test that is killed drops nothing: then the kernel ends `unshare`, and that what is
        // inside.
        let spec = ProcessSpec::new(&Program::find("setpriv")?)
            .args(["--pdeathsig=KILL", "unshare"])
            .args(["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", ENTER, "sh"])
            .args([&self.root, &self.sshd])
            .arg(self.address.port().to_string())
            .arg(settings.log_level)
            .arg(settings.max_sessions.to_string())
            .arg(settings.max_startups)
            .arg(settings.rekey_limit)
            .arg(settings.is_forgiving.to_string())
            .args(self.lent.iter().copied());
        let mut process = LineStream::spawn(&spec, 4096)?;
        // Once sshd greets, the connection has a process of its own, which can be waited for.
        let greets = || TcpStream::connect(self.address).and_then(|mut stream| stream.read_exact(&mut [0]));
        let patience = Until::after(TIMEOUT);
        let mut said = String::new();
        // Only sshd ever listens on the port.
        while greets().is_err() {
            match process.pull(&Until::after(Duration::from_millis(10)))? {
                Pull::Item(line) => said.push_str(&String::from_utf8_lossy(&line.bytes)),
                Pull::Pending if patience.check().is_ok() => {}
                _ => return Err(format!("sshd does not come up: {said} {}", self.log()?).into()),
            }
        }
        let own = process.pid();
        let first = procfs::snapshot()?.into_iter().find(|entry| entry.parent == own);
        let namespace = first.map(|entry| procfs::pid_namespace(entry.pid)).transpose()?.flatten();
        self.daemon = Some(Daemon { process, namespace: namespace.ok_or("sshd has no namespace")? });
        // The connection from here had a session too.
        while !self.sessions().is_empty() {
            if patience.sleep(Duration::from_millis(5)).is_err() {
                return Err("the first session does not end".into());
            }
        }
        Ok(())
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stop();
    }
}

fn signal(entries: &[ProcessEntry], signal: Signal) {
    for entry in entries {
        // One that has ended since needs none.
        let _ = procfs::signal(entry, signal);
    }
}

/// Places for the directories of this machine, and the list of those that are to be mounted. On
/// most machines some of them are links into `usr`.
pub(super) fn lend(tree: &mut Tree) -> Result<Vec<&'static str>> {
    let mut lent = Vec::new();
    for name in LENT {
        let path = Path::new("/").join(name);
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_symlink() {
            tree.link(name, fs::read_link(path)?);
        } else {
            tree.directory(name);
            lent.push(name);
        }
    }
    Ok(lent)
}

pub(super) fn reserve() -> Result<(OwnedFd, SocketAddr)> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, address))
}
