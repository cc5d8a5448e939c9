//! `podman create`: from the words of a call to a container that is made and not started.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use crate::answer::{Answer, Reply};
use crate::client::Call;
use crate::container::{BindMount, Container, Publish};
use crate::image::{self, Image};
use crate::store::{Lock, fresh_id};
use crate::{archive, event, time};

/// Flags that are taken and change nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "add-host",
    "cap-add",
    "cap-drop",
    "cgroups",
    "detach",
    "dns",
    "hostname",
    "http-proxy",
    "interactive",
    "pids-limit",
    "quiet",
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
    "env",
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
            .find(|name| **name == image::whole_name(source))
            .or(image.names.first())
            .cloned()
            .unwrap_or_default();
    } else {
        container.rootfs = Some(PathBuf::from(source));
    }
    container.command = if command.is_empty() {
        image.as_ref().map(|image| image.command.clone()).unwrap_or_default()
    } else {
        command.to_vec()
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
        .and_then(|()| Ok(event::note(&call.store, &lock, &container, "create", None)?));
    if let Err(refusal) = made {
        fs::remove_dir_all(call.store.container_dir(&container.id))?;
        return Err(refusal);
    }
    Ok(container.id)
}

fn image_of(call: &Call, word: &str) -> Result<Image, Answer> {
    let lock = call.store.lock()?;
    if let Some(image) = image::find(&call.store, &lock, word)? {
        return Ok(image);
    }
    let name = image::whole_name(word);
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
        let root = container.root(&call.store);
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
        id: fresh_id()?,
        name: name.to_owned(),
        env: environment(call, image),
        user: text("user", image.map(|image| &image.user)),
        workdir: text("workdir", image.map(|image| &image.workdir)),
        labels,
        annotations: pairs(words.values("annotation")).collect(),
        network: network(call)?,
        oci_runtime: call.oci_runtime.clone(),
        memory: words.value("memory").map_or(Ok(0), bytes)?,
        nano_cpus: words.value("cpus").map_or(Ok(0), nano_cpus)?,
        log_driver: words.value("log-driver").unwrap_or("k8s-file").to_owned(),
        auto_remove: words.has("rm"),
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
        container.mounts.push(bind(call, mount)?);
    }
    for volume in words.values("volume") {
        container.mounts.push(volume_bind(call, volume)?);
    }
    for publish in words.values("publish") {
        container.ports.push(published(call, publish)?);
    }
    Ok(container)
}

fn pairs<'a>(words: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (String, String)> {
    words.map(|word| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    })
}

fn environment(call: &Call, image: Option<&Image>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from(
        [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("container", "podman")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    if call.profile.has("adds-term") {
        env.insert(String::from("TERM"), String::from("xterm"));
    }
    env.extend(image.iter().flat_map(|image| image.env.clone()));
    env.extend(given_variables(call));
    env
}

/// The variables of `--env`: one without a value has that of podman's own environment, or is left out.
pub(crate) fn given_variables(call: &Call) -> impl Iterator<Item = (String, String)> {
    call.words.values("env").filter_map(|word| match word.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((word.to_owned(), std::env::var_os(word)?.to_string_lossy().into_owned())),
    })
}

fn network(call: &Call) -> Result<String, Answer> {
    let name = call.words.value("network").unwrap_or("bridge");
    match name {
        "none" | "host" | "bridge" | "podman" | "private" => Ok(name.to_owned()),
        _ => Err(call.profile.refusal("create-no-network", &[("name", name)])),
    }
}

/// `64m`, `1048576b`
fn bytes(text: &str) -> Result<u64, Answer> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let scale = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err(Answer::own(format!("it does not know the size {text:?}"))),
    };
    digits.parse::<u64>().map(|number| number * scale).map_err(Answer::own)
}

/// `1.500`
fn nano_cpus(text: &str) -> Result<u64, Answer> {
    let number: f64 = text.parse().map_err(Answer::own)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of processors")]
    Ok((number * 1e9) as u64)
}

fn source_of(call: &Call, path: &str) -> Result<PathBuf, Answer> {
    fs::metadata(path).map_err(|_| call.profile.refusal("create-no-source", &[("path", path)]))?;
    Ok(PathBuf::from(path))
}

fn absolute(call: &Call, path: &str) -> Result<String, Answer> {
    if Path::new(path).is_absolute() {
        Ok(path.to_owned())
    } else {
        Err(call.profile.refusal("create-relative-mount", &[("path", path)]))
    }
}

/// `type=bind,source=S,destination=D[,readonly=true]`, as Go's CSV reader splits it.
fn bind(call: &Call, text: &str) -> Result<BindMount, Answer> {
    let mut mount = BindMount { source: PathBuf::new(), destination: String::new(), read_only: false };
    for field in csv_fields(text) {
        let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
        match key {
            "type" if value == "bind" => {}
            "source" | "src" => mount.source = source_of(call, value)?,
            "destination" | "dst" | "target" => mount.destination = absolute(call, value)?,
            "readonly" | "ro" => mount.read_only = value == "true",
            _ => return Err(Answer::own(format!("it does not play {field:?} of --mount"))),
        }
    }
    Ok(mount)
}

fn csv_fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(last) = fields.last_mut() else { break };
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                last.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => last.push(character),
        }
    }
    fields
}

/// `SOURCE:DESTINATION[:ro]`
fn volume_bind(call: &Call, text: &str) -> Result<BindMount, Answer> {
    let mut fields = text.split(':');
    match (fields.next(), fields.next(), fields.next()) {
        (Some(source), Some(destination), options) if source.starts_with('/') => Ok(BindMount {
            source: source_of(call, source)?,
            destination: absolute(call, destination)?,
            read_only: options.is_some_and(|options| options.split(',').any(|option| option == "ro")),
        }),
        _ => Err(Answer::own(format!("it has no volumes: {text:?}"))),
    }
}

/// `[[IP:]HOST:]CONTAINER[/PROTOCOL]`; a host port that is missing is picked here, once, as podman does.
fn published(call: &Call, text: &str) -> Result<Publish, Answer> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container) = ports.rsplit_once(':').unwrap_or(("", ports));
    let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    let number = |word: &str| match word.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(call.profile.refusal("create-bad-port", &[("port", word)])),
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    let host_port = if host.is_empty() { free_port(ip, protocol)? } else { number(host)? };
    Ok(Publish {
        host_ip: ip.to_owned(),
        host_port,
        container_port: number(container)?,
        protocol: protocol.to_owned(),
    })
}

fn free_port(ip: &str, protocol: &str) -> Result<u16, Answer> {
    let ip = if ip.is_empty() { "0.0.0.0" } else { ip };
    let address = if protocol == "udp" {
        UdpSocket::bind((ip, 0))?.local_addr()?
    } else {
        TcpListener::bind((ip, 0))?.local_addr()?
    };
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_mount_may_be_quoted() {
        assert_eq!(
            csv_fields(r#"type=bind,"source=/a,b ""c""",ro"#),
            ["type=bind", "source=/a,b \"c\"", "ro"]
        );
        assert_eq!(bytes("64m").ok(), Some(64 << 20));
        assert_eq!(nano_cpus("1.500").ok(), Some(1_500_000_000));
    }
}
