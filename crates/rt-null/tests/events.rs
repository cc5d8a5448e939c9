//! Facts about events: the stream of what happens to containers.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rt_null::NullRuntime;
use rt_protocol::{
    Container, ContainerName, ContainerRuntime, ContainerRuntimeExt, EventAction, EventOptions, LaunchSpec,
    NamePrefix, Pull, Result, Until,
};

fn launch(runtime: &NullRuntime, name: &str) -> Arc<dyn Container> {
    runtime.launch(&LaunchSpec::builder(name, "alpine").build().unwrap(), Until::forever()).unwrap()
}

#[test]
fn events_follow_from_what_happens() -> Result<()> {
    let runtime = NullRuntime::new();
    launch(&runtime, "early-1");
    let since = runtime.clock().now();
    let mut now = runtime.events(&EventOptions::new().prefix(NamePrefix::new("proj")?), &Until::forever())?;
    let job = launch(&runtime, "proj-1");
    launch(&runtime, "proj2-1");
    job.stop(Duration::ZERO, &Until::forever())?;
    job.start(&Until::forever())?;
    runtime.end("proj-1", 3)?;
    let _ = runtime.force_remove(&[ContainerName::new("proj-1")?], &Until::forever());

    let mut seen = Vec::new();
    let soon = Until::after(Duration::from_millis(1));
    while let Pull::Item(event) = now.pull(&soon)? {
        assert_eq!(event.name.as_str(), "proj-1");
        assert!(event.id.is_some());
        seen.push((event.action, event.exit_code));
    }
    assert_eq!(
        seen,
        [
            (EventAction::Created, None),
            (EventAction::Initialized, None),
            (EventAction::Started, None),
            (EventAction::Died, Some(0)),
            (EventAction::Stopped, None),
            (EventAction::Initialized, None),
            (EventAction::Started, None),
            (EventAction::Died, Some(3)),
            (EventAction::Removed, None),
        ]
    );
    now.close()?;
    now.close()?;
    assert_eq!(now.pull(&Until::forever())?, Pull::End);

    let mut past = runtime.events(&EventOptions::new().since(since), &Until::forever())?;
    let Pull::Item(first) = past.pull(&soon)? else { panic!() };
    assert_eq!(first.name.as_str(), "proj-1");
    Ok(())
}

#[test]
fn an_event_wakes_who_waits_for_it() -> Result<()> {
    let runtime = NullRuntime::new();
    let mut events = runtime.events(&EventOptions::new(), &Until::forever())?;
    let waiting = thread::spawn(move || events.pull(&Until::forever()).unwrap());
    launch(&runtime, "job");
    assert!(matches!(waiting.join().unwrap(), Pull::Item(event) if event.action == EventAction::Created));
    Ok(())
}
