//! The traits, for `use rt::prelude::*`. Types are named where they are used.

pub use rt_protocol::{
    Container, ContainerExt, ContainerRuntime, ContainerRuntimeExt, Image, ImageExt, PortReservation,
    PullStream,
};
