//! Where in a text a value is.

use serde_json::Value;

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// The element with this number, from 0.
    Index(usize),
}

/// A value in a text: the number of its YAML document (0 for JSON), and the steps from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValuePath {
    /// Which document of the text.
    pub document: usize,
    /// The steps to the value.
    pub steps: Vec<Step>,
}

/// Steps by keys only.
pub fn keys(keys: &[&str]) -> Vec<Step> {
    keys.iter()
        .map(|key| Step::Key((*key).to_owned()))
        .collect()
}

impl ValuePath {
    /// The value in the documents of a text.
    pub fn get<'v>(&self, documents: &'v [Value]) -> Option<&'v Value> {
        let document = documents.get(self.document)?;
        self.steps
            .iter()
            .try_fold(document, |value, step| match step {
                Step::Key(key) => value.get(key),
                Step::Index(index) => value.get(index),
            })
    }

    /// Takes the value out of the documents, which keep null in its place.
    pub fn take(&self, documents: &mut [Value]) -> Option<Value> {
        let document = documents.get_mut(self.document)?;
        let value = self
            .steps
            .iter()
            .try_fold(document, |value, step| match step {
                Step::Key(key) => value.get_mut(key),
                Step::Index(index) => value.get_mut(index),
            });
        value.map(Value::take)
    }

    /// Puts a value at this path; the last key may be new. `None` if the path does not exist.
    pub fn set(&self, documents: &mut [Value], new: Value) -> Option<()> {
        let document = documents.get_mut(self.document)?;
        let Some((last, parents)) = self.steps.split_last() else {
            *document = new;
            return Some(());
        };
        let parent = parents
            .iter()
            .try_fold(document, |value, step| match step {
                Step::Key(key) => value.get_mut(key),
                Step::Index(index) => value.get_mut(index),
            })?;
        match last {
            Step::Key(key) => {
                parent.as_object_mut()?.insert(key.clone(), new);
            }
            Step::Index(index) => *parent.get_mut(index)? = new,
        }
        Some(())
    }
}
