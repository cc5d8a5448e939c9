//! The texts of an error: for people, and for logs.

use std::fmt;

use super::Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.operation)?;
        if let Some(subject) = &inner.subject {
            write!(f, " {subject}")?;
        }
        write!(f, ": {}", inner.kind)?;
        if !inner.message.is_empty() {
            write!(f, ": {}", inner.message)?;
        }
        if let Some(report) = &inner.kill_report {
            write!(f, "; {report}")?;
        }
        if let Some(hint) = &inner.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &inner.kind).field("text", &self.to_string());
        if let Some(report) = &inner.kill_report {
            debug.field("kill_report", report);
        }
        if let Some(outcome) = &inner.outcome {
            debug.field("outcome", outcome);
        }
        if let Some(partial) = &inner.partial {
            debug.field("partial", partial);
        }
        if let Some(source) = &inner.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}
