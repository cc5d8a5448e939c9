//! The traits for `&T`, `Box<T>` and `Arc<T>`, forwarded method by method.
#![deny(
    clippy::missing_trait_methods,
    reason = "a forwarder that falls back to a default would change behaviour"
)]

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{
    Argv, Capabilities, Container, ContainerFilter, ContainerInfo, ContainerKey, ContainerName,
    ContainerPath, ContainerRemoveResult, ContainerRuntime, ContainerState, CopyOptions, Event, EventOptions,
    EventStream, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Health, Image, ImageFilter, ImageInfo,
    ImageRef, ImageRemoval, LaunchSpec, LogLine, LogOptions, LogStream, MountInfo, NamePrefix,
    PortReservation, PublishedPort, Pull, Readiness, Result, RuntimeId, StdioResult, Until,
};

macro_rules! forward_runtime {
    ($($pointer:ty),*) => {$(
        impl<T: ContainerRuntime + ?Sized> ContainerRuntime for $pointer {
            fn id(&self) -> &RuntimeId { (**self).id() }
            fn capabilities(&self) -> Capabilities { (**self).capabilities() }
            fn container(&self, name: &ContainerName) -> Arc<dyn Container> { (**self).container(name) }
            fn exec(&self, name: &ContainerName, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
                (**self).exec(name, request, until)
            }
            fn exec_stdio(
                &self, name: &ContainerName, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until,
            ) -> Result<StdioResult> {
                (**self).exec_stdio(name, request, stdio, until)
            }
            fn list(&self, filter: &ContainerFilter) -> Result<Vec<ContainerInfo>> { (**self).list(filter) }
            fn containers_with_prefix(&self, prefix: &NamePrefix) -> Result<Vec<Arc<dyn Container>>> {
                (**self).containers_with_prefix(prefix)
            }
            fn states(&self, prefix: &NamePrefix) -> Result<BTreeMap<ContainerName, ContainerState>> {
                (**self).states(prefix)
            }
            fn rw_sizes(&self, prefix: &NamePrefix) -> Result<BTreeMap<ContainerName, u64>> {
                (**self).rw_sizes(prefix)
            }
            fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
                (**self).create(spec, until)
            }
            fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
                (**self).force_remove(names, until)
            }
            fn image(&self, reference: &ImageRef) -> Arc<dyn Image> { (**self).image(reference) }
            fn images(&self, filter: &ImageFilter) -> Result<Vec<Arc<dyn Image>>> { (**self).images(filter) }
            fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> { (**self).reserve_port(host) }
            fn events(&self, options: &EventOptions) -> Result<Box<dyn EventStream>> { (**self).events(options) }
        }
    )*};
}

forward_runtime!(&T, Box<T>, Arc<T>);

macro_rules! forward_container {
    ($($pointer:ty),*) => {$(
        impl<T: Container + ?Sized> Container for $pointer {
            fn key(&self) -> &ContainerKey { (**self).key() }
            fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> { (**self).exec(request, until) }
            fn inspect(&self) -> Result<Option<ContainerInfo>> { (**self).inspect() }
            fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
                (**self).exec_stdio(request, stdio, until)
            }
            fn id(&self) -> Result<Option<String>> { (**self).id() }
            fn state(&self) -> Result<Option<ContainerState>> { (**self).state() }
            fn running(&self) -> Result<bool> { (**self).running() }
            fn image(&self) -> Result<Option<Arc<dyn Image>>> { (**self).image() }
            fn started_at(&self) -> Result<Option<SystemTime>> { (**self).started_at() }
            fn mounts(&self) -> Result<Option<Vec<MountInfo>>> { (**self).mounts() }
            fn ports(&self) -> Result<Option<Vec<PublishedPort>>> { (**self).ports() }
            fn health(&self) -> Result<Option<Health>> { (**self).health() }
            fn rw_size(&self) -> Result<Option<u64>> { (**self).rw_size() }
            fn start(&self, until: &Until) -> Result<()> { (**self).start(until) }
            fn stop(&self, grace: Duration, until: &Until) -> Result<()> { (**self).stop(grace, until) }
            fn wait(&self, until: &Until) -> Result<ExitOutcome> { (**self).wait(until) }
            fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
                (**self).copy_in(src, dest, options, until)
            }
            fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
                (**self).copy_out(src, dest, options, until)
            }
            fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
                (**self).copy_in_tar(tar, dest, until)
            }
            fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
                (**self).copy_out_tar(src, tar, until)
            }
            fn login_command(&self, command: Option<&Argv>) -> Result<Vec<OsString>> { (**self).login_command(command) }
            fn logs(&self, options: &LogOptions) -> Result<Box<dyn LogStream>> { (**self).logs(options) }
            fn stream_initial_logs(
                &self, ready: &mut dyn FnMut(&str) -> bool, echo: &mut dyn Write, until: &Until,
            ) -> Result<Readiness> {
                (**self).stream_initial_logs(ready, echo, until)
            }
            fn as_any(&self) -> &dyn Any { (**self).as_any() }
        }
    )*};
}

forward_container!(&T, Box<T>, Arc<T>);

macro_rules! forward_image {
    ($($pointer:ty),*) => {$(
        impl<T: Image + ?Sized> Image for $pointer {
            fn reference(&self) -> &ImageRef { (**self).reference() }
            fn runtime_id(&self) -> Option<&RuntimeId> { (**self).runtime_id() }
            fn inspect(&self) -> Result<Option<ImageInfo>> { (**self).inspect() }
            fn id(&self) -> Result<Option<String>> { (**self).id() }
            fn exists(&self) -> Result<bool> { (**self).exists() }
            fn labels(&self) -> Result<Option<BTreeMap<String, String>>> { (**self).labels() }
            fn history(&self) -> Result<Option<Vec<String>>> { (**self).history() }
            fn remove(&self) -> Result<ImageRemoval> { (**self).remove() }
            fn repository(&self) -> Option<&str> { (**self).repository() }
            fn tag(&self) -> Option<&str> { (**self).tag() }
            fn size(&self) -> Option<u64> { (**self).size() }
            fn created(&self) -> Option<SystemTime> { (**self).created() }
        }
    )*};
}

forward_image!(&T, Box<T>, Arc<T>);

impl<T: LogStream + ?Sized> LogStream for Box<T> {
    fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        (**self).pull(until)
    }

    fn close(&mut self) -> Result<()> {
        (**self).close()
    }
}

impl<T: EventStream + ?Sized> EventStream for Box<T> {
    fn pull(&mut self, until: &Until) -> Result<Pull<Event>> {
        (**self).pull(until)
    }

    fn close(&mut self) -> Result<()> {
        (**self).close()
    }
}

impl<T: PortReservation + ?Sized> PortReservation for Box<T> {
    fn address(&self) -> SocketAddr {
        (**self).address()
    }

    fn port(&self) -> u16 {
        (**self).port()
    }

    fn close(&mut self) -> Result<()> {
        (**self).close()
    }
}
