//! The fields of a map, taken one by one with a check of their type. `spec` knows which fields
//! exist.

use super::document::{Node, Value};
use super::problem::CdiFault;
use super::scalar::Scalar;

/// A map whose fields are taken one by one. Fields that remain at the end are unknown.
pub(super) struct Fields {
    /// What the map describes, for error texts: "a mount".
    what: &'static str,
    line: usize,
    pairs: Vec<(String, Node)>,
}

impl Fields {
    pub(super) fn from_node(node: Node, what: &'static str) -> Result<Self, CdiFault> {
        match node.value {
            Value::Map(pairs) => Ok(Self { what, line: node.line, pairs }),
            // Go reads `null` as an empty map.
            Value::Null => Ok(Self { what, line: node.line, pairs: Vec::new() }),
            _ => Err(fault(node.line, format!("{what} is a map"))),
        }
    }

    /// Takes a field's value; `None` if it is absent or null.
    ///
    /// Engines ignore letter case here, as Go's JSON does. Of several spellings, the exact one
    /// applies.
    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let own = self.pairs.iter().position(|(key, _)| key == name);
        let place = own.or_else(|| self.pairs.iter().position(|(key, _)| key.eq_ignore_ascii_case(name)))?;
        let (_, node) = self.pairs.swap_remove(place);
        self.pairs.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, CdiFault> {
        self.take(name).map(|node| text(node, name)).transpose()
    }

    /// Takes a text that must exist and not be empty.
    pub(super) fn required(&mut self, name: &str) -> Result<String, CdiFault> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(fault(self.line, format!("{} has no {name}", self.what))),
        }
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Node>, CdiFault> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Node { value: Value::List(values), .. }) => Ok(values),
            Some(node) => Err(fault(node.line, format!("{name} is a list"))),
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, CdiFault> {
        self.list(name)?.into_iter().map(|node| text(node, name)).collect()
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>, CdiFault> {
        let Some(node) = self.take(name) else { return Ok(None) };
        match node.value {
            Value::Text(_, Scalar::Whole(number)) => Ok(Some(number)),
            // Engines that convert YAML to JSON read `1e2` as 100.
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction, and Rust saturates")]
            Value::Text(_, Scalar::Float(number)) if number.fract() == 0.0 => Ok(Some(number as i64)),
            _ => Err(fault(node.line, format!("{name} is a whole number"))),
        }
    }

    /// Checks a number that engines keep as an unsigned 32-bit integer.
    pub(super) fn small_number(&mut self, name: &str) -> Result<(), CdiFault> {
        match self.number(name)?.map(u32::try_from) {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(_)) => Err(fault(self.line, format!("{name} is a whole number from 0 to 4294967295"))),
        }
    }

    /// Checks the type of a map of texts and returns its length. The contents are not needed.
    pub(super) fn map_of_texts(&mut self, name: &str) -> Result<usize, CdiFault> {
        match self.take(name) {
            None => Ok(0),
            Some(Node { value: Value::Map(pairs), .. }) => {
                let count = pairs.len();
                pairs.into_iter().try_for_each(|(key, node)| text(node, &key).map(drop))?;
                Ok(count)
            }
            Some(node) => Err(fault(node.line, format!("{name} is a map"))),
        }
    }

    /// Fails if a field remains: engines refuse a file with an unknown field.
    pub(super) fn finish(self) -> Result<(), CdiFault> {
        match self.pairs.into_iter().next() {
            None => Ok(()),
            Some((name, node)) => Err(fault(node.line, format!("{} has no field {name:?}", self.what))),
        }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }
}

fn text(node: Node, name: &str) -> Result<String, CdiFault> {
    match node.value {
        Value::Text(written, scalar) => Ok(scalar.as_text(&written)),
        Value::Null => Ok(String::new()),
        _ => Err(fault(node.line, format!("{name} is a text"))),
    }
}

pub(super) fn fault(line: usize, reason: String) -> CdiFault {
    CdiFault::Field { line, reason }
}
