//! `podman create`: from the words of a call to a container that is made and not started. The
//! values of its flags are read in [`value`].

mod value;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::Container;
use crate::health_check::HealthCheck;
use crate::image::{Image, whole_name};
use crate::images;
use crate::store::{Lock, random_id};
use crate::{archive, event, time};

/// Flags that are taken and change nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "add-host",
    "cap-add",
    "cap-drop",
    "cgroups",
    "detach",
    "dns",
    // Nothing runs a check by itself here.
    "health-interval",
    "health-retries",
    "health-start-period",
    "health-timeout",
    "hostname",
    "http-proxy",
    "interactive",
    "pids-limit",
    "quiet",
    "read-only",
    "read-only-tmpfs",
    "security-opt",
    "shm-size",
    "stop-timeout",
    "ulimit",
];

/// Flags that are played.
const PLAYED: &[&str] = &[
    "annotation",
    "cpus",
    "device",
    "entrypoint",
    "env",
    "env-file",
    "health-cmd",
    "init",
    "label",
    "log-driver",
    "memory",
    "mount",
    "name",
    "network",
    "publish",
    "pull",
    "restart",
    "rm",
    "rootfs",
    "stop-signal",
    "user",
    "volume",
    "workdir",
];

pub(crate) fn create(call: &Call) -> Reply {
    Ok(Answer::out(format!("{}\n", make(call)?)))
}

/// Makes the container and gives its id.
pub(crate) fn make(call: &Call) -> Result<String, Answer> {
    let words = &call.words;
    if let Some(flag) = words.names().find(|name| !PLAYED.contains(name) && !WITHOUT_EFFECT.contains(name)) {
        return Err(Answer::own(format!("it does not play --{flag} of create")));
    }
    let [source, command @ ..] = &words.operands[..] else {
        return Err(call.profile.refusal("create-nothing", &[]));
    };
    if words.has("rm") && words.value("restart").is_some_and(|policy| policy != "no") {
        return Err(call.profile.refusal("create-rm-restart", &[]));
    }
    let image = if words.has("rootfs") { None } else { Some(image_of(call, source)?) };
    let mut container = describe(call, image.as_ref())?;
    if let Some(image) = &image {
        container.image_id.clone_from(&image.id);
        container.image_name = image
            .names
            .iter()
            .find(|name| **name == whole_name(source))
            .or(image.names.first())
            .cloned()
            .unwrap_or_default();
    } else {
        container.rootfs = Some(PathBuf::from(source));
    }
    let entrypoint = words.value("entrypoint").filter(|text| !text.is_empty());
    let entrypoint = entrypoint.map_or(Ok(Vec::new()), serde_json::from_str::<Vec<String>>)?;
    container.command = if command.is_empty() && entrypoint.is_empty() {
        image.as_ref().map(|image| image.command.clone()).unwrap_or_default()
    } else {
        [entrypoint.as_slice(), command].concat()
    };
    if container.command.is_empty() {
        return Err(call.profile.refusal("create-no-command", &[]));
    }
    if words.has("init") {
        // As on the hosts of the recordings, which had none.
        return Err(call.profile.refusal("create-no-init", &[]));
    }
    unpack(call, &container)?;
    let lock = call.store.lock()?;
    container.created = time::now();
    let made = claim_name(call, &lock, &mut container)
        .and_then(|()| Ok(call.store.save(&lock, &container)?))
        .and_then(|()| Ok(event::record(&call.store, &lock, &container, "create", None)?));
    if let Err(refusal) = made {
        fs::remove_dir_all(call.store.container_dir(&container.id))?;
        return Err(refusal);
    }
    Ok(container.id)
}

fn image_of(call: &Call, word: &str) -> Result<Image, Answer> {
    let lock = call.store.lock()?;
    if let Some(image) = images::find(&call.store, &lock, word)? {
        return Ok(image);
    }
    let name = whole_name(word);
    Err(match call.words.value("pull") {
        Some("never") => call.profile.refusal("create-no-image", &[("name", word)]),
        _ if word.contains('/') => call.profile.refusal("create-no-registry", &[("name", &name)]),
        _ => call.profile.refusal("create-short-name", &[("name", word)]),
    })
}

/// Takes the name, or a fresh one. Late, as podman does it: the storage has been made by then.
fn claim_name(call: &Call, lock: &Lock, container: &mut Container) -> Result<(), Answer> {
    if container.name.is_empty() {
        container.name = format!("fake_{}", container.short_id());
    }
    let owner = call.store.containers(lock)?.into_iter().find(|other| other.name == container.name);
    owner.map_or(Ok(()), |owner| {
        Err(call.profile.refusal("create-name-in-use", &[("name", &owner.name), ("id", &owner.id)]))
    })
}

fn unpack(call: &Call, container: &Container) -> Result<(), Answer> {
    fs::create_dir_all(call.store.static_dir(&container.id))?;
    if container.rootfs.is_none() {
        let root = call.store.root(container);
        fs::create_dir_all(&root)?;
        archive::copy_tree(&call.store.image_dir(&container.image_id).join("root"), &root, true)?;
    }
    Ok(())
}

fn describe(call: &Call, image: Option<&Image>) -> Result<Container, Answer> {
    let words = &call.words;
    let name = words.value("name").unwrap_or_default();
    let good = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '.' | '-'));
    if words.value("name").is_some() && !good {
        return Err(call.profile.refusal("create-bad-name", &[]));
    }
    let text = |flag: &str, default: Option<&String>| {
        words.value(flag).map(str::to_owned).or_else(|| default.cloned()).unwrap_or_default()
    };
    let mut labels = image.map(|image| image.labels.clone()).unwrap_or_default();
    labels.extend(pairs(words.values("label")));
    let mut container = Container {
        id: random_id()?,
        name: name.to_owned(),
        env: environment(call, image)?,
        user: text("user", image.map(|image| &image.user)),
        workdir: text("workdir", image.map(|image| &image.workdir)),
        labels,
        annotations: pairs(words.values("annotation")).collect(),
        network: network(call)?,
        oci_runtime: call.oci_runtime.clone(),
        memory: words.value("memory").map_or(Ok(0), value::bytes)?,
        nano_cpus: words.value("cpus").map_or(Ok(0), value::nano_cpus)?,
        log_driver: words.value("log-driver").unwrap_or("k8s-file").to_owned(),
        auto_remove: words.has("rm"),
        stop_signal: words.value("stop-signal").and_then(|word| word.parse().ok()),
        health: words.value("health-cmd").map(HealthCheck::of),
        create_command: [&[String::from("podman")], &call.line[..]].concat(),
        ..Container::default()
    };
    if container.workdir.is_empty() {
        container.workdir = String::from("/");
    }
    for device in words.values("device") {
        if device.starts_with('/') {
            let source = device.split(':').next().unwrap_or(device);
            fs::metadata(source)
                .map_err(|_| call.profile.refusal("create-no-device", &[("path", source)]))?;
        } else {
            container.cdi_devices.push(device.to_owned());
        }
    }
    for mount in words.values("mount") {
        container.mounts.push(value::mount(call, mount)?);
    }
    for volume in words.values("volume") {
        container.mounts.push(value::volume(call, volume)?);
    }
    for publish in words.values("publish") {
        container.ports.push(value::publish(call, publish)?);
    }
    Ok(container)
}

fn pairs<'a>(words: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (String, String)> {
    words.map(|word| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    })
}

fn environment(call: &Call, image: Option<&Image>) -> Result<BTreeMap<String, String>, Answer> {
    let mut env = BTreeMap::from(
        [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("container", "podman")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    if call.profile.has("adds-term") {
        env.insert(String::from("TERM"), String::from("xterm"));
    }
    env.extend(image.iter().flat_map(|image| image.env.clone()));
    env.extend(given_variables(call)?);
    Ok(env)
}

/// The variables of `--env-file` and, on top of them, of `--env`. One without a value has that of
/// podman's own environment, or is left out.
pub(crate) fn given_variables(call: &Call) -> Result<Vec<(String, String)>, Answer> {
    let mut words = Vec::new();
    for path in call.words.values("env-file") {
        let text =
            fs::read_to_string(path).map_err(|_| call.profile.refusal("no-env-file", &[("path", path)]))?;
        let lines = text.lines().map(str::trim_start);
        words.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    }
    words.extend(call.words.values("env").map(str::to_owned));
    let variable = |word: String| match word.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => std::env::var_os(&word).map(|value| (word, value.to_string_lossy().into_owned())),
    };
    Ok(words.into_iter().filter_map(variable).collect())
}

fn network(call: &Call) -> Result<String, Answer> {
    let name = call.words.value("network").unwrap_or("bridge");
    match name {
        "none" | "host" | "bridge" | "podman" | "private" => Ok(name.to_owned()),
        _ => Err(call.profile.refusal("create-no-network", &[("name", name)])),
    }
}
