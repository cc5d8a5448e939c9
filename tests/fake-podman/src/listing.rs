//! `podman ps`, in JSON alone.

use serde_json::{Value, json};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::{Container, Status};
use crate::{archive, json, time};

pub(crate) fn ps(call: &Call) -> Reply {
    let words = &call.words;
    if words.value("format") != Some("json") {
        return Err(Answer::own("it lists in JSON alone: ps --format json"));
    }
    if let Some(filter) = words.value("filter") {
        let (key, _) = filter.split_once('=').unwrap_or((filter, ""));
        return Err(match key {
            // podman takes the value for a regular expression, so nobody who asks for a name may
            // filter by it.
            "name" | "status" | "label" | "id" => Answer::own("it does not filter: ps --filter"),
            _ => call.profile.refusal("ps-bad-filter", &[("filter", key)]),
        });
    }
    let containers = call.store.containers(&call.store.lock()?)?;
    let rows: Vec<Value> = containers
        .iter()
        .filter(|container| words.has("all") || container.state.status == Status::Running)
        .map(|container| row(call, container))
        .collect::<Result<_, Answer>>()?;
    Ok(Answer::out(json::pretty(&Value::Array(rows), b"  ")?))
}

fn row(call: &Call, container: &Container) -> Result<Value, Answer> {
    let state = &container.state;
    let mut row = call.profile.answer("container-row");
    row["AutoRemove"] = json!(container.auto_remove);
    row["Command"] = json!(container.command);
    row["CreatedAt"] = json!(format!("{} ago", time::span(container.created, time::now())));
    row["Exited"] = json!(state.status == Status::Exited);
    row["ExitedAt"] = json!(time::seconds(state.finished));
    row["ExitCode"] = json!(state.exit_code);
    row["Id"] = json!(container.id);
    row["Image"] = json!(container.image_name);
    row["ImageID"] = json!(container.image_id);
    row["Labels"] = json::pairs(&container.labels);
    let mounts: Vec<_> = container.mounts.iter().map(|mount| &mount.destination).collect();
    row["Mounts"] = json!(mounts);
    row["Names"] = json!([container.name]);
    row["Networks"] = if container.network == "none" { json!([]) } else { json!(["podman"]) };
    row["Pid"] = json!(state.pid);
    if !container.ports.is_empty() {
        let ports: Vec<_> = container
            .ports
            .iter()
            .map(|port| {
                json!({ "host_ip": port.host_ip, "container_port": port.container_port, "host_port": port.host_port,
                    "range": 1, "protocol": port.protocol })
            })
            .collect();
        row["Ports"] = json!(ports);
    }
    row["Size"] = if call.words.has("size") {
        let (rw, root) = sizes(call, container)?;
        json!({ "rootFsSize": root, "rwSize": rw })
    } else {
        Value::Null
    };
    row["StartedAt"] = json!(time::seconds(state.started));
    row["State"] = json!(state.status.word());
    row["Status"] = json!(status(call, container));
    row["Created"] = json!(time::seconds(container.created));
    Ok(row)
}

/// How many bytes were written, and how many there are.
pub(crate) fn sizes(call: &Call, container: &Container) -> Result<(u64, u64), Answer> {
    let root = archive::size(&call.store.root(container))?;
    let image =
        call.store.images(&call.store.lock()?)?.into_iter().find(|image| image.id == container.image_id);
    Ok((root.saturating_sub(image.map_or(0, |image| image.size)), root))
}

fn status(call: &Call, container: &Container) -> String {
    let state = &container.state;
    match state.status {
        Status::Created => String::from("Created"),
        Status::Paused => String::from("Paused"),
        Status::Stopping => String::from("Stopping"),
        Status::Running => {
            let ago = if call.profile.has("status-says-ago") { " ago" } else { "" };
            format!("Up {}{ago}", time::span(state.started, time::now()))
        }
        Status::Exited => {
            format!("Exited ({}) {} ago", state.exit_code, time::span(state.finished, time::now()))
        }
    }
}
