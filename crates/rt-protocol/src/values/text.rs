//! The one mechanism of checked texts and of enums of words: what each of them can do beside its own rule. For the crates of
//! this workspace; the macros are no promise of stability.

/// Gives a checked text what all of them have. The type is `struct Name(String)` with a constructor
/// `fn new(impl Into<String>) -> Result<Self, InvalidValue>`.
#[doc(hidden)]
#[macro_export]
macro_rules! checked_text {
    ($name:ident) => {
        impl $name {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::InvalidValue;

            fn from_str(text: &str) -> std::result::Result<Self, $crate::InvalidValue> {
                Self::new(text)
            }
        }

        $crate::text_conversions!($name);
    };
}

/// Gives a type that `FromStr` reads with an [`InvalidValue`](crate::InvalidValue) its `TryFrom<&str>` and
/// `TryFrom<String>`.
#[doc(hidden)]
#[macro_export]
macro_rules! text_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<&str> for $name {
            type Error = $crate::InvalidValue;

            fn try_from(text: &str) -> std::result::Result<Self, $crate::InvalidValue> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::InvalidValue;

            fn try_from(text: String) -> std::result::Result<Self, $crate::InvalidValue> {
                text.parse()
            }
        }
    )*};
}

/// Gives an enum of words its texts: `ALL`, `as_str`, `Display`, and the way back, in any case. After `else`, the variant
/// that keeps a word which this version does not know; without one, such a word is refused.
#[doc(hidden)]
#[macro_export]
macro_rules! word_enum {
    ($name:ident, $what:literal, { $($variant:ident = $word:literal,)* }) => {
        $crate::word_enum!(@names $name, $what, { $($variant = $word,)* });

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Widths of the caller's are kept.
                f.pad(self.as_str())
            }
        }
    };

    // Without `Display`, for an enum that has another text for people.
    (@names $name:ident, $what:literal, { $($variant:ident = $word:literal,)* }) => {
        impl $name {
            /// All of them, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word for it, which `FromStr` reads.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        /// Reads the word, in any case.
        impl std::str::FromStr for $name {
            type Err = $crate::InvalidValue;

            fn from_str(text: &str) -> std::result::Result<Self, $crate::InvalidValue> {
                let known = Self::ALL.iter().find(|known| known.as_str().eq_ignore_ascii_case(text));
                known.copied().ok_or_else(|| {
                    let words: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                    $crate::InvalidValue::new($what, text, format!("it must be one of {}", words.join(", ")))
                })
            }
        }

        $crate::text_conversions!($name);
    };

    ($name:ident, { $($variant:ident = $word:literal $(| $alias:literal)*,)* } else $other:ident) => {
        impl $name {
            /// The word for it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::$other(word) => word,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        /// Reads an engine's word, in any case.
        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word.to_ascii_lowercase().as_str() {
                    $($word $(| $alias)* => Self::$variant,)*
                    _ => Self::$other(word.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(word: &str) -> std::result::Result<Self, std::convert::Infallible> {
                Ok(Self::from(word))
            }
        }
    };
}
