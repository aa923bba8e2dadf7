//! What can be wrong with a policy, and where.

use core::{fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Why a policy was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is not TOML.
    #[error("{position}: {message}")]
    Syntax {
        /// Where.
        position: Position,
        /// What the TOML parser says.
        message: String,
    },
    /// There is no such key. A key that nobody enforces would be a promise nobody keeps.
    #[error("{position}: unknown key `{key}`: {message}")]
    UnknownKey {
        /// Where the key stands.
        position: Position,
        /// The key, with the tables that it is in.
        key: String,
        /// The keys that there are.
        message: String,
    },
    /// The key cannot have this value.
    #[error("{position}: `{key}`: {message}")]
    Value {
        /// Where the value stands.
        position: Position,
        /// The key, with the tables that it is in.
        key: String,
        /// What is wrong, and what is accepted.
        message: String,
    },
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, counted from 1.
    pub line: usize,
    /// Character in the line, counted from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

impl PolicyError {
    /// Describes an error of the TOML parser in terms of keys.
    pub(crate) fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let position = Position::of(text, span.start);
        let message = error.message().to_owned();
        let Ok(table) = DeTable::parse(text) else {
            return Self::Syntax { position, message };
        };
        match locate(table.get_ref(), &span) {
            Some(Located { key, is_key: true }) => Self::UnknownKey {
                position,
                key,
                message,
            },
            Some(Located { key, is_key: false }) => Self::Value {
                position,
                key,
                message,
            },
            None => Self::Syntax { position, message },
        }
    }

    /// A value that is not accepted for a reason that its type does not tell.
    pub(crate) fn value(text: &str, span: Range<usize>, message: &str) -> Self {
        let located = DeTable::parse(text)
            .ok()
            .and_then(|table| locate(table.get_ref(), &span));
        Self::Value {
            position: Position::of(text, span.start),
            key: located.map_or_else(String::new, |located| located.key),
            message: message.to_owned(),
        }
    }
}

impl Position {
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// What stands at a place: a key, or the value of a key.
struct Located {
    key: String,
    is_key: bool,
}

/// Finds the innermost key at `span` or whose value contains `span`.
fn locate(table: &DeTable<'_>, span: &Range<usize>) -> Option<Located> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        if key.span() == *span {
            return Some(Located {
                key: name.to_string(),
                is_key: true,
            });
        }
        if let Some(inner) = inside(value, span) {
            return Some(Located {
                key: format!("{name}.{}", inner.key),
                is_key: inner.is_key,
            });
        }
        let contains = value.span().start <= span.start && span.end <= value.span().end;
        contains.then(|| Located {
            key: name.to_string(),
            is_key: false,
        })
    })
}

/// Looks for `span` in the tables that a value is made of.
fn inside(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Located> {
    match value.get_ref() {
        DeValue::Table(table) => locate(table, span),
        _ => None,
    }
}
