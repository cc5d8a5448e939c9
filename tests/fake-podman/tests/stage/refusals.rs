//! Refusals as each version words them, by asking for what cannot be had.

use std::net::TcpListener;
use std::time::Duration;

use rt_protocol::{
    BindMount, Container, ContainerExt, ContainerName, ContainerPath, ContainerRuntime, ContainerRuntimeExt,
    CopyOptions, ErrorKind, ExecRequest, ImageExt, LaunchSpec, LaunchSpecBuilder, OciRuntime, PortMapping,
    PullPolicy, Until,
};

use crate::Case;
use crate::engine::{Engine, patience};

pub(crate) const CASES: &[Case] = &[
    ("refusals: commands that cannot be run have each its kind", commands),
    ("refusals: who is not there and who does not run", containers),
    ("refusals: a paused container says so to every verb, and how to go on", paused),
    ("refusals: launches that fail have each its kind", launches),
    ("refusals: images that are not here", images),
    ("refusals: copies that have no place", copies),
    ("refusals: a microVM is entered by nobody", microvm),
    ("refusals: a name of hexadecimal digits is no beginning of an id", names_like_ids),
    ("refusals: no flag is used that this version does not have", flags),
];

fn exec_kind(container: &dyn Container, request: ExecRequest) -> ErrorKind {
    let error = container.exec(&request, &patience()).unwrap_err();
    assert!(error.never_started(), "{error:?}");
    error.kind()
}

fn commands(engine: &Engine) {
    let container = engine.running("c");
    let plain = |words: &[&str]| exec_kind(&*container, ExecRequest::new(words.iter().copied()).unwrap());
    assert_eq!(plain(&["nosuchcmd"]), ErrorKind::CommandNotFound);
    assert_eq!(plain(&["/nosuch/cmd"]), ErrorKind::CommandNotFound);
    assert_eq!(plain(&["--", "true"]), ErrorKind::CommandNotFound);
    assert_eq!(plain(&["/etc/passwd"]), ErrorKind::CommandNotExecutable);
    assert_eq!(plain(&["/etc"]), ErrorKind::CommandNotExecutable);
    let request = ExecRequest::builder(["true"]).workdir("/nosuch").build().unwrap();
    assert_eq!(exec_kind(&*container, request), ErrorKind::BadWorkdir);
    for user in ["nosuch", "dev:nosuch"] {
        let request = ExecRequest::builder(["true"]).user(user).build().unwrap();
        assert_eq!(exec_kind(&*container, request), ErrorKind::UnknownUser, "{user}");
    }
}

fn containers(engine: &Engine) {
    let request = || ExecRequest::new(["true"]).unwrap();
    let absent = engine.runtime().container(&ContainerName::new("absent").unwrap());
    assert_eq!(exec_kind(&*absent, request()), ErrorKind::NoSuchContainer);
    assert_eq!(absent.start(&patience()).unwrap_err().kind(), ErrorKind::NoSuchContainer);
    assert_eq!(absent.wait(&patience()).unwrap_err().kind(), ErrorKind::NoSuchContainer);
    assert_eq!(absent.inspect(&Until::forever()).unwrap(), None);
    let made = engine.created("c");
    assert_eq!(exec_kind(&*made, request()), ErrorKind::NotRunning);
    made.start(&patience()).unwrap();
    // Its name is known, and it is gone: podman itself has to say so now.
    made.exec(&request(), &patience()).unwrap().exit_ok().unwrap();
    assert_eq!(engine.ask(&["rm", "--force", "--time=0", "c"]).0, 0);
    assert_eq!(exec_kind(&*made, request()), ErrorKind::NoSuchContainer);
}

fn paused(engine: &Engine) {
    let container = engine.running("c");
    container.pause(&patience()).unwrap();
    let refusing = |verb: &str| {
        let words = "Error: c must be in another state: container state improper";
        engine.faulty(&format!("{verb}:fail=125:{words}")).container(&ContainerName::new("c").unwrap())
    };
    for error in [
        container.exec(&ExecRequest::new(["true"]).unwrap(), &patience()).unwrap_err(),
        refusing("start").start(&patience()).unwrap_err(),
        refusing("stop").stop(Duration::ZERO, &patience()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Paused, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("podman unpause c")), "{error}");
    }
    container.unpause(&patience()).unwrap();
}

fn start_kind(engine: &Engine, how: impl FnOnce(LaunchSpecBuilder) -> LaunchSpecBuilder) -> ErrorKind {
    let spec = how(engine.spec("failing")).build().unwrap();
    let kind = engine.runtime().launch(&spec, patience()).unwrap_err().kind();
    // What a launch made it removes.
    assert_eq!(engine.runtime().container(spec.name()).inspect(&Until::forever()).unwrap(), None);
    kind
}

fn launches(engine: &Engine) {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let kinds = [
        (start_kind(engine, |spec| spec.command(["nosuchcmd"])), ErrorKind::CommandNotFound),
        (start_kind(engine, |spec| spec.command(["/etc"])), ErrorKind::CommandNotExecutable),
        (start_kind(engine, |spec| spec.workdir("/nosuch")), ErrorKind::BadWorkdir),
        (start_kind(engine, |spec| spec.user("nosuch")), ErrorKind::UnknownUser),
        (start_kind(engine, |spec| spec.port(PortMapping::on_loopback(port, 80))), ErrorKind::PortInUse),
        (
            start_kind(engine, |spec| spec.mount(BindMount::read_only("/nosuch/source", "/x").unwrap())),
            ErrorKind::NoSuchPath,
        ),
        (start_kind(engine, |spec| spec.init(true)), ErrorKind::BackendFailed),
    ];
    for (kind, expected) in kinds {
        assert_eq!(kind, expected);
    }
    let owner = engine.created("owner");
    let spec = engine.spec("owner").build().unwrap();
    let error = engine.runtime().launch(&spec, patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NameInUse, "{error}");
    assert!(owner.inspect(&Until::forever()).unwrap().is_some(), "the owner of the name is gone");
}

fn images(engine: &Engine) {
    let runtime = engine.runtime();
    let kind = |image: &str, pull: PullPolicy| {
        let spec = LaunchSpec::builder("c", image).pull(pull).build().unwrap();
        runtime.create(&spec, &patience()).unwrap_err().kind()
    };
    assert_eq!(kind("localhost/nosuch", PullPolicy::Never), ErrorKind::NoSuchImage);
    // The registry of this name is a port that nobody listens on.
    assert_eq!(kind("localhost/nosuch", PullPolicy::Missing), ErrorKind::RegistryUnreachable);
    assert_eq!(kind("nosuch", PullPolicy::Missing), ErrorKind::NoSuchImage);
    let absent = runtime.image(&rt_protocol::ImageRef::new("localhost/nosuch").unwrap());
    assert!(!absent.exists(Until::forever()).unwrap());
    assert_eq!(absent.history(&Until::forever()).unwrap(), None);
}

fn copies(engine: &Engine) {
    let container = engine.created("c");
    let file = engine.directory().join("file");
    std::fs::write(&file, "x").unwrap();
    let options = CopyOptions::new();
    let copy = |container: &dyn Container, dest: &str| {
        let dest = ContainerPath::new(dest).unwrap();
        container.copy_in(&file, &dest, &options, &patience()).map_err(|error| error.kind())
    };
    assert_eq!(copy(&*container, "/tmp/x"), Ok(()));
    assert_eq!(copy(&*container, "/no/such/x"), Err(ErrorKind::NoSuchPath));
    let absent = engine.runtime().container(&ContainerName::new("absent").unwrap());
    assert_eq!(copy(&*absent, "/tmp/x"), Err(ErrorKind::NoSuchContainer));
    let missing = ContainerPath::new("/nosuch").unwrap();
    let error = container.copy_out(&missing, &file, &options, &patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
}

fn microvm(engine: &Engine) {
    let spec = engine.spec("vm").oci_runtime(OciRuntime::new("krun").unwrap()).build().unwrap();
    let container = engine.runtime().launch(&spec, patience()).unwrap();
    let request = ExecRequest::new(["true"]).unwrap();
    assert_eq!(exec_kind(&*container, request), ErrorKind::Unsupported);
    assert!(!engine.calls().iter().any(|call| call.contains(&String::from("exec"))), "podman was asked");
}

fn names_like_ids(engine: &Engine) {
    let container = engine.running("c");
    let id = container.id(Until::forever()).unwrap().unwrap();
    let beginning = ContainerName::new(&id.as_str()[..6]).unwrap();
    // podman itself takes it for the container.
    assert_eq!(engine.ask(&["exec", beginning.as_str(), "true"]).0, 0);
    let handle = engine.runtime().container(&beginning);
    assert_eq!(handle.inspect(&Until::forever()).unwrap(), None);
    assert_eq!(exec_kind(&*handle, ExecRequest::new(["true"]).unwrap()), ErrorKind::NoSuchContainer);
    assert!(engine.runtime().force_remove(&[beginning], &patience())[0].removed);
    assert!(container.running(Until::forever()).unwrap(), "another container was removed");
}

/// Every verb once. A flag that the version lacks is refused, and the refusal would be an error
/// here.
fn flags(engine: &Engine) {
    let runtime = engine.runtime();
    let spec = engine
        .spec("c")
        .env("A", "b")
        .secret_env("TOKEN", "hunter2")
        .label("k", "v")
        .annotation("run.oci.x", "1")
        .port(PortMapping::any_port_on_loopback(80))
        .mount(BindMount::read_only("/etc", "/mnt/etc").unwrap())
        .memory(64 << 20)
        .milli_cpus(1500)
        .network(rt_protocol::Network::Named(rt_protocol::NetworkName::new("podman").unwrap()))
        .user("dev")
        .workdir("/tmp")
        .build()
        .unwrap();
    let container = runtime.launch(&spec, patience()).unwrap();
    let request = ExecRequest::builder(["sh", "-c", "echo $A $TOKEN $(id -u) $(pwd)"])
        .env("B", "c")
        .secret_env("OTHER", "hunter3")
        .user("1000:1000")
        .workdir("/tmp")
        .build()
        .unwrap();
    let result = container.exec(&request, &patience()).unwrap();
    assert_eq!(result.stdout.text(), "b hunter2 1000 /tmp\n", "{result:?}");
    assert_eq!(container.ports(Until::forever()).unwrap().unwrap().len(), 1);
    assert!(container.rw_size(&Until::forever()).unwrap().is_some());
    let options =
        rt_protocol::LogOptions::new().tail(1).timestamps().since(std::time::SystemTime::UNIX_EPOCH);
    container.logs(&options, &Until::forever()).unwrap().close().unwrap();
    container.stop(Duration::from_secs(5), &patience()).unwrap();
    let _ = container.wait(&patience()).unwrap();
    runtime.rw_sizes(&rt_protocol::NamePrefix::new("c").unwrap(), &Until::forever()).unwrap();
    runtime.images(&rt_protocol::ImageFilter::all(), &Until::forever()).unwrap();
    for result in runtime.force_remove(&[spec.name().clone()], &patience()) {
        assert!(result.removed, "{result:?}");
    }
    // No secret in any word that podman was given.
    for call in engine.calls() {
        assert!(!call.iter().any(|word| word.contains("hunter")), "{call:?}");
    }
}
