//! `pull_image`: what a real registry sends and refuses, what a broken one does, and that nothing
//! of a pull stays.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_process::procfs;
use rt_protocol::{
    CancelToken, ContainerRuntime, Error, ErrorKind, ImageExt, ImageId, ImageRef, PullOptions, PullProgress,
    RegistryCredentials, Result, Until,
};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::registry::stub::{ANSWERS, StubRegistry};
use rt_tests::registry::{Access, PASSWORD, Registry, USER};
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::proxy::{Cut, Direction, Fault, FaultProxy, TrafficMode};
use rt_tokio::AsyncRuntime;

use crate::case::{Case, Outcome, Problem};
use crate::interrupter::{SIGNALS, send};
use crate::processes::find;
use crate::warm_container::wait_until;

pub(crate) const CASES: &[Case] = &[
    ("pulls: 401, 403, 404, 500, 503 and silence are told apart", kinds),
    ("pulls: a busy registry is waited for until the deadline", busy),
    ("pulls: a client that somebody ends is never a success", interrupted),
];

/// With a real registry.
pub(crate) const REAL_CASES: &[Case] = &[
    ("pulls: every layer is reported, and the id is podman's", progress),
    ("pulls: a password or an auth file opens what is private", password),
    ("pulls: a password is in no command line, variable or file", hidden),
    ("pulls: a transfer that breaks is tried again, and then an error", broken),
    ("pulls: a transfer that stalls ends by the deadline, and leaves nothing", stalled),
    ("pulls: a panic of the caller and a dropped stream end podman", dropped),
];

fn minute() -> Until {
    Until::after(Duration::from_secs(60))
}

fn insecure() -> PullOptions {
    PullOptions::new().insecure()
}

/// An image of this case's own in a registry. Its name and its layers go with it, after a panic
/// too.
struct Pulled<'a> {
    live: &'a Live,
    name: ImageRef,
}

impl<'a> Pulled<'a> {
    fn new(live: &'a Live, address: SocketAddr, name: &str) -> std::result::Result<Self, Problem> {
        Ok(Self { live, name: ImageRef::new(format!("{address}/{name}"))? })
    }

    fn pull(&self, options: &PullOptions, until: &Until) -> (Result<ImageId>, Vec<PullProgress>) {
        let mut steps = Vec::new();
        let mut step = |step| steps.push(step);
        let answer = self.live.runtime.pull_image(&self.name, options, &mut step, until);
        (answer, steps)
    }

    fn refused(&self, options: &PullOptions, until: &Until) -> (Error, Vec<PullProgress>) {
        let (answer, steps) = self.pull(options, until);
        let error = answer.expect_err("no pull");
        assert!(error.to_string().contains(self.name.as_str()) && error.hint().is_some(), "{error}");
        assert!(
            !self.live.image_handle(&self.name).exists(minute()).expect("an answer"),
            "{} is here",
            self.name
        );
        (error, steps)
    }
}

impl Drop for Pulled<'_> {
    fn drop(&mut self) {
        let _removal = self.live.image_handle(&self.name).remove(&minute());
    }
}

/// Where podman stores what it has of a transfer.
fn blob_directories(live: &Live) -> std::result::Result<BTreeSet<PathBuf>, Problem> {
    let place = live.plain(&["info", "--format={{.Store.ImageCopyTmpDir}}"])?;
    let place = std::env::var("TMPDIR").unwrap_or_else(|_| place.trim().to_owned());
    let is_of_a_pull = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("rt-pull-") || name.starts_with("storage")
    };
    Ok(std::fs::read_dir(place)?.flatten().map(|entry| entry.path()).filter(is_of_a_pull).collect())
}

fn kinds(live: &Live) -> Outcome {
    for (ping, manifest, kind) in ANSWERS {
        let registry = StubRegistry::answering(ping, manifest)?;
        let image = Pulled::new(live, registry.address(), "some/denied-401:404")?;
        let (error, steps) = image.refused(&insecure(), &minute());
        assert_eq!(error.kind(), kind, "{ping}, {manifest}: {error}");
        assert!(matches!(&steps[0], PullProgress::Trying { image } if image.contains("denied-401:404")));
    }
    let cut = StubRegistry::cutting_manifests()?;
    let (error, _) = Pulled::new(live, cut.address(), "cut/manifest:1")?.refused(&insecure(), &minute());
    assert_eq!(error.kind(), ErrorKind::RegistryUnreachable, "{error}");
    // Nobody listens: podman tries again, and says why.
    let (error, steps) =
        Pulled::new(live, "127.0.0.1:1".parse()?, "no/one:1")?.refused(&insecure(), &minute());
    assert_eq!(error.kind(), ErrorKind::RegistryUnreachable, "{error}");
    let retries =
        |step: &PullProgress| matches!(step, PullProgress::Retrying { reason } if reason.contains("refused"));
    assert!(steps.iter().any(retries), "{steps:?}");
    // A registry without TLS is none, unless that is allowed.
    let plain = StubRegistry::serve(|_| "200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into())?;
    let (error, _) = Pulled::new(live, plain.address(), "no/tls:1")?.refused(&PullOptions::new(), &minute());
    assert_eq!(error.kind(), ErrorKind::RegistryUnreachable, "{error}");
    Ok(())
}

fn busy(live: &Live) -> Outcome {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let busy = StubRegistry::serve(|_| "429 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into())?;
    let before = blob_directories(live)?;
    for address in [silent.local_addr()?, busy.address()] {
        let image = Pulled::new(live, address, "some/image:1")?;
        let begun = Instant::now();
        let (error, steps) = image.refused(&insecure(), &Until::after(Duration::from_millis(1500)));
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        assert_eq!(steps.len(), 1, "{steps:?}");
    }
    assert_eq!(blob_directories(live)?, before);
    Ok(())
}

fn interrupted(live: &Live) -> Outcome {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let podman = live.podman.to_string_lossy().into_owned();
    let image = Pulled::new(live, silent.local_addr()?, "some/image:1")?;
    for signal in SIGNALS {
        let mut met = 0;
        let mut end_client = |_| {
            for pid in find(true, &[podman.as_str()]) {
                send(pid, signal);
                met += 1;
            }
        };
        let answer = live.runtime.pull_image(&image.name, &insecure(), &mut end_client, &minute());
        let error = answer.expect_err("no pull");
        assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{signal:?}: {error}");
        assert!(met > 0, "no client was met");
    }
    Ok(())
}

/// An image with layers that are nowhere else, in this registry.
fn push_much(live: &Live, registry: &Registry) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("head -c 3000000 /dev/urandom >/much")?.exit_ok()?;
    let made = ImageRef::new(format!("localhost/{}:much", sandbox.name))?;
    // Removed with its layers, so that a pull has to transfer them.
    let made = Pulled { live, name: made };
    live.plain(&["commit", "-q", sandbox.name.as_str(), made.name.as_str()])?;
    registry.push(live, &made.name, "some/image:one")
}

fn progress(live: &Live) -> Outcome {
    let registry = Registry::start(Access::Open)?;
    push_much(live, &registry)?;
    let image = Pulled::new(live, registry.address(), "some/image:one")?;
    let (answer, steps) = image.pull(&insecure(), &minute());
    let id = answer?;
    let plain =
        live.plain(&["image", "inspect", "--format={{.Id}} {{len .RootFS.Layers}}", image.name.as_str()])?;
    let layers: BTreeSet<_> = steps
        .iter()
        .filter_map(|step| match step {
            PullProgress::Layer { digest } => Some(digest.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(plain.trim(), format!("{id} {}", layers.len()), "{steps:?}");
    assert!(layers.len() > 1 && layers.iter().all(|digest| digest.starts_with("sha256:")), "{steps:?}");
    let config = PullProgress::Config { digest: format!("sha256:{id}") };
    assert_eq!(steps[steps.len() - 2..], [config, PullProgress::Storing]);
    let absent = Pulled::new(live, registry.address(), "some/image:two")?;
    let (error, _) = absent.refused(&insecure(), &minute());
    assert_eq!(error.kind(), ErrorKind::NoSuchImage, "{error}");
    Ok(())
}

fn password(live: &Live) -> Outcome {
    let registry = Registry::start(Access::Password)?;
    registry.push(live, &live.image, "some/image:one")?;
    let with =
        |password: &str| Ok::<_, Problem>(insecure().credentials(RegistryCredentials::new(USER, password)?));
    let from_file = |password: &str| Ok::<_, Problem>(insecure().auth_file(registry.auth_file(password)?));
    for denied in [insecure(), with("wrong")?, from_file("wrong")?] {
        let image = Pulled::new(live, registry.address(), "some/image:one")?;
        let (error, _) = image.refused(&denied, &minute());
        assert_eq!(error.kind(), ErrorKind::RegistryDenied, "{error}");
    }
    for served in [with(PASSWORD)?, from_file(PASSWORD)?] {
        let image = Pulled::new(live, registry.address(), "some/image:one")?;
        image.pull(&served, &minute()).0?;
    }
    let image = Pulled::new(live, registry.address(), "some/image:one")?;
    let (error, _) = image.refused(&insecure().auth_file("/no/such/auth.json"), &minute());
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    Ok(())
}

/// Whether these bytes are in the argv or the environment of any process of this machine.
fn is_shown(secret: &str) -> bool {
    let has = |bytes: Vec<u8>| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    procfs::snapshot().unwrap_or_default().into_iter().any(|entry| {
        let read = |name: &str| std::fs::read(format!("/proc/{}/{name}", entry.pid)).unwrap_or_default();
        has(read("cmdline")) || has(read("environ"))
    })
}

/// Whether a file below this directory has one of these texts.
fn is_written(directory: &Path, secrets: &[&str]) -> bool {
    std::fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let has = |secret: &&str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        secrets.iter().any(has) || entry.path().is_dir() && is_written(&entry.path(), secrets)
    })
}

fn hidden(live: &Live) -> Outcome {
    const SECRET: &str = "rt-hidden-password-5f2e";
    // user:password as HTTP and an auth file have it.
    const ENCODED: &str = "cnQ6cnQtaGlkZGVuLXBhc3N3b3JkLTVmMmU=";
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let image = Pulled::new(live, silent.local_addr()?, "some/image:one")?;
    let options = insecure().credentials(RegistryCredentials::new(USER, SECRET)?);
    let before = blob_directories(live)?;
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        let until = Until::cancelled(&token);
        let (image, options) = (&image, &options);
        let call = scope.spawn(move || image.pull(options, &until).0);
        wait_until("podman pulls", || !find(true, &["pull", "some/image:one"]).is_empty());
        for _ in 0..5 {
            assert!(!call.is_finished());
            assert!(!is_shown(SECRET) && !is_shown(ENCODED));
            for directory in blob_directories(live).expect("a directory").difference(&before) {
                assert!(!is_written(directory, &[SECRET, ENCODED]), "in {}", directory.display());
            }
        }
        token.cancel();
        let error = call.join().expect("no panic").expect_err("nobody answers");
        assert!(error.kind() == ErrorKind::Cancelled && !format!("{error:?}").contains(SECRET), "{error}");
    });
    Ok(())
}

fn broken(live: &Live) -> Outcome {
    let registry = Registry::start(Access::Password)?;
    push_much(live, &registry)?;
    let proxy = FaultProxy::start(registry.address())?;
    let image = Pulled::new(live, proxy.address(), "some/image:one")?;
    // podman reads the password again at each try.
    let options = insecure().credentials(RegistryCredentials::new(USER, PASSWORD)?);
    let before = blob_directories(live)?;
    for cut in [Cut::Close, Cut::Reset] {
        proxy.clear_faults();
        proxy.inject(Direction::ToClient, 300_000, Fault::Cut(cut));
        let (error, steps) = image.refused(&options, &minute());
        assert_eq!(error.kind(), ErrorKind::RegistryUnreachable, "{error}");
        assert!(steps.iter().any(|step| matches!(step, PullProgress::Layer { .. })), "{steps:?}");
        // An end that comes too early is no reason for podman to try again; a reset is.
        let retries = steps.iter().filter(|step| matches!(step, PullProgress::Retrying { .. })).count();
        assert!(cut == Cut::Close || retries > 0, "{steps:?}");
    }
    proxy.clear_faults();
    image.pull(&options, &minute()).0?;
    assert_eq!(blob_directories(live)?, before);
    Ok(())
}

fn stalled(live: &Live) -> Outcome {
    let registry = Registry::start(Access::Open)?;
    push_much(live, &registry)?;
    let proxy = FaultProxy::start(registry.address())?;
    let image = Pulled::new(live, proxy.address(), "some/image:one")?;
    let before = (blob_directories(live)?, Leftovers::now());
    for by_token in [false, true] {
        proxy.set(TrafficMode::Paced(200_000));
        let (sent, token) = (proxy.seen().to_client, CancelToken::new());
        let begun = Instant::now();
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                proxy.wait_until(|seen| seen.to_client > sent + 300_000);
                proxy.set(TrafficMode::Held);
                let running = blob_directories(live).expect("a directory");
                assert_eq!(running.difference(&before.0).count(), 1, "the directory of the pull");
                if by_token {
                    token.cancel();
                }
            });
            let limit = Until::after(Duration::from_secs(if by_token { 60 } else { 5 }));
            image.refused(&insecure(), &limit.or_cancelled(&token)).0
        });
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let expected = if by_token { ErrorKind::Cancelled } else { ErrorKind::TimedOut };
        assert_eq!(error.kind(), expected, "{error}");
        proxy.cut(Cut::Reset);
    }
    assert_eq!(blob_directories(live)?, before.0);
    proxy.set(TrafficMode::Pass);
    image.pull(&insecure(), &minute()).0?;
    drop(proxy);
    Ok(())
}

fn dropped(live: &Live) -> Outcome {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let image = Pulled::new(live, silent.local_addr()?, "some/image:one")?;
    let before = (blob_directories(live)?, Leftovers::now());
    let mut panics = |_| panic!("as the test asked");
    let call = || live.runtime.pull_image(&image.name, &insecure(), &mut panics, &minute());
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err(), "a panic of the caller goes on");
    Leftovers::check_against(&before.1)?;
    assert_eq!(blob_directories(live)?, before.0);

    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    executor.block_on(async {
        let runtime = AsyncRuntime::new(Arc::new(live.runtime.clone()));
        let mut pull = runtime.pull_image(&image.name, &insecure(), Duration::from_secs(60));
        let first = pull.next().await.expect("a step")?;
        assert!(matches!(first, PullProgress::Trying { .. }), "{first}");
        drop(pull);
        runtime.idle().await;
        Ok::<_, Problem>(())
    })?;
    drop(executor);
    Leftovers::check_against(&before.1)?;
    assert_eq!(blob_directories(live)?, before.0);
    Ok(())
}
