//! The SSH laboratory itself: its guests are what they are said to be, and its proxy does the harm
//! that it is told to do. OpenSSH's own client asks; what rt-krun makes of these guests stands
//! elsewhere.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rt_process::ExitStatus;
use rt_protocol::Until;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::client::ssh;
use rt_tests::ssh_lab::container::{
    GuestImage, exec_beside, published_address, send_signal, wait_for_banner,
};
use rt_tests::ssh_lab::impostor::{Behaviour, Impostor};
use rt_tests::ssh_lab::key::KeyPair;
use rt_tests::ssh_lab::loopback::{Loopback, Settings};
use rt_tests::ssh_lab::machine::MachineFiles;
use rt_tests::ssh_lab::proxy::{Cut, Direction, Fault, FaultProxy, TrafficMode};
use tempfile::TempDir;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("lab: sshd on loopback serves root and dev, with a file tree of its own", loopback),
    ("lab: sshd on loopback can be frozen, killed and given another key, and nothing outlives it", faults),
    ("lab: sshd refuses who is not authorised, and sessions beyond its limit", refusals),
    ("lab: a container's sshd is reached through its published port", container),
    ("lab: the proxy delays, holds, swallows, garbles and cuts", proxy),
    ("lab: no impostor is taken for a server", impostors),
];

pub(crate) const MACHINE_CASES: &[Case] =
    &[("lab: podman exec lands beside the virtual machine, and SSH in it", machine)];

/// The client's own failure, as ssh(1) says.
const CLIENT_FAILED: Option<ExitStatus> = Some(ExitStatus::Code(255));

fn loopback(live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let guest = Loopback::start(live.sshd()?, &identity, Settings::default())?;
    for (user, home) in [("root", "/root"), ("dev", "/home/dev")] {
        let script = "id -un; pwd; echo $$ > mine; cd /workspace; pwd; hostname >/dev/null; exit 7";
        let said = ssh(guest.address(), user, &identity, guest.host_key(), script)?;
        assert_eq!(said.status, Some(ExitStatus::Code(7)), "{}", said.stderr_capture.text());
        assert_eq!(said.stdout_capture, format!("{user}\n{home}\n/workspace\n").as_str());
        assert!(guest.inside(home).join("mine").exists());
    }
    // What it lends of this machine is not the guest's to change.
    let script = "touch /usr/mine || touch /etc/alternatives/mine || cat /etc/hostname";
    let said = ssh(guest.address(), "root", &identity, guest.host_key(), script)?;
    assert_eq!(said.status, Some(ExitStatus::Code(1)));
    assert!(guest.log()?.contains("Accepted publickey for dev"));
    Ok(())
}

fn faults(live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let mut guest = Loopback::start(live.sshd()?, &identity, Settings::default())?;
    assert_eq!((guest.processes().len(), guest.sessions().len()), (1, 0));
    let (address, first_key) = (guest.address(), guest.host_key().clone());
    std::thread::scope(|scope| {
        let client = |script: &'static str| {
            let (identity, key) = (&identity, &first_key);
            scope.spawn(move || ssh(address, "dev", identity, key, script))
        };
        let frozen = client("touch /tmp/here; sleep 1; echo thawed");
        wait_for("the command runs", || guest.inside("/tmp/here").exists());
        assert!(guest.sessions().len() >= 2, "{:?}", guest.sessions());
        guest.freeze();
        // Longer than the command would take.
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!frozen.is_finished());
        guest.thaw();
        let said = frozen.join().expect("no panic").expect("an answer");
        assert_eq!(said.stdout_capture, "thawed\n");

        let killed = client("touch /tmp/there; sleep 600");
        wait_for("the command runs", || guest.inside("/tmp/there").exists());
        guest.kill_sessions();
        let said = killed.join().expect("no panic").expect("an answer");
        assert_eq!(said.status, CLIENT_FAILED);
    });
    guest.change_host_key()?;
    guest.restart(Settings::default())?;
    assert_eq!(guest.address(), address);
    assert_ne!(guest.host_key().fingerprint()?, first_key.fingerprint()?);
    let said = ssh(address, "dev", &identity, &first_key, "true")?;
    assert_eq!(said.status, CLIENT_FAILED);
    assert!(said.stderr_capture.text().contains("REMOTE HOST IDENTIFICATION HAS CHANGED"));
    assert_eq!(ssh(address, "dev", &identity, guest.host_key(), "true")?.status, Some(ExitStatus::Code(0)));
    let left = guest.processes();
    guest.stop();
    assert!(TcpStream::connect(address).is_err());
    for process in left {
        assert_ne!(rt_process::procfs::entry(process.pid)?, Some(process));
    }
    Ok(())
}

fn refusals(live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let mut guest = Loopback::start(live.sshd()?, &identity, Settings::default())?;
    guest.authorize(&[])?;
    let said = ssh(guest.address(), "dev", &identity, guest.host_key(), "true")?;
    assert!(said.stderr_capture.text().contains("Permission denied (publickey)"));
    guest.authorize(&[&identity])?;
    guest.restart(Settings { max_sessions: 0, ..Settings::default() })?;
    let said = ssh(guest.address(), "dev", &identity, guest.host_key(), "true")?;
    assert_eq!(said.status, CLIENT_FAILED);
    assert!(said.stderr_capture.text().contains("open failed"), "{}", said.stderr_capture.text());
    Ok(())
}

fn container(live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let image = GuestImage::import(live, live.sshd()?, &identity)?;
    let sandbox = Sandbox::launch(&live.runtime, image.spec()?)?;
    let address = published_address(sandbox.container.as_ref())?;
    wait_for_banner(address)?;
    for user in ["root", "dev"] {
        let said =
            ssh(address, user, &identity, image.host_key(), "id -un; ls /; touch /workspace/$(id -u)")?;
        let text = said.stdout_capture.text().into_owned();
        assert!(text.starts_with(&format!("{user}\n")) && text.contains("workspace"), "{said:?}");
        assert_eq!(said.status, Some(ExitStatus::Code(0)));
    }
    Ok(())
}

fn machine(live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let mut files = MachineFiles::make(live, live.machine()?, live.sshd()?, &identity)?;
    let sandbox = Sandbox::launch(&live.runtime, files.spec(live)?)?;
    let address = published_address(sandbox.container.as_ref())?;
    wait_for_banner(address)?;

    let beside = exec_beside(live, sandbox.container.as_ref(), ["uname", "-r"])?;
    let inside =
        ssh(address, "dev", &identity, files.host_key(), "uname -r; id -un; pwd; touch /workspace/mine")?;
    let inside = inside.stdout_capture.text().into_owned();
    assert!(inside.ends_with("-cloud-amd64\ndev\n/home/dev\n"), "{inside}");
    assert_ne!(inside.lines().next(), beside.lines().next());

    send_signal(live, sandbox.container.as_ref(), "STOP")?;
    assert!(silent_for(address, Duration::from_secs(1))?);
    send_signal(live, sandbox.container.as_ref(), "CONT")?;
    wait_for_banner(address)?;

    // The same container and port, and another machine in it.
    let first_key = files.host_key().clone();
    files.change_host_key()?;
    sandbox.container.stop(Duration::ZERO, &patience())?;
    sandbox.container.start(&patience())?;
    assert_eq!(published_address(sandbox.container.as_ref())?, address);
    wait_for_banner(address)?;
    assert_eq!(ssh(address, "dev", &identity, &first_key, "true")?.status, CLIENT_FAILED);
    assert_eq!(ssh(address, "dev", &identity, files.host_key(), "true")?.status, Some(ExitStatus::Code(0)));
    Ok(())
}

fn proxy(_live: &Live) -> Outcome {
    // A server that gives back what it gets.
    let echo = TcpListener::bind("127.0.0.1:0")?;
    let proxy = FaultProxy::start(echo.local_addr()?)?;
    let pair = || -> std::io::Result<_> {
        let client = TcpStream::connect(proxy.address())?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok((client, echo.accept()?.0))
    };
    let mut buffer = [0; 8];

    let (mut client, mut server) = pair()?;
    proxy.set(TrafficMode::Delayed(Duration::from_millis(200)));
    let begun = Instant::now();
    client.write_all(b"late")?;
    server.read_exact(&mut buffer[..4])?;
    assert!(begun.elapsed() >= Duration::from_millis(200) && &buffer[..4] == b"late");
    proxy.set(TrafficMode::Held);
    server.write_all(b"held")?;
    client.set_read_timeout(Some(Duration::from_millis(200)))?;
    assert!(client.read(&mut buffer).is_err());
    proxy.set(TrafficMode::Pass);
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.read_exact(&mut buffer[..4])?;
    assert_eq!(&buffer[..4], b"held");
    // The end of one direction passes too, and the other goes on.
    client.shutdown(std::net::Shutdown::Write)?;
    assert_eq!(server.read(&mut buffer)?, 0);
    server.write_all(b"more")?;
    client.read_exact(&mut buffer[..4])?;

    proxy.inject(Direction::ToServer, 3, Fault::Garble);
    proxy.inject(Direction::ToClient, 2, Fault::Cut(Cut::Reset));
    let (mut client, mut server) = pair()?;
    client.write_all(b"abcdefgh")?;
    server.read_exact(&mut buffer)?;
    assert_eq!(&buffer, b"abceefgh");
    server.write_all(b"12345")?;
    client.read_exact(&mut buffer[..2])?;
    assert_eq!(&buffer[..2], b"12");
    assert!(
        matches!(client.read(&mut buffer), Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
    );

    proxy.clear_faults();
    proxy.inject(Direction::ToServer, 2, Fault::Swallow);
    let (mut client, mut server) = pair()?;
    client.write_all(b"xyz")?;
    server.read_exact(&mut buffer[..2])?;
    server.set_read_timeout(Some(Duration::from_millis(200)))?;
    assert!(server.read(&mut buffer).is_err());
    proxy.cut(Cut::Close);
    assert_eq!(client.read(&mut buffer)?, 0);
    assert!(proxy.wait_until(|seen| seen.ended == 3), "{proxy:?}");
    assert_eq!(proxy.seen().accepted, 3);
    Ok(())
}

fn impostors(_live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    let key = KeyPair::generate(keys.path())?;
    // The client waits for the others as long as it is let.
    for manners in [Behaviour::Garbage, Behaviour::EndlessLines, Behaviour::HangsUp, Behaviour::HugePacket] {
        let impostor = Impostor::start(manners)?;
        let said = ssh(impostor.address(), "dev", &key, &key, "true")?;
        assert_eq!(said.status, CLIENT_FAILED, "{manners:?}");
    }
    let impostor = Impostor::start(Behaviour::Silent)?;
    assert!(silent_for(impostor.address(), Duration::from_millis(200))?);
    let impostor = Impostor::start(Behaviour::Stuck)?;
    assert!(!silent_for(impostor.address(), Duration::from_millis(200))?);
    Ok(())
}

fn patience() -> Until {
    Until::after(Duration::from_secs(60))
}

/// Whether a new connection hears nothing for so long.
fn silent_for(address: SocketAddr, time: Duration) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(time))?;
    Ok(stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock))
}

fn wait_for(what: &str, happened: impl Fn() -> bool) {
    let patience = patience();
    while !happened() {
        assert!(patience.sleep(Duration::from_millis(5)).is_ok(), "it does not happen that {what}");
    }
}
