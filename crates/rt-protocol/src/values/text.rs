//! The common methods of checked texts and of enums of words. For the crates of this workspace: the
//! macros may change at any time.

/// Implements the common methods of a checked text. The type is `struct Name(String)` with a
/// constructor `fn new(impl Into<String>) -> Result<Self, InvalidValue>`.
#[doc(hidden)]
#[macro_export]
macro_rules! checked_text {
    ($name:ident) => {
        impl $name {
            /// Returns the value as text.
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

/// Implements `TryFrom<&str>` and `TryFrom<String>` for a type whose `FromStr` fails with an
/// [`InvalidValue`](crate::InvalidValue).
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

/// Declares an enum whose values are words, and its texts: `ALL`, `as_str`, `Display`, and
/// `FromStr` in any case. A word with `=> "text"` has another text for people, which `Display`
/// prints. The variant after `else` keeps a word that this version does not know; without one, such
/// a word is an error.
#[doc(hidden)]
#[macro_export]
macro_rules! word_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident: $what:literal {
            $($(#[$note:meta])* $variant:ident = $word:literal $(=> $text:literal)?,)*
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[$note])* $variant,)*
        }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the word, which `FromStr` parses.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Applies the width of the format string.
                f.pad(match self {
                    $($(Self::$variant => $text,)?)*
                    #[allow(unreachable_patterns, reason = "each word may have a text of its own")]
                    word => word.as_str(),
                })
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        /// Parses the word, in any case.
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

    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[$note:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)*
        } else {
            $(#[$other_note:meta])* $other:ident
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[$note])* $variant,)*
            $(#[$other_note])* $other(String),
        }

        impl $name {
            /// Returns the word.
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

        /// Parses an engine's word, in any case.
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
