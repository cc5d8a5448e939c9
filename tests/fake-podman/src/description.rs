//! What podman says of one container and of itself: `container inspect`, `container exists`,
//! `stats`, `port`, `info`, `version`.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::{Container, Status};
use crate::{json, listing, time};

pub(crate) fn container_exists(call: &Call) -> Reply {
    let found = call.store.find(&call.store.lock()?, &call.profile, call.operand()?)?;
    Ok(Answer::code(u8::from(found.is_none())))
}

/// Those that are there are printed, also when another one is missing.
pub(crate) fn container_inspect(call: &Call) -> Reply {
    let mut rows = Vec::new();
    let mut refusal = None;
    for word in &call.words.operands {
        let found = call.store.find(&call.store.lock()?, &call.profile, word)?;
        match found {
            Some(container) => rows.push(row(call, &container)?),
            None => refusal = Some(call.profile.refusal("inspect-no-container", &[("name", word)])),
        }
    }
    let text = if let Some(template) = call.words.value("format").filter(|format| *format != "json") {
        rows.iter().map(|row| filled(template, row)).collect::<Result<String, _>>()?
    } else if rows.is_empty() {
        String::from("[]\n")
    } else {
        json::pretty(&Value::Array(rows), b"     ")?
    };
    match refusal {
        Some(refusal) => Err(refusal.with_stdout(&text)),
        None => Ok(Answer::out(text)),
    }
}

/// The exact numbers alone. Of a container that does not run, podman prints zeros.
pub(crate) fn stats(call: &Call) -> Reply {
    if call.words.value("format") != Some("{{json .ContainerStats}}") || !call.words.has("no-stream") {
        return Err(Answer::own("it measures by --no-stream and one template alone"));
    }
    let mut text = String::new();
    for word in &call.words.operands {
        let found = call.store.find(&call.store.lock()?, &call.profile, word)?;
        let container = found.ok_or_else(|| call.profile.refusal("stats-no-container", &[("name", word)]))?;
        let row = if container.state.status.is_alive() {
            // A thousandth of the time since its start.
            let cpu = (time::now() - container.state.started).max(0) / 1000;
            json!({ "Name": container.name, "CPUNano": cpu, "MemUsage": 1 << 20, "MemLimit": container.memory, "PIDs": 1 })
        } else {
            json!({ "Name": container.name, "CPUNano": 0, "MemUsage": 0, "MemLimit": 0, "PIDs": 0 })
        };
        text.extend([row.to_string().as_str(), "\n"]);
    }
    Ok(Answer::out(text))
}

/// A template of fields alone: `{{.State.Status}} {{len .ExecIDs}}`.
fn filled(template: &str, row: &Value) -> Result<String, Answer> {
    let mut rest = template;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        let (path, tail) = after.split_once("}}").unwrap_or((after, ""));
        let (length, path) = path.strip_prefix("len ").map_or((false, path), |path| (true, path));
        let value = row.pointer(&path.replace('.', "/"));
        text.push_str(before);
        match value {
            Some(Value::Array(items)) if length => text.push_str(&items.len().to_string()),
            Some(Value::String(word)) if !length => text.push_str(word),
            Some(value) if !length => text.push_str(&value.to_string()),
            _ => return Err(Answer::own(format!("it does not play the template {template:?}"))),
        }
        rest = tail;
    }
    Ok(format!("{text}{rest}\n"))
}

fn row(call: &Call, container: &Container) -> Result<Value, Answer> {
    let mut row = call.profile.answer("container");
    let static_dir = call.store.static_dir(&container.id);
    row["Id"] = json!(container.id);
    row["Created"] = json!(time::rfc3339(container.created));
    row["Path"] = json!(container.command[0]);
    row["Args"] = json!(container.command[1..]);
    row["Image"] = json!(container.image_id);
    row["ImageName"] = json!(container.image_name);
    row["Rootfs"] = json!(container.rootfs.clone().unwrap_or_default());
    row["StaticDir"] = json!(static_dir);
    row["OCIRuntime"] = json!(container.oci_runtime);
    row["Name"] = json!(container.name);
    row["ExecIDs"] = json!(container.state.sessions);
    let mounts: Vec<_> = container
        .mounts
        .iter()
        .map(|mount| {
            json!({ "Type": "bind", "Source": mount.source, "Destination": mount.destination, "Driver": "", "Mode": "",
                "Options": ["rbind"], "RW": !mount.read_only, "Propagation": "rprivate" })
        })
        .collect();
    row["Mounts"] = json!(mounts);
    fill_state(&mut row["State"], container);
    if let Some(health) = &container.health {
        row["State"]["Health"] = health.state();
        row["Config"]["Healthcheck"] = health.config();
    }
    let ports = port_bindings(container);
    row["NetworkSettings"]["Ports"] = ports.clone();
    let host = &mut row["HostConfig"];
    host["PortBindings"] = ports;
    host["AutoRemove"] = json!(container.auto_remove);
    host["Memory"] = json!(container.memory);
    host["NanoCpus"] = json!(container.nano_cpus);
    host["NetworkMode"] = json!(container.network);
    host["LogConfig"]["Type"] = json!(container.log_driver);
    host["LogConfig"]["Path"] = json!(call.store.log_file(&container.id));
    fill_config(&mut row["Config"], container);
    if call.words.has("size") {
        let (rw, root) = listing::sizes(call, container)?;
        row["SizeRw"] = json!(rw);
        row["SizeRootFs"] = json!(root);
    }
    Ok(row)
}

fn fill_state(row: &mut Value, container: &Container) {
    let state = &container.state;
    row["Status"] = json!(state.status.word());
    row["Running"] = json!(state.status == Status::Running);
    row["Paused"] = json!(state.status == Status::Paused);
    row["Pid"] = json!(state.pid);
    if state.supervisor > 0 {
        row["ConmonPid"] = json!(state.supervisor);
    }
    row["ExitCode"] = json!(state.exit_code);
    row["StartedAt"] = json!(time::rfc3339(state.started));
    row["FinishedAt"] = json!(time::rfc3339(state.finished));
}

fn fill_config(row: &mut Value, container: &Container) {
    row["Hostname"] = json!(container.short_id());
    row["User"] = json!(container.user);
    let env: Vec<_> = container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    row["Env"] = json!(env);
    row["Cmd"] = json!(container.command);
    row["Image"] = json!(container.image_name);
    row["WorkingDir"] = json!(container.workdir);
    row["Labels"] = json::pairs(&container.labels);
    row["CreateCommand"] = json!(container.create_command);
    for (key, value) in &container.annotations {
        row["Annotations"][key.as_str()] = json!(value);
    }
}

/// `{"22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18180"}]}`
fn port_bindings(container: &Container) -> Value {
    let mut bindings: Map<String, Value> = Map::new();
    for port in &container.ports {
        let list = bindings.entry(format!("{}/{}", port.container_port, port.protocol)).or_insert(json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!({ "HostIp": port.host_ip, "HostPort": port.host_port.to_string() }));
        }
    }
    Value::Object(bindings)
}

pub(crate) fn port(call: &Call) -> Reply {
    let (name, wanted) = match &call.words.operands[..] {
        [name] => (name, None),
        [name, port] => (name, Some(port)),
        _ => return Err(call.profile.refusal("port-nothing", &[])),
    };
    let container = call.store.require(&call.store.lock()?, &call.profile, name)?;
    // Of one that does not run, podman says nothing, and 0.
    if !container.state.status.is_alive() || container.ports.is_empty() {
        return Ok(Answer::silent());
    }
    let mut text = String::new();
    for port in &container.ports {
        let ip = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
        let key = format!("{}/{}", port.container_port, port.protocol);
        match wanted {
            None => text.extend([key, format!(" -> {ip}:{}\n", port.host_port)]),
            Some(wanted) if *wanted == key || format!("{wanted}/tcp") == key => {
                text.extend([format!("{ip}:{}\n", port.host_port)]);
            }
            Some(_) => {}
        }
    }
    match wanted {
        Some(wanted) if text.is_empty() => Err(call.profile.refusal("port-unpublished", &[("port", wanted)])),
        _ => Ok(Answer::out(text)),
    }
}

pub(crate) fn info(call: &Call) -> Reply {
    let lock = call.store.lock()?;
    let containers = call.store.containers(&lock)?;
    let mut info = call.profile.answer("info");
    let count =
        |status: Status| containers.iter().filter(|container| container.state.status == status).count();
    info["store"]["containerStore"] = json!({ "number": containers.len(), "paused": count(Status::Paused),
        "running": count(Status::Running),
        "stopped": count(Status::Exited) + count(Status::Created) });
    info["store"]["imageStore"]["number"] = json!(call.store.images(&lock)?.len());
    Ok(Answer::out(json::pretty(&info, b"  ")?))
}

pub(crate) fn version(call: &Call) -> Answer {
    Answer::out(format!("{}\n", call.profile.answer("version")))
}
