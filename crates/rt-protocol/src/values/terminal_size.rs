//! The size of a terminal.

use std::fmt;
use std::num::NonZeroU16;

use crate::InvalidValue;

/// The size of a terminal in characters: at least one row and one column.
///
/// The default is 24 rows and 80 columns.
///
/// ```
/// use rt_protocol::TerminalSize;
///
/// let size = TerminalSize::new(50, 132)?;
/// assert_eq!((size.rows(), size.columns()), (50, 132));
/// // What the kernel tells of a terminal to which nobody has given a size.
/// assert!(TerminalSize::new(0, 0).is_err());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct TerminalSize {
    rows: NonZeroU16,
    columns: NonZeroU16,
}

impl TerminalSize {
    /// Returns the size.
    ///
    /// # Errors
    /// If one of them is 0.
    pub fn new(rows: u16, columns: u16) -> Result<Self, InvalidValue> {
        let size = NonZeroU16::new(rows).zip(NonZeroU16::new(columns));
        size.map(|(rows, columns)| Self { rows, columns }).ok_or_else(|| {
            let reason = "it needs at least one row and one column";
            InvalidValue::new("terminal size", format!("{rows}x{columns}"), reason)
        })
    }

    /// Returns the height.
    pub fn rows(self) -> u16 {
        self.rows.get()
    }

    /// Returns the width.
    pub fn columns(self) -> u16 {
        self.columns.get()
    }
}

impl Default for TerminalSize {
    fn default() -> Self {
        let one = NonZeroU16::MIN;
        Self { rows: one.saturating_add(23), columns: one.saturating_add(79) }
    }
}

/// `ROWSxCOLUMNS`.
impl fmt::Display for TerminalSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.columns)
    }
}
