//! Adding GPUs to a launch specification.

use rt_protocol::LaunchSpecBuilder;

use crate::{GpuArg, GpuArgs};

/// Adds GPUs to a [`LaunchSpec`](rt_protocol::LaunchSpec).
///
/// ```
/// use rt_gpu::{GpuArgs, GpuLaunch};
/// use rt_protocol::LaunchSpec;
///
/// let args = GpuArgs::switched(true);
/// let spec = LaunchSpec::builder("train", "localhost/torch").gpus(&args).build()?;
/// assert_eq!(spec.gpu_args(), ["--device", "nvidia.com/gpu=all"]);
/// assert!(spec.env().get("NVIDIA_VISIBLE_DEVICES").is_some());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
pub trait GpuLaunch: Sized {
    /// Adds the options and the environment variables of `args`. If a variable is set again later,
    /// the later value applies.
    #[must_use]
    fn gpus(self, args: &GpuArgs) -> Self;
}

impl GpuLaunch for LaunchSpecBuilder {
    fn gpus(self, args: &GpuArgs) -> Self {
        args.args().iter().fold(self, |spec, arg| match arg {
            GpuArg::Option(flag, value) => spec.gpu_args([*flag, value.as_str()]),
            GpuArg::Env(name, value) => spec.env(*name, value),
        })
    }
}
