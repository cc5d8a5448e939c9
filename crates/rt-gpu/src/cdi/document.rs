//! Reads YAML, and therefore JSON, into a tree of limited size. `spec` interprets the tree.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::CdiFault;
use super::scalar::Scalar;

/// The deepest nesting of values; a spec has six levels.
const MAX_DEPTH: usize = 32;
/// The most values in a document. Values behind an alias count each time.
const MAX_VALUES: usize = 200_000;
/// The most bytes of text in a document, counted in the same way.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// A value and its line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// No value, `~` or `null`.
    Null,
    /// Any other scalar: its text, and what it means if unquoted.
    Text(String, Scalar),
    List(Vec<Node>),
    /// Keys are unique.
    Map(Vec<(String, Node)>),
}

/// Returns the first document of a text, since engines read no other; `None` if it is empty.
///
/// Engines read `.json` files with their YAML reader too, and so does this function.
pub(super) fn read(text: &str) -> Result<Option<Node>, CdiFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax(error.marker().line(), error.info()))?;
        if let Some(document) = builder.take(event, span)? {
            return Ok(Some(document).filter(|document| !matches!(document.value, Value::Null)));
        }
    }
    Ok(None)
}

/// A list or map that is not complete yet.
struct OpenCollection {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<String>,
    /// The keys so far.
    keys: HashSet<String>,
    /// The size of the document when this collection began.
    before: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    text: usize,
}

#[derive(Default)]
struct Builder {
    open: Vec<OpenCollection>,
    /// The values that aliases refer to, and the size of each.
    anchors: HashMap<usize, (Node, Size)>,
    size: Size,
}

impl Builder {
    /// Handles an event. Returns the document once it is complete.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<Node>, CdiFault> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let before = self.size;
                self.grow(Size { values: 1, text: text.len() }, line)?;
                let is_null =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let scalar = if style == ScalarStyle::Plain { Scalar::read(&text) } else { Scalar::Text };
                let value = if is_null { Value::Null } else { Value::Text(text.into_owned(), scalar) };
                self.close(Node { line, value }, anchor, before)
            }
            Event::SequenceStart(anchor, _) => self.begin(Value::List(Vec::new()), anchor, line),
            Event::MappingStart(anchor, _) => self.begin(Value::Map(Vec::new()), anchor, line),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.close(open.node, open.anchor, open.before),
                None => Err(syntax(line, "a value ends that never began")),
            },
            Event::Alias(anchor) => {
                let (node, size) =
                    self.anchors.get(&anchor).cloned().ok_or_else(|| {
                        syntax(line, "an alias stands for a value that is not complete yet")
                    })?;
                let before = self.size;
                self.grow(size, line)?;
                self.close(Node { line, ..node }, 0, before)
            }
            // The document is empty.
            Event::DocumentEnd => Ok(Some(Node { line, value: Value::Null })),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => Ok(None),
        }
    }

    fn begin(&mut self, value: Value, anchor: usize, line: usize) -> Result<Option<Node>, CdiFault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(syntax(line, "values are nested too deeply"));
        }
        let before = self.size;
        self.grow(Size { values: 1, text: 0 }, line)?;
        let node = Node { line, value };
        self.open.push(OpenCollection { node, anchor, key: None, keys: HashSet::new(), before });
        Ok(None)
    }

    /// Adds a complete value to the open collection, or returns it as the document.
    fn close(&mut self, node: Node, anchor: usize, before: Size) -> Result<Option<Node>, CdiFault> {
        if anchor != 0 {
            let size = Size { values: self.size.values - before.values, text: self.size.text - before.text };
            // The copy that is kept for aliases counts too.
            self.grow(size, node.line)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        match &mut open.node.value {
            Value::List(values) => values.push(node),
            Value::Map(pairs) => match open.key.take() {
                Some(key) => pairs.push((key, node)),
                None => open.key = Some(new_key(&mut open.keys, node)?),
            },
            Value::Null | Value::Text(..) => {}
        }
        Ok(None)
    }

    fn grow(&mut self, by: Size, line: usize) -> Result<(), CdiFault> {
        self.size.values += by.values;
        self.size.text += by.text;
        if self.size.values > MAX_VALUES || self.size.text > MAX_TEXT_BYTES {
            return Err(syntax(line, "there are too many values"));
        }
        Ok(())
    }
}

fn new_key(keys: &mut HashSet<String>, node: Node) -> Result<String, CdiFault> {
    let Value::Text(written, scalar) = node.value else {
        return Err(syntax(node.line, "a key is not a text"));
    };
    let key = scalar.as_text(&written);
    if keys.insert(key.clone()) {
        Ok(key)
    } else {
        Err(syntax(node.line, &format!("{key:?} stands there twice")))
    }
}

fn syntax(line: usize, reason: &str) -> CdiFault {
    CdiFault::Syntax { line, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn json_and_yaml_are_read_alike() {
        for text in [
            "{\"a\":\n\t[\"x\\/y\", 1, null]}",
            "a:\n- x/y\n- 1\n- ~\n",
            "---\n{a: [x/y, 1, ]}\n...\nnever: read\n",
        ] {
            let Some(Node { value: Value::Map(pairs), .. }) = read(text).unwrap() else { panic!("{text}") };
            let (key, Node { value: Value::List(values), .. }) = &pairs[0] else { panic!("{text}") };
            assert_eq!(key, "a");
            assert!(matches!(&values[0].value, Value::Text(path, _) if path == "x/y"));
            assert!(matches!(&values[1].value, Value::Text(_, Scalar::Whole(1))));
        }
        for text in ["", "\n# nothing\n", "---\n", "~", "\u{feff}"] {
            assert!(read(text).unwrap().is_none(), "{text:?}");
        }
    }

    #[test]
    fn aliases_stand_for_what_was_anchored() {
        let Some(Node { value: Value::List(values), .. }) = read("[&a {x: y}, *a]").unwrap() else {
            panic!("a list")
        };
        assert!(matches!(&values[1].value, Value::Map(pairs) if pairs[0].0 == "x"));
        assert!(error("&a [*a]").contains("not complete"), "{}", error("&a [*a]"));
        assert!(read("[*nobody]").is_err());
    }

    #[test]
    fn hostile_documents_are_refused_in_words() {
        assert!(error("{a: 1, b: 2, a: 3}").contains("\"a\" stands there twice"));
        assert!(error("{[a]: 1}").contains("a key is not a text"));
        assert!(error(&"[".repeat(MAX_DEPTH + 1)).contains("too deeply"));
        // The parser itself gives up earlier on this one.
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(error(&"- ".repeat(100_000)).contains("too deeply"));
        assert!(error(&format!("[{}]", "1,".repeat(MAX_VALUES + 1))).contains("too many values"));
        let level =
            |level: usize| format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(9));
        let bomb: String = std::iter::once(String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n"))
            .chain((1..30).map(level))
            .collect();
        assert!(error(&bomb).contains("too many values"));
        let long = format!("[&a \"{}\", {}]", "x".repeat(1 << 20), "*a,".repeat(100));
        assert!(error(&long).contains("too many values"));
        assert!(error("a: [").starts_with("line "));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}|([a&*:,\\[\\]{}\"'|>%@!?#\\n\\t -]){0,60}") {
            let _ = read(&text);
        }
    }
}
