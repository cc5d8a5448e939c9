//! Hostile and odd input: nothing is read as an option, another container, or a shell word.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rt_protocol::{
    ContainerExt, ContainerName, ContainerRuntime, ContainerRuntimeExt, ErrorKind, ExecRequest, NamePrefix,
    Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("misuse: words arrive as they were given", words),
    ("misuse: bytes that podman would change are refused", bytes),
    ("misuse: a name that begins an id is not that container", id_prefix),
    ("misuse: a prefix is text and not a pattern", prefix),
    ("misuse: a word of 200 KiB is refused with its reason", long_word),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

fn words(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let odd = [
        "-i",
        "--",
        "--help",
        "$(id)",
        "; rm -rf /",
        "a b",
        "",
        "\n",
        "`id`",
        "'",
        "\"",
        "*",
        "ü",
        "-e",
        "A=b",
    ];
    let mut argv = vec!["sh", "-c", "for word; do printf '<%s>' \"$word\"; done", "sh"];
    argv.extend(odd);
    let result = sandbox.container.exec(&ExecRequest::new(argv)?, &until())?;
    let expected = format!("<{}>", odd.join("><"));
    assert_eq!(result.stdout, expected.as_str());
    // The first word is the command whatever it looks like.
    for program in ["-x", "--help", "A=b", "--"] {
        let error = sandbox.container.exec(&ExecRequest::new([program])?, &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{program}: {error}");
    }
    Ok(())
}

fn bytes(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let request = ExecRequest::new([OsString::from("echo"), OsString::from_vec(vec![0xff, b'x'])])?;
    let error = sandbox.container.exec(&request, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    Ok(())
}

fn id_prefix(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let id = sandbox.container.id(Until::forever())?.ok_or("no id")?;
    for length in [1, 4, 12, 64] {
        let name = ContainerName::new(&id.as_str()[..length])?;
        let stranger = live.runtime.container(&name);
        assert_eq!(stranger.inspect(&Until::forever())?, None, "{name}");
        let error = stranger.exec(&ExecRequest::new(["true"])?, &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error}");
        let results = live.runtime.force_remove(std::slice::from_ref(&name), &until());
        assert!(results[0].removed);
    }
    assert!(sandbox.container.running(Until::forever())?);
    // A container whose name looks like an id is found by its name.
    let name = format!("c0ffee{:x}", std::process::id());
    let spec = rt_protocol::LaunchSpec::builder(name, live.image.as_str())
        .network(rt_protocol::Network::None)
        .command(["sleep", "777777"]);
    let named = Sandbox::launch(&live.runtime, spec)?;
    assert!(named.sh("true")?.success());
    assert!(named.container.running(Until::forever())?);
    named.remove();
    assert_eq!(named.container.state(Until::forever())?, None);
    Ok(())
}

fn prefix(live: &Live) -> Outcome {
    let family = Sandbox::fresh_name();
    let make = |name: String| {
        let spec =
            rt_protocol::LaunchSpec::builder(name, live.image.as_str()).network(rt_protocol::Network::None);
        Sandbox::create(&live.runtime, spec)
    };
    let _members = [make(format!("{family}.x-1"))?, make(format!("{family}.x-2"))?];
    let _strangers =
        [make(format!("{family}.x2-1"))?, make(format!("{family}ax-1"))?, make(format!("a{family}.x-1"))?];
    let prefix = NamePrefix::new(format!("{family}.x"))?;
    let mut names: Vec<_> = live
        .runtime
        .containers_with_prefix(&prefix, Until::forever())?
        .iter()
        .map(|found| found.key().name.to_string())
        .collect();
    names.sort();
    assert_eq!(names, [format!("{family}.x-1"), format!("{family}.x-2")]);
    assert_eq!(live.runtime.states(&prefix, Until::forever())?.len(), 2);
    Ok(())
}

fn long_word(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let error =
        sandbox.container.exec(&ExecRequest::new(["echo", &"x".repeat(200 << 10)])?, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    Ok(())
}
