//! What an operation on files is done to.

use rt_protocol::{OperationSpan, Until};

use crate::state::target::Target;

/// A container, and the limit and the span of one operation on its files.
pub(crate) struct FileTarget<'a> {
    pub(crate) container: &'a Target,
    pub(crate) until: &'a Until,
    pub(crate) span: &'a OperationSpan,
}
