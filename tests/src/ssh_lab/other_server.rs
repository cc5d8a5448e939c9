//! SSH servers of other makes than OpenSSH, on loopback ports, with this machine's userland and a
//! root directory of their own. What they do differently is theirs; nothing here makes up for it.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_process::{LineStream, ProcessSpec, Program};
use rt_protocol::{Pull, Until};
use tempfile::TempDir;

use super::key::KeyPair;
use super::loopback::{lend, reserve};
use super::{DEV_ID, Result, TIMEOUT, answer, guest};

/// Mounts below the first argument the directories that the last ones name, and becomes the server
/// inside.
const ENTER: &str = r#"
set -eu
root=$1 command=$2
shift 2
for directory; do mount --rbind "/$directory" "$root/$directory"; mount -o remount,bind,ro "$root/$directory"; done
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
# Not process 1 itself: what that one starts could be anybody's.
chroot "$root" sh -c "exec $command"
exit
"#;

/// Becomes the second argument with each connection to the port of the first.
const ACCEPT: &str = r#"
use Socket;
socket(my $listener, PF_INET, SOCK_STREAM, 0) or die $!;
setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1) or die $!;
bind($listener, sockaddr_in(shift, INADDR_LOOPBACK)) or die $!;
listen($listener, 64) or die $!;
while (accept(my $peer, $listener)) {
    # Twice, so that it is nobody's child that would have to be waited for.
    next if my $child = fork and waitpid($child, 0);
    exit if fork;
    open(STDIN, "<&", $peer) and open(STDOUT, ">&", $peer) and exec @ARGV or die $!;
}
"#;

/// An SSH server on the port in its argument, with the rights of its caller. It does not answer a
/// request for a command that contains `rt-unanswered`. It closes the channel instead of answering
/// one that contains `rt-closed`. With `rt-packets=N` each packet has N bytes of output. With
/// `rt-window=N` it sends N bytes, whatever window the client allows. After `rt-impatient` it
/// closes each channel that has no request for a while.
const PARAMIKO: &str = r#"
import re, socket, subprocess, sys, threading, time
import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST

impatient = threading.Event()

def request(channel, message):
    channel.is_used = True
    text = message.asbytes()
    if b"rt-impatient" in text:
        impatient.set()
    if b"rt-unanswered" in text:
        return
    if b"rt-closed" in text:
        threading.Thread(target=channel.close, daemon=True).start()
        return
    paramiko.Channel._handle_request(channel, message)

table = paramiko.Transport._channel_handler_table
paramiko.Transport._channel_handler_table = {**table, MSG_CHANNEL_REQUEST: request}

class Server(paramiko.ServerInterface):
    def check_auth_publickey(self, user, key):
        return paramiko.AUTH_SUCCESSFUL
    def get_allowed_auths(self, user):
        return "publickey"
    def check_channel_request(self, kind, number):
        threading.Thread(target=close_unused, args=(self.transport, number), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED
    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=run, args=(channel, command), daemon=True).start()
        return True

def close_unused(transport, number):
    time.sleep(0.2)
    channel = transport._channels.get(number)
    if impatient.is_set() and channel and not hasattr(channel, "is_used"):
        channel.close()

def run(channel, command):
    pipe = subprocess.PIPE
    wanted = re.search(rb"rt-packets=([0-9]+)", command)
    size = int(wanted[1]) if wanted else 32768
    if wanted:
        # It keeps 64 bytes for what is around them.
        channel.out_max_packet_size = size + 64
    window = re.search(rb"rt-window=([0-9]+)", command)
    if window:
        channel.out_window_size = int(window[1])
    child = subprocess.Popen(["/bin/sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    def pump(source, put):
        for piece in iter(lambda: source.read(size) if wanted else source.read1(size), b""):
            put(piece)
    def feed():
        try:
            for piece in iter(lambda: channel.recv(32768), b""):
                child.stdin.write(piece)
                child.stdin.flush()
            child.stdin.close()
        except OSError:
            pass
    threading.Thread(target=feed, daemon=True).start()
    pumps = [(child.stdout, channel.sendall), (child.stderr, channel.sendall_stderr)]
    pumps = [threading.Thread(target=pump, args=arguments, daemon=True) for arguments in pumps]
    for thread in pumps: thread.start()
    for thread in pumps: thread.join()
    channel.send_exit_status(child.wait() & 255)
    channel.close()

key = paramiko.ECDSAKey.generate()
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(64)
while True:
    transport = paramiko.Transport(listener.accept()[0])
    transport.add_server_key(key)
    server = Server()
    server.transport = transport
    transport.start_server(event=threading.Event(), server=server)
"#;

/// Where Debian's own Python is, which has the packages of Debian.
const PYTHON: &str = "/usr/bin/python3";

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Dropbear. It has `MaxSessions` of its own, takes commands of 9,000 bytes, and no signals.
    Dropbear,
    /// Paramiko, which lets anybody in, and whose answers can be withheld: see the command of its
    /// tests.
    Paramiko,
    /// `TinySSH`: one connection a process, one channel a connection.
    TinySsh,
}

impl Make {
    /// Why it is not here.
    pub fn missing(self) -> Option<String> {
        if self == Self::Paramiko {
            let asked = answer(Path::new(PYTHON), ["-c", "import paramiko"]);
            return asked.err().map(|error| error.to_string());
        }
        let programs: &[&str] = match self {
            Self::Dropbear => &["dropbear", "dropbearconvert"],
            Self::Paramiko => &[PYTHON],
            Self::TinySsh => &["tinysshd", "tinysshd-makekey"],
        };
        programs.iter().find_map(|name| Program::find(name).err()).map(|error| error.to_string())
    }
}

/// A server that runs. Dropping it ends every process inside.
#[derive(Debug)]
pub struct OtherServer {
    address: SocketAddr,
    root: PathBuf,
    _process: LineStream,
    _reservation: OwnedFd,
    _directory: TempDir,
}

impl OtherServer {
    /// Starts one for whoever has the identity: `root`, and `dev`. Needs root.
    ///
    /// # Errors
    /// When something is missing or refused.
    pub fn start(make: Make, identity: &KeyPair) -> Result<Self> {
        let directory = TempDir::new()?;
        let mut tree = guest::base(identity);
        let lent = lend(&mut tree)?;
        let root = directory.path().join("root");
        fs::create_dir(&root)?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        tree.unpack(&root)?;
        for (home, owner) in [("root", 0), ("home/dev", DEV_ID)] {
            let files = root.join(home).join(".ssh");
            fs::create_dir(&files)?;
            fs::write(files.join("authorized_keys"), format!("{}\n", identity.public_line()))?;
            for path in [&files, &files.join("authorized_keys")] {
                chown(path, Some(owner), Some(owner))?;
            }
            fs::set_permissions(&files, fs::Permissions::from_mode(0o700))?;
        }
        let (reservation, address) = reserve()?;
        let port = address.port();
        let command = match make {
            Make::Dropbear => {
                let key = KeyPair::generate(directory.path())?;
                let own = root.join("etc/dropbear_host_key");
                let [key, own] = [key.private(), &own].map(|path| path.to_str().unwrap_or_default());
                answer(Path::new("dropbearconvert"), ["openssh", "dropbear", key, own])?;
                format!("dropbear -F -s -p 127.0.0.1:{port} -P /run/dropbear -r /etc/dropbear_host_key")
            }
            Make::Paramiko => {
                fs::write(root.join("etc/server.py"), PARAMIKO)?;
                format!("{PYTHON} /etc/server.py {port}")
            }
            Make::TinySsh => {
                let keys = root.join("etc/tinyssh");
                answer(Path::new("tinysshd-makekey"), [keys.to_str().unwrap_or_default()])?;
                fs::write(root.join("etc/accept.pl"), ACCEPT)?;
                format!("perl /etc/accept.pl {port} tinysshd -v /etc/tinyssh")
            }
        };
        let spec = ProcessSpec::new(&Program::find("setpriv")?)
            .args(["--pdeathsig=KILL", "unshare"])
            .args(["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", ENTER, "sh"])
            .arg(&root)
            .arg(&command)
            .args(lent);
        let mut process = LineStream::spawn(&spec, 4096)?;
        let greets = || TcpStream::connect(address).and_then(|mut stream| stream.read_exact(&mut [0]));
        let patience = Until::after(TIMEOUT);
        let mut said = String::new();
        while greets().is_err() {
            match process.pull(&Until::after(Duration::from_millis(10)))? {
                Pull::Item(line) => said.push_str(&String::from_utf8_lossy(&line.bytes)),
                Pull::Pending if patience.check().is_ok() => {}
                _ => return Err(format!("{make:?} does not come up: {said}").into()),
            }
        }
        Ok(Self { address, root, _process: process, _reservation: reservation, _directory: directory })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A path of the guest, as it is outside.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}
