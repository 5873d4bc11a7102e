//! A JSON or YAML value as written, duplicate keys included.

use jsonc_parser::ast;
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
    /// Reads a text that is valid JSON. No other reader of JSON keeps duplicate keys.
    pub fn of_json(text: &str) -> Option<Self> {
        let (collect, parse) = Default::default();
        let parsed = jsonc_parser::parse_to_ast(text, &collect, &parse).ok()?;
        Self::of_ast(&parsed.value?)
    }

    fn of_ast(value: &ast::Value<'_>) -> Option<Self> {
        Some(match value {
            ast::Value::NullKeyword(_) => Tree::Scalar(Value::Null),
            ast::Value::BooleanLit(literal) => Tree::Scalar(literal.value.into()),
            ast::Value::NumberLit(literal) => {
                Tree::Scalar(Value::Number(literal.value.parse().ok()?))
            }
            ast::Value::StringLit(literal) => Tree::Scalar(literal.value.as_ref().into()),
            ast::Value::Array(array) => {
                let elements = array.elements.iter().map(Tree::of_ast);
                Tree::List(elements.collect::<Option<_>>()?)
            }
            ast::Value::Object(object) => {
                let entries = object.properties.iter().map(|property| {
                    let key = property.name.as_str().to_owned();
                    Some((key, Tree::of_ast(&property.value)?))
                });
                Tree::Object(entries.collect::<Option<_>>()?)
            }
        })
    }

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
        match self {
            Tree::Scalar(value) => value.to_string(),
            Tree::List(list) => {
                let list: Vec<_> = list.iter().map(Tree::to_json).collect();
                format!("[{}]", list.join(","))
            }
            Tree::Object(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| {
                        format!("{}:{}", Value::String(key.clone()), value.to_json())
                    })
                    .collect();
                format!("{{{}}}", entries.join(","))
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

fn below<'p>(path: Option<&'p [Step]>, step: &Step) -> Option<&'p [Step]> {
    let (first, rest) = path?.split_first()?;
    (first == step).then_some(rest)
}
