//! The process that stays with a running container, as conmon does. It creates the namespaces and
//! mounts, starts process 1, writes its log, and records its end.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change, mount_remount,
};
use rustix::process::{Pid, PidfdFlags, WaitOptions, geteuid, getpid, pidfd_open, setsid, waitpid};
use rustix::thread::UnshareFlags;

use crate::answer::Answer;
use crate::container::{Container, Publish, Status};
use crate::guest::{Process, ProcessUser};
use crate::inside::{self, NoProgram, Unknown};
use crate::log::LogFile;
use crate::profile::Profile;
use crate::spawn::{self, StartResult};
use crate::start::STARTED;
use crate::store::Store;
use crate::{event, removal, time};

/// `@supervise ID`
pub(crate) fn run(words: &[String]) -> ExitCode {
    let [id] = words else { return ExitCode::FAILURE };
    match Supervisor::begin(id) {
        Ok(supervisor) => {
            let said = io::stdout().write_all(STARTED.as_bytes()).and_then(|()| io::stdout().flush());
            // Whoever started it reads to the end: it must come now.
            let closed = File::open("/dev/null").map(|null| rustix::stdio::dup2_stdout(&null));
            match said.and(closed).and_then(|_| supervisor.watch().map_err(|_| io::ErrorKind::Other.into())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(refusal) => {
            print!("{}\n{}", refusal.code, refusal.stderr);
            ExitCode::FAILURE
        }
    }
}

struct Supervisor {
    store: Store,
    container: Container,
    pid: Pid,
    /// Set when the main process has ended while its start was watched.
    ended: Option<i32>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// Published ports are held as long as the container runs.
    _ports: Vec<OwnedFd>,
}

impl Supervisor {
    fn begin(id: &str) -> Result<Self, Answer> {
        let profile = Profile::from_environment()?;
        let store = Store::from_environment()?;
        let container = store
            .container(&store.lock()?, id)?
            .ok_or_else(|| profile.refusal("no-container", &[("name", id)]))?;
        setsid()?;
        let root = store.root(&container);
        let process = describe(&profile, &container, &root)?;
        if let Some(device) = container.cdi_devices.first() {
            return Err(profile.refusal("start-cdi", &[("device", device)]));
        }
        let ports = hold_ports(&profile, &container.ports)?;
        if !geteuid().is_root() {
            return Err(Answer::own("commands run in namespaces, and making them needs root"));
        }
        make_namespaces()?;
        mount_all(&container, &root)?;
        let process_file = store.container_dir(id).join("process.json");
        fs::write(&process_file, serde_json::to_vec(&process)?)?;
        let words = [process_file.to_string_lossy(), root.to_string_lossy()];
        let mut child = spawn::own("@init", [&*words[0], &*words[1]])?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_child(&child);
        let ended = match spawn::wait_for_command(pid, &process_file)? {
            StartResult::Command => None,
            StartResult::Ended(status) => Some(spawn::exit_code(status)),
            StartResult::Failed(why) => return Err(Answer::own(format!("process 1 did not begin: {why}"))),
        };
        let mut supervisor = Self {
            store,
            container,
            pid,
            ended,
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            _ports: ports,
        };
        supervisor.note_start()?;
        Ok(supervisor)
    }

    fn note_start(&mut self) -> io::Result<()> {
        let lock = self.store.lock()?;
        let state = &mut self.container.state;
        state.status = Status::Running;
        state.pid = self.pid.as_raw_nonzero().get();
        state.supervisor = getpid().as_raw_nonzero().get();
        state.started = time::now();
        self.store.save(&lock, &self.container)?;
        event::record(&self.store, &lock, &self.container, "init", None)?;
        event::record(&self.store, &lock, &self.container, "start", None)
    }

    /// Writes the log until the main process has ended, and notes its end.
    fn watch(mut self) -> Result<(), Answer> {
        let log = self.store.log_file(&self.container.id);
        let mut log = if self.container.log_driver == "none" { None } else { Some(LogFile::open(&log)?) };
        let mut write = |stream: &str, bytes: &[u8]| match &mut log {
            Some(log) => log.write(stream, bytes),
            None => Ok(()),
        };
        // The kernel ends every process of the namespace with process 1, so that both streams come
        // to their end.
        while self.stdout.is_some() || self.stderr.is_some() {
            let mut waits: Vec<_> = Vec::new();
            waits.extend(self.stdout.as_ref().map(|stream| PollFd::new(stream, PollFlags::IN)));
            waits.extend(self.stderr.as_ref().map(|stream| PollFd::new(stream, PollFlags::IN)));
            poll(&mut waits, None)?;
            let ready: Vec<bool> = waits.iter().map(|wait| !wait.revents().is_empty()).collect();
            drop(waits);
            let mut ready = ready.into_iter();
            if self.stdout.is_some() && ready.next() == Some(true) {
                step(&mut self.stdout, "stdout", &mut write)?;
            }
            if self.stderr.is_some() && ready.next() == Some(true) {
                step(&mut self.stderr, "stderr", &mut write)?;
            }
        }
        let code = match self.ended {
            Some(code) => code,
            None => waitpid(Some(self.pid), WaitOptions::empty())?
                .map_or(0, |(_, status)| spawn::exit_code(status)),
        };
        self.note_end(code)
    }

    fn note_end(self, code: i32) -> Result<(), Answer> {
        let lock = self.store.lock()?;
        let id = &self.container.id;
        self.store.save_exit_code(id, code)?;
        let Some(mut container) = self.store.container(&lock, id)? else { return Ok(()) };
        let state = &mut container.state;
        state.status = Status::Exited;
        state.pid = 0;
        state.supervisor = 0;
        state.exit_code = code;
        state.finished = time::now();
        // With the container go the exec sessions, those that nobody cleaned up included.
        for session in state.sessions.drain(..) {
            let gone = fs::remove_dir_all(self.store.static_dir(id).join(session));
            gone.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        }
        self.store.save(&lock, &container)?;
        event::record(&self.store, &lock, &container, "died", Some(code))?;
        event::record(&self.store, &lock, &container, "cleanup", None)?;
        if container.auto_remove {
            removal::remove_files(&self.store, &lock, &container)?;
        }
        Ok(())
    }
}

/// One piece of a stream; at its end the stream is closed.
fn step<R: Read>(
    stream: &mut Option<R>,
    name: &str,
    write: &mut impl FnMut(&str, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    // conmon's own measure: a longer line is logged in pieces.
    let mut buffer = [0; 8192];
    let count = stream.as_mut().map_or(Ok(0), |stream| stream.read(&mut buffer))?;
    if count == 0 {
        *stream = None;
        return Ok(());
    }
    write(name, &buffer[..count])
}

/// The main process, or podman's words why there is none.
fn describe(profile: &Profile, container: &Container, root: &Path) -> Result<Process, Answer> {
    let owner = inside::owner(root, &container.user).map_err(|unknown| match unknown {
        Unknown::User(user) => profile.refusal("start-user", &[("user", &user)]),
        Unknown::Group(user) => profile.refusal("start-group", &[("user", &user)]),
    })?;
    if !inside::is_directory(root, &container.workdir) {
        let values = [("path", container.workdir.as_str()), ("id", &container.id)];
        return Err(profile.refusal("start-workdir", &values));
    }
    let mut env = container.env.clone();
    env.entry(String::from("HOME")).or_insert(owner.home);
    env.entry(String::from("HOSTNAME")).or_insert_with(|| container.short_id().to_owned());
    let path = env.get("PATH").cloned().unwrap_or_default();
    let word = &container.command[0];
    let program = inside::program(root, &container.workdir, &path, word)
        .map_err(|why| no_program(profile, why, word))?;
    Ok(Process {
        terminal: false,
        user: ProcessUser { uid: owner.uid, gid: owner.gid },
        args: container.command.clone(),
        env: env.into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
        cwd: container.workdir.clone(),
        program,
    })
}

/// podman's words for a command that cannot be run.
pub(crate) fn no_program(profile: &Profile, why: NoProgram, word: &str) -> Answer {
    let text = match why {
        NoProgram::NotOnPath => "command-not-found",
        NoProgram::NotThere => "path-not-found",
        NoProgram::NotExecutable => "not-executable",
        NoProgram::Directory => "is-directory",
    };
    profile.refusal(text, &[("word", word)])
}

fn hold_ports(profile: &Profile, ports: &[Publish]) -> Result<Vec<OwnedFd>, Answer> {
    let mut held = Vec::new();
    for port in ports {
        let ip = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
        let bound = if port.protocol == "udp" {
            UdpSocket::bind((ip, port.host_port)).map(OwnedFd::from)
        } else {
            TcpListener::bind((ip, port.host_port)).map(OwnedFd::from)
        };
        let version = if ip.contains(':') { '6' } else { '4' };
        let address = if version == '6' {
            format!("[{ip}]:{}", port.host_port)
        } else {
            format!("{ip}:{}", port.host_port)
        };
        held.push(bound.map_err(|_| {
            let values = [
                ("protocol", port.protocol.to_ascii_uppercase()),
                ("family", format!("{}{version}", port.protocol)),
                ("address", address),
            ];
            let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
            profile.refusal("start-port", &values)
        })?);
    }
    Ok(held)
}

fn make_namespaces() -> io::Result<()> {
    // This process has one thread, and shares no descriptor table: what makes the call unsafe
    // elsewhere is not there.
    #[expect(deprecated, reason = "the replacement is an unsafe function, for flags that are not used here")]
    rustix::thread::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWPID)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    Ok(())
}

/// The devices that every container has, and the binds that the caller asked for.
fn mount_all(container: &Container, root: &Path) -> io::Result<()> {
    const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];
    const LINKS: [(&str, &str); 4] = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    let dev = inside::locate(root, Path::new("dev"));
    fs::create_dir_all(&dev)?;
    mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID, Some(c"mode=755"))?;
    for device in DEVICES {
        bind(Path::new("/dev").join(device).as_path(), &dev.join(device))?;
    }
    for (name, target) in LINKS {
        std::os::unix::fs::symlink(target, dev.join(name))?;
    }
    for wanted in &container.mounts {
        let target: PathBuf = inside::locate(root, Path::new(&wanted.destination));
        bind(&wanted.source, &target)?;
        if wanted.read_only {
            mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c"")?;
        }
    }
    Ok(())
}

fn bind(source: &Path, target: &Path) -> io::Result<()> {
    if source.is_dir() {
        fs::create_dir_all(target)?;
    } else {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        File::options().create(true).append(true).open(target)?;
    }
    Ok(mount_bind_recursive(source, target)?)
}

/// A descriptor that becomes readable when the process ends.
pub(crate) fn end_of(pid: Pid) -> io::Result<OwnedFd> {
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}
