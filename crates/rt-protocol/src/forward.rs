//! The traits for `&T`, `Box<T>` and `Arc<T>`. A pointer runs commands as its target does; the
//! methods that `inner` forwards are not repeated here.

use std::any::Any;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::{
    Argv, Capabilities, CommandControl, CommandStreams, Container, ContainerInfo, ContainerKey,
    ContainerName, ContainerRuntime, ExecRequest, ExecResult, ExecStdio, Image, ImageInfo, ImageRef,
    LaunchSpec, PortReservation, Result, RuntimeId, StdioResult, Until,
};

// Twice each: only a pointer to a sized type can become one to a trait object.
macro_rules! forward {
    ($([$($sized:tt)*] [$runtime:ty, $container:ty, $image:ty];)*) => {$(
        impl<$($sized: ContainerRuntime)*> ContainerRuntime for $runtime {
            fn id(&self) -> &RuntimeId {
                (**self).id()
            }

            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }

            fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
                (**self).container(name)
            }

            fn inner(&self) -> Option<&dyn ContainerRuntime> {
                Some(&**self)
            }

            fn exec(&self, name: &ContainerName, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
                (**self).exec(name, request, until)
            }

            fn exec_stdio(
                &self,
                name: &ContainerName,
                request: &ExecRequest,
                stdio: ExecStdio<'_>,
                until: &Until,
            ) -> Result<StdioResult> {
                (**self).exec_stdio(name, request, stdio, until)
            }

            fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
                (**self).create(spec, until)
            }
        }

        impl<$($sized: Container)*> Container for $container {
            fn key(&self) -> &ContainerKey {
                (**self).key()
            }

            fn inner(&self) -> Option<&dyn Container> {
                Some(&**self)
            }

            fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
                (**self).exec(request, until)
            }

            fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
                (**self).inspect(until)
            }

            fn exec_stdio(
                &self,
                request: &ExecRequest,
                stdio: ExecStdio<'_>,
                until: &Until,
            ) -> Result<StdioResult> {
                (**self).exec_stdio(request, stdio, until)
            }

            fn spawn(
                &self,
                request: &ExecRequest,
                streams: &mut CommandStreams,
                until: &Until,
            ) -> Result<Box<dyn CommandControl>> {
                (**self).spawn(request, streams, until)
            }

            fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
                (**self).login_command(command, until)
            }

            fn as_any(&self) -> &dyn Any {
                (**self).as_any()
            }
        }

        impl<$($sized: Image)*> Image for $image {
            fn reference(&self) -> &ImageRef {
                (**self).reference()
            }

            fn inner(&self) -> Option<&dyn Image> {
                Some(&**self)
            }

            fn inspect(&self, until: &Until) -> Result<Option<ImageInfo>> {
                (**self).inspect(until)
            }
        }
    )*};
}

forward! {
    [T] [&T, &T, &T];
    [T] [Box<T>, Box<T>, Box<T>];
    [T] [Arc<T>, Arc<T>, Arc<T>];
    [] [&dyn ContainerRuntime, &dyn Container, &dyn Image];
    [] [Box<dyn ContainerRuntime>, Box<dyn Container>, Box<dyn Image>];
    [] [Arc<dyn ContainerRuntime>, Arc<dyn Container>, Arc<dyn Image>];
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
