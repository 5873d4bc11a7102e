//! How one array becomes another: the smallest edit, for lists that entries are added to and removed from.

use serde_json::Value;

/// From this many changed elements on, an array is rewritten: single edits of a long one take quadratic time.
const MANY_ELEMENTS: usize = 64;

/// How one array becomes another.
#[derive(Debug, PartialEq, Eq)]
pub enum ArrayEdit<'v> {
    /// Same length: the elements that differ are edited in place.
    InPlace,
    /// Some elements are removed, the rest keeps its order, and others are appended.
    Splice {
        /// Numbers of the removed elements, from the last to the first.
        removed: Vec<usize>,
        /// The appended elements.
        appended: &'v [Value],
    },
}

impl<'v> ArrayEdit<'v> {
    /// The smallest edit.
    pub fn between(old: &[Value], new: &'v [Value]) -> Self {
        let is_container = |value: &Value| value.is_object() || value.is_array();
        let same_places = old.len() == new.len()
            && old
                .iter()
                .zip(new)
                .all(|(old, new)| old == new || (is_container(old) && is_container(new)));
        if same_places {
            return ArrayEdit::InPlace;
        }
        let mut rest = new;
        let mut removed = Vec::new();
        for (index, value) in old.iter().enumerate() {
            match rest.split_first() {
                Some((next, behind)) if next == value => rest = behind,
                _ => removed.push(index),
            }
        }
        removed.reverse();
        ArrayEdit::Splice {
            removed,
            appended: rest,
        }
    }

    /// Whether so much changes that the array should be rewritten.
    pub fn is_large(&self) -> bool {
        match self {
            ArrayEdit::InPlace => false,
            ArrayEdit::Splice { removed, appended } => {
                removed.len().saturating_add(appended.len()) > MANY_ELEMENTS
            }
        }
    }
}
