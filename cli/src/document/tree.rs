//! A JSON or YAML value as written, duplicate keys included.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::path::Step;

/// A value as written, duplicate keys included.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Neither a list nor an object.
    Scalar(Value),
    /// A list.
    List(Vec<Tree>),
    /// Keys and values in their order.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// The value; of duplicate keys the last one wins, as in Envoy.
    pub fn value(&self) -> Value {
        match self {
            Tree::Scalar(value) => value.clone(),
            Tree::List(list) => list.iter().map(Tree::value).collect(),
            Tree::Object(entries) => {
                let mut object = Map::new();
                for (key, value) in entries {
                    object.insert(key.clone(), value.value());
                }
                Value::Object(object)
            }
        }
    }

    /// The tree at `path`.
    pub fn get(&self, path: &[Step]) -> Option<&Tree> {
        path.iter().try_fold(self, |tree, step| match (tree, step) {
            (Tree::Object(entries), Step::Key(key)) => {
                let mut entries = entries.iter().rev();
                entries
                    .find(|(known, _)| known == key)
                    .map(|(_, tree)| tree)
            }
            (Tree::List(list), Step::Index(index)) => list.get(*index),
            _ => None,
        })
    }

    /// As JSON, duplicate keys included.
    pub fn to_json(&self) -> String {
        let mut json = Vec::new();
        self.write_json(&mut json);
        String::from_utf8(json).unwrap_or_default()
    }

    fn write_json(&self, json: &mut Vec<u8>) {
        // A write to memory does not fail.
        let comma = |json: &mut Vec<u8>, number| {
            if number > 0 {
                json.push(b',');
            }
        };
        match self {
            Tree::Scalar(value) => _ = serde_json::to_writer(json, value),
            Tree::List(list) => {
                json.push(b'[');
                for (number, tree) in list.iter().enumerate() {
                    comma(json, number);
                    tree.write_json(json);
                }
                json.push(b']');
            }
            Tree::Object(entries) => {
                json.push(b'{');
                for (number, (key, tree)) in entries.iter().enumerate() {
                    comma(json, number);
                    let _ = serde_json::to_writer(&mut *json, key);
                    json.push(b':');
                    tree.write_json(json);
                }
                json.push(b'}');
            }
        }
    }

    /// The first duplicate key, except those at `path` and below.
    pub fn duplicate_outside(&self, path: Option<&[Step]>) -> Option<&str> {
        match self {
            _ if path.is_some_and(<[Step]>::is_empty) => None,
            Tree::Scalar(_) => None,
            Tree::List(list) => list.iter().enumerate().find_map(|(index, tree)| {
                let step = Step::Index(index);
                tree.duplicate_outside(below(path, &step))
            }),
            Tree::Object(entries) => {
                let mut known = std::collections::HashSet::new();
                entries.iter().find_map(|(key, tree)| {
                    if !known.insert(key) {
                        return Some(key.as_str());
                    }
                    tree.duplicate_outside(below(path, &Step::Key(key.clone())))
                })
            }
        }
    }
}

/// Reads JSON: serde's own values keep only one of duplicate keys.
impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Tree::Object(object))
    }
}

fn below<'p>(path: Option<&'p [Step]>, step: &Step) -> Option<&'p [Step]> {
    let (first, rest) = path?.split_first()?;
    (first == step).then_some(rest)
}
