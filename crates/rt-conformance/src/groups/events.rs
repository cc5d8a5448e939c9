//! Events: the reports about the lifecycle of containers.

use std::time::Duration;

use rt_protocol::{
    Capability, Container, Event, EventAction, EventOptions, NamePrefix, Pull, PullStream, Until,
};

use crate::threads::cancelled;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Events, run).can(EVENTS)
}

const EVENTS: &[Capability] =
    &[Capability::Events, Capability::Create, Capability::Start, Capability::Stop, Capability::ForceRemove];

pub(super) const CASES: &[Case] = &[
    fact("events: a life is told in its order", life),
    fact("events: another family is not told", other_family),
    fact("events: what has happened since then is told too", since),
    fact("events: what happens from now on is told, whatever time was asked for", from_now_on),
    fact("events: the end of a main process has its code, where the engine gives it", code)
        .needs(&[Need::MainProcess]),
    fact("events: a pull that ends is idle, and the stream stays good", idle),
    fact("events: a cancelled pull is idle", cancelled_pull),
    fact("events: after close there is the end, and closing twice is fine", close),
];

/// Engines report within a second or two.
const LONG_FOR_AN_EVENT: Duration = Duration::from_secs(15);

/// Pulls until the event of this action.
fn until_action(stream: &mut dyn PullStream<Event>, action: EventAction) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    let until = Until::after(LONG_FOR_AN_EVENT);
    loop {
        match stream.pull(&until)? {
            Pull::Item(event) => {
                let last = event.action == action;
                events.push(event);
                if last {
                    return Ok(events);
                }
            }
            other => {
                return Err(Failure::new(format!("expected {action:?}, saw {other:?} after {events:?}")));
            }
        }
    }
}

fn watch(context: &TestContext<'_>, family: &NamePrefix) -> Result<Box<dyn PullStream<Event>>, Failure> {
    Ok(context.runtime().events(&EventOptions::new().prefix(family.clone()), &timeout())?)
}

/// Creates, starts, stops and removes a container.
fn live(context: &TestContext<'_>, family: &NamePrefix) -> Result<std::sync::Arc<dyn Container>, Failure> {
    let container = context.created_as(&context.member(family, "a")?, &Script::Stand)?;
    context.start(container.as_ref())?;
    container.stop(Duration::from_secs(10), &timeout())?;
    context.remove(container.as_ref())?;
    Ok(container)
}

/// Engines report more than these; these come in this order.
const MILESTONES: [EventAction; 4] =
    [EventAction::Created, EventAction::Started, EventAction::Died, EventAction::Removed];

fn check_life(events: &[Event], container: &dyn Container) -> Verdict {
    let told: Vec<_> =
        events.iter().map(|event| event.action).filter(|action| MILESTONES.contains(action)).collect();
    ensure_eq!(told, MILESTONES, "the milestones of a life")?;
    for event in events {
        ensure_eq!(event.name, container.key().name, "the name in an event")?;
    }
    ensure!(events.is_sorted_by_key(|event| event.time), "the times run backwards: {events:?}")
}

fn life(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let mut stream = watch(context, &family)?;
    let container = live(context, &family)?;
    check_life(&until_action(stream.as_mut(), EventAction::Removed)?, container.as_ref())
}

fn other_family(context: &TestContext<'_>) -> Verdict {
    let ours = context.family()?;
    let mut stream = watch(context, &ours)?;
    live(context, &NamePrefix::new(format!("{ours}2"))?)?;
    let container = live(context, &ours)?;
    check_life(&until_action(stream.as_mut(), EventAction::Removed)?, container.as_ref())
}

fn since(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let begin = context.fixture().now() - Duration::from_secs(1);
    let container = live(context, &family)?;
    let mut stream =
        context.runtime().events(&EventOptions::new().prefix(family).since(begin), &timeout())?;
    check_life(&until_action(stream.as_mut(), EventAction::Removed)?, container.as_ref())
}

/// A clock was set back, and the time of the last event is in the future.
fn from_now_on(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let later = context.fixture().now() + Duration::from_secs(3600);
    let mut stream = context
        .runtime()
        .events(&EventOptions::new().prefix(family.clone()).since(later), &Until::forever())?;
    let container = live(context, &family)?;
    check_life(&until_action(stream.as_mut(), EventAction::Removed)?, container.as_ref())
}

fn code(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let mut stream = watch(context, &family)?;
    context.start(context.created_as(&context.member(&family, "a")?, &Script::Exit(7))?.as_ref())?;
    let died = until_action(stream.as_mut(), EventAction::Died)?.pop();
    let code = died.and_then(|event| event.exit_code);
    ensure!(matches!(code, Some(7) | None), "the code in the event is {code:?}")
}

fn idle(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let mut stream = watch(context, &family)?;
    ensure_eq!(
        stream.pull(&Until::after(Duration::from_millis(200)))?,
        Pull::Pending,
        "a pull when nothing happens"
    )?;
    let container = live(context, &family)?;
    check_life(&until_action(stream.as_mut(), EventAction::Removed)?, container.as_ref())
}

fn cancelled_pull(context: &TestContext<'_>) -> Verdict {
    let mut stream = watch(context, &context.family()?)?;
    ensure_eq!(cancelled(|until| stream.pull(until))?, Pull::Pending, "a cancelled pull")
}

fn close(context: &TestContext<'_>) -> Verdict {
    let mut stream = watch(context, &context.family()?)?;
    stream.close()?;
    stream.close()?;
    ensure_eq!(stream.pull(&timeout())?, Pull::End, "a pull after close")
}
