//! YAML as its readers read it: Envoy its own files, Kubernetes its manifests. The two read words such as `no`, `007`
//! and `1e3` as different values, and neither follows YAML 1.2.
//!
//! Owns the structure; `scalar` owns how a scalar becomes a value. `yaml_edit` owns edits.

mod scalar;

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::tree::Tree;

pub use self::scalar::is_text_everywhere;
use self::scalar::{Dialect, Scalar};

/// Deeper nesting is refused, as in JSON.
const DEEPEST: usize = 128;

/// More values than any file needs: a few lines of aliases can expand to billions.
const MOST_VALUES: usize = 8 << 20;

/// Reads each document of a text.
pub fn read(text: &str) -> Result<Vec<Tree>, String> {
    let mut documents = Vec::new();
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            format!(
                "line {}, column {}: {}",
                at.line(),
                at.col().saturating_add(1),
                error.info()
            )
        })?;
        let failed = |reason: &str| {
            let at = span.start;
            format!(
                "line {}, column {}: {reason}",
                at.line(),
                at.col().saturating_add(1)
            )
        };
        reader.take(event).map_err(failed)?;
        if let Some(node) = reader.whole.take() {
            let dialect = match is_manifest(&node) {
                true => Dialect::Kubernetes,
                false => Dialect::Envoy,
            };
            documents.push(tree(&node, dialect).map_err(failed)?);
            reader = Reader::default();
        }
    }
    Ok(documents)
}

/// A value before its scalars are read.
#[derive(Clone, Debug)]
enum Node {
    Scalar(Scalar),
    List(Vec<Node>),
    Object(Vec<(Node, Node)>),
    /// A value with an anchor.
    Shared(Rc<Node>),
}

#[derive(Default)]
struct Reader {
    /// The lists and objects that have not ended, outermost first, with their anchors.
    open: Vec<(usize, Open)>,
    anchors: HashMap<usize, Rc<Node>>,
    n_values: usize,
    whole: Option<Node>,
}

enum Open {
    List(Vec<Node>),
    /// With the key of the next value.
    Object(Vec<(Node, Node)>, Option<Node>),
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    is_plain: style == ScalarStyle::Plain,
                    tag: tag.map(std::borrow::Cow::into_owned),
                };
                self.add(anchor, Node::Scalar(scalar))?;
            }
            Event::Alias(anchor) => {
                let shared = self.anchors.get(&anchor).cloned();
                self.add(
                    0,
                    Node::Shared(shared.ok_or("an alias within its own anchor")?),
                )?;
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Open::List(Vec::new()))?,
            Event::MappingStart(anchor, _) => self.open(anchor, Open::Object(Vec::new(), None))?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((anchor, open)) = self.open.pop() {
                    let node = match open {
                        Open::List(list) => Node::List(list),
                        Open::Object(entries, _) => Node::Object(entries),
                    };
                    self.add(anchor, node)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, open: Open) -> Result<(), &'static str> {
        if self.open.len() >= DEEPEST {
            return Err("nested too deep");
        }
        self.open.push((anchor, open));
        Ok(())
    }

    fn add(&mut self, anchor: usize, node: Node) -> Result<(), &'static str> {
        self.n_values = self.n_values.saturating_add(size(&node));
        if self.n_values > MOST_VALUES {
            return Err("too many values: aliases of aliases?");
        }
        let node = match anchor {
            0 => node,
            anchor => {
                let shared = Rc::new(node);
                self.anchors.insert(anchor, Rc::clone(&shared));
                Node::Shared(shared)
            }
        };
        match self.open.last_mut() {
            None => self.whole = Some(node),
            Some((_, Open::List(list))) => list.push(node),
            Some((_, Open::Object(entries, key))) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }
}

/// How many values an alias repeats; those written out were counted when they were read.
fn size(node: &Node) -> usize {
    fn whole(node: &Node) -> usize {
        match node {
            Node::Scalar(_) => 1,
            Node::List(list) => list.iter().map(whole).fold(1, usize::saturating_add),
            Node::Object(entries) => entries
                .iter()
                .map(|(key, value)| whole(key).saturating_add(whole(value)))
                .fold(1, usize::saturating_add),
            Node::Shared(node) => whole(node),
        }
    }
    match node {
        Node::Shared(node) => whole(node),
        _ => 1,
    }
}

/// Whether this is an object of Kubernetes: Envoy has no file with a `kind` at its top.
fn is_manifest(node: &Node) -> bool {
    let Node::Object(entries) = node else {
        return false;
    };
    entries
        .iter()
        .any(|(key, _)| matches!(key, Node::Scalar(key) if key.text == "kind"))
}

fn tree(node: &Node, dialect: Dialect) -> Result<Tree, &'static str> {
    match node {
        Node::Scalar(scalar) => Ok(Tree::Scalar(dialect.read(scalar))),
        Node::List(list) => {
            let list = list.iter().map(|node| tree(node, dialect));
            Ok(Tree::List(list.collect::<Result<_, _>>()?))
        }
        Node::Object(entries) => object(entries, dialect).map(Tree::Object),
        Node::Shared(node) => tree(node, dialect),
    }
}

fn object(entries: &[(Node, Node)], dialect: Dialect) -> Result<Vec<(String, Tree)>, &'static str> {
    let mut object = Vec::with_capacity(entries.len());
    let mut merged = Vec::new();
    for (key, value) in entries {
        let key = match key {
            Node::Scalar(key) => key,
            Node::Shared(key) => match &**key {
                Node::Scalar(key) => key,
                _ => return Err("a key that is a list or an object"),
            },
            _ => return Err("a key that is a list or an object"),
        };
        let value = tree(value, dialect)?;
        if dialect.merges(key) {
            merge(value, &mut merged)?;
        } else {
            object.push((dialect.key(key), value));
        }
    }
    for (key, value) in merged {
        if !object.iter().any(|(known, _)| *known == key) {
            object.push((key, value));
        }
    }
    Ok(object)
}

/// What `<<` merges: an object, or several of which the first wins.
fn merge(value: Tree, merged: &mut Vec<(String, Tree)>) -> Result<(), &'static str> {
    match value {
        Tree::Object(entries) => merged.extend(entries),
        Tree::List(list) => {
            for one in list {
                merge(one, merged)?;
            }
        }
        Tree::Scalar(_) => return Err("<< takes an object"),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
