//! A pull in memory, step by step.

use std::sync::Arc;

use rt_protocol::{
    Capability, ErrorKind, ImageId, ImageRef, OperationSpan, PullOptions, PullProgress, RegistryAuth, Result,
    Until,
};

use crate::exec::pending_operation::OperationSpec;
use crate::script::fault::Operation;
use crate::state::call::PullCall;
use crate::state::world::Shared;

/// Pulls an image. `progress` is the caller's code, and called without a lock.
pub(crate) fn pull(
    shared: &Arc<Shared>,
    reference: &ImageRef,
    options: &PullOptions,
    progress: &mut dyn FnMut(PullProgress),
    until: &Until,
) -> Result<ImageId> {
    const OPERATION: &str = "pull";
    OperationSpan::new(OPERATION).run(|| {
        let spec = OperationSpec::new(shared, Operation::Pull, OPERATION).with_image(reference);
        let operation = spec.requiring_one(Capability::ImagePull).begin(until)?;
        options.check_for(reference)?;
        shared.record(|calls, order, time| {
            let (reference, options) = (reference.clone(), options.clone());
            calls.pull.push(PullCall { order, time, reference, options });
        });
        progress(PullProgress::Trying { image: reference.to_string() });
        operation.apply_faults()?;
        let credentials = match &options.auth {
            Some(RegistryAuth::Credentials(credentials)) => Some(credentials),
            _ => None,
        };
        let now = shared.clock.now();
        let served = shared.read(|world| world.served_image(reference, credentials, now));
        let record = served.map_err(|(kind, message)| match kind {
            ErrorKind::NoSuchImage => {
                operation.error(kind, message).with_hint("serve it with serve_image, or allow pulls")
            }
            _ => operation.error(kind, message).with_hint("serve it to these credentials, or to anybody"),
        })?;
        for (digest, time) in &record.layers {
            progress(PullProgress::Layer { digest: digest.clone() });
            operation.waiter.spend(*time).map_err(|stop| operation.interrupted(stop))?;
        }
        progress(PullProgress::Config { digest: record.id.to_string() });
        progress(PullProgress::Storing);
        operation.waiter.check().map_err(|stop| operation.interrupted(stop))?;
        let id = ImageId::from(record.id.clone());
        shared.update(|world| world.store_image(record));
        Ok(id)
    })
}
