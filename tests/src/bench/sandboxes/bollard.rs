//! The sandbox program by bollard: launch, commands at once, removal by prefix.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, HostConfig, ResourcesUlimits};
use bollard::query_parameters::{
    CreateContainerOptions, ListContainersOptions, RemoveContainerOptions, StartContainerOptions,
};
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::bench::Outcome;

const LIMIT: Duration = Duration::from_secs(60);
const OUTPUT_LIMIT: usize = 64 << 10;

pub(super) async fn launch(docker: &Docker, family: &str, count: usize, image: &str) -> Outcome<Vec<String>> {
    try_join_all((0..count).map(|number| async move {
        let name = format!("{family}-{number}");
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(vec!["sleep".to_owned(), "777777".to_owned()]),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ulimits: Some(equal_limits()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        docker.create_container(Some(options), body).await?;
        docker.start_container(&name, None::<StartContainerOptions>).await?;
        Outcome::Ok(name)
    }))
    .await
}

/// A command that takes too long is given up here. It runs on in its container, which the API
/// cannot end it in.
pub(super) async fn run(docker: &Docker, sandboxes: &[String], each: usize) -> Outcome<Vec<String>> {
    let commands = sandboxes.iter().flat_map(|sandbox| (0..each).map(move |number| (sandbox, number)));
    try_join_all(commands.map(|(sandbox, number)| async move {
        timeout(LIMIT, exec(docker, sandbox, vec!["echo".to_owned(), number.to_string()])).await?
    }))
    .await
}

async fn exec(docker: &Docker, sandbox: &str, command: Vec<String>) -> Outcome<String> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(sandbox, options).await?.id;
    let started = docker.start_exec(&exec, None::<StartExecOptions>).await?;
    let StartExecResults::Attached { mut output, .. } = started else {
        return Err("nothing is attached".into());
    };
    let (mut stdout, mut omitted) = (Vec::new(), 0);
    while let Some(chunk) = output.try_next().await? {
        let bytes = chunk.into_bytes();
        let room = OUTPUT_LIMIT.saturating_sub(stdout.len()).min(bytes.len());
        stdout.extend_from_slice(&bytes[..room]);
        omitted += bytes.len() - room;
    }
    let code = docker.inspect_exec(&exec).await?.exit_code;
    if code != Some(0) || omitted > 0 {
        return Err(format!("the command ended with {code:?}, and {omitted} bytes too many").into());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

pub(super) async fn remove(docker: &Docker, family: &str) -> Outcome {
    let filters = HashMap::from([("name".to_owned(), vec![format!("^{family}-")])]);
    let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let found = docker.list_containers(Some(options)).await?;
    try_join_all(found.into_iter().filter_map(|container| container.id).map(|id| async move {
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        docker.remove_container(&id, Some(options)).await
    }))
    .await?;
    Ok(())
}

/// Limits that the service of podman 4.3 cannot swap: it takes the hard one for the soft one. Those
/// of the tests' podman differ.
fn equal_limits() -> Vec<ResourcesUlimits> {
    let equal =
        |name: &str| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(1024), hard: Some(1024) };
    ["nofile", "nproc"].map(equal).into()
}
