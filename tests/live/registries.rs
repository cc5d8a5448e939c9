//! Pulls: a real registry, one with a password, and what goes wrong on the way to one.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rt_protocol::{ContainerRuntime, Error, ErrorKind, ImageRef, LaunchSpec, PullPolicy, Result, Until};
use rt_tests::live::Live;
use rt_tests::registry::stub::{ANSWERS, StubRegistry};
use rt_tests::registry::{Access, PASSWORD, Registry};
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::proxy::{Cut, Direction, Fault, FaultProxy, TrafficMode};

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("registries: one that cannot be reached, one that denies and one without the image are three", kinds),
    ("registries: the end of a wait tells what a pull was about", pull_deadline),
];

/// With a real registry.
pub(crate) const REAL_CASES: &[Case] = &[
    ("registries: a real one serves what it has, and says what it has not", real),
    ("registries: a real one with a password lets in who says it", password),
    ("registries: a transfer that breaks or stalls is the registry's fault, in podman's words", broken),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

/// Pulls an image from there for a container, which is removed again.
fn pull(live: &Live, image: &str, args: &[&str], until: &Until) -> Result<()> {
    let spec = LaunchSpec::builder(Sandbox::fresh_name(), image).pull(PullPolicy::Always);
    let spec = spec.extra_args(["--tls-verify=false"]).extra_args(args.iter().copied()).command(["true"]);
    let container = live.runtime.create(&spec.build()?, until)?;
    let name = container.key().name.clone();
    assert!(live.runtime.force_remove(&[name], until)[0].removed);
    Ok(())
}

fn create(live: &Live, address: SocketAddr) -> Error {
    let limit = Until::after(Duration::from_secs(40));
    pull(live, &format!("{address}/some/denied-401:404"), &[], &limit).unwrap_err()
}

fn kinds(live: &Live) -> Outcome {
    for (ping, manifest, kind) in ANSWERS {
        let registry = StubRegistry::answering(ping, manifest)?;
        let error = create(live, registry.address());
        assert_eq!(error.kind(), kind, "{ping}, {manifest}: {error}");
        assert!(error.to_string().contains("some/denied-401") && error.hint().is_some(), "{error}");
    }
    let cut = StubRegistry::cutting_manifests()?;
    assert_eq!(create(live, cut.address()).kind(), ErrorKind::RegistryUnreachable);
    let error = create(live, "127.0.0.1:1".parse()?);
    assert!(error.kind() == ErrorKind::RegistryUnreachable && error.message().contains("refused"), "{error}");
    let spec = LaunchSpec::builder(Sandbox::fresh_name(), "nosuch.invalid/x").pull(PullPolicy::Missing);
    let error = live.runtime.create(&spec.command(["true"]).build()?, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RegistryUnreachable, "{error}");
    Ok(())
}

fn pull_deadline(live: &Live) -> Outcome {
    // Nobody answers; nobody is there; and it is not our turn: podman tries again after a while.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let busy = StubRegistry::serve(|_| "429 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into())?;
    for address in [silent.local_addr()?, "127.0.0.1:1".parse()?, busy.address()] {
        let image = format!("{address}/some/image");
        let error = pull(live, &image, &[], &Until::after(Duration::from_millis(1500))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.message().contains(&image), "{error}");
    }
    Ok(())
}

/// Removes what a pull has left in the store.
fn forget(live: &Live, image: &str) -> Outcome {
    live.plain(&["rmi", image])?;
    Ok(())
}

fn real(live: &Live) -> Outcome {
    let registry = Registry::start(Access::Open)?;
    registry.push(live, &live.image, "some/image:one")?;
    let image = |name: &str| format!("{}/{name}", registry.address());
    pull(live, &image("some/image:one"), &[], &until())?;
    forget(live, &image("some/image:one"))?;
    for absent in ["some/image:two", "no/image:one"] {
        let error = pull(live, &image(absent), &[], &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchImage, "{error}");
        assert!(error.to_string().contains("manifest unknown"), "{error}");
    }
    Ok(())
}

fn password(live: &Live) -> Outcome {
    let registry = Registry::start(Access::Password)?;
    registry.push(live, &live.image, "some/image:one")?;
    let image = format!("{}/some/image:one", registry.address());
    let pull_as = |password: &str| -> std::result::Result<Result<()>, crate::case::Problem> {
        let auth = format!("--authfile={}", registry.auth_file(password)?.display());
        Ok(pull(live, &image, &[&auth], &until()))
    };
    for error in [pull(live, &image, &[], &until()).unwrap_err(), pull_as("wrong")?.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::RegistryDenied, "{error}");
        assert!(error.to_string().contains("authentication required"), "{error}");
    }
    pull_as(PASSWORD)??;
    forget(live, &image)
}

fn broken(live: &Live) -> Outcome {
    let registry = Registry::start(Access::Open)?;
    // A layer that is nowhere else: podman gets what it has from nobody.
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("head -c 3000000 /dev/urandom >/much")?.exit_ok()?;
    let made = ImageRef::new(format!("localhost/{}:much", sandbox.name))?;
    live.plain(&["commit", "-q", sandbox.name.as_str(), made.as_str()])?;
    registry.push(live, &made, "some/image:one")?;
    forget(live, made.as_str())?;
    let proxy = FaultProxy::start(registry.address())?;
    let image = format!("{}/some/image:one", proxy.address());
    // In the middle of the layer, at every try.
    for cut in [Cut::Close, Cut::Reset] {
        proxy.clear_faults();
        proxy.inject(Direction::ToClient, 300_000, Fault::Cut(cut));
        let error = pull(live, &image, &[], &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RegistryUnreachable, "{error}");
    }
    proxy.clear_faults();
    proxy.set(TrafficMode::Paced(200_000));
    let before = proxy.seen().to_client;
    let begun = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            proxy.wait_until(|seen| seen.to_client > before + 300_000);
            proxy.set(TrafficMode::Held);
        });
        pull(live, &image, &[], &Until::after(Duration::from_secs(5))).unwrap_err()
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.message().contains(&image), "{error}");
    proxy.cut(Cut::Reset);
    proxy.set(TrafficMode::Pass);
    pull(live, &image, &[], &until())?;
    forget(live, &image)
}
