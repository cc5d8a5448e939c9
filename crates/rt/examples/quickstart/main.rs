//! A tour in eight steps: launch, captured output, a hundred commands, a conversation,
//! logs, files, a timeout, removal.
//!
//! `cargo run -p rt --example quickstart` needs nothing: it runs on the in-memory
//! backend, whose answers are in `rehearsal.rs`. `-- --backend podman [--image REF]` does
//! the same in a real container.

#[cfg(feature = "podman")]
#[path = "busybox_image.rs"]
mod busybox_image;
#[path = "rehearsal.rs"]
mod rehearsal;

use std::error::Error as StdError;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt::prelude::*;
use rt::{
    Backend, ContainerName, ContainerPath, CopyOptions, ErrorKind, ExecRequest,
    ExecStdio, LaunchSpec, LogOptions, Network, Sink, Source, Until,
};

type Outcome<T> = Result<T, Box<dyn StdError>>;

const USAGE: &str = "usage: quickstart [--backend null|podman] [--image REF]";

const MINUTE: Duration = Duration::from_secs(60);

/// The agent of step 4: answers each line.
const AGENT: &str = "while read -r line; do echo \"you said: $line\"; done";
/// The command of step 7. It would run for hours, and so would its child in the
/// background.
const SLEEPERS: &str = "sleep 4242 & exec sleep 4243";
/// Counts the processes that are left of it.
const COUNT_SLEEPERS: &str = "ps | grep -c '[s]leep 424[23]'; true";

fn main() -> ExitCode {
    match arguments().and_then(|(backend, image)| tour(backend, image)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Outcome<(Backend, Option<String>)> {
    let (mut backend, mut image) = (Backend::Null, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--backend" => backend = words.next().ok_or(USAGE)?.parse()?,
            "--image" => image = Some(words.next().ok_or(USAGE)?),
            _ => return Err(USAGE.into()),
        }
    }
    Ok((backend, image))
}

fn tour(backend: Backend, image: Option<String>) -> Outcome<()> {
    let stage = Stage::set(backend, image)?;
    let runtime = &stage.runtime;

    step(1, "launch a container");
    let spec = LaunchSpec::builder(stage.name.as_str(), &stage.image)
        // It ends and removes itself, even if this program is killed half-way.
        .command(["sh", "-c", "echo up; echo 'warming up' >&2; sleep 300"])
        .network(Network::None)
        .extra_args(if backend == Backend::Podman { vec!["--rm"] } else { vec![] })
        .build()?;
    let container = runtime.launch(&spec, MINUTE)?;
    say(&format!("{} is {}", stage.name, container.state(MINUTE)?.ok_or("absent")?));

    step(2, "run a command and capture its output");
    let request =
        ExecRequest::builder(["sh", "-c", "echo \"hello, $WHO\"; echo oops >&2; exit 3"])
            .env("WHO", "world")
            .build()?;
    let begun = Instant::now();
    let result = container.exec(&request, &Until::after(Duration::from_secs(30)))?;
    let first = begun.elapsed();
    say(&format!(
        "{}; stdout {:?}, stderr {:?}",
        result.outcome,
        result.stdout.text(),
        result.stderr.text()
    ));

    step(3, "run more commands, up to the hundredth");
    let last = run_up_to_hundredth(container.as_ref())?;
    if backend == Backend::Null {
        say("done; in memory nothing is started, so there is no time to tell");
    } else {
        say(&format!("the first took {first:.1?}, the hundredth {last:.1?}"));
    }

    step(4, "talk to a command");
    converse(container.as_ref())?;

    step(5, "read the log");
    let mut log = container.logs(&LogOptions::new(), &MINUTE.into())?;
    for line in log.iter(MINUTE) {
        let line = line?;
        say(&format!("{:?}: {}", line.stream, line.text()));
    }
    log.close()?;

    step(6, "copy a file in, with its missing directories");
    let file = std::env::temp_dir().join(format!("{}.txt", stage.name));
    std::fs::write(&file, "from the host\n")?;
    let place = ContainerPath::new("/tmp/new/dir/note.txt")?;
    let copied = container.copy_in(
        &file,
        &place,
        &CopyOptions::new().create_parents(),
        &Until::after(Duration::from_secs(30)),
    );
    std::fs::remove_file(&file)?;
    copied?;
    let note = runtime
        .exec_in(stage.name.as_str(), ["cat", "/tmp/new/dir/note.txt"], MINUTE)?
        .exit_ok()?;
    say(&format!("{place}: {:?}", note.stdout.text()));

    step(7, "give a command one second, and see what became of it");
    let sleepers = ExecRequest::new(["sh", "-c", SLEEPERS])?;
    match container.exec(&sleepers, &Until::after(Duration::from_secs(1))) {
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            say(&error.to_string());
            let report = error.kill_report().ok_or("no kill report")?;
            say(&format!(
                "{:?}; processes ended: {}; it took {:.1?}",
                report.outcome, report.killed, report.elapsed
            ));
        }
        other => return Err(format!("the command was to time out: {other:?}").into()),
    }
    let count = runtime
        .exec_in(stage.name.as_str(), ["sh", "-c", COUNT_SLEEPERS], MINUTE)?
        .exit_ok()?;
    say(&format!("counted inside: {} left", count.stdout.text().trim()));

    step(8, "remove it");
    for result in runtime.force_remove(std::slice::from_ref(&stage.name), &MINUTE.into())
    {
        say(&format!(
            "{}: {}",
            result.name,
            if result.removed { "removed" } else { "still there" }
        ));
        result.error.map_or(Ok(()), Err)?;
    }
    say(&format!("its state now: {:?}", container.state(MINUTE)?));
    Ok(())
}

/// Returns the time that the hundredth command takes.
fn run_up_to_hundredth(container: &dyn Container) -> Outcome<Duration> {
    let request = ExecRequest::new(["true"])?;
    let mut last = Duration::ZERO;
    for _ in 2..=100 {
        let begun = Instant::now();
        container.exec(&request, &MINUTE.into())?.exit_ok()?;
        last = begun.elapsed();
    }
    Ok(last)
}

/// Sends two messages over an open stream, each after the answer to the previous one.
fn converse(container: &dyn Container) -> Outcome<()> {
    let (ours, theirs) = UnixStream::pair()?;
    let agent = ExecRequest::new(["sh", "-c", AGENT])?;
    std::thread::scope(|scope| {
        let bridge = scope.spawn(move || {
            let reading = theirs.try_clone().map_err(|error| {
                rt::Error::new(ErrorKind::System, "bridge", error.to_string())
            })?;
            let stdio =
                ExecStdio::new(Source::descriptor(reading), Sink::descriptor(theirs));
            container.exec_stdio(&agent, stdio, &Until::after(Duration::from_secs(30)))
        });
        let mut answers = BufReader::new(&ours);
        for message in ["ping", "pong"] {
            let sent = Instant::now();
            writeln!(&ours, "{message}")?;
            let mut answer = String::new();
            answers.read_line(&mut answer)?;
            say(&format!(
                "{message} -> {:?} after {:.0?}",
                answer.trim_end(),
                sent.elapsed()
            ));
        }
        ours.shutdown(std::net::Shutdown::Write)?;
        let result = bridge.join().map_err(|_| "the bridge panicked")??;
        say(&format!(
            "{}; {} bytes in, {} bytes out",
            result.outcome, result.stdin.bytes, result.stdout.bytes
        ));
        Ok(())
    })
}

/// The runtime and image of the tour. What it made is removed when it is dropped.
struct Stage {
    runtime: Arc<dyn ContainerRuntime>,
    name: ContainerName,
    image: String,
    own_image: Option<rt::ImageRef>,
}

impl Stage {
    fn set(backend: Backend, image: Option<String>) -> Outcome<Self> {
        let name = ContainerName::new(format!("rt-quickstart-{}", std::process::id()))?;
        if backend == Backend::Null {
            println!("backend: null, which runs nothing (try -- --backend podman)");
            let image = image.unwrap_or_else(|| String::from("localhost/rehearsal"));
            return Ok(Self {
                runtime: rehearsal::runtime(name.as_str())?,
                name,
                image,
                own_image: None,
            });
        }
        let runtime = rt::open(backend)?;
        println!("backend: {}", runtime.id());
        if let Some(image) = image {
            return Ok(Self { runtime, name, image, own_image: None });
        }
        let own =
            rt::ImageRef::new(format!("localhost/rt-quickstart:{}", std::process::id()))?;
        import(&own)?;
        Ok(Self { runtime, name, image: own.to_string(), own_image: Some(own) })
    }
}

#[cfg(feature = "podman")]
fn import(reference: &rt::ImageRef) -> Outcome<()> {
    let busybox = busybox_image::find_static_busybox().ok_or(
        "no static BusyBox for an image: install busybox-static, or use --image REF",
    )?;
    println!(
        "image: {reference}, made from {} by `podman import`; removed at the end",
        busybox.display()
    );
    let archive = std::io::Cursor::new(busybox_image::archive(&busybox)?);
    let until = Until::from(MINUTE);
    rt::podman::PodmanRuntime::new()?.import_image(
        archive,
        reference,
        &[r#"CMD ["/bin/sh"]"#],
        &until,
    )?;
    Ok(())
}

#[cfg(not(feature = "podman"))]
fn import(_: &rt::ImageRef) -> Outcome<()> {
    Err("an image can only be made with the feature `podman`".into())
}

impl Drop for Stage {
    fn drop(&mut self) {
        let names = std::slice::from_ref(&self.name);
        for left in self.runtime.force_remove(names, &MINUTE.into()) {
            if let Some(error) = left.error {
                eprintln!("quickstart: {error}");
            }
        }
        if let Some(image) = &self.own_image
            && let Err(error) = self.runtime.image(image).remove(&MINUTE.into())
        {
            eprintln!("quickstart: {error}");
        }
    }
}

fn step(number: u32, what: &str) {
    println!("{number}. {what}");
}

fn say(text: &str) {
    println!("   {text}");
}
