//! Removes what a `create` may have made although it was stopped or its client was ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rt_process::ExecMarker;
use rt_protocol::{ContainerName, Until};
use serde_json::Value;

use crate::cli::engine::Engine;
use crate::cli::json;
use crate::state::RuntimeState;
use crate::state::target::Target;

/// How long another call may take between the storage of its container and its record.
const RECORD_DELAY: Duration = Duration::from_secs(1);

/// Removes the container that this `create` may have made, by its id, and never another call's.
pub(crate) fn remove(
    runtime: &Arc<RuntimeState>,
    marker: &ExecMarker,
    name: &ContainerName,
    began: SystemTime,
) {
    let container = Target::new(Arc::clone(runtime), name.clone());
    let engine = &runtime.engine;
    let id = match container.inspect_within(engine.limits.read) {
        Ok(Some(found)) if found.made_by.as_deref() == Some(marker.value()) => found.info.id.into(),
        Ok(None) => {
            let Some(id) = storage_of(engine, name, began) else { return };
            // Another call that creates it now has its record soon.
            let _ = Until::after(RECORD_DELAY).sleep(RECORD_DELAY);
            if storage_of(engine, name, began).as_ref() != Some(&id) {
                return;
            }
            id
        }
        _ => return,
    };
    let args = ["rm", "--force", "--volumes", "--time=0", "--", &id];
    // If it stays, it can be found by its name.
    let _ = engine.ask("remove", engine.limits.start, args);
}

/// Returns the id of a container of this name that has storage and no record, and was made since
/// then: a client that is ended between the two leaves it, and the name stays in use.
fn storage_of(engine: &Engine, name: &ContainerName, since: SystemTime) -> Option<String> {
    let since = i64::try_from(since.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let filter = format!("--filter=name=^{name}$");
    let args = ["ps", "--all", "--external", "--no-trunc", "--format=json", &filter];
    let answer = engine.ask("list", engine.limits.read, args).ok()?;
    let rows: Vec<Value> = serde_json::from_str(&answer.text().ok()?).ok()?;
    let is_ours = |row: &&Value| {
        json::text(row, &["State"]).is_some_and(|state| state.eq_ignore_ascii_case("storage"))
            && json::list(row, &["Names"]).iter().any(|known| known == name.as_str())
            && json::integer(row, &["Created"]).is_some_and(|created| created >= since)
    };
    json::text(rows.iter().find(is_ours)?, &["Id"])
}
